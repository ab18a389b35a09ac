"""Measured values of table cells: from rows of scores, from cards of encoders, from counts of tasks."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from earmark.errors import StoreError

SCORE_KEYS = ["task", "representation", "mode"]
RUN_COLUMNS = ("code", "config", "inputs", "protocol_digest", "device", "versions")
SEPARATOR = " | "
CLASS_MEANS = {"map", "mauc", "dprime"}
BOUNDED_METRICS = {"accuracy", "error_rate", "mapat3", "lwlrap", "map", "mauc"}


def read_scores(paths: Sequence[Path]) -> pd.DataFrame:
    """Read score files into one table, one row per run (representation, task, mode, fold, seed).

    Raises StoreError for a file without the columns that a table needs.
    """
    needed = {*SCORE_KEYS, "metric", "value", "fold", "seed", "n"}
    tables = []
    for path in sorted(map(Path, paths)):
        table = pd.read_parquet(path)
        if missing := needed - set(table.columns):
            raise StoreError(f"{path} lacks the columns {sorted(missing)} of a score file; make it again")
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=sorted(needed))


def measure_scores(rows: pd.DataFrame, metric: str, direction: str, is_student: bool = False) -> dict[str, Any]:
    """Average the runs of one representation, task and mode: over folds, then over trials (seeds).

    Returns the fields of a cell; nothing when no run has a finite value. `spread` is the standard deviation of the
    trial means; `standard_error` and `interval` (half width, 95 %) are those of `combine_errors`. `is_student`: the
    interval is Student's over the trial means alone, none for one trial.
    """
    rows = _finite_rows(rows, metric)
    if rows.empty:
        return {}
    by_seed = rows.groupby("seed")
    trials = by_seed["value"].mean()
    folds = by_seed["fold"].nunique()
    n_clips = int(by_seed["n"].sum().iloc[0])
    value = float(trials.mean())
    spread = float(trials.std(ddof=1)) if len(trials) > 1 else None
    error, interval = combine_errors(value, spread, len(trials), n_clips, _family(metric))
    if is_student:
        from earmark.metrics import student_interval

        interval = student_interval(trials)[1]
    found = {
        "measured": value,
        "spread": spread,
        "standard_error": error,
        "interval": interval,
        "n_seeds": len(trials),
        "n_folds": int(folds.max()),
        "n_clips": n_clips,
        "note": _score_note(rows, metric, folds),
        **_run_columns(rows),
    }
    if "chance" in rows and rows["chance"].notna().any():
        chance = float(rows.groupby("seed")["chance"].mean().mean())
        gain = chance - value if direction == "down" else value - chance
        found |= {"chance": chance, "above_chance_se": gain / error if error else None}
    return found


def trial_means(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Return the mean over folds of each trial, by seed; runs without a finite value are left out."""
    return _finite_rows(rows, metric).groupby("seed")["value"].mean()


