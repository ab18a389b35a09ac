"""One training in several processes: shares of a batch, batch normalisation over all, agreement on a step."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.errors import ConfigError, ProtocolError, TrainingError
from earmark.training import devices
from earmark.training.batches import Batch
from earmark.training.devices import Hardware, Position, count_nodes, log_of_process, make_fabric, start_on_nodes


def batch_of(n_clips: int, lengths=()) -> Batch:
    inputs = torch.arange(n_clips, dtype=torch.float32)[:, None]
    return Batch(inputs, 10 * inputs, tuple(f"c{number}" for number in range(n_clips)), lengths, step=4)


@pytest.mark.parametrize(("n_clips", "world", "accumulate"), [(8, 2, 1), (7, 2, 2), (23, 3, 4), (5, 1, 2), (6, 4, 3)])
def test_parts_of_all_processes_hold_each_clip_once(n_clips, world, accumulate):
    seen, shares = [], 0.0
    for rank in range(world):
        for part, share in Position(rank, world, accumulate).parts(batch_of(n_clips)):
            rows = part.inputs[:, 0].int().tolist()
            assert rows and share == len(rows) / n_clips
            assert part.targets[:, 0].tolist() == [10 * row for row in rows]
            assert part.clip_ids == tuple(f"c{row}" for row in rows) and part.step == 4
            seen.extend(rows)
            shares += share
    assert sorted(seen) == list(range(n_clips))
    assert shares == pytest.approx(1)


def test_a_part_of_all_processes_is_that_of_one():
    """Batch normalisation over a part then sees the same clips, however many processes there are."""
    whole = [part.clip_ids for part, _ in Position(0, 1, 3).parts(batch_of(13))]
    shares = [[part.clip_ids for part, _ in Position(rank, 2, 3).parts(batch_of(13))] for rank in range(2)]
    assert [sorted([*one, *other]) for one, other in zip(*shares, strict=True)] == [sorted(part) for part in whole]


def test_a_small_last_batch_is_cut_into_fewer_parts():
    assert [len(part.inputs) for part, _ in Position(0, 1, 4).parts(batch_of(5))] == [3, 2]
    assert [len(part.inputs) for part, _ in Position(0, 1, 4).parts(batch_of(1))] == [1]


def test_what_cannot_be_parted_is_refused():
    with pytest.raises(ProtocolError, match="step 4 has 2 clips, fewer than the 3 processes; set devices"):
        list(Position(0, 3).parts(batch_of(2)))
    with pytest.raises(ProtocolError, match="set devices and accumulate to 1"):
        list(Position(0, 1, 2).parts(batch_of(4, lengths=(1, 3))))
    assert next(Position().parts(batch_of(4, lengths=(1, 3))))[1] == 1.0


def test_more_devices_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"found 1 GPUs and devices: 4; set devices in config\.yaml"):
        make_fabric(Hardware("cuda", 4))


SBATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_NNODES": "2", "SLURM_PROCID": "0"}
SRUN = {**SBATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}
ONE_TASK = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}  # as the plugin starts a job


@pytest.fixture
def set_variables(monkeypatch):
    """Give a function that sets variables, with none of SLURM and torchrun beside them."""
    for name in os.environ:
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name == "WORLD_SIZE":
            monkeypatch.delenv(name)

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("variables", "nodes"),
    [
        ({}, 1),
        (ONE_TASK | {"SLURM_NTASKS": "1", "SLURM_NNODES": "1"}, 1),  # it starts its processes itself
        (SBATCH, 1),  # of a batch script or of salloc, where nothing has been started yet
        (SRUN, 2),
        (SRUN | {"SLURM_STEP_NUM_NODES": "4"}, 1),  # not a task for each of four devices
        (SRUN | ONE_TASK, 1),
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "12"}, 3),
    ],
)
def test_nodes_of_torchrun_and_srun_are_counted(set_variables, variables, nodes):
    set_variables(variables)
    assert count_nodes(4) == nodes


@pytest.fixture
def start_with(monkeypatch, tmp_path):
    """Return a function that starts on two nodes with a script for srun, and gives the exit code."""

    def start(script):
        (tmp_path / "srun").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "srun").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
        try:
            with pytest.raises(SystemExit) as ended:
                start_on_nodes(2, 4, threads=8)
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
        return ended.value.code

    return start


@pytest.mark.parametrize("variables", [SBATCH, SRUN | ONE_TASK])
def test_a_job_of_several_tasks_starts_them_by_srun(set_variables, start_with, tmp_path, variables):
    """A batch script has numbers of tasks and nodes too; a step of one task in it has a mask of its CPUs."""
    set_variables(variables | {"SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_CPU_BIND_LIST": "0x1"})
    called = tmp_path / "called"
    assert start_with(f'echo "$1 $2 $3 $4 $5" "bind=$SLURM_CPU_BIND" > {called}\nexit 3') == 3
    assert called.read_text() == "--nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=2 --overlap bind=\n"


@pytest.mark.parametrize(("of_tasks", "code"), [(143, 128 + signal.SIGUSR1), (0, 0)])
def test_a_stopped_job_of_several_tasks_ends_with_the_code_of_the_signal(set_variables, start_with, of_tasks, code):
    """A task that is slow to stop is ended by srun, whose own code is then that of this task, as the highest."""
    set_variables(SBATCH)
    wait = "while :; do /bin/sleep 0.1; done"
    assert start_with(f"trap 'exit {of_tasks}' USR1\n/bin/sleep 0.5\nkill -TERM $PPID\n{wait}") == code


@pytest.mark.parametrize(("job", "path"), [({}, True), ({"SLURM_JOB_ID": "7"}, False)])
def test_several_nodes_without_slurm_are_refused(set_variables, monkeypatch, tmp_path, job, path):
    set_variables(job)
    if path:
        (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    start_on_nodes(1, 4, threads=2)
    with pytest.raises(ConfigError, match=r"nodes: 2 needs a job of SLURM.*--profile slurm, or set nodes: 1 in config"):
        start_on_nodes(2, 4, threads=2)


def test_processes_that_srun_has_started_on_all_nodes_go_on(set_variables):
    set_variables(SRUN)
    start_on_nodes(2, 4, threads=8)


def test_each_process_has_a_log_of_its_own(monkeypatch):
    for name in devices.RANKS:
        monkeypatch.delenv(name, raising=False)
    assert log_of_process("a/x.log") == Path("a/x.log")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert log_of_process("a/x.log") == Path("a/x.rank1.log")


def test_processes_that_found_other_checkpoints_stop(monkeypatch):
    monkeypatch.setattr(devices, "gather", lambda step: [step, step + 3])
    with pytest.raises(TrainingError, match=r"checkpoints of steps \[6, 9\] in work.*all nodes see"):
        devices.check_same_step(6, Path("work"))


def test_nodes_with_other_versions_of_torch_are_named(monkeypatch):
    found = [("a", "2.13.0"), ("a", "2.13.0"), ("b", "2.12.1")]
    monkeypatch.setattr(devices, "gather", lambda own: found)
    with pytest.raises(TrainingError, match=r"node a has torch 2.13.0, node b has torch 2.12.1\. Install one version"):
        devices._check_same_torch()
    monkeypatch.setattr(devices, "gather", lambda own: [("a", "2.13.0"), ("b", "2.13.0")])
    devices._check_same_torch()


def test_one_process_agrees_with_itself():
    assert devices.agree(0.5, None, True, torch.device("cpu")) == (0.5, 0, True)
    assert devices.gather("x") == ["x"]
    assert devices.predict_shared(np.asarray, [3, 1]).tolist() == [3, 1]


def test_two_processes_normalise_the_whole_batch_and_agree(tmp_path):
    """Expected values: torch's own batch normalisation of the whole batch, in one process and float64."""
    program = Path(__file__).parent / "shared_norm.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, tmp_path / "found.json"], env=environment, check=True, capture_output=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["world"] == 2 and found["threads"] == 1
    assert len(found["images"]) == len(found["rows"]) == 7 and len(found["without_weights"]) == 5
    assert max(*found["images"].values(), *found["rows"].values(), *found["without_weights"].values()) < 1e-12
    assert found["agreed"] == [1.5, 15, False]  # 0.25 + 1.25, the only signal, what the first says
    assert found["gathered"] == ["process 0", "process 1"]
    assert found["predicted"] == [[10.0], [6.0], [16.0], [2.0], [18.0]]
    assert found["alone"] == [[14.0]]


def test_processes_with_other_versions_of_torch_stop_before_they_train(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, torch\n"
        "from earmark.training.devices import Hardware, make_fabric\n"
        "if os.environ.get('LOCAL_RANK') == '1':\n"
        "    torch.__version__ = '2.0.0'\n"
        "make_fabric(Hardware('cpu', 2, threads=2))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, program], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"has torch {torch.__version__}, node" in done.stderr and "has torch 2.0.0. Install one" in done.stderr
