"""What a job asks of a machine: memory, time and threads, from the sizes of data sets, encoders and protocols.

Measured means: by the benchmark files of both studies at mini scale, on one core of a machine without a GPU. What a GPU
does is not measured: it rests on `assumed_audio_hours_per_gpu_hour` of the scale. Stores and log-mel caches are mapped,
not read, so memory does not grow with them; linear evaluation has its embeddings in memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from earmark.config import Config

# All jobs of these rules ask the same, that of the largest: a job array of SLURM gives all what its first one asks.
UNIFORM = ("train_probe", "count_task", "make_table")

# Environment of all jobs. As it comes, glibc gives the memory of large tensors back to the system at each step of a
# training on the CPU. Measured where it keeps it: 0.7 to 0.8 of the time of a step, 1.05 to 1.5 times the memory.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}

BYTES_PER_HOUR = 16_000 * 2 * 3600  # int16 at 16 kHz
MARGIN = 2  # on each computed time: other machines, other jobs on the same disk
STEP_MB, STEP_MINUTES = 500, 10  # what is asked is a multiple of these

TORCH_MB = 600  # measured: 360 to 500 with torch loaded and next to no data
PLAIN_MB = 500  # measured: at most 250 without torch
CLIP_BYTES = 1000  # a line of a clip table with its labels, in memory
MOST_CLASSES = 1300  # where the labels come with the data: VoxCeleb1 has 1,251
# Weights, gradients, two moments of Adam, the best states, a checkpoint on its way to the disk.
COPIES = 12
# Measured: 530 MB for 80 s of sound in a batch of pretrain_encoder, at a quarter of the width and half the depth.
ACTIVATION_MB_PER_SECOND = 60
DATASET_SECONDS, VIEW_SECONDS = 160, 40  # of sound in a batch of embed_dataset and of embed_views
# Heads of frozen mode read the rows of all clips: MobileNetV2 and EfficientNet-B0 give 1,280 numbers for 32 frames.
ROW_BYTES_PER_SECOND = 100 / 32 * 1280 * 4
# Of the encoders here: VGGish-4K has 4,096, BYOL-A its MLP and 1,024 more, ResNet-50 16,384; TRILL outside has 12,288.
WIDEST, WIDEST_OF_RESNET50, WIDEST_OUTSIDE = 4096, 16_384, 12_288

FORWARD = 1 / 3  # of a training step: the gradients take two more passes
BYOL_PASSES = 2 * (1 + FORWARD)  # two views, each through the network that is trained and through its target
SMALL_ENCODER = 10e6  # parameters up to which encoders count alike; above, time grows with them
PARAMETERS_OUTSIDE = 200e6  # measured: CREPE takes 20 times and more what BYOL-A does at mini scale
# Half of what was measured for products of a batch of 200 by 3,072 with seven heads of 50 classes.
LINEAR_FLOPS_PER_CORE = 35e9
LINEAR_FLOPS_OF_GPU = 2e12  # assumed
LINEAR_STEP_SECONDS = 0.002  # what a step takes beside its products
DECODED_HOURS_PER_CORE_HOUR = 500  # measured: 550 (mp3) to 825 (wav), stereo at 44.1 kHz to mono at 16 kHz
LOG_MEL_HOURS_PER_CORE_HOUR = 500  # measured: 600 to 1,640, by the length of the window
DISK_MB_PER_SECOND = 50  # assumed of a file system that many share


@dataclass(frozen=True)
class Size:
    """Clips and hours of a data set, GB of its archives, and the number of its classes."""

    clips: int
    hours: float
    gb: float
    classes: int


@dataclass(frozen=True)
class Need:
    """What a job needs by computation, before floors, limits and rounding."""

    mb: float
    minutes: float = 0.0
    threads: float = 1


def ask(config: Config, rule: str, names: Mapping[str, str]) -> dict[str, int]:
    """Say what the first attempt of a job asks: mem_mb, runtime (minutes), threads.

    `rule`: its name, `evaluate_linear` for those of all studies; `names`: the job's wildcards. Computed values lie
    between the least and the most that `machine` of the scale allows; those of `resources` of the scale, which
    config.yaml may set under `overrides`, replace them. Raises KeyError for a rule that is not declared here.
    """
    machine, need = config.scale["machine"], NEEDS[rule](config, names)
    least_mb = machine["least_mem_mb"] if rule in TRAINING else 1000
    computed = {
        "mem_mb": _between(least_mb, _round_up(need.mb, STEP_MB), machine["most_mem_mb"]),
        "runtime": _between(
            machine["least_minutes"], _round_up(need.minutes * MARGIN, STEP_MINUTES), machine["most_minutes"]
        ),
        "threads": _between(1, math.ceil(min(need.threads, machine["threads"])), machine["threads"]),
    }
    return computed | config.scale["resources"].get(rule, {})


def name_in_config(rule: str) -> str:
    """Turn the name of a rule in Snakemake into that under `resources` of a scale: `evaluate_linear` for each study's.

    A name that is not declared here stays as it is.
    """
    return next((name for name in NEEDS if rule == name or rule.startswith(f"{name}_")), rule)


def grow(value: int, most: int, attempt: int) -> int:
    """Ask for more at each attempt, within what the machine has: a time above its limit would let a job wait for ever.

    A value above `most`, which only a user can set, stays as it is.
    """
    return min(value * attempt, max(value, most))


def size_of(config: Config, dataset: str) -> Size:
    """Give the size of a data set by its row file; generated ones have up to 350 clips, 0.8 hours and few MB.

    Where the row lacks its hours, clips count ten seconds.
    """
    row = config.datasets[dataset]
    classes = len(row["labels"] or ()) or MOST_CLASSES
    if config.source == "mini":
        return Size(400, 1.0, 0.1, classes)
    clips = max(1, sum(count or 0 for count in row["counts"].values()))
    hours = row.get("hours", clips * 10 / 3600)
    known = sum(entry["bytes"] or 0 for entry in row["files"])
    return Size(clips, hours, max(known, hours * BYTES_PER_HOUR) / 1e9, classes)


def n_folds(config: Config, task: Mapping[str, Any]) -> int:
    """Count the folds of a task that this scale runs; 1 where a task has none."""
    rule = task.get("folds")
    if rule is None:
        return 1
    declared = config.datasets[task["dataset"]]["folds"] if rule == "official" else len(rule["groups"])
    return min(declared, config.scale["max_folds"] or declared)


def parameters_of(config: Config, representation: str) -> float:
    """Bound the parameters of a representation's encoder by its row, its options and the scale's width."""
    entry = config.representation(representation)
    if "encoder" not in entry:
        return PARAMETERS_OUTSIDE
    options = config.options_of_representation(representation)
    mlp = options.get("mlp_dim", 0)  # two layers, from 1,024 and from itself
    resnet50 = 4 if options.get("layers") == 50 else 1  # its row names those of ResNet-18
    return max(config.encoders[entry["encoder"]]["parameters"] * resnet50, mlp * (mlp + 1024)) * options.get("width", 1)


def dims_of(config: Config, representation: str) -> float:
    """Bound the dimensions of a representation's embeddings."""
    if "encoder" not in config.representation(representation):
        return WIDEST_OUTSIDE
    options = config.options_of_representation(representation)
    widest = WIDEST_OF_RESNET50 if options.get("layers") == 50 else max(WIDEST, options.get("mlp_dim", 0) + 1024)
    return widest * options.get("width", 1)


