"""What a run says of failed jobs and of locks, in small workflows with the project's own hooks and default profile."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkouts import ROOT, environment, planned_jobs, run_snakemake

pytestmark = pytest.mark.workflow
TABLE = Path("results", "mini", "failures.md")
SNAKEFILE = f"""
PARTS = config["parts"]
RESULTS, STUDIES = "results/mini", ["at"]
include: "{ROOT}/workflow/rules/cluster.smk"
include: "{ROOT}/workflow/rules/failures.smk"
onstart:
    begin_run()
rule all:
    input: expand("out/{{name}}.sum", name=["a", "b", "c"])
rule copy_part:
    output: "out/{{name}}.txt"
    log: "logs/{{name}}.log"
    retries: config.get("retries", 1)
    shell: "echo copying {{wildcards.name}} >> {{log}}; cp {{PARTS:q}}/{{wildcards.name}} {{output}} 2>> {{log}}"
rule sum_part:
    input: "out/{{name}}.txt"
    output: "out/{{name}}.sum"
    shell: "sum {{input}} > {{output}}"
rule wait:
    output: "out/waited"
    shell: "sleep 60; touch {{output}}"
rule look:
    output: "out/seen"
    localrule: True
    shell: "touch {{output}}"
"""


COMMANDS = {
    "sbatch": """#!{python}
import os, subprocess, sys
from pathlib import Path
values, job = dict(zip(sys.argv, sys.argv[1:])), os.getpid()
(note,) = Path(".snakemake/engines").iterdir()
assert values["--job-name"] in note.read_text(), "a second Snakemake would take this job for a left one"
wrap = next(word for word in sys.argv if word.startswith("--wrap=")).removeprefix("--wrap=")
with Path(values["--output"].replace("%j", str(job))).open("w") as log:
    status = subprocess.run(wrap, shell=True, stdout=log, stderr=log).returncode
with Path("{folder}/states").open("a") as file:
    print(job, "FAILED" if status else "COMPLETED", sep="|", file=file)
print(job)
""",
    "srun": """#!/bin/sh
while [ "$1" != "{python}" ]; do shift; done
exec "$@"
""",
    "squeue": """#!/bin/sh
case "$*" in *--states=all*) cat {folder}/states;; esac
""",
    "sinfo": "#!/bin/sh\necho 'debug*|infinite|(null)|OFF'\n",
    "scontrol": "#!/bin/sh\necho 'AccountingStorageType = accounting_storage/none'; echo 'MinJobAge = 3600 sec'\n",
}
SITE = (
    *("--executor", "slurm", "--jobs", "2", "--slurm-status-command", "squeue", "--slurm-no-account"),
    *("--slurm-jobname-prefix", "earmark", "--default-resources", "mem_mb=10", "runtime=1"),
    *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
)


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch):
    """Put commands on the path that look like SLURM's; sbatch runs the job to its end before it answers."""
    place = tmp_path_factory.mktemp("slurm")
    (place / "states").touch()
    for name, text in COMMANDS.items():
        (place / name).write_text(text.format(python=sys.executable, folder=place))
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


@pytest.fixture
def folder(tmp_path):
    """Give a workflow of three chains, of which the middle one lacks its part."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    shutil.copytree(ROOT / "profiles" / "default", tmp_path / "profiles" / "default")
    (tmp_path / "my parts").mkdir()
    for name in "ac":
        (tmp_path / "my parts" / name).write_text(name)
    return tmp_path


def give(command: str, folder: Path) -> str:
    """Run a printed command in a shell, and return what it prints."""
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment(ROOT), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commands(text: str) -> list[str]:
    """List the indented lines of a text that call Snakemake."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ") and "-m snakemake" in line]


