"""Before a run on a SLURM cluster: say what it lacks, and take back what a killed Snakemake left behind."""

import contextlib
import getpass
import logging
import math
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import ClusterError
from earmark.resources import name_in_config
from earmark.workdir import Engine

LOGGER = logging.getLogger("earmark")
PROFILE = "profiles/slurm/config.yaml"
NO_ACCOUNTING = ("(null)", "accounting_storage/none")
ANSWER_SECONDS = 60  # a controller that takes longer is not well
END_SECONDS = 180  # for cancelled jobs to be gone: SLURM's KillWait is 30 s, its epilogue comes after


@dataclass(frozen=True)
class Request:
    """What jobs of one rule ask of the cluster; `runtime` in minutes, None where nothing is said.

    `checkpoint_seconds`: how often a training writes a checkpoint; None for jobs that write none. `longest`: the
    minutes that the last attempt asks; None where each asks the same, or nothing is said.
    """

    rule: str
    partition: str | None
    account: str | None
    gpu: int
    runtime: int | None
    checkpoint_seconds: float | None = None
    longest: int | None = None


@dataclass(frozen=True)
class Partition:
    """What a partition offers; `minutes` is the longest time of a job, None for no limit.

    `cancels`: a job that has to make room for another one is ended for good, not put in the queue again.
    """

    is_default: bool
    minutes: int | None
    has_gpu: bool
    cancels: bool


def check_cluster(requests: Iterable[Request], status_command: str | None) -> list[str]:
    """Ask SLURM whether it would take these jobs, before the first is submitted.

    `status_command`: the setting of Snakemake's SLURM plugin. Raises ClusterError, with what to set and where: no
    sbatch on the path, a controller that does not answer, a cluster without accounting, an unknown partition or none,
    an unknown account or none, a GPU or a time that the partition does not have, at any attempt, a time too short for a
    checkpoint. Returns warnings: partitions whose jobs may be lost to preemption.
    """
    if shutil.which("sbatch") is None:
        raise ClusterError(
            f"found no sbatch on the path of {socket.gethostname()}; --profile slurm has to be started where jobs can"
            " be submitted. Log in to a login node of the cluster (`module load slurm` first on some), or leave"
            " --profile slurm away and give --cores to run on this machine."
        )
    partitions = read_partitions(ask("sinfo", "--all", "--noheader", "--format=%P|%l|%G|%M"))
    requests = sorted(set(requests), key=str)
    _check_accounting(_read_settings(ask("scontrol", "show", "config")), status_command, requests)
    for request in requests:
        _check_request(request, partitions)
    asked = {part for request in requests for part in _partition_of(request, partitions).split(",")}
    losing = ", ".join(sorted(name for name in asked if partitions[name].cancels))
    return [_of_preemption(losing)] if losing else []


def cancel_leftovers(workdir: Path, prefix: str, engines: Iterable[Engine]) -> list[str]:
    """Cancel the jobs that killed Snakemakes submitted from this folder, and wait until they are gone.

    A killed Snakemake leaves its jobs running; they would write the same files as the jobs of the run that begins now.
    Trainings go on from their last checkpoint. `prefix` begins the job names of this workflow (`slurm-jobname-prefix`).
    `engines`: the other Snakemakes noted in this folder; jobs of a living one are left alone. Returns the ids of the
    jobs. Raises ClusterError where it cannot be seen whether their Snakemake lives or what became of its jobs, and when
    they are not gone after three minutes.
    """
    engines = list(engines)
    noted = [engine for engine in engines if engine.jobs]
    if noted and shutil.which("squeue") is None:
        for engine in noted:
            if not engine.is_alive() and engine.ticks is not None:
                raise ClusterError(
                    f"found no squeue on the path of {socket.gethostname()}, to ask for the jobs of a Snakemake that"
                    f" was started in this folder on {engine.host} ({engine.since}, process {engine.pid}). Start on a"
                    f" login node of its cluster. Or look there with `ssh {engine.host}`: if `ps -p {engine.pid}` and"
                    " `squeue --me` show neither it nor jobs of this folder, give the same command with --unlock at its"
                    " end, then again without."
                )
        return []
    living = {engine.jobs for engine in engines if engine.is_alive()}
    jobs = {job: name for job, name in _jobs_of(workdir, prefix).items() if name not in living}
    for engine in engines:
        if engine.is_alive() is None and engine.jobs in jobs.values():
            raise ClusterError(
                f"there are jobs of a Snakemake that was started in this folder on {engine.host} ({engine.since},"
                f" process {engine.pid}). If it lives (`ssh {engine.host} ps -p {engine.pid}`), wait for its end. If it"
                " does not, give the same command with --unlock at its end, then again without: it cancels them first."
            )
    if not jobs:
        return []
    LOGGER.warning("cancelling %d jobs that a killed Snakemake left behind: %s", len(jobs), ", ".join(jobs))
    arrays = sorted({job.partition("_")[0] for job in jobs})  # all tasks of an array are of one Snakemake
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", *arrays], capture_output=True, timeout=ANSWER_SECONDS, check=False)
    end = time.monotonic() + END_SECONDS
    while left := _jobs_of(workdir, prefix).keys() & jobs.keys():
        if time.monotonic() > end:
            raise ClusterError(
                f"jobs {', '.join(sorted(left))} of an earlier run are still there {END_SECONDS} s after scancel; they"
                " would write the same files as this run. `squeue` shows their state: a job that stays in COMPLETING"
                " hangs on its node, see `sinfo -R` or ask the administrators. Start again when they are gone."
            )
        time.sleep(1)
    return list(jobs)


