"""Paths and accessors. Logic lives in the package, where it is tested."""

import os
import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from earmark.config import load_config
from earmark.config.checkpoints import load_checkpoints
from earmark.config.presence import with_absent
from earmark.datasets import reader_of
from earmark.errors import ConfigError
from earmark.provenance import code_digest
from earmark.resources import KEEP_FREED_MEMORY, UNIFORM, ask, grow

try:
    CONFIG = load_config(ROOT, config)
    CHECKPOINTS = load_checkpoints(ROOT, CONFIG)
    CONFIG = with_absent(CONFIG, CHECKPOINTS, ROOT)
except ConfigError as error:
    raise WorkflowError(str(error))

for name, value in KEEP_FREED_MEMORY.items():
    os.environ.setdefault(name, value)

SCALE = CONFIG.scale["name"]
SOURCE = CONFIG.source
DATA = CONFIG.user["data_dir"].rstrip("/")
RESULTS = f"results/{SCALE}"
DATASETS = list(CONFIG.datasets)
CHECKPOINT_FILES = [(slug, entry) for slug, row in CHECKPOINTS.items() for entry in row["files"]]
STUDIES = list(CONFIG.studies)
REPRESENTATIONS = list(dict.fromkeys(name for study in CONFIG.studies.values() for name in study["representations"]))


def with_weights(*kinds):
    """List the representations whose weights are of these kinds."""
    return [name for name in REPRESENTATIONS if CONFIG.representation(name)["weights"] in kinds]


TAGGED = with_weights("tagging")
BYOL = with_weights("byol")
PUBLIC = with_weights("checkpoint", "random")
MODULES = with_weights("module")
LINEAR = [name for name in REPRESENTATIONS if "linear" in CONFIG.representation(name)["modes"]]
TASKS = [task for study in CONFIG.studies.values() for task in [*study["tasks"], *study.get("counted_only", {})]]


def one_of(names):
    """Write a regular expression that matches one of these names and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    scale=one_of([SCALE]),
    source=one_of([SOURCE]),
    dataset=one_of(DATASETS),
    study=one_of(STUDIES),
    task=one_of(TASKS),
    representation=one_of(REPRESENTATIONS),
    frontend=one_of(CONFIG.frontends),
    view="whole|chunks_[0-9]+",
    mode="scratch|frozen|finetune|linear",


def code(*modules):
    """Digest modules by their syntax trees; `{wildcards}` in a name are filled in, `{encoder}` from representation."""

    def digest(wildcards):
        values = dict(wildcards.items())
        if "representation" in values:
            values["encoder_module"] = module_of(wildcards)
        if "dataset" in values:
            values["reader"] = reader_of(values["dataset"], dataset_of(wildcards))
        return code_digest(*(name.format(**values) for name in modules))

    return digest


@cache
def asked_of(rule, wildcards):
    """Say what the first attempt of a job asks. `wildcards`: pairs of name and value."""
    return ask(CONFIG, rule, dict(wildcards))


def resource(rule, key):
    """Give what a job asks: the same for all jobs of a rule that may be an array, else by its wildcards."""

    def first(wildcards):
        return asked_of(rule, () if rule in UNIFORM else tuple(wildcards.items()))[key]

    def grown(wildcards, attempt):
        most = {"mem_mb": "most_mem_mb", "runtime": "most_minutes"}[key]
        return grow(first(wildcards), CONFIG.scale["machine"][most], attempt)

    return first if key == "threads" else grown


def dataset_of(wildcards):
    """Give the row of a data set."""
    return CONFIG.datasets[wildcards.dataset]


def dataset_parts(*keys):
    """Give some entries of a data set's row, so that a change of another entry reruns nothing."""

    def parts(wildcards):
        return {key: value for key, value in dataset_of(wildcards).items() if key in keys}

    return parts


def representation_of(wildcards):
    """Give the declaration of a representation."""
    return CONFIG.representation(wildcards.representation)


