"""Hours that jobs took, and an estimate of those left."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

from earmark.benchmark_files import read_benchmark
from earmark.watch.runs import Job, Place, Run


@dataclass(frozen=True)
class Hours:
    """A number of jobs, the hours they take on the clock, and the hours they hold GPUs."""

    jobs: int
    hours: float
    gpu_hours: float


@dataclass(frozen=True)
class Usage:
    """`finished`: all jobs with a benchmark; `running`: so far; `left`: of the runs under way, None where none is.

    `left` counts a job at the mean of the finished jobs of its rule, a running one without the time it has run;
    `uncounted`: jobs left of rules of which none has finished.
    """

    finished: Hours
    running: Hours
    left: Hours | None
    uncounted: int


def measure_usage(
    benchmarks: Path,
    runs: Sequence[Run],
    open_runs: Sequence[Run],
    jobs: Sequence[tuple[Job, Place, object]],
    now: float,
) -> Usage:
    """Add up hours used and left.

    `benchmarks`: `results/<scale>/benchmarks`; `runs`: all of the folder, whose logs tell which rules asked for GPUs;
    `open_runs`: those whose jobs not yet started are left; `jobs`: those that run or wait; `now`: seconds since 1970.
    """
    places = {job.rule: job.benchmarks for run in runs for job in run.jobs}
    gpus = {job.benchmarks: job.gpus for run in runs for job in run.jobs}
    taken = read_seconds(benchmarks)
    finished = Hours(
        sum(map(len, taken.values())),
        sum(map(sum, taken.values())) / 3600,
        sum(gpus.get(name, 0) * sum(seconds) for name, seconds in taken.items()) / 3600,
    )
    elapsed = [(job, max(0.0, now - place.since) if place.since else 0.0) for job, place, _ in jobs]
    running = Hours(
        sum(place.since is not None for _, place, _ in jobs),
        sum(seconds for _, seconds in elapsed) / 3600,
        sum(job.gpus * seconds for job, seconds in elapsed) / 3600,
    )
    counts: Counter[str] = Counter()
    for run in open_runs:
        counts.update({rule: max(0, n - run.finished[rule]) for rule, n in run.planned.items()})
        counts.subtract(Counter(job.rule for job in [*run.running, *run.failed]))
    waiting = [(places.get(rule, rule), count, 0.0) for rule, count in counts.items() if count > 0]
    waiting += [(job.benchmarks, 1, seconds) for job, seconds in elapsed]
    known = [(name, count, max(0.0, mean(taken[name]) - done)) for name, count, done in waiting if taken.get(name)]
    left = Hours(
        sum(count for _, count, _ in known),
        sum(count * seconds for _, count, seconds in known) / 3600,
        sum(gpus.get(name, 0) * count * seconds for name, count, seconds in known) / 3600,
    )
    n_waiting = sum(count for _, count, _ in waiting)
    return Usage(finished, running, left if open_runs or jobs else None, n_waiting - left.jobs)


def read_seconds(benchmarks: Path) -> dict[str, list[float]]:
    """Read the seconds of finished jobs by rule; empty files, as a killed job leaves them, are left out."""
    taken = defaultdict(list)
    for path in benchmarks.rglob("*.tsv"):
        try:
            seconds = _read_seconds(path, path.stat().st_mtime_ns)
        except OSError:
            continue
        if seconds is not None:
            taken[path.relative_to(benchmarks).parts[0].removesuffix(".tsv")].append(seconds)
    return taken


@cache
def _read_seconds(path: Path, _mtime: int) -> float | None:
    measured = read_benchmark(path)
    return measured.seconds if measured else None
