"""How far a training is, from its running history.csv and the log of its job."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from earmark.config import Config
from earmark.config.requests import Run as Cell
from earmark.plan import n_trainings
from earmark.watch.runs import Job

STARTED = re.compile(r"INFO .*\bseed\d+_fold\w+: \d+ clips to train on")
FINISHED = re.compile(r"INFO .*\bseed\d+_fold\w+ is finished already")
BEGIN = {"step": 0.0, "epoch": 0.0, "seconds": 0.0}
CHECKPOINT = re.compile(r"checkpoint_(\d+)\.pt")


@dataclass(frozen=True)
class Training:
    """Where a training stands; None for what is not known.

    `step`: of the last validation or checkpoint; `rate`: steps a second between the last two validations, with the time
    of validating; `epochs`: at most; `left`: seconds for all of them at this rate; `run`, `runs`: of a job that trains
    seeds and folds one after the other.
    """

    step: int | None = None
    epoch: float | None = None
    epochs: int | None = None
    loss: float | None = None
    score: float | None = None
    rate: float | None = None
    left: float | None = None
    run: int | None = None
    runs: int | None = None


def read_training(job: Job, folder: Path, config: Config) -> Training:
    """Say how far the training of a job is; nothing but None for a job that trains nothing."""
    epochs, runs = _limits(job, config)
    run = _run_number(folder, job.log)
    work = _newest_work(job, folder)
    rows = read_history(work / "history.csv", job.begun) if work else []
    before, last = [BEGIN, *rows][-2:] if rows else ({}, {})
    steps = [last["step"]] if "step" in last else []
    steps += [float(match[1]) for path in _listed(work) if (match := CHECKPOINT.fullmatch(path.name))]
    rate, left = None, None
    if {"step", "seconds"} <= last.keys() & before.keys() and last["seconds"] > before["seconds"]:
        seconds = last["seconds"] - before["seconds"]
        rate = (last["step"] - before["step"]) / seconds
        gained = last.get("epoch", 0.0) - before.get("epoch", 0.0)  # epochs
        left = max(0.0, epochs - last["epoch"]) * seconds / gained if epochs and gained > 0 else None
    return Training(
        step=int(max(steps)) if steps else None,
        epoch=last.get("epoch"),
        epochs=epochs,
        loss=last.get("train_loss"),
        score=last.get("score"),
        rate=rate,
        left=left,
        run=run,
        runs=runs,
    )


def read_history(path: Path, since: float = 0.0) -> list[dict[str, float]]:
    """Read the numbers of a history.csv, row by row; a cut last line, and what is no number, are left out.

    Returns no rows for a file that is absent, cannot be read, or was last written before `since`.
    """
    try:
        if path.stat().st_mtime < since:
            return []
        lines = path.read_text(errors="replace").splitlines(keepends=True)
    except OSError:
        return []
    rows = []
    for row in csv.DictReader(line for line in lines if line.endswith("\n")):
        numbers = {}
        for key, value in row.items():
            try:
                numbers[key] = float(value)
            except (TypeError, ValueError):
                continue
        rows.append(numbers)
    return rows


def _newest_work(job: Job, folder: Path) -> Path | None:
    """Find the working folder of a job's training: beside its weights, or of the run that is trained now."""
    found = []
    for output in map(Path, job.outputs):
        found += _listed(folder / output.parent, "checkpoints")
        found += _listed(folder / output.with_suffix("") / "runs", "*.work")
    return max(found, key=_changed, default=None)


def _run_number(folder: Path, log: str | None) -> int | None:
    """Count the runs that a job has begun or found finished; None for a job without runs."""
    try:
        text = (folder / log).read_text(errors="replace")
    except (OSError, TypeError):
        return None
    return len(STARTED.findall(text)) + len(FINISHED.findall(text)) or None


def _limits(job: Job, config: Config) -> tuple[int | None, int | None]:
    """Give the largest number of epochs of a training and the number of trainings of its job, as declared."""
    wildcards = job.wildcards
    representation, study, task = (wildcards.get(name) for name in ("representation", "study", "task"))
    if study is None:
        study = next(
            (slug for slug, entry in config.studies.items() if representation in entry["representations"]), None
        )
    if study not in config.studies or representation is None:
        return None, None
    if job.rule == "pretrain_encoder":
        return config.protocol(study, "pretraining")["max_epochs"], None
    if job.rule == "pretrain_byol":
        return config.byol_protocol(study, representation)["epochs"], None
    if task in config.studies[study]["tasks"] and "downstream" in config.studies[study]["protocols"]:
        trainings = n_trainings(config, study, Cell(task, representation, wildcards.get("mode", "frozen")))
        return config.protocol(study, "downstream")["max_epochs"], trainings
    if job.rule.startswith("evaluate_linear"):
        cells = [Cell(task, representation, "linear") for task in config.linear_tasks(study)]
        return None, sum(n_trainings(config, study, cell) for cell in cells)
    return None, None


def _listed(folder: Path | None, pattern: str = "*") -> list[Path]:
    try:
        return sorted(folder.glob(pattern)) if folder else []
    except OSError:
        return []


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