def encoder_of(wildcards):
    """Give the row of a representation's encoder."""
    return CONFIG.encoders[representation_of(wildcards)["encoder"]]


def encoder_slug(wildcards):
    """Name the encoder of a representation; None where it is a module of its own."""
    return representation_of(wildcards).get("encoder")


def module_of(wildcards):
    """Name the module of this package that holds a representation's encoder, or the bridge to one outside."""
    return "earmark.hear.bridge" if encoder_slug(wildcards) is None else encoder_of(wildcards)["module"]


def encoder_options(wildcards):
    """Give the options of a representation's encoder at this scale."""
    return CONFIG.options_of_representation(wildcards.representation)


def frontend_of(wildcards):
    """Give the constants of a front-end, named by a wildcard or by the encoder."""
    name = wildcards.get("frontend") or encoder_of(wildcards)["frontend"]
    return CONFIG.frontends[name]


def task_of(wildcards):
    """Give the entry of a task, scored or counted only."""
    study = CONFIG.studies[wildcards.study]
    return {**study["tasks"], **study.get("counted_only", {})}[wildcards.task]


def vocabulary_of_task(wildcards):
    """Give the official labels of a task's data set, or None where its metadata holds them."""
    return CONFIG.datasets[task_of(wildcards)["dataset"]]["labels"]


def seeds_of_task(wildcards):
    """List the seeds of a task in this run."""
    return CONFIG.seeds(wildcards.study, wildcards.task)


def downstream_protocol(wildcards):
    """Give the downstream protocol of a study at this scale."""
    return CONFIG.protocol(wildcards.study, "downstream")


def checkout(path):
    """Give the path of a file of the checkout, as seen from the working folder: `--directory` may name another one."""
    return os.path.relpath(ROOT / path)


def store(dataset, name):
    """Give the path of a file in a data set's folder."""
    return f"{DATA}/{SOURCE}/{dataset}/{name}"


def clips_of_task(wildcards):
    """Give the clip table of a task's data set."""
    return store(task_of(wildcards)["dataset"], "clips.parquet")


def log_mel_of_task(wildcards):
    """Give the log-mel cache of a task's data set under the encoder's front-end."""
    frontend = encoder_of(wildcards)["frontend"]
    folder = f"log_mel/{frontend}"
    names = ("frames.npy", "index.parquet", "statistics.json")
    return [store(task_of(wildcards)["dataset"], f"{folder}/{name}") for name in names]


def statistics_of_task(wildcards):
    """Give the statistics of the log-mel cache that a task's embeddings come from."""
    return log_mel_of_task(wildcards)[2]


def log_mel_of_representation(wildcards):
    """Give the log-mel cache of a data set under the front-end of a representation."""
    folder = f"log_mel/{encoder_of(wildcards)['frontend']}"
    return [store(wildcards.dataset, f"{folder}/{name}") for name in ("frames.npy", "index.parquet", "statistics.json")]


def weights_of_mode(wildcards):
    """Give the weights that a training starts from: none for scratch."""
    if wildcards.mode == "scratch":
        return []
    return f"{RESULTS}/encoders/{wildcards.representation}/weights.safetensors"


def views_of_task(task):
    """List the views that a frozen task needs: whole clips, and chunks to train on where the task cuts them."""
    return ["whole"] if task["max_seconds"] is None else ["whole", f"chunks_{task['max_seconds']}"]


def embeddings_of_task(wildcards):
    """Give the embeddings of a task's data set, whole clips first, then the training chunks."""
    task = task_of(wildcards)
    folder = f"{RESULTS}/embeddings/{wildcards.representation}/{task['dataset']}"
    return [f"{folder}/{view}/embeddings.npy" for view in views_of_task(task)]


def min_chunk_seconds(wildcards):
    """Give the shortest tail of a clip that counts as a chunk."""
    study = CONFIG.study_of(wildcards.representation)
    return CONFIG.protocol(study, "downstream")["min_chunk_seconds"]
