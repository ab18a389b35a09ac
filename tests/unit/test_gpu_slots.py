"""Slots of GPUs: never shared, freed by a kill, waited for with a message; with made-up devices on a CPU."""

import os
import subprocess
import sys
import time
from itertools import combinations

import pytest

from earmark.errors import ConfigError
from earmark.gpu_slots import OFFERED, find_devices, offer_gpus, take_gpus

# Takes GPUs, writes what it has and since when, holds them until its input ends, writes when that was.
JOB = """
import sys, time
from pathlib import Path
from earmark import gpu_slots
gpu_slots.SILENT_SECONDS, gpu_slots.RETRY_SECONDS = 0.3, 0.05
count, name, folder, seconds = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
taken = gpu_slots.take_gpus(count, name, folder / "locks")
print(*taken, time.monotonic(), flush=True)
time.sleep(seconds)
print(time.monotonic(), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a process which takes GPUs out of `offered` and holds them for some seconds."""
    started = []

    def run(count: int, offered: str, seconds: float) -> subprocess.Popen:
        command = [sys.executable, "-c", JOB, str(count), f"job{len(started)}", str(tmp_path), str(seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=os.environ | {OFFERED: offered}, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Give a function that puts an nvidia-smi of some GPUs on the path; without it there is none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setenv(OFFERED, "")

    def put(n_gpus: int):
        lines = [f"GPU {number}: NVIDIA A100 (UUID: GPU-{number})" for number in range(n_gpus)]
        lines.insert(1, "  MIG 1g.5gb Device 0: (UUID: MIG-5)")  # a part of the first, no device of its own
        (tmp_path / "nvidia-smi").write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return put


def test_jobs_at_once_never_share_a_gpu(start):
    counts = [1, 2, 1, 3, 1, 2, 3, 1]
    jobs = [start(count, "4,5,7", 0.3) for count in counts]
    held = []
    for count, job in zip(counts, jobs, strict=True):
        words = job.communicate(timeout=60)[0].split()
        assert job.returncode == 0 and len(words) == count + 2
        held.append((set(words[:count]), float(words[-2]), float(words[-1])))
    assert set.union(*(gpus for gpus, _, _ in held)) == {"4", "5", "7"}
    for (gpus, begin, end), (others, other_begin, other_end) in combinations(held, 2):
        assert not gpus & others or end <= other_begin or other_end <= begin


def test_a_killed_job_frees_its_gpu(start):
    holder = start(1, "0", 600)
    assert holder.stdout.readline().startswith("0 ")
    waiting = start(1, "0", 0)
    assert "waits for 1 of the GPUs 0" in waiting.stderr.readline()
    killed_at = time.monotonic()
    holder.kill()
    taken, since, _ = waiting.communicate(timeout=60)[0].split()
    assert taken == "0" and float(since) > killed_at


def test_a_waiting_job_says_for_what(start):
    holder = start(1, "0,1", 600)
    holder.stdout.readline()
    waiting = start(2, "0,1", 0)
    message = waiting.stderr.readline()
    assert message == f"job1 waits for 2 of the GPUs 0,1; 0 is held by process {holder.pid} (job0)\n"
    assert waiting.poll() is None
    holder.kill()
    assert waiting.communicate(timeout=60)[0].startswith("0 1 ")


def test_forked_processes_neither_free_nor_take_gpus(start, tmp_path, monkeypatch):
    monkeypatch.setenv(OFFERED, "0,1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code = (
        "import os; from pathlib import Path; from earmark.gpu_slots import take_gpus; "
        f"folder = Path({str(tmp_path / 'locks')!r}); take_gpus(1, 'parent', folder); "
        "child = os.fork(); "
        "child or (print(take_gpus(1, 'child', folder), os.environ['CUDA_VISIBLE_DEVICES'], flush=True), exit(0)); "
        "os.waitpid(child, 0); print('waited', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as parent:
        assert [parent.stdout.readline(), parent.stdout.readline()] == ["[] 0\n", "waited\n"]
        assert start(1, "0,1", 0).communicate(timeout=60)[0].startswith("1 ")
        parent.communicate("\n")
    assert start(1, "0,1", 0).communicate(timeout=60)[0].startswith("0 ")


def test_locks_that_others_could_hold_are_refused(tmp_path, monkeypatch):
    locks, user = tmp_path / "locks", os.getuid()
    locks.mkdir()
    locks.chmod(0o755)
    monkeypatch.setenv(OFFERED, "0,1")
    with pytest.raises(ConfigError, match=rf"{locks}: its mode is 755, .* user {user} alone .* Remove it"):
        take_gpus(1, "job", locks)
    locks.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    monkeypatch.setenv(OFFERED, "0,1")
    with pytest.raises(ConfigError, match=rf"{locks}: it belongs to user {user}, .* user {user + 1} alone"):
        take_gpus(1, "job", locks)
    assert not list(locks.iterdir())


def test_more_gpus_than_are_offered_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(OFFERED, "0,1")
    with pytest.raises(ConfigError, match=r"asks for 3 GPUs and the run offers 2: 0,1\. Set devices in config\.yaml"):
        take_gpus(3, "job", tmp_path)


@pytest.mark.parametrize(("offered", "count"), [(None, 1), ("", 1), ("0,1", 0)])
def test_nothing_is_done_where_no_gpu_is_offered_or_asked_for(tmp_path, monkeypatch, offered, count):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")  # by SLURM
    monkeypatch.delenv(OFFERED, raising=False)
    if offered is not None:
        monkeypatch.setenv(OFFERED, offered)
    assert take_gpus(count, "job", tmp_path / "locks") == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3" and not (tmp_path / "locks").exists()


@pytest.mark.parametrize(
    ("visible", "devices"),
    [("2,3", ["2", "3"]), (" 2, GPU-8f", ["2", "GPU-8f"]), ("1,-1,0", ["1"]), ("", []), ("-1", [])],
)
def test_devices_that_the_user_shows(smi, monkeypatch, visible, devices):
    smi(8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_devices() == devices


def test_devices_are_counted_by_nvidia_smi(smi):
    assert find_devices() == []
    smi(3)
    assert find_devices() == ["0", "1", "2"]


def test_the_first_devices_are_offered_as_many_as_the_total(smi, monkeypatch):
    smi(4)
    assert offer_gpus(2, 1) == ["0", "1"] and os.environ[OFFERED] == "0,1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert offer_gpus(2, 2) == ["2", "3"] and os.environ[OFFERED] == "2,3"


def test_without_a_gpu_nothing_is_offered(smi):
    assert offer_gpus(2, 1) == [] and os.environ[OFFERED] == ""


@pytest.mark.parametrize(
    ("total", "most_asked", "message"),
    [
        (3, 1, r"total of 3 GPUs is set and this machine shows 2: 0, 1\. Set gpu to at most 2 .* profiles/gpus/config"),
        (1, 2, r"a job asks for 2 GPUs and the total is 1\. Set devices in config\.yaml to at most 1"),
    ],
)
def test_too_few_devices_are_refused_before_the_first_job(smi, total, most_asked, message):
    smi(2)
    with pytest.raises(ConfigError, match=message):
        offer_gpus(total, most_asked)
    assert os.environ[OFFERED] == ""


@pytest.mark.slow
def test_importing_the_modules_of_gpu_jobs_asks_cuda_for_nothing():
    # CUDA reads CUDA_VISIBLE_DEVICES once, when it is first asked; jobs set it after their imports.
    code = """
import torch
def refuse(*arguments, **options): raise SystemExit("CUDA was asked at import")
for name in ("is_available", "device_count", "current_device", "init", "_lazy_init"): setattr(torch.cuda, name, refuse)
import earmark.embed, earmark.heads.finetune, earmark.heads.frozen, earmark.heads.linear
import earmark.pretraining.byol, earmark.pretraining.tagging, earmark.provenance
"""
    subprocess.run([sys.executable, "-c", code], check=True)
