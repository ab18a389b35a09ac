"""The study byola: every target plans; a short part of it runs, with an own encoder, and runs no second time."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from checkouts import ROOT, copy_workflow, planned_jobs, run_snakemake

pytestmark = pytest.mark.workflow
SPEC = yaml.safe_load((ROOT / "paper" / "byola" / "tables.yaml").read_text(encoding="utf-8"))
TARGETS = [f"byola_{name}" for name in [*SPEC["tables"], *SPEC["figures"]]]
MODULE = ROOT / "tests" / "unit" / "hear" / "small_hear_module.py"
OWN = {"small": {"name": "Small", "hear_module": "small_hear_module", "pooling": "mean"}}
# Two pre-trainings of one epoch and an own encoder, on one task with one seed and one fold. Of Table 6, which holds
# averages alone, nothing would be run.
SHORT = (
    "--config",
    "studies=[byola]",
    "tasks=[esc50]",
    "encoders=[byola_fsd50k, byola_conv1, small]",
    "overrides={trials: 1, max_folds: 1, protocols: {byol: {epochs: 1, pre_norm_segments: 16},"
    " linear: {learning_rates: [0.01], max_epochs: 3}}}",
)
PART = ("byola_table7", "byola_table4")


def name_own(folder, representations):
    """Write `representations` into the config.yaml of a checkout, as a user does."""
    path = folder / "config.yaml"
    line = f"representations: {yaml.safe_dump(representations, default_flow_style=True, width=1000).strip()}"
    text, found = re.subn(r"(?m)^representations:.*$", line, path.read_text(encoding="utf-8"))
    assert found == 1
    path.write_text(text, encoding="utf-8")


def with_own(folder, representations=OWN):
    """Make a checkout with a module of the user beside config.yaml, named in it."""
    copy_workflow(folder)
    shutil.copy(MODULE, folder)
    name_own(folder, representations)
    return folder


def test_there_are_sixteen_tables_and_six_figures():
    assert [f"table{number}" for number in range(1, 17)] == list(SPEC["tables"])
    assert {f"figure{number}" for number in range(1, 7)} <= set(SPEC["figures"])


@pytest.mark.parametrize("target", [*TARGETS, "byola"])
def test_targets_plan(checkout, target):
    run_snakemake(checkout, target, "-n", "--config", "studies=[byola]")
    assert not (checkout / "data").exists() and not (checkout / "results").exists()


def test_the_study_plans_one_job_per_representation(checkout):
    jobs = planned_jobs(run_snakemake(checkout, "byola", "-n", "--config", "studies=[byola]").stdout)
    # 35 trained here, one with random weights, six public ones; five more need environments that are not installed
    assert jobs["pretrain_byol"] == 35
    assert jobs["embed_views"] == jobs["evaluate_linear_byola"] == 35 + 1 + 6
    assert jobs["make_table"] == 16 and jobs["make_figure"] == len(SPEC["figures"])
    assert "finetune_encoder" not in jobs and "train_probe" not in jobs


def test_both_studies_share_data_sets_and_caches(checkout):
    jobs = planned_jobs(run_snakemake(checkout, "all", "-n").stdout)
    assert jobs["prepare_dataset"] < 17 + 10 and jobs["pretrain_byol"] == 35


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Give a checkout after a short run of two tables with an own encoder."""
    folder = with_own(tmp_path_factory.mktemp("byola"))
    run_snakemake(folder, "--cores", "2", *PART, *SHORT)
    return folder


def cells_of(folder, table):
    return pd.read_csv(folder / "results" / "mini" / "tables" / "byola" / f"{table}.csv", keep_default_na=False)


@pytest.mark.slow
def test_only_what_was_asked_for_was_trained(finished):
    encoders = finished / "results" / "mini" / "encoders"
    trained = {path.parent.name for path in encoders.glob("*/history.csv")}
    assert trained == {"byola_fsd50k", "byola_conv1"}
    scores = finished / "results" / "mini" / "scores" / "byola" / "esc50"
    assert {path.parent.name for path in scores.glob("*/linear.parquet")} == {*trained, "small"}
    assert {path.name for path in scores.parent.iterdir()} == {"esc50"}


