"""A GPU to each job on one machine with several: slots, held by locks until a job ends or is killed.

Snakemake counts the GPUs that jobs ask for, but does not say which one a job may use. A run offers its devices to its
jobs in an environment variable, and each job takes as many as it asked for before CUDA is initialised.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

from earmark.errors import ConfigError
from earmark.files import make_own_folder
from earmark.logs import log_to

LOGGER = logging.getLogger("earmark")
PROFILE = "profiles/gpus/config.yaml"
OFFERED = "EARMARK_GPU_SLOTS"  # devices of the run, written as in CUDA_VISIBLE_DEVICES
SILENT_SECONDS = 5.0  # a job waits so long before it says what for
RETRY_SECONDS = 0.5
HELD: list[FileLock] = []  # until this process ends: a lock that nothing refers to is released


def start_gpu_job(log: str | Path, gpus: int) -> None:
    """Begin the log of a job and take the GPUs that its rule asks for; see `log_to` and `take_gpus`."""
    log_to(log)
    take_gpus(gpus, str(log))


def find_devices() -> list[str]:
    """List the CUDA devices of this machine by the words that CUDA_VISIBLE_DEVICES takes; where it is set, its own.

    Otherwise `nvidia-smi` counts them, since asking CUDA would fix the devices of this process. Empty without a GPU.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        words = (word.strip() for word in os.environ["CUDA_VISIBLE_DEVICES"].split(","))
        return list(takewhile(lambda word: word not in ("", "-1"), words))  # as CUDA, which stops at the first bad one
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def offer_gpus(total: int, most_asked: int) -> list[str]:
    """Offer the first `total` devices of this machine to the jobs that this process starts, and return them.

    `most_asked`: by one job. Without a GPU nothing is offered. Raises ConfigError when the machine has fewer devices
    than `total`, or a job asks for more than `total`, which Snakemake would cut down in silence.
    """
    devices = find_devices()
    if not devices:
        return []
    if total > len(devices):
        raise ConfigError(
            f"a total of {total} GPUs is set and this machine shows {len(devices)}: {', '.join(devices)}. Set gpu to at"
            f" most {len(devices)} under resources in {PROFILE}; CUDA_VISIBLE_DEVICES may hide some."
        )
    if most_asked > total:
        raise ConfigError(
            f"a job asks for {most_asked} GPUs and the total is {total}. Set devices in config.yaml to at most {total},"
            f" or, where there are more GPUs, raise gpu under resources in {PROFILE}."
        )
    os.environ[OFFERED] = ",".join(devices[:total])
    return devices[:total]


def take_gpus(count: int, name: str, folder: Path | None = None) -> list[str]:
    """Wait for `count` of the offered GPUs, hold them until this process ends, and let CUDA see no other ones.

    `name`: of the job, for those that wait for it. `folder`: of the locks, on a file system of this machine alone.
    Nothing is done where no GPU is offered or asked for. Processes that this one starts use the same GPUs. Returns the
    GPUs. Raises ConfigError when fewer are offered than asked for, or others could hold the locks.
    """
    offered = os.environ.pop(OFFERED, "")
    if not offered or not count:
        return []
    slots = offered.split(",")
    if count > len(slots):
        raise ConfigError(
            f"this job asks for {count} GPUs and the run offers {len(slots)}: {offered}. Set devices in config.yaml to"
            f" at most {len(slots)}, or raise gpu under resources in {PROFILE}."
        )
    folder = folder or _lock_folder()
    make_own_folder(folder)
    begin, is_silent = time.monotonic(), True
    while True:
        taken, holders = _try_to_lock(slots, count, folder, f"process {os.getpid()} ({name})")
        if taken:
            break
        if is_silent and time.monotonic() - begin > SILENT_SECONDS:
            is_silent = False
            message = f"{name} waits for {count} of the GPUs {offered}; {'; '.join(holders)}"
            LOGGER.warning(message)
            print(message, file=sys.stderr, flush=True)
        time.sleep(RETRY_SECONDS)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    LOGGER.info("uses GPU %s of %s", ", ".join(taken), offered)
    return taken


def _lock_folder() -> Path:
    """Name the folder of locks: not by TMPDIR, which may differ between runs or lie on shared disks."""
    allocation = os.environ.get("SLURM_JOB_ID", "")  # its devices are counted from 0 too
    return Path(f"/tmp/earmark_gpus_{os.getuid()}_{allocation}".rstrip("_"))


def _try_to_lock(slots: Sequence[str], count: int, folder: Path, holder: str) -> tuple[list[str], list[str]]:
    """Lock `count` free slots or none; return them, and a text for each slot that another process holds."""
    taken, holders = {}, []
    with FileLock(folder / "choosing.lock"):  # one at a time, so that two jobs never hold a part each of what both need
        for slot in slots:
            path = folder / f"{slot.replace('/', '_')}.lock"
            lock = FileLock(path, blocking=False)
            try:
                lock.acquire()
            except Timeout:
                holders.append(f"{slot} is held by {path.read_text()}")
                continue
            taken[slot] = lock
            path.write_text(holder)
            if len(taken) == count:
                HELD.extend(taken.values())
                return list(taken), holders
        for lock in taken.values():
            lock.release()
    return [], holders
