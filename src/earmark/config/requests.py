"""What the tables of a study ask of the workflow: runs, encoders and counts, each once."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from earmark.config.load import Config
from earmark.tables.roles import KEY, averaged_parts, cell_key, cell_role, is_own


class Run(NamedTuple):
    """All seeds and folds of one representation on one task in one mode: one job."""

    task: str
    representation: str
    mode: str


def table_runs(config: Config, study: str, table: str) -> list[Run]:
    """List the runs whose scores a table shows and this run of the workflow makes.

    An average of which one run is left out will be a dash, so none is made for its sake.
    """
    runs: dict[Run, None] = {}
    for asked in _asked_cells(config, study, table):
        if all(config.left_out(study, *run) is None for run in asked):
            runs |= dict.fromkeys(asked)
    return list(runs)


def table_left_out(config: Config, study: str, table: str) -> dict[str, str]:
    """Say why what a table shows is left out of this run, by 'task/representation/mode', where * stands for any."""
    reasons = {"/".join(run): config.left_out(study, *run) for run in _asked_runs(config, study, table)}
    for name in _asked_encoders(config, study, table):
        reasons[f"*/{name}/*"] = _encoder_left_out(config, study, name)
    for name in _asked_counts(config, study, table):
        reasons[f"{name}/*/*"] = _count_left_out(config, study, name)
    if corpus := config.absent.get(config.corpus(study)["dataset"]):
        reasons |= {f"{line['row']}/*/*": corpus for line in _upstream_lines(config, study, table)}
    return {key: reason for key, reason in reasons.items() if reason}


def table_encoders(config: Config, study: str, table: str) -> list[str]:
    """List the representations whose card a table shows, as far as this run makes them."""
    return [name for name in _asked_encoders(config, study, table) if _encoder_left_out(config, study, name) is None]


def table_counts(config: Config, study: str, table: str) -> list[str]:
    """List the tasks whose clips a table counts, as far as this run keeps their data set's task."""
    return [name for name in _asked_counts(config, study, table) if _count_left_out(config, study, name) is None]


def counts_corpus(config: Config, study: str, table: str) -> bool:
    """Tell whether a table counts the clips of the pre-training corpus, and this run has it."""
    return bool(_upstream_lines(config, study, table)) and config.corpus(study)["dataset"] not in config.absent


def described_tables(config: Config, study: str) -> dict[str, dict[str, Any]]:
    """Give the parts of a study's tables that say what is described: {table: part}, without titles and notes."""
    kept = ("measured", "same", "by", "lines", "heads")
    tables = config.studies[study]["tables"]
    return {
        name: {
            **{key: spec[key] for key in kept if key in spec},
            "lines": [line for line in spec["lines"] if not is_own(line)],
        }
        for name, spec in tables.items()
        if any("describe" in head for head in spec["heads"])
    }


def described_representations(config: Config, study: str) -> dict[str, dict[str, Any]]:
    """Say how each representation that a table of the study describes is built: {slug: {encoder, options}}.

    Options are those of the paper's definition, not those of the scale. One that runs in an environment of its own is
    not built: {slug: {reason}}.
    """
    found = {}
    for spec in config.studies[study]["tables"].values():
        for cell, _, _ in _described_cells(spec):
            name = cell_role(spec, cell, "representation")
            entry = config.studies[study]["representations"].get(name)
            if entry is None or name in found:
                continue
            if "encoder" in entry:
                options = {**config.encoders[entry["encoder"]].get("options", {}), **entry.get("options", {})}
                found[name] = {"encoder": entry["encoder"], "options": options}
            else:
                runs_in = entry.get("environment", entry["hear_module"])
                reason = config.weights_left_out(study, name) or f"runs in {runs_in}, so its size is not read here"
                found[name] = {"reason": reason}
    return found


def described_subsets(config: Config, study: str) -> dict[str, dict[str, Any]]:
    """Give the subsets of classes of each task whose classes a table describes, with the labels of its data set."""
    found = {}
    for spec in config.studies[study]["tables"].values():
        for cell, _, _ in _described_cells(spec):
            task = config.studies[study]["tasks"].get(cell_role(spec, cell, "task"))
            if task and "subsets" in task:
                labels = config.datasets[task["dataset"]]["labels"]
                found[cell_role(spec, cell, "task")] = {"subsets": task["subsets"], "labels": labels}
    return found


def made_encoders(config: Config, study: str) -> list[str]:
    """List the representations of a study that this run makes."""
    kept = config.representations(study)
    return [name for name in kept if config.weights_left_out(study, name) is None]


def study_runs(config: Config, study: str) -> list[Run]:
    """List the runs of all tables of a study, each once."""
    return list(
        dict.fromkeys(run for table in config.studies[study]["tables"] for run in table_runs(config, study, table))
    )


