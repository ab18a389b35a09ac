"""Scores: one row per run (seed and fold) and its predictions, written as soon as the run is done.

A run that was finished under the same digest (protocol, task, inputs, code, seed, fold) is not run again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earmark.errors import ProtocolError
from earmark.files import atomic_path
from earmark.logs import LOGGER
from earmark.metrics import METRICS, chance_level, evaluate, skipped_classes
from earmark.provenance import config_digest, peak_memory_mb, provenance_columns
from earmark.tasks import Split, TaskData


@dataclass(frozen=True)
class Outcome:
    """What one training leaves: scores of the test clips [clips, classes] and its costs.

    `predictions` are those of the selected (averaged) state, `last_predictions` those of the last epoch. `details`
    become further columns of the row.
    """

    predictions: np.ndarray
    last_predictions: np.ndarray
    best_epoch: float
    epochs: float
    steps: int
    seconds: float
    waiting_share: float
    device: str
    details: Mapping[str, Any] = field(default_factory=dict)


def score_runs(
    run: Callable[[int, Split, Path, str], Outcome],
    data: TaskData,
    clip_ids: Sequence[str],
    metric: str,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    names: Mapping[str, str],
    runs: Path,
    scores: Path,
    predictions: Path,
    provenance: Mapping[str, Any],
    threads: int | None = None,
) -> None:
    """Run all seeds and folds of a task that are not there yet, and collect their rows and predictions.

    `run(seed, split, work, digest)` trains and returns an Outcome; `work` is its folder of checkpoints. `settings`
    holds everything that can change a result; `names` the columns study, task, representation, encoder, mode. `runs`:
    folder of finished runs, `seed<seed>_fold<fold>.parquet`. Raises ProtocolError when the metric does not fit the
    labels.
    """
    if data.label_type not in METRICS[metric].label_types:
        raise ProtocolError(f"metric {metric} is not defined for {data.label_type}-label tasks")
    done = []
    for seed, split in order_runs(seeds, data.splits):
        name = f"seed{seed}_fold{split.fold}"
        digest = config_digest([settings, provenance["code"], provenance["inputs"], seed, split.fold])
        done.append(runs / f"{name}.parquet")
        if is_finished(done[-1], digest):
            LOGGER.info("%s is finished already", name)
            continue
        LOGGER.info("%s: %d clips to train on, %d to test", name, len(split.train), len(split.test))
        outcome = run(seed, split, runs / f"{name}.work", digest)
        row = {**names, **_row(outcome, data, split, metric), "seed": seed, "fold": split.fold}
        row |= {"threads": threads, "protocol_digest": config_digest(settings), "run_digest": digest}
        row |= {"peak_memory_mb": peak_memory_mb(), **provenance_columns(provenance)}
        _write(runs / f"{name}_predictions.parquet", _predictions(outcome, data, split, clip_ids, seed))
        _write(done[-1], pd.DataFrame([row]))
    _write(predictions, pd.concat([pd.read_parquet(_beside(path)) for path in done], ignore_index=True))
    _write(scores, pd.concat([pd.read_parquet(path) for path in done], ignore_index=True))


def order_runs(seeds: Sequence[int], splits: Sequence[Split]) -> list[tuple[int, Split]]:
    """List all runs: those of one split in a row, since they share its clips."""
    return [(seed, split) for split in splits for seed in seeds]


def is_finished(path: Path, digest: str) -> bool:
    """Say whether a run's row and predictions are there and were made under this digest."""
    if not path.is_file() or not _beside(path).is_file():
        return False
    return pd.read_parquet(path, columns=["run_digest"])["run_digest"].iloc[0] == digest


def _row(outcome: Outcome, data: TaskData, split: Split, metric: str) -> dict[str, Any]:
    targets = data.targets[split.test]
    return {
        "metric": metric,
        "value": evaluate(metric, targets, outcome.predictions),
        "chance": chance_level(metric, data.targets[split.train], targets, len(data.classes)),
        "last_epoch_value": evaluate(metric, targets, outcome.last_predictions),
        "n": len(split.test),
        "n_train": len(split.train),
        "n_valid": len(split.valid),
        "n_classes_skipped": skipped_classes(targets, len(data.classes)),
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "waiting_share": outcome.waiting_share,
        "device": outcome.device,
        **outcome.details,
    }


def _predictions(outcome: Outcome, data: TaskData, split: Split, clip_ids: Sequence[str], seed: int) -> pd.DataFrame:
    targets = data.targets[split.test]
    labels = [[int(target)] for target in targets] if targets.ndim == 1 else [np.flatnonzero(row) for row in targets]
    return pd.DataFrame(
        {
            "seed": seed,
            "fold": split.fold,
            "clip_id": [clip_ids[row] for row in split.test],
            "targets": labels,
            "scores": list(outcome.predictions.astype(np.float32)),
        }
    )


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}_predictions.parquet")


def _write(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