def on_cpu(config: Config) -> bool:
    """Tell whether trainings run on CPUs: said so, or left open at a scale for them."""
    accelerator = config.user["accelerator"]
    return accelerator == "cpu" or (accelerator == "auto" and config.source == "mini")


def torch_mb(config: Config) -> float:
    """Say what a job that may use a GPU takes without data: the libraries for GPUs take what the scale says."""
    return TORCH_MB if on_cpu(config) else config.scale["machine"]["least_mem_mb"]


def activations_mb(config: Config, representation: str, seconds: float) -> float:
    """Say what a batch of sound takes while gradients are computed; none of it where a GPU holds it."""
    if not on_cpu(config):
        return 0.0
    options = config.options_of_representation(representation)
    return ACTIVATION_MB_PER_SECOND * seconds * options.get("width", 1) * options.get("depth", 1)


def training_minutes(config: Config, representation: str, hours: float) -> float:
    """Say how long it takes to train on so many hours of audio: the larger the encoder, the longer."""
    slower = max(1.0, parameters_of(config, representation) / SMALL_ENCODER)
    return 60 * hours * slower / config.scale["assumed_audio_hours_per_gpu_hour"]


def pretraining_minutes(config: Config, representation: str) -> float:
    """Say how long a pre-training takes: BYOL sees a segment of each clip in an epoch, tagging all of it."""
    study = config.study_of(representation)
    size = size_of(config, config.corpus(study, representation)["dataset"])
    if config.representation(representation)["weights"] == "byol":
        protocol = config.byol_protocol(study, representation)
        hours = protocol["epochs"] * size.clips * protocol["segment_seconds"] / 3600 * BYOL_PASSES
    else:
        hours = size.hours * config.protocol(study, "pretraining")["max_epochs"]
    return training_minutes(config, representation, hours)


