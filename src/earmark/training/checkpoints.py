"""Checkpoints of a running training, and files of weights.

A checkpoint is `checkpoint_<step>.pt`: 32 bytes SHA-256 of the rest, then what torch.save writes. It is written under
another name, synced and renamed; the last two are kept, and a damaged newest one gives way to the one before.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from earmark.errors import TrainingError
from earmark.files import atomic_path
from earmark.logs import LOGGER

KEPT = 2
DIGEST_BYTES = 32


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint that is whole or absent, and remove all but the last two. Returns its path.

    It carries the version of torch under `torch`, beside `state`.
    """
    buffer = io.BytesIO()
    torch.save({**state, "torch": str(torch.__version__)}, buffer)
    payload = buffer.getbuffer()
    path = folder / f"checkpoint_{step:09d}.pt"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(hashlib.sha256(payload).digest())
        file.write(payload)
    _sync_folder(folder)
    for old in _checkpoints(folder)[KEPT:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, digest: str) -> dict[str, Any] | None:
    """Read the newest whole checkpoint of a folder that was made under the settings of `digest`.

    Returns None where there is none. Damaged ones and ones made under other settings are passed over and logged.
    Nothing in the file is executed (`weights_only`). Raises TrainingError for one made under another major version of
    torch, which may compute other numbers.
    """
    for path in _checkpoints(folder):
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
            LOGGER.warning("%s is damaged; going back to the checkpoint before it", path)
            continue
        state = torch.load(io.BytesIO(content[DIGEST_BYTES:]), map_location="cpu", weights_only=True)
        if state["digest"] != digest:
            LOGGER.warning("%s was made under other settings, code or data; starting anew", path)
            return None
        _check_torch(path, state["torch"])
        return state
    return None


def newest_checkpoint(folder: Path) -> Path | None:
    """Name the newest checkpoint of a folder, None where there is none."""
    return next(iter(_checkpoints(folder)), None)


def clear_checkpoints(folder: Path) -> None:
    """Remove the working folder of a training, with all it holds."""
    shutil.rmtree(folder, ignore_errors=True)


def save_weights(path: Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write weights as safetensors, whole or not at all."""
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary, dict(metadata or {}))


def _checkpoints(folder: Path) -> list[Path]:
    """List finished checkpoints, newest first."""
    return sorted(Path(folder).glob("checkpoint_*.pt"), reverse=True)


def _check_torch(path: Path, found: str) -> None:
    if found.split(".")[0] != torch.__version__.split(".")[0]:
        raise TrainingError(
            f"{path} was written under torch {found}, and this is torch {torch.__version__}; the rest of a training can"
            f" differ under another major version. Bring torch {found} back (`make env` installs the pinned one; all"
            f" nodes must have the same), or remove {path.parent} to begin this training anew."
        )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
