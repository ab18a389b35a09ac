"""Run the study `at` on a real SLURM of this machine, undisturbed and under faults, and compare with a local run.

    python tests/slurm/run.py                       # a small part of the study, minutes on two cores
    python tests/slurm/run.py --study smoke         # all of it, with short trainings

Prints, and writes to report.json in the work folder: jobs lost (missing when Snakemake has ended well), doubled (two
processes at one time on the same target), different (table, prediction or weight not that of the local run), the share
of job seconds whose work was done again, and the share in attempts that another one followed. Needs root, and slurm-wlm
and munge of Debian.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "workflow"), str(ROOT / "tests" / "slurm")]

import pandas as pd  # noqa: E402
from checkouts import copy_workflow, environment, run_snakemake  # noqa: E402
from cluster import Cluster, why_not  # noqa: E402
from faults import GREEDY, HANGS, Faults, Watch, over_memory  # noqa: E402

# This cluster keeps no accounts and is all ours: it may be asked often.
SITE = (
    *("--profile", "slurm", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3"),
    *("--seconds-between-status-checks", "2", "--latency-wait", "10"),
)
SHORT = (
    "trials: 1, max_folds: 1,"
    " protocols: {pretraining: {max_epochs: 2, validations_per_epoch: 2}, downstream: {max_epochs: 3}}"
)
# Under faults one job gets too little memory at its first attempt, and one that hangs a minute to do so.
SCARCE = f"resources: {{{GREEDY}: {{mem_mb: 700}}, {HANGS}: {{runtime: 1}}}}"
STUDIES = {
    "small": ["studies=[at]", "tasks=[msos]", "encoders=[mobilenet_v2]", "modes=[frozen,finetune]"],
    "smoke": ["studies=[at]"],
}
PLANS = {
    "small": ["cancel"] * 10 + ["requeue", "node", "slurmd", "hang"] + ["snakemake"] * 2,
    "smoke": ["cancel"] * 10 + ["requeue"] * 4 + ["node"] * 2 + ["slurmd", "hang"] + ["snakemake"] * 2,
}
PAUSE_SECONDS = {"small": (6, 14), "smoke": (20, 60)}
MEASURED = ("seconds", "peak_memory_mb")
MAX_STARTS = 8
MAX_SECONDS = {"small": 900, "smoke": 7200}  # of a run on the cluster; one that takes longer is given up


def settings(study: str, *overrides: str) -> list[str]:
    """Give the --config of a study."""
    values = ", ".join([SHORT, *overrides])
    return ["--config", *STUDIES[study], f"overrides={{{values}}}"]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start Snakemake on the cluster in a checkout; what it prints is added to printed.txt."""
    with (folder / "printed.txt").open("a") as printed:
        command = [sys.executable, "-m", "snakemake", *SITE, "all", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=printed, stderr=printed)


def give_up(snakemake: subprocess.Popen) -> int:
    """Kill a Snakemake that has not ended; returns how it ended."""
    snakemake.kill()
    return snakemake.wait()


def run_on_cluster(folder: Path, config: list[str], cluster: Cluster, study: str) -> dict:
    """Run a study on the cluster and let it be."""
    watch, begin = Watch(folder), time.monotonic()
    watch.start()
    snakemake = start(folder, *config)
    with contextlib.suppress(subprocess.TimeoutExpired):
        snakemake.wait(MAX_SECONDS[study])
    watch.stop()
    return {
        "status": give_up(snakemake),
        "seconds": time.monotonic() - begin,
        "doubled": sorted(watch.doubled),
        "targets": len(watch.targets()),
        "job_seconds": watch.job_seconds(),
        "ends": cluster.ends(folder),
    }


def run_under_faults(folder: Path, config: list[str], cluster: Cluster, study: str, seed: int) -> dict:
    """Run a study on the cluster while faults strike; Snakemake is started again as a user would."""
    faults, watch, begin = Faults(cluster, folder, seed), Watch(folder), time.monotonic()
    plan = list(PLANS[study])
    faults.random.shuffle(plan)
    watch.start()
    snakemake, starts = start(folder, *config), 1
    next_fault = begin + 20
    while starts <= MAX_STARTS and time.monotonic() - begin < MAX_SECONDS[study]:
        status = snakemake.poll()
        if status == 0:
            break
        if status is not None:
            run_snakemake(folder, "--unlock", *config)
            snakemake, starts = start(folder, *config), starts + 1
        is_due = time.monotonic() > next_fault
        names = [name for name in plan if is_due or name == "hang"]  # its job is there for a short time only
        name = next((name for name in names if faults.apply(name, snakemake)), None)
        if name:
            plan.remove(name)
            print(f"{time.monotonic() - begin:6.0f} s  {name}", flush=True)
        if is_due:
            next_fault = time.monotonic() + faults.random.uniform(*PAUSE_SECONDS[study])
        time.sleep(0.5)
    watch.stop()
    return {
        "status": give_up(snakemake),
        "seconds": time.monotonic() - begin,
        "starts": starts,
        "faults": faults.done,
        "not struck": plan,
        "over_memory": over_memory(folder),
        "doubled": sorted(watch.doubled),
        "attempts": len(watch.attempts),
        "targets": len(watch.targets()),
        "job_seconds": watch.job_seconds(),
        "repeated_share": watch.repeated_share(),
        "followed_share": watch.followed_share(),
        "ends": cluster.ends(folder),
    }


