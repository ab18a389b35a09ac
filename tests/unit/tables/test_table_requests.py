"""What the tables of the study `byola` ask of the workflow."""

import pytest
import yaml
from byola_results import NINE, ROOT

from earmark.config import load_config
from earmark.config.requests import (
    described_representations,
    described_subsets,
    described_tables,
    run_remarks,
    study_runs,
    table_left_out,
    table_runs,
)

OWN = {"crepe": {"name": "CREPE", "hear_module": "earmark.hear.crepe"}}
BUILT = {"vggish", "vggish_4k", "panns_cnn14", "ast", "wav2vec2_features", "wav2vec2_context", "byola_audioset"}


@pytest.fixture(scope="module")
def load():
    user = yaml.safe_load((ROOT / "config.yaml").read_text())

    def config(**changes):
        return load_config(ROOT, {**user, "studies": ["byola"], **changes})

    return config


@pytest.fixture(scope="module")
def config(load):
    return load()


def asked(config, table: str) -> dict[str, set[str]]:
    """Return {representation: tasks} of a table."""
    found: dict[str, set[str]] = {}
    for run in table_runs(config, "byola", table):
        assert run.mode == "linear"
        found.setdefault(run.representation, set()).add(run.task)
    return found


def test_an_average_asks_for_nine_tasks_of_its_line_and_of_the_base(config):
    assert asked(config, "table10") == {
        name: set(NINE)
        for name in ("byola_mlp_8192", "byola_mlp_4096", "byola_fsd50k", "byola_mlp_1024", "byola_mlp_512")
    }


def test_a_derived_cell_asks_for_the_averages_that_it_adds_and_takes_away(config):
    found = asked(config, "table14")
    assert set(map(frozenset, found.values())) == {frozenset(NINE)}
    assert {"byola_random", "byola_tau_0.0", "byola_no_prediction", "byola_aug_rlf", "byola_fsd50k"} < set(found)
    assert len(found) == 12


def test_tables_4_and_5_ask_for_what_is_here_and_say_what_is_not(config):
    assert asked(config, "table4") == {name: set(NINE) for name in BUILT}
    assert asked(config, "table5") == {name: {"fsd50k"} for name in BUILT}
    reasons = table_left_out(config, "byola", "table5")
    assert set(reasons) == {
        f"fsd50k/{name}/linear" for name in ("esresnext", "coala", "openl3_env", "openl3_music", "trill")
    }
    assert all("envs/hear_" in reason and "not installed" in reason for reason in reasons.values())


def test_an_own_encoder_is_asked_for_in_tables_4_and_5_alone(load):
    config = load(representations=OWN)
    assert asked(config, "table4")["crepe"] == set(NINE)
    assert asked(config, "table5")["crepe"] == {"fsd50k"}
    for table in set(config.studies["byola"]["tables"]) - {"table4", "table5"}:
        assert "crepe" not in asked(config, table)


def test_no_run_is_made_for_an_average_that_will_be_a_dash(load):
    config = load(tasks=["esc50", "fsd50k"])
    assert asked(config, "table6") == {}
    assert set(map(frozenset, asked(config, "table9").values())) == {frozenset(["esc50"])}
    assert "gtzan/byola_aug_rrc/linear" in table_left_out(config, "byola", "table6")


def test_every_representation_of_the_study_is_asked_for(config):
    here = {
        name
        for name, entry in config.studies["byola"]["representations"].items()
        if config.weights_left_out("byola", name) is None
    }
    assert {run.representation for run in study_runs(config, "byola")} == here


def test_descriptions_are_of_the_paper_whatever_the_scale(config):
    assert config.scale["encoder_options"]["byola"]["width"] < 1
    found = described_representations(config, "byola")
    assert found["byola_conv1"] == {"encoder": "byola", "options": {"n_blocks": 1}}
    assert "not installed" in found["trill"]["reason"]
    assert set(described_tables(config, "byola")) == {"table1", "table3", "table7", "table8", "table10", "table16"}
    assert list(described_subsets(config, "byola")) == ["fsd50k"]


def test_remarks_name_an_encoder_once_and_only_protocols_of_the_study(config):
    (remark,) = run_remarks(config, "byola")
    assert remark.count("BYOL-A with width") == 1
    assert "downstream" not in remark and "{" not in remark
