"""Which Snakemakes work in a folder, what a lock means, and folders that cannot be written."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from earmark.errors import ConfigError
from earmark.workdir import ENGINES, check_writable, declare_dead, enter, explain_lock, others

COMMAND = ["snakemake", "--profile", "slurm", "--config", "tasks=[esc50, us8k]"]
UNLOCK = "snakemake --profile slurm --config 'tasks=[esc50, us8k]' --unlock"
ENTER = "import sys; from pathlib import Path; from earmark.workdir import enter; enter(Path(), 'earmark_1')"


@pytest.fixture
def snakemake(tmp_path):
    """Give a process that has noted itself in a folder and waits for its end."""
    command = [sys.executable, "-c", f"{ENTER}; print('in', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_snakemake_is_noted_while_it_lives(snakemake, tmp_path):
    (found,) = others(tmp_path)
    assert (found.host, found.pid, found.jobs) == (socket.gethostname(), snakemake.pid, "earmark_1")
    assert found.is_alive()
    snakemake.communicate()
    assert others(tmp_path) == []


def test_a_killed_one_leaves_its_note_and_the_next_takes_it_away(snakemake, tmp_path):
    snakemake.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, snakemake.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet reaped
    (found,) = others(tmp_path)
    assert found.is_alive() is False
    subprocess.run([sys.executable, "-c", ENTER], cwd=tmp_path, check=True)
    assert list((tmp_path / ENGINES).iterdir()) == []


def test_a_run_that_cancels_nothing_leaves_the_note_of_a_killed_one_with_jobs(snakemake, tmp_path):
    snakemake.kill()
    snakemake.wait()
    subprocess.run([sys.executable, "-c", ENTER.replace("'earmark_1'", "cancelled=False")], cwd=tmp_path, check=True)
    (found,) = others(tmp_path)
    assert found.jobs == "earmark_1"  # the next run that makes something cancels them


def test_a_note_that_goes_while_the_notes_are_listed_is_left_out(snakemake, tmp_path):
    (note,) = (tmp_path / ENGINES).iterdir()
    (tmp_path / ENGINES / "gone.json").symlink_to("nowhere")  # named by the folder, but no longer there
    assert [engine.pid for engine in others(tmp_path)] == [snakemake.pid] and note.exists()


def test_another_process_under_the_same_number_is_not_it(snakemake, tmp_path):
    (path,) = (tmp_path / ENGINES).iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "ticks": 1}))
    assert others(tmp_path)[0].is_alive() is False


def test_a_lock_of_a_living_one_says_wait(snakemake, tmp_path):
    text = explain_lock(tmp_path, COMMAND)
    assert f"process {snakemake.pid}" in text and "Wait for its end" in text and "--unlock" not in text


def test_a_lock_of_a_killed_one_gives_the_command(snakemake, tmp_path):
    snakemake.kill()
    snakemake.wait()
    text = explain_lock(tmp_path, COMMAND)
    assert "No living Snakemake holds it" in text and f"process {snakemake.pid}" in text
    assert f"    {UNLOCK}\n" in text


def test_a_lock_of_another_host_says_where_to_look_until_the_user_says_it_is_dead(snakemake, tmp_path):
    (path,) = (tmp_path / ENGINES).iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "login2"}))
    text = explain_lock(tmp_path, COMMAND)
    assert f"ssh login2 ps -p {snakemake.pid}" in text and UNLOCK in text
    declare_dead(tmp_path)
    assert [engine.is_alive() for engine in others(tmp_path)] == [False]
    assert others(tmp_path)[0].jobs == "earmark_1"  # the next run cancels them


def test_with_unlock_the_user_says_that_jobs_of_a_dead_one_here_are_over_too(snakemake, tmp_path):
    snakemake.kill()
    snakemake.wait()
    declare_dead(tmp_path)
    assert [(engine.is_alive(), engine.ticks) for engine in others(tmp_path)] == [(False, None)]


def test_a_lock_of_nobody_known_says_how_to_look(tmp_path):
    text = explain_lock(tmp_path, COMMAND)
    assert "not known" in text and "ps -u" in text and UNLOCK in text


def test_the_own_process_is_none_of_the_others(tmp_path):
    enter(tmp_path)
    assert len(list((tmp_path / ENGINES).iterdir())) == 1 and others(tmp_path) == []


def test_a_folder_that_can_be_written_is_accepted_before_it_exists(tmp_path):
    check_writable(tmp_path, ["results/mini/a.csv", tmp_path / "data" / "b"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ConfigError) as refused:
        check_writable(tmp_path, ["results/a.csv", small_disk / "mini" / "esc50" / "clips.parquet"])
    for part in (
        f"cannot write in {small_disk} on {socket.gethostname()},",
        "clips.parquet",
        "--directory",
        "data_dir",
    ):
        assert part in str(refused.value)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    Path(tmp_path, "results").touch()
    with pytest.raises(ConfigError, match=r"cannot write in .*/results on "):
        check_writable(tmp_path, ["results/a.csv"])