def run_remarks(config: Config, study: str) -> list[str]:
    """Say in one sentence what sets this run apart from the printed protocol: trials, folds, widths, weights, corpus.

    Returns an empty list where nothing does.
    """
    scale, entry = config.scale, config.studies[study]
    told = []
    if scale["trials"] and scale["trials"] < len(entry["seeds"]):
        told.append(f"{scale['trials']} trials instead of {len(entry['seeds'])}")
    if scale["max_folds"]:
        told.append(f"at most {scale['max_folds']} folds a task")
    if config.user["seeds"] != "all":
        told.append(f"only the seeds {', '.join(map(str, config.user['seeds']))}")
    names: dict[str, str] = {}  # of each encoder, that of the first representation on it
    for representation in entry["representations"].values():
        if "encoder" in representation:
            names.setdefault(representation["encoder"], representation["name"])
    told += [
        f"{name} with {_spell(scale['encoder_options'][encoder])}"
        for encoder, name in names.items()
        if scale["encoder_options"].get(encoder)
    ]
    if scale["public_weights"] == "random":
        told += [
            f"{representation['name']} with random weights, not the public ones"
            for representation in entry["representations"].values()
            if representation["weights"] == "checkpoint"
        ]
    told += [
        f"{name} with {_spell(changes)}" for name, changes in scale["protocols"].items() if name in entry["protocols"]
    ]
    lengths = scale.get("unit_seconds", {}).values()
    if lengths and "linear" in entry["protocols"]:
        told.append(f"crops of {min(lengths):g} to {max(lengths):g} s, as long as the generated clips")
    if scale["corpus"] != next(iter(entry["corpora"])):
        measured = any(spec["measured"]["from"] == "encoders" for spec in entry["tables"].values())
        on_its_own = ", on whose own test split Table 2 is measured" if measured else ""
        told.append(f"pre-training on {scale['corpus']}{on_its_own}")
    return [f"Unlike the paper, this run has: {'; '.join(told)}."] if told else []


def _spell(values: Mapping[str, Any]) -> str:
    words = {key: f"({_spell(value)})" if isinstance(value, Mapping) else value for key, value in values.items()}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in words.items())


def _encoder_left_out(config: Config, study: str, name: str) -> str | None:
    if name not in config.representations(study):
        return f"left out: {name} is not in `encoders` of config.yaml"
    return config.weights_left_out(study, name)


def _count_left_out(config: Config, study: str, task: str) -> str | None:
    entry = config.studies[study]
    if task in entry["tasks"] and task not in config.tasks(study):
        return f"left out: task {task} is not in `tasks` of config.yaml"
    return config.absent.get({**entry["tasks"], **entry.get("counted_only", {})}[task]["dataset"])


def _asked_encoders(config: Config, study: str, table: str) -> list[str]:
    spec, known = config.studies[study]["tables"][table], config.studies[study]["representations"]
    if spec["measured"]["from"] != "encoders":
        return []
    return list(dict.fromkeys(line["row"] for line in spec["lines"] if line["row"] in known))


def _asked_counts(config: Config, study: str, table: str) -> list[str]:
    spec, entry = config.studies[study]["tables"][table], config.studies[study]
    if spec["measured"]["from"] != "counts":
        return []
    known = {*entry["tasks"], *entry.get("counted_only", {})}
    return [line["row"] for line in spec["lines"] if line["row"] in known]


def _upstream_lines(config: Config, study: str, table: str) -> list[Mapping[str, Any]]:
    spec = config.studies[study]["tables"][table]
    if spec["measured"]["from"] != "counts":
        return []
    return [line for line in spec["lines"] if line["row_group"] == "upstream"]


def _asked_runs(config: Config, study: str, table: str) -> list[Run]:
    return list(dict.fromkeys(run for asked in _asked_cells(config, study, table) for run in asked))


def _asked_cells(config: Config, study: str, table: str) -> list[list[Run]]:
    """List the runs of each cell that shows scores: one, or those of all tasks where it holds averages."""
    spec, representations = config.studies[study]["tables"][table], config.studies[study]["representations"]
    if spec["measured"]["from"] != "scores":
        return []
    found = []
    for cell, line, head in _cells(spec):
        task, name, mode = (cell_role(spec, cell, role) for role in ("task", "representation", "mode"))
        if "describe" in head:
            continue
        parts = averaged_parts(spec, line, head, name)
        tasks, names = ([task], [name]) if parts is None else (spec["measured"]["average"], [*parts[0], *parts[1]])
        if all(mode in representations.get(asked, {}).get("modes", ()) for asked in names):
            found.append([Run(task, asked, mode) for asked in names for task in tasks])
    return found


def _described_cells(spec: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], Mapping, Mapping]]:
    for cell, line, head in _cells(spec):
        if "describe" in head and not is_own(line):
            yield cell, line, head


def _cells(spec: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], Mapping, Mapping]]:
    """Give the key of each cell of a table with its line and head."""
    for line in spec["lines"]:
        for head in spec["heads"]:
            yield dict(zip(KEY, cell_key(spec, line, head), strict=True)), line, head
