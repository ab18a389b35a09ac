"""The study on a real SLURM, undisturbed and under faults; job arrays; and what a wrong profile is answered."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkouts import ROOT, copy_workflow, environment
from cluster import Cluster
from run import PLANS, SITE, run_all

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
PROBES = 500
MAX_CALLS = 20
SNAKEFILE = """
rule all:
    input: expand("out/{n}.txt", n=range(PROBES))
    localrule: True
rule train_probe:
    output: "out/{n}.txt"
    resources: mem_mb=400, runtime=2
    shell: "touch {output}"
"""


@pytest.fixture(scope="module", autouse=True)
def comes_up(tmp_path_factory):
    """Skip with the reason where the daemons do not start, as in a container that does not let them."""
    try:
        with Cluster(tmp_path_factory.mktemp("trial")):
            pass
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no SLURM comes up here: {error}")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Give the report of the small study: local, on the cluster, on the cluster under faults."""
    return run_all("small", tmp_path_factory.mktemp("slurm"), seed=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Give a running cluster."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.parametrize("run", ["quiet", "faults"])
def test_nothing_is_lost_doubled_or_different(report, run):
    assert report["compared"] >= 9
    found = report[run]
    assert found["status"] == 0 and found["nothing_left_to_do"]
    assert found["lost"] == found["doubled"] == found["different"] == []


def test_every_fault_struck(report):
    found = report["faults"]
    assert sorted(found["faults"]) == sorted(PLANS["small"])
    assert found["ends"]["TIMEOUT"] >= 1 and found["over_memory"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--default-resources", "slurm_partition=fast"], "asks for partition 'fast'; the cluster has: debug"),
        (["--slurm-status-command", "sacct"], "slurm-status-command: squeue"),
        (["--default-resources", "runtime=5", "--set-resources", "train_probe:slurm_partition=none"], "'none'"),
    ],
)
def test_a_wrong_profile_is_answered_before_any_job(cluster, tmp_path, arguments, message):
    folder = copy_workflow(tmp_path / "checkout")
    command = [sys.executable, "-m", "snakemake", *SITE, "results/mini/tables/at/table3.csv", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode != 0 and message in done.stderr
    assert "profiles/slurm/config.yaml" in done.stderr
    assert cluster.jobs("PENDING", "RUNNING", "COMPLETED") == []
    assert not Path(folder, "data").exists()


def test_probes_go_out_as_few_arrays(cluster, tmp_path):
    folder = tmp_path / "probes"
    shutil.copytree(ROOT / "profiles" / "slurm", folder / "slurm")
    (folder / "Snakefile").write_text(SNAKEFILE.replace("PROBES", str(PROBES)))
    calls, counting = folder / "calls", folder / "bin" / "sbatch"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho >> {calls}\nexec {shutil.which("sbatch")} "$@"\n')
    counting.chmod(0o755)
    cluster.set_node_down()  # they shall wait, not run
    command = [sys.executable, "-m", "snakemake", *SITE]
    path = f"{counting.parent}{os.pathsep}{os.environ['PATH']}"
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "PATH": path}, **pipe) as process:
        end = time.monotonic() + 120
        while len(cluster.jobs("PENDING")) < PROBES and time.monotonic() < end:
            time.sleep(1)
        waiting = len(cluster.jobs("PENDING"))
        process.kill()
    assert waiting == PROBES
    assert len(calls.read_text().splitlines()) <= MAX_CALLS
