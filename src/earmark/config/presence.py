"""Which data sets are here, decided once, by one look per declared file: no folder is read, no network touched."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from earmark.acquire import describe_missing, list_missing
from earmark.config.checkpoints import find_file
from earmark.config.environments import find_environments
from earmark.config.load import Config
from earmark.public_weights.places import is_on_disk


def archive_folders(config: Config, dataset: str) -> list[str]:
    """List the folders in which the archives of a data set are looked for, its own first."""
    return [f"{config.user['data_dir'].rstrip('/')}/{config.source}/{dataset}/archives", *config.user["archive_dirs"]]


def is_prepared(config: Config, dataset: str) -> bool:
    """Tell whether the store of a data set stands already, so that its archives are not needed any more."""
    return (Path(config.user["data_dir"]) / config.source / dataset / "clips.parquet").is_file()


def supplied_files(spec: Mapping) -> list[str]:
    """List the needed files of a data set that only the user can bring, since they have no public address.

    Lists of other files may come with the workflow, and files that a list names get their addresses from it.
    """
    lists = {entry["listed_in"]["file"] for entry in spec["files"] if "listed_in" in entry}
    return [
        entry["name"]
        for entry in spec["files"]
        if not (entry.get("optional") or entry.get("url") or entry.get("mirrors"))
        and "listed_in" not in entry
        and entry["name"] not in lists
    ]


def missing_files(config: Config, dataset: str, names: Collection[str] | None = None) -> list[dict]:
    """List the declared files (or those of these names) of a data set that lie in none of its folders."""
    return list_missing(dataset, config.datasets[dataset], archive_folders(config, dataset), names)


def find_absent(config: Config) -> dict[str, str]:
    """Say for each data set that this run cannot have why not: {data set: reason}; generated ones are never absent.

    Absent is what has no store and lacks a file that only the user can bring, or any file when `offline: true`.
    """
    if config.source == "mini":
        return {}
    return {
        dataset: f"data set {dataset} ({_cause(spec)}) is not here: see data_{dataset}"
        for dataset, spec in config.datasets.items()
        if _is_lacking(config, dataset) and not is_prepared(config, dataset)
    }


def find_absent_weights(config: Config, checkpoints: Mapping[str, Mapping]) -> dict[str, str]:
    """Say for each encoder whose public weights this run cannot have why not: {encoder: reason}.

    `checkpoints`: the rows of `config/checkpoints`. Absent is what lies nowhere and has no address or is not to be
    fetched; a user's own copy (`checkpoints` of config.yaml) and random weights are never absent.
    """
    reasons = {}
    for encoder, entry in config.encoders.items():
        if config.scale["public_weights"] == "random" or "checkpoint" not in entry:
            continue
        slug, name = entry["checkpoint"]["slug"], entry["checkpoint"]["file"]
        file = find_file(checkpoints, slug, name, f"encoders/{encoder}.yaml")
        store = Path(config.user["data_dir"]) / "checkpoints" / slug
        folders = [Path(folder) for folder in config.user["archive_dirs"]]
        has_address = bool(file["url"] or file.get("archive", {}).get("url"))
        is_here = encoder in config.user["checkpoints"] or is_on_disk(slug, file, store, folders)
        if not is_here and (config.user["offline"] or not has_address):
            cause = "offline" if has_address else "no public address"
            reasons[encoder] = f"public weights {slug} ({cause}) are not here: see checkpoint_{slug}"
    return reasons


def with_absent(config: Config, checkpoints: Mapping[str, Mapping], root: Path = Path()) -> Config:
    """Return the configuration with what is not here, so that runs on it are left out: data, weights, environments.

    `checkpoints`: the rows of `config/checkpoints`; `root`: the checkout, in which environments are looked for.
    """
    weights, environments = find_absent_weights(config, checkpoints), find_environments(root, config.user)
    return dataclasses.replace(config, absent=find_absent(config), absent_weights=weights, environments=environments)


def explain_absent(config: Config, datasets: Iterable[str]) -> str:
    """Say for each of these absent data sets where its files come from, on what terms, and where to put them."""
    parts = []
    for dataset in datasets:
        if supplied_files(config.datasets[dataset]):
            told = describe_missing(missing_files(config, dataset), archive_folders(config, dataset))
            parts.append(f"{told}\nThen run: snakemake --cores all data_{dataset}")
        else:
            parts.append(f"{dataset}: not fetched, since config.yaml says `offline: true`.")
    return "".join(f"\n{part}\n" for part in parts)


def _is_lacking(config: Config, dataset: str) -> bool:
    """Tell whether a file is missing that this run cannot fetch."""
    names = None if config.user["offline"] else supplied_files(config.datasets[dataset])
    return bool(missing_files(config, dataset, names))


def _cause(spec: Mapping) -> str:
    """Say in a word why the missing files of a data set are not fetched."""
    if spec["access"] != "open":
        return spec["access"]
    return "no public address" if supplied_files(spec) else "offline"
