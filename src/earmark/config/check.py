"""Check what no schema can: that names used in one file are declared in another, and that rules fit each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from earmark.config.modules import find_source
from earmark.config.schema import nearest
from earmark.datasets import reader_names, reader_of
from earmark.errors import ConfigError

if TYPE_CHECKING:
    from earmark.config.load import Config


def check_config(config: "Config") -> None:
    """Raise ConfigError for the first name that is not declared, or a task whose metric does not fit its labels."""
    _check_restrictions(config)
    readers = reader_names()
    for slug, dataset in config.datasets.items():
        _known(reader_of(slug, dataset), readers, f"datasets/{slug}.yaml: reader", "reader")
        _check_files(slug, dataset["files"])
    for slug, encoder in config.encoders.items():
        if encoder["frontend"] is not None:
            _known(encoder["frontend"], config.frontends, f"encoders/{slug}.yaml: frontend", "front-end")
    _check_known_all(
        config.scale["encoder_options"],
        config.encoders,
        f"scales/{config.scale['name']}.yaml: encoder_options",
        "encoder",
    )
    _check_known_all(
        config.scale.get("unit_seconds", {}),
        config.datasets,
        f"scales/{config.scale['name']}.yaml: unit_seconds",
        "data set",
    )
    _check_known_all(config.user["checkpoints"], config.encoders, "config.yaml: checkpoints", "encoder")
    for name, study in config.studies.items():
        _check_study(config, name, study)


def _check_restrictions(config: "Config") -> None:
    from earmark.config.load import MODES

    declared = {
        "tasks": [task for study in config.studies.values() for task in study["tasks"]],
        "encoders": [
            *config.encoders,
            *(name for study in config.studies.values() for name in study["representations"]),
        ],
        "modes": MODES,
        "seeds": sorted({seed for study in config.studies.values() for seed in study["seeds"]}),
    }
    for key, known in declared.items():
        if config.user[key] != "all":
            for value in config.user[key]:
                _known(value, known, f"config.yaml: {key}", key.removesuffix("s"))


def _check_files(slug: str, files: Sequence[Mapping[str, Any]]) -> None:
    names = [entry["name"] for entry in files]
    for entry in files:
        named = {"volumes_of": entry.get("volumes_of"), "listed_in.file": entry.get("listed_in", {}).get("file")}
        for key, name in named.items():
            if name is not None:
                _known(name, names, f"datasets/{slug}.yaml: files: {entry['name']}: {key}", "file")


def _check_study(config: "Config", name: str, study: Mapping[str, Any]) -> None:
    from earmark.metrics import METRICS

    file = f"{name}/study.yaml"
    for task, entry in study["tasks"].items():
        where = f"{file}: tasks.{task}"
        _known(entry["dataset"], config.datasets, f"{where}.dataset", "data set")
        _known(entry["metric"], METRICS, f"{where}.metric", "metric")
        fitting = METRICS[entry["metric"]].label_types
        if entry["label_type"] not in fitting:
            raise ConfigError(
                f"{where}.metric: {entry['metric']} is defined for {' and '.join(fitting)}-label tasks, but label_type"
                f" is {entry['label_type']}. Choose another metric or correct label_type."
            )
        several = config.datasets[entry["dataset"]]["label_type"] in ("multi", "event")
        if several and entry["label_type"] == "single" and "label_column" not in entry:
            raise ConfigError(
                f"{where}.label_type: single, but the data set {entry['dataset']} has several labels a clip."
            )
    for representation, entry in study["representations"].items():
        _check_representation(config, study, representation, entry, f"{file}: representations.{representation}")
    _known(config.scale["corpus"], study["corpora"], f"scales/{config.scale['name']}.yaml: corpus", "corpus")
    for corpus, entry in study["corpora"].items():
        _known(entry["dataset"], config.datasets, f"{file}: corpora.{corpus}.dataset", "data set")


def _check_representation(config: "Config", study: Mapping, name: str, entry: Mapping, where: str) -> None:
    if entry["weights"] == "module":
        where = f"config.yaml: representations.{name}" if name in config.user["representations"] else where
        if "environment" not in entry and find_source(entry["hear_module"]) is None:
            raise ConfigError(
                f"{where}.hear_module: no module {entry['hear_module']!r} can be imported here. Correct the name, put"
                " it into this folder or the Python path, or name its `environment`."
            )
        return
    _known(entry["encoder"], config.encoders, f"{where}.encoder", "encoder")
    if "corpus" in entry:
        _known(entry["corpus"], study["corpora"], f"{where}.corpus", "corpus")
    needed = {"byol": "byol", "tagging": "pretraining"}.get(entry["weights"])
    if needed and needed not in study["protocols"]:
        raise ConfigError(f"{where}.weights: {entry['weights']}, but the study has no protocol {needed!r}. Add it.")
    if needed == "byol" and any("epochs" not in corpus for corpus in study["corpora"].values()):
        raise ConfigError(f"{where}.weights: byol, but a corpus of the study has no `epochs`. Add them.")


def _check_known_all(names: Iterable[str], known: Iterable[Any], where: str, what: str) -> None:
    for name in names:
        _known(name, known, where, what)


def _known(name: Any, known: Iterable[Any], where: str, what: str) -> None:
    if name not in known:
        raise ConfigError(f"{where}: unknown {what} {name!r}. {nearest(name, known)}")
