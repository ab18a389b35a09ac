"""What a run would take, before it starts: jobs, trainings, hours, disk, download, and what a user must bring."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from earmark.acquire import readable_bytes
from earmark.config import Config
from earmark.config.presence import archive_folders, is_prepared, missing_files, supplied_files, with_absent
from earmark.config.requests import Run, made_encoders, study_runs
from earmark.resources import BYTES_PER_HOUR, embedding_minutes, n_folds, pretraining_minutes, size_of, training_minutes

LOG_MEL_BYTES_PER_HOUR = 100 * 64 * 4 * 3600  # 100 frames of 64 float32 a second
LEGEND = (
    "~: size not published; estimated as the hours of audio in 16 bit at 16 kHz (more where the rate is higher),"
    " unpacked as large as the archives.",
    "Disk at the peak: all archives, stores and log-mel caches, and the largest unpacked set, which goes when its store"
    " stands.",
)


@dataclass(frozen=True)
class DataSize:
    """What one data set takes, in bytes; `is_known` and `is_unpacked_known` tell published sizes from estimates.

    `to_fetch`: what a download of the missing files would move; 0 for a set that the user brings.
    """

    archives: int
    is_known: bool
    unpacked: int
    is_unpacked_known: bool
    store: int
    log_mel: int
    to_fetch: int


def n_trainings(config: Config, study: str, run: Run) -> int:
    """Count the trainings of a run: seeds times folds."""
    return len(config.seeds(study, run.task)) * n_folds(config, config.studies[study]["tasks"][run.task])


def used_datasets(config: Config, study: str) -> list[str]:
    """List the data sets that the tasks, the counts and the pre-training of a study need, in this run."""
    entry = config.studies[study]
    tasks = [*(entry["tasks"][task] for task in config.tasks(study)), *entry.get("counted_only", {}).values()]
    corpora = [config.corpus(study, name)["dataset"] for name in config.representations(study)]
    return list(dict.fromkeys([config.corpus(study)["dataset"], *corpora, *(task["dataset"] for task in tasks)]))


def measure_dataset(config: Config, dataset: str, studies: Iterable[str]) -> DataSize:
    """Add up what a data set takes, with the log-mel caches that these studies ask for.

    Published sizes count as they are; where one is missing, the larger of what is known and the estimate from hours.
    """
    spec, hours = config.datasets[dataset], config.datasets[dataset].get("hours", 0.0)
    files = [entry for entry in spec["files"] if not entry.get("optional")]
    stored = round(hours * BYTES_PER_HOUR)
    known = sum(entry["bytes"] or 0 for entry in files)
    is_known = all(entry["bytes"] is not None for entry in files)
    archives = known if is_known else max(known, stored)
    packed = [entry for entry in files if entry["unpack"] not in ("none", "folder") and not entry.get("in_place")]
    is_unpacked_known = all("unpacked_bytes" in entry for entry in packed)
    unpacked = sum(entry.get("unpacked_bytes", 0) for entry in packed)
    if not is_unpacked_known:
        unpacked = max(unpacked, archives)
    frontends = {name for study in studies for name in _frontends(config, study, dataset)}
    return DataSize(
        archives=archives,
        is_known=is_known,
        unpacked=unpacked,
        is_unpacked_known=is_unpacked_known,
        store=stored,
        log_mel=round(hours * LOG_MEL_BYTES_PER_HOUR) * len(frontends),
        to_fetch=_bytes_to_fetch(config, dataset, archives, len(files)),
    )


def peak_bytes(sizes: Sequence[DataSize]) -> int:
    """Add up archives, stores and caches, and the largest of the unpacked sets."""
    return sum(size.archives + size.store + size.log_mel for size in sizes) + max(
        (size.unpacked for size in sizes), default=0
    )


def make_plan(config: Config, checkpoints: Mapping[str, Mapping]) -> str:
    """Write the plan of all chosen studies as text: trainings, data sets, disk, download, what to bring.

    GPU-hours rest on the rates that the scale file states, which are assumptions until a run's cards say better. Looks
    once for each declared file; touches no network. `checkpoints`: the rows of `config/checkpoints`.
    """
    config, whole = with_absent(config, checkpoints), config
    lines = [
        f"Plan for scale {config.scale['name']}" + (f" ({config.scale['label']})" if config.scale["label"] else "")
    ]
    for study in config.studies:
        lines += _study_lines(config, whole, study)
    if config.source == "mini":
        return "\n".join(lines) + "\n"
    used = list(dict.fromkeys(name for study in config.studies for name in used_datasets(config, study)))
    lines += ["", f"All studies together: {len(used)} data sets", *_total_lines(config, used, config.studies)]
    unused = [name for name in config.datasets if name not in used]
    if unused and config.user["studies"] == "all" and config.user["tasks"] == "all":
        lines += ["", "Declared, not yet used by a study:", *_data_lines(config, unused, [])]
    return "\n".join([*lines, "", *LEGEND, *_bring_lines(config)]) + "\n"


def _study_lines(config: Config, whole: Config, study: str) -> list[str]:
    runs = study_runs(whole, study)
    lines = ["", f"Study {study}: {config.studies[study]['title']}", f"  {_count_line(whole, study)}"]
    if config.absent or config.absent_weights:
        lines.append(f"  with the data at hand: {_count_line(config, study)}")
    lines += [f"  {mode:9s} {_mode_line(whole, study, runs, mode)}" for mode in dict.fromkeys(run.mode for run in runs)]
    lines += _hours_lines(whole, study, runs)
    if config.source == "mini":
        return [*lines, f"  Data: {len(used_datasets(config, study))} data sets, generated; under 1 GB."]
    return lines + _data_lines(config, used_datasets(config, study), [study])


def _pretrained(config: Config, study: str) -> list[str]:
    made = made_encoders(config, study)
    return [name for name in made if config.representation(name)["weights"] in ("tagging", "byol")]


def _count_line(config: Config, study: str) -> str:
    runs, pretrained = study_runs(config, study), _pretrained(config, study)
    trainings = sum(n_trainings(config, study, run) for run in runs)
    return (
        f"pre-trainings {len(pretrained)}, downstream trainings {trainings}, together {len(pretrained) + trainings}"
        f" in {_n_jobs(runs) + len(pretrained)} jobs"
    )


def _mode_line(config: Config, study: str, runs: list[Run], mode: str) -> str:
    chosen = [run for run in runs if run.mode == mode]
    return f"{_n_jobs(chosen)} jobs, {sum(n_trainings(config, study, run) for run in chosen)} trainings"


def _n_jobs(runs: Iterable[Run]) -> int:
    """Count the jobs of runs: linear evaluation takes all tasks of a representation in one."""
    return len({run._replace(task="") if run.mode == "linear" else run for run in runs})


def _hours_lines(config: Config, study: str, runs: list[Run]) -> list[str]:
    rate = config.scale["assumed_audio_hours_per_gpu_hour"]
    if config.source == "mini":
        return ["  Hours: mini scale runs on a CPU; see results/mini/benchmarks after a run."]
    minutes = sum(pretraining_minutes(config, name) for name in _pretrained(config, study))
    for run in runs:
        hours = size_of(config, config.studies[study]["tasks"][run.task]["dataset"]).hours
        if run.mode in ("scratch", "finetune"):
            hours *= config.protocol(study, "downstream")["max_epochs"] * n_trainings(config, study, run)
            minutes += training_minutes(config, run.representation, hours)
        else:
            minutes += embedding_minutes(config, run.representation, hours)
    return [
        f"  GPU-hours: at most {minutes / 60:,.0f}, if every training runs all its epochs, at an assumed {rate:,} hours"
        " of audio trained per GPU-hour, fewer with large encoders (not measured here)"
    ]


def _hours(config: Config, dataset: str) -> float:
    return config.datasets[dataset].get("hours", 0.0)


def _data_lines(config: Config, names: Sequence[str], studies: Iterable[str]) -> list[str]:
    heads = ("archives", "unpacked", "store", "log-mel")
    lines = [f"  {'data set':28s}{'access':14s}{'hours':>9s}{''.join(f'{head:>12s}' for head in heads)}  state"]
    for name in names:
        size, hours = measure_dataset(config, name, studies), _hours(config, name)
        texts = [
            _size(size.archives, size.is_known),
            _size(size.unpacked, size.is_unpacked_known),
            _size(size.store, bool(hours)),
            _size(size.log_mel, bool(hours)),
        ]
        shown = f"{hours:,.1f}" if hours else "unknown"
        access = config.datasets[name]["access"]
        columns = "".join(f"{text:>12s}" for text in texts)
        lines.append(f"  {name:28s}{access:14s}{shown:>9s}{columns}  {_state(config, name)}")
    return lines + _total_lines(config, names, studies)


def _total_lines(config: Config, names: Sequence[str], studies: Iterable[str]) -> list[str]:
    sizes = {name: measure_dataset(config, name, studies) for name in names}
    here = [size for name, size in sizes.items() if name not in config.absent]
    unsized = sum(not _hours(config, name) for name in names)
    disk = (
        f"  disk at the peak: {'at least' if unsized else 'about'} {readable_bytes(peak_bytes(list(sizes.values())))}"
    )
    if len(here) < len(sizes):
        disk += f"; without the sets that are not here {readable_bytes(peak_bytes(here))}"
    fetched = sum(size.to_fetch for size in sizes.values())
    rate = config.user["bandwidth_mbit_per_s"]
    time = f"{_duration(fetched * 8 / (rate * 1e6))} at {rate:g} Mbit/s"
    return [disk, f"  to download: about {readable_bytes(fetched)}, {time} (`bandwidth_mbit_per_s`)"]


def _bring_lines(config: Config) -> list[str]:
    lines = []
    for name in config.absent:
        spec = config.datasets[name]
        if supplied_files(spec):
            cause = spec["access"] if spec["access"] != "open" else "no public address"
            place = archive_folders(config, name)[0]
            lines.append(f"Bring yourself: {name} ({cause}): {spec['page']} -> {place}; see `snakemake data_{name}`")
    return lines


def _state(config: Config, name: str) -> str:
    if is_prepared(config, name):
        return "prepared"
    missing = len(missing_files(config, name))
    wanted = sum(not entry.get("optional") for entry in config.datasets[name]["files"])
    found = f"{wanted - missing} of {wanted} files here"
    if not missing:
        return f"present, {found}"
    return f"missing, {found}" if name in config.absent else f"to download, {found}"


def _bytes_to_fetch(config: Config, dataset: str, archives: int, n_wanted: int) -> int:
    """Add up the missing files of a set that is downloaded; files of unknown size share what is left evenly."""
    if dataset in config.absent or is_prepared(config, dataset):
        return 0
    missing = missing_files(config, dataset)
    if len(missing) == n_wanted:
        return archives
    files = [entry for entry in config.datasets[dataset]["files"] if not entry.get("optional")]
    unknown = [entry for entry in files if entry["bytes"] is None]
    rest = (archives - sum(entry["bytes"] or 0 for entry in files)) / max(1, len(unknown))
    return round(sum(rest if record["bytes"] is None else record["bytes"] for record in missing))


def _frontends(config: Config, study: str, dataset: str) -> set[str]:
    """List the front-ends whose log-mel cache of a data set a study uses: none where it serves pre-training alone."""
    if dataset not in {config.studies[study]["tasks"][task]["dataset"] for task in config.tasks(study)}:
        return set()
    encoders = {config.representation(name).get("encoder") for name in config.representations(study)} - {None}
    rows = [config.encoders[encoder] for encoder in encoders]
    return {row["frontend"] for row in rows if row.get("input", "log_mel") == "log_mel"}


def _size(size: int, is_known: bool) -> str:
    if not is_known and not size:
        return "unknown"
    return f"{'' if is_known else '~'}{readable_bytes(size)}"


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
