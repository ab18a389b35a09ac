"""Counts of clips and labels, taken from prepared stores: what Table 1 of a study shows as measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.files import atomic_path
from earmark.tasks import resolve_task, select_rows

COLUMNS = ("task", "n_train", "n_valid", "n_eval", "n_labels", "n_labels_present", "n_folds", "hours", "mean_seconds")


def count_task(name: str, clips: Path, task: Mapping, vocabulary: Sequence[str] | None, counts: Path) -> None:
    """Count the clips of one task as its study divides them, and write one line.

    `clips`: the table of the data set's store. With folds, all clips count as training clips and the number for
    evaluation is empty, as the papers print it. `n_labels` is the size of the output layer, `n_labels_present` how
    many of them occur, `mean_seconds` the mean length of the clips.
    """
    table = pd.read_parquet(clips)
    data = resolve_task(table, task, vocabulary)
    split = data.splits[0]
    rows = np.unique(np.concatenate([split.train, split.valid, split.test]))
    folded = len(data.splits) > 1
    present = data.targets[rows].any(axis=0).sum() if data.label_type == "multi" else len(set(data.targets[rows]))
    _write(
        counts,
        task=name,
        n_train=len(rows) if folded else len(split.train),
        n_valid=None if folded else len(split.valid),
        n_eval=None if folded else len(split.test),
        n_labels=len(data.classes),
        n_labels_present=int(present),
        n_folds=len(data.splits) if folded else None,
        hours=table["duration_s"].to_numpy()[rows].sum() / 3600,
        mean_seconds=table["duration_s"].to_numpy()[rows].mean(),
    )


def count_corpus(clips: Path, corpus: Mapping, vocabulary: Sequence[str], counts: Path) -> None:
    """Count the clips of a pre-training corpus, by the selections of its study, and write one line."""
    table = pd.read_parquet(clips)
    chosen = {part: select_rows(table, corpus[part]) for part in ("train", "valid", "test")}
    rows = np.logical_or.reduce(list(chosen.values()))
    _write(
        counts,
        task=corpus["dataset"],
        n_train=int(chosen["train"].sum()),
        n_valid=int(chosen["valid"].sum()),
        n_eval=int(chosen["test"].sum()),
        n_labels=len(vocabulary),
        n_labels_present=len({label for labels in table["labels"][rows] for label in labels}),
        n_folds=None,
        hours=table["duration_s"].to_numpy()[rows].sum() / 3600,
        mean_seconds=table["duration_s"].to_numpy()[rows].mean(),
    )


def _write(path: Path, **values) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame([values], columns=list(COLUMNS)).to_csv(temporary, index=False)
