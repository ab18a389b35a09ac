"""The linear probe of one task: its heads are trained on one seed and split, one is chosen, the test clips are scored.

Source, and how it differs from it: see earmark.heads.linear.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from earmark.errors import ProtocolError, TrainingError
from earmark.heads._linear_data import Standardiser, check_finite, check_fold_classes, draw_validation
from earmark.heads._linear_heads import Head, Score, train_heads
from earmark.logs import LOGGER
from earmark.metrics import Metric, evaluate
from earmark.scores import Outcome
from earmark.tasks import Split, TaskData
from earmark.training.batches import derive_seed
from earmark.training.loop import describe_device

LOSS_OF_LABELS = {"single": "cross_entropy", "multi": "binary_cross_entropy"}


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

    def _prepare(self, split: Split) -> _Prepared:
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


def _is_held_out(split: Split) -> bool:
    """Say whether a split leaves one fold out: its validation clips are then its test clips, and not used as such."""
    return np.array_equal(split.valid, split.test)
