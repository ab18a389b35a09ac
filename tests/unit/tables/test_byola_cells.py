"""The tables of the study `byola`: averages, differences, derived cells, fractions, intervals, own encoders."""

import math
from statistics import mean, stdev

import pandas as pd
import pytest
from byola_results import (
    FOLDS,
    NINE,
    NOT_INSTALLED,
    SEEDS,
    STUDY,
    build_byola,
    own_average,
    score,
    write_scores,
)
from byola_results import (
    byola_tables as declared_tables,
)

from earmark.config.own_rows import add_own_rows
from earmark.tables import read_cells
from earmark.tables.cells import KEY, read_published
from earmark.tables.layout import lay_out
from earmark.tables.measure import measure_scores

T_TWO_FREEDOMS = 4.302652729911275  # 0.975 quantile of Student's t with 2 degrees of freedom, from printed tables
TABLES = tuple(declared_tables())


def cells_of(folders, table: str) -> pd.DataFrame:
    return read_cells(folders[table] / f"{table}.csv").set_index(["row", "column"])


def student(values) -> float:
    return T_TWO_FREEDOMS * stdev(values) / math.sqrt(len(values))


@pytest.mark.parametrize("table", TABLES)
def test_every_published_cell_appears_as_printed(byola_tables, table):
    published = read_published(STUDY / "published" / f"{table}.csv").set_index(KEY)
    cells = read_cells(byola_tables[table] / f"{table}.csv").set_index(KEY)
    assert list(cells.index) == list(published.index)
    words = published["flags"].str.contains("text_cell")
    assert (cells["published"][~words] == published["value"][~words]).all()
    assert cells["published"][words].ne("").all()


def test_an_average_is_the_unweighted_mean_of_nine_tasks_seed_by_seed(byola_tables):
    cell = cells_of(byola_tables, "table6").loc["aug_rrc", "average"]
    seeds = [own_average("byola_aug_rrc", seed) for seed in SEEDS]
    assert cell["measured"] == pytest.approx(mean(seeds))
    assert cell["interval"] == pytest.approx(student(seeds))
    assert cell["spread"] == pytest.approx(stdev(seeds))
    assert cell["n_seeds"] == 3
    assert cell["difference"] == pytest.approx(mean(seeds) - 68.68)
    assert cell["seconds"] == pytest.approx(1.5 * 3 * (7 + 2 + 3))  # all runs of seven splits, two and three folds
    assert cell["chance"] == pytest.approx(4.0)


def test_the_average_of_a_table_is_that_of_its_own_cells(byola_tables):
    cells = cells_of(byola_tables, "table4")
    row = cells.xs("byol_a").loc[[*NINE], "measured"].astype(float)
    assert cells.loc[("byol_a", "average"), "measured"] == pytest.approx(row.mean())
    assert pd.isna(cells.loc[("byol_a", "average"), "seconds"])  # the cells of the tasks hold them


def test_a_cell_is_the_mean_over_folds_and_then_over_seeds(byola_tables):
    cell = cells_of(byola_tables, "table9").loc["byol_a", "us8k"]
    seeds = [mean(score("byola_fsd50k", "us8k", seed, fold) for fold in FOLDS["us8k"]) for seed in SEEDS]
    assert cell["measured"] == pytest.approx(mean(seeds))
    assert cell["interval"] == pytest.approx(student(seeds))
    assert (cell["n_folds"], cell["n_clips"]) == (3, 150)


def test_the_interval_is_that_of_the_reference_vector(vectors):
    vector = vectors["ci95_three_runs"]
    runs = vector["input"]["runs"]
    rows = [{"seed": n, "fold": 0, "metric": "accuracy", "value": v, "n": 9, "task": "t"} for n, v in enumerate(runs)]
    found = measure_scores(pd.DataFrame(rows), "accuracy", "up", is_student=True)
    assert found["measured"] == pytest.approx(vector["expected"]["mean"])
    assert found["interval"] == pytest.approx(vector["expected"]["half_width_t"], abs=vector["tol"])


def test_a_difference_is_taken_from_the_measured_base(byola_tables):
    cells = cells_of(byola_tables, "table9")
    seeds = [own_average("byola_local_feature_only", seed) - own_average("byola_fsd50k", seed) for seed in SEEDS]
    cell = cells.loc["local_feature_only", "difference"]
    assert cell["measured"] == pytest.approx(mean(seeds))
    assert cell["interval"] == pytest.approx(student(seeds), abs=1e-9)
    assert cell["difference"] == pytest.approx(mean(seeds) + 5.6)
    base = cells.loc["byol_a", "difference"]
    assert base["status"] == "blank" and pd.isna(base["measured"])
    assert "| – |" in (byola_tables["table9"] / "table9.md").read_text()