def embedding_minutes(config: Config, representation: str, hours: float) -> float:
    """Say how long a frozen encoder takes for so many hours of audio."""
    return training_minutes(config, representation, hours * FORWARD)


def need_pretrain_encoder(config: Config, names: Mapping[str, str]) -> Need:
    """All clips of the corpus in each epoch; their labels as a byte for each class."""
    study, name = config.study_of(names["representation"]), names["representation"]
    protocol, size = config.protocol(study, "pretraining"), size_of(config, config.corpus(study, name)["dataset"])
    mb = (
        torch_mb(config)
        + size.clips * (CLIP_BYTES + size.classes) / 1e6
        + parameters_of(config, name) * 4 * COPIES / 1e6
        + activations_mb(config, name, protocol["batch_size"] * protocol["crop_seconds"])
    )
    return Need(mb, pretraining_minutes(config, name), math.inf)


def need_pretrain_byol(config: Config, names: Mapping[str, str]) -> Need:
    """The projector's first layer is as wide as the embedding."""
    study, name = config.study_of(names["representation"]), names["representation"]
    protocol, size = config.byol_protocol(study, name), size_of(config, config.corpus(study, name)["dataset"])
    parameters = parameters_of(config, name) + dims_of(config, name) * protocol["projection"]["hidden"]
    batch = 2 * protocol["batch_size"] * protocol["segment_seconds"]
    mb = (
        torch_mb(config)
        + size.clips * CLIP_BYTES / 1e6
        + parameters * 4 * COPIES / 1e6
        + activations_mb(config, name, batch)
    )
    return Need(mb, pretraining_minutes(config, name), math.inf)


def need_finetune_encoder(config: Config, names: Mapping[str, str]) -> Need:
    """All clips of the task in each epoch of each seed and fold; targets and scores of all of them."""
    protocol, task = config.protocol(names["study"], "downstream"), _task(config, names)
    name, size = names["representation"], size_of(config, task["dataset"])
    seconds = protocol["batch_size"] * min(task["max_seconds"] or math.inf, 3600 * size.hours / size.clips)
    mb = (
        torch_mb(config)
        + size.clips * (CLIP_BYTES + 8 * size.classes) / 1e6
        + parameters_of(config, name) * 4 * COPIES / 1e6
        + activations_mb(config, name, seconds)
    )
    hours = size.hours * protocol["max_epochs"] * _n_trainings(config, names)
    return Need(mb, training_minutes(config, name, hours), math.inf)


