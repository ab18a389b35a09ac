"""What `earmark watch` reads from logs, histories and benchmarks, against numbers worked out by hand."""

import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from earmark.cli import main
from earmark.config import load_config
from earmark.files import read_yaml
from earmark.watch import look, runs
from earmark.watch.runs import Job, Place, ask_queue, living_runs, parse_run, read_runs
from earmark.watch.trainings import read_history, read_training
from earmark.watch.usage import measure_usage

BEGUN = "Sat Nov 21 10:00:00 2026"
LOG = f"""
SNAKEMAKE
=========
  Host: elsewhere
Job stats:
job                 count
----------------  -------
pretrain_encoder        2
train_probe             4
at                      1
total                   7

Select jobs to execute...
[{BEGUN}]
rule pretrain_encoder:
    input: data/mini/audioset/clips.parquet
    output: results/mini/encoders/mobilenet_v2/weights.safetensors, results/mini/encoders/mobilenet_v2/card.yaml
    log: results/mini/logs/pretrain_encoder/mobilenet_v2.log
    jobid: 3
    benchmark: results/mini/benchmarks/pretrain_encoder/mobilenet_v2.tsv
    reason: Missing output files: <TBD>
    wildcards: scale=mini, representation=mobilenet_v2
    priority: 100
    threads: 2
    resources: mem_mb=3000, runtime=30, gpu=1
[{BEGUN}]
rule train_probe:
    output: results/mini/scores/at/esc50/mobilenet_v2/frozen.parquet
    log: results/mini/logs/train_probe/at/esc50/mobilenet_v2.log
    jobid: 4
    benchmark: results/mini/benchmarks/train_probe/at/esc50/mobilenet_v2.tsv
    wildcards: scale=mini, study=at, task=esc50, representation=mobilenet_v2
    resources: mem_mb=2000, gpu=1
[Sat Nov 21 10:01:00 2026]
rule train_probe:
    log: results/mini/logs/train_probe/at/us8k/mobilenet_v2.log
    jobid: 5
    benchmark: results/mini/benchmarks/train_probe/at/us8k/mobilenet_v2.tsv
    wildcards: scale=mini, study=at, task=us8k, representation=mobilenet_v2
"""
FINISHED = """[Sat Nov 21 10:02:00 2026]
Finished jobid: 4 (Rule: train_probe)
1 of 7 steps (14%) done
"""
FAILED = """[Sat Nov 21 10:03:00 2026]
Error in rule train_probe:
    jobid: 5
    log: results/mini/logs/train_probe/at/us8k/mobilenet_v2.log (check log file(s) for error details)
"""
AGAIN = """Trying to restart job 5.
[Sat Nov 21 10:04:00 2026]
rule train_probe:
    jobid: 5
    wildcards: scale=mini, study=at, task=us8k, representation=mobilenet_v2
"""
BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n{}\t\t\t\t\t\t\t\t\t\n"


@pytest.fixture(scope="module")
def config(root):
    """Give what is declared, at mini scale."""
    return load_config(root, {**read_yaml(root / "config.yaml"), "scale": "mini"})


@pytest.fixture
def folder(tmp_path):
    """Give a folder in which a run of another machine goes on."""
    write(tmp_path / ".snakemake/log/2026-11-21T100000.000000.snakemake.log", LOG)
    write(tmp_path / ".snakemake/locks/0.input.lock", "")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def parse(text: str) -> runs.Run:
    return parse_run(text.splitlines(), Path("run.log"))


def numbers(run: runs.Run) -> tuple:
    return [job.wildcards.get("task") for job in run.running], dict(run.finished), len(run.failed)


def shown(folder: Path, config) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(look(folder, config, {}))
    return console.export_text()


def pretraining(begun: float = 0.0) -> Job:
    fields = {
        "output": "results/mini/encoders/mobilenet_v2/weights.safetensors",
        "wildcards": "scale=mini, representation=mobilenet_v2",
    }
    return Job("pretrain_encoder", begun, fields=fields)


def test_log_of_a_run():
    run = parse(LOG)
    assert run.planned == {"pretrain_encoder": 2, "train_probe": 4, "at": 1}
    assert numbers(run) == ([None, "esc50", "us8k"], {}, 0)
    job = run.running[0]
    assert (job.rule, job.scale, job.gpus, job.benchmarks) == ("pretrain_encoder", "mini", 1, "pretrain_encoder")
    assert job.begun == time.mktime((2026, 11, 21, 10, 0, 0, 0, 0, -1)) and run.host == "elsewhere"
    assert run.running[2].gpus == 0


def test_finished_failed_and_restarted_jobs():
    assert numbers(parse(LOG + FINISHED)) == ([None, "us8k"], {"train_probe": 1}, 0)
    assert numbers(parse(LOG + FINISHED + FAILED)) == ([None], {"train_probe": 1}, 1)
    assert numbers(parse(LOG + FINISHED + FAILED + AGAIN)) == ([None, "us8k"], {"train_probe": 1}, 0)


