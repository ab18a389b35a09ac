"""The study `at` in one short run: every table and figure, then what reruns and what does not."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from checkouts import ROOT, copy_workflow, environment, planned_jobs, run_snakemake

from earmark.config import load_config
from earmark.config.requests import study_runs

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
SHORT = (
    "studies=[at]",
    "overrides={trials: 1, max_folds: 1, protocols: {pretraining: {max_epochs: 1, validations_per_epoch: 1},"
    " downstream: {max_epochs: 1}}}",
)
TABLES = yaml.safe_load((ROOT / "paper" / "at" / "tables.yaml").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Give a copy of the workflow after a short run of everything."""
    folder = copy_workflow(tmp_path_factory.mktemp("smoke"))
    run_snakemake(folder, "--cores", "2", "all", "--config", *SHORT)
    return folder


def plan(folder, *arguments):
    """Return the jobs that a dry run names."""
    return planned_jobs(run_snakemake(folder, "-n", *arguments, "--config", *SHORT).stdout)


@pytest.mark.parametrize("name", TABLES["tables"])
def test_tables_have_every_printed_cell_and_the_scale_in_every_format(finished, name):
    folder = finished / "results" / "mini" / "tables" / "at"
    cells = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
    published = pd.read_csv(ROOT / "paper" / "at" / "published" / f"{name}.csv", keep_default_na=False)
    key = ["row_group", "row", "column_group", "column"]
    assert set(map(tuple, published[key].astype(str).to_numpy())) == set(map(tuple, cells[key].astype(str).to_numpy()))
    assert (cells["status"] != "not_run").all(), cells[cells["status"] == "not_run"]
    for suffix in ("md", "tex", "html", "csv"):
        assert "generated sound, not a reproduction" in (folder / f"{name}.{suffix}").read_text()


def test_scores_name_their_provenance(finished):
    config = load_config(finished, yaml.safe_load((finished / "config.yaml").read_text()))
    for run in study_runs(config, "at"):
        folder = finished / "results" / "mini" / "scores" / "at" / run.task / run.representation
        scores = pd.read_parquet(folder / f"{run.mode}.parquet")
        for column in ("code", "config", "inputs", "versions", "device", "seconds", "peak_memory_mb", "n", "chance"):
            assert scores[column].notna().all(), f"{run}: {column}"
        predictions = pd.read_parquet(folder / f"{run.mode}_predictions.parquet")
        assert len(predictions) == scores["n"].sum()


def test_figures_and_document_are_there(finished):
    for name in TABLES["figures"]:
        for suffix in ("pdf", "png"):
            assert (finished / "results" / "mini" / "figures" / "at" / f"{name}.{suffix}").stat().st_size > 5000
    assert (finished / "results" / "mini" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in run_snakemake(finished, "--cores", "2", "all", "--config", *SHORT).stdout


def test_a_deleted_table_is_the_only_one_made_again(finished):
    for path in (finished / "results" / "mini" / "tables" / "at").glob("table2.*"):
        path.unlink()
    assert set(plan(finished, "at_table2")) == {"at_table2", "make_table"}
    output = run_snakemake(finished, "--cores", "2", "at_table2", "--config", *SHORT).stdout
    assert planned_jobs(output)["make_table"] == 1
    run_snakemake(finished, "--cores", "2", "all", "--config", *SHORT)


def test_a_changed_value_reruns_only_what_depends_on_it(finished):
    longer = [text.replace("downstream: {max_epochs: 1}", "downstream: {max_epochs: 2}") for text in SHORT]
    jobs = planned_jobs(run_snakemake(finished, "-n", "all", "--config", *longer).stdout)
    assert jobs["train_probe"] == 14 * 3 and jobs["finetune_encoder"] == 14 * 5
    assert not set(jobs) & {
        "pretrain_encoder",
        "embed_dataset",
        "prepare_dataset",
        "compute_log_mel",
        "generate_archives",
    }


def test_a_change_of_code_reruns_and_a_comment_does_not(finished):
    module = finished / "src" / "earmark" / "counts.py"
    text = module.read_text()
    try:
        module.write_text(text + "\n# a comment\n")
        assert plan(finished, "all") == {}
        module.write_text(text + "\nUNUSED = 1\n")
        jobs = plan(finished, "all")
        assert jobs["count_task"] == 15 and jobs["count_corpus"] == 1
        assert "finetune_encoder" not in jobs and "prepare_dataset" not in jobs
    finally:
        module.write_text(text)


def test_what_is_left_out_is_a_dash_with_its_reason(finished, tmp_path):
    folder = tmp_path / "part"
    shutil.copytree(finished, folder, symlinks=True)
    run_snakemake(folder, "--cores", "2", "at_table3", "--config", *SHORT, "tasks=[esc50, us8k]")
    cells = pd.read_csv(folder / "results" / "mini" / "tables" / "at" / "table3.csv", keep_default_na=False)
    left_out = cells[cells["status"] == "not_run"]
    assert set(cells["row"]) - set(left_out["row"]) == {"esc50", "us8k"}
    assert left_out["note"].str.contains("`tasks`").all()


def test_the_report_is_one_page_with_all_tables(finished):
    run_snakemake(finished, "all", "--report", "report.html", "--config", *SHORT)
    text = (finished / "report.html").read_text()
    assert "table3" in text and "Figures" in text


def test_two_runs_at_once_are_refused_with_a_reason(tmp_path):
    folder = copy_workflow(tmp_path)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "data_audioset"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        for line in first.stdout:
            if "rule generate_archives" in line:
                break
        second = run_snakemake(folder, "--cores", "1", "data_audioset", check=False)
        first.communicate()
    assert second.returncode != 0 and "lock" in second.stdout
    assert first.returncode == 0
