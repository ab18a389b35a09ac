"""What clusters do to jobs, done on purpose, and a watch that sees which job works on what."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cluster import Cluster

INTERVAL_SECONDS = 0.5
DOWN_SECONDS = 3


@dataclass
class Attempt:
    """One job that worked on one target, and when it was first and last seen (s, monotonic)."""

    target: str
    first: float
    last: float

    @property
    def seconds(self) -> float:
        return self.last - self.first


@dataclass
class Watch(threading.Thread):
    """Looks twice a second at the processes of a checkout's jobs: each attempt at each target, and any seen twice."""

    folder: Path
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    doubled: set[str] = field(default_factory=set)

    def __post_init__(self):
        threading.Thread.__init__(self, daemon=True)
        self._stop_now = threading.Event()

    def __hash__(self):
        return id(self)

    def run(self) -> None:
        while not self._stop_now.wait(INTERVAL_SECONDS):
            self.look()

    def look(self) -> None:
        """Note who works on what now; a process that was stopped is there, but its time is no work."""
        now, jobs, batches = time.monotonic(), {}, {}
        for worker in workers(self.folder):
            for target in worker.targets:
                jobs.setdefault(target, set()).add(worker.job)
                if worker.is_batch:
                    batches.setdefault(target, set()).add(worker.pid)
                    attempt = self.attempts.setdefault((target, worker.pid), Attempt(target, now, now))
                    if not worker.is_stopped:
                        attempt.last = now
        for found in (jobs, batches):
            self.doubled |= {target for target, owners in found.items() if len(owners) > 1}

    def stop(self) -> None:
        self._stop_now.set()
        self.join()

    def job_seconds(self) -> float:
        """Give the seconds of all attempts together."""
        return sum(attempt.seconds for attempt in self.attempts.values())

    def repeated_share(self) -> float:
        """Give the share of all job seconds that lies in attempts which a later one followed.

        It is more than the work that was done again: a training that is stopped goes on from its checkpoint.
        """
        by_target: dict[str, list[Attempt]] = {}
        for attempt in self.attempts.values():
            by_target.setdefault(attempt.target, []).append(attempt)
        lost = sum(
            sum(one.seconds for one in sorted(group, key=lambda a: a.first)[:-1]) for group in by_target.values()
        )
        return lost / max(self.job_seconds(), 1e-9)


@dataclass(frozen=True)
class Worker:
    """A Snakemake process of a SLURM job, and the targets that it makes.

    Each job has two: one of the batch script, which starts one of the job step, which starts the rule's script.
    """

    pid: int
    parent: int
    targets: list[str]
    job: str
    is_batch: bool
    is_stopped: bool

    def makes(self, rule: str) -> bool:
        """Tell whether it works for a rule."""
        return self.targets[0].startswith(f"{rule}:")


def workers(folder: Path) -> list[Worker]:
    """List the Snakemake processes of a checkout's jobs."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, KeyError):
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "--target-jobs" not in words or "python" not in Path(words[0]).name:
                continue
            if (path / "cwd").readlink() != folder:
                continue
            start = words.index("--target-jobs") + 1
            stop = next((i for i in range(start, len(words)) if words[i].startswith("--")), len(words))
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            job, is_batch = _variables(path)["SLURM_JOB_ID"], "slurm-jobstep" in words
            found.append(Worker(int(path.name), int(parent), words[start:stop], job, is_batch, state == "T"))
    pids = {worker.pid for worker in found}
    return [worker for worker in found if worker.parent not in pids]  # a copy that is about to become another program


class Faults:
    """Chooses faults by a seed and carries them out on a cluster on which a study runs."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int):
        self.cluster, self.folder, self.random = cluster, folder, random.Random(seed)
        self.done: list[str] = []
        self.hung: str | None = None

    def apply(self, name: str, snakemake: subprocess.Popen) -> bool:
        """Carry out one fault; returns False where there was nothing to strike.

        Until a stopped job has reached its time limit, only other jobs are struck, one at a time; and none while a
        pre-training is about to exceed its memory for the first time.
        """
        if not over_memory(self.folder) and any(one.makes("pretrain_encoder") for one in workers(self.folder)):
            return False
        running = self.cluster.jobs("RUNNING")
        if self.hung not in running:
            self.hung = None
        elif name not in ("cancel", "requeue"):
            return False
        others = [job for job in running if job != self.hung]
        if not others:
            return False
        if name in ("cancel", "requeue"):
            struck = getattr(self, f"_{name}")(self.random.choice(others))
        else:
            struck = getattr(self, f"_{name}")(snakemake)
        if struck:
            self.done.append(name)
        return struck

    def _cancel(self, job: str) -> bool:
        return _succeeds("scancel", job)

    def _requeue(self, job: str) -> bool:
        return _succeeds("scontrol", "requeue", job)

    def _node(self, _) -> bool:
        self.cluster.set_node_down()
        time.sleep(DOWN_SECONDS)
        self.cluster.set_node_up()
        return True

    def _slurmd(self, _) -> bool:
        self.cluster.kill_slurmd()
        time.sleep(DOWN_SECONDS)
        self.cluster.start_slurmd()
        return True

    def _snakemake(self, snakemake: subprocess.Popen) -> bool:
        snakemake.kill()
        snakemake.wait()
        return True

    def _hang(self, _) -> bool:
        """Stop one training where it stands; its time limit ends it."""
        trainings = [one for one in workers(self.folder) if one.makes("finetune_encoder")]
        if not trainings:
            return False
        chosen = self.random.choice(trainings)
        self.hung = chosen.job
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "cwd").readlink() == self.folder and _variables(path).get("SLURM_JOB_ID") == chosen.job:
                    os.kill(int(path.name), signal.SIGSTOP)
        return True


def over_memory(folder: Path) -> int:
    """Count the jobs of a checkout that SLURM killed for their memory, by what it wrote into their logs."""
    logs = (folder / ".snakemake" / "slurm_logs").rglob("*.log")
    return sum("memory limit" in path.read_text(errors="replace") for path in logs)


def _variables(process: Path) -> dict[str, str]:
    """Read the environment of a process, given its folder in /proc."""
    pairs = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
