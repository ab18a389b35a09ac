"""The arguments that tiny pre-trainings by BYOL and on tags have in common."""

from pathlib import Path
from typing import Any

PROVENANCE = {"scale": "mini", "code": "c", "config": "g", "inputs": "i", "started": "now", "versions": {}}


def run_options(store: Path, out: Path) -> dict[str, Any]:
    """Say what is read, that all results go to `out`, and that one thread of the CPU trains."""
    return {
        "store": store,
        "weights": out / "weights.safetensors",
        "card": out / "card.yaml",
        "history": out / "history.csv",
        "work": out / "work",
        "provenance": PROVENANCE,
        "accelerator": "cpu",
        "threads": 1,
    }
