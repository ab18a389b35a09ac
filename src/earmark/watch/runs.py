"""The runs of a folder and their jobs, from the logs that Snakemake 9 writes into .snakemake/log."""

import getpass
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from earmark.cluster import ask
from earmark.errors import ClusterError

TIME = re.compile(r"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]")
BEGIN = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
FINISHED = re.compile(r"Finished jobid: (\S+) \(Rule: (\w+)\)")
SUBMITTED = re.compile(r"Job (\S+) has been submitted with SLURM jobid (\d+)")
SUBMITTED_ARRAY = re.compile(
    r"Submitted array job with Snakemake IDs ([\d,]+) and SLURM job ID (\d+)\. The individual task IDs are (\d+)-"
)
END = ("Complete log(s):", "Nothing to be done", "Congratulations")
FIELDS = ("output", "log", "benchmark", "wildcards", "threads", "resources")


class Place(NamedTuple):
    """Where a job is: `since` in seconds since 1970, None while it waits; `node`: None where it is not known."""

    since: float | None
    node: str | None


@dataclass(eq=False)
class Job:
    """A job as Snakemake's log tells it. `begun`: when it was started or submitted; `slurm`: its id there."""

    rule: str
    begun: float
    slurm: str | None = None
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> list[str]:
        """List the files that it makes."""
        return self.fields["output"].split(", ") if "output" in self.fields else []

    @property
    def log(self) -> str | None:
        """Name its own log."""
        return self.fields.get("log")

    @property
    def wildcards(self) -> dict[str, str]:
        """Give its wildcards by name."""
        return _pairs(self.fields.get("wildcards", ""))

    @property
    def scale(self) -> str | None:
        """Name its scale; None where neither a wildcard nor the place of its log tells."""
        match = re.match(r"results/([^/]+)/", self.log or "")
        return self.wildcards.get("scale") or (match and match[1])

    @property
    def gpus(self) -> int:
        """Count the GPUs that it asked for."""
        asked = _pairs(self.fields.get("resources", "")).get("gpu", "0")
        return int(asked) if asked.isdigit() else 0

    @property
    def benchmarks(self) -> str:
        """Name the folder, or the file without its suffix, where benchmarks of its rule lie."""
        parts = Path(self.fields.get("benchmark", self.rule)).parts
        return parts[parts.index("benchmarks") + 1].removesuffix(".tsv") if "benchmarks" in parts else self.rule

    def place(self, folder: Path, queue: Mapping[str, Place] | None) -> Place:
        """Say since when it runs and where; a job of a cluster that is not asked runs once its log is written to."""
        if self.slurm is None:
            return Place(self.begun, None)
        if queue is not None and self.slurm in queue:
            return queue[self.slurm]
        try:
            path = folder / self.log
            has_begun = path.stat().st_mtime >= self.begun
            with path.open(errors="replace") as file:
                return Place(_log_time(file.readline()) if has_begun else None, None)
        except (OSError, TypeError):
            return Place(None, None)


@dataclass(eq=False)
class Run:
    """One call of Snakemake. `planned`, `finished`: jobs by rule; `failed`: those not started again."""

    path: Path
    begun: float = 0.0
    host: str | None = None
    is_ended: bool = False
    planned: dict[str, int] = field(default_factory=dict)
    finished: Counter = field(default_factory=Counter)
    running: list[Job] = field(default_factory=list)
    failed: list[Job] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


def read_runs(folder: Path, known: dict[Path, tuple[int, Run]]) -> list[Run]:
    """Read the logs of all runs in a folder that had jobs, oldest first; what cannot be read is left out.

    `known`: the runs of the last call with the sizes of their logs, so that only a log that grew is read again.
    """
    for path in sorted(folder.glob(".snakemake/log/*.snakemake.log")):
        try:
            size = path.stat().st_size
            if path not in known or known[path][0] != size:
                with path.open(errors="replace") as file:
                    known[path] = size, parse_run(file, path)
        except OSError:
            continue
    return [run for _, run in known.values() if run.planned]


