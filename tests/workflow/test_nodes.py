"""Pre-training on several nodes: what its jobs ask of SLURM, by the SLURM plugin's own functions, and what reruns."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest
from checkouts import copy_workflow, planned_jobs, run_snakemake
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

pytestmark = pytest.mark.workflow
TARGETS = [f"results/mini/encoders/{name}/weights.safetensors" for name in ("mobilenet_v2", "byola_fsd50k")]
PARAMETERS = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "")


class Resources(dict):
    """Resources as a job has them: entries that are attributes too."""

    __getattr__ = dict.__getitem__


def sbatch_options(checkout, *settings) -> dict[str, set[str]]:
    """Read from a dry run with what options of nodes, tasks, CPUs and GPUs each rule would be submitted."""
    arguments = ("-n", "--profile", "slurm", "--cores", "8", *TARGETS, "--config", *settings)
    printed = run_snakemake(checkout, *arguments).stdout
    options = {}
    for block in printed.split("\nrule ")[1:]:
        pairs = re.findall(r"(\w+)=([^,\n]+)", re.search(r"^    resources: (.*)", block, re.MULTILINE).group(1))
        resources = Resources({key: int(value) if value.isdigit() else value for key, value in pairs})
        threads = re.search(r"^    threads: (\d+)", block, re.MULTILINE)
        job = SimpleNamespace(resources=resources, threads=int(threads.group(1)) if threads else 1)
        words = (get_submit_command(job, PARAMETERS) + set_gres_string(job)).split()
        chosen = {word for word in words if re.match("--(nodes|ntasks|cpus|gpus|gres)", word)}
        options.setdefault(block.split(":")[0], set()).update(chosen)
    return options


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (("nodes=1", "devices=2"), "--cpus-per-task=4 --gpus=2"),
        (("nodes=2", "devices=1"), "--nodes=2 --ntasks=2 --cpus-per-task=4 --gpus=2 --gres=gpu:1"),
        (("nodes=3", "devices=2"), "--nodes=3 --ntasks-per-node=2 --cpus-per-task=2 --gpus=6 --gres=gpu:2"),
        (("nodes=2", "devices=1", "accelerator=cpu"), "--nodes=2 --ntasks=2 --cpus-per-task=4"),
    ],
)
def test_pretraining_asks_for_its_nodes(checkout, settings, wanted):
    threads = "overrides={resources: {pretrain_encoder: {threads: 4}, pretrain_byol: {threads: 4}}}"
    options = sbatch_options(checkout, threads, *settings)
    assert options["pretrain_encoder"] == options["pretrain_byol"] == set(wanted.split())
    assert options["prepare_dataset"] == {"--ntasks=1", "--cpus-per-task=1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Give a checkout in which Snakemake takes two pre-trainings, with one device, for done."""
    folder = copy_workflow(tmp_path_factory.mktemp("finished") / "checkout")
    planned = run_snakemake(folder, "-n", *TARGETS).stdout
    for line in re.findall(r"^    output: (.*)", planned, re.MULTILINE):
        for name in line.split(", "):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    run_snakemake(folder, "--touch", "--force", "--cores", "1", *TARGETS)
    return folder


@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        (("devices=2",), {}),
        (("nodes=2", "--profile", "slurm"), {}),
        (("accumulate=2",), {"pretrain_encoder": 1, "pretrain_byol": 1}),  # batch normalisation sees other clips
    ],
)
def test_the_number_of_devices_and_nodes_trains_nothing_anew(finished, settings, jobs):
    printed = run_snakemake(finished, "-n", *TARGETS, "--config", *settings).stdout
    assert planned_jobs(printed) == jobs
    assert bool(jobs) != ("Nothing to be done" in printed)


def test_costs_count_the_cores_of_all_nodes(finished):
    results = finished / "results" / "mini"
    file = results / "benchmarks" / "pretrain_encoder" / "mobilenet_v2.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("s\tmax_rss\tcpu_time\n3600\t50\t2\n")
    threads = "overrides={resources: {pretrain_encoder: {threads: 4}}}"
    run_snakemake(finished, "--cores", "1", "costs", "--config", "nodes=2", "devices=2", threads)
    row = pd.read_csv(results / "costs.csv").set_index("rule").loc["pretrain_encoder"]
    assert (row["cpu_hours_asked"], row["gpu_hours"]) == (2 * 4, 2 * 2)
    assert row[["gb_peak", "cpu_hours_used"]].isna().all()
