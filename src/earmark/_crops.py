"""Crops of equal length: which part of each clip linear evaluation looks at, as log-mel or as sound.

Source: Niizumi et al. 2023, section V, and the authors' public code (EVAR): a random crop of the task's unit length for
clips that train or validate, the first seconds of test clips, zeros at the end of shorter ones; log-mels normalised by
two numbers from up to 5,000 training clips. Differs from EVAR: a crop is drawn from the name of the clip, so that it is
the same in every process and order, and starts from 0 to the spare length, both included.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from earmark.errors import ConfigError, ProtocolError, StoreError
from earmark.features import FeatureStore
from earmark.frontends import n_frames, silence_level
from earmark.hear.bridge import STORE_RATE_HZ, resample
from earmark.store import CLIPS_FILE, ClipStore, read_index
from earmark.training.batches import derive_seed, pad_log_mel

CROP_SEED = 42
CROP_RULE = (
    "test clips: the first seconds; others: a random crop, drawn once per clip; zeros at the end of shorter ones"
)
STATISTICS_CLIPS = 5_000
STATISTICS_BATCH = 64


def crop_seconds(view: str) -> float:
    """Return the length of the crops of a view `crop_<seconds>`. Raises ConfigError for another name."""
    kind, _, seconds = view.partition("_")
    try:
        if kind == "crop" and 0 < float(seconds) < float("inf"):
            return float(seconds)
    except ValueError:
        pass
    raise ConfigError(f"unknown view {view!r}; wanted crop_<seconds>, such as crop_5.0")


def read_clips(store: Path) -> pd.DataFrame:
    """Read the clips of a data set in their official order. Raises StoreError when there are none."""
    clips = read_index(store / CLIPS_FILE, ("clip_id", "split", "n_samples"))
    if clips.empty:
        raise StoreError(f"{store / CLIPS_FILE} holds no clips; look at the data set's ledger, and prepare it again.")
    return clips


def draw_start(clip_id: str, spare: int) -> int:
    """Draw where the random crop of a clip begins, from 0 to `spare` steps of any unit, both included."""
    return derive_seed(CROP_SEED, "crop", clip_id) * (spare + 1) >> 63


def crop_starts(clips: pd.DataFrame, lengths: np.ndarray, crop: int) -> np.ndarray:
    """Return where the crop of each clip begins, int64 [clips].

    `lengths` [clips] and `crop` in one unit. Where the data set has folds, no clip is a test clip of its own.
    """
    is_test = np.zeros(len(clips), bool) if _has_folds(clips) else (clips["split"] == "test").to_numpy()
    spare = np.where(is_test, 0, np.maximum(lengths - crop, 0))
    return np.array([draw_start(*clip) for clip in zip(clips["clip_id"], spare.tolist(), strict=True)], np.int64)


def statistics_rows(clips: pd.DataFrame, dataset: str) -> np.ndarray:
    """Choose up to 5,000 training clips (with folds: of all but the lowest), by their names and not by their order.

    Returns row numbers in ascending order. Raises ProtocolError when no clip trains.
    """
    if _has_folds(clips):
        is_train = (clips["fold"] != clips["fold"].min()).fillna(False).to_numpy(bool)
    else:
        is_train = (clips["split"] == "train").to_numpy()
    rows = np.flatnonzero(is_train)
    if not len(rows):
        raise ProtocolError(
            f"{dataset}: no clip trains (split train, or a fold above the lowest), so there are no statistics to"
            " normalise log-mels by; check the splits in its clips.parquet."
        )
    if len(rows) > STATISTICS_CLIPS:
        drawn = [derive_seed(CROP_SEED, "statistics", clip_id) for clip_id in clips["clip_id"].iloc[rows]]
        rows = np.sort(rows[np.argsort(drawn)[:STATISTICS_CLIPS]])
    return rows


class LogMelCrops:
    """Crops from a log-mel cache, normalised by statistics of the training clips where the front-end says so.

    `clips`: of the data set; `folder`: its cache; `frontend`: constants of the cache. `length`: frames of a crop, as
    many as the front-end makes of so much sound. `normalisation`: mean, population deviation and number of clips, over
    all values of their crops, or None. Where a clip is shorter, frames of digital silence follow: what zeros after the
    sound give, but for the frames at the border. Raises StoreError when the cache is not of these clips.
    """

    def __init__(self, clips: pd.DataFrame, folder: Path, frontend: Mapping[str, Any], seconds: float, dataset: str):
        self._store = FeatureStore(folder)
        if self._store.index["clip_id"].tolist() != clips["clip_id"].tolist():
            raise StoreError(f"{folder} is not of the clips of {dataset}; delete it, it is made again.")
        self._frontend = frontend
        self.length = n_frames(round(seconds * frontend["sample_rate_hz"]), frontend)
        self._starts = crop_starts(clips, self._store.n_frames, self.length)
        self.normalisation = None
        if frontend["normalise"]:
            self.normalisation = self._measure(statistics_rows(clips, dataset), dataset)

    def batch(self, rows: Sequence[int]) -> torch.Tensor:
        """Return float32 [batch, mels, frames] of some clips."""
        crops = self._stack(rows)
        if self.normalisation is None:
            return crops
        return crops.sub_(self.normalisation["mean"]).div_(self.normalisation["std"])

    def _stack(self, rows: Sequence[int]) -> torch.Tensor:
        starts = self._starts[rows]
        items = [self._store.log_mel(row, start, start + self.length) for row, start in zip(rows, starts, strict=True)]
        floor_range = self._frontend["floor_db"] if self._frontend["log"] == "db" else None
        return pad_log_mel(items, silence_level(self._frontend), floor_range, self.length)

    def _measure(self, rows: np.ndarray, dataset: str) -> dict[str, Any]:
        shift, total, squares, count = None, 0.0, 0.0, 0
        for start in range(0, len(rows), STATISTICS_BATCH):
            values = self._stack(rows[start : start + STATISTICS_BATCH]).numpy().astype(np.float64)
            shift = float(values.mean()) if shift is None else shift
            values -= shift  # near the mean, where the difference of squares loses no digits
            total += float(values.sum())
            squares += float(np.vdot(values, values))
            count += values.size
        variance = squares / count - (total / count) ** 2
        if not variance > 0:
            raise StoreError(
                f"{dataset}: all log-mels of {len(rows)} training clips have the same value; is the sound silent?"
                f" Prepare the data set again, and delete {self._store.folder}."
            )
        return {"mean": shift + total / count, "std": variance**0.5, "n_clips": len(rows)}


class WaveformCrops:
    """Crops of the sound of a store, at the rate of an encoder.

    `clips`: of the data set; `store`: its folder; `sample_rate`: in Hz, reached by soxr HQ after the crop is cut and
    padded. `length`: samples of a crop at the store's rate.
    """

    normalisation = None

    def __init__(self, clips: pd.DataFrame, store: Path, seconds: float, sample_rate: int):
        self._store = ClipStore(store)
        self._sample_rate = sample_rate
        self.length = max(1, round(seconds * STORE_RATE_HZ))
        self._starts = crop_starts(clips, clips["n_samples"].to_numpy(np.int64), self.length)

    def batch(self, rows: Sequence[int]) -> torch.Tensor:
        """Return float32 [batch, samples] of some clips, in [-1, 1]."""
        crops = np.zeros((len(rows), self.length), dtype=np.float32)
        for place, row in enumerate(rows):
            piece = self._store.samples(int(row))[self._starts[row] : self._starts[row] + self.length]
            crops[place, : len(piece)] = piece
        crops *= np.float32(1 / 32768)
        return torch.from_numpy(resample(torch.from_numpy(crops), STORE_RATE_HZ, self._sample_rate))


def _has_folds(clips: pd.DataFrame) -> bool:
    return "fold" in clips and bool(clips["fold"].notna().any())
