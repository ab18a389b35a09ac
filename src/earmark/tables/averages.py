"""Averages over several tasks, and their sums and differences: trial by trial first, then mean and interval."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from earmark.tables.measure import RUN_COLUMNS, SEPARATOR


def measure_averages(
    measure: Callable[[str, str], tuple[Mapping[str, Any], pd.Series] | None],
    tasks: Sequence[str],
    plus: Sequence[str],
    minus: Sequence[str],
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Add the averages of the representations `plus` and take away those of `minus`.

    `measure(task, representation)` gives the fields of that cell, in percent, and its trials by seed, or None where it
    was not run. An average is the unweighted mean over all `tasks`, taken for each trial (seed) by itself; `interval`
    is Student's over the trials that all parts have, `standard_error` joins those of the tasks (trials and clips).
    Chance is that of a single average.

    Returns the fields of a cell and what is missing as (task, representation): with anything missing there are no
    fields, never a mean over fewer tasks.
    """
    from earmark.metrics import student_interval

    found, trials, missing = {}, {}, []
    for key in itertools.product(tasks, dict.fromkeys((*plus, *minus))):
        measured = measure(*key)
        if measured is None:
            missing.append(key)
        else:
            found[key], trials[key] = measured
    if missing:
        return {}, missing
    table = pd.DataFrame(trials)
    seeds = table.dropna()
    if seeds.empty:
        return {"note": "the tasks have no trial in common"}, []
    values = sum(sign * seeds.xs(name, axis=1, level=1).mean(axis=1) for name, sign in _signed(plus, minus))
    mean, interval = student_interval(values)
    error = _joined_error(found, tasks, plus, minus)
    fields = {
        "measured": mean,
        "spread": float(values.std(ddof=1)) if len(values) > 1 else None,
        "standard_error": error,
        "interval": interval,
        "n_seeds": len(values),
        "note": "" if len(seeds) == len(table) else "only trials that all tasks of an average have",
        **_joined_columns(found.values()),
    }
    if len(plus) == 1 and not minus and all("chance" in cell for cell in found.values()):
        chance = sum(cell["chance"] for cell in found.values()) / len(tasks)
        fields |= {"chance": chance, "above_chance_se": (mean - chance) / error if error else None}
    return fields, []


def explain_missing(missing: Mapping[tuple[str, str], str], n_tasks: int, representation: str) -> str:
    """Say in one line why there is no average. `missing`: {(task, representation): reason}.

    Other representations than the one of the line are named.
    """
    parts = []
    for name in dict.fromkeys(name for _, name in missing):
        reasons: dict[str, list[str]] = {}
        for (task, other), reason in missing.items():
            if other == name:
                reasons.setdefault(reason, []).append(task)
        whole = len(reasons) == 1 and len(next(iter(reasons.values()))) == n_tasks
        told = [reason if whole else f"{', '.join(tasks)} missing ({reason})" for reason, tasks in reasons.items()]
        told = ", ".join(told) if whole else f"no average of {n_tasks} tasks, {', '.join(told)}"
        parts.append(told if name == representation else f"{name}: {told}")
    return ", ".join(dict.fromkeys(parts))


def _signed(plus: Sequence[str], minus: Sequence[str]) -> list[tuple[str, int]]:
    return [*((name, 1) for name in plus), *((name, -1) for name in minus)]


def _joined_error(found: Mapping, tasks: Sequence[str], plus: Sequence[str], minus: Sequence[str]) -> float | None:
    """Join the standard errors of tasks that are tested apart; None where one is unknown."""
    errors = [found[task, name]["standard_error"] for name, _ in _signed(plus, minus) for task in tasks]
    if any(error is None for error in errors):
        return None
    return math.sqrt(sum(error**2 for error in errors)) / len(tasks)


def _joined_columns(cells) -> dict[str, Any]:
    """Join the provenance of all runs; times add up, the highest memory stands for all."""
    cells = list(cells)
    words = {
        column: sorted({word for cell in cells for word in cell.get(column, "").split(SEPARATOR) if word})
        for column in RUN_COLUMNS
    }
    joined: dict[str, Any] = {column: SEPARATOR.join(parts) for column, parts in words.items() if parts}
    if all("seconds" in cell for cell in cells):
        joined["seconds"] = sum(cell["seconds"] for cell in cells)
    if all("peak_memory_mb" in cell for cell in cells):
        joined["peak_memory_mb"] = max(cell["peak_memory_mb"] for cell in cells)
    return joined
