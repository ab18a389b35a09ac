"""All tables of the studies, made once from made-up results."""

from pathlib import Path

import pytest
import yaml
from byola_results import NOT_INSTALLED, ROOT, build_byola, byola_study
from byola_results import byola_tables as declared_byola_tables
from byola_results import write_all_scores as write_byola_scores
from synthetic import LABELS, STUDY, study_tables, task_metrics, write_all_scores, write_cards, write_counts

from earmark.tables import make_table

PROVENANCE = {"code": "aaaabbbbccccdddd", "config": "eeeeffff00001111", "versions": {"earmark": "0.1.0"}}
NOT_RUN = {"voxceleb1/*/*": "the archive of voxceleb1 is missing"}


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Return a function that makes a table from given scores and returns its folder."""

    def make(table: str, scores: list[Path], scale: str = "mini", spec: dict | None = None) -> Path:
        folder = tmp_path_factory.mktemp(table)
        spec = spec or study_tables()["tables"][table]
        make_table(
            table=table,
            spec=spec,
            tasks=task_metrics(),
            published=STUDY / spec["published"],
            scores=scores,
            cards=write_cards(folder / "cards"),
            counts=write_counts(folder / "counts"),
            not_run=NOT_RUN,
            scale=scale,
            label=LABELS[scale],
            remarks=["The networks have a quarter of their width."],
            provenance=PROVENANCE,
            **{form: folder / f"{table}.{form}" for form in ("csv", "md", "tex", "html")},
        )
        return folder

    return make


@pytest.fixture(scope="session")
def scores(tmp_path_factory):
    """Return the score files of a whole run but for one task."""
    return [path for path in write_all_scores(tmp_path_factory.mktemp("scores")) if "voxceleb1" not in path.parts]


@pytest.fixture(scope="session")
def tables(build, scores):
    """Return {table: folder with its four files} of a whole run at mini scale."""
    return {table: build(table, scores) for table in study_tables()["tables"]}


@pytest.fixture(scope="session")
def descriptions(tmp_path_factory):
    """Return the descriptions of the study `byola`; encoders that read sound stand for those that are not built."""
    from earmark.descriptions import describe_study

    study, representations = byola_study(), {}
    for name, entry in study["representations"].items():
        if entry.get("encoder", "").startswith("byola"):
            representations[name] = {"encoder": entry["encoder"], "options": entry.get("options", {})}
        else:
            representations[name] = {"reason": NOT_INSTALLED}
    labels = yaml.safe_load((ROOT / "config/datasets/fsd50k.yaml").read_text())["labels"]
    path = tmp_path_factory.mktemp("descriptions") / "byola.csv"
    describe_study(
        tables={name: spec for name, spec in declared_byola_tables().items() if "describe" in str(spec["heads"])},
        representations=representations,
        subsets={"fsd50k": {"subsets": study["tasks"]["fsd50k"]["subsets"], "labels": labels}},
        descriptions=path,
    )
    return path


@pytest.fixture(scope="session")
def byola_scores(tmp_path_factory):
    """Return the score files of a whole run of the study `byola`."""
    return write_byola_scores(tmp_path_factory.mktemp("byola_scores"))


@pytest.fixture(scope="session")
def byola_tables(tmp_path_factory, byola_scores, descriptions):
    """Return {table: folder with its four files} of a whole run of the study `byola`."""
    return {
        table: build_byola(tmp_path_factory.mktemp(f"byola_{table}"), table, byola_scores, [descriptions])
        for table in declared_byola_tables()
    }
