"""The folder that a run works in: which Snakemakes work there, what a lock means, whether it can be written."""

import atexit
import getpass
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from earmark.errors import ConfigError
from earmark.files import write_json

ENGINES = Path(".snakemake/engines")


@dataclass(frozen=True)
class Engine:
    """A Snakemake process that works in a folder.

    `ticks`: when it began, in clock ticks since its host did; None where the user has said that it does not live.
    `jobs`: the name that its jobs have in SLURM's queue; None where it runs jobs on its own machine.
    """

    host: str
    pid: int
    ticks: int | None
    since: str
    jobs: str | None = None

    def is_alive(self) -> bool | None:
        """Tell whether the process lives; None on another host, which cannot be seen from here."""
        if self.host != socket.gethostname():
            return None
        return self.ticks is not None and _ticks(self.pid) == self.ticks


def enter(workdir: Path, jobs: str | None = None, cancelled: bool = True) -> None:
    """Note that this process works in a folder, for as long as it lives; a killed one leaves its note behind.

    Notes of dead processes of this host are taken away; where their jobs were not `cancelled`, only those without jobs.
    """
    for path, engine in _notes(workdir):
        if engine.is_alive() is False and (cancelled or not engine.jobs):
            path.unlink(missing_ok=True)
    host, pid = socket.gethostname(), os.getpid()
    path = workdir.absolute() / ENGINES / f"{host}-{pid}.json"
    write_json(path, asdict(Engine(host, pid, _ticks(pid), time.strftime("%Y-%m-%d %H:%M"), jobs)))
    atexit.register(_leave, path, pid)


def others(workdir: Path) -> list[Engine]:
    """List the noted Snakemakes of a folder, living or not, without this process."""
    here = (socket.gethostname(), os.getpid())
    return [engine for _, engine in _notes(workdir) if (engine.host, engine.pid) != here]


def declare_dead(workdir: Path) -> None:
    """Note that Snakemakes which are not seen to live do not: with --unlock the user says so."""
    for path, engine in _notes(workdir):
        if not engine.is_alive():
            write_json(path, asdict(replace(engine, host=socket.gethostname(), ticks=None)))


def explain_lock(workdir: Path, command: Sequence[str]) -> str:
    """Say who holds the lock of a folder and what to do. `command`: the command that met it (`sys.argv`)."""
    unlock = shlex.join([*program(command), *command[1:], "--unlock"])
    again = f"Give\n\n    {unlock}\n\nand then the same command again. What is finished stays, and trainings go on from"
    again += " their last checkpoints. With --profile slurm, jobs that were left behind are cancelled first."
    engines = others(workdir)
    if living := [engine for engine in engines if engine.is_alive()]:
        names = ", ".join(f"process {engine.pid}, since {engine.since}" for engine in living)
        return (
            f"Snakemake works in this folder now: {names}, on {socket.gethostname()}. Wait for its end, or stop it with"
            f" Ctrl-C where it was started (or `kill -INT {living[0].pid}`)."
        )
    if unseen := [engine for engine in engines if engine.is_alive() is None]:
        engine = unseen[-1]
        return (
            f"Snakemake was started in this folder on {engine.host} ({engine.since}, process {engine.pid}), which"
            f" cannot be seen from {socket.gethostname()}. Look there: `ssh {engine.host} ps -p {engine.pid}`. If it is"
            f" gone, it was killed. {again}"
        )
    if engines:
        names = ", ".join(f"process {engine.pid} of {engine.since}" for engine in engines)
        return f"No living Snakemake holds it: {names} on {socket.gethostname()} was killed. {again}"
    return (
        f"It is not known who holds it. Look for a living one: `ps -u {getpass.getuser()} -o pid,lstart,args | grep"
        f" snakemake`, on each machine where it may have been started. If there is none: {again[0].lower()}{again[1:]}"
    )


def program(command: Sequence[str]) -> list[str]:
    """Give the words that start Snakemake as `sys.argv` did, which names a file where it was `python -m snakemake`."""
    return [sys.executable, "-m", "snakemake"] if Path(command[0]).name == "__main__.py" else [command[0]]


def check_writable(workdir: Path, files: Iterable[str | Path]) -> None:
    """Raise ConfigError for the first folder in which files of a run cannot be written; it says what to do.

    `files`: paths, relative to `workdir` or absolute, of which nothing needs to exist yet.
    """
    folders = {}
    for file in files:
        path = workdir.absolute() / file
        folders.setdefault(path.parent, path)
    asked: dict[Path, Path] = {}
    for folder, file in folders.items():
        asked.setdefault(next(place for place in (folder, *folder.parents) if place.exists()), file)
    for place, file in asked.items():
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise ConfigError(
                f"{getpass.getuser()} cannot write in {place} on {socket.gethostname()}, where {file} shall go."
                f" {WHERE_TO_WRITE}."
            )


WHERE_TO_WRITE = (
    "Results lie under the folder that Snakemake works in: add --directory with a folder that can be written. Data lie"
    " in data_dir of config.yaml"
)


def _notes(workdir: Path) -> list[tuple[Path, Engine]]:
    """List the notes of a folder, the oldest first."""
    found = []
    for path in (workdir / ENGINES).glob("[!.]*.json"):
        try:
            found.append((path.stat().st_mtime, path, Engine(**json.loads(path.read_text()))))
        except FileNotFoundError:  # that Snakemake has just ended
            continue
    return [(path, engine) for _, path, engine in sorted(found, key=lambda note: note[:2])]


def _leave(path: Path, pid: int) -> None:
    if os.getpid() == pid:  # not a forked child
        path.unlink(missing_ok=True)


def _ticks(pid: int) -> int | None:
    """Give the start of a process in clock ticks since the boot (field 22 of proc(5)); None where it does not live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
