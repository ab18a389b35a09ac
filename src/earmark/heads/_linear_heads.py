"""Linear heads of several learning rates, trained together on one array in memory.

The heads of one seed and one split see the same batches in the same order and start from the same weights. So a batch
is gathered once for all of them, and their forward pass is one product of matrices, [heads * classes, dim] x [dim,
batch], as is the gradient. A head that has stopped leaves the products; the others go on unchanged.

Source: Niizumi et al. 2023 (BYOL-A v2), section V, and the authors' public code (general-learning, torch_mlp_clf2).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from earmark.errors import ProtocolError, TrainingError
from earmark.training.batches import derive_seed

# Type of the two factors of each product while training. bf16-mixed: weights, Adam, loss and validation in float32.
PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
BETA1, BETA2, EPSILON, L2 = 0.9, 0.999, 1e-8, 1e-8  # torch_mlp_clf2, arguments beta_1, beta_2, epsilon, alpha
Score = Callable[[torch.Tensor], list[float]]


class EarlyStop:
    """Keep the best validation of a training; a score equal to the best replaces it.

    `patience`: validations in a row below the best after which the training is over. A score that is no number is
    below every number.
    """

    def __init__(self, patience: int):
        self.patience, self.failures = patience, 0
        self.best, self.best_index, self.count = -math.inf, -1, 0

    def update(self, score: float) -> bool:
        """Take in one validation and return whether it is the best so far."""
        is_best = score >= self.best
        if is_best:
            self.best, self.best_index = score, self.count
        self.failures = 0 if is_best else self.failures + 1
        self.count += 1
        return is_best

    @property
    def is_over(self) -> bool:
        """Say whether the patience is used up."""
        return self.failures >= self.patience


@dataclass
class Head:
    """A head and what became of it: `weight` [classes, width] of its best epoch, `last_weight` of its last one.

    `valid_loss` is that of the best epoch. `has_diverged`: weights or loss became no finite numbers.
    """

    learning_rate: float
    stop: EarlyStop
    weight: torch.Tensor | None = None
    last_weight: torch.Tensor | None = None
    valid_loss: float = math.inf
    has_diverged: bool = field(default=False)

    @property
    def epochs(self) -> int:
        """Count the epochs trained."""
        return self.stop.count

    @property
    def best_epoch(self) -> int:
        """Give the epoch of the best validation, counted from 1."""
        return self.stop.best_index + 1


@torch.no_grad()
def train_heads(
    inputs: torch.Tensor,
    targets: torch.Tensor,
    train: torch.Tensor,
    valid: torch.Tensor,
    dim: int,
    n_classes: int,
    loss: str,
    score: Score,
    learning_rates: Sequence[float],
    batch_size: int,
    max_epochs: int,
    patience: int,
    seed: int,
    precision: str = "32-true",
    is_wanted: Callable[[], bool] = lambda: True,
) -> list[Head]:
    """Train one head per learning rate, each until its own early stop. Returns them in the order of the rates.

    `inputs`: float32 [clips, width] of `Standardiser.apply`, `dim` columns of which are dimensions; `targets`: int64
    [clips] for `cross_entropy`, float32 [clips, classes] for `binary_cross_entropy`; `train`, `valid`: row numbers;
    `score`: maps validation logits [clips, heads, classes] to a number per head, more is better. Initial weights and
    the order of batches depend on `seed` alone, so each head is the one that is trained without the others.
    `precision`: `32-true`, or `bf16-mixed`, which rounds the factors and the results of the products of training to
    bfloat16 and is about twice as fast on processors with such instructions. `is_wanted` is asked before each epoch.
    Raises ProtocolError for another loss or precision, TrainingError when the heads are not wanted any more.
    """
    if precision not in PRECISIONS:
        raise ProtocolError(f"unknown precision {precision!r} of linear heads; known: {', '.join(PRECISIONS)}")
    loss_of = _losses(loss)
    valid_inputs, valid_targets = inputs[valid], targets[valid]
    heads = [Head(rate, EarlyStop(patience)) for rate in learning_rates]
    running = list(heads)
    stack = _Stack(initial_weight(dim, inputs.shape[1], n_classes, seed).to(inputs.device), learning_rates)
    inputs = inputs.to(PRECISIONS[precision])
    batch = inputs.new_empty(batch_size, inputs.shape[1])  # filled again in every step: new memory costs more
    for epoch in range(max_epochs):
        if not is_wanted():
            raise TrainingError(f"the training of linear heads was stopped before epoch {epoch + 1}")
        order = np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(len(train))
        for rows in train[torch.from_numpy(order).to(train.device)].split(batch_size):
            found = torch.index_select(inputs, 0, rows, out=batch[: len(rows)])
            stack.step(found, loss_of.gradient(stack.logits(found), targets[rows]))
        logits = stack.logits(valid_inputs)
        valid_loss = loss_of.value(logits, valid_targets)  # [heads]
        is_finite = (valid_loss.isfinite() & stack.is_finite()).tolist()
        scores = score(logits.nan_to_num().permute(2, 0, 1))
        going_on = []
        for place, head in enumerate(running):
            head.has_diverged = not is_finite[place]
            if head.stop.update(scores[place] if is_finite[place] else math.nan):
                head.weight, head.valid_loss = stack.weight[place].clone(), float(valid_loss[place])
            if head.has_diverged or head.stop.is_over or epoch + 1 == max_epochs:
                head.last_weight = stack.weight[place].clone()
            else:
                going_on.append(place)
        if not going_on:
            break
        if len(going_on) < len(running):
            running = [running[place] for place in going_on]
            stack.keep(going_on)
    return heads


def initial_weight(dim: int, width: int, n_classes: int, seed: int) -> torch.Tensor:
    """Draw weights and biases as torch.nn.Linear does: uniform within 1 / sqrt(dim). Returns float32 [classes, width],
    the biases in column `dim`, zeros beyond."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "init"))
    bound = 1.0 / math.sqrt(dim)
    weight = torch.zeros(n_classes, width)
    weight[:, : dim + 1] = torch.empty(n_classes, dim + 1).uniform_(-bound, bound, generator=generator)
    return weight


