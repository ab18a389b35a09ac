"""Load and merge the configuration files, and answer what the rules ask of them."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from earmark.config.environments import missing_environment
from earmark.config.own_rows import add_own_rows
from earmark.config.schema import nearest, validate
from earmark.errors import ConfigError
from earmark.files import read_yaml

MODES = ("scratch", "frozen", "finetune", "linear")


@dataclass(frozen=True)
class Config:
    """Everything declared, merged and checked.

    `user`: config.yaml; `scale`: the values of the chosen scale; `datasets`, `encoders`, `frontends`, `studies`: the
    declared things by slug; `absent` and `absent_weights`: why a data set, or the public weights of an encoder, cannot
    be had in this run, by slug; `environments`: the interpreters of environments that are here, by name
    (`earmark.config.presence`).
    """

    user: Mapping[str, Any]
    scale: Mapping[str, Any]
    datasets: Mapping[str, Mapping]
    encoders: Mapping[str, Mapping]
    frontends: Mapping[str, Mapping]
    studies: Mapping[str, Mapping]
    absent: Mapping[str, str] = field(default_factory=dict)
    absent_weights: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Name the kind of data of this scale: `mini` (generated) or `real`."""
        return self.scale["source"]

    def tasks(self, study: str) -> list[str]:
        """List the tasks of a study that this run keeps."""
        return self._kept("tasks", self.studies[study]["tasks"])

    def representations(self, study: str) -> list[str]:
        """List the representations of a study that this run keeps: `encoders` names encoders or representations."""
        declared, wanted = self.studies[study]["representations"], self.user["encoders"]
        return [
            name
            for name, entry in declared.items()
            if wanted == "all" or name in wanted or entry.get("encoder") in wanted
        ]

    def modes(self) -> list[str]:
        """List the modes that this run keeps."""
        return self._kept("modes", MODES)

    def seeds(self, study: str, task: str) -> list[int]:
        """List the seeds of a task: the study's, as many as the scale runs and the task allows, unless restricted."""
        entry = self.studies[study]["tasks"][task]
        declared = self.studies[study]["seeds"][: entry.get("trials")][: self.scale["trials"]]
        kept = self.user["seeds"]
        return declared if kept == "all" else [seed for seed in declared if seed in kept]

    def study_of(self, representation: str) -> str:
        """Name the study that declares a representation."""
        for study, entry in self.studies.items():
            if representation in entry["representations"]:
                return study
        raise ConfigError(f"no study declares the representation {representation!r}")

    def representation(self, name: str) -> Mapping[str, Any]:
        """Return the declaration of a representation, whichever study holds it."""
        return self.studies[self.study_of(name)]["representations"][name]

    def encoder_options(self, encoder: str) -> dict[str, Any]:
        """Merge an encoder's own options with those of the scale."""
        return {**self.encoders[encoder].get("options", {}), **self.scale["encoder_options"].get(encoder, {})}

    def options_of_representation(self, name: str) -> dict[str, Any]:
        """Merge what a representation asks of its encoder into the options of that encoder at this scale."""
        entry = self.representation(name)
        own = self.encoder_options(entry["encoder"]) if "encoder" in entry else {}
        return {**own, **entry.get("options", {})}

    def protocol(self, study: str, name: str) -> dict[str, Any]:
        """Merge a protocol of a study with the values of the scale."""
        return merge(self.studies[study]["protocols"][name], self.scale["protocols"].get(name, {}))

    def byol_protocol(self, study: str, representation: str) -> dict[str, Any]:
        """Return the protocol of one BYOL pre-training.

        That of the study, the epochs of its corpus, the values of the scale, what the representation changes; the batch
        is then the share of it that the scale trains with.
        """
        epochs = {"epochs": self.corpus(study, representation)["epochs"]}
        laid = merge({**self.studies[study]["protocols"]["byol"], **epochs}, self.scale["protocols"].get("byol", {}))
        laid = merge(laid, self.studies[study]["representations"][representation].get("protocol", {}))
        share = laid.pop("batch_share", 1.0)
        return {**laid, "batch_size": max(2, round(laid["batch_size"] * share))}

    def corpus(self, study: str, representation: str | None = None) -> Mapping[str, Any]:
        """Return the pre-training corpus that a representation names, or else the scale."""
        entry = self.studies[study]["representations"].get(representation, {})
        return self.studies[study]["corpora"][entry.get("corpus", self.scale["corpus"])]

    def view(self, task: Mapping[str, Any]) -> str:
        """Name the view in which linear evaluation embeds the clips of a task: crops of its unit length, in seconds.

        `task`: an entry of study.yaml; a scale whose clips are shorter has a unit length of its own for the data set.
        """
        return f"crop_{self.scale.get('unit_seconds', {}).get(task['dataset'], task['unit_seconds'])}"

    def linear_tasks(self, study: str) -> list[str]:
        """List the tasks of a study that linear evaluation scores in this run."""
        kept = "linear" in self.modes() and "linear" in self.studies[study]["protocols"]
        return [
            task
            for task in self.tasks(study)
            if kept and self.seeds(study, task) and self.studies[study]["tasks"][task]["dataset"] not in self.absent
        ]

    def left_out(self, study: str, task: str, representation: str, mode: str) -> str | None:
        """Say why this run does not make a cell, or None when it does."""
        if task not in self.tasks(study):
            return f"left out: task {task} is not in `tasks` of config.yaml"
        if representation not in self.representations(study):
            return f"left out: {representation} is not in `encoders` of config.yaml"
        if mode not in self.modes():
            return f"left out: mode {mode} is not in `modes` of config.yaml"
        if not self.seeds(study, task):
            return "left out: none of the study's seeds is in `seeds` of config.yaml"
        dataset = self.studies[study]["tasks"][task]["dataset"]
        if dataset in self.absent:
            return self.absent[dataset]
        return None if mode == "scratch" else self.weights_left_out(study, representation)

    def weights_left_out(self, study: str, representation: str) -> str | None:
        """Say why a representation has no weights in this run, or None when it has.

        The corpus of its pre-training, its public checkpoint or its environment may be absent.
        """
        entry = self.studies[study]["representations"][representation]
        corpus = self.corpus(study, representation)["dataset"]
        if entry["weights"] in ("tagging", "byol") and corpus in self.absent:
            return f"no pre-training: {self.absent[corpus]}"
        if "environment" in entry and entry["environment"] not in self.environments:
            return missing_environment(entry["environment"])
        return self.absent_weights.get(entry["encoder"]) if entry["weights"] == "checkpoint" else None

    def _kept(self, key: str, declared) -> list[str]:
        wanted = self.user[key]
        return list(declared) if wanted == "all" else [name for name in declared if name in wanted]


