"""Checks of a cluster against made-up SLURM commands, and jobs left by a killed Snakemake."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from earmark import cluster
from earmark.cluster import Request, cancel_leftovers, check_cluster, read_minutes, read_partitions
from earmark.config import load_config
from earmark.errors import ClusterError
from earmark.workdir import Engine

SINFO = "cpu*|1-00:00:00|(null)|OFF\ngpu|infinite|gpu:a100:4|OFF\ngpu|infinite|(null)|OFF"
ACCOUNTING = "AccountingStorageType   = accounting_storage/slurmdbd\nAccountingStorageEnforce = associations,limits"
PLAIN = Request("count_task", None, None, 0, 10)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Give a function that puts a made-up command on the path; it prints a text, and its calls go to `calls`."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def put(name: str, prints: str, status: int = 0):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {name} $@ >> {tmp_path}/calls\ncat <<'END'\n{prints}\nEND\nexit {status}\n")
        path.chmod(0o755)
        return tmp_path

    for name, prints in {"sbatch": "", "sinfo": SINFO, "scontrol": ACCOUNTING, "sacctmgr": "lab\nother"}.items():
        put(name, prints)
    return put


def refuse(request: Request, *parts: str, status_command: str = "sacct") -> str:
    with pytest.raises(ClusterError) as refused:
        check_cluster([PLAIN, request], status_command)
    for part in parts:
        assert part in str(refused.value)
    return str(refused.value)


def scale_with(printed: str, root: Path) -> dict:
    """Load the paper scale with the line `overrides: {...}` that a message prints."""
    line = printed[printed.index("overrides: {") :]
    line = line[: line.index("`")]
    user = yaml.safe_load((root / "config.yaml").read_text())
    return load_config(root, user | {"scale": "paper"} | yaml.safe_load(line)).scale


def test_a_cluster_that_has_all_is_accepted(slurm):
    check_cluster([PLAIN, Request("train_probe", "gpu", "lab", 1, 100_000)], "sacct")


def test_no_sbatch_says_where_to_start(slurm, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    refuse(PLAIN, "no sbatch on the path", "login node", "--cores")


def test_a_silent_controller_is_named(slurm):
    slurm("sinfo", "", status=1)
    refuse(PLAIN, "`sinfo", "failed", "scontrol ping")


def test_an_unknown_partition_is_named_with_those_there_are(slurm):
    refuse(Request("train_probe", "fast", None, 0, 5), "'fast'", "cpu, gpu", "profiles/slurm/config.yaml")


def test_no_default_partition(slurm):
    slurm("sinfo", SINFO.replace("*", ""))
    refuse(PLAIN, "no default one", "cpu, gpu", "slurm_partition under default-resources")


def test_a_gpu_where_none_is_names_the_partitions_that_have_one(slurm):
    refuse(Request("train_probe", None, None, 1, 5), "train_probe asks for 1 GPU", "cpu has none", "with GPUs: gpu")


def test_a_time_above_the_partitions_limit_is_refused(slurm):
    refuse(Request("pretrain_encoder", "cpu", None, 0, 1441), "1441 minutes", "allows 1440", "overrides")
    check_cluster([Request("pretrain_encoder", "cpu,gpu", None, 0, 1441)], "sacct")


def test_a_time_that_only_a_later_attempt_asks_is_refused(slurm, root):
    training = Request("pretrain_encoder", "cpu", None, 0, 500, longest=2000)
    printed = refuse(training, "500 minutes, 2000 at its last attempt", "allows 1440", "wait for ever")
    assert scale_with(printed, root)["machine"]["most_minutes"] == 1440
    check_cluster([Request("pretrain_encoder", "cpu", None, 0, 500, longest=1440)], "sacct")
    check_cluster([Request("pretrain_encoder", "gpu", None, 0, 500, longest=2000)], "sacct")


def test_a_printed_override_is_one_that_the_configuration_takes(slurm, root):
    linear = Request("evaluate_linear_byola", None, None, 0, 1500, longest=6000)
    printed = refuse(linear, "`evaluate_linear_byola: {runtime: 1440}` under set-resources")
    scale = scale_with(printed, root)
    assert scale["resources"] == {"evaluate_linear": {"runtime": 1440}} and scale["machine"]["most_minutes"] == 1440


def test_preemption_that_cancels_is_told_with_what_to_set(slurm):
    slurm("sinfo", "cpu*|infinite|(null)|REQUEUE\ngpu|infinite|gpu:4|CANCEL\ngpu|infinite|(null)|CANCEL")
    assert check_cluster([PLAIN], "sacct") == []
    (said,) = check_cluster([PLAIN, Request("train_probe", "gpu", None, 1, 5)], "sacct")
    assert "partition gpu" in said and "PreemptMode=CANCEL" in said and "slurm_partition" in said and "Ctrl-C" in said


def test_an_account_of_somebody_else_is_refused(slurm):
    refuse(Request("count_task", None, "theirs", 0, 5), "'theirs'", "lab, other", "default-resources")


def test_of_several_accounts_each_is_looked_at(slurm):
    check_cluster([Request("count_task", None, "lab,Other", 0, 5)], "sacct")
    refuse(Request("count_task", None, "lab,theirs", 0, 5), "'theirs'", "lab, other")


@pytest.mark.parametrize("runtime", [1, None])
def test_a_time_below_a_checkpoint_interval_is_refused(slurm, runtime):
    slurm(
        "sinfo", "short|1:59|(null)|OFF\nlong*|2-00:00:00|(null)|OFF"
    )  # a partition of 119 s, which is one whole minute
    training = Request("pretrain_byol", "short", None, 0, runtime, 120.0)
    refuse(
        training, "pretrain_byol may run for 1 minutes at most", "every 120 s", "runtime to at least 2", "{runtime: 2}"
    )
    check_cluster([Request("pretrain_byol", "long", None, 0, 2, 120.0)], "sacct")
    check_cluster([Request("pretrain_byol", "long", None, 0, 1, 120.0, longest=2)], "sacct")
    check_cluster([Request("make_table", "short", None, 0, 1)], "sacct")


def test_no_account_on_a_cluster_that_wants_one(slurm):
    slurm("sacctmgr", "")
    refuse(PLAIN, "no job without an account", "slurm_account under default-resources")


def test_a_cluster_without_accounts_must_be_asked_by_squeue(slurm):
    slurm("scontrol", "AccountingStorageType   = accounting_storage/none")
    refuse(PLAIN, "keeps no accounts", "slurm-status-command: squeue")
    check_cluster([PLAIN], "squeue")


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("30:00", 30), ("2:00:30", 120), ("1-12:00:00", 2160), ("7-00:00:00", 10080), ("infinite", None)],
)
def test_times_of_slurm(limit, minutes):
    assert read_minutes(limit) == minutes


def test_a_partition_has_a_gpu_when_some_of_its_nodes_have():
    partitions = read_partitions(SINFO)
    assert partitions["gpu"].has_gpu and not partitions["cpu"].has_gpu and partitions["cpu"].is_default


@pytest.fixture
def queue(slurm, tmp_path):
    """Give a function that fills the queue; scancel takes jobs out when squeue has been asked once more."""

    def fill(*jobs: str):
        (tmp_path / "queue").write_text("\n".join(jobs) + "\n")
        slurm("squeue", "").joinpath("squeue").write_text(
            f"#!/bin/sh\ncat {tmp_path}/queue\n[ ! -f {tmp_path}/rest ] || mv {tmp_path}/rest {tmp_path}/queue\n"
        )
        script = "#!/bin/sh\necho $@ >> {0}/gone\nfor job; do grep -v ^$job {0}/queue > {0}/rest; cp {0}/rest {0}/left;"
        slurm("scancel", "").joinpath("scancel").write_text(
            script.format(tmp_path) + f" mv {tmp_path}/left {tmp_path}/queue; done\n"
        )
        return tmp_path

    return fill


def engine(jobs: str | None, is_living: bool, host: str | None = None) -> Engine:
    """Give a note of this process, or of one that cannot be it."""
    start = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return Engine(host or socket.gethostname(), os.getpid(), start if is_living else start - 1, "now", jobs)


def test_only_own_jobs_of_the_folder_are_cancelled_and_waited_for(queue, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    link = tmp_path / "link"
    link.symlink_to(here)
    folder = queue(f"3|earmark_a|{link}", f"4_2|earmark_a|{here}", f"4_3|earmark_a|{here}", f"5|mine|{here}")
    with (folder / "queue").open("a") as file:
        file.write(f"6|earmark_b|{there}\n7|earmarked|{here}\n")
    assert cancel_leftovers(here, "earmark", []) == ["3", "4_2", "4_3"]
    assert (folder / "gone").read_text().split() == ["3", "4"]  # an array by one call
    assert [line[0] for line in (folder / "queue").read_text().splitlines()] == ["5", "6", "7"]


def test_jobs_of_a_living_snakemake_stay_and_those_of_a_killed_one_go(queue):
    folder = queue("3|earmark_living|/here", "4|earmark_killed|/here")
    engines = [engine("earmark_living", True), engine("earmark_killed", False), engine(None, True)]
    assert cancel_leftovers(Path("/here"), "earmark", engines) == ["4"]
    assert (folder / "gone").read_text().split() == ["4"]


def test_jobs_of_a_snakemake_on_another_host_stop_the_run(queue):
    folder = queue("3|earmark_far|/here")
    with pytest.raises(ClusterError, match=r"login2.*ssh login2 ps -p.*--unlock"):
        cancel_leftovers(Path("/here"), "earmark", [engine("earmark_far", True, "login2")])
    assert not (folder / "gone").exists()
    queue("3|earmark_far|/elsewhere")
    assert cancel_leftovers(Path("/here"), "earmark", [engine("earmark_far", True, "login2")]) == []


def test_without_squeue_the_machine_that_submitted_is_named_until_the_user_says_it_is_over(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"no squeue on the path of .*login2.*squeue --me.*--unlock"):
        cancel_leftovers(Path("/here"), "earmark", [engine("earmark_far", True, "login2")])
    with pytest.raises(ClusterError, match=r"no squeue.*--unlock"):
        cancel_leftovers(Path("/here"), "earmark", [engine("earmark_killed", False)])
    over = replace(engine("earmark_far", False), ticks=None)
    assert cancel_leftovers(Path("/here"), "earmark", [over, engine(None, False)]) == []


def test_a_job_that_does_not_end_is_named(queue, monkeypatch):
    folder = queue("3|earmark_a|/here")
    (folder / "scancel").write_text("#!/bin/sh\n")
    monkeypatch.setattr(cluster, "END_SECONDS", 0)
    with pytest.raises(ClusterError, match=r"jobs 3 of an earlier run.*COMPLETING.*sinfo -R"):
        cancel_leftovers(Path("/here"), "earmark", [])