@pytest.mark.slow
def test_an_own_encoder_is_a_line_of_table_4(finished):
    cells = cells_of(finished, "table4")
    own = cells[cells["row"] == "small"].set_index("column")
    assert set(own["row_group"]) == {"own"} and (own["published"] == "").all()
    cell = own.loc["esc50"]
    assert cell["status"] == "measured" and 0 <= float(cell["measured"]) <= 100 and cell["difference"] == ""
    assert own.loc["us8k", "status"] == "not_run" and "`tasks`" in own.loc["us8k", "note"]
    published = pd.read_csv(ROOT / "paper" / "byola" / "published" / "table4.csv", keep_default_na=False)
    others = cells[cells["row"] != "small"]
    assert others["published"].astype(str).tolist().count("") == (published["value"] == "").sum()
    for suffix in ("md", "html", "tex"):
        text = (finished / "results" / "mini" / "tables" / "byola" / f"table4.{suffix}").read_text(encoding="utf-8")
        assert "Small" in text and "generated sound, not a reproduction" in text


@pytest.mark.slow
def test_scores_of_linear_evaluation_name_their_provenance(finished):
    folder = finished / "results" / "mini" / "scores" / "byola" / "esc50" / "byola_fsd50k"
    scores = pd.read_parquet(folder / "linear.parquet")
    for column in ("code", "config", "inputs", "versions", "device", "seconds", "n", "chance", "learning_rate"):
        assert scores[column].notna().all(), column
    assert len(pd.read_parquet(folder / "linear_predictions.parquet")) == scores["n"].sum()


@pytest.mark.slow
def test_cells_of_tasks_that_are_left_out_say_why(finished):
    cells = cells_of(finished, "table7")
    published = pd.read_csv(ROOT / "paper" / "byola" / "published" / "table7.csv", keep_default_na=False)
    assert len(cells) == len(published)
    measured = cells[(cells["status"] == "measured") & (cells["column"] == "esc50")]
    assert set(measured["row"]) == {"byol_a", "byol_a_conv1"}
    left_out = cells[cells["status"] == "not_run"]
    assert len(left_out) and left_out["note"].str.contains("left out").all()


@pytest.mark.slow
def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in run_snakemake(finished, "--cores", "2", *PART, *SHORT).stdout


@pytest.mark.slow
def test_another_own_encoder_runs_itself_and_nothing_else(finished):
    name_own(finished, {**OWN, "second": {"name": "Second", "hear_module": "small_hear_module"}})
    try:
        more = [part.replace("small]", "small, second]") for part in SHORT]
        jobs = planned_jobs(run_snakemake(finished, "-n", "byola_table4", *more).stdout)
    finally:
        name_own(finished, OWN)
    assert jobs["embed_views"] == jobs["evaluate_linear_byola"] == 1
    assert not set(jobs) & {"pretrain_byol", "prepare_dataset", "compute_log_mel", "generate_archives"}


@pytest.mark.parametrize(
    ("entry", "messages"),
    [
        ({"mine": {"name": "Mine", "hear_modul": "small_hear_module"}}, ["hear_modul", "hear_module"]),
        ({"mine": {"name": "Mine", "hear_module": "small_hear_modul"}}, ["no module 'small_hear_modul'", "mine"]),
        ({"vggish": {"name": "Mine", "hear_module": "small_hear_module"}}, ["vggish", "Choose another"]),
        (
            {"mine": {"name": "Mine", "hear_module": "small_hear_module", "pooling": "median"}},
            ["representations.mine.pooling", "median", "mean"],
        ),
    ],
    ids=["key", "module", "taken", "pooling"],
)
def test_own_encoders_that_cannot_be_are_refused_before_any_job(tmp_path, entry, messages):
    folder = with_own(tmp_path / "checkout", entry)
    done = run_snakemake(folder, "--cores", "1", "byola_table4", check=False)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    for message in messages:
        assert message in done.stdout, f"{message!r} is not in:\n{done.stdout[-2000:]}"
    assert not (folder / "data").exists() and not (folder / "results").exists()


def test_an_environment_that_is_not_there_is_refused(checkout):
    done = run_snakemake(checkout, "-n", "byola_table4", "--config", "environments={hear_trill: /none}", check=False)
    assert done.returncode != 0 and "environments.hear_trill: no file /none" in done.stdout


def test_cells_of_environments_that_are_not_installed_are_left_out(checkout):
    output = run_snakemake(checkout, "-n", "byola_table4", "--config", "studies=[byola]").stdout
    assert "embeddings/ast/" in output and "embeddings/trill/" not in output
