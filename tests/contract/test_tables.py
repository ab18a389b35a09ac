"""Every table of every study has a published file, a whole shape, and tasks and representations that exist."""

import csv
from pathlib import Path

import pytest
import yaml

from earmark.descriptions import FACTS, LAYER_FACTS
from earmark.tables.cells import printed_words
from earmark.tables.roles import averaged_parts, cell_key, cell_role

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent for path in ROOT.glob("paper/*/tables.yaml"))
ROLES = ("task", "representation", "mode", "metric")
KEY = ("row_group", "row", "column_group", "column")
FIELDS = [*KEY, "metric", "direction", "value", "ci95", "flags", "source_note"]


def declared(study: Path, part: str) -> dict:
    """Return the tables or figures of a study."""
    return yaml.safe_load((study / "tables.yaml").read_text())[part]


def published(study: Path, spec: dict) -> list[dict]:
    """Return the published cells of a table."""
    with (study / spec["published"]).open(newline="") as file:
        return list(csv.DictReader(file))


TABLES = [(study, table) for study in STUDIES for table in declared(study, "tables")]
IDS = [f"{study.name}_{table}" for study, table in TABLES]


def test_there_are_tables():
    assert len(TABLES) >= 21


@pytest.mark.parametrize(("study", "table"), TABLES, ids=IDS)
def test_published_file_is_well_formed(study, table):
    spec = declared(study, "tables")[table]
    assert spec["published"] == f"published/{table}.csv"
    rows = published(study, spec)
    assert list(rows[0]) == FIELDS
    keys = [tuple(row[part] for part in KEY) for row in rows]
    assert len(keys) == len(set(keys))
    for row in rows:
        assert row["direction"] in ("up", "down", "")
        has_no_value = {"not_reported", "text_cell"} & set(row["flags"].split(";"))
        assert bool(row["value"]) != bool(has_no_value), row


@pytest.mark.parametrize(("study", "table"), TABLES, ids=IDS)
def test_shape_covers_the_published_cells(study, table):
    spec = declared(study, "tables")[table]
    shown = [
        tuple((line if part in spec["by"] else head).get(part, "") for part in KEY)
        for line in spec["lines"]
        for head in spec["heads"]
    ]
    printed = {tuple(row[part] for part in KEY) for row in published(study, spec)}
    assert set(shown) == printed
    assert len(shown) == len(printed)
    assert {line["row_group"] for line in spec["lines"]} == set(spec["groups"])


@pytest.mark.parametrize(("study", "table"), TABLES, ids=IDS)
def test_own_cells_name_tasks_and_representations_of_the_study(study, table):
    spec, entry = declared(study, "tables")[table], yaml.safe_load((study / "study.yaml").read_text())
    if spec["measured"]["from"] not in ("scores", "descriptions"):
        pytest.skip("this table is not made from scores or encoders")
    flags = {tuple(row[part] for part in KEY): row["flags"].split(";") for row in published(study, spec)}
    for line in spec["lines"]:
        for head in spec["heads"]:
            key = cell_key(spec, line, head)
            if {"reported_by_other", "words_only"} & set(flags[key]):
                continue
            cell = dict(zip(KEY, key, strict=True))
            task, name, mode, metric = (cell_role(spec, cell, role) for role in ROLES)
            if head.get("describe") == "class_label":
                assert entry["tasks"][task]["subsets"][cell["row_group"]]
                continue
            parts = averaged_parts(spec, line, head, name)
            for representation in [name] if parts is None else [*parts[0], *parts[1]]:
                modes = entry["representations"][representation]["modes"]
                assert "describe" in head or mode in modes
            if parts is not None:
                tasks = spec["measured"]["average"]
                assert {entry["tasks"][name]["metric"] for name in tasks} == {"accuracy"} and len(tasks) == 9
            elif "describe" not in head:
                assert (metric or entry["tasks"][task]["metric"]) in metrics_of(entry["tasks"][task])
                assert metric or entry["tasks"][task]["metric"] == published_metric(study, spec, key)


