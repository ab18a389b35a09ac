"""Pre-training on several nodes: what its jobs ask of SLURM, by the SLURM plugin's own functions."""

import re
from types import SimpleNamespace

import pytest
from checkouts import run_snakemake
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
