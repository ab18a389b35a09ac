"""The plan: trainings, sizes, states and times, against numbers worked out by hand."""

import re
import time
from pathlib import Path

import pytest
import yaml
from placeholders import place_archives

from earmark.config import load_config
from earmark.config.checkpoints import load_checkpoints
from earmark.plan import DataSize, make_plan, measure_dataset, peak_bytes, used_datasets
from earmark.resources import NEEDS

ROOT = Path(__file__).resolve().parents[2]
HOUR = 115_200_000  # bytes: 16,000 samples a second, 2 bytes each, 3,600 seconds
LOG_MEL_HOUR = 92_160_000  # bytes: 100 frames a second, 64 numbers of 4 bytes, 3,600 seconds
ZIP = {"name": "a.zip", "url": "http://localhost/a.zip", "bytes": 1000, "unpack": "zip"}


@pytest.fixture
def config(root, tmp_path):
    """Give the paper scale with an empty data folder and one more data set, that each test fills."""
    user = yaml.safe_load((root / "config.yaml").read_text())
    config = load_config(root, user | {"scale": "paper", "data_dir": str(tmp_path)})
    config.datasets["made_up"] = config.datasets["esc50"] | {"hours": 2.0, "files": [ZIP]}
    return config


def sizes(config, *files, **row) -> DataSize:
    config.datasets["made_up"] |= {"files": list(files), **row}
    return measure_dataset(config, "made_up", [])


def plan_of(config) -> str:
    return make_plan(config, load_checkpoints(ROOT, config))


def line_of(plan: str, name: str) -> str:
    return next(line for line in plan.splitlines() if line.split()[:1] == [name])


def test_published_sizes_count_as_they_are(config):
    files = (ZIP | {"unpacked_bytes": 1500}, ZIP | {"name": "b.zip", "bytes": 20, "unpacked_bytes": 30})
    size = sizes(config, *files, ZIP | {"name": "c.zip", "bytes": 7, "optional": True})
    assert size == DataSize(1020, True, 1530, True, 2 * HOUR, 0, 1020)


def test_what_is_not_unpacked_takes_no_second_place(config):
    files = (ZIP | {"in_place": True}, ZIP | {"unpack": "none"}, ZIP | {"unpack": "folder"})
    assert sizes(config, *files).unpacked == 0 and sizes(config, *files).is_unpacked_known


def test_unknown_sizes_are_estimated_from_the_hours(config):
    size = sizes(config, ZIP | {"bytes": None}, ZIP)
    assert (size.archives, size.is_known, size.unpacked, size.is_unpacked_known) == (2 * HOUR, False, 2 * HOUR, False)
    assert sizes(config, ZIP | {"bytes": None}, ZIP | {"bytes": 3 * HOUR}).archives == 3 * HOUR
    assert sizes(config, ZIP).unpacked == 1000


def test_log_mel_caches_are_one_a_front_end(config):
    frontends = {config.encoders[slug]["frontend"] for slug in ("mobilenet_v2", "efficientnet_b0", "byola_v1_d2048")}
    assert measure_dataset(config, "esc50", ["at"]).log_mel == round(2.8 * LOG_MEL_HOUR) * len(frontends)
    assert measure_dataset(config, "audioset", ["at"]).log_mel == 0  # no task: pre-training reads sound
    assert measure_dataset(config, "esc50", []).log_mel == 0


def test_only_missing_files_are_to_fetch(config, tmp_path):
    files = (ZIP, ZIP | {"name": "b.zip", "bytes": None}, ZIP | {"name": "c.zip", "bytes": None})
    assert sizes(config, *files).to_fetch == 2 * HOUR
    place_archives(tmp_path / "real" / "made_up" / "archives", {"files": files}, leave_out=("b.zip",))
    assert sizes(config, *files).to_fetch == (2 * HOUR - 1000) // 2
    (tmp_path / "real" / "made_up" / "clips.parquet").touch()
    assert sizes(config, *files).to_fetch == 0


def test_the_peak_holds_one_unpacked_set_at_a_time():
    first, second = DataSize(1, True, 100, True, 10, 1000, 0), DataSize(2, True, 300, True, 20, 2000, 0)
    assert peak_bytes([first, second]) == 1 + 10 + 1000 + 2 + 20 + 2000 + 300
    assert peak_bytes([]) == 0