def need_train_probe(config: Config, names: Mapping[str, str]) -> Need:
    """The largest of all probes of this run: its rows, of whole clips and of chunks, are mapped and read each epoch."""
    needs = [Need(torch_mb(config))]
    for study, entry in config.studies.items():
        frozen = any("frozen" in row["modes"] for row in entry["representations"].values())
        for slug in config.tasks(study) if frozen else ():
            task, protocol = entry["tasks"][slug], config.protocol(study, "downstream")
            if task["dataset"] in config.absent:
                continue
            size = size_of(config, task["dataset"])
            rows_mb = size.hours * 3600 * ROW_BYTES_PER_SECOND * (1 if task["max_seconds"] is None else 2) / 1e6
            epochs = protocol["max_epochs"] * _n_trainings(config, {"study": study, "task": slug})
            needs.append(
                Need(
                    torch_mb(config) + size.clips * (CLIP_BYTES + 8 * size.classes) / 1e6,
                    epochs * (size.clips / protocol["batch_size"] * LINEAR_STEP_SECONDS + rows_mb / 2000) / 60,
                    math.inf,
                )
            )
    return Need(max(need.mb for need in needs), max(need.minutes for need in needs), math.inf)


def need_embed_dataset(config: Config, names: Mapping[str, str]) -> Need:
    """One pass over all clips."""
    name, size = names["representation"], size_of(config, names["dataset"])
    return _embedding(config, name, size.clips, size.hours, DATASET_SECONDS)


def need_embed_views(config: Config, names: Mapping[str, str]) -> Need:
    """One pass over a crop of each clip of all data sets of linear evaluation."""
    tasks = [config.studies[study]["tasks"][task] for study in config.studies for task in config.linear_tasks(study)]
    seconds = {(task["dataset"], config.view(task)): task["unit_seconds"] for task in tasks}
    clips = {key: size_of(config, key[0]).clips for key in seconds}
    hours = sum(clips[key] * seconds[key] for key in seconds) / 3600
    return _embedding(config, names["representation"], max(clips.values(), default=0), hours, VIEW_SECONDS)


def need_evaluate_linear(config: Config, names: Mapping[str, str]) -> Need:
    """The largest task in memory, as it is stored and standardised, and the time of all tasks together."""
    study, name = names["study"], names["representation"]
    protocol, dims = config.protocol(study, "linear"), dims_of(config, name)
    is_fixed = config.representation(name).get("fixed_learning_rate") and not protocol.get("tune_always")
    rates = 1 if is_fixed else len(protocol["learning_rates"])
    cores = config.scale["machine"]["threads"]
    flops = LINEAR_FLOPS_PER_CORE * cores if on_cpu(config) else LINEAR_FLOPS_OF_GPU
    mb, seconds = 0.0, 0.0
    for slug in config.linear_tasks(study):
        size = size_of(config, config.studies[study]["tasks"][slug]["dataset"])
        heads = rates * size.classes * dims * 4 * 5 * (cores if on_cpu(config) else 1)  # weights, Adam's, the best
        mb = max(mb, (2 * size.clips * dims * 4 + size.clips * (CLIP_BYTES + 8 * size.classes) + heads) / 1e6)
        epochs = protocol["max_epochs"] * _n_trainings(config, {"study": study, "task": slug})
        products = 6 * size.clips * dims * size.classes * rates
        seconds += epochs * (products / flops + size.clips / protocol["batch_size"] * LINEAR_STEP_SECONDS)
    return Need(torch_mb(config) + mb, seconds / 60, math.inf)


def need_prepare_dataset(config: Config, names: Mapping[str, str]) -> Need:
    """Decoding, a thread for every ten hours; the lists take 2.6 kB a clip, each thread up to 200 MB of a recording.

    Measured: 400,000 clips through under 1,500 MB (tests/unit/test_prepare_memory.py).
    """
    size = size_of(config, names["dataset"])
    threads = _between(1, math.ceil(size.hours / 10), config.scale["machine"]["threads"])
    minutes = 60 * size.hours / (DECODED_HOURS_PER_CORE_HOUR * threads) + 2 * size.gb * 1000 / DISK_MB_PER_SECOND / 60
    return Need(PLAIN_MB + 200 * threads + size.clips * 2.6e-3, minutes, threads)


