"""Over every study: what its tables and tasks name exists, and its tables show every published number unchanged."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml

from earmark.encoders import count_parameters, load_encoder
from earmark.metrics import METRICS

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent for path in ROOT.glob("paper/*/study.yaml"))
IDS = [study.name for study in STUDIES]
KEY = ("row_group", "row", "column_group", "column")
# Columns of a description among the reference files that name a thing rather than say something of it, and remarks.
NAMES = {"block", "step", "dataset", "representation", "row", "config", "subset", "printed_name", "label", "task_group"}
REMARKS = {"source_note", "flags", "task", "label_type", "previous_studies"}
each_study = pytest.mark.parametrize("study", STUDIES, ids=IDS)


def declared(study: Path, file: str) -> dict:
    return yaml.safe_load((study / file).read_text(encoding="utf-8"))


def read_rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def references(study: Path, shared: Path) -> dict[str, list[dict]]:
    """Return the reference rows of a study by the name of its table, without leading zeros."""
    found = {}
    for path in sorted((shared / "reference").glob(f"{study.name}_table*.csv")):
        found[re.sub(r"^.*_table0*", "table", path.stem)] = read_rows(path)
    assert found
    return found


def representations_of_cells(spec: dict) -> set[str]:
    """List the representations that the measured cells of a table ask for."""
    place = spec["measured"].get("representation")
    if place is None or place not in KEY:
        return {place} - {None}
    part = spec["lines"] if place in spec["by"] else spec["heads"]
    named = {entry[place] for entry in part if place in entry and "derive" not in entry}
    return {spec.get("same", {}).get(name, name) for name in named}


@each_study
def test_every_published_table_is_a_table_of_the_study(study, shared):
    assert set(declared(study, "tables.yaml")["tables"]) == set(references(study, shared))


@each_study
def test_every_published_number_is_shown_unchanged_and_in_its_row(study, shared):
    tables = declared(study, "tables.yaml")["tables"]
    for name, rows in references(study, shared).items():
        shown = read_rows(study / tables[name]["published"])
        if "value" in rows[0]:  # one line a cell: the rows hold the same numbers in the same order
            assert values_by_row(shown) == values_by_row(rows), f"{study.name} {name}"
            continue
        for row in rows:  # a description: one line a thing, its cells in columns of their own
            part, slug = place_of(row)
            wanted = Counter(text for field, text in row.items() if text and field not in NAMES | REMARKS)
            wanted.pop("map;auc", None)  # two names of metrics, spelt as a text of its own
            found = Counter(printed_text(cell) for cell in shown if cell[part] == slug)
            assert not wanted - found, f"{study.name} {name} {slug}: not shown: {list(wanted - found)}"


def values_by_row(rows: list[dict]) -> dict[tuple, list[tuple]]:
    found = {}
    for row in rows:
        if row["value"]:
            found.setdefault((row["row_group"], row["row"]), []).append((row["value"], row["ci95"]))
    return found


def place_of(row: dict) -> tuple[str, str]:
    """Return the part of the key, and its value, under which the cells of a line of a description stand."""
    if "block" in row:
        return "row", f"{row['block']}_{row['step']}"
    if "subset" in row:
        return "row_group", row["subset"]
    return "row", next(row[field] for field in ("row", "dataset", "representation") if field in row)


def printed_text(cell: dict) -> str:
    """Return the number of a published cell, or the text that its note quotes."""
    quoted = re.search(r"printed '(.*)'", cell["source_note"])
    return cell["value"] or (quoted[1] if quoted else "")


@each_study
def test_same_leads_from_a_printed_row_to_a_representation(study):
    known = declared(study, "study.yaml")["representations"]
    for name, spec in declared(study, "tables.yaml")["tables"].items():
        printed = {part.get(key) for part in (*spec["lines"], *spec["heads"]) for key in KEY}
        for slug, representation in spec.get("same", {}).items():
            assert representation in known, f"{name}: same names {representation}"
            assert slug in printed, f"{name}: no line or head has the slug {slug}"
        if base := spec["measured"].get("base"):
            assert base in known


@each_study
def test_tables_of_scores_ask_for_representations_of_the_study(study):
    entry = declared(study, "study.yaml")
    known = entry["representations"]
    for name, spec in declared(study, "tables.yaml")["tables"].items():
        if spec["measured"]["from"] != "scores":
            continue
        quoted = {
            spec.get("same", {}).get(row[part], row[part])
            for row in read_rows(study / spec["published"])
            if "reported_by_other" in row["flags"].split(";")
            for part in KEY
        }
        assert representations_of_cells(spec) - quoted <= set(known), name
        for line in spec["lines"]:
            assert {slug for side in line.get("derive", {}).values() for slug in side} <= set(known), name
        assert set(spec["measured"].get("average", ())) <= set(entry["tasks"]), name


@each_study
def test_every_representation_is_asked_for_by_a_table(study):
    asked = set()
    for spec in declared(study, "tables.yaml")["tables"].values():
        asked |= representations_of_cells(spec) | {spec["measured"].get("base")}
        for line in spec["lines"]:
            asked |= {slug for side in line.get("derive", {}).values() for slug in side}
    assert set(declared(study, "study.yaml")["representations"]) <= asked


@each_study
def test_tasks_have_data_sets_units_and_metrics(study):
    entry = declared(study, "study.yaml")
    for name, task in entry["tasks"].items():
        path = ROOT / "config" / "datasets" / f"{task['dataset']}.yaml"
        assert path.is_file(), f"{name}: no data set {task['dataset']}"
        dataset = declared(path.parent, path.name)
        for metric in (task["metric"], *task.get("further_metrics", ())):
            assert task["label_type"] in METRICS[metric].label_types
        assert ("max_seconds" in task) != ("unit_seconds" in task)
        if task.get("folds") == "official":
            assert dataset["folds"], f"{name}: {task['dataset']} has no official folds"
        for label in (label for members in task.get("subsets", {}).values() for label in members):
            assert label in dataset["labels"], f"{name}: {label} is no label of {task['dataset']}"


@each_study
def test_representations_have_encoders_corpora_and_weights(study):
    entry = declared(study, "study.yaml")
    for name, representation in entry["representations"].items():
        if "hear_module" in representation:
            module = ROOT / "src" / Path(*representation["hear_module"].split(".")).with_suffix(".py")
            assert module.is_file(), f"{name}: no {module}"
            if environment := representation.get("environment"):
                assert (ROOT / "envs" / f"{environment}.yaml").is_file(), f"{name}: no envs/{environment}.yaml"
            continue
        row = ROOT / "config" / "encoders" / f"{representation['encoder']}.yaml"
        assert row.is_file(), f"{name}: no encoder {representation['encoder']}"
        assert representation.get("corpus", next(iter(entry["corpora"]))) in entry["corpora"]
        if representation["weights"] == "checkpoint":
            named = yaml.safe_load(row.read_text(encoding="utf-8"))["checkpoint"]["slug"]
            assert (ROOT / "config" / "checkpoints" / f"{named}.yaml").is_file(), f"{name}: no checkpoint {named}"


def names_of(study: str) -> set[str]:
    return set(declared(ROOT / "paper" / study, "study.yaml")["representations"])


def test_no_two_studies_name_a_representation_alike():
    named = Counter(name for study in STUDIES for name in names_of(study.name))
    assert max(named.values()) == 1


def test_units_of_byola_are_the_average_lengths_of_table_2(shared):
    tasks = declared(ROOT / "paper" / "byola", "study.yaml")["tasks"]
    printed = {
        row["dataset"]: float(row["avg_seconds"]) for row in references(ROOT / "paper" / "byola", shared)["table2"]
    }
    assert {name: round(task["unit_seconds"], 1) for name, task in tasks.items()} == printed


# Parameters of the encoders that BYOL-A's tables compare, Tables VII, VIII, X and XV: printed, or counted by layers.
BYOLA = {
    "byola_audioset": 6_333_376,
    "byola_fsd50k": 6_333_376,
    "byola_random": 6_333_376,
    "byola_conv1": 8_393_472,
    "byola_conv3": 5_321_856,
    "byola_resnet18_regp_nrf": 11_170_240,
    "byola_resnet50_regp_nrf": 23_501_760,
    "byola_resnet_like_regp": 11_170_240,
    "byola_resnet_like": 11_170_240,
    "byola_freq_mean_pooling": 4_367_296,
    "byola_channel_mean_pooling": 4_268_992,
    "byola_global_feature_only": 6_333_376,
    "byola_local_feature_only": 37_824,
    "byola_temporal_mean_pooling": 6_333_376,
    "byola_temporal_max_pooling": 6_333_376,
    "byola_mlp_8192": 75_551_680,
    "byola_mlp_4096": 21_017_536,
    "byola_mlp_1024": 2_137_024,
    "byola_mlp_512": 825_280,
}
DIMENSIONS = {
    "byola_conv1": 4096,
    "byola_conv3": 2560,
    "byola_resnet18_regp_nrf": 4096,
    "byola_resnet50_regp_nrf": 16_384,
    "byola_resnet_like_regp": 1024,
    "byola_resnet_like": 512,
    "byola_freq_mean_pooling": 2112,
    "byola_channel_mean_pooling": 2064,
    "byola_global_feature_only": 2048,
    "byola_local_feature_only": 1024,
    "byola_mlp_8192": 9216,
    "byola_mlp_4096": 5120,
    "byola_mlp_1024": 2048,
    "byola_mlp_512": 1536,
}


@pytest.mark.parametrize("name", BYOLA)
def test_options_of_an_ablation_build_the_encoder_of_its_row(name):
    entry = declared(ROOT / "paper" / "byola", "study.yaml")["representations"][name]
    own = declared(ROOT / "config" / "encoders", f"{entry['encoder']}.yaml").get("options", {})
    with torch.device("meta"):
        encoder = load_encoder(entry["encoder"], **{**own, **entry.get("options", {})})
    assert count_parameters(encoder) == BYOLA[name]
    assert encoder.embedding_dim == DIMENSIONS.get(name, 3072)


def test_byola_has_35_pre_trainings_that_differ_in_one_thing_each():
    entries = declared(ROOT / "paper" / "byola", "study.yaml")["representations"]
    trained = {name: entry for name, entry in entries.items() if entry["weights"] == "byol"}
    assert len(trained) == 35
    assert [name for name, entry in trained.items() if entry.get("corpus") != "fsd50k"] == ["byola_audioset"]
    kinds = [
        (entry["encoder"], str(entry.get("options")), str(entry.get("protocol")))
        for name, entry in trained.items()
        if name != "byola_audioset"
    ]
    assert len(set(kinds)) == len(kinds) == 34
    assert all(len(entry.get("protocol", {})) <= 1 for entry in trained.values())
