"""A corpus of tones with labels, and a tiny tagging pre-training on it."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from run_options import run_options

from earmark.pretraining import tagging
from earmark.store import SCHEMA

sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
from downstream import FRONTEND, load_tiny

LABELS = ["low", "mid", "high", "never"]
PROTOCOL = {
    "seed": 42,
    "head_bias": 0.0,
    "learning_rate": 0.02,
    "batch_size": 6,
    "max_epochs": 6,
    "validations_per_epoch": 2,
    "patience": 20,
    "average_best": 4,
    "crop_seconds": 0.5,
    "augmentation_probability": 0.5,
    "gain_db": [-18.0, 6.0],
    "shift": [-0.5, 0.5],
    "spec_augment": {"time": 8, "frequency": 1},
    "mixup": True,
}


def write_corpus(folder):
    """Write 36 clips of 0.4 to 0.7 s: a low, middle or high tone each, or two of them."""
    generator = np.random.default_rng(0)
    samples, table = [], []
    for number in range(36):
        n_samples = [6400, 8000, 11200][number % 3]
        names = {LABELS[number % 3], LABELS[number // 3 % 3]}
        time = np.arange(n_samples) / 16000
        tone = sum(np.sin(2 * np.pi * [300, 1500, 5000][LABELS.index(name)] * time) for name in names)
        samples.append((3000 * tone + generator.normal(0, 100, n_samples)).astype(np.int16))
        subset = "eval" if number % 4 == 3 else "balanced"
        table.append({"clip_id": f"c{number}", "labels": sorted(names), "subset": subset, "n_samples": n_samples})
    clips = pd.DataFrame(table)
    clips["offset"] = np.concatenate([[0], np.cumsum(clips["n_samples"])[:-1]])
    clips.to_parquet(folder / "clips.parquet")
    with pa.ipc.new_file(str(folder / "audio_16k.arrow"), SCHEMA) as writer:
        writer.write_batch(pa.record_batch([pa.array(np.concatenate(samples))], schema=SCHEMA))


def run_tagging(store, out, **changes):
    """Pre-train on the corpus of `store`; `changes` replace arguments. Returns `out`, which holds the results."""
    tagging.load_encoder = load_tiny
    options = {
        **run_options(store, out),
        "frontend": FRONTEND,
        "encoder": "tiny",
        "encoder_options": {},
        "vocabulary": LABELS,
        "corpus": {
            "dataset": "tones",
            "train": {"subset": ["balanced"]},
            "valid": {"subset": ["balanced"]},
            "test": {"subset": ["eval"]},
        },
        "protocol": PROTOCOL,
    }
    tagging.pretrain_tagging(**{**options, **changes})
    return out