def test_a_log_cut_anywhere_is_read():
    whole = LOG + FINISHED + FAILED + AGAIN
    for end in range(0, len(whole), 7):
        parse(whole[:end])


def test_jobs_of_slurm_get_their_ids():
    told = "Job 3 has been submitted with SLURM jobid 71 (log: x).\n"
    told += "Submitted array job with Snakemake IDs 4,5 and SLURM job ID 80. The individual task IDs are 1-2.\n"
    assert [job.slurm for job in parse(LOG + told).running] == ["71", "80_1", "80_2"]


def test_queue_of_slurm(monkeypatch):
    text = "71|RUNNING|node3|2026-11-21T10:00:30\n80_1|PENDING||2026-11-22T00:00:00\n"
    monkeypatch.setattr(runs, "ask", lambda *command: text)
    start = time.mktime((2026, 11, 21, 10, 0, 30, 0, 0, -1))
    assert ask_queue() == {"71": Place(start, "node3"), "80_1": Place(None, None)}


def test_queue_decides_which_jobs_of_slurm_are_shown(folder, config, monkeypatch):
    (log,) = (folder / ".snakemake/log").iterdir()
    log.write_text(LOG + "Job 3 has been submitted with SLURM jobid 71 (log: x).\n")
    asked = []
    monkeypatch.setattr(runs, "ask", lambda *command: asked.append(command) or "71|RUNNING|node3|2026-11-21T10:00:30\n")
    (folder / ".snakemake/locks/0.input.lock").unlink()
    text = shown(folder, config)
    assert "node3" in text and "esc50" not in text and "still on the cluster" in text
    assert len(asked) == 1


def test_a_run_of_this_machine_lives_while_its_log_is_held_open(tmp_path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell which files a process holds open")
    text = LOG.replace("elsewhere", runs.socket.gethostname())
    log = write(tmp_path / ".snakemake/log/2026-11-21T100000.000000.snakemake.log", text)
    write(tmp_path / ".snakemake/locks/0.input.lock", "")
    found = read_runs(tmp_path, {})
    assert living_runs(found, tmp_path) == []
    for name, living in (("snakemake", found), ("pager", [])):  # who only reads a log does not count
        with log.open("a") as file:
            command = ["sh", "-c", "echo; read line", name]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)
        with process:
            process.stdout.readline()
            assert living_runs(found, tmp_path) == living
        assert living_runs(found, tmp_path) == []


def test_a_grown_log_is_read_again(folder):
    known = {}
    (first,) = read_runs(folder, known)
    (same,) = read_runs(folder, known)
    with first.path.open("a") as file:
        file.write(FINISHED + "Complete log(s): x\n")
    (grown,) = read_runs(folder, known)
    assert same is first and grown.is_ended and grown.finished.total() == 1


def test_history_with_a_cut_line_and_missing_columns(tmp_path):
    path = write(
        tmp_path / "history.csv", "step,epoch,train_loss,seconds\n7,0.5,0.25,4.0\n14,1.0,nothing,8.0\n21,1.5,0."
    )
    assert read_history(path) == [
        {"step": 7, "epoch": 0.5, "train_loss": 0.25, "seconds": 4},
        {"step": 14, "epoch": 1, "seconds": 8},
    ]
    assert read_history(path, since=time.time() + 60) == [] and read_history(tmp_path / "none.csv") == []
    assert read_history(write(tmp_path / "empty.csv", "")) == []


def test_training_of_an_encoder(folder, config):
    """Between the two validations 30 steps and 1.5 epochs in 12 s; of 20 epochs at mini scale 17 are left."""
    work = folder / "results/mini/encoders/mobilenet_v2/checkpoints"
    write(work / "history.csv", "step,epoch,train_loss,score,seconds\n30,1.5,0.5,10,10\n60,3,0.25,20,22\n")
    write(work / "checkpoint_000000070.pt", "")
    found = read_training(pretraining(), folder, config)
    assert (found.step, found.epoch, found.epochs, found.loss, found.score) == (70, 3.0, 20, 0.25, 20.0)
    assert found.rate == pytest.approx(30 / 12) and found.left == pytest.approx(17 * 12 / 1.5)


def test_first_validation_counts_from_the_start(folder, config):
    write(folder / "results/mini/encoders/mobilenet_v2/checkpoints/history.csv", "step,epoch,seconds\n30,1.5,10\n")
    found = read_training(pretraining(), folder, config)
    assert found.rate == pytest.approx(3) and found.loss is None


