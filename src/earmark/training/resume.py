"""What a training needs to go on exactly where it stopped: collected for a checkpoint, put back from one."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from earmark.logs import LOGGER
from earmark.training.selection import Selection, State


@dataclass
class Progress:
    """Numbers that a checkpoint carries beside model, optimiser and selection."""

    step: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def collect_state(
    digest: str, model: nn.Module, optimizer, scaler, selection: Selection, progress: Progress, random_states: list
) -> dict[str, Any]:
    """Give what a checkpoint holds. `digest`: of the settings; `random_states`: see `random_state`, of each process."""
    return {
        "digest": digest,
        "model": copy_weights(model),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "selection": selection.state_dict(),
        "progress": asdict(progress),
        "random": random_states,
    }


def restore_state(
    found: Mapping[str, Any] | None,
    model: nn.Module,
    optimizer,
    scaler,
    selection: Selection,
    progress: Progress,
    rank: int,
) -> None:
    """Put back what `collect_state` gave, in the process `rank`; do nothing where `found` is None."""
    if found is None:
        return
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    scaler.load_state_dict(found["scaler"])
    selection.load_state_dict(found["selection"])
    for key, value in found["progress"].items():
        setattr(progress, key, value)
    if rank < len(found["random"]):  # a process more than before keeps the state it has drawn for itself
        _set_random_state(found["random"][rank])
    LOGGER.info("going on at step %d", progress.step)


def copy_weights(model: nn.Module) -> State:
    """Copy a model's state to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def random_state() -> dict[str, Any]:
    """Give the state of every global generator of this process."""
    name, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "python": random.getstate(),
    }


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    random.setstate(state["python"])
