"""Linear evaluation: one linear layer on frozen embeddings of clips, all learning rates of a run trained together.

Source: Niizumi et al. 2023 (BYOL-A v2), section V, and the authors' public code (EVAR): embeddings standardised on the
training clips, Adam, early stop on the validation score, best weights restored, three seeds; leave-one-fold-out where
the data set has folds. Differs from it: the learning rate is chosen on validation clips, never on test clips.

Heads of one seed and fold share each batch; as many runs are trained side by side as there are threads
(benchmarks/linear_probe.py measures it).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from earmark.embed import find_device
from earmark.errors import ProtocolError, TrainingError
from earmark.files import atomic_path
from earmark.heads._linear_ahead import RunsAhead
from earmark.heads._linear_data import Standardiser, check_finite, check_fold_classes, draw_validation, read_embeddings
from earmark.heads._linear_heads import Head, Score, train_heads
from earmark.logs import LOGGER
from earmark.metrics import METRICS, Metric, chance_level, class_columns, evaluate, skipped_classes
from earmark.provenance import config_digest, inputs_digest
from earmark.scores import Outcome, order_runs, score_runs
from earmark.tasks import Split, TaskData, resolve_task
from earmark.training.batches import derive_seed
from earmark.training.loop import describe_device

LOSS_OF_LABELS = {"single": "cross_entropy", "multi": "binary_cross_entropy"}


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


@dataclass(frozen=True)
class _Prepared:
    """Standardised clips of one fold: [clips, width] to train and validate on, their targets, and [clips, width] to
    test on."""

    fold: int
    inputs: torch.Tensor
    targets: torch.Tensor
    test_inputs: torch.Tensor


@dataclass
class LinearProbe:
    """A task with its embeddings in memory: `fit` trains the heads of one seed and split.

    `embeddings`, `test_embeddings`: float [clips, dim], those of the training and validation clips and those of the
    test clips (the same where clips are not cropped); `data`, `clip_ids`: of the same clips. `valid_share`: of the
    training folds, for splits whose validation clips are the test clips (leave-one-fold-out).
    `precision`: that of the products of training, see `train_heads`; scores are computed in float32.
    Raises ProtocolError when loss and labels do not fit, StoreError for embeddings that are no finite numbers.
    """

    embeddings: np.ndarray
    test_embeddings: np.ndarray
    data: TaskData
    clip_ids: Sequence[str]
    task: str
    metric: Metric
    loss: str
    learning_rates: Sequence[float]
    batch_size: int
    max_epochs: int
    patience: int
    valid_share: float
    device: torch.device
    precision: str = "32-true"

    def __post_init__(self) -> None:
        if self.loss != LOSS_OF_LABELS[self.data.label_type]:
            raise ProtocolError(
                f"task {self.task}: the loss {self.loss!r} does not fit {self.data.label_type}-label tasks; wanted"
                f" {LOSS_OF_LABELS[self.data.label_type]!r} in study.yaml"
            )
        if not len(self.learning_rates):
            raise ProtocolError(f"task {self.task}: no learning rate is given; list some in the protocol")
        for split in self.data.splits:
            self._check_split(split)
        for name, array in (("train valid", self.embeddings), ("test", self.test_embeddings)):
            used = [getattr(split, part) for split in self.data.splits for part in name.split()]
            check_finite(array, np.concatenate(used), self.clip_ids)
        self._prepared: _Prepared | None = None
        self._lock = threading.Lock()

    def fit(self, seed: int, split: Split, is_wanted: Callable[[], bool] = lambda: True) -> Outcome:
        """Train a head per learning rate on one split, choose one on the validation clips, and score the test clips.

        Of heads with equal validation scores the one of lower validation loss is chosen. Heads whose loss or weights
        become no finite numbers are left out and named in `diverged_learning_rates` of the outcome's details.
        """
        begin = time.perf_counter()
        prepared = self._prepare(split)
        train, valid = self._train_and_valid(seed, split)
        heads = train_heads(
            prepared.inputs,
            prepared.targets,
            torch.from_numpy(train).to(self.device),
            torch.from_numpy(valid).to(self.device),
            self.embeddings.shape[1],
            len(self.data.classes),
            self.loss,
            make_score(self.metric, prepared.targets[valid]),
            self.learning_rates,
            min(self.batch_size, len(train)),
            self.max_epochs,
            self.patience,
            derive_seed(seed, "heads", split.fold),
            self.precision,
            is_wanted,
        )
        where = f"{self.task} seed {seed} fold {split.fold}"
        head = choose_head(heads, where)
        diverged = [one.learning_rate for one in heads if one.has_diverged]
        seconds = time.perf_counter() - begin
        LOGGER.info("%s: learning rate %g, epoch %d, %.1f s", where, head.learning_rate, head.best_epoch, seconds)
        return Outcome(
            predictions=activate(prepared.test_inputs @ head.weight.t(), self.loss).cpu().numpy(),
            last_predictions=activate(prepared.test_inputs @ head.last_weight.t(), self.loss).cpu().numpy(),
            best_epoch=head.best_epoch,
            epochs=head.epochs,
            steps=head.epochs * -(-len(train) // self.batch_size),
            seconds=seconds,
            waiting_share=0.0,
            device=describe_device(self.device),
            details={
                "learning_rate": head.learning_rate,
                "valid_score": head.stop.best,
                "n_learning_rates": len(heads),
                "epochs_of_all": sum(one.epochs for one in heads),
                "diverged_learning_rates": " ".join(f"{rate:g}" for rate in diverged),
            },
        )

    def _check_split(self, split: Split) -> None:
        where = f"task {self.task}, fold {split.fold}"
        for name in ("train", "valid", "test"):
            if not len(getattr(split, name)):
                raise ProtocolError(
                    f"{where}: no clip in {name}; check the data set's ledger and the task's rules in study.yaml"
                )
        if _is_held_out(split):
            targets = self.data.targets
            check_fold_classes(targets[split.train], targets[split.test], self.data.classes, where)

    def _prepare(self, split: Split) -> "_Prepared":
        """Standardise the clips of a split on its training clips; runs in a row on one split share the result."""
        with self._lock:
            if self._prepared is None or self._prepared.fold != split.fold:
                self._prepared = None  # two splits of a large data set need not fit into memory
                standardiser = Standardiser.fit(self.embeddings, split.train)
                rows = split.train if _is_held_out(split) else np.concatenate([split.train, split.valid])
                self._prepared = _Prepared(
                    split.fold,
                    standardiser.apply(self.embeddings, rows).to(self.device),
                    torch.from_numpy(self.data.targets[rows]).to(self.device),
                    standardiser.apply(self.test_embeddings, split.test).to(self.device),
                )
            return self._prepared

    def _train_and_valid(self, seed: int, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of training and validation clips among the prepared ones."""
        if not _is_held_out(split):
            return np.arange(len(split.train)), len(split.train) + np.arange(len(split.valid))
        generator = np.random.default_rng(derive_seed(seed, "validation", split.fold))
        where = f"task {self.task}, fold {split.fold}"
        return draw_validation(self.data.targets[split.train], self.data.classes, self.valid_share, generator, where)


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