@pytest.mark.parametrize("table", ["table6", "table12"])
def test_an_average_with_a_missing_task_is_a_dash_with_the_reason(tmp_path, byola_scores, table):
    row, name = {"table6": ("aug_rrc", "byola_aug_rrc"), "table12": ("no_prediction", "byola_no_prediction")}[table]
    kept = [path for path in byola_scores if (path.parts[-3], path.parts[-2]) != ("gtzan", name)]
    not_run = {"gtzan/*/*": "data set gtzan (gated) is not here"}
    folder = build_byola(tmp_path, table, kept, not_run=not_run)
    cells = read_cells(folder / f"{table}.csv").set_index(["row", "column"])
    for column in ("average", "difference"):
        cell = cells.loc[row, column]
        assert cell["status"] == "not_run" and pd.isna(cell["measured"])
        assert cell["note"] == "no average of 9 tasks, gtzan missing (data set gtzan (gated) is not here)"
    assert (cells["status"] == "not_run").sum() == 2


def test_a_known_reason_is_told_before_those_that_follow_from_it(tmp_path):
    folder = build_byola(tmp_path, "table13", [], not_run={"voxceleb1/*/*": "data set voxceleb1 is not here"})
    notes = read_cells(folder / "table13.csv").query("column == 'average'")["note"]
    assert set(notes) == {"no average of 9 tasks, voxceleb1 missing (data set voxceleb1 is not here)"}


def test_a_difference_without_a_base_names_the_base(tmp_path, byola_scores):
    kept = [path for path in byola_scores if path.parts[-2] != "byola_fsd50k"]
    folder = build_byola(tmp_path, "table10", kept, not_run={})
    cells = read_cells(folder / "table10.csv").set_index(["row", "column"])
    assert cells.loc[("mlp_512", "average"), "status"] == "measured"
    note = cells.loc[("mlp_512", "difference"), "note"]
    assert note == "byola_fsd50k: not run: no score of it was made at this scale"


def test_only_seeds_that_all_tasks_have_make_an_average(tmp_path):
    scores = [
        write_scores(tmp_path / "s", task, "byola_aug_rrc", (42, 43) if task == "us8k" else SEEDS) for task in NINE
    ]
    folder = build_byola(tmp_path, "table6", scores, not_run={})
    cell = read_cells(folder / "table6.csv").set_index(["row", "column"]).loc["aug_rrc", "average"]
    assert cell["n_seeds"] == 2
    assert cell["measured"] == pytest.approx(mean(own_average("byola_aug_rrc", seed) for seed in (42, 43)))
    assert cell["note"] == "only trials that all tasks of an average have"


def test_fractions_of_table_5(byola_tables):
    cells = cells_of(byola_tables, "table5")
    for place, column in enumerate(("map", "mauc", "map_single_source", "map_sequential", "map_scene")):
        percent = [score("byola_audioset", "fsd50k", seed, 0) + place for seed in SEEDS]
        cell = cells.loc["byol_a", column]
        assert cell["measured"] == pytest.approx(mean(percent) / 100)
        assert cell["interval"] == pytest.approx(student(percent) / 100)
    assert cells.loc[("byol_a", "map"), "published"] == "0.448"
    assert cells.loc[("esresnext", "map"), "note"] == NOT_INSTALLED


DERIVED = {  # column and row of table 14: where the same number stands as a difference
    ("feature_reshaping_along_time", "contribution_from"): ("table9", "channel_mean_pooling"),
    ("feature_reshaping_along_time", "contribution_to"): ("table9", "freq_mean_pooling"),
    ("mlp", "contribution"): ("table9", "local_feature_only"),
    ("combining_local_global_features", "contribution"): ("table9", "global_feature_only"),
    ("temporal_mean_max_pooling", "contribution_from"): ("table9", "temporal_mean_pooling"),
    ("temporal_mean_max_pooling", "contribution_to"): ("table9", "temporal_max_pooling"),
    ("byol_bootstrapping", "contribution"): ("table12", "target_equals_online"),
    ("byol_prediction", "contribution"): ("table12", "no_prediction"),
    ("aug_mixup_rlf_removed", "contribution"): ("table6", "aug_rrc"),
    ("aug_rrc_mixup_removed", "contribution"): ("table6", "aug_rlf"),
}


def test_table_14_is_derived_from_the_measured_tables_as_printed(byola_tables):
    cells = cells_of(byola_tables, "table14")
    for key, (table, row) in DERIVED.items():
        source = cells_of(byola_tables, table).loc[row, "difference"]
        assert cells.loc[key, "measured"] == pytest.approx(source["measured"])
        assert float(cells.loc[key, "published"]) == pytest.approx(float(source["published"]), abs=0.051)
    random = cells_of(byola_tables, "table11").loc["byol_a_random", "average"]
    assert cells.loc[("encoder_architecture", "contribution"), "measured"] == pytest.approx(random["measured"])
    trained = cells.loc["byol_framework_and_byol_a_augs", "contribution"]
    back = cells_of(byola_tables, "table11").loc["byol_a_random", "difference"]
    assert trained["measured"] == pytest.approx(-back["measured"])
    assert len(cells) == len(DERIVED) + 2
    assert cells["chance"].isna().all()
    assert "+61.7" in (byola_tables["table14"] / "table14.md").read_text()


