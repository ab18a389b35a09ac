"""Costs against benchmark files whose sums are worked out by hand."""

import pandas as pd
import pytest

from earmark.costs import describe_files, draw_costs, make_costs, read_benchmarks, sum_costs, sum_studies
from earmark.errors import EarmarkError

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
ASKED = {
    "train_probe": {"mem_mb": 4000, "runtime": 60, "threads": 2, "gpu": 1, "nodes": None},
    "count_task": {"mem_mb": 1000, "runtime": 10, "threads": 1, "gpu": 0, "nodes": None},
    "pretrain_encoder": {"mem_mb": 8000, "runtime": 600, "threads": 4, "gpu": 2, "nodes": None},
    "compute_log_mel": {"mem_mb": 1000, "runtime": None, "threads": 1, "gpu": 0, "nodes": None},
}
HOMES = {"at": "at", "byola": "byola", "mobilenet_v2": "at"}
OUTPUTS = ("costs.csv", "costs_by_study.csv", "costs.md", "costs.png")


@pytest.fixture
def results(tmp_path):
    """Give two probes of 30 and 15 minutes, a count that was too short to be measured, and a file a killed job left."""
    files = {
        "train_probe/at/esc50/one.tsv": "1800\t0:30:00\t1000\t0\t0\t0\t0\t0\t0\t1800",
        "train_probe/at/esc50/two.tsv": "900\t0:15:00\t3000\t0\t0\t0\t0\t0\t0\t450",
        "count_task/at/esc50.tsv": "0.2\t0:00:00\t-\t-\t-\t-\t-\t-\t-\tNA",
    }
    for name, row in files.items():
        add_benchmark(tmp_path, name, row)
    (tmp_path / "benchmarks" / "train_probe" / "at" / "killed.tsv").touch()
    return tmp_path


@pytest.fixture
def two_studies(results):
    """Add a pre-training of the first study, a probe of another one, and a log-mel cache of a front-end named `at`."""
    add_benchmark(results, "pretrain_encoder/mobilenet_v2.tsv", "7200\t2:00:00\t6000\t0\t0\t0\t0\t0\t0\t14400")
    add_benchmark(results, "train_probe/byola/esc50/one.tsv", "3600\t1:00:00\t2000\t0\t0\t0\t0\t0\t0\t3600")
    add_benchmark(results, "compute_log_mel/mini/esc50/at.tsv", "360\t0:06:00\t500\t0\t0\t0\t0\t0\t0\t360")
    return results


def add_benchmark(results, name, row):
    path = results / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + row + "\n")


def asked_in(results):
    """Say what each job asked: all jobs of a rule the same."""
    names = [str(path.relative_to(results / "benchmarks")) for path in sorted(results.rglob("*.tsv"))]
    return {name: ASKED[name.split("/")[0]] for name in names}


def jobs_of(results):
    return read_benchmarks(results / "benchmarks", asked_in(results), HOMES)


def make(results, folder):
    names = dict(zip(("csv", "by_study", "md", "figure"), OUTPUTS, strict=True))
    paths = {key: folder / name for key, name in names.items()}
    return make_costs(results=results, asked=asked_in(results), homes=HOMES, label="mini scale", **paths)


def test_sums_of_a_rule(results):
    costs = sum_costs(jobs_of(results)).set_index("rule")
    probe = costs.loc["train_probe"]
    assert (probe["jobs"], probe["hours_asked"], probe["hours_used"], probe["hours_wasted"]) == (2, 2.0, 0.75, 1.25)
    assert (probe["longest_share"], probe["gb_asked"], probe["gb_peak"]) == (0.5, 4.0, 3.0)
    assert probe["gb_hours_wasted"] == pytest.approx(3 * 0.5 + 1 * 0.25)
    assert (probe["cpu_hours_asked"], probe["cpu_hours_used"], probe["cpu_hours_wasted"]) == (1.5, 0.625, 0.875)
    assert probe["gpu_hours"] == 0.75
    assert pd.isna(costs.loc["count_task", "gb_peak"])
    assert costs.loc["all", "jobs"] == 3 and costs.loc["all", "gpu_hours"] == 0.75


def test_jobs_of_a_rule_may_ask_differently(results):
    """A quarter of an hour of 30 minutes with 3 of 9 GB, beside half an hour of 60 minutes with 1 of 4 GB."""
    asked = asked_in(results)
    asked["train_probe/at/esc50/two.tsv"] = {"mem_mb": 9000, "runtime": 30, "threads": 4, "gpu": 0, "nodes": None}
    costs = sum_costs(read_benchmarks(results / "benchmarks", asked, HOMES)).set_index("rule").loc["train_probe"]
    assert (costs["hours_asked"], costs["gb_asked"], costs["longest_share"], costs["gpu_hours"]) == (1.5, 9, 0.5, 0.5)
    assert costs["gb_hours_wasted"] == pytest.approx(3 * 0.5 + 6 * 0.25)
    assert costs["cpu_hours_asked"] == pytest.approx(2 * 0.5 + 4 * 0.25)


