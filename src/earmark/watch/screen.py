"""What `earmark watch` prints: the jobs, the hours, and what failed."""

import time
from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from earmark.watch.runs import Job, Place, Run
from earmark.watch.trainings import Training
from earmark.watch.usage import Usage

OTHER_LINES = 22  # of the screen: all but the rows of the first table
SHOWN_FAILURES = 5
UNKNOWN = "-"
SPEED = "Steps/s and the time left at most are those of the present training, with all its epochs and its validations."
LEFT = "Left is an estimate: each planned job at the mean time of the finished ones of its rule, less the time it ran."


def draw(
    scale: str,
    runs: Sequence[Run],
    open_runs: Sequence[Run],
    jobs: Sequence[tuple[Job, Place, Training]],
    usage: Usage,
    now: float,
    height: int | None,
) -> Group:
    """Lay out what was read. `now`: seconds since 1970; `height`: lines of the terminal, None for no limit."""
    parts = [Text(f"Scale {scale}, {_clock(now)}. {_progress(runs, open_runs, jobs, scale)}")]
    if jobs:
        parts += _jobs(jobs, height)
    parts += [_hours(usage), Text(_note(usage, len(jobs)), style="dim")]
    failed = [job for run in (open_runs or runs[-1:]) for job in run.failed]
    if failed:
        parts.append(Text(f"{len(failed)} failed in {'this' if open_runs else 'the last'} run:", style="red"))
        parts += [Text(f"  {_name(job)}, log: {job.log or '-'}") for job in failed[-SHOWN_FAILURES:]]
    return Group(*parts)


def spell_time(seconds: float | None) -> str:
    """Write a duration as 1:02:03; a dash where it is not known."""
    if seconds is None:
        return UNKNOWN
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _progress(runs: Sequence[Run], open_runs: Sequence[Run], jobs: Sequence, scale: str) -> str:
    if not open_runs and not jobs:
        return (
            "Nothing runs in this folder."
            f" What a run would take: snakemake --cores 1 plan --config scale={scale}."
            f" To start it: snakemake --cores all --config scale={scale}."
        )
    if not open_runs:
        return f"Snakemake has ended or was killed; {len(jobs)} of its jobs are still on the cluster."
    told = [
        f"Run since {_clock(run.begun)}: {run.finished.total()} of {sum(run.planned.values())} jobs done."
        for run in open_runs
    ]
    return " ".join(told) + ("" if jobs else " No job of this scale runs now.")


def _jobs(jobs: Sequence[tuple[Job, Place, Training]], height: int | None) -> list:
    ordered = sorted(jobs, key=lambda row: (row[1].since is None, row[2].step is None, row[1].since or 0.0))
    shown = ordered if height is None else ordered[: max(1, height - OTHER_LINES)]
    rows = [_cells(job, place, training) for job, place, training in shown]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    kept = [head for head in rows[0] if any(row[head] != UNKNOWN for row in rows)]
    for head in kept:
        is_text = head in ("job", "node")
        table.add_column(head, justify="left" if is_text else "right", min_width=24 if head == "job" else None)
    for row in rows:
        table.add_row(*(row[head] for head in kept))
    rest = len(ordered) - len(shown)
    below = [f"and {rest} more"] if rest else []
    below += [SPEED] if "steps/s" in kept else []
    return [table, *(Text(line, style="dim") for line in below)]


def _cells(job: Job, place: Place, training: Training) -> dict[str, str]:
    return {
        "job": _name(job),
        "since": _clock(place.since) if place.since else "waits",
        "node": place.node or UNKNOWN,
        "run": _of(training.run, training.runs),
        "epoch": _of(training.epoch, training.epochs),
        "step": _number(training.step),
        "loss": _number(training.loss),
        "score": _number(training.score),
        "steps/s": _number(training.rate),
        "at most left": spell_time(training.left),
    }


def _hours(usage: Usage) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(("", "jobs", "job hours", "GPU hours")):
        table.add_column(head, justify="right" if place else "left", no_wrap=True)
    lines = {"finished": usage.finished, "running, so far": usage.running, "left, about": usage.left}
    for name, hours in lines.items():
        if hours is not None:
            is_known = hours.jobs or not usage.uncounted
            numbers = f"{hours.hours:,.2f}", f"{hours.gpu_hours:,.2f}"
            table.add_row(name, f"{hours.jobs:,}", *(numbers if is_known else (UNKNOWN, UNKNOWN)))
    return table


def _note(usage: Usage, n_jobs: int) -> str:
    texts = ["GPU hours: of rules that ask for a GPU, used or not."]
    if usage.left is not None:
        texts.append(LEFT)
        if usage.uncounted:
            texts.append(f"Not in it, as no job of their rules has finished: {usage.uncounted}.")
        if n_jobs and usage.left.hours:
            texts.append(f"At {n_jobs} at a time, as now: {spell_time(usage.left.hours * 3600 / n_jobs)}.")
    return " ".join(texts)


def _name(job: Job) -> str:
    return " ".join([job.rule, *(value for key, value in job.wildcards.items() if key != "scale")])


def _of(value: float | None, limit: float | None) -> str:
    if value is None:
        return UNKNOWN
    return _number(value) + (f" of {limit:g}" if limit else "")


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _clock(seconds: float) -> str:
    today = time.strftime("%Y-%m-%d")
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)).removeprefix(f"{today} ")
