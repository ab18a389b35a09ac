"""Copies of stores on a node's own disk, for jobs that read them at random and many times.

Training reads every clip in each epoch, in a new order; on a shared file system each clip is a request of its own. A
copy is read once from end to end. Embedding and probes read their inputs once and in order, so a copy would only be one
more reading: they take the original. No result depends on where a store is read, so no digest names this module.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from earmark.errors import ConfigError, StoreError
from earmark.files import atomic_path, file_digest, make_own_folder
from earmark.logs import LOGGER
from earmark.provenance import config_digest

UNUSED_SECONDS = 24 * 3600  # a copy that no job reads, and none began to read for so long, may go
SPARE_BYTES = 2**30  # left free for others
BLOCK_BYTES = 2**24
READ: list[int] = []  # open folders of the copies that this process reads: locked until it ends


def find_scratch(setting: str) -> Path | None:
    """Return the scratch folder of this node, None where there is none.

    `setting`: `scratch_dir` of config.yaml: `auto` takes the folder that SLURM_TMPDIR names, `none` takes none; any
    other is a path, in which `~` and names such as $USER are filled in on the node.
    """
    named = {"auto": os.environ.get("SLURM_TMPDIR"), "none": None}.get(setting, setting)
    return Path(os.path.expandvars(named)).expanduser() if named else None


def near_folder(files: Sequence[str | Path], setting: str) -> Path:
    """Return the folder to read files from: a copy of them on the node's scratch, or their own folder.

    `files`: of one folder; `setting`: see `find_scratch`. The first job on a node copies, others wait for it and share
    the copy, which stays as long as this process and those forked from it. It is of the originals with this path, size
    and time of change: changed ones are copied anew. Where there is no scratch, another user could have written the
    copies there, or copying fails for want of space or for any other reason of the system, a warning says why and the
    originals are read.
    """
    files = [Path(file) for file in files]
    own, scratch = files[0].parent, find_scratch(setting)
    if scratch is None:
        return own
    try:
        return _copy_once(files, scratch)
    except (OSError, NotImplementedError, ConfigError, StoreError) as error:
        LOGGER.warning("%s is read where it lies: no copy of it in %s: %s", own, scratch, error)
        return own


def _copy_once(files: Sequence[Path], scratch: Path) -> Path:
    if not scratch.is_absolute() or "$" in str(scratch):
        raise StoreError("scratch_dir is no absolute path, or names what is not set on this node")
    found = [_state(file) for file in files]
    copies = scratch / f"earmark-{os.getuid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    make_own_folder(copies)
    copy = copies / config_digest(found)
    with _lock_of(copy):  # on the node's own disk; a killed job leaves it open
        if copy.is_dir():
            os.utime(copy)
            LOGGER.info("%s is read from %s", files[0].parent, copy)
        else:
            _copy_files(files, found, copy)
        READ.append(_lock_reading(copy, fcntl.LOCK_SH))
    return copy


def _copy_files(files: Sequence[Path], found: Sequence[tuple[str, int, int]], copy: Path) -> None:
    begin, n_bytes = time.perf_counter(), sum(size for _, size, _ in found)
    shutil.rmtree(copy.with_name(f".part.{copy.name}"), ignore_errors=True)  # cut short by a kill
    _make_room(copy.parent, n_bytes)
    with atomic_path(copy) as part:
        part.mkdir()
        for file in files:
            _copy_file(file, part / file.name)
        if [_state(file) for file in files] != found:
            raise StoreError("it changed while it was copied")
    seconds = time.perf_counter() - begin
    LOGGER.info("%s copied to %s: %d bytes in %.1f s", files[0].parent, copy, n_bytes, seconds)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file and compare the bytes that were read with those that are on the disk now."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(BLOCK_BYTES):
            digest.update(block)
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
        if hasattr(os, "posix_fadvise"):  # so that the bytes are read from the disk, not from memory
            os.posix_fadvise(writing.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if file_digest(target) != digest.hexdigest():
        raise StoreError(f"the copy {target} differs from what was read; is that disk in order?")


def _make_room(copies: Path, n_bytes: int) -> None:
    """Remove old copies that no job reads, the longest unused first, until there is room.

    Raises StoreError when there is too little.
    """
    wanted = n_bytes + SPARE_BYTES
    for copy in sorted((path for path in copies.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime):
        if shutil.disk_usage(copies).free >= wanted:
            break
        with suppress(Timeout, FileNotFoundError, BlockingIOError), _lock_of(copy, timeout=0):
            if time.time() - copy.stat().st_mtime > UNUSED_SECONDS:
                descriptor = _lock_reading(copy, fcntl.LOCK_EX)
                shutil.rmtree(copy, ignore_errors=True)
                os.close(descriptor)
    free = shutil.disk_usage(copies).free
    if free < wanted:
        raise StoreError(f"{free:,} bytes are free and {wanted:,} wanted ({SPARE_BYTES:,} of them are left to others)")


def _lock_of(copy: Path, timeout: float = -1) -> FileLock:
    """Lock what makes, begins to read or removes a copy, finished or not yet, against other processes of this node."""
    return FileLock(copy.with_name(f"{copy.name.removeprefix('.part.')}.lock"), timeout=timeout)


def _lock_reading(copy: Path, kind: int) -> int:
    """Lock a copy as one that is read (LOCK_SH) or that nobody reads (LOCK_EX), and return its open folder.

    Call it under `_lock_of(copy)`. The lock is held until the folder is closed, by this process and those forked from
    it; the system closes it for one that is killed. Raises BlockingIOError where another lock is in the way.
    """
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _state(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file.resolve()), status.st_size, status.st_mtime_ns