class _Stack:
    """The weights of the heads that are still training, one below the other, and the state of their Adam."""

    def __init__(self, weight: torch.Tensor, learning_rates: Sequence[float]):
        self.learning_rates = list(learning_rates)
        self.weight = weight.repeat(len(learning_rates), 1, 1)  # [heads, classes, width]
        self.gradient, self.mean = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.square = torch.zeros_like(self.weight)
        self.steps = torch.zeros(len(learning_rates), device=weight.device)

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Map [batch, width] to [heads, classes, batch], which costs less than the other order of the product."""
        heads, classes, width = self.weight.shape
        weight = self.weight.view(-1, width).to(batch.dtype)
        return (weight @ batch.t()).float().view(heads, classes, -1)

    def step(self, batch: torch.Tensor, error: torch.Tensor) -> None:
        """Move all weights by one step of Adam; `error` [heads, classes, batch] is the gradient of the logits."""
        error, gradient = error.flatten(0, 1).to(batch.dtype), self.gradient.view(-1, batch.shape[1])
        if batch.dtype == gradient.dtype:
            torch.mm(error, batch, out=gradient)
        else:
            gradient.copy_(error @ batch)
        self.steps += 1
        tensors = (self.weight, self.gradient, self.mean, self.square, self.steps)
        for rate, (weight, found, mean, square, steps) in zip(
            self.learning_rates, zip(*(tensor.unbind() for tensor in tensors), strict=True), strict=True
        ):
            # The kernel of torch.optim.Adam, one call a head, since a call has one learning rate. What torch does
            # around it in Python would take longer than the kernel.
            torch._fused_adam_(
                [weight],
                [found],
                [mean],
                [square],
                [],
                [steps],
                lr=rate,
                beta1=BETA1,
                beta2=BETA2,
                weight_decay=L2,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def is_finite(self) -> torch.Tensor:
        """Say of each head whether its weights are finite numbers. Returns bool [heads]."""
        return self.weight.flatten(1).isfinite().all(dim=1)

    def keep(self, places: Sequence[int]) -> None:
        """Let all heads but those at `places` go."""
        self.learning_rates = [self.learning_rates[place] for place in places]
        index = torch.tensor(places, device=self.weight.device)
        self.weight, self.mean, self.square, self.steps = (
            tensor[index] for tensor in (self.weight, self.mean, self.square, self.steps)
        )
        self.gradient = torch.empty_like(self.weight)


class _CrossEntropy:
    """Mean over batch and classes of -one_hot * log_softmax: the usual cross-entropy over the number of classes."""

    @staticmethod
    def gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Derive the losses by the logits [heads, classes, batch]: (softmax - one_hot) / (batch * classes)."""
        _, classes, batch = logits.shape
        error = logits.softmax(dim=1)
        error[:, targets, torch.arange(batch, device=logits.device)] -= 1.0
        return error.div_(batch * classes)

    @staticmethod
    def value(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each head [heads]."""
        rows = torch.arange(len(targets), device=logits.device)
        return -logits.log_softmax(dim=1)[:, targets, rows].mean(dim=1) / logits.shape[1]


class _BinaryCrossEntropy:
    """Mean over batch and classes of the binary cross-entropy of sigmoids."""

    @staticmethod
    def gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Derive the losses by the logits [heads, classes, batch]: (sigmoid - target) / (batch * classes)."""
        return logits.sigmoid().sub_(targets.t()).div_(targets.numel())

    @staticmethod
    def value(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each head [heads]."""
        wanted = targets.t().expand_as(logits)
        return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=(1, 2))


def _losses(loss: str):
    known = {"cross_entropy": _CrossEntropy, "binary_cross_entropy": _BinaryCrossEntropy}
    if loss not in known:
        raise ProtocolError(f"unknown loss {loss!r}; known: {', '.join(known)}")
    return known[loss]
