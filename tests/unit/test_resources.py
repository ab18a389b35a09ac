"""What jobs ask: never less than finished jobs used, more for more data, within bounds, and as the user says."""

import pytest
import yaml

from earmark.config import load_config
from earmark.resources import NEEDS, Size, ask, grow, size_of

MOBILENET, BYOLA, RESNET = "mobilenet_v2", "byola_fsd50k", "byola_resnet50_regp_nrf"
# The most that jobs of both studies used at mini scale on CPUs, by Snakemake's benchmark files: MB, seconds.
USED = [
    ("pretrain_encoder", {"representation": "efficientnet_b0"}, 1010, 140),
    ("pretrain_byol", {"representation": "byola_batch_1024"}, 722, 288),
    ("pretrain_byol", {"representation": RESNET}, 643, 124),
    ("finetune_encoder", {"study": "at", "task": "fsd50k", "representation": "byola_v1_d2048"}, 724, 151),
    ("train_probe", {}, 530, 65),
    ("embed_dataset", {"representation": "byola_v1_d2048", "dataset": "fsdkaggle2019"}, 492, 28),
    ("embed_views", {"representation": "wav2vec2_context"}, 647, 15),
    ("evaluate_linear", {"study": "byola", "representation": RESNET}, 451, 20),
    ("prepare_dataset", {"dataset": "audioset"}, 157, 7),
    ("compute_log_mel", {"dataset": "audioset", "frontend": "at"}, 503, 16),
    ("provide_weights", {"representation": "wav2vec2_context"}, 387, 7),
    ("generate_archives", {"dataset": "audioset"}, 223, 14),
    ("count_task", {}, 215, 2),
    ("count_corpus", {"study": "at"}, 210, 1),
    ("describe_study", {"study": "byola"}, 503, 11),
    ("make_table", {}, 235, 8),
    ("make_figure", {"study": "byola", "figure": "figure1"}, 506, 12),
    ("make_report", {}, 214, 2),
]


@pytest.fixture(scope="module")
def at_scale(root):
    """Load the configuration at a scale, with lines of config.yaml changed."""

    def load(scale, **changes):
        return load_config(root, yaml.safe_load((root / "config.yaml").read_text()) | {"scale": scale} | changes)

    return load


@pytest.mark.parametrize(("rule", "names", "mb", "seconds"), USED, ids=[f"{row[0]}-{n}" for n, row in enumerate(USED)])
def test_a_job_asks_for_more_than_it_used(at_scale, rule, names, mb, seconds):
    config = at_scale("mini")
    asked = ask(config, rule, names)
    assert NEEDS[rule](config, names).mb > mb  # before the least that every job asks
    assert mb * 1.2 <= asked["mem_mb"] <= max(2000, 3 * mb)
    assert asked["runtime"] * 60 > 2 * seconds
    assert asked["threads"] == 1


def test_sizes_are_those_of_the_row_file(at_scale):
    assert size_of(at_scale("paper"), "esc50") == Size(2000, 2.8, 2.8 * 16_000 * 2 * 3600 / 1e9, 50)
    assert size_of(at_scale("open"), "fsd50k").clips == 36_796 + 4_170 + 10_231
    assert size_of(at_scale("mini"), "audioset").clips == size_of(at_scale("mini"), "esc50").clips


def test_rows_that_leave_out_hours_and_counts_have_a_size(at_scale):
    config = at_scale("paper")
    row = {key: value for key, value in config.datasets["esc50"].items() if key != "hours"}
    config.datasets["made_up"] = row | {"counts": {"train": 720, "test": None}, "labels": None}
    assert size_of(config, "made_up") == Size(720, 2.0, 2 * 0.1152, 1300)


def test_linear_evaluation_holds_the_largest_task_twice(at_scale):
    """The largest is NSynth: 305,979 clips of 4,096 numbers at most, with targets, scores, and the heads beside it."""
    config = at_scale("paper", tasks=["nsynth_instrument"])
    names = {"study": "byola", "representation": BYOLA}
    array = 2 * 305_979 * 4096 * 4 / 1e6
    found = NEEDS["evaluate_linear"](config, names).mb - config.scale["machine"]["least_mem_mb"]
    assert array < found < array * 1.1
    wide = NEEDS["evaluate_linear"](config, names | {"representation": RESNET}).mb
    assert wide > 4 * array


def test_linear_evaluation_of_several_learning_rates_takes_longer(at_scale):
    config = at_scale("paper")
    fixed, tuned = (
        NEEDS["evaluate_linear"](config, {"study": "byola", "representation": name}).minutes
        for name in (BYOLA, "byola_audioset")
    )
    assert 1.5 * fixed < tuned <= 7 * fixed


