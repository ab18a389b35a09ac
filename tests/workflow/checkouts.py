"""A copy of the workflow in a folder of its own, and Snakemake run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("workflow", "config", "paper", "scripts", "src", "profiles", "envs")
PARTS = ("Snakefile", "config.yaml", *FOLDERS, "slurm", "gpus")


def copy_workflow(folder: Path) -> Path:
    """Copy what a run needs, without data and results."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (folder / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Give the environment in which the copy's own package is imported."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder / "src")}


def run_snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run Snakemake in a folder; output and errors come together in `stdout`."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout[-6000:]
    return done


def planned_jobs(output: str) -> dict[str, int]:
    """Read the job counts that Snakemake prints before a run."""
    pairs = (line.split() for line in output.splitlines())
    counts = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    return {name: count for name, count in counts.items() if name != "total" and not name.endswith(":")}
