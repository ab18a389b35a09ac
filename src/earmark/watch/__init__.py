"""Watch a run from its files: which jobs run, how far trainings are, hours used and left. Nothing is written."""

import time
from pathlib import Path

from earmark.config import Config, load_config
from earmark.config.load import merge
from earmark.files import read_yaml
from earmark.watch.runs import Run, ask_queue, living_runs, read_runs
from earmark.watch.screen import draw
from earmark.watch.trainings import read_training
from earmark.watch.usage import measure_usage

WIDTH = 120  # columns, where the output is no terminal


def watch(folder: Path, root: Path, scale: str | None = None, interval: float = 5.0, once: bool = False) -> None:
    """Show what runs in a folder until Ctrl-C; once where `once` is set or the output is no terminal.

    `folder`: where Snakemake runs, with its `.snakemake` and `results`; `root`: the checkout, for what is declared;
    `scale`: None for that of config.yaml; `interval`: seconds. Raises ConfigError for a scale that does not exist.
    """
    from rich.console import Console
    from rich.live import Live

    own = folder / "config.yaml"
    user = merge(read_yaml(root / "config.yaml"), read_yaml(own) if own.is_file() else {})
    config = load_config(root, merge(user, {"scale": scale} if scale else {}))
    console, known = Console(), {}
    if not console.is_terminal:
        console = Console(width=WIDTH)
    if once or not console.is_terminal:
        console.print(look(folder, config, known))
        return
    with Live(look(folder, config, known, console.height), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(look(folder, config, known, console.height), refresh=True)


def look(folder: Path, config: Config, known: dict[Path, tuple[int, Run]], height: int | None = None):
    """Read the files of a run once, and return what rich prints.

    `known`: as for `read_runs`; `height`: lines of the terminal, None for no limit. SLURM is asked once, and only where
    an unfinished run has submitted jobs to it.
    """
    scale, now = config.scale["name"], time.time()
    runs = read_runs(folder, known)
    open_runs = living_runs(runs, folder)
    found = [(job, run in open_runs) for run in runs if not run.is_ended for job in run.running]
    queue = ask_queue() if any(job.slurm for job, _ in found) else None
    jobs = []
    for job, is_led in found:
        is_there = job.slurm in queue if job.slurm and queue is not None else is_led
        if is_there and job.scale in (scale, None):
            jobs.append((job, job.place(folder, queue), read_training(job, folder, config)))
    usage = measure_usage(folder / "results" / scale / "benchmarks", runs, open_runs, jobs, now)
    return draw(scale, runs, open_runs, jobs, usage, now, height)