def parse_run(lines: Iterable[str], path: Path) -> Run:
    """Follow the log of a run line by line; a line that is cut off or unknown changes nothing."""
    run = Run(path)
    running: dict[str, Job] = {}
    failed: dict[str, Job] = {}
    job, when, in_error, in_table = None, 0.0, False, False
    for line in lines:
        text = line.strip()
        key, _, value = text.partition(": ")
        if stamp := TIME.match(text):
            when, job, in_error = time.mktime(time.strptime(stamp[1])), None, False
            run.begun = run.begun or when
        elif text == "Job stats:":
            in_table = True
        elif in_table:
            words = text.split()
            in_table = bool(words)
            if len(words) == 2 and words[1].isdigit() and words[0] != "total":
                run.planned[words[0]] = int(words[1])
        elif text.startswith("Error in "):
            in_error = True
        elif match := FINISHED.match(text):
            running.pop(match[1], None)
            run.finished[match[2]] += 1
        elif match := SUBMITTED.match(text):
            _set_slurm(running, match[1], match[2])
        elif match := SUBMITTED_ARRAY.match(text):
            for number, jobid in enumerate(match[1].split(","), int(match[3])):
                _set_slurm(running, jobid, f"{match[2]}_{number}")
        elif key == "Host" and run.host is None:
            run.host = value
        elif in_error and key == "jobid" and value in running:
            failed[value] = running.pop(value)
        elif not in_error and (match := BEGIN.fullmatch(text)):
            job = Job(match[1], when)
        elif job and key == "jobid":
            running[value] = job
            failed.pop(value, None)
            run.jobs.append(job)
        elif job and key in FIELDS:
            job.fields[key] = value
        elif text.startswith(END):
            run.is_ended = True
    run.running, run.failed = list(running.values()), list(failed.values())
    return run


def living_runs(runs: Iterable[Run], folder: Path) -> list[Run]:
    """Return the runs whose Snakemake still lives.

    On its own machine it does when a process of this user holds the log open. From elsewhere, or where the system
    does not tell, Snakemake's locks decide; a killed Snakemake leaves them.
    """
    is_locked = any((folder / ".snakemake" / "locks").glob("*.lock"))
    begun = [run for run in runs if not run.is_ended]
    held = _open_files() if begun and Path("/proc/self/fd").is_dir() else None
    return [run for run in begun if (run.path.resolve() in held if held is not None and _is_ours(run) else is_locked)]


def ask_queue() -> dict[str, Place] | None:
    """Ask SLURM for this user's jobs, by id; None where it gives no answer."""
    try:
        text = ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i|%T|%N|%S")
    except ClusterError:
        return None
    queue = {}
    for line in text.splitlines():
        number, state, node, start = line.strip().split("|")
        is_running = state not in ("PENDING", "REQUEUED", "CONFIGURING")
        queue[number] = Place(_seconds(start, "%Y-%m-%dT%H:%M:%S") if is_running else None, node or None)
    return queue


def _is_ours(run: Run) -> bool:
    """Say whether a run was started on this machine by this user."""
    try:
        return run.host == socket.gethostname() and run.path.stat().st_uid == os.getuid()
    except OSError:
        return False


def _open_files() -> set[Path]:
    """List the files that this user's Snakemake processes on this machine hold open."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"snakemake" in (process / "cmdline").read_bytes():
                found |= {entry.readlink() for entry in (process / "fd").iterdir()}
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    return found


def _set_slurm(running: Mapping[str, Job], jobid: str, slurm: str) -> None:
    if jobid in running:
        running[jobid].slurm = slurm


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(", ") if "=" in part)


def _log_time(line: str) -> float | None:
    return _seconds(line[:19], "%Y-%m-%d %H:%M:%S")


def _seconds(text: str, form: str) -> float | None:
    try:
        return time.mktime(time.strptime(text, form))
    except ValueError:
        return None