def test_a_job_with_many_runs(folder, config):
    """Two seeds and two folds at mini scale; one run was finished before, the second trains."""
    log = "results/mini/logs/finetune.log"
    lines = ["seed42_fold1 is finished already", "seed43_fold1: 20 clips to train on, 5 to test", "step 7 epoch 0.5"]
    write(folder / log, "".join(f"2026-11-21 10:00:00,000 INFO {line}\n" for line in lines))
    scores = "results/mini/scores/at/esc50/mobilenet_v2/finetune.parquet"
    write(
        folder / scores.replace(".parquet", "/runs/seed43_fold1.work/history.csv"), "step,epoch,train_loss\n7,0.5,2\n"
    )
    wildcards = "scale=mini, study=at, task=esc50, representation=mobilenet_v2, mode=finetune"
    job = Job("finetune_encoder", 0.0, fields={"output": scores, "log": log, "wildcards": wildcards})
    found = read_training(job, folder, config)
    assert (found.run, found.runs, found.epoch, found.epochs, found.loss, found.rate) == (2, 4, 0.5, 11, 2.0, None)


def test_files_that_cannot_be_read_are_left_out(folder, config):
    """Folders in their place raise the same kind of error as a missing permission, for root as well."""
    (folder / "results/mini/encoders/mobilenet_v2/checkpoints/history.csv").mkdir(parents=True)
    (folder / ".snakemake/log/2026-11-21T110000.000000.snakemake.log").mkdir()
    (folder / "results/mini/benchmarks/train_probe/at/odd.tsv").mkdir(parents=True)
    (folder / "results/mini/logs/pretrain_encoder/mobilenet_v2.log").mkdir(parents=True)
    assert read_training(pretraining(), folder, config).epoch is None
    assert len(read_runs(folder, {})) == 1
    assert "pretrain_encoder mobilenet_v2" in shown(folder, config)


def test_hours_used_and_left(folder):
    """Probes took 1,800 and 3,600 s: 2,700 s each; three are left, two of which run for 600 s and 7,200 s."""
    benchmarks = folder / "results/mini/benchmarks"
    write(benchmarks / "train_probe/at/a.tsv", BENCHMARK.format(1800))
    write(benchmarks / "train_probe/at/b.tsv", BENCHMARK.format(3600))
    write(benchmarks / "make_report.tsv", BENCHMARK.format(360))
    write(benchmarks / "train_probe/at/killed.tsv", "")
    write(benchmarks / "train_probe/at/odd.tsv", "s\tmax_rss\n-\t-\n")
    run = parse(LOG + FINISHED)
    probe = run.running[1]
    now = 1e9
    jobs = [(probe, Place(now - 600, None), None), (probe, Place(now - 7200, None), None)]
    run.running = [probe, probe]
    for job in run.jobs:
        job.fields["resources"] = "gpu=2"
    usage = measure_usage(benchmarks, [run], [run], jobs, now)
    assert (usage.finished.jobs, usage.finished.hours) == (3, pytest.approx(5760 / 3600))
    assert usage.finished.gpu_hours == pytest.approx(2 * 5400 / 3600)
    assert (usage.running.jobs, usage.running.hours) == (2, pytest.approx(7800 / 3600))
    assert usage.running.gpu_hours == pytest.approx(2 * 7800 / 3600)
    assert (usage.left.jobs, usage.left.hours) == (3, pytest.approx((2700 + 2100) / 3600))
    assert usage.left.gpu_hours == pytest.approx(2 * 4800 / 3600)
    assert usage.uncounted == 3  # two pre-trainings and the target


def test_table_of_a_run(folder, config):
    text = shown(folder, config)
    assert "0 of 7 jobs done" in text and "pretrain_encoder mobilenet_v2" in text and "train_probe at esc50" in text
    (log,) = (folder / ".snakemake/log").iterdir()
    log.write_text(LOG + FINISHED + FAILED)
    text = shown(folder, config)
    assert "1 of 7 jobs done" in text and "train_probe at esc50" not in text
    assert "1 failed in this run:" in text and "logs/train_probe/at/us8k/mobilenet_v2.log" in text


def test_jobs_of_another_scale_are_not_shown(folder, config):
    (log,) = (folder / ".snakemake/log").iterdir()
    log.write_text(LOG.replace("mini", "paper"))
    text = shown(folder, config)
    assert "train_probe" not in text and "No job of this scale runs now" in text


def test_where_nothing_runs(tmp_path, config):
    assert "Nothing runs in this folder" in shown(tmp_path, config)
    assert "snakemake --cores all --config scale=mini" in shown(tmp_path, config)


def test_command(folder, capsys):
    assert main(["watch", "--once", "--scale", "mini", "--directory", str(folder)]) == 0
    assert "pretrain_encoder" in capsys.readouterr().out
    shutil.rmtree(folder / ".snakemake")
    assert main(["watch", "--once", "--directory", str(folder)]) == 0
    assert "Nothing runs" in capsys.readouterr().out


def test_wrong_calls(tmp_path, capsys):
    assert main(["watch", "--once", "--scale", "miny", "--directory", str(tmp_path)]) == 2
    assert "unknown scale 'miny'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["watch", "--interval", "0"])
    assert stopped.value.code == 2