def test_printed_intervals_stand_beside_printed_values(byola_tables):
    text = (byola_tables["table4"] / "table4.md").read_text()
    assert "70.2 ± 8.6" in text and "**57.6 ± 0.2**" in text
    cells = cells_of(byola_tables, "table4")
    assert cells.loc[("vggish_4k", "gtzan"), "published_interval"] == "8.6"
    assert "Student's t over the trials" in text


def test_quoted_results_of_other_papers_are_never_measured(byola_tables):
    cells = read_cells(byola_tables["table4"] / "table4.csv")
    reference = cells["row_group"].str.startswith("reference")
    assert (cells.loc[reference, "status"] == "quoted").all() and reference.sum() == 30
    assert not (cells.loc[~reference, "status"] == "quoted").any()


def test_own_encoders_get_a_line_in_tables_4_and_5_alone(tmp_path, byola_scores):
    tables = add_own_rows(declared_tables(), {"crepe": "CREPE"})
    plain = declared_tables()
    assert [name for name in tables if tables[name] != plain[name]] == ["table4", "table5"]
    scores = [*byola_scores, *(write_scores(tmp_path / "s", task, "crepe") for task in (*NINE, "fsd50k"))]
    for table in ("table4", "table5"):
        folder = build_byola(tmp_path / table, table, scores, spec=tables[table])
        cells = read_cells(folder / f"{table}.csv")
        own = cells[cells["row_group"] == "own"]
        assert len(own) == len(plain[table]["heads"])
        assert (own["status"] == "measured").all() and (own["published"] == "").all() and own["difference"].isna().all()
        grid = lay_out(tables[table], cells, "")
        assert (grid.lines[-1].group, grid.lines[-1].name) == ("Own encoders", "CREPE")
    average = read_cells(tmp_path / "table4" / "table4.csv").set_index(["row", "column"]).loc["crepe", "average"]
    assert average["measured"] == pytest.approx(mean(own_average("crepe", seed) for seed in SEEDS))
    assert add_own_rows(plain, {}) == plain


def test_an_own_encoder_that_was_not_run_is_a_dash(tmp_path, byola_scores):
    spec = add_own_rows(declared_tables(), {"mine": "Mine"})["table4"]
    folder = build_byola(tmp_path, "table4", byola_scores, spec=spec, not_run={"*/mine/*": "mine is not installed"})
    own = read_cells(folder / "table4.csv").query("row == 'mine'")
    assert set(own["note"]) == {"mine is not installed"} and set(own["status"]) == {"not_run"}


def test_counts_fill_table_2(byola_tables):
    cells = cells_of(byola_tables, "table2")
    assert cells.loc[("esc50", "n_total"), "measured"] == 300
    assert cells.loc[("esc50", "folds"), "measured"] == 2
    assert {cells.loc[("esc50", column), "status"] for column in ("n_train", "n_valid", "n_test")} == {"blank"}
    assert cells.loc[("voxceleb1", "n_test"), "measured"] == 60
    assert cells.loc[("voxceleb1", "n_total"), "status"] == "blank"
    assert cells.loc[("gtzan", "avg_seconds"), "measured"] == pytest.approx(4.25)
    assert cells.loc[("fsd50k", "metric"), "measured"] == "mAP, mAUC"
    assert cells.loc[("gtzan", "previous_studies"), "note"] == "printed words"


@pytest.mark.parametrize("table", ["table4", "table5", "table6", "table7", "table15"])
def test_bold_published_values_are_those_that_the_paper_prints_bold(byola_tables, table):
    assert bold_cells(byola_tables, table) == flagged_cells(table, "bold")


def test_the_better_line_of_a_group_is_underlined_in_the_paper_but_for_its_slips(byola_tables):
    found, printed = bold_cells(byola_tables, "table9"), flagged_cells("table9", "underlined")
    slips = {
        ("channel_mean_pooling", "gtzan"), ("temporal_max_pooling", "gtzan"), ("local_feature_only", "average"),
        ("global_feature_only", "voxceleb1"), ("global_feature_only", "average"),
    }  # fmt: skip
    assert found ^ printed <= slips


def bold_cells(folders, table: str) -> set[tuple[str, str]]:
    spec = declared_tables()[table]
    grid = lay_out(spec, read_cells(folders[table] / f"{table}.csv"), "")
    return {
        (line["row"], head["column"])
        for line, shown in zip(spec["lines"], grid.lines, strict=True)
        for head, cell in zip(spec["heads"], shown.cells, strict=True)
        if cell.best_published
    }


def flagged_cells(table: str, flag: str) -> set[tuple[str, str]]:
    published = read_published(STUDY / "published" / f"{table}.csv")
    rows = published[published["flags"].str.split(";").map(lambda flags: flag in flags)]
    return set(zip(rows["row"], rows["column"], strict=True))
