"""The table of failed jobs: what is in it, when it goes away, and the command that reruns one of them."""

import logging
import re
import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from earmark.config import load_config
from earmark.failures import (
    LAST_LINES,
    Failure,
    JobErrors,
    describe,
    find_failures,
    last_lines,
    record_failures,
    rerun_command,
)

SLURM = "SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'. "
TAIL = "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
COMMAND = ["/env/bin/snakemake", "all", "--profile", "slurm", "-F", "--config", "scale=open", "tasks=[esc50, us8k]"]


@dataclass
class Rule:
    name: str


@dataclass
class Job:
    """What `find_failures` asks of a job of Snakemake."""

    jobid: int
    rule: Rule
    output: list[str]
    log: list[str] = field(default_factory=list)
    wildcards: dict[str, str] = field(default_factory=dict)
    attempt: int = 1
    jobs: tuple["Job", ...] = ()

    def is_group(self) -> bool:
        return bool(self.jobs)


@pytest.fixture
def errors(tmp_path, monkeypatch):
    """Give the collector of error records, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return JobErrors()


def say(errors: JobErrors, **values) -> None:
    """Log as Snakemake does when a job has failed."""
    logger = logging.Logger("snakemake")
    logger.addHandler(errors)
    logger.error("Error in rule", extra=values)


def test_a_failed_job_is_told_with_both_logs_its_message_and_its_command(errors):
    Path("own.log").write_text("\n".join(f"line {n}\n" for n in range(50)))
    Path("7.log").write_text("slurmstepd: error: Detected 1 oom_kill event\n")
    job = Job(1, Rule("train_probe"), ["out/a.parquet", "out/b"], ["own.log"], {"study": "at", "task": "us8k"}, 4)
    say(errors, jobid=1, rule_msg=None, log=["own.log", "6.log"])
    say(errors, jobid=1, rule_msg=SLURM + TAIL, log=["own.log", "7.log"])
    (failure,) = find_failures([job], errors, COMMAND, {"all"})
    assert (failure.rule, failure.wildcards, failure.attempts) == ("train_probe", "study=at, task=us8k", 4)
    assert failure.target == "out/a.parquet" and failure.message == SLURM.strip()
    assert failure.lines["own.log"] == [f"line {n}" for n in range(50 - LAST_LINES, 50)]
    assert list(failure.lines) == ["own.log", "7.log"]  # of the last attempt
    assert failure.command == (
        "/env/bin/snakemake out/a.parquet --profile slurm --config scale=open 'tasks=[esc50, us8k]'"
    )
    text = describe([failure])
    assert "| 1 | train_probe | study=at, task=us8k | 4        | own.log |" in text
    assert (
        f"    {failure.command}\n" in text and "    line 49\n" in text and "{train_probe: {mem_mb: MEGABYTES}}" in text
    )


def test_of_a_group_those_are_told_that_made_nothing(errors):
    Path("made.png").touch()
    jobs = (Job(1, Rule("make_figure"), ["made.png"]), Job(2, Rule("make_report"), ["report.pdf"]))
    infos = [{"jobid": n, "rule_msg": None, "log": [f"{n}.log"]} for n in (1, 2)]
    say(errors, groupid="document", aux_logs=["slurm.log"], job_error_info=infos)
    for info in infos:
        say(errors, **info)
    (failure,) = find_failures([Job(0, Rule("document"), [], attempt=2, jobs=jobs)], errors, COMMAND, {"all"})
    assert (failure.rule, failure.target, failure.attempts) == ("make_report", "report.pdf", 2)
    assert list(failure.lines) == ["2.log", "slurm.log"]


def test_a_rule_without_a_file_is_rerun_by_its_name(errors):
    (failure,) = find_failures([Job(1, Rule("plan"), [])], errors, ["snakemake", "plan", "-j1"], {"plan"})
    assert failure.command == "snakemake plan -j1" and "| 1 | plan | plan " in describe([failure])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("sm", "sm x"),
        ("sm --cores 4 all at_table3", "sm x --cores 4"),
        ("sm all --cores=4 --config scale=open", "sm x --cores=4 --config scale=open"),
        ("sm -j2 --forceall all -R count_task train_probe --until embed -k", "sm x -j2 -k"),
        ("sm --default-resources mem_mb=1 slurm_account=a -- all", "sm x --default-resources mem_mb=1 slurm_account=a"),
        ("/p/snakemake/__main__.py all -c1", f"{sys.executable} -m snakemake x -c1"),
    ],
)
def test_the_command_keeps_the_settings_and_not_what_was_asked_for(given, wanted):
    assert rerun_command(shlex.split(given), {"all", "at_table3"}, ["x"]) == shlex.split(wanted)


def test_last_lines_of_logs_that_are_not_there_empty_long_or_no_text(tmp_path):
    path = tmp_path / "log"
    assert last_lines(path) == ["(cannot be read: No such file or directory)"]
    path.write_text("\n \n")
    assert last_lines(path) == ["(empty)"]
    path.write_bytes(b"x" * 5_000_000 + b"\n\n\xff\xfe end  \n")
    assert last_lines(path)[-1] == "�� end" and sum(map(len, last_lines(path))) < 21_000


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("OSError: [Errno 30] Read-only file system: 'results/x'", "--directory"),
        ("PermissionError: [Errno 13] Permission denied: '/data/x'", "data_dir of config.yaml"),
        ("slurmstepd: error: *** JOB 7 CANCELLED AT 1 DUE TO TIME LIMIT ***", "{embed: {runtime: MINUTES}}"),
        ("ConfigError: me cannot write in /home/x on node3, where results/x shall go.", "every node needs the right"),
        ("ValueError: a wrong value", ""),
    ],
)
def test_a_cause_that_the_log_tells_has_its_advice(line, advice):
    found = Failure("embed", "", "x", 1, "", {"log": [line]}).advice()
    assert advice in found and bool(advice) == bool(found)


@pytest.mark.parametrize(("line", "key"), [("oom_kill", "mem_mb"), ("DUE TO TIME LIMIT", "runtime")])
def test_the_advised_override_is_one_that_the_configuration_takes(root, line, key):
    advice = Failure("evaluate_linear_byola", "", "x", 1, line).advice()
    assert f"--set-resources evaluate_linear_byola:{key}=" in advice
    override = re.search(r"overrides: (\{.*\})", advice)[1].replace("MEGABYTES", "9000").replace("MINUTES", "9000")
    user = yaml.safe_load((root / "config.yaml").read_text()) | {"overrides": yaml.safe_load(override)}
    assert load_config(root, user).scale["resources"] == {"evaluate_linear": {key: 9000}}


def test_the_table_goes_when_what_it_names_is_made_or_a_whole_run_ends_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = Failure("count_task", "", "one", 1, "", {"1.log": ["end"]}, "snakemake one")
    two, folder = replace(one, target="two", command="snakemake two"), Path("results")
    assert record_failures(folder, [one, two], is_part=False) == [one, two]
    again = replace(one, attempts=3)
    assert record_failures(folder, [again], is_part=True) == [again, two]
    Path("one").touch()
    assert record_failures(folder, [], is_part=True) == [two]
    text = (folder / "failures.md").read_text()
    assert "snakemake two" in text and "snakemake one" not in text
    assert record_failures(folder, [one], is_part=False) == [one]  # a whole run tells of itself alone
    assert record_failures(folder, [], is_part=False) == [] and list(folder.iterdir()) == []