def test_pretraining_takes_as_long_as_its_corpus_its_epochs_and_the_assumed_speed_say(at_scale):
    names = {"representation": MOBILENET}
    minutes = NEEDS["pretrain_encoder"](at_scale("paper"), names).minutes
    assert minutes == pytest.approx(5790 * 100 / 2000 * 60)  # hours, epochs, hours trained in an hour
    faster = {"assumed_audio_hours_per_gpu_hour": 8000, "protocols": {"pretraining": {"max_epochs": 50}}}
    assert NEEDS["pretrain_encoder"](at_scale("paper", overrides=faster), names).minutes == pytest.approx(minutes / 8)


def test_byol_takes_a_segment_of_each_clip_through_two_networks_twice(at_scale):
    """Two views, each through a training step and a forward pass, of which a step has three."""
    hours = 500 * (36_796 + 4_170 + 10_231) * 0.95 / 3600
    found = NEEDS["pretrain_byol"](at_scale("open"), {"representation": BYOLA}).minutes
    assert found == pytest.approx(2 * (1 + 1 / 3) * hours / 2000 * 60)


def test_finetuning_counts_seeds_folds_and_epochs(at_scale):
    names = {"study": "at", "task": "esc50", "representation": MOBILENET}
    minutes = NEEDS["finetune_encoder"](at_scale("paper"), names).minutes
    assert minutes == pytest.approx(2.8 * 150 * 4 * 5 / 2000 * 60)  # hours, epochs, seeds, folds
    assert NEEDS["finetune_encoder"](at_scale("paper", seeds=[42]), names).minutes == pytest.approx(minutes / 4)


@pytest.mark.parametrize("rule", ["prepare_dataset", "compute_log_mel", "acquire_archives", "describe_dataset"])
def test_larger_data_sets_ask_for_more(at_scale, rule):
    config = at_scale("paper")
    small, large = (ask(config, rule, {"dataset": name, "frontend": "at"}) for name in ("esc50", "audioset"))
    assert small["mem_mb"] <= 1500 and small["runtime"] == config.scale["machine"]["least_minutes"]
    assert large["runtime"] > small["runtime"] or large["mem_mb"] > 3 * small["mem_mb"]


def test_small_data_sets_are_prepared_by_one_thread_and_large_ones_by_all(at_scale):
    config = at_scale("open")
    assert [ask(config, "prepare_dataset", {"dataset": name})["threads"] for name in ("esc50", "fsd50k")] == [1, 8]


def test_memory_of_mapped_files_does_not_grow_with_the_hours(at_scale):
    config = at_scale("paper")
    names = {"study": "at", "representation": MOBILENET}
    mb = {task: ask(config, "finetune_encoder", names | {"task": task})["mem_mb"] for task in ("esc50", "voxlingua107")}
    assert mb["voxlingua107"] < 3 * mb["esc50"]


def test_on_cpus_a_batch_is_in_the_same_memory(at_scale):
    names = {"representation": MOBILENET}
    gpu, cpu = (NEEDS["pretrain_encoder"](at_scale("open", accelerator=name), names).mb for name in ("cuda", "cpu"))
    assert cpu > gpu + 10_000  # 32 clips of 10 s


def test_values_lie_between_the_bounds_of_the_scale(at_scale):
    config = at_scale("paper")
    small = at_scale("paper", overrides={"machine": {"most_mem_mb": 5000}})
    assert ask(small, "train_probe", {})["mem_mb"] == 5000 < ask(config, "train_probe", {})["mem_mb"]
    assert ask(config, "pretrain_encoder", {"representation": MOBILENET})["runtime"] == 10_080
    higher = at_scale("paper", overrides={"machine": {"most_minutes": 20_160, "threads": 2}})
    asked = ask(higher, "pretrain_encoder", {"representation": MOBILENET})
    assert (asked["runtime"], asked["threads"]) == (20_160, 2)


def test_what_the_user_sets_is_asked(at_scale):
    config = at_scale("paper", overrides={"resources": {"train_probe": {"mem_mb": 400}, "count_task": {"runtime": 3}}})
    computed = ask(at_scale("paper"), "train_probe", {})
    assert ask(config, "train_probe", {}) == computed | {"mem_mb": 400}
    assert ask(config, "count_task", {})["runtime"] == 3


def test_attempts_ask_for_more_up_to_the_bound():
    assert [grow(2000, 5000, attempt) for attempt in (1, 2, 3, 4)] == [2000, 4000, 5000, 5000]
    assert [grow(9000, 5000, attempt) for attempt in (1, 2)] == [9000, 9000]  # the user's own
