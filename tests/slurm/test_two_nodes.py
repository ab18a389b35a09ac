"""Pre-training on a real SLURM of two nodes, both on this machine: as in one process; stopped by a signal, it goes on.

The cluster has configuration, ports and munge of its own, so that it can run beside another one.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from checkouts import ROOT
from cluster import READY_SECONDS
from safetensors.torch import load_file

from earmark.files import read_yaml

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
NODES = ("n1", "n2")
FOLDER = ROOT / "tests" / "unit" / "pretraining"
CALL = f"{sys.executable} {FOLDER / 'devices_run.py'} byol store"
AS_THE_PLUGIN = ("--nodes=2", "--ntasks=2", "--cpus-per-task=1", "--gpus=2", "--gres=gpu:1", "--mem=1500")
SNAKEFILE = f"""
rule pretrain:
    output: "plugin/weights.safetensors"
    resources:
        nodes=2, mpi="srun", tasks=2, tasks_per_gpu=0, cpus_per_task=1,
        gpu=2, gres="gpu:1", mem_mb=1500, runtime=9,
    shell: "{CALL} plugin 1 1 64-true 2"
"""
CONFIGURATION = """ClusterName=twonodes
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
ProctrackType=proctrack/pgid
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
MpiDefault=none
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Start the cluster; give the environment for its commands. Skip with the reason where it does not come up."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    with contextlib.ExitStack() as sockets:
        free = [sockets.enter_context(socket.socket()) for _ in range(1 + len(NODES))]
        for entry in free:
            entry.bind(("127.0.0.1", 0))
        ports = [entry.getsockname()[1] for entry in free]
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(host=host, port=ports[0], folder=folder)
    for name, port in zip(NODES, ports[1:], strict=True):
        at = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        text += f"NodeName={name} {at} CPUs=2 RealMemory=4000 Gres=gpu:1 State=UNKNOWN\n"
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    munge = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "pid-file", "log-file")]
    daemons = [
        ["munged", "--foreground", "--force", *munge, f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-c"],
        *(["slurmd", "-D", "-N", name] for name in NODES),
    ]
    srun = folder / "bin" / "srun"  # the plugin takes SLURM_CONF away from its jobs
    srun.parent.mkdir()
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    path = f"{srun.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    # The names of the nodes stand for no address; processes meet at MASTER_ADDR where it is set.
    own = {"SLURM_CONF": f"{folder}/slurm.conf", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", "PATH": path}
    environment = {**os.environ, **own}
    with contextlib.ExitStack() as running:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
        for command in daemons:
            daemon = running.enter_context(subprocess.Popen(command, **quiet))
            running.callback(daemon.terminate)
            if command[0] == "munged":
                wait_for((folder / "munge.socket").exists)
        try:
            wait_for(lambda: ask(environment, "sinfo", "--noheader", "--format=%D %t") == "2 idle")
        except TimeoutError:
            pytest.skip(f"no SLURM of two nodes comes up here; logs are in {folder}")
        yield environment
        ask(environment, "scancel", "--user=root")


def wait_for(is_so, seconds: float = READY_SECONDS) -> None:
    """Wait until something is so. Raises TimeoutError when it is not in time."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        time.sleep(0.2)


def ask(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or done.stderr.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder with a corpus and, under `one`, the training in one process."""
    folder = tmp_path_factory.mktemp("byol")
    write = f"import pathlib, sys; sys.path.insert(0, {str(FOLDER)!r}); import byol_run\n"
    write += "byol_run.write_corpus(pathlib.Path('store'))"
    subprocess.run([sys.executable, "-c", write], cwd=folder, check=True)
    command = [*CALL.split(), "one", "1", "1", "64-true", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder


def submit(environment: dict[str, str], folder: Path, out: str, before: str = "exec", **variables: str) -> str:
    """Submit a training on two nodes by sbatch, whose script becomes the launcher; return the job's number."""
    wrapped = f"{before} {CALL} {out} 1 1 64-true 2"
    shape = AS_THE_PLUGIN if before == "exec" else [word for word in AS_THE_PLUGIN if "gpu" not in word]
    command = ["sbatch", "--parsable", *shape, f"--output={out}.log", "--wrap", wrapped]
    done = subprocess.run(
        command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def end_of(environment: dict[str, str], job: str) -> tuple[str, int]:
    """Wait for a job's end; give its state and exit code."""
    found = {}

    def is_over() -> bool:
        found.update(re.findall(r"(JobState|ExitCode)=(\w+)", ask(environment, "scontrol", "show", "job", job)))
        return found.get("JobState") not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")

    wait_for(is_over, seconds=300)
    return found["JobState"], int(found["ExitCode"])


def assert_as_one(folder: Path, out: str) -> None:
    losses = [np.array(json.loads((folder / name / "losses.json").read_text())) for name in (out, "one")]
    assert len(losses[0]) == len(losses[1]) == 51
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)
    card = read_yaml(folder / out / "card.yaml")
    assert [card[name] for name in ("devices", "nodes", "batch_norm_over")] == [2, 2, "8 clips"]


def test_sbatch_trains_on_two_nodes_as_in_one_process(nodes, folder):
    assert end_of(nodes, submit(nodes, folder, "sbatch")) == ("COMPLETED", 0)
    assert_as_one(folder, "sbatch")


def test_the_one_task_of_an_srun_trains_on_two_nodes(nodes, folder):
    assert end_of(nodes, submit(nodes, folder, "step", before="srun --nodes=1 --ntasks=1")) == ("COMPLETED", 0)
    assert_as_one(folder, "step")


def test_the_plugin_trains_on_two_nodes(nodes, folder):
    (folder / "Snakefile").write_text(SNAKEFILE)
    options = ["--executor", "slurm", "--jobs", "1", "--slurm-status-command", "squeue", "--latency-wait", "10"]
    options += ["--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "2"]
    defaults = ["--default-resources", "slurm_partition=debug", "slurm_account=none"]
    command = [sys.executable, "-m", "snakemake", *options, *defaults]
    done = subprocess.run(command, cwd=folder, env=nodes, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    assert_as_one(folder, "plugin")


def test_a_signal_to_the_launcher_stops_both_nodes_and_they_go_on(nodes, folder):
    job = submit(nodes, folder, "stopped", WAIT_FOR_SIGNAL="1")
    log = folder / "stopped.log"
    wait_for(lambda: log.exists() and "7" in log.read_text().split(), seconds=120)
    ask(nodes, "scancel", "--batch", "--signal=USR1", job)
    assert end_of(nodes, job) == ("FAILED", 128 + 10)
    assert list((folder / "stopped" / "work").glob("checkpoint_*.pt"))
    assert end_of(nodes, submit(nodes, folder, "stopped")) == ("COMPLETED", 0)
    assert len(json.loads((folder / "stopped" / "losses.json").read_text())) <= 51 - 7
    found, wanted = (load_file(folder / name / "weights.safetensors") for name in ("stopped", "one"))
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)