def scale_fields(found: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Multiply the numbers of a cell that have the unit of its metric, such as percent to fractions."""
    numbers = ("measured", "spread", "standard_error", "interval", "chance")
    return {**found, **{name: found[name] * factor for name in numbers if found.get(name) is not None}}


def combine_errors(
    value: float, spread: float | None, n_trials: int, n_clips: int, metric: str
) -> tuple[float | None, float | None]:
    """Return the standard error of a mean score and the half width of its 95 % interval.

    Two independent parts: of trials, spread^2 / n_trials; of clips, p (1 - p) / m with m = n_clips + 4 and
    p = (n_clips value / 100 + 2) / m (the shrunken proportion of Agresti and Coull, so 0 and 100 % keep an error).
    All trials test the same clips, hence the second part is not divided by their number. It is the binomial error for
    accuracy and error rate, an upper bound for means of clip scores in [0, 1] (mAP@3, lwlrap), an approximation for
    mAP. The interval is Student's, its degrees of freedom after Welch and Satterthwaite (n_trials - 1, n_clips - 1).
    Returns (None, None) where neither part is known.
    """
    parts = []
    if spread is not None:
        parts.append((spread**2 / n_trials, n_trials - 1))
    if metric in BOUNDED_METRICS and n_clips > 1:
        share = (n_clips * value / 100 + 2) / (n_clips + 4)
        parts.append((100**2 * share * (1 - share) / (n_clips + 4), n_clips - 1))
    variance = sum(part for part, _ in parts)
    if not parts or variance == 0:
        return None, None
    freedom = variance**2 / sum(part**2 / df for part, df in parts)
    error = math.sqrt(variance)
    return error, float(stdtrit(freedom, 0.975)) * error


def measure_card(card: Mapping[str, Any], head: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Take the value that a column of the table names from the card of an encoder (dotted keys; `factor` scales it).

    A corpus other than `task`, or a network that is not of full width or depth, is named in the note.
    """
    value = _dotted(card, head["card"])
    if value is None or not math.isfinite(float(value)):
        return {}
    found = {"measured": float(value) * head.get("factor", 1), "n_seeds": 1, "note": _departures(card, task)}
    if "chance" in head:
        found["chance"] = _dotted(card, head["chance"])
        if _dotted(card, "n_eval") is not None:
            found["n_clips"] = int(card["n_eval"])
    provenance = {**card, **card.get("provenance", {})}
    for column in (*RUN_COLUMNS, "seconds", "peak_memory_mb"):
        if isinstance(provenance.get(column), str | int | float):
            found[column] = provenance[column]
    if isinstance(provenance.get("versions"), Mapping):
        found["versions"] = json.dumps(provenance["versions"], sort_keys=True)
    return found


def read_counts(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Read files of counts, one line each: {task: line}; the line of `upstream.csv` is kept under `upstream`."""
    counts = {}
    for path in map(Path, paths):
        line = pd.read_csv(path).iloc[0].to_dict()
        counts["upstream" if path.stem == "upstream" else line["task"]] = line
    return counts


def measure_count(line: Mapping[str, Any] | None, task: str, column: str, metric_name: str) -> dict[str, Any]:
    """Take the number (or, for `eval_metric`, the name) that a column of the table of counts holds for a task.

    With folds, the column `n_eval` says how many there are. A corpus other than the printed one is named in the note.
    `mean_seconds` is the one that is no whole number.
    """
    if line is None:
        return {}
    n_folds = int(line["n_folds"]) if pd.notna(line.get("n_folds")) else 0
    note = "" if line["task"] == task else f"in place of {task} this run uses {line['task']}"
    if column == "eval_metric":
        return {"measured": metric_name, "note": note}
    if column == "n_eval" and n_folds > 1:
        return {"measured": f"{n_folds} folds", "n_folds": n_folds, "note": note}
    if pd.isna(line[column]):
        return {}
    number = float(line[column]) if column == "mean_seconds" else int(line[column])
    return {"measured": number, "n_folds": n_folds or None, "note": note}


def _finite_rows(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    return rows[(rows["metric"] == metric) & np.isfinite(rows["value"].astype(float))]


def _family(metric: str) -> str:
    """Name the metric whose bounds hold for a metric over a subset of the classes, `map_<subset>`."""
    return "map" if metric.startswith("map_") else metric


def _run_columns(rows: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {
        column: SEPARATOR.join(sorted(rows[column].dropna().astype(str).unique()))
        for column in RUN_COLUMNS
        if column in rows
    }
    if "seconds" in rows:
        found["seconds"] = float(rows["seconds"].sum())
    if "peak_memory_mb" in rows:
        found["peak_memory_mb"] = float(rows["peak_memory_mb"].max())
    return found


def _score_note(rows: pd.DataFrame, metric: str, folds: pd.Series) -> str:
    notes = [] if folds.nunique() == 1 else ["trials differ in their number of folds"]
    if _family(metric) in CLASS_MEANS and "n_classes_skipped" in rows:
        task = rows["task"].iloc[0]
        name = task if metric == _family(metric) else f"{task}, {metric.removeprefix('map_').replace('_', ' ')}"
        notes += _skipped_note(int(rows["n_classes_skipped"].max()), name)
    return "; ".join(notes)


def _skipped_note(count: int, task: str) -> list[str]:
    return [f"{count} classes without a clip in the test list are left out of the mean ({task})"] if count else []


def _departures(card: Mapping[str, Any], task: str) -> str:
    corpus = card.get("corpus", task)
    corpus = corpus.get("dataset", task) if isinstance(corpus, Mapping) else corpus
    notes = [] if corpus == task else [f"trained and tested on {corpus} in place of {task}"]
    notes += _skipped_note(int(card.get("n_classes_skipped") or 0), corpus)
    options = card.get("encoder_options") or {}
    notes += [f"networks at {options[key]} of their {key}" for key in ("width", "depth") if options.get(key, 1) != 1]
    return "; ".join(notes)


def _dotted(value: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