def test_the_plan_counts_the_whole_protocol_and_what_the_data_at_hand_allow(config, tmp_path):
    plan = plan_of(config)
    assert "downstream trainings 936, together 938 in 114 jobs" in plan
    # Each of the eight runs of a task (two networks in three modes, BYOL-A in two) has as many trainings. Without
    # AudioSet the four frozen and finetuned runs of the two networks go; three tasks of 4 trainings a run go too.
    per_run = 936 // 8
    assert f"downstream trainings {4 * (per_run - 3 * 4)}, together {4 * (per_run - 3 * 4)} in {4 * 11} jobs" in plan
    for dataset in ("audioset", "msos", "voxceleb1", "fluent_speech_commands"):
        place_archives(tmp_path / "real" / dataset / "archives", config.datasets[dataset])
    assert "with the data at hand: pre-trainings 2, downstream trainings 936, together 938" in plan_of(config)


@pytest.mark.parametrize("name", ["byola_fsd50k", "byola_resnet50_regp_nrf"])
def test_the_hours_of_a_pretraining_are_those_that_its_job_asks_for(root, tmp_path, name):
    user = yaml.safe_load((root / "config.yaml").read_text()) | {"scale": "open", "data_dir": str(tmp_path)}
    config = load_config(root, user | {"studies": ["byola"], "encoders": [name], "modes": ["linear"]})
    hours = NEEDS["pretrain_byol"](config, {"representation": name}).minutes / 60
    found = re.search(r"GPU-hours: at most ([\d,]+),", plan_of(config))[1]
    assert hours - 0.5 <= int(found.replace(",", "")) < hours + 2  # the rest: a pass over each task


def test_every_data_set_has_its_line_with_state_and_access(config, tmp_path):
    place_archives(tmp_path / "real" / "us8k" / "archives", config.datasets["us8k"])
    (tmp_path / "real" / "ravdess").mkdir()
    (tmp_path / "real" / "ravdess" / "clips.parquet").touch()
    plan = plan_of(config)
    for name in config.datasets:
        assert config.datasets[name]["access"] in line_of(plan, name)
    assert line_of(plan, "us8k").endswith("present, 1 of 1 files here") and "6.0 GB" in line_of(plan, "us8k")
    assert line_of(plan, "ravdess").endswith("prepared")
    assert "missing" in line_of(plan, "voxceleb1") and "gated" in line_of(plan, "voxceleb1")
    assert "to download" in line_of(plan, "esc50")
    used, unused = plan.split("Declared, not yet used by a study:")
    assert line_of(unused, "made_up") and "made_up" not in used
    assert set(used_datasets(config, "at")) <= {line.split()[0] for line in used.splitlines() if line.strip()}


def test_the_time_follows_the_bandwidth(config, tmp_path):
    for name, spec in config.datasets.items():
        place_archives(tmp_path / "real" / name / "archives", spec)
    (tmp_path / "real" / "us8k" / "archives" / "UrbanSound8K.tar.gz").unlink()
    assert "to download: about 6.0 GB, 8 min at 100 Mbit/s" in plan_of(config)  # 6.02 GB x 8 / 100 Mbit = 482 s
    config.user["bandwidth_mbit_per_s"] = 2.5
    assert "to download: about 6.0 GB, 5.4 h at 2.5 Mbit/s" in plan_of(config)  # 40 times as long


def test_what_the_user_must_bring_is_said_until_it_is_there(config, tmp_path):
    wanted = f"Bring yourself: voxceleb1 (gated): {config.datasets['voxceleb1']['page']}"
    assert wanted in plan_of(config)
    place_archives(tmp_path / "real" / "voxceleb1" / "archives", config.datasets["voxceleb1"])
    assert "Bring yourself: voxceleb1" not in plan_of(config)


def test_a_choice_of_tasks_plans_their_data_alone(root, tmp_path):
    user = yaml.safe_load((root / "config.yaml").read_text())
    config = load_config(root, user | {"scale": "open", "data_dir": str(tmp_path), "tasks": ["esc50"]})
    plan = plan_of(config)
    assert "not yet used" not in plan and "us8k" not in plan and line_of(plan, "fsd50k")


def test_the_plan_is_made_in_no_time(config):
    started = time.perf_counter()
    plan_of(config)
    assert time.perf_counter() - started < 2
