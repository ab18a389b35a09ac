"""What failed in a run: where the logs are, their last lines, and the command that reruns just that."""

import json
import logging
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from earmark.files import write_json, write_text
from earmark.resources import name_in_config
from earmark.workdir import WHERE_TO_WRITE, program

LAST_LINES = 10
TAIL_BYTES = 20_000
# Options that change what is made, and would make a rerun of one file more than that.
CHOOSING = re.compile(
    r"-f|--force|-F|--forceall|-R|--forcerun|-U|--until|-O|--omit-from|--allowed-rules|--batch|--target-jobs|--touch|-t|--"
)
SNAKEMAKES_ADVICE = "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
ADVICE = {
    r"OUT_OF_MEMORY|oom.kill|MemoryError|Killed": (
        "It had too little memory. Raise it with this line in config.yaml:"
        " `overrides: {{resources: {{{name}: {{mem_mb: MEGABYTES}}}}}}`,"
        " or with --set-resources {rule}:mem_mb=MEGABYTES."
    ),
    r"TIMEOUT|DUE TO TIME LIMIT": (
        "It had too little time. Raise it with this line in config.yaml:"
        " `overrides: {{resources: {{{name}: {{runtime: MINUTES}}}}}}`,"
        " or with --set-resources {rule}:runtime=MINUTES."
    ),
    r"Read-only file system|Permission denied|PermissionError|cannot write in": (
        "A folder cannot be written where the job ran. On a cluster every node needs the right to write there. "
        + WHERE_TO_WRITE
        + "."
    ),
}


@dataclass(frozen=True)
class Failure:
    """A job that failed at its last attempt. `target`: what Snakemake is asked for to run it, a file or a rule."""

    rule: str
    wildcards: str
    target: str
    attempts: int
    message: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)  # of each log
    command: str = ""

    def advice(self) -> str:
        """Say what to do where message or logs tell the cause; empty where they do not."""
        text = "\n".join([self.message, *(line for lines in self.lines.values() for line in lines)])
        found = (advice for pattern, advice in ADVICE.items() if re.search(pattern, text))
        return next(found, "").format(rule=self.rule, name=name_in_config(self.rule))


class JobErrors(logging.Handler):
    """Keeps what Snakemake's log says of failed jobs and they do not know themselves: messages and logs of SLURM."""

    def __init__(self):
        super().__init__()
        self.messages: dict[int, str] = {}
        self.logs: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take the records of failed jobs and groups of jobs; the last attempt of a job counts."""
        for info in [vars(record), *getattr(record, "job_error_info", [])]:
            job = info.get("jobid")
            if job is None or "rule_msg" not in info:
                continue
            message = (info["rule_msg"] or "").replace(SNAKEMAKES_ADVICE, "").strip()
            message = message.partition("\n")[0]  # the call of sbatch would follow, thousands of characters
            self.messages[job] = message or self.messages.get(job, "")
            named = [*info["log"], *getattr(record, "aux_logs", [])]
            if len(named) >= len(self.logs.get(job, [])):  # a group names SLURM's log first, its jobs come after
                self.logs[job] = [str(name) for name in named if name]


def find_failures(jobs: Iterable[Any], errors: JobErrors, command: Sequence[str], targets: Iterable[str]):
    """List what failed. `jobs`: Snakemake's failed jobs; `command`, `targets`: the words of the run and its targets."""
    failures = []
    for group in jobs:
        members = list(group.jobs) if group.is_group() else [group]
        unmade = [job for job in members if not (job.output and Path(job.output[0]).exists())]
        for job in unmade or members:
            target = str(job.output[0]) if job.output else job.rule.name
            logs = list(dict.fromkeys([*map(str, job.log), *errors.logs.get(job.jobid, [])]))
            failures.append(
                Failure(
                    job.rule.name,
                    ", ".join(f"{name}={value}" for name, value in job.wildcards.items()),
                    target,
                    group.attempt,
                    errors.messages.get(job.jobid, ""),
                    {log: last_lines(Path(log)) for log in logs},
                    shlex.join(rerun_command(command, targets, [target])),
                )
            )
    return sorted(failures, key=lambda failure: (failure.rule, failure.target))


def rerun_command(command: Sequence[str], targets: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Turn the command of a run (`sys.argv`) into one for other targets; its profile and configuration stay."""
    targets, kept, keeps = set(targets), [], False
    for word in command[1:]:
        if word.startswith("-"):
            keeps = not CHOOSING.fullmatch(word.partition("=")[0])
        if keeps and word not in targets:
            kept.append(word)
    return [*program(command), *wanted, *kept]


def record_failures(folder: Path, failures: Sequence[Failure], is_part: bool) -> list[Failure]:
    """Write failures.md and failures.json into a folder, or take both away where nothing failed; return what they hold.

    `is_part`: the run was asked for less than a study, as by the commands in the table. It then takes out what it has
    made and leaves the rest of an earlier table.
    """
    store, table = folder / "failures.json", folder / "failures.md"
    known = [Failure(**row) for row in json.loads(store.read_text())] if is_part and store.exists() else []
    new = {failure.target for failure in failures}
    failures = [*failures, *(one for one in known if one.target not in new and not Path(one.target).exists())]
    if failures:
        write_json(store, [asdict(failure) for failure in failures])
        write_text(table, describe(failures))
    else:
        store.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
    return failures


def describe(failures: Sequence[Failure]) -> str:
    """Lay failures out as Markdown: a table of all, then for each its logs, their last lines and its command."""
    rows = [["", "rule", "wildcards", "attempts", "log"]]
    parts = []
    for number, failure in enumerate(failures, 1):
        name = failure.wildcards or failure.target
        log = next(iter(failure.lines), "none")
        rows.append([str(number), failure.rule, name, str(failure.attempts), log])
        parts += [f"## {number}. {failure.rule}: {failure.target}", failure.message]
        for path, lines in failure.lines.items():
            parts += [f"Last lines of {path}:", "\n".join(f"    {line}" for line in lines)]
        parts += [failure.advice(), "To rerun just this:", f"    {failure.command}"]
    return "\n\n".join(["# What failed", _table(rows), *(part for part in parts if part)]) + "\n"


def last_lines(path: Path) -> list[str]:
    """Give the last lines of a log, without empty ones; says so where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return [f"(cannot be read: {error.strerror})"]
    return [line.rstrip() for line in lines if line.strip()][-LAST_LINES:] or ["(empty)"]


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])
