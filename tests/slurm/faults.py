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
HANGS = "count_corpus"  # a rule with one job, for which the trainings do not wait
GREEDY = "pretrain_encoder"  # gets less memory than it needs at its first attempt


# Where a rule writes what its next attempt goes on from: checkpoints, and the runs that are done.
GOES_ON = {
    "pretrain_encoder": "encoders/{representation}/checkpoints",
    "finetune_encoder": "scores/{study}/{task}/{representation}/{mode}/runs",
    "train_probe": "scores/{study}/{task}/{representation}/frozen/runs",
}


@dataclass
class Attempt:
    """One start of a job: the targets that it worked on, when it was first and last seen at work (s, monotonic).

    `saved`: when it last wrote what a next attempt goes on from, so that only what it did since then is done again.
    """

    targets: set[str]
    first: float
    last: float
    saved: float

    @property
    def seconds(self) -> float:
        return self.last - self.first

    @property
    def unsaved_seconds(self) -> float:
        return self.last - min(self.saved, self.last)

    def look_for_saved(self, results: Path) -> None:
        """Note the newest file that a next attempt goes on from."""
        for target in self.targets:
            rule, _, values = target.partition(":")
            if rule in GOES_ON:
                folder = GOES_ON[rule].format(**dict(pair.split("=", 1) for pair in values.split(",")))
                for path in (results / folder).rglob("*"):
                    with contextlib.suppress(OSError):  # taken away since
                        age = time.time() - path.stat().st_mtime
                        self.saved = max(self.saved, time.monotonic() - age)


@dataclass
class Watch(threading.Thread):
    """Looks twice a second at the processes of a checkout's jobs: each attempt, and targets that two work on."""

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
        now, found, owners = time.monotonic(), workers(self.folder), {}
        for worker in found:
            if worker.is_batch:
                attempt = self.attempts.setdefault((worker.job, worker.group), Attempt(set(), now, now, now))
                attempt.last = attempt.last if worker.is_stopped else now
                attempt.targets.update(*(one.targets for one in found if one.job == worker.job and not one.is_batch))
                attempt.look_for_saved(self.folder / "results" / "mini")
            else:
                for target in worker.targets:
                    owners.setdefault(target, set()).add((worker.job, worker.group))
        self.doubled |= {target for target, several in owners.items() if len(several) > 1}

    def stop(self) -> None:
        self._stop_now.set()
        self.join()

    def targets(self) -> set[str]:
        """Give all targets that were worked on."""
        return set().union(*(attempt.targets for attempt in self.attempts.values()))

    def job_seconds(self) -> float:
        """Give the seconds of all attempts together."""
        return sum(attempt.seconds for attempt in self.attempts.values())

    def repeated_share(self) -> float:
        """Give the share of all job seconds that was done again: what attempts that another followed had not saved.

        An attempt that began no work counts whole. The start of a further attempt's programs is not in it;
        `followed_share` is the share of all attempts that were followed, and so more than what was lost.
        """
        return sum(attempt.unsaved_seconds for attempt in self._followed()) / max(self.job_seconds(), 1e-9)

    def followed_share(self) -> float:
        """Give the share of all job seconds that lies in attempts which another one followed, saved work included."""
        return sum(attempt.seconds for attempt in self._followed()) / max(self.job_seconds(), 1e-9)

    def _followed(self) -> list[Attempt]:
        attempts = sorted(self.attempts.values(), key=lambda attempt: attempt.first)
        return [
            one
            for number, one in enumerate(attempts)
            if not one.targets or any(one.targets & later.targets for later in attempts[number + 1 :])
        ]


@dataclass(frozen=True)
class Worker:
    """A Snakemake process of a SLURM job, and the targets that it makes.

    Each job has two: one of the batch script, and the one that this starts, which starts the rule's script. The first
    names the targets of the first job of an array only. `group`: its process group, another one at each start of a job.
    """

    pid: int
    group: int
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
            state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            job, is_batch = _variables(path)["SLURM_JOB_ID"], "slurm-jobstep" in words
            found.append(Worker(int(path.name), int(group), words[start:stop], job, is_batch, state == "T"))
    return found


class Faults:
    """Chooses faults by a seed and carries them out on a cluster on which a study runs."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int):
        self.cluster, self.folder, self.random = cluster, folder, random.Random(seed)
        self.done: list[str] = []
        self.hung: str | None = None

    def apply(self, name: str, snakemake: subprocess.Popen) -> bool:
        """Carry out one fault; returns False where there was nothing to strike.

        Until a stopped job has reached its time limit, only other jobs are struck, one at a time; and none but by
        `hang` while a job is about to exceed its memory for the first time.
        """
        is_about_to_exceed = not over_memory(self.folder) and any(one.makes(GREEDY) for one in workers(self.folder))
        if is_about_to_exceed and name != "hang":  # which strikes another job, and may find it at no other time
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
        """Stop a job of the rule where it stands; its time limit ends it."""
        chosen = next((one for one in workers(self.folder) if one.makes(HANGS)), None)
        if chosen is None:
            return False
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
