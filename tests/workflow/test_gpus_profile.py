"""--profile gpus: real jobs of a small workflow on made-up devices, and what the rules of this one ask for."""

import re
import shutil
from itertools import combinations

import pytest
from checkouts import ROOT, run_snakemake

pytestmark = pytest.mark.workflow
SNAKEFILE = """
from types import SimpleNamespace
from snakemake.exceptions import WorkflowError
CONFIG = SimpleNamespace(user={"accelerator": config.get("accelerator", "auto")})
include: "gpus.smk"
onstart:
    begin_gpu_run()
rule all:
    input: expand("out/train_{n}.txt", n=range(5)), "out/train_two.txt", "out/no_gpu.txt"
    localrule: True
rule train:
    output: "out/train_{n}.txt"
    log: "logs/train_{n}.log"
    resources: gpu=gpus()
    script: "job.py"
rule train_two:
    output: "out/train_two.txt"
    log: "logs/train_two.log"
    resources: gpu=gpus(2)
    script: "job.py"
rule no_gpu:
    output: "out/no_gpu.txt"
    shell: "echo $CUDA_VISIBLE_DEVICES > {output}"
"""
JOB = """
import os, time
from pathlib import Path
from earmark.gpu_slots import start_gpu_job
start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
begin = time.monotonic()
time.sleep(0.5)
Path(snakemake.output[0]).write_text(f"{os.environ['CUDA_VISIBLE_DEVICES']} {begin} {time.monotonic()}")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give a folder with a small workflow, this profile and the package; two devices are shown."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    shutil.copy(ROOT / "workflow" / "rules" / "gpus.smk", tmp_path)
    shutil.copytree(ROOT / "profiles" / "gpus", tmp_path / "gpus")
    (tmp_path / "src").symlink_to(ROOT / "src")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "made_up_5,made_up_7")
    return tmp_path


def run(folder, *arguments, check=True):
    return run_snakemake(folder, "--profile", "gpus", "--cores", "8", *arguments, check=check)


def test_each_job_has_devices_of_its_own(folder):
    assert "GPUs: made_up_5, made_up_7, one job on each." in run(folder).stdout
    held = []
    for name in [*(f"train_{n}" for n in range(5)), "train_two"]:
        devices, begin, end = (folder / "out" / f"{name}.txt").read_text().split()
        held.append((set(devices.split(",")), float(begin), float(end)))
        assert "uses GPU" in (folder / "logs" / f"{name}.log").read_text()
    assert [len(devices) for devices, _, _ in held] == [1] * 5 + [2]
    assert set.union(*(devices for devices, _, _ in held)) == {"made_up_5", "made_up_7"}
    for (devices, begin, end), (others, other_begin, other_end) in combinations(held, 2):
        assert not devices & others or end <= other_begin or other_end <= begin
    assert (folder / "out" / "no_gpu.txt").read_text().strip() == "made_up_5,made_up_7"


@pytest.mark.parametrize(
    ("arguments", "visible", "message"),
    [
        (("--resources", "gpu=3"), "0,1", "a total of 3 GPUs is set and this machine shows 2: 0, 1. Set gpu"),
        (("--resources", "gpu=1"), "0,1", "a job asks for 2 GPUs and the total is 1. Set devices in config.yaml"),
    ],
)
def test_too_few_devices_end_the_run_before_the_first_job(folder, monkeypatch, arguments, visible, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    done = run(folder, *arguments, check=False)
    assert done.returncode != 0 and message in done.stdout and not (folder / "out").exists()


def test_without_a_gpu_or_a_wish_for_one_no_slot_is_taken(folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "GPUs: found none" in run(folder, "out/train_0.txt").stdout
    assert (folder / "out" / "train_0.txt").read_text().startswith(" ")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert "GPUs:" not in run(folder, "out/train_1.txt", "--config", "accelerator=cpu").stdout
    assert (folder / "out" / "train_1.txt").read_text().startswith("4,5 ")


def gpus_asked(checkout, *settings):
    """Read from a dry run how many GPUs the jobs of each rule ask for; 0 where their resources name none."""
    target = ("results/mini/tables/at/table3.csv", "--config", *settings)
    asked = {}
    for block in run_snakemake(checkout, "-n", "--profile", "gpus", *target).stdout.split("\nrule ")[1:]:
        found = re.search(r"^    resources: .*\bgpu=(\d+)", block, re.MULTILINE)
        asked.setdefault(block.split(":")[0], set()).add(int(found.group(1)) if found else 0)
    return asked


def test_trainings_ask_for_the_devices_they_use(checkout):
    asked = gpus_asked(checkout, "devices=2")
    assert asked["pretrain_encoder"] == {2}
    assert asked["finetune_encoder"] == asked["embed_dataset"] == asked["train_probe"] == {1}
    assert asked["prepare_dataset"] == asked["make_table"] == {0}


def test_on_the_cpu_no_gpu_is_asked_for(checkout):
    assert set.union(*gpus_asked(checkout, "accelerator=cpu").values()) == {0}
