"""A checkout that jobs cannot write to, with data and results elsewhere; trainings that read from scratch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from checkouts import copy_workflow, environment, planned_jobs, run_snakemake

from earmark.files import read_yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
SHORT = (
    "--config",
    "overrides={trials: 1, max_folds: 1, protocols: {byol: {epochs: 1}, downstream: {max_epochs: 1}}}",
)
WEIGHTS = "results/mini/encoders/byola_fsd50k/weights.safetensors"
SCORES = "results/mini/scores/at/esc50/mobilenet_v2/scratch.parquet"
TABLE = "results/mini/tables/byola/table16.csv"  # of descriptions: needs no training
LOGS = ("pretrain_byol/byola_fsd50k.log", "finetune_encoder/at/esc50/mobilenet_v2/scratch.log")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Give size and time of change of all files of a folder, but for what Python compiles where it may write."""
    paths = [path for path in folder.rglob("*") if not path.is_dir() and path.suffix != ".pyc"]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """Give a copy of the workflow that nobody can write to: mounted so by root, else without permissions.

    Where neither binds (root that may not mount), the listing before and after is what is left of the test.
    """
    folder = copy_workflow(tmp_path_factory.mktemp("read_only") / "checkout")
    mounted = not subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode
    if mounted:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    else:
        subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    yield folder
    subprocess.run(["umount", folder] if mounted else ["chmod", "-R", "u+w", folder], check=True)


@pytest.fixture(scope="module")
def work(read_only, tmp_path_factory):
    """Give a working folder after a run in it that prepares a data set, trains on it and makes a table."""
    folder, before = tmp_path_factory.mktemp("work"), listing(read_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_TMPDIR", str(folder.parent / "node"))
        run_snakemake(read_only, "--directory", str(folder), "--cores", "2", TABLE, WEIGHTS, SCORES, *SHORT)
    assert listing(read_only) == before
    return folder


def test_all_that_a_run_makes_lies_in_the_working_folder(work):
    assert sorted(path.name for path in work.iterdir()) == [".snakemake", "data", "results"]
    for path in (
        TABLE,
        WEIGHTS,
        SCORES,
        "data/mini/fsd50k/clips.parquet",
        "results/mini/logs/pretrain_byol/byola_fsd50k.log",
    ):
        assert (work / path).is_file()


def test_a_second_run_from_the_working_folder_itself_has_nothing_to_do(work, read_only):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        read_only / "Snakefile",
        "--cores",
        "1",
        TABLE,
        WEIGHTS,
    ]
    settings = {"cwd": work, "env": environment(read_only), "text": True}
    done = subprocess.run([*command, WEIGHTS, SCORES, *SHORT], capture_output=True, check=False, **settings)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr, done.stderr[-3000:]


def test_results_are_the_same_with_and_without_scratch(work, read_only, monkeypatch):
    logs = [work / "results/mini/logs" / log for log in LOGS]
    copied = {path.name for path in (work.parent / "node").glob("earmark-*/*/*")}
    assert copied == {"clips.parquet", "audio_16k.arrow", "frames.npy", "index.parquet", "statistics.json"}
    assert all("copied to" in log.read_text() for log in logs)
    card, scores = (work / WEIGHTS).with_name("card.yaml"), work / SCORES
    near_card, near_scores = read_yaml(card), pd.read_parquet(scores)
    shutil.rmtree(scores.with_suffix("") / "runs")  # else its finished runs are not run again
    monkeypatch.delenv("SLURM_TMPDIR", raising=False)
    forced = ("--forcerun", "pretrain_byol", "finetune_encoder")
    run_snakemake(read_only, "--directory", str(work), "--cores", "2", WEIGHTS, SCORES, *forced, *SHORT)
    assert not any("copied to" in log.read_text() for log in logs)
    card, scores = read_yaml(card), pd.read_parquet(scores)
    for key in ("weights_sha256", "last_loss", "steps", "pre_norm"):
        assert near_card[key] == card[key]
    assert {**near_card["provenance"], "started": ""} == {**card["provenance"], "started": ""}
    same = ["value", "last_epoch_value", "n", "steps", "run_digest", "code", "config", "inputs"]
    pd.testing.assert_frame_equal(near_scores[same], scores[same], check_exact=True)


def test_where_scratch_is_reruns_nothing(work, read_only):
    setting = (*SHORT, "scratch_dir=none")
    done = run_snakemake(read_only, "--directory", str(work), "-n", WEIGHTS, SCORES, TABLE, *setting)
    assert "Nothing to be done" in done.stdout


def test_everything_plans_in_another_folder_with_settings_of_its_own(read_only, tmp_path):
    (tmp_path / "config.yaml").write_text("studies: [at]\ntasks: [esc50]\nmodes: [scratch]\n")
    jobs = planned_jobs(run_snakemake(read_only, "--directory", str(tmp_path), "-n", "all").stdout)
    assert jobs["finetune_encoder"] == 2  # one task, one mode, two networks
    assert jobs["make_report"] == 1 and not (tmp_path / "results").exists()


def test_the_checkout_was_closed(read_only):
    if os.access(read_only / "src", os.W_OK):
        pytest.skip("root that may not mount: the checkout was open, its listing was compared")
    with pytest.raises(OSError, match=r"Read-only|Permission"):
        (read_only / "src" / "new.py").touch()