def metrics_of(task: dict) -> list[str]:
    """List the metrics that the scores of a task hold."""
    subsets = [f"map_{name}" for name in task.get("subsets", {})]
    return [task["metric"], *task.get("further_metrics", ()), *subsets]


def published_metric(study: Path, spec: dict, key: tuple) -> str:
    """Return the metric that the published file names for a cell."""
    return next(row["metric"] for row in published(study, spec) if tuple(row[part] for part in KEY) == key)


@pytest.mark.parametrize(("study", "table"), TABLES, ids=IDS)
def test_a_described_column_has_a_known_word(study, table):
    words = {head["describe"] for head in declared(study, "tables")[table]["heads"] if "describe" in head}
    assert words <= {*FACTS, *LAYER_FACTS, "operation", "block_output_size", "class_label"}


def test_own_encoders_stand_in_two_tables_of_byola():
    tables = {f"{study.name}_{table}" for study, table in TABLES if declared(study, "tables")[table].get("own_rows")}
    assert tables == {"byola_table4", "byola_table5"}


@pytest.mark.parametrize(("study", "table"), TABLES, ids=IDS)
def test_published_numbers_are_those_of_the_reference(study, table, shared):
    number = int(table.removeprefix("table"))
    name = f"byola_table{number:02d}" if study.name == "byola" else f"{study.name}_{table}"
    with (shared / "reference" / f"{name}.csv").open(newline="") as file:
        wanted = list(csv.DictReader(file))
    found = published(study, declared(study, "tables")[table])
    if "value" in wanted[0]:
        assert found == [{field: row[field] for field in FIELDS} for row in map(tidied(study, number), wanted)]
    elif number == 16:
        assert [(row["row_group"], printed(row)) for row in found] == [(row["subset"], row["class"]) for row in wanted]
    else:
        lines = list(dict.fromkeys((row["row_group"], row["row"]) for row in found))
        assert len(lines) == len(wanted)
        for (_, line), source in zip(lines, wanted, strict=True):
            assert line in (source.get("representation"), source.get("dataset"), source.get("row"), step_of(source))
            for row in (row for row in found if row["row"] == line):
                assert printed(row) == reworded(source[RENAMED.get(row["column"], row["column"])])


RENAMED = {"n_total": "n_total_printed"}


def tidied(study: Path, number: int):
    """Return what makes a row of the reference one of ours: empty values are flagged, Table V's columns are metrics."""

    def tidy(row: dict) -> dict:
        if study.name != "byola":
            return row
        flags = [row["flags"]] if row["flags"] else []
        if not row["value"]:
            flags += ["not_reported", *(["left_blank"] if row["column"] == "difference" else [])]
        column = row["column"]
        if number == 5:
            column = f"{'mauc' if row['metric'] == 'auc' else 'map'}{column.removeprefix('fsd50k')}"
        return {**row, "flags": ";".join(flags), "column": column}

    return tidy


def printed(row: dict) -> str:
    """Return the value of a published cell as printed, number or words."""
    return printed_words(row["source_note"]) if "text_cell" in row["flags"].split(";") else row["value"]


def reworded(value: str) -> str:
    """Write a value of a reference file that is no table of cells as the published file has it."""
    value = {"map;auc": "mAP and AUC"}.get(value, value)
    return value.replace("( [16] ) * ( [17] ) *", "([16])* ([17])*")


def step_of(source: dict) -> str:
    """Name a line of Table I by its block and step."""
    return f"{source.get('block')}_{source.get('step')}"


@pytest.mark.parametrize("study", STUDIES, ids=[study.name for study in STUDIES])
def test_figures_and_notes_are_declared(study):
    for figure in declared(study, "figures").values():
        assert {"kind", "title", "caption"} <= set(figure)
    assert len((study / "notes.md").read_text()) > 500