def ask(*command: str) -> str:
    """Return what a SLURM command prints; raises ClusterError when it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`{' '.join(command)}` gave no answer: {error}. {_ADVICE}") from None
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}. {_ADVICE}")
    return done.stdout


def read_partitions(text: str) -> dict[str, Partition]:
    """Read sinfo's lines `name|time limit|gres|preemption`; a partition has one line for each kind of its nodes."""
    partitions: dict[str, Partition] = {}
    for line in text.splitlines():
        name, limit, gres, preemption = (part.strip() for part in line.split("|"))
        slug = name.removesuffix("*")
        has_gpu = "gpu" in gres or (slug in partitions and partitions[slug].has_gpu)
        partitions[slug] = Partition(name.endswith("*"), read_minutes(limit), has_gpu, "CANCEL" in preemption)
    return partitions


def read_minutes(limit: str) -> int | None:
    """Turn a time limit of SLURM (`[days-]hours:minutes:seconds`, `minutes:seconds`, `infinite`) into whole minutes."""
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
    return (days * 24 + hours) * 60 + minutes


_ADVICE = "Is the controller up (`scontrol ping`), and is this a login node of the cluster?"


def _check_accounting(settings: Mapping[str, str], status_command: str | None, requests: Iterable[Request]) -> None:
    if settings.get("AccountingStorageType", "(null)") in NO_ACCOUNTING:
        if status_command != "squeue":
            raise ClusterError(
                "this cluster keeps no accounts, and asked through sacct its jobs would never seem to end. Set"
                f" `slurm-status-command: squeue` in {PROFILE}."
            )
        return
    accounts = _accounts()
    for account in sorted({account for request in requests for account in (request.account or "").split(",")} - {""}):
        if accounts and account.strip().lower() not in accounts:
            raise ClusterError(
                f"found slurm_account {account!r}, which is none of {getpass.getuser()}'s:"
                f" {', '.join(accounts)}. Set one of them under default-resources in {PROFILE}."
            )
    enforced = re.search(r"associations|limits|all", settings.get("AccountingStorageEnforce", ""))
    if enforced and not all(request.account for request in requests) and not _default_account():
        raise ClusterError(
            "this cluster takes no job without an account, and none is given. Set slurm_account under"
            f" default-resources in {PROFILE}; {getpass.getuser()} may use:"
            f" {', '.join(accounts) or 'none, ask its administrators'}."
        )


def _partition_of(request: Request, partitions: Mapping[str, Partition]) -> str:
    """Name the partition of a request, several with commas; empty where it names none and there is no default one."""
    return request.partition or next((slug for slug, entry in partitions.items() if entry.is_default), "")