def need_compute_log_mel(config: Config, names: Mapping[str, str]) -> Need:
    """A batch of 160 s, whose spectra take 100 MB; the frames that are written are mapped."""
    size = size_of(config, names["dataset"])
    threads = _between(1, math.ceil(size.hours / 10), config.scale["machine"]["threads"])
    minutes = 60 * size.hours / (LOG_MEL_HOURS_PER_CORE_HOUR * threads)
    minutes += size.hours * 92 / DISK_MB_PER_SECOND / 60  # MB of frames an hour
    return Need(TORCH_MB + 400 + size.clips * CLIP_BYTES / 1e6, minutes, threads)


def need_provide_weights(config: Config, names: Mapping[str, str]) -> Need:
    """The file as it is, the encoder, and what is written."""
    return Need(TORCH_MB + parameters_of(config, names["representation"]) * 4 * 4 / 1e6)


def need_acquire_archives(config: Config, names: Mapping[str, str]) -> Need:
    """A download at the speed that config.yaml names, and a pass over it for its hash."""
    gb = size_of(config, names["dataset"]).gb
    seconds = gb * 8000 / config.user["bandwidth_mbit_per_s"] + gb * 1000 / DISK_MB_PER_SECOND
    return Need(PLAIN_MB, seconds / 60)


def need_of_clips(config: Config, names: Mapping[str, str]) -> Need:
    """The clip table of one data set; or of the largest that a task counts, where all jobs ask the same."""
    if "dataset" in names:
        clips = size_of(config, names["dataset"]).clips
    else:
        tasks = [{**study["tasks"], **study.get("counted_only", {})} for study in config.studies.values()]
        clips = max(size_of(config, task["dataset"]).clips for entries in tasks for task in entries.values())
    return Need(PLAIN_MB + 2 * clips * CLIP_BYTES / 1e6, clips / 1e5)


def need_count_corpus(config: Config, names: Mapping[str, str]) -> Need:
    """The clip table of the pre-training corpus."""
    return need_of_clips(config, {"dataset": config.corpus(names["study"])["dataset"]})


def fixed(mb: float, minutes: float = 0.0) -> Callable[[Config, Mapping[str, str]], Need]:
    """Give the need of a rule that is the same whatever the data."""
    return lambda config, names: Need(mb, minutes)


# Rules that may run on a GPU: the libraries for it take memory too, `least_mem_mb` of the scale.
TRAINING: dict[str, Callable[[Config, Mapping[str, str]], Need]] = {
    "pretrain_encoder": need_pretrain_encoder,
    "pretrain_byol": need_pretrain_byol,
    "finetune_encoder": need_finetune_encoder,
    "train_probe": need_train_probe,
    "embed_dataset": need_embed_dataset,
    "embed_views": need_embed_views,
    "evaluate_linear": need_evaluate_linear,
}
NEEDS = TRAINING | {
    "prepare_dataset": need_prepare_dataset,
    "compute_log_mel": need_compute_log_mel,
    "provide_weights": need_provide_weights,
    "acquire_archives": need_acquire_archives,
    "describe_dataset": need_of_clips,
    "count_task": need_of_clips,
    "count_corpus": need_count_corpus,
    "describe_study": fixed(1500),
    "fetch_checkpoint": fixed(500, 120),
    "generate_archives": fixed(1000),
    "bind_data_cards": fixed(1000),
    "make_table": fixed(1000),
    "make_figure": fixed(1500),
    "make_report": fixed(1000),
}


def _embedding(config: Config, name: str, clips: int, hours: float, batch_seconds: float) -> Need:
    batch = activations_mb(config, name, batch_seconds * FORWARD)
    mb = torch_mb(config) + clips * CLIP_BYTES / 1e6 + parameters_of(config, name) * 4 * 2 / 1e6 + batch
    return Need(mb, embedding_minutes(config, name, hours), math.inf)


def _task(config: Config, names: Mapping[str, str]) -> Mapping[str, Any]:
    return config.studies[names["study"]]["tasks"][names["task"]]


def _n_trainings(config: Config, names: Mapping[str, str]) -> int:
    return len(config.seeds(names["study"], names["task"])) * n_folds(config, _task(config, names))


def _round_up(value: float, step: int) -> int:
    return step * math.ceil(value / step)


def _between(least: int, value: float, most: int) -> int:
    return max(least, min(value, most))
