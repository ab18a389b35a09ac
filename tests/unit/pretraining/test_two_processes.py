"""Pre-training in two processes, on one node or two, is that in one: equal losses and weights; stopped, it goes on.

In float64 and without dropout, as rounding in float32 grows in training, and each process draws its own dropout.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from earmark.files import read_yaml

sys.path.insert(0, str(Path(__file__).parent))
import byol_run
import tagging_run

PROGRAM = Path(__file__).parent / "devices_run.py"
pytestmark = pytest.mark.slow  # 38 processes that import torch
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(
    kind: str, store: Path, out: Path, devices: int, accumulate: int = 1, launcher=(), nodes: int = 1
) -> subprocess.Popen:
    words = [kind, store, out, devices, accumulate, "64-true", nodes]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, PROGRAM, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def run(*args, **options) -> None:
    with start(*args, **options) as process:
        printed = process.communicate(timeout=300)[1]
    assert process.returncode == 0, printed


@pytest.fixture(scope="module")
def byol(tmp_path_factory):
    """Corpus, and the results of one process and of two."""
    folder = tmp_path_factory.mktemp("byol")
    byol_run.write_corpus(folder / "store")
    for devices in (1, 2):
        run("byol", folder / "store", folder / str(devices), devices)
    return folder


def assert_equal_trainings(found: Path, wanted: Path, n_steps: int) -> None:
    losses = [np.array(json.loads((folder / "losses.json").read_text())) for folder in (found, wanted)]
    assert len(losses[0]) == len(losses[1]) == n_steps > 50
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)
    weights = [load_file(folder / "weights.safetensors") for folder in (found, wanted)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[1].items():
        torch.testing.assert_close(weights[0][name], tensor, rtol=0, atol=1e-5)


def test_byol_in_two_processes_has_the_losses_of_one(byol):
    assert_equal_trainings(byol / "2", byol / "1", 51)
    history = pd.read_csv(byol / "2" / "history.csv")
    losses = json.loads((byol / "2" / "losses.json").read_text())
    np.testing.assert_allclose(history["train_loss"], np.reshape(losses, (17, 3)).mean(axis=1), rtol=1e-9)
    card = read_yaml(byol / "2" / "card.yaml")
    shares = [card[name] for name in ("devices", "nodes", "accumulate", "batch_norm_over")]
    assert shares == [2, 1, 1, "8 clips"]
    assert not (byol / "2" / "work").exists()


def test_tagging_under_torchrun_has_the_losses_of_one_process(tmp_path):
    (tmp_path / "store").mkdir()
    tagging_run.write_corpus(tmp_path / "store")
    run("tagging", tmp_path / "store", tmp_path / "1", 1)
    run("tagging", tmp_path / "store", tmp_path / "2", 2, launcher=TORCHRUN)
    assert_equal_trainings(tmp_path / "2", tmp_path / "1", 52)
    cards = [read_yaml(tmp_path / name / "card.yaml") for name in ("1", "2")]
    assert cards[0]["metrics"]["map"] == pytest.approx(cards[1]["metrics"]["map"], abs=1e-4)
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("1", "2")]
    np.testing.assert_allclose(histories[0]["score"], histories[1]["score"], atol=1e-4)


@pytest.mark.parametrize(("number", "at_first"), [(signal.SIGTERM, True), (signal.SIGUSR1, False)])
def test_a_signal_to_one_process_stops_both_and_they_go_on(byol, tmp_path, monkeypatch, number, at_first):
    monkeypatch.setenv("WAIT_FOR_SIGNAL", "1")
    process = start("byol", byol / "store", tmp_path / "out", 2)
    monkeypatch.delenv("WAIT_FOR_SIGNAL")
    for line in process.stdout:
        if line.strip() == "7":  # of either process
            children = [child.pid for child in psutil.Process(process.pid).children()]
            assert len(children) == 1
            os.kill(process.pid if at_first else children[0], number)
            break
    process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert list((tmp_path / "out" / "work").glob("checkpoint_*.pt"))
    run("byol", byol / "store", tmp_path / "out", 2)
    found, wanted = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "out", byol / "2"))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert len(json.loads((tmp_path / "out" / "losses.json").read_text())) <= 51 - 7


def test_accumulation_in_two_processes_has_the_losses_of_one(byol, tmp_path):
    for devices in (1, 2):
        run("byol", byol / "store", tmp_path / str(devices), devices, accumulate=2)
    assert_equal_trainings(tmp_path / "2", tmp_path / "1", 51)
    assert read_yaml(tmp_path / "2" / "card.yaml")["batch_norm_over"] == "4 clips"


SBATCH = {  # what `sbatch --nodes=2 --ntasks=2 --ntasks-per-node=1` of SLURM 22.05 sets in the batch script
    "SLURM_NTASKS": "2",
    "SLURM_NPROCS": "2",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "2",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NODELIST": "n[1-2]",
    "SLURM_TASKS_PER_NODE": "1(x2)",
    "SLURM_CPUS_PER_TASK": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """Put this process into a batch script of SLURM whose srun is `fake_srun.py`; give the file with its options."""
    program, options = tmp_path / "bin" / "srun", tmp_path / "options.txt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / "fake_srun.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SRUN_OPTIONS", str(options))
    for name, value in SBATCH.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_JOB_ID", str(os.getpid()))  # of which the port is made
    return options


def test_byol_on_two_nodes_has_the_losses_of_one_process(byol, srun, tmp_path):
    run("byol", byol / "store", tmp_path / "out", 1, nodes=2)
    assert_equal_trainings(tmp_path / "out", byol / "1", 51)
    card = read_yaml(tmp_path / "out" / "card.yaml")
    assert [card[name] for name in ("devices", "nodes", "batch_norm_over")] == [2, 2, "8 clips"]
    wanted = "--nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=1 --overlap --kill-on-bad-exit=1"
    assert srun.read_text() == wanted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_first_node_stops_all_and_they_go_on(byol, srun, tmp_path, monkeypatch, number):
    monkeypatch.setenv("WAIT_FOR_SIGNAL", "1")
    process = start("byol", byol / "store", tmp_path / "out", 1, nodes=2)
    monkeypatch.delenv("WAIT_FOR_SIGNAL")
    for line in process.stdout:
        if line.strip() == "7":
            os.kill(process.pid, number)
            break
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGUSR1  # that of the tasks
    assert list((tmp_path / "out" / "work").glob("checkpoint_*.pt"))
    run("byol", byol / "store", tmp_path / "out", 1, nodes=2)
    found, wanted = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "out", byol / "2"))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert len(json.loads((tmp_path / "out" / "losses.json").read_text())) <= 51 - 7


def test_a_failed_process_of_two_nodes_fails_the_job(srun, tmp_path):
    with start("byol", tmp_path / "absent", tmp_path / "out", 1, nodes=2) as process:
        printed = process.communicate(timeout=120)[1]
    assert process.returncode == 1 and "absent" in printed


SNAKEFILE = """
rule pretrain:
    output:
        "out/weights.safetensors",
    log:
        "job.log",
    script:
        "pretrain.py"
"""
SCRIPT = f"""
import sys
from pathlib import Path

from earmark.logs import log_to
from earmark.training.devices import log_of_process, start_on_nodes

sys.path.insert(0, {str(Path(__file__).parent)!r})
from byol_run import run_byol, write_corpus

log_to(log_of_process(snakemake.log[0]))
start_on_nodes(NODES, 2 // NODES, snakemake.threads)
run_byol(Path("store"), Path(snakemake.output[0]).parent, devices=2 // NODES, threads=2)
"""


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_script_of_snakemake_starts_its_second_process(srun, tmp_path, nodes):
    """Fabric or srun runs the script's file once more, which brings its snakemake object along."""
    byol_run.write_corpus(tmp_path / "store")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "pretrain.py").write_text(SCRIPT.replace("NODES", str(nodes)))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", tmp_path, "-s", tmp_path / "Snakefile"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    card = read_yaml(tmp_path / "out" / "card.yaml")
    assert (card["devices"], card["nodes"], srun.exists()) == (2, nodes, nodes == 2)
    assert "Pre-Norm" in (tmp_path / "job.log").read_text()
    assert "Pre-Norm" in (tmp_path / "job.rank1.log").read_text()
