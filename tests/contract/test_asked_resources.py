"""Over all rules, scales and representations: each job asks, jobs of an array ask the same, bounds hold."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from earmark.config import load_config
from earmark.encoders import count_parameters, load_encoder
from earmark.files import read_yaml
from earmark.resources import NEEDS, SMALL_ENCODER, TRAINING, UNIFORM, ask, dims_of, name_in_config, parameters_of

ROOT = Path(__file__).resolve().parents[2]
RULES = "".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
USER = yaml.safe_load((ROOT / "config.yaml").read_text())
SCALES = {name: load_config(ROOT, USER | {"scale": name}) for name in ("mini", "open", "paper")}
PAPER = SCALES["paper"]
STUDIES = PAPER.studies
each_scale = pytest.mark.parametrize("config", SCALES.values(), ids=SCALES)


def names_of(rule: str) -> list[dict[str, str]]:
    """List the wildcards of jobs that a rule may have."""
    if rule in ("train_probe", "finetune_encoder", "count_task"):
        return [
            {"study": study, "task": task, "representation": name}
            for study, entry in STUDIES.items()
            for task, name in product(entry["tasks"], entry["representations"])
            if rule != "finetune_encoder" or "finetune" in entry["representations"][name]["modes"]
        ]
    if rule == "embed_dataset":
        return [
            {"representation": name, "dataset": slug}
            for name in STUDIES["at"]["representations"]
            for slug in PAPER.datasets
        ]
    if rule in ("pretrain_encoder", "pretrain_byol"):
        kind = {"pretrain_encoder": "tagging", "pretrain_byol": "byol"}[rule]
        return [{"representation": name} for name in representations() if PAPER.representation(name)["weights"] == kind]
    if rule in ("evaluate_linear", "embed_views"):
        return [{"study": "byola", "representation": name} for name in STUDIES["byola"]["representations"]]
    if rule == "provide_weights":
        return [{"representation": name} for name in representations() if "encoder" in PAPER.representation(name)]
    if rule == "count_corpus":
        return [{"study": study} for study in STUDIES]
    return [{"dataset": slug, "frontend": "at"} for slug in PAPER.datasets]


def representations() -> list[str]:
    return [name for entry in STUDIES.values() for name in entry["representations"]]


def test_every_rule_that_works_asks_for_what_is_computed():
    asked = set(re.findall(r'resource\("(\w+)", "(?:mem_mb|runtime)"\)', RULES))
    assert asked == set(NEEDS)
    assert not re.search(r"\b(mem_mb|runtime)=\d", RULES)
    parts = re.split(r"\n\s*rule (\w+):", RULES)
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        used = set(re.findall(r'resource\("(\w+)",', text.split("\n\nrule ")[0].split("for _study")[0]))
        assert used <= {name}, f"rule {name} asks for what {used} need"


def test_the_schema_knows_the_same_rules():
    schema = read_yaml(ROOT / "workflow" / "schemas" / "scale.schema.yaml")
    assert set(schema["properties"]["resources"]["properties"]) == set(NEEDS)


@each_scale
@pytest.mark.parametrize("rule", NEEDS)
def test_every_job_asks_whole_numbers_within_the_bounds_of_the_scale(config, rule):
    machine = config.scale["machine"]
    for names in names_of(rule):
        asked = ask(config, rule, names)
        assert all(type(value) is int for value in asked.values()), asked
        assert 500 <= asked["mem_mb"] <= machine["most_mem_mb"], names
        assert machine["least_minutes"] <= asked["runtime"] <= machine["most_minutes"], names
        assert 1 <= asked["threads"] <= machine["threads"], names


def test_jobs_of_an_array_ask_the_same():
    """A job array gives all its jobs what the first one asks, see profiles/slurm."""
    arrays = read_yaml(ROOT / "profiles" / "slurm" / "config.yaml")["slurm-array-jobs"].split(",")
    assert set(arrays) <= set(UNIFORM)


def test_the_slurm_profile_lists_every_rule_that_may_use_a_gpu():
    text = (ROOT / "profiles" / "slurm" / "config.yaml").read_text()
    listed = re.findall(r"^#   (\w+): \{slurm_partition: \w+, gpu_model: ", text, re.MULTILINE)
    asked = [block.partition("params:")[0] for block in RULES.split("resources:\n")[1:]]
    names = [re.search(r'resource\("(\w+)"', block)[1] for block in asked if "gpu=gpus(" in block]
    assert sorted(map(name_in_config, listed)) == sorted(names) == sorted(TRAINING)
    studies = [study for study, entry in STUDIES.items() if "linear" in entry["protocols"]]
    assert {f"evaluate_linear_{study}" for study in studies} <= set(listed)


def test_what_downloads_runs_where_snakemake_does():
    """Nodes of a cluster often have no network."""
    blocks = [block for block in re.split(r"\n\s*rule ", RULES) if "offline=is_offline" in block]
    assert len(blocks) == 2 and all("localrule: True" in block for block in blocks)


def test_names_of_rules_lead_to_those_of_the_configuration():
    names = ("evaluate_linear_byola", "make_table", "embed_views", "all")
    assert [name_in_config(name) for name in names] == ["evaluate_linear", "make_table", "embed_views", "all"]


@each_scale
@pytest.mark.parametrize("rule", ["train_probe", "count_task"])
def test_rules_of_arrays_do_not_look_at_wildcards(config, rule):
    assert {tuple(ask(config, rule, names).items()) for names in [{}, *names_of(rule)]} == {
        tuple(ask(config, rule, {}).items())
    }


@pytest.mark.parametrize("name", [name for name in representations() if "encoder" in PAPER.representation(name)])
def test_bounds_of_parameters_and_dimensions_hold_for_what_is_built(name):
    with torch.device("meta"):
        encoder = load_encoder(PAPER.representation(name)["encoder"], **PAPER.options_of_representation(name))
    assert encoder.embedding_dim <= dims_of(PAPER, name)
    assert count_parameters(encoder) <= max(parameters_of(PAPER, name) * 1.1, SMALL_ENCODER)