def run(folder: Path, *arguments: str, check: bool = True) -> str:
    """Run Snakemake with the package of this checkout."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=folder, env=environment(ROOT), check=False, **pipes)
    assert (done.returncode == 0) == check, done.stdout
    return done.stdout


def test_a_failed_job_stops_no_other_and_its_command_reruns_just_that(folder):
    settings = ["--config", "parts=my parts"]
    printed = run(folder, "all", "--cores", "2", "--forceall", *settings, check=False)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.sum", "a.txt", "c.sum", "c.txt"]
    text = (folder / TABLE).read_text()
    assert text in printed and "2 jobs wait for these files" in printed  # sum_part and all
    assert "| 1 | copy_part | name=b    | 2        | logs/b.log |" in text and "| 2 |" not in text
    assert "    cp: cannot stat 'my parts/b': No such file or directory\n" in text
    (command,) = commands(text)
    assert shlex.split(command) == [sys.executable, "-m", "snakemake", "out/b.txt", "--cores", "2", *settings]
    (folder / "my parts" / "b").write_text("b")
    assert planned_jobs(give(command, folder)) == {"copy_part": 1}
    assert (folder / "out" / "b.txt").read_text() == "b" and not (folder / TABLE).exists()
    assert planned_jobs(run(folder, "all", "--cores", "1", *settings)) == {"sum_part": 1, "all": 1}


def test_a_job_that_failed_on_a_cluster_has_the_log_of_slurm_and_its_settings(folder, slurm):
    settings = ["--config", "parts=my parts", "retries=0"]
    printed = run(folder, "out/b.txt", *SITE, *settings, check=False)
    text = (folder / TABLE).read_text()
    assert text in printed and "| 1 | copy_part | name=b    | 1        | logs/b.log |" in text and "| 2 |" not in text
    assert "SLURM status is: 'FAILED'" in text and "cannot stat 'my parts/b'" in text
    log = re.search(r"Last lines of (.*/slurm_logs/rule_copy_part/b/\d+\.log):", text)
    assert "Error in rule copy_part" in Path(log[1]).read_text()
    (command,) = commands(text)
    assert shlex.split(command)[3:] == ["out/b.txt", *SITE, *settings]


def test_a_time_that_the_partition_has_not_at_the_last_attempt_is_refused(folder, slurm):
    (slurm / "sinfo").write_text("#!/bin/sh\necho 'debug*|5:00|(null)|CANCEL'\n")
    settings = ["--config", "parts=my parts", "retries=2", "--set-resources", "copy_part:runtime=2*attempt"]
    printed = run(folder, "out/a.txt", *SITE, *settings, check=False)
    assert "asks for 2 minutes, 6 at its last attempt, and partition debug allows 5" in printed
    settings[2] = "retries=1"
    printed = run(folder, "out/a.txt", *SITE, *settings)
    assert (folder / "out" / "a.txt").exists() and "Warning: partition debug ends jobs for good" in printed


@pytest.fixture
def far(folder):
    """Give the note of a Snakemake that sent jobs to a cluster from another machine."""
    note = folder / ".snakemake" / "engines" / "login2-7.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"host": "login2", "pid": 7, "ticks": 7, "since": "now", "jobs": "earmark_far"}))
    return note


def test_a_run_that_sends_nothing_asks_no_cluster_and_cancels_nothing(folder, far, slurm):
    (slurm / "squeue").write_text(f"#!/bin/sh\necho '3|earmark_far|{folder}'\n")
    (slurm / "scancel").write_text(f"#!/bin/sh\ntouch {slurm}/cancelled\n")
    (slurm / "scancel").chmod(0o755)
    run(folder, "out/seen", "--cores", "1", "--config", "parts=my parts")
    assert (folder / "out" / "seen").exists() and far.exists() and not (slurm / "cancelled").exists()
    printed = run(folder, "out/a.txt", "--cores", "1", "--config", "parts=my parts", check=False)
    assert "login2" in printed and "--unlock" in printed


def test_a_machine_without_squeue_names_the_one_that_has_it_until_the_user_says_it_is_over(folder, far, monkeypatch):
    tools = folder / "tools"
    tools.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name != "squeue":
            (tools / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tools))
    command = ["out/a.txt", "--cores", "1", "--config", "parts=my parts"]
    printed = run(folder, *command, check=False)
    assert "no squeue on the path" in printed and "ssh login2" in printed and "Traceback" not in printed
    run(folder, *command, "--unlock")
    run(folder, *command)
    assert (folder / "out" / "a.txt").exists() and not far.exists()


def test_a_clean_whole_run_takes_the_table_away(folder):
    run(folder, "--cores", "1", "--config", "parts=nowhere", check=False)
    assert (folder / TABLE).read_text().count("\n## ") == 3
    (folder / "my parts" / "b").write_text("b")
    run(folder, "--cores", "1", "out/a.txt", "--config", "parts=my parts")
    text = (folder / TABLE).read_text()
    assert text.count("\n## ") == 2 and "out/a.txt" not in text
    run(folder, "--cores", "1", "--config", "parts=my parts")
    assert not list((folder / TABLE).parent.iterdir())


def test_a_lock_is_explained_while_its_snakemake_lives_and_after_it_was_killed(folder):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "out/waited", "--config", "parts=x"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=environment(ROOT), start_new_session=True, **quiet) as first:
        end = time.monotonic() + 60
        while not list(folder.glob(".snakemake/engines/*.json")) and time.monotonic() < end:
            time.sleep(0.1)
        printed = run(folder, *command[3:], check=False)
        assert "cannot be locked" in printed and f"process {first.pid}, since" in printed
        os.killpg(first.pid, signal.SIGKILL)
    printed = run(folder, *command[3:], check=False)
    assert "No living Snakemake holds it" in printed and f"process {first.pid} of" in printed
    (unlock,) = commands(printed)
    assert shlex.split(unlock) == [*command, "--unlock"]
    give(unlock, folder)
    (folder / "Snakefile").write_text(SNAKEFILE.replace("sleep 60", "sleep 0"))
    run(folder, *command[3:])
    assert (folder / "out" / "waited").exists() and not list(folder.glob(".snakemake/engines/*"))


def test_results_that_cannot_be_written_stop_a_run_before_its_first_job(folder, small_disk):
    (folder / "out").symlink_to(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    printed = run(folder, "--cores", "1", "--config", "parts=my parts", check=False)
    assert f"cannot write in {folder}/out on " in printed and "--directory" in printed
    assert "rule copy_part" not in printed and not (folder / "logs").exists()


def test_results_that_a_node_cannot_write_are_named_with_the_node(folder, slurm, small_disk):
    (folder / "results").symlink_to(small_disk)
    (slurm / "sbatch").rename(slurm / "submit")
    lines = (f"mount -o remount,ro {small_disk}", 'submit "$@"', f"mount -o remount,rw {small_disk}")
    (slurm / "sbatch").write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (slurm / "sbatch").chmod(0o755)
    printed = run(folder, "out/a.txt", *SITE, "--config", "parts=my parts", "retries=0", check=False)
    text = (folder / TABLE).read_text()
    assert text in printed and "cannot write in" in text and f"results on {socket.gethostname()}, where" in text
    assert "every node needs the right to write there" in text and not (folder / "out" / "a.txt").exists()


def test_a_working_folder_that_cannot_be_written_is_named_without_a_traceback(folder, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    printed = run(folder, "--directory", str(small_disk), "--cores", "1", "--config", "parts=my parts", check=False)
    assert f"cannot write in {small_disk} on " in printed and "--directory" in printed and "Traceback" not in printed


def test_a_failure_of_the_real_workflow_is_in_the_table(checkout):
    archive = checkout / "data" / "real" / "speech_commands_v2" / "archives" / "speech_commands_v0.02.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(bytes(1000))
    printed = run_snakemake(checkout, "--cores", "1", "data_speech_commands_v2", "--config", "scale=paper", check=False)
    text = (checkout / "results" / "paper" / "failures.md").read_text()
    assert text in printed.stdout and "found 1,000 bytes (truncated" in text
    (command,) = commands(text)
    assert shlex.split(command)[4:] == ["--cores", "1", "--config", "scale=paper"]
