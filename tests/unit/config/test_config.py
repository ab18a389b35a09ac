"""Bad configuration is refused at the start, with file, key and the nearest valid name."""

import shutil

import pytest

from earmark.config import load_config
from earmark.config.load import merge
from earmark.config.requests import run_remarks, study_runs, table_left_out, table_runs
from earmark.errors import ConfigError
from earmark.plan import n_trainings


@pytest.fixture
def tree(tmp_path, root):
    """Give a copy of all configuration files that a test may spoil."""
    for folder in ("config", "paper", "workflow/schemas"):
        shutil.copytree(root / folder, tmp_path / folder)
    return tmp_path


def spoil(path, old, new):
    """Replace a text that must be there once or more."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_default_configuration_is_valid(tree, user):
    config = load_config(tree, user)
    assert config.source == "mini"
    assert config.seeds("at", "esc50") == [42, 43]
    assert config.seeds("at", "voxlingua107") == [42]
    assert config.protocol("at", "downstream")["average_best"] == 4


def test_a_representation_may_name_a_variant_of_its_encoder(tree, user):
    study = tree / "paper" / "at" / "study.yaml"
    spoil(study, "encoder: byola_v1_d2048,", "encoder: byola_v1_d2048, options: {pool: max},")
    config = load_config(tree, user)
    assert config.options_of_representation("byola_v1_d2048") == {"width": 0.25, "pool": "max"}
    assert config.options_of_representation("mobilenet_v2") == config.encoder_options("mobilenet_v2")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scael", "mini", r"config\.yaml.*unknown key 'scael'. Did you mean 'scale'"),
        ("scale", "papr", r"config\.yaml: scale: unknown scale 'papr'. Did you mean 'paper'"),
        ("tasks", ["esc5"], r"config\.yaml: tasks: unknown task 'esc5'. Did you mean 'esc50'"),
        ("encoders", ["mobilnet_v2"], r"encoders: unknown encoder 'mobilnet_v2'. Did you mean 'mobilenet_v2'"),
        ("modes", ["fintune"], r"modes: unknown mode 'fintune'. Did you mean 'finetune'"),
        ("studies", ["ta"], r"studies: unknown study 'ta'"),
        ("seeds", [-1], r"config\.yaml: seeds"),
        ("seeds", [7], r"config\.yaml: seeds: unknown seed 7. Known: 42, 43, 44, 45"),
        ("devices", -1, r"config\.yaml: devices: found -1, wanted a number of at least 1"),
        ("nodes", 0, r"config\.yaml: nodes: found 0, wanted a number of at least 1"),
        ("checkpoints", {"byol": "x"}, r"checkpoints: unknown encoder 'byol'. Did you mean 'byola'"),
        (
            "overrides",
            {"protocols": {"downstream": {"max_epoch": 3}}},
            r"unknown key 'max_epoch'. Did you mean 'max_epochs'",
        ),
        (
            "overrides",
            {"protocols": {"downstream": {"learning_rate": -1}}},
            r"learning_rate: found -1, wanted .* more than 0",
        ),
    ],
)
def test_bad_values_of_the_user_are_refused(tree, user, key, value, message):
    with pytest.raises(ConfigError, match=message):
        load_config(tree, user | {key: value})


def test_values_of_the_command_line_are_no_longer_text(tree, user):
    given = {"trials": "1", "protocols": {"downstream": {"learning_rate": "1e-4"}}, "label": "a: b"}
    config = load_config(tree, user | {"seeds": ["42"], "overrides": given})
    assert config.user["seeds"] == [42]
    assert config.scale["trials"] == 1 and config.scale["label"] == "a: b"
    assert config.scale["protocols"]["downstream"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dataset: esc50,",
            "dataset: esc05,",
            r"at/study\.yaml: tasks\.esc50\.dataset: unknown data set 'esc05'. Did you mean",
        ),
        (
            "metric: mapat3",
            "metric: mapat33",
            r"tasks\.fsdkaggle2018\.metric: unknown metric 'mapat33'. Did you mean 'mapat3'",
        ),
        ("metric: map,", "metric: accuracy,", r"tasks\.fsd50k\.metric: accuracy is defined for single-label tasks"),
        ("encoder: mobilenet_v2,", "encoder: mobilenet,", r"unknown encoder 'mobilenet'. Did you mean 'mobilenet_v2'"),
        (
            "holdout: {fraction",
            "holdout: {fractoin",
            r"tasks\.msos\.holdout: unknown key 'fractoin'. Did you mean 'fraction'",
        ),
        ("loss: cross_entropy", "loss: crossentropy", r"unknown value 'crossentropy'. Did you mean 'cross_entropy'"),
        ("max_epochs: 150", "max_epochs: -150", r"max_epochs: found -150, wanted a number of at least 1"),
    ],
)
def test_bad_study_files_are_refused(tree, user, old, new, message):
    spoil(tree / "paper" / "at" / "study.yaml", old, new)
    with pytest.raises(ConfigError, match=message):
        load_config(tree, user)


def test_a_misspelt_key_of_a_data_set_is_refused(tree, user):
    spoil(tree / "config" / "datasets" / "esc50.yaml", "licence:", "license:")
    with pytest.raises(ConfigError, match=r"datasets/esc50\.yaml.*unknown key 'license'. Did you mean 'licence'"):
        load_config(tree, user)


def test_an_unknown_reader_is_refused(tree, user):
    spoil(tree / "config" / "datasets" / "esc50.yaml", "title:", "reader: esc05\ntitle:")
    with pytest.raises(
        ConfigError, match=r"datasets/esc50\.yaml: reader: unknown reader 'esc05'. Did you mean 'esc50'"
    ):
        load_config(tree, user)


def test_a_file_that_names_another_must_find_it(tree, user):
    spoil(
        tree / "config" / "datasets" / "fsd50k.yaml", "volumes_of: FSD50K.dev_audio.zip", "volumes_of: FSD50K.dev.zip"
    )
    with pytest.raises(ConfigError, match=r"fsd50k\.yaml: files: FSD50K.dev_audio.z01: volumes_of: unknown file"):
        load_config(tree, user)


def test_timed_labels_are_several_a_clip(tree, user):
    spoil(tree / "config" / "datasets" / "esc50.yaml", "label_type: single", "label_type: event")
    with pytest.raises(
        ConfigError, match=r"tasks\.esc50\.label_type: single, but the data set esc50 has several labels"
    ):
        load_config(tree, user)


def test_broken_yaml_names_the_file(tree, user):
    (tree / "config" / "frontends.yaml").write_text("at: {sample_rate")
    with pytest.raises(ConfigError, match=r"frontends\.yaml: this is not valid YAML"):
        load_config(tree, user)


def test_the_paper_scale_is_938_trainings(tree, user):
    config = load_config(tree, user | {"scale": "paper"})
    runs = study_runs(config, "at")
    assert len(runs) == 14 * (2 * 3 + 2)
    assert sum(n_trainings(config, "at", run) for run in runs) + 2 == 938


def test_restricting_a_run_leaves_reasons(tree, user):
    config = load_config(tree, user | {"tasks": ["esc50"], "modes": ["frozen"]})
    assert {run.task for run in table_runs(config, "at", "table3")} == {"esc50"}
    reasons = table_left_out(config, "at", "table3")
    assert "not in `tasks`" in reasons["us8k/mobilenet_v2/frozen"]
    assert "not in `modes`" in reasons["esc50/mobilenet_v2/scratch"]
    assert "esc50/mobilenet_v2/frozen" not in reasons


def test_merge_goes_key_by_key():
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merge(base, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_what_sets_a_run_apart_is_said(tree, user):
    (mini,) = run_remarks(load_config(tree, user), "at")
    for part in ("2 trials instead of 4", "at most 2 folds", "MBv2 with width", "random weights", "learning rate"):
        assert part in mini
    assert run_remarks(load_config(tree, user | {"scale": "paper"}), "at") == []
    assert "pre-training on fsd50k" in run_remarks(load_config(tree, user | {"scale": "open"}), "at")[0]