def test_a_job_on_two_nodes_holds_the_cores_of_both(two_studies):
    """Threads are those of a node, GPUs of all; memory and CPU time are measured of the process that waits for them."""
    asked = asked_in(two_studies)
    asked["pretrain_encoder/mobilenet_v2.tsv"] = ASKED["pretrain_encoder"] | {"nodes": 2}
    jobs = read_benchmarks(two_studies / "benchmarks", asked, HOMES)
    costs = sum_costs(jobs).set_index("rule").loc["pretrain_encoder"]
    assert (costs["cpu_hours_asked"], costs["gpu_hours"], costs["gb_asked"]) == (2 * 4 * 2, 2 * 2, 8)
    unknown = ["gb_peak", "gb_hours_wasted", "cpu_hours_used", "cpu_hours_wasted"]
    assert costs[unknown].isna().all()
    studies = sum_studies(jobs).set_index(["study", "rule"])
    assert studies.loc[("at", "pretrain_encoder"), "core_hours"] == 2 * 4 * 2
    assert studies.loc[("at", "pretrain_encoder"), ["cpu_hours", "gb_peak"]].isna().all()
    assert studies.loc[("at", "all"), ["cpu_hours", "gb_peak"]].tolist() == [0.625, 3.0]  # of the probes


def test_sums_of_a_study(two_studies):
    studies = sum_studies(jobs_of(two_studies)).set_index(["study", "rule"])
    probe, whole = studies.loc[("at", "train_probe")], studies.loc[("at", "all")]
    assert (probe["jobs"], probe["seconds"], probe["hours"]) == (2, 2700, 0.75)
    assert (probe["core_hours"], probe["cpu_hours"], probe["gpu_hours"], probe["gb_peak"]) == (1.5, 0.625, 0.75, 3.0)
    assert (whole["jobs"], whole["gb_peak"]) == (4, 6.0)
    assert whole["seconds"] == pytest.approx(2700 + 0.2 + 7200)
    assert whole["core_hours"] == pytest.approx(1.5 + 0.2 / 3600 + 4 * 2)
    assert whole["cpu_hours"] == pytest.approx(0.625 + 4) and whole["gpu_hours"] == pytest.approx(0.75 + 2 * 2)
    assert studies.loc[("byola", "all"), "gpu_hours"] == 1 and studies.loc[("shared", "all"), "seconds"] == 360
    assert [rule for study, rule in studies.index if study == "at"] == [
        "pretrain_encoder", "train_probe", "count_task", "all",
    ]  # fmt: skip


def test_figure_draws_the_sums(two_studies):
    jobs = jobs_of(two_studies)
    assert pd.isna(sum_costs(jobs).set_index("rule").loc["compute_log_mel", "hours_asked"])
    figure = draw_costs(sum_costs(jobs), sum_studies(jobs), None)
    hours, memory = figure.axes
    assert [text.get_text() for text in hours.get_yticklabels()] == [
        "count_task", "compute_log_mel", "train_probe", "pretrain_encoder",
    ]  # fmt: skip
    at, byola, shared = ([bar.get_width() for bar in bars] for bars in hours.containers)
    assert at == pytest.approx([0.2 / 3600, 0, 0.75, 2]) and byola == pytest.approx([0, 0, 1, 0])
    assert shared == pytest.approx([0, 0.1, 0, 0])
    assert [bar.get_x() for bar in hours.containers[1]][2] == pytest.approx(0.75)
    asked, peak = ([bar.get_width() for bar in bars] for bars in memory.containers)
    assert asked == pytest.approx([1, 1, 4, 8]) and peak[1:] == pytest.approx([0.5, 3, 6])


def test_files_per_thousand_runs(tmp_path):
    scores = tmp_path / "scores" / "at" / "esc50" / "mobilenet_v2"
    (scores / "frozen" / "runs").mkdir(parents=True)
    runs = {"seed": [1, 2, 1, 1], "fold": [1, 1, 2, 1], "metric": ["map", "map", "map", "mauc"]}  # of three runs
    pd.DataFrame(runs).to_parquet(scores / "frozen.parquet")
    for name in ("frozen_predictions.parquet", "frozen/runs/seed1_fold1.parquet", "frozen/runs/seed2_fold1.parquet"):
        pd.DataFrame({"value": [1.0]}).to_parquet(scores / name)
    (tmp_path / "logs").mkdir()
    for name in ("logs/one.log", "logs/two.log", "costs.csv"):
        (tmp_path / name).touch()
    text = describe_files(tmp_path, 0)
    assert "7 (scores 4, logs 2, . 1) for 3 finished runs: 2,333 files per 1,000 runs." in text
    assert describe_files(tmp_path / "logs", 0).endswith("2 (. 2) for 0 finished runs.")


def test_benchmarks_that_no_rule_claims_are_told(two_studies):
    assert "left out" not in describe_files(two_studies, 6)
    assert "2 benchmark files are of jobs that this configuration lacks" in describe_files(two_studies, 4)


def test_files_hold_the_tables_and_the_scale(two_studies, tmp_path):
    text = make(two_studies, tmp_path)
    csv, by_study, md, figure = (tmp_path / name for name in OUTPUTS)
    assert md.read_text() == text + "\n" and "*mini scale*" in text
    rules = ["pretrain_encoder", "train_probe", "compute_log_mel", "count_task", "all"]
    assert list(pd.read_csv(csv)["rule"]) == rules
    assert list(pd.read_csv(by_study)["study"].unique()) == ["at", "byola", "shared"]
    assert figure.read_bytes().startswith(b"\x89PNG")
    (line,) = (line for line in text.splitlines() if line.startswith("| train_probe"))
    assert line.split(" | ")[1:5] == ["3", "3", "1.75", "1.25"]
    assert "| at | train_probe | 2 | 2,700 | 0.75 |" in text and "for 0 finished runs" in text


def test_before_any_run_it_says_so(tmp_path):
    with pytest.raises(EarmarkError, match="no finished job"):
        jobs_of(tmp_path)
