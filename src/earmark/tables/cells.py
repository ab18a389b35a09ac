"""The tidy form of a table: one row a cell, published beside measured, with what was left out and why."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.errors import ConfigError
from earmark.files import read_yaml
from earmark.tables.averages import explain_missing, measure_averages
from earmark.tables.measure import (
    measure_card,
    measure_count,
    measure_scores,
    read_counts,
    read_scores,
    scale_fields,
    trial_means,
)
from earmark.tables.roles import KEY, averaged_parts, cell_key, cell_role, is_own

COLUMNS = [
    "table", *KEY, "metric", "direction", "published", "measured", "spread", "interval", "standard_error", "n_seeds",
    "n_folds", "n_clips", "chance", "above_chance_se", "difference", "status", "note", "scale", "task",
    "representation", "mode", "device", "seconds", "peak_memory_mb", "code", "config", "inputs", "protocol_digest",
    "versions",
]  # fmt: skip
NOT_MADE = {
    "scores": "not run: no score of it was made at this scale",
    "encoders": "not run: its pre-training is no part of this run",
    "counts": "not counted: its data set is no part of this run",
    "descriptions": "not described: it is no part of this run",
}
PRINTED_WORDS = "printed words"
METRIC_NAMES = {
    "accuracy": "Accuracy",
    "error_rate": "Error rate",
    "map": "mAP",
    "mapat3": "mAP@3",
    "lwlrap": "lwlrap",
    "mauc": "mAUC",
    "dprime": "d'",
}


def read_published(path: Path) -> pd.DataFrame:
    """Read a file of published cells; every value is the text as printed."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def make_cells(
    table: str,
    spec: Mapping[str, Any],
    published: pd.DataFrame,
    tasks: Mapping[str, Mapping],
    scores: Sequence[Path],
    cards: Sequence[Path],
    counts: Sequence[Path],
    not_run: Mapping[str, str],
    scale: str,
    provenance: Mapping[str, Any],
    descriptions: Sequence[Path] = (),
) -> pd.DataFrame:
    """Join the published cells of one table with what was measured.

    `not_run`: {"task/representation/mode": reason}, where * fits any; the first that fits a missing cell is its note;
    `descriptions`: files of `earmark.descriptions`.
    Returns one row a published cell, in the order of the published file, then those of own encoders, with the columns
    `COLUMNS`, and `published_interval` where the intervals are Student's; `status` is measured, quoted, not_run, or
    blank where nothing is printed and nothing is to measure; `interval` is the half width of the 95 % interval; a
    measured cell whose source names no code (a count) gets the `provenance` of this table.
    Raises ConfigError when `spec` shows a cell that the published file lacks, or leaves one out.
    """
    places = {cell_key(spec, line, head): (line, head) for line in spec["lines"] for head in spec["heads"]}
    shown = {key for key, (line, _) in places.items() if not is_own(line)}
    printed = set(published[KEY].itertuples(index=False, name=None))
    if shown != printed:
        raise ConfigError(
            f"{table}: lines and heads do not cover the published file: shown but not published "
            f"{sorted(shown - printed)[:3]}, published but not shown {sorted(printed - shown)[:3]}"
        )
    source = _Source(table, spec, tasks, scores, cards, counts, descriptions, not_run)
    records = [*published.to_dict("records"), *_own_cells(spec, published)]
    rows = [_cell(cell, spec, source, *places[tuple(cell[part] for part in KEY)]) for cell in records]
    cells = pd.DataFrame(rows).reindex(columns=[*COLUMNS, *(["published_interval"] if source.is_student else [])])
    return _fill_provenance(cells.assign(table=table, scale=scale), provenance)


def _own_cells(spec: Mapping[str, Any], published: pd.DataFrame) -> list[dict[str, str]]:
    """Make the cells of own encoders: like those printed in the same columns, without a value."""
    like = {(cell["column_group"], cell["column"]): cell for cell in published.to_dict("records")}
    cells = []
    for line in filter(is_own, spec["lines"]):
        for head in spec["heads"]:
            key = dict(zip(KEY, cell_key(spec, line, head), strict=True))
            printed = like[key["column_group"], key["column"]]
            cells.append({**printed, **key, "value": "", "ci95": "", "flags": "own", "source_note": ""})
    return cells


def _fill_provenance(cells: pd.DataFrame, provenance: Mapping[str, Any]) -> pd.DataFrame:
    unnamed = (cells["status"] == "measured") & cells["code"].isna()
    texts = {key: provenance[key] for key in ("code", "config", "inputs") if key in provenance}
    if "versions" in provenance:
        texts["versions"] = json.dumps(provenance["versions"], sort_keys=True)
    for column, text in texts.items():
        cells[column] = cells[column].astype(object).where(~unnamed, text)
    return cells


