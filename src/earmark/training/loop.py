"""The training loop: Lightning Fabric, validation, early stop, best states, checkpoints that resume exactly."""

import math
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from earmark.errors import ProtocolError, TrainingError
from earmark.files import atomic_path
from earmark.logs import LOGGER
from earmark.provenance import config_digest
from earmark.training.batches import Batch, Prefetcher, derive_seed
from earmark.training.checkpoints import clear_checkpoints, load_checkpoint, newest_checkpoint, save_checkpoint
from earmark.training.devices import Hardware, Position, agree, check_same_step, gather, make_fabric, share_batch_norm
from earmark.training.events import Events
from earmark.training.resume import Progress, collect_state, copy_weights, random_state, restore_state
from earmark.training.selection import Selection, State

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WRITING_SHARE = 0.02  # of the time at most goes into writing checkpoints


class Batches(Protocol):
    """Where training batches come from."""

    steps_per_epoch: int

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, a pure function of it."""


@dataclass(frozen=True)
class Schedule:
    """How long to train, when to validate, what to keep.

    `direction`: "up" or "down", of the validation score; `patience` counts validations without strict improvement;
    a checkpoint is written at the first step after `checkpoint_seconds`, later where writing one takes over 2 % of
    that, and every `checkpoint_steps` where given.
    """

    learning_rate: float
    max_epochs: int
    patience: int
    average_best: int = 4
    validations_per_epoch: int = 1
    direction: str = "up"
    checkpoint_seconds: float = 120.0
    checkpoint_steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_epochs", "patience", "average_best", "validations_per_epoch"):
            if not getattr(self, name) > 0:
                raise ProtocolError(f"the protocol's {name} must be above 0, found {getattr(self, name)}")

    @classmethod
    def from_protocol(cls, protocol: Mapping[str, Any], direction: str) -> "Schedule":
        """Take the entries of a protocol that a schedule has."""
        known = {name: protocol[name] for name in cls.__dataclass_fields__ if name in protocol}
        return cls(**{**known, "direction": direction})

    def validate_every(self, steps_per_epoch: int) -> int:
        """Return the steps between validations, e.g. 9,921 for a sixth of 59,524."""
        return max(1, round(steps_per_epoch / self.validations_per_epoch))


@dataclass(frozen=True)
class Trained:
    """What a training gives back: the averaged state, the last one, its history and its costs."""

    state: State
    last_state: State
    history: list[dict[str, float]]
    best_step: int
    averaged_steps: list[int]
    steps: int
    epochs: float
    seconds: float
    waiting_share: float
    device: str


def train(
    model: nn.Module,
    batches: Batches,
    compute_loss: Callable[[nn.Module, Batch], torch.Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None,
    schedule: Schedule,
    seed: int,
    work: Path,
    digest: str,
    hardware: Hardware | None = None,
    description: str = "train",
    after_step: Callable[[], None] | None = None,
    prepare: Callable[[Batch], Batch] | None = None,
    fabric: "Fabric | None" = None,
    events: Path | None = None,
) -> Trained:
    """Train a model with Adam until the patience or the epochs are used up; go on from a checkpoint if there is one.

    `prepare(batch)` makes of a batch as it was read, whole and on the device, what the loss takes; once a step,
    without gradients, and alike in all processes. `compute_loss(model, batch)` returns the mean over the batch's
    clips, a scalar; it is given the rows of one process and part. `evaluate(module)`, called in evaluation mode without
    gradients, returns validation values of which `score` decides; None trains without validation and keeps the last
    state, with the mean loss in the history. `after_step()` is called after each step of the optimiser; what it changes
    must be in the model's state, which checkpoints carry. `work`: folder of checkpoints and of the running
    `history.csv`, whose last row is of the last step or checkpoint; its checkpoints are used only when they were made
    under the same `digest`, schedule and seed, and it is removed by `finish`, once the caller has stored what it needs.
    `fabric`: of `hardware`, where the caller has started it by `make_fabric`. `events`: folder for
    TensorBoard. Killed at any moment and called again, the same weights result, bit by bit on a CPU. SIGINT, SIGTERM
    and SIGUSR1 write a checkpoint first; one process of several that gets one stops all. The model itself ends in its
    last state. Raises TrainingError when a loss is no number: it names step, clips and the last good checkpoint.
    Source of the optimiser: Dinkel et al. 2022, section 3 (Adam, constant rate, no weight decay).
    """
    hardware = hardware or Hardware()
    fabric = fabric or make_fabric(hardware)
    digest = config_digest([digest, asdict(schedule), seed, hardware.accumulate])
    rank, world = fabric.global_rank, fabric.world_size
    position = Position(rank, world, hardware.accumulate)
    torch.manual_seed(derive_seed(seed, "loop", rank))
    random.seed(derive_seed(seed, "python", rank))
    np.random.seed(derive_seed(seed, "numpy", rank) % 2**32)
    if world > 1:
        share_batch_norm(model, fabric.device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(
        parameters, lr=schedule.learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=hardware.precision == "32-true"
    )
    wrapped, optimizer = fabric.setup(model, optimizer)
    scaler = fabric.strategy.precision  # of 16-mixed; the others have no state
    selection = Selection(schedule.average_best, schedule.patience, schedule.direction)
    progress = Progress()
    restore_state(load_checkpoint(work, digest), model, optimizer, scaler, selection, progress, rank)
    check_same_step(progress.step, work)

    every = schedule.validate_every(batches.steps_per_epoch)
    last_step = schedule.max_epochs * batches.steps_per_epoch
    saved_at, wait = time.perf_counter(), schedule.checkpoint_seconds

    def save() -> Path | None:
        nonlocal saved_at, wait
        start = time.perf_counter()
        states = gather(random_state())
        if rank == 0:
            save_checkpoint(
                work, progress.step, collect_state(digest, model, optimizer, scaler, selection, progress, states)
            )
            _write_history(progress, batches.steps_per_epoch, work)
        fabric.barrier()
        saved_at = time.perf_counter()
        wait = max(schedule.checkpoint_seconds, (saved_at - start) / WRITING_SHARE)
        return newest_checkpoint(work)

    fetch = Prefetcher(batches.batch)
    waited_before, seconds_before, begin = progress.waiting_seconds, progress.seconds, time.perf_counter()
    curves = Events(events if rank == 0 else None, progress.step)
    bar = tqdm(
        total=last_step, initial=progress.step, desc=description, unit="step", disable=rank > 0 or None, leave=False
    )
    with _signals() as stop, bar:
        try:
            wrapped.train()
            while progress.step < last_step and not selection.is_over:
                batch = _to_device(fetch.get(progress.step), fabric.device)
                if prepare:
                    with torch.no_grad():
                        batch = prepare(batch)
                optimizer.zero_grad(set_to_none=True)
                value = _backward(fabric, wrapped, compute_loss, batch, position)
                is_due = time.perf_counter() - saved_at > wait
                value, signal_number, is_due = agree(value, stop.signal, is_due, fabric.device)
                if not math.isfinite(value):
                    path = save() if _is_finite(model) else newest_checkpoint(work)
                    raise _not_finite(f"the loss became {value}", progress.step, batch, path)
                optimizer.step()
                if after_step:
                    after_step()
                progress.losses.append(value)
                progress.step += 1
                bar.update()
                progress.seconds = seconds_before + time.perf_counter() - begin
                progress.waiting_seconds = waited_before + fetch.waiting_seconds
                validates = progress.step % every == 0 or progress.step == last_step
                due = signal_number or is_due
                due = due or (schedule.checkpoint_steps and progress.step % schedule.checkpoint_steps == 0)
                if (validates or due) and not _is_finite(model):
                    path = newest_checkpoint(work)
                    raise _not_finite("weights became infinite or nan", progress.step - 1, batch, path)
                if validates:
                    _validate(model, fabric, evaluate, selection, progress, batches.steps_per_epoch)
                    curves.write(progress.history[-1])
                    if rank == 0:
                        _write_history(progress, batches.steps_per_epoch, work)
                    wrapped.train()
                if world == 1:  # one that came since; several processes see it at the next step, all at once
                    signal_number = stop.signal
                if due or signal_number:
                    save()
                if signal_number:
                    raise _stopped_by(signal_number, rank)
        finally:
            fetch.close()
            curves.close()
    progress.seconds = seconds_before + time.perf_counter() - begin
    if progress.seconds > schedule.checkpoint_seconds or schedule.checkpoint_steps:
        save()  # what follows (the test) can fail without losing the training
    last_state = copy_weights(model)
    return Trained(
        state=selection.average() if evaluate else last_state,
        last_state=last_state,
        history=progress.history,
        best_step=selection.best_step if evaluate else progress.step,
        averaged_steps=selection.steps if evaluate else [progress.step],
        steps=progress.step,
        epochs=progress.step / batches.steps_per_epoch,
        seconds=progress.seconds,
        waiting_share=progress.waiting_seconds / progress.seconds if progress.seconds else 0.0,
        device=describe_device(fabric.device),
    )


def finish(work: Path) -> None:
    """Remove the working folder of a training whose results are stored."""
    clear_checkpoints(work)


def describe_device(device: torch.device) -> str:
    """Name a device for provenance: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _backward(fabric, wrapped, compute_loss, batch: Batch, position: Position) -> float:
    """Add up the gradient of the batch's mean loss over its parts; return this process's share of that loss."""
    value, parts = 0.0, list(position.parts(batch))
    for number, (part, share) in enumerate(parts, 1):
        later = position.world > 1 and number < len(parts)  # processes exchange gradients once, after the last part
        with fabric.no_backward_sync(wrapped, enabled=later):
            loss = compute_loss(wrapped, part)
            fabric.backward(loss * (share * position.world))  # the exchange takes the mean over the processes
        value += share * loss.item()
    return value


