"""Tagging, BYOL and fine-tuning at their smallest, for the tests that kill them; imported by the processes killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pretraining"))
sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
import byol_run
import downstream
import tagging_run

from earmark.heads import finetune
from earmark.training import loop

EVERY = {"checkpoint_steps": 4}


def run_finetune(store: Path, out: Path, protocol) -> None:
    finetune.load_encoder = downstream.load_tiny
    finetune.finetune_encoder(
        clips=store / "clips.parquet",
        log_mel=store / "log_mel" / "at",
        frontend=downstream.FRONTEND,
        encoder="tiny",
        encoder_options={},
        weights=None,
        mode="scratch",
        task=downstream.TASK,
        vocabulary=downstream.LABELS,
        max_folds=None,
        protocol=protocol,
        seeds=[42],
        names=downstream.NAMES,
        runs=out / "runs",
        scores=out / "scores.parquet",
        predictions=out / "predictions.parquet",
        provenance=downstream.PROVENANCE,
        accelerator="cpu",
        threads=1,
    )


RUNS = {  # what runs, what writes its corpus, its protocol, what it leaves
    "tagging": (tagging_run.run_tagging, tagging_run.write_corpus, tagging_run.PROTOCOL, "weights.safetensors"),
    "byol": (byol_run.run_byol, byol_run.write_corpus, byol_run.PROTOCOL, "weights.safetensors"),
    "finetune": (run_finetune, downstream.write_tones, downstream.PROTOCOL, "predictions.parquet"),
}


def run_announcing(kind: str, store: Path, out: Path, steps) -> None:
    """Run one training; inside each step send a message through the connection `steps`, and wait for the answer."""
    agree = loop.agree

    def announcing(*args):
        steps.send("step")
        steps.recv()
        return agree(*args)

    loop.agree = announcing
    run, _, protocol, _ = RUNS[kind]
    run(store, out, protocol={**protocol, **EVERY})
