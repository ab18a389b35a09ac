"""The lines under a table: how to read a cell, what was not run and why, misprints, where the numbers come from."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from earmark.tables.cells import PRINTED_WORDS
from earmark.tables.measure import SEPARATOR

ABOVE_CHANCE_ERRORS = 3


def collect_notes(
    spec: Mapping[str, Any],
    cells: pd.DataFrame,
    reasons: Mapping[str, str],
    remarks: Sequence[str],
    provenance: Mapping[str, Any],
) -> list[str]:
    """Return the notes of a table in reading order. `reasons`: {why a cell is missing: its letter};
    `remarks`: notes on this run."""
    notes = [_how_to_read(spec, cells)]
    if spec["measured"]["from"] == "scores":
        notes += _trials_and_chance(spec, cells)
    quoted, words = cells["status"] == "quoted", cells["note"] == PRINTED_WORDS
    if (quoted & words).any():
        notes.append("† printed words, quoted; there is nothing to measure.")
    if (quoted & ~words).any():
        notes.append("† quoted by the paper from the work named; not run here. A dash without a letter: none printed.")
    elif (cells["status"] == "blank").any():
        notes.append("A dash without a letter: nothing is printed there and nothing is to be measured.")
    notes += [f"{letter}: {reason}." for reason, letter in reasons.items()]
    texts = cells.loc[cells["status"] == "measured", "note"].dropna()
    found = {part for text in texts for part in text.split("; ")} - {""}
    notes += [f"{note[:1].upper()}{note[1:]}." for note in sorted(found)]
    return [*notes, *remarks, *spec.get("notes", ()), provenance_line(cells, provenance)]


def provenance_line(cells: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """Say in one line by which code, settings, versions and machine the measured cells were made, and at what cost."""
    parts = []
    for name, column in (("code", "code"), ("settings", "config"), ("inputs", "inputs")):
        found = _unique(cells, column)
        if column in provenance:
            parts.append(f"table {name} {str(provenance[column])[:12]}")
        if found and found != [str(provenance.get(column))]:
            listed = ", ".join(digest[:12] for digest in found[:2])
            parts.append(f"run {name} {listed}{f' and {len(found) - 2} more' if len(found) > 2 else ''}")
    if devices := _unique(cells, "device"):
        parts.append(f"device {', '.join(devices)}")
    seconds = pd.to_numeric(cells["seconds"], errors="coerce")
    if seconds.notna().any():
        parts.append(f"{_duration(_total_seconds(cells, seconds))} of training and evaluation")
    memory = pd.to_numeric(cells["peak_memory_mb"], errors="coerce")
    if memory.notna().any():
        parts.append(f"peak memory {memory.max():,.0f} MB")
    parts += _versions(cells, provenance)
    return f"Provenance: {'; '.join(parts) or 'nothing measured'}."


def _how_to_read(spec: Mapping, cells: pd.DataFrame) -> str:
    if spec["measured"]["from"] == "counts":
        return "Each cell: counted in the stores of this run; below it the published value and the difference."
    if spec["measured"]["from"] == "descriptions":
        return "Each cell: taken from code and configuration; below it the published value and the difference."
    spread = " ± standard deviation over trials" if cells["spread"].notna().any() else ""
    if spec["measured"].get("interval") == "student":
        known = "" if cells["interval"].notna().any() else ", for which one trial is too few"
        spread = (
            f" ± half width of the 95 % interval{known} (Student's t over the trials, of which each is the mean over"
            " folds, and over tasks in averages)"
        )
    return (
        f"Each cell: measured mean{spread}; below it the published value and the difference (measured less published). "
        "Bold: the best measured and the best published value."
        if spec["best"] != "none"
        else f"Each cell: measured mean{spread}; below it the published value and the difference."
    )


def _trials_and_chance(spec: Mapping, cells: pd.DataFrame) -> list[str]:
    measured = cells[(cells["status"] == "measured") & cells["n_seeds"].notna()]
    if measured.empty:
        return ["Nothing of this table was measured in this run."]
    trials = sorted(measured["n_seeds"].astype(int).unique())
    notes = [
        f"Trials per cell: {_range(trials)}. {_folds_and_clips(spec, measured)}"
        "The csv file holds the 95 % intervals and standard errors."
    ]
    scored = measured[measured["above_chance_se"].notna()]
    if len(scored):
        by_mode = [
            f"{mode} {int((rows['above_chance_se'].astype(float) > ABOVE_CHANCE_ERRORS).sum())} of {len(rows)}"
            for mode, rows in scored.groupby("mode", sort=False)
        ]
        notes.append(
            "Chance: every clip is given the class frequencies of the training list. Cells above chance by more than "
            f"{ABOVE_CHANCE_ERRORS} standard errors (of trials and clips together): {'; '.join(by_mode)}."
        )
    return notes


def _folds_and_clips(spec: Mapping, measured: pd.DataFrame) -> str:
    """Say how many folds the tasks have and what is counted as clips; averages alone show neither."""
    if measured["n_folds"].isna().all():
        return f"Tasks per average: {len(spec['measured']['average'])}. "
    folded = measured[measured["n_folds"].astype(float) > 1].groupby("task", sort=False)["n_folds"].max()
    part = spec["measured"]["task"]
    names = {entry[part]: entry["name"] for entry in (*spec["lines"], *spec["heads"]) if part in entry}
    folds = ", ".join(f"{names.get(task, task)} {int(count)}" for task, count in folded.items())
    return f"Folds: {f'{folds}, else one split' if folds else 'none'}. Clips: those tested in each trial. "


def _versions(cells: pd.DataFrame, provenance: Mapping) -> list[str]:
    """List the versions that made the cells and the table; a library with two of them is named twice."""
    records = [json.loads(text) for text in _unique(cells, "versions")]
    records.append(provenance.get("versions", {}))
    return list(dict.fromkeys(f"{name} {version}" for record in records for name, version in record.items()))


def _total_seconds(cells: pd.DataFrame, seconds: pd.Series) -> float:
    """Add up the seconds of runs; the cells of one encoder's card share one run."""
    runs = cells.assign(seconds=seconds).drop_duplicates(["task", "representation", "mode"])
    return float(runs["seconds"].sum())


def _unique(cells: pd.DataFrame, column: str) -> list[str]:
    return sorted({word for text in cells[column].dropna().astype(str) for word in text.split(SEPARATOR) if word})


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
