"""Copies on a node's scratch: whole or absent, made once, of the store as it is now, without effect on results."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from earmark import scratch
from earmark.files import file_digest
from earmark.scratch import find_scratch, near_folder
from earmark.store import SCHEMA, ClipStore

sys.path.insert(0, str(Path(__file__).parent / "pretraining"))
from byol_run import run_byol, write_corpus

NAMES = ("clips.parquet", "audio_16k.arrow")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def heard(caplog, monkeypatch):
    """Give what is logged, at a level that shows copies."""
    monkeypatch.setattr(logging.getLogger("earmark"), "propagate", True)
    monkeypatch.delenv("SLURM_TMPDIR", raising=False)
    monkeypatch.setattr(scratch, "SPARE_BYTES", 0)
    caplog.set_level(logging.INFO, "earmark")
    return caplog


@pytest.fixture
def files(tmp_path):
    """Give the two files of a store of 24 clips."""
    write_corpus(tmp_path / "store")
    return [tmp_path / "store" / name for name in NAMES]


def node(tmp_path, name="node") -> Path:
    return tmp_path / name


def entries(folder: Path) -> list[str]:
    """List what lies on scratch, locks left out."""
    return sorted(path.name for path in folder.glob("earmark-*/*") if path.suffix != ".lock")


def test_a_copy_holds_the_same_bytes_and_is_made_once(files, tmp_path, heard):
    copy = near_folder(files, str(node(tmp_path)))
    assert copy.is_relative_to(node(tmp_path)) and sorted(path.name for path in copy.iterdir()) == sorted(NAMES)
    assert [(copy / name).read_bytes() for name in NAMES] == [file.read_bytes() for file in files]
    before = (copy / NAMES[1]).stat()
    assert near_folder(files, str(node(tmp_path))) == copy
    after = (copy / NAMES[1]).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert heard.text.count("copied to") == 1
    assert copy.parent.stat().st_mode & 0o077 == 0  # another user's copy is not to be trusted


def test_the_setting_says_where(files, tmp_path, monkeypatch):
    assert find_scratch("auto") is None and near_folder(files, "auto") == files[0].parent
    monkeypatch.setenv("SLURM_TMPDIR", str(node(tmp_path)))
    assert near_folder(files, "none") == files[0].parent
    assert near_folder(files, "auto").is_relative_to(node(tmp_path))
    monkeypatch.setenv("MY_DISK", str(node(tmp_path, "mine")))
    assert find_scratch("$MY_DISK/deep") == node(tmp_path, "mine") / "deep"


@pytest.mark.parametrize("setting", ["$EARMARK_NOT_SET/x", "/local/$EARMARK_NOT_SET", "relative/folder"])
def test_a_setting_that_names_no_folder_is_a_warning(files, setting, heard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert near_folder(files, setting) == files[0].parent
    assert "no absolute path" in heard.text
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_changed_store_is_copied_anew(files, tmp_path):
    old = near_folder(files, str(node(tmp_path)))
    batch = pa.record_batch([pa.array(-ClipStore(files[0].parent).samples(0))], schema=SCHEMA)
    audio = files[1].read_bytes()
    first = audio.index(ClipStore(files[0].parent).samples(0).tobytes())
    flipped = batch.column(0).to_numpy().tobytes()
    files[1].write_bytes(audio[:first] + flipped + audio[first + len(flipped) :])  # of the same size
    new = near_folder(files, str(node(tmp_path)))
    assert new != old
    assert np.array_equal(ClipStore(new).samples(0), ClipStore(files[0].parent).samples(0))
    assert np.array_equal(ClipStore(new).samples(0), -ClipStore(old).samples(0))


def test_too_small_a_disk_is_a_warning_and_keeps_nothing(files, small_disk, heard, monkeypatch):
    assert sum(file.stat().st_size for file in files) > 256 * 1024
    assert near_folder(files, str(small_disk)) == files[0].parent
    assert "bytes are free" in heard.text and str(files[0].parent) in heard.text
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: Usage(0, 0, 10**9))  # it fills up while copying
    assert near_folder(files, str(small_disk)) == files[0].parent
    assert "No space left" in heard.text
    assert entries(small_disk) == []


def test_room_is_left_for_others(files, tmp_path, monkeypatch):
    needed = sum(file.stat().st_size for file in files)
    monkeypatch.setattr(scratch, "SPARE_BYTES", 1000)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: Usage(0, 0, needed + 999))
    assert near_folder(files, str(node(tmp_path))) == files[0].parent
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: Usage(0, 0, needed + 1000))
    assert near_folder(files, str(node(tmp_path))) != files[0].parent


READER = """
import sys
from earmark import scratch
scratch.SPARE_BYTES = 0
print(scratch.near_folder(sys.argv[2:], sys.argv[1]), flush=True)
input()
"""


@pytest.fixture
def start_reader(tmp_path):
    """Give a function that starts a job which reads the copy of a store until its input ends, and tells the copy."""
    started = []

    def start(name: str) -> tuple[subprocess.Popen, Path]:
        files = [str(tmp_path / name / file) for file in NAMES]
        command = [sys.executable, "-c", READER, str(node(tmp_path)), *files]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1], Path(started[-1].stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_old_copies_give_way_and_those_in_use_do_not(files, tmp_path, monkeypatch, start_reader):
    copies = []
    for name in ("oldest", "old", "new", "held"):
        shutil.copytree(files[0].parent, tmp_path / name)
        job, copy = start_reader(name)
        job.communicate("\n")
        copies.append(copy)
    oldest, old, new, held = copies
    for copy, days in ((oldest, 3), (old, 2), (held, 4)):
        os.utime(copy, (time.time() - 86400 * days,) * 2)

    def usage(_):
        return Usage(0, 0, 10**9 if not oldest.exists() else 0)

    monkeypatch.setattr(scratch.shutil, "disk_usage", usage)
    holder = (
        "import sys; from earmark.scratch import Path, _lock_of\nwith _lock_of(Path(sys.argv[1])): print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        copy = near_folder(files, str(node(tmp_path)))
        process.communicate("\n")
    assert copy.is_dir() and copy.is_relative_to(node(tmp_path))
    assert not oldest.exists() and old.is_dir() and new.is_dir() and held.is_dir()


def test_a_copy_stays_as_long_as_a_job_reads_it(files, tmp_path, monkeypatch, start_reader, heard):
    shutil.copytree(files[0].parent, tmp_path / "read")
    jobs = [start_reader("read") for _ in range(2)]
    copy = jobs[0][1]
    assert jobs[1][1] == copy and copy.is_relative_to(node(tmp_path))
    os.utime(copy, (time.time() - 7 * 86400,) * 2)  # a training of a week
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: Usage(0, 0, 0 if copy.exists() else 10**9))
    for job, _ in jobs:
        assert near_folder(files, str(node(tmp_path))) == files[0].parent
        assert "bytes are free" in heard.text and copy.is_dir()
        job.kill()
        job.wait()
    assert near_folder(files, str(node(tmp_path))).is_relative_to(node(tmp_path))
    assert not copy.exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [("foreign", r"belongs to user \d+"), ("open", "mode is 777"), ("link", "no folder"), ("file", "no folder")],
)
def test_copies_that_another_user_could_have_written_are_not_used(files, tmp_path, monkeypatch, heard, state, message):
    scratch_dir, user = node(tmp_path), os.getuid()
    if state == "foreign":
        user += 1
        monkeypatch.setattr(os, "getuid", lambda: user)
    copies = scratch_dir / f"earmark-{user}"
    scratch_dir.mkdir()
    if state == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        copies.symlink_to(tmp_path / "elsewhere")
    elif state == "file":
        copies.touch(mode=0o700)
    else:
        copies.mkdir(mode=0o700)
    if state == "open":
        copies.chmod(0o777)
    assert near_folder(files, str(scratch_dir)) == files[0].parent
    assert str(files[0].parent) in heard.text and str(copies) in heard.text and re.search(message, heard.text)
    assert not list(scratch_dir.glob("earmark-*/*"))


def test_a_copy_that_differs_is_not_used(files, tmp_path, monkeypatch, heard):
    def on_a_bad_disk(path):
        with path.open("rb+") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        return file_digest(path)

    monkeypatch.setattr(scratch, "file_digest", on_a_bad_disk)
    assert near_folder(files, str(node(tmp_path))) == files[0].parent
    assert "differs from what was read" in heard.text and entries(node(tmp_path)) == []


def test_a_store_that_changes_while_it_is_copied_is_not_used(files, tmp_path, monkeypatch, heard):
    def meanwhile(path):
        files[0].touch()
        return file_digest(path)

    monkeypatch.setattr(scratch, "file_digest", meanwhile)
    assert near_folder(files, str(node(tmp_path))) == files[0].parent
    assert "changed while it was copied" in heard.text and entries(node(tmp_path)) == []


KILLED = """
import os, signal, sys
from earmark import scratch
scratch.SPARE_BYTES = 0
scratch.file_digest = lambda _: os.kill(os.getpid(), signal.SIGKILL)
scratch.near_folder(sys.argv[2:], sys.argv[1])
"""


def test_a_copy_cut_short_by_a_kill_is_never_used(files, tmp_path):
    folder = node(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), *map(str, files)], check=False)
    assert done.returncode == -signal.SIGKILL
    (part,) = entries(folder)
    assert part.startswith(".part.")
    copy = near_folder(files, str(folder))
    assert entries(folder) == [copy.name] and copy.name == part.removeprefix(".part.")
    assert [(copy / name).read_bytes() for name in NAMES] == [file.read_bytes() for file in files]


MANY = """
import logging, sys
from earmark import scratch
logging.basicConfig(level=logging.INFO)
scratch.SPARE_BYTES = 0
print(scratch.near_folder(sys.argv[2:], sys.argv[1]))
"""


def test_jobs_of_one_node_share_one_copy(files, tmp_path):
    command = [sys.executable, "-c", MANY, str(node(tmp_path)), *map(str, files)]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    found = [job.communicate() for job in jobs]
    assert len({printed for printed, _ in found}) == 1 and entries(node(tmp_path)) == [Path(found[0][0].strip()).name]
    assert sum("copied to" in logged for _, logged in found) == 1


def test_an_absent_store_is_told_by_its_reader(tmp_path):
    files = [tmp_path / name for name in NAMES]
    assert near_folder(files, str(node(tmp_path))) == tmp_path


def test_a_training_ends_with_the_same_weights(files, tmp_path):
    runs = [
        run_byol(near_folder(files, setting), tmp_path / name)
        for name, setting in (("shared", "none"), ("near", str(node(tmp_path))))
    ]
    assert len(entries(node(tmp_path))) == 1
    weights, cards = zip(
        *((file_digest(run / "weights.safetensors"), yaml.safe_load((run / "card.yaml").read_text())) for run in runs),
        strict=True,
    )
    assert weights[0] == weights[1] and cards[0]["last_loss"] == cards[1]["last_loss"]
    assert cards[0]["provenance"] == cards[1]["provenance"]
