"""What linear evaluation and BYOL pre-training are given: protocols by corpus, scale and row, crops, own encoders."""

from pathlib import Path

import pytest

from earmark.config import load_config
from earmark.config.modules import find_source
from earmark.config.requests import study_runs
from earmark.errors import ConfigError
from earmark.plan import n_trainings

OWN = {"crepe": {"name": "CREPE", "hear_module": "earmark.hear.crepe", "weights": "tiny"}}


@pytest.fixture
def load(root, user):
    """Give a function that loads the configuration with some entries of config.yaml changed."""

    def load(**changes):
        return load_config(root, user | changes)

    return load


def test_epochs_follow_the_corpus_and_rows_change_one_value(load):
    config = load(scale="paper")
    base = config.byol_protocol("byola", "byola_fsd50k")
    assert (base["epochs"], base["batch_size"], base["tau"], base["learning_rate"]) == (500, 256, 0.99, 1e-4)
    assert config.byol_protocol("byola", "byola_audioset") == {**base, "epochs": 100}
    assert config.byol_protocol("byola", "byola_tau_0.5") == {**base, "tau": 0.5}
    assert config.byol_protocol("byola", "byola_batch_1024") == {**base, "batch_size": 1024}
    assert config.byol_protocol("byola", "byola_aug_rlf") == {**base, "blocks": ["fader"]}
    assert config.byol_protocol("byola", "byola_conv1") == base


def test_a_scale_trains_with_a_share_of_each_batch(load):
    config = load(overrides={"protocols": {"byol": {"batch_share": 0.125, "epochs": 7}}})
    sizes = [config.byol_protocol("byola", f"byola_{name}")["batch_size"] for name in ("batch_1024", "fsd50k")]
    assert sizes == [128, 32]
    assert config.byol_protocol("byola", "byola_audioset")["epochs"] == 7
    assert "batch_share" not in config.byol_protocol("byola", "byola_fsd50k")


def test_the_corpus_is_that_of_the_row_or_of_the_scale(load):
    for scale, corpora in {"paper": ["audioset", "fsd50k"], "open": ["fsd50k", "fsd50k"]}.items():
        config = load(scale=scale)
        assert [config.corpus("byola", name)["dataset"] for name in ("byola_audioset", "byola_fsd50k")] == corpora


def test_crops_have_the_length_of_the_task_unless_the_scale_has_its_own(load):
    views = {scale: load(scale=scale) for scale in ("paper", "mini")}
    assert views["paper"].view(views["paper"].studies["byola"]["tasks"]["gtzan"]) == "crop_30.0"
    assert views["mini"].view(views["mini"].studies["byola"]["tasks"]["gtzan"]) == "crop_2.5"


def test_heads_of_the_paper_scale(load):
    config = load(scale="paper")
    runs = study_runs(config, "byola")
    fits = {name: 0 for name in config.studies["byola"]["representations"]}
    for run in runs:
        fits[run.representation] += n_trainings(config, "byola", run)
    ablations = [name for name in fits if name.startswith("byola_") and name != "byola_audioset"]
    assert sum(fits[name] for name in ablations) == 35 * 66  # 22 fits a seed: byola.md, section 8
    assert fits["byola_audioset"] == fits["panns_cnn14"] == 66 + 3


def test_own_encoders_join_studies_of_frozen_representations(load):
    config = load(representations=OWN)
    entry = config.representation("crepe")
    assert (entry["weights"], entry["module_weights"], entry["modes"]) == ("module", "tiny", ["linear"])
    assert "crepe" not in config.studies["at"]["representations"]
    for table in ("table4", "table5"):
        assert config.studies["byola"]["tables"][table]["lines"][-1] == {
            "row_group": "own",
            "row": "crepe",
            "name": "CREPE",
        }


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"vggish": {"name": "Mine", "hear_module": "earmark.hear.crepe"}}, "has a representation of that name"),
        ({"mine": {"name": "Mine", "hear_module": "no_such_module"}}, "no module 'no_such_module' can be imported"),
        ({"mine": {"name": "Mine", "hear_modul": "earmark.hear.crepe"}}, "unknown key 'hear_modul'. Did you mean"),
        ({"mine": {"name": "Mine", "hear_module": "earmark.hear.crepe", "pooling": "men"}}, "Did you mean 'mean'"),
    ],
)
def test_an_own_encoder_that_cannot_be_is_refused(load, own, message):
    with pytest.raises(ConfigError, match=message):
        load(representations=own)


def test_an_encoder_without_its_environment_is_left_out_with_the_reason(load):
    config = load()
    assert "needs envs/hear_trill.yaml, not installed" in config.weights_left_out("byola", "trill")
    assert config.weights_left_out("byola", "byola_fsd50k") is None


def test_sources_are_found_without_import(tmp_path, monkeypatch):
    folder = tmp_path / "package_of_a_user"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "model.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_source("package_of_a_user.model") == Path(folder / "model.py")
    assert find_source("package_of_a_user.other") is None and find_source("no_such_package") is None
    assert find_source("earmark.hear.crepe").name == "crepe.py"
