"""Scores, counts and descriptions made up for tests of the tables of the study `byola`."""

import itertools
from pathlib import Path

import pandas as pd
import yaml

from earmark.tables import make_table

ROOT = Path(__file__).parents[3]
STUDY = ROOT / "paper" / "byola"
SEEDS = (42, 43, 44)
NINE = (
    *("esc50", "us8k", "speechcommands_v2", "voxceleb1", "voxforge", "cremad"),
    *("gtzan", "nsynth_instrument", "surge_pitch"),
)
FOLDS = {"esc50": (1, 2), "us8k": (1, 2, 3)}
FSD50K_METRICS = ("map", "mauc", "map_single_source", "map_sequential", "map_scene")
NOT_INSTALLED = "needs envs/hear_esresnext.yaml, not installed"
PROVENANCE = {"code": "aaaabbbbccccdddd", "config": "eeeeffff00001111", "versions": {"earmark": "0.1.0"}}
LABEL = "mini scale: generated sound, not a reproduction"


def byola_tables() -> dict:
    """Return the tables declared for the study."""
    return yaml.safe_load((STUDY / "tables.yaml").read_text())["tables"]


def byola_study() -> dict:
    """Return the study."""
    return yaml.safe_load((STUDY / "study.yaml").read_text())


def score(representation: str, task: str, seed: int, fold: int) -> float:
    """Return a made-up accuracy that differs in everything it is of."""
    number = sum(map(ord, representation)) % 97 / 3 + (len(task) * 7) % 23
    return 20 + number + (seed - 43) * (1 + len(task) % 3) + fold * 1.5


def own_average(representation: str, seed: int) -> float:
    """Average the made-up accuracies of one seed over the nine tasks, each over its folds first."""
    means = []
    for task in NINE:
        folds = FOLDS.get(task, (0,))
        means.append(sum(score(representation, task, seed, fold) for fold in folds) / len(folds))
    return sum(means) / len(means)


def write_scores(folder: Path, task: str, representation: str, seeds=SEEDS) -> Path:
    """Write the score file of a linear evaluation."""
    rows = [
        {
            "study": "byola", "task": task, "representation": representation, "encoder": "byola", "mode": "linear",
            "fold": fold, "seed": seed, "metric": metric, "value": score(representation, task, seed, fold) + place,
            "chance": 4.0, "n": 50, "n_classes_skipped": 0, "seconds": 1.5, "peak_memory_mb": 700.0, "device": "cpu",
            "protocol_digest": "9f8e7d6c5b4a3210", "code": "0123456789abcdef", "config": "fedcba9876543210",
            "inputs": "00112233445566aa", "versions": '{"torch": "2.13.0"}', "scale": "mini",
        }
        for seed, fold in itertools.product(seeds, FOLDS.get(task, (0,)))
        for place, metric in enumerate(FSD50K_METRICS if task == "fsd50k" else ("accuracy",))
    ]  # fmt: skip
    path = folder / task / representation / "linear.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


def write_all_scores(folder: Path) -> list[Path]:
    """Write the scores of every representation of the study that runs beside this package, on all ten tasks."""
    return [
        write_scores(folder, task, name)
        for name, entry in byola_study()["representations"].items()
        if "encoder" in entry
        for task in (*NINE, "fsd50k")
    ]


def write_counts(folder: Path) -> list[Path]:
    """Write the counts of all ten tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in (*NINE, "fsd50k"):
        folds = len(FOLDS[task]) if task in FOLDS else None
        counts = {"n_train": 300, "n_valid": None if folds else 40, "n_eval": None if folds else 60, "n_labels": 9}
        pd.DataFrame([{"task": task, **counts, "n_folds": folds, "mean_seconds": 4.25}]).to_csv(
            folder / f"{task}.csv", index=False
        )
    return sorted(folder.glob("*.csv"))


def build_byola(folder: Path, table: str, scores, descriptions=(), spec=None, not_run=None) -> Path:
    """Make one table and return its folder."""
    spec = spec or byola_tables()[table]
    make_table(
        table=table,
        spec=spec,
        tasks=byola_study()["tasks"],
        published=STUDY / "published" / f"{table}.csv",
        scores=scores if spec["measured"]["from"] == "scores" else [],
        cards=[],
        counts=write_counts(folder / "counts"),
        descriptions=descriptions,
        not_run={"*/esresnext/*": NOT_INSTALLED} if not_run is None else not_run,
        scale="mini",
        label=LABEL,
        remarks=["The networks have a quarter of their width."],
        provenance=PROVENANCE,
        **{form: folder / f"{table}.{form}" for form in ("csv", "md", "tex", "html")},
    )
    return folder