def choose_head(heads: Sequence[Head], where: str) -> Head:
    """Return the head of the best validation score, of equals the one of lower validation loss, of those the first.

    Raises TrainingError when all have diverged; `where` names the run.
    """
    for head in heads:
        if head.has_diverged:
            LOGGER.warning("%s: learning rate %g diverged in epoch %d", where, head.learning_rate, head.epochs)
    sound = [head for head in heads if not head.has_diverged]
    if not sound:
        rates = ", ".join(f"{head.learning_rate:g}" for head in heads)
        raise TrainingError(
            f"{where}: weights or loss became no finite numbers at every learning rate ({rates}); take lower ones in"
            " study.yaml and look for embeddings of extreme size"
        )
    return max(sound, key=lambda head: (head.stop.best, -head.valid_loss))


def make_score(metric: Metric, targets: torch.Tensor) -> Score:
    """Make the function that scores validation logits [clips, heads, classes]: a number per head, more is better."""
    if metric.name == "accuracy":
        return lambda logits: (logits.argmax(dim=2) == targets[:, None]).double().mean(dim=0).mul(100).tolist()
    sign = 1.0 if metric.direction == "up" else -1.0
    wanted = targets.cpu().numpy()
    loss = LOSS_OF_LABELS["single" if targets.ndim == 1 else "multi"]

    def score(logits: torch.Tensor) -> list[float]:
        found = activate(logits, loss).cpu().numpy()
        return [sign * evaluate(metric.name, wanted, found[:, head]) for head in range(found.shape[1])]

    return score


def activate(logits: torch.Tensor, loss: str) -> torch.Tensor:
    """Turn logits [..., classes] into probabilities: softmax for `cross_entropy`, else sigmoids."""
    return logits.softmax(dim=-1) if loss == "cross_entropy" else logits.sigmoid()


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


def _is_held_out(split: Split) -> bool:
    """Say whether a split leaves one fold out: its validation clips are then its test clips, and not used as such."""
    return np.array_equal(split.valid, split.test)
