"""Linear evaluation: one linear layer on frozen embeddings of clips, all learning rates of a run trained together.

Source: Niizumi et al. 2023 (BYOL-A v2), section V, and the authors' public code (EVAR): embeddings standardised on the
training clips, Adam, early stop on the validation score, best weights restored, three seeds; leave-one-fold-out where
the data set has folds. Differs from it: the learning rate is chosen on validation clips, never on test clips.

Heads of one seed and fold share each batch; as many runs are trained side by side as there are threads
(benchmarks/linear_probe.py measures it).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from earmark.embed import find_device
from earmark.errors import ProtocolError
from earmark.files import atomic_path
from earmark.heads._linear_ahead import RunsAhead
from earmark.heads._linear_data import read_embeddings
from earmark.heads._linear_probe import LinearProbe
from earmark.logs import LOGGER
from earmark.metrics import METRICS, chance_level, class_columns, evaluate, skipped_classes
from earmark.provenance import config_digest, inputs_digest
from earmark.scores import Outcome, order_runs, score_runs
from earmark.tasks import Split, TaskData, resolve_task


def train_linear_probes(
    *,
    tasks: Mapping[str, Mapping[str, Any]],
    clips: Sequence[Path],
    embeddings: Sequence[Path],
    encoder: str,
    encoder_options: Mapping[str, Any],
    fixed_learning_rate: bool,
    protocol: Mapping[str, Any],
    names: Mapping[str, str],
    runs: str,
    scores: Sequence[Path],
    predictions: Sequence[Path],
    provenance: Mapping[str, Any],
    accelerator: str = "auto",
    precision: str = "32-true",
    threads: int | None = None,
) -> None:
    """Train the linear heads of all tasks of one representation, one task after another, see `train_linear_probe`.

    `tasks`: {task: {entry: of study.yaml, vocabulary: official labels or None, seeds: [numbers], max_folds: number or
    None}}; `clips`, `embeddings`, `scores`, `predictions`: a file per task, in their order; `names`: study and
    representation; `runs`: the folder of finished runs, with `{task}` in it. Each task's scores name its own settings
    and inputs: `config` and `inputs` of `provenance` are replaced. Tasks and embeddings are checked before the first
    training begins. Raises ProtocolError when the number of files is another one than that of the tasks.
    """
    files = {"clips": clips, "embeddings": embeddings, "scores": scores, "predictions": predictions}
    for kind, paths in files.items():
        if len(paths) != len(tasks):
            raise ProtocolError(f"{len(tasks)} tasks, but {len(paths)} files of {kind}; wanted one for each task")
    counts = []
    for one, table_path, array_path in zip(tasks.values(), clips, embeddings, strict=True):
        table = pd.read_parquet(table_path)
        data = resolve_task(table, one["entry"], one["vocabulary"], one["max_folds"])
        read_embeddings(Path(array_path), table["clip_id"].tolist())
        counts.append(len(one["seeds"]) * len(data.splits))
    with tqdm(total=sum(counts), desc=names["representation"], unit="run", disable=None, leave=False) as bar:
        for place, (task, one) in enumerate(tasks.items()):
            bar.set_postfix_str(task)
            LOGGER.info("task %s, %d of %d", task, place + 1, len(tasks))
            array = Path(embeddings[place])
            inputs = inputs_digest([clips[place], array, array.with_name("index.parquet")])
            config = config_digest([one, encoder, encoder_options, fixed_learning_rate, protocol, precision])
            train_linear_probe(
                clips=clips[place],
                embeddings=[array],
                encoder=encoder,
                encoder_options=encoder_options,
                task=one["entry"],
                vocabulary=one["vocabulary"],
                max_folds=one["max_folds"],
                fixed_learning_rate=fixed_learning_rate,
                protocol=protocol,
                seeds=one["seeds"],
                names={**names, "task": task},
                runs=Path(runs.format(task=task)),
                scores=scores[place],
                predictions=predictions[place],
                provenance={**provenance, "config": config, "inputs": inputs},
                accelerator=accelerator,
                precision=precision,
                threads=threads,
                after_run=bar.update,
            )
            bar.update(sum(counts[: place + 1]) - bar.n)  # runs that were finished before


def train_linear_probe(
    *,
    clips: Path,
    embeddings: Sequence[Path],
    encoder: str,
    encoder_options: Mapping[str, Any],
    task: Mapping[str, Any],
    vocabulary: Sequence[str] | None,
    max_folds: int | None,
    protocol: Mapping[str, Any],
    seeds: Sequence[int],
    names: Mapping[str, str],
    runs: Path,
    scores: Path,
    predictions: Path,
    provenance: Mapping[str, Any],
    fixed_learning_rate: bool = False,
    accelerator: str = "auto",
    precision: str = "32-true",
    threads: int | None = None,
    after_run: Callable[[], Any] = lambda: None,
) -> None:
    """Train the linear heads of one task for all seeds and folds, and write scores and predictions.

    `embeddings`: `embeddings.npy` with one row per clip, then, where test clips are cropped otherwise, theirs; `task`:
    an entry of study.yaml, `further_metrics` and `subsets` {name: [class names]} where wanted; `fixed_learning_rate`,
    `protocol`: see `learning_rates_of`, further batch_size, max_epochs, patience, valid_share; `names`: study, task
    and representation, columns of the scores; `after_run` is called after each training. The scores hold a row per run
    and metric, `map_<name>` for a subset; a run that is finished under the same digest is not trained again.

    Raises StoreError when embeddings and clips do not fit, ProtocolError when the task cannot be carried out,
    TrainingError when every learning rate diverges.
    """
    if threads:
        torch.set_num_threads(threads)
    table = pd.read_parquet(clips)
    clip_ids = table["clip_id"].tolist()
    data = resolve_task(table, task, vocabulary, max_folds)
    subsets = {f"map_{name}": class_columns(members, data.classes) for name, members in task.get("subsets", {}).items()}
    views = [read_embeddings(Path(path), clip_ids) for path in embeddings]
    rates = learning_rates_of(task, names["task"], protocol, fixed_learning_rate)
    probe = LinearProbe(
        views[0],
        views[-1],
        data,
        clip_ids,
        names["task"],
        METRICS[task["metric"]],
        task["loss"],
        rates,
        protocol["batch_size"],
        protocol["max_epochs"],
        protocol["patience"],
        protocol["valid_share"],
        find_device(accelerator),
        precision,
    )

    def run(seed: int, split: Split, work: Path, digest: str) -> Outcome:
        outcome = ahead.outcome(seed, split)
        after_run()
        return outcome

    settings = {
        "mode": "linear",
        "encoder": [encoder, encoder_options],
        "task": task,
        "classes": data.classes,
        "protocol": protocol,
        "learning_rates": rates,
        "precision": precision,
    }
    collected = runs / "scores.parquet"
    workers = threads or 1 if probe.device.type == "cpu" else 1
    with RunsAhead(probe.fit, order_runs(seeds, data.splits), threads or 1, workers) as ahead:
        score_runs(
            run,
            data,
            clip_ids,
            task["metric"],
            seeds,
            settings,
            {**names, "encoder": encoder, "mode": "linear"},
            runs,
            collected,
            predictions,
            provenance,
            threads,
        )
    found = further_scores(pd.read_parquet(collected), pd.read_parquet(predictions), data, task, subsets)
    with atomic_path(scores) as temporary:
        found.to_parquet(temporary, index=False)


def learning_rates_of(
    task: Mapping[str, Any], name: str, protocol: Mapping[str, Any], fixed_learning_rate: bool
) -> list[float]:
    """List the learning rates that a task tries: the `learning_rates` of the protocol, or one.

    With `fixed_learning_rate` it is the task's own `learning_rate`, as the paper's authors set it; `tune_always: true`
    of a protocol overrules that (small data and few epochs need other rates). Raises ProtocolError when the task,
    called `name`, has none.
    """
    if not fixed_learning_rate or protocol.get("tune_always", False):
        return list(protocol["learning_rates"])
    if "learning_rate" not in task:
        raise ProtocolError(
            f"task {name}: the learning rate is to be fixed, but the task has none; add learning_rate to the task in"
            " study.yaml, or leave fixed_learning_rate out of the representation"
        )
    return [task["learning_rate"]]


def further_scores(
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    data: TaskData,
    task: Mapping[str, Any],
    subsets: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Add a row per run for each further metric of a task and for mAP over each subset of its classes.

    `scores`, `predictions`: as `score_runs` writes them; `subsets`: {name of the metric: columns of the classes}, of
    the same head. The rows are those of the run with metric, value, chance and skipped classes replaced, without a
    value of the last epoch. A subset of which no class has a positive test clip has no value.
    """
    everything = np.arange(len(data.classes))
    wanted = [(name, name, everything) for name in task.get("further_metrics", ())]
    wanted += [(name, "map", columns) for name, columns in subsets.items()]
    splits = {split.fold: split for split in data.splits}
    found = [scores]
    for (seed, fold), rows in predictions.groupby(["seed", "fold"], sort=False):
        split, predicted = splits[fold], np.stack(rows["scores"])
        run = scores[(scores["seed"] == seed) & (scores["fold"] == fold)]
        for name, metric, columns in wanted:
            test, train, values = data.targets[split.test], data.targets[split.train], predicted
            if test.ndim == 2:
                test, train, values = test[:, columns], train[:, columns], values[:, columns]
            is_defined = bool(test.any()) or test.ndim == 1
            if not is_defined:
                LOGGER.warning("%s has no value: none of its %d classes has a positive test clip", name, len(columns))
            changed = {
                "metric": name,
                "value": evaluate(metric, test, values) if is_defined else np.nan,
                "chance": chance_level(metric, train, test, len(columns)) if is_defined else np.nan,
                "last_epoch_value": np.nan,
                "n_classes_skipped": skipped_classes(test, len(columns)),
            }
            found.append(run.assign(**changed))
    return pd.concat(found, ignore_index=True)