def load_config(root: Path, user: Mapping[str, Any]) -> Config:
    """Load all declared things under `root`, merge the chosen scale, and check the whole.

    `user`: the content of config.yaml with what the command line changed. Raises ConfigError that names file, key and
    the nearest valid name.
    """
    from earmark.config.check import check_config

    root, schemas = Path(root), Path(root) / "workflow" / "schemas"
    user = {**user, **{key: parse_text(user[key]) for key in ("seeds", "overrides", "offline") if key in user}}
    validate(dict(user), schemas / "config.schema.yaml", "config.yaml")
    scale = _load_scale(root, schemas, user)
    datasets = _load_folder(root / "config" / "datasets", schemas / "dataset.schema.yaml")
    encoders = _load_folder(root / "config" / "encoders", schemas / "encoder.schema.yaml")
    frontends = _load_file(root / "config" / "frontends.yaml", schemas / "frontends.schema.yaml")
    studies = {path.parent.name: _load_study(path, schemas) for path in sorted(root.glob("paper/*/study.yaml"))}
    if user["studies"] != "all":
        for name in user["studies"]:
            if name not in studies:
                raise ConfigError(f"config.yaml: studies: unknown study {name!r}. {nearest(name, studies)}")
        studies = {name: studies[name] for name in user["studies"]}
    studies = {name: with_own_encoders(study, user["representations"]) for name, study in studies.items()}
    config = Config(dict(user), scale, datasets, encoders, frontends, studies)
    check_config(config)
    return config


def with_own_encoders(study: Mapping[str, Any], own: Mapping[str, Mapping]) -> dict[str, Any]:
    """Add the user's own encoders to a study that evaluates frozen representations, and their lines to its tables.

    `own`: `representations` of config.yaml. Raises ConfigError where the study has a representation of that name.
    """
    if not own or "linear" not in study["protocols"]:
        return dict(study)
    if taken := [slug for slug in own if slug in study["representations"]]:
        raise ConfigError(
            f"config.yaml: representations.{taken[0]}: the study {study['title']!r} has a representation of that name."
            " Choose another one for yours."
        )
    added = {}
    for slug, entry in own.items():
        renamed = {{"weights": "module_weights"}.get(key, key): value for key, value in entry.items()}
        added[slug] = {**renamed, "weights": "module", "modes": ["linear"]}
    tables = add_own_rows(study["tables"], {slug: entry["name"] for slug, entry in own.items()})
    return {**study, "representations": {**study["representations"], **added}, "tables": tables}


def parse_text(value: Any) -> Any:
    """Turn words inside lists and mappings into the numbers, truth values and nulls that they spell.

    Snakemake hands values in brackets on, from `--config seeds=[42]`, as text.
    """
    if isinstance(value, Mapping):
        return {key: parse_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [parse_text(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        parsed = yaml.safe_load(value)
        parsed = float(parsed) if isinstance(parsed, str) else parsed  # YAML takes 1e-4 for a word
    except (yaml.YAMLError, ValueError):
        return value
    return parsed if parsed is None or isinstance(parsed, (int, float)) else value


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `changes` laid over it, mappings key by key."""
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else copy.deepcopy(value)
    return result


def _load_scale(root: Path, schemas: Path, user: Mapping) -> dict:
    folder = root / "config" / "scales"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if user["scale"] not in names:
        raise ConfigError(f"config.yaml: scale: unknown scale {user['scale']!r}. {nearest(user['scale'], names)}")
    path = folder / f"{user['scale']}.yaml"
    scale = _load_file(path, schemas / "scale.schema.yaml")
    scale = merge(scale, user["overrides"])
    validate(scale, schemas / "scale.schema.yaml", "config.yaml: overrides")
    return {"name": user["scale"], **scale}


def _load_study(path: Path, schemas: Path) -> dict:
    study = _load_file(path, schemas / "study.schema.yaml")
    tables = _load_file(path.with_name("tables.yaml"), schemas / "tables.schema.yaml")
    return {**study, **tables}


def _load_folder(folder: Path, schema: Path) -> dict[str, Mapping]:
    return {path.stem: _load_file(path, schema) for path in sorted(folder.glob("*.yaml"))}


def _load_file(path: Path, schema: Path) -> dict:
    name = f"{path.parent.name}/{path.name}"
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: this file is missing; restore it from the repository.") from None
    except Exception as error:
        raise ConfigError(f"{name}: this is not valid YAML: {error}") from error
    validate(content, schema, name)
    return content