def _validate(model, fabric, evaluate, selection, progress, steps_per_epoch) -> None:
    begin = time.perf_counter()
    values: dict[str, float] = {}
    if evaluate:
        model.eval()
        with torch.no_grad(), fabric.autocast():
            values = {key: float(value) for key, value in evaluate(model).items()}
        values["improved"] = int(selection.update(values["score"], progress.step, lambda: copy_weights(model)))
    row = _history_row(progress, steps_per_epoch, values, progress.seconds + time.perf_counter() - begin)
    progress.losses = []
    progress.history.append(row)
    LOGGER.info(" ".join(f"{key} {value:.5g}" for key, value in row.items()))


def _history_row(progress: Progress, steps_per_epoch: int, values, seconds: float) -> dict[str, float]:
    """Make the row of the steps since the last one; `values`: of the validation."""
    return {
        "step": progress.step,
        "epoch": progress.step / steps_per_epoch,
        "train_loss": float(np.mean(progress.losses)),
        **values,
        "seconds": seconds,
    }


def _write_history(progress: Progress, steps_per_epoch: int, work: Path) -> None:
    """Write the running history, for who watches: the rows so far, and one of the steps since the last of them."""
    rows = list(progress.history)
    if progress.losses:
        rows.append(_history_row(progress, steps_per_epoch, {}, progress.seconds))
    if rows:
        with atomic_path(work / "history.csv") as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)


def _is_finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def _not_finite(what: str, step: int, batch: Batch, checkpoint: Path | None) -> TrainingError:
    return TrainingError(
        f"{what} at step {step}, on the clips {', '.join(batch.clip_ids)}. Last good checkpoint:"
        f" {checkpoint or 'none was written yet'}. Look at these clips, or lower the learning rate; finished runs are"
        " kept."
    )


def _to_device(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    inputs, targets = (tensor.to(device, non_blocking=True) for tensor in (batch.inputs, batch.targets))
    return Batch(inputs, targets, batch.clip_ids, batch.lengths, batch.step)


class _Stop:
    """Remember a signal until the end of the step."""

    signal: int | None = None

    def note(self, number: int, _frame) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


def _stopped_by(number: int, rank: int) -> BaseException:
    """Give the error that ends a process; only the first one fails, as Fabric kills it when another does."""
    if rank:
        return SystemExit(0)
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


@contextmanager
def _signals() -> Iterator[_Stop]:
    """Hold SIGINT, SIGTERM and SIGUSR1 back until the step is done; a second one stops at once."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, stop.note) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