def _check_request(request: Request, partitions: Mapping[str, Partition]) -> None:
    names, name = ", ".join(sorted(partitions)), _partition_of(request, partitions)
    if not name:
        raise ClusterError(
            f"{request.rule} names no partition and the cluster has no default one; there are: {names}. Set"
            f" slurm_partition under default-resources in {PROFILE}."
        )
    for part in name.split(","):
        if part not in partitions:
            raise ClusterError(
                f"{request.rule} asks for partition {part!r}; the cluster has: {names}. Set slurm_partition under"
                f" default-resources, or for this rule under set-resources, in {PROFILE}."
            )
    offered = [partitions[part] for part in name.split(",")]
    if request.gpu and not any(entry.has_gpu for entry in offered):
        others = [slug for slug, entry in partitions.items() if entry.has_gpu]
        where = f"partitions with GPUs: {', '.join(others)}" if others else "no partition of this cluster has any"
        raise ClusterError(
            f"{request.rule} asks for {request.gpu} GPU and partition {name} has none ({where}). Set slurm_partition of"
            f" {request.rule} under set-resources in {PROFILE}, or its gpu to 0 to run it on CPUs."
        )
    limits = [entry.minutes for entry in offered]
    allowed = None if None in limits else max(limits)
    longest = max((minutes for minutes in (request.runtime, request.longest) if minutes), default=None)
    if longest and allowed is not None and longest > allowed:
        last = f", {longest} at its last attempt," if longest > request.runtime else ""
        raise ClusterError(
            f"{request.rule} asks for {request.runtime} minutes{last} and partition {name} allows {allowed}; SLURM"
            f" would let it wait for ever. {_how_to_stay_within(request, allowed)}. A training that runs out of time"
            " goes on from its last checkpoint."
        )
    minutes = min((limit for limit in (longest, allowed) if limit), default=None)
    if request.checkpoint_seconds and minutes and minutes * 60 < request.checkpoint_seconds:
        wanted = math.ceil(request.checkpoint_seconds / 60)
        raise ClusterError(
            f"{request.rule} may run for {minutes} minutes at most and writes a checkpoint every"
            f" {request.checkpoint_seconds:g} s; cut off before its first one, a training would begin anew each time."
            f" Set its runtime to at least {wanted} on a partition that allows it: {_in_profile(request.rule, wanted)},"
            f" or in config.yaml `overrides: {{{_in_config(request.rule, wanted)}}}`."
        )


def _of_preemption(partition: str) -> str:
    return (
        f"partition {partition} ends jobs for good to make room for others (PreemptMode=CANCEL), and Snakemake's SLURM"
        f" plugin would wait for such a job for ever. Set slurm_partition in {PROFILE} to one that requeues them or"
        " leaves them alone (`sinfo --format='%P %M'`). Or look at `squeue --me` now and then: where a job is gone that"
        " Snakemake waits for, stop the run with Ctrl-C and give the same command again."
    )


def _how_to_stay_within(request: Request, minutes: int) -> str:
    """Say how no attempt asks for more; a first one that does so rests on a bound or a value that somebody has set."""
    most = f"machine: {{most_minutes: {minutes}}}"
    if request.runtime > minutes:
        most = f"{most}, {_in_config(request.rule, minutes)}"
    alone = f"for this rule alone set {_in_profile(request.rule, minutes)}"
    return f"No attempt asks for more with this line in config.yaml: `overrides: {{{most}}}`; {alone}"


def _in_profile(rule: str, minutes: int) -> str:
    return f"`{rule}: {{runtime: {minutes}}}` under set-resources in {PROFILE}"


def _in_config(rule: str, minutes: int) -> str:
    return f"resources: {{{name_in_config(rule)}: {{runtime: {minutes}}}}}"


def _read_settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _accounts() -> list[str]:
    """List the accounts of the user in lower case; none where the cluster does not tell."""
    format_ = ("--noheader", "--parsable2", "show", "associations", f"user={getpass.getuser()}", "format=account")
    try:
        return sorted({line.strip().lower() for line in ask("sacctmgr", *format_).splitlines() if line.strip()})
    except ClusterError:
        return []


def _default_account() -> str:
    try:
        user = getpass.getuser()
        return ask("sacctmgr", "--noheader", "--parsable2", "show", "user", user, "format=defaultaccount").strip()
    except ClusterError:
        return ""


def _jobs_of(workdir: Path, prefix: str) -> dict[str, str]:
    """Give the ids and names of this user's jobs that were submitted from a folder under names with a prefix.

    Jobs that wait, run or are about to end (COMPLETING) are in it, each task of an array by itself.
    """
    text = ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i|%j|%Z")
    rows = [line.strip().split("|", 2) for line in text.splitlines() if line.strip()]
    workdir = workdir.resolve()  # login nodes may name the same folder differently
    return {
        job: name for job, name, folder in rows if name.startswith(f"{prefix}_") and Path(folder).resolve() == workdir
    }
