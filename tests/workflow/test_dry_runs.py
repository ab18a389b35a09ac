"""Every name a user may type plans, in a fresh checkout, offline and without writing."""

import pytest
import yaml
from checkouts import ROOT, copy_workflow, planned_jobs, run_snakemake
from placeholders import place_archives

from earmark.files import read_yaml

pytestmark = pytest.mark.workflow
TABLES = yaml.safe_load((ROOT / "paper" / "at" / "tables.yaml").read_text())
TARGETS = [
    *(f"at_{name}" for name in [*TABLES["tables"], *TABLES["figures"]]),
    "at",
    "all",
    "data",
    "data_esc50",
    "plan",
    "results/mini/tables/at/table3.csv",
]


@pytest.mark.parametrize("target", [None, *TARGETS])
def test_targets_plan(checkout, target):
    run_snakemake(checkout, *([target] if target else []), "-n")
    assert not (checkout / "data").exists() and not (checkout / "results").exists()


def test_bare_snakemake_makes_what_all_makes(checkout):
    listed = [run_snakemake(checkout, "-n", *target).stdout.count("rule ") for target in ([], ["all"])]
    assert listed[0] == listed[1] > 100


def test_the_slurm_profile_plans(checkout):
    assert "make_report" in run_snakemake(checkout, "-n", "--profile", "slurm").stdout


@pytest.fixture(scope="module")
def supplied(tmp_path_factory):
    """Give a data folder with a placeholder for each archive of every data set."""
    folder = tmp_path_factory.mktemp("data")
    for row in (ROOT / "config" / "datasets").glob("*.yaml"):
        place_archives(folder / "real" / row.stem / "archives", read_yaml(row))
    return folder


def jobs_of(checkout, *settings):
    """Count the jobs that `all` plans for the study `at` with these settings."""
    return planned_jobs(run_snakemake(checkout, "-n", "all", "--config", "studies=[at]", *settings).stdout)


@pytest.mark.parametrize("scale", ["paper", "open"])
def test_all_runs_are_planned_when_every_archive_is_there(checkout, supplied, scale):
    jobs = jobs_of(checkout, f"scale={scale}", f"data_dir={supplied}")
    assert jobs["pretrain_encoder"] == 2
    assert jobs["finetune_encoder"] == 14 * (2 * 2 + 1)
    assert jobs["train_probe"] == 14 * 3
    assert jobs["count_task"] == 15 and jobs["count_corpus"] == 1


def test_the_paper_scale_plans_without_the_sets_that_a_user_brings(checkout):
    jobs = jobs_of(checkout, "scale=paper")
    assert "pretrain_encoder" not in jobs and "count_corpus" not in jobs
    assert jobs["finetune_encoder"] == 11 * (2 + 1)  # scratch of two networks, and finetuned BYOL-A
    assert jobs["train_probe"] == 11  # BYOL-A; MSoS, VoxCeleb1 and Fluent Speech Commands are not here
    assert jobs["count_task"] == 12
    assert jobs["make_table"] == 5 and jobs["make_figure"] == 3 and jobs["make_report"] == 1


def test_the_open_scale_plans_without_the_sets_that_a_user_brings(checkout):
    jobs = jobs_of(checkout, "scale=open")
    assert jobs["pretrain_encoder"] == 2 and jobs["count_corpus"] == 1
    assert jobs["finetune_encoder"] == 11 * (2 * 2 + 1)
    assert jobs["train_probe"] == 11 * 3


def test_one_more_archive_brings_its_runs_in(checkout, tmp_path):
    spec = read_yaml(ROOT / "config" / "datasets" / "fluent_speech_commands.yaml")
    place_archives(tmp_path / "real" / "fluent_speech_commands" / "archives", spec)
    assert jobs_of(checkout, "scale=open", f"data_dir={tmp_path}")["train_probe"] == 12 * 3


def test_a_set_that_is_not_here_can_be_asked_for(checkout):
    jobs = planned_jobs(run_snakemake(checkout, "-n", "data_voxceleb1", "--config", "scale=paper").stdout)
    assert jobs["prepare_dataset"] == 1 and jobs["data_voxceleb1"] == 1


def test_data_plans_every_set_that_can_be_had(checkout, supplied):
    rows = [read_yaml(path) for path in (ROOT / "config" / "datasets").glob("*.yaml")]
    plan = ("-n", "data", "--config", "scale=open")
    assert planned_jobs(run_snakemake(checkout, *plan, f"data_dir={supplied}").stdout)["prepare_dataset"] == len(rows)
    named = run_snakemake(checkout, *plan).stdout
    opened = planned_jobs(named)["prepare_dataset"]
    assert opened <= sum(row["access"] == "open" for row in rows) and opened >= 12
    assert "data/real/esc50/clips.parquet" in named and "data/real/voxceleb1/clips.parquet" not in named


def test_the_plan_counts_938_trainings(checkout):
    printed = run_snakemake(checkout, "--cores", "1", "plan", "--config", "scale=paper").stdout
    assert "together 938 in 114 jobs" in printed and "Bring yourself: voxceleb1" in printed
    assert "disk at the peak" in printed and "at 100 Mbit/s" in printed
    assert not (checkout / "data").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("scael=mini", "Did you mean 'scale'"),
        ("scale=papr", "Did you mean 'paper'"),
        ("tasks=[esc5]", "Did you mean 'esc50'"),
        ("devices=-1", "wanted a number of at least 1"),
        ("nodes=0", "wanted a number of at least 1"),
        ("nodes=2", "nodes: 2 needs a job of SLURM"),
        ("bandwidth_mbit_per_s=0", "wanted a number of more than 0"),
    ],
)
def test_bad_settings_stop_before_any_job(checkout, setting, message):
    done = run_snakemake(checkout, "--cores", "1", "all", "--config", setting, check=False)
    assert done.returncode != 0 and message in done.stdout
    assert not (checkout / "data").exists()


def test_a_missing_archive_says_all_a_user_needs(tmp_path):
    folder = copy_workflow(tmp_path)
    done = run_snakemake(folder, "--cores", "1", "data_voxceleb1", "--config", "scale=paper", check=False)
    assert done.returncode != 0
    for part in ("vox1_dev_wav_partaa", "data/real/voxceleb1/archives", "Licence", "robots.ox.ac.uk"):
        assert part in done.stdout, f"{part} is not in the message"