def contents(folder: Path) -> dict[str, str]:
    """Give the digests of what a run found out: tables, predictions, embeddings and weights, byte by byte.

    The seconds and the memory of a run are measured anew each time: those columns of a table's csv are left out, and
    other formats, scores.parquet, cards, logs and benchmarks, which name them, are not compared.
    """
    results = folder / "results" / "mini"
    files = [*results.glob("tables/**/*.csv"), *results.glob("encoders/*/weights.safetensors")]
    files += results.glob("embeddings/**/embeddings.npy")
    files += [path for path in results.glob("scores/**/*_predictions.parquet") if "runs" not in path.parts]
    return {str(path.relative_to(results)): hashlib.sha256(_compared(path)).hexdigest() for path in files}


def _compared(file: Path) -> bytes:
    """Read a file; of a csv without the columns that are measured anew each time."""
    if file.suffix != ".csv":
        return file.read_bytes()
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return table.drop(columns=[name for name in MEASURED if name in table]).to_csv(index=False).encode()


def compare(folder: Path, wanted: dict[str, str], config: list[str]) -> dict:
    """List what is missing or different in a checkout, and what Snakemake would still make there."""
    found = contents(folder)
    left = run_snakemake(folder, "--dry-run", "all", *config, check=False).stdout
    return {
        "lost": sorted(set(wanted) - set(found)),
        "different": sorted(name for name in wanted if name in found and wanted[name] != found[name]),
        "nothing_left_to_do": "Nothing to be done" in left,
    }


def run_all(study: str, folder: Path, seed: int, quiet: bool = True) -> dict:
    """Run a study here, on the cluster and, with faults, on the cluster again; return and write the report."""
    local, begin = folder / "local", time.monotonic()
    if not local.exists():  # a work folder that is given again keeps its local run
        copy_workflow(local)
    run_snakemake(local, "--cores", "all", "all", *settings(study))
    wanted = contents(local)
    report = {"study": study, "compared": len(wanted), "local": {"seconds": time.monotonic() - begin}}
    print(f"local: {report['local']['seconds']:.0f} s, {len(wanted)} files to compare", flush=True)
    with Cluster(folder / "slurm") as cluster:
        if quiet:
            checkout = copy_workflow(folder / "quiet")
            config = settings(study)
            report["quiet"] = run_on_cluster(checkout, config, cluster, study) | compare(checkout, wanted, config)
            print(f"quiet: {json.dumps(report['quiet'])}", flush=True)
        checkout = copy_workflow(folder / "faults")
        config = settings(study, SCARCE)
        run = run_under_faults(checkout, config, cluster, study, seed)
        report["faults"] = run | compare(checkout, wanted, config)
        print(f"faults: {json.dumps(report['faults'])}", flush=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def is_sound(report: dict) -> bool:
    """Tell whether all was compared and all faults struck, and nothing was lost, doubled, different or left to do."""
    runs = [report[name] for name in ("quiet", "faults") if name in report]
    faults = ("lost", "doubled", "different", "not struck")
    return report["compared"] > 0 and all(
        run["status"] == 0 and run["nothing_left_to_do"] and not any(run.get(name) for name in faults) for run in runs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", choices=sorted(STUDIES), default="small")
    parser.add_argument("--folder", type=Path, help="work folder; default: a temporary one that is kept")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--no-quiet", action="store_true", help="leave the undisturbed run out")
    arguments = parser.parse_args()
    if reason := why_not():
        sys.exit(f"no SLURM can be started here: {reason}")
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="earmark-slurm-"))).resolve()
    report = run_all(arguments.study, folder, arguments.seed, quiet=not arguments.no_quiet)
    print(f"{'sound' if is_sound(report) else 'NOT SOUND'}; {folder / 'report.json'}")
    sys.exit(not is_sound(report))


if __name__ == "__main__":
    main()