class _Source:
    """Where the measured values of one table come from."""

    def __init__(self, table, spec, tasks, scores, cards, counts, descriptions, not_run):
        self.kind = spec["measured"]["from"]
        if self.kind not in NOT_MADE:
            raise ConfigError(f"measured.from is {self.kind!r}; wanted {', '.join(NOT_MADE)}")
        self.spec = spec
        self.is_student = spec["measured"].get("interval") == "student"
        self.tasks = tasks
        self.not_run = not_run
        self.runs = dict(list(read_scores(scores).groupby(["task", "representation", "mode"])))
        self.averaged: dict[tuple[str, str, str], tuple[dict[str, Any], pd.Series] | None] = {}
        self.cards = {Path(path).parent.name: read_yaml(path) for path in cards}
        self.counts = read_counts(counts)
        self.described = read_descriptions(table, descriptions)

    def measure(
        self, cell: Mapping[str, str], line: Mapping, head: Mapping, task: str, representation: str, mode: str
    ) -> dict[str, Any]:
        """Return the fields of a cell; without `measured` there is no value, and `note` may say why."""
        if "describe" in head:
            return self._describe(cell, head)
        parts = averaged_parts(self.spec, line, head, representation)
        if parts is not None:
            return self._average(line, *parts, representation, mode)
        metric = self.tasks.get(task, {}).get("metric", cell["metric"])
        if self.kind == "counts":
            name = "upstream" if cell["row_group"] == "upstream" else task
            metrics = [metric, *self.tasks.get(task, {}).get("further_metrics", ())]
            names = ", ".join(METRIC_NAMES.get(name, name) for name in metrics)
            return measure_count(self.counts.get(name), task, head.get("count", cell["column"]), names)
        if self.kind == "encoders":
            card = self.cards.get(representation)
            return measure_card(card, head, task) if card else {}
        metric = cell_role(self.spec, cell, "metric") or metric
        runs = self.runs.get((task, representation, mode))
        found = {} if runs is None else measure_scores(runs, metric, cell["direction"], self.is_student)
        return scale_fields(found, head["factor"]) if found and "factor" in head else found

    def _describe(self, cell: Mapping[str, str], head: Mapping) -> dict[str, Any]:
        value, reason = self.described.get(tuple(cell[part] for part in KEY), ("", NOT_MADE["descriptions"]))
        if not value:
            return {"note": reason}
        number = pd.to_numeric(value, errors="coerce") if "text_cell" not in cell["flags"].split(";") else float("nan")
        return {"measured": value if pd.isna(number) else float(number), "note": ""}

    def _average(
        self, line: Mapping, plus: list[str], minus: list[str], representation: str, mode: str
    ) -> dict[str, Any]:
        tasks = self.spec["measured"]["average"]
        found, missing = measure_averages(lambda task, name: self._trials(task, name, mode), tasks, plus, minus)
        if missing:
            reasons = {
                (task, name): reason_not_run(self.not_run, self.kind, task, name, mode) for task, name in missing
            }
            told = {key: reason for key, reason in reasons.items() if reason != NOT_MADE[self.kind]}
            return {"note": explain_missing(told or reasons, len(tasks), representation)}
        if minus or any(head["column"] in tasks for head in self.spec["heads"]):
            found.pop("seconds", None)  # other cells of the table hold the time of these runs
        if "derive" in line:
            found = {key: value for key, value in found.items() if key not in ("chance", "above_chance_se")}
        return found

    def _trials(self, task: str, representation: str, mode: str) -> tuple[dict[str, Any], pd.Series] | None:
        """Return the fields of one task of an average and its trials, computed once; None where it was not run."""
        key = (task, representation, mode)
        if key not in self.averaged:
            rows, metric = self.runs.get(key), self.tasks[task]["metric"]
            found = {} if rows is None else measure_scores(rows, metric, "up")
            self.averaged[key] = (found, trial_means(rows, metric)) if found else None
        return self.averaged[key]


def read_descriptions(table: str, paths: Sequence[Path]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Read what was described of one table: {key of the cell: (value, reason)}; no value and no reason: none exists."""
    found = {}
    for path in paths:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows = rows[rows["table"] == table]
        keys = rows[KEY].itertuples(index=False, name=None)
        found |= dict(zip(keys, zip(rows["value"], rows["reason"], strict=True), strict=True))
    return found


def _cell(cell: dict, spec: Mapping, source: _Source, line: Mapping, head: Mapping) -> dict[str, Any]:
    flags = cell["flags"].split(";")
    roles = {role: cell_role(spec, cell, role) for role in ("task", "representation", "mode")}
    found = {part: cell[part] for part in (*KEY, "metric", "direction")} | roles
    found["published"] = printed_words(cell["source_note"]) if "text_cell" in flags else cell["value"]
    if source.is_student:
        found["published_interval"] = cell["ci95"]
    if "words_only" in flags:
        return found | {"status": "quoted", "note": PRINTED_WORDS}
    if "reported_by_other" in flags:
        note = cell["source_note"] if cell["value"] else f"{cell['source_note']}; no value printed"
        return found | {"status": "quoted", "note": note}
    if "left_blank" in flags:
        return found | {"status": "blank", "note": cell["source_note"]}
    measured = source.measure(cell, line, head, **roles)
    if "measured" not in measured:
        if source.kind == "descriptions" and measured.get("note") == "":
            return found | {"status": "blank", "note": ""}
        note = measured.get("note") or reason_not_run(source.not_run, source.kind, **roles)
        return found | {"status": "not_run", "note": note}
    number = isinstance(measured["measured"], int | float)
    if number and found["published"] and "text_cell" not in flags:
        measured["difference"] = measured["measured"] - float(found["published"])
    return found | measured | {"status": "measured"}


def printed_words(source_note: str) -> str:
    """Return what stands between the quotation marks of a note such as "printed 'mAP@3'"."""
    return source_note.partition("'")[2].rpartition("'")[0]


def reason_not_run(not_run: Mapping[str, str], kind: str, task: str, representation: str, mode: str) -> str:
    """Return the reason of the first entry "task/representation/mode" that fits (* fits any), or that of the kind."""
    for pattern, reason in not_run.items():
        if all(
            part in ("*", name) for part, name in zip(pattern.split("/"), (task, representation, mode), strict=True)
        ):
            return reason
    return NOT_MADE[kind]
