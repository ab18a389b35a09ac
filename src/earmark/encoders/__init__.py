"""Encoders: from sound to embeddings, found by slug.

An encoder is a class in one file here under `@register_encoder("<slug>")` and a row `config/encoders/<slug>.yaml` that
names its module. Each offers the calls of the HEAR API and what training needs; `Encoder` says what that is.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from earmark.errors import CheckpointError, ConfigError

BUILDERS: dict[str, Callable[..., nn.Module]] = {}


@runtime_checkable
class Encoder(Protocol):
    """What every encoder offers; shapes in the docstrings of `earmark.encoders.hear`.

    `frontend`: a row of `config/frontends.yaml`, or None where a method `prepare(audio)` makes the input of
    `forward_frames` from waveforms. An encoder may have `rename_public(tensors)`, which gives the tensors of its public
    files the names that it has here.
    """

    frontend: str | None
    embedding_dim: int
    head_dropout: float
    sample_rate: int
    scene_embedding_size: int
    timestamp_embedding_size: int

    def forward_frames(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Encode [batch, mels, frames], or what `prepare` gives, as [batch, frames', dim]."""
        ...

    def decision_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Pool [batch, frames', dim] to the rows [batch, rows, dim] on which a head decides."""
        ...

    def trainable(self) -> list[nn.Parameter]:
        """List the parameters that fine-tuning trains."""
        ...

    def get_scene_embeddings(self, audio: torch.Tensor) -> torch.Tensor:
        """Encode [batch, samples] as [batch, dim]."""
        ...

    def get_timestamp_embeddings(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode [batch, samples] as ([batch, frames', dim], milliseconds [batch, frames'])."""
        ...


def register_encoder(slug: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register a class or builder under a slug. Raises ConfigError when the slug is taken."""

    def register(builder):
        if slug in BUILDERS:
            raise ConfigError(f"two encoders are registered as {slug!r}: {BUILDERS[slug]} and {builder}")
        BUILDERS[slug] = builder
        return builder

    return register


def encoder_slugs() -> list[str]:
    """List the slugs of all encoders."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(BUILDERS)


def load_encoder(slug: str, weights: str | Path | None = None, **options: Any) -> nn.Module:
    """Build an encoder: the features, no head.

    `weights`: a safetensors file of this workflow (None: random, drawn from torch's generator). `options`: width,
    depth and what else the class takes. Raises ConfigError for an unknown slug, CheckpointError when the weights do
    not fit.
    """
    if slug not in encoder_slugs():
        near = get_close_matches(slug, BUILDERS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(BUILDERS))}."
        raise ConfigError(f"unknown encoder {slug!r}. {hint}")
    encoder = BUILDERS[slug](**options)
    if weights is not None:
        load_weights(encoder, read_weights(weights), str(weights))
    return encoder


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the encoder's tensors of a safetensors file; those of a head (`head.*`) are left out."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}. Delete it to make it again.") from error
    prefixed = any(name.startswith("encoder.") for name in tensors)
    if not prefixed:
        return tensors
    return {name.removeprefix("encoder."): value for name, value in tensors.items() if name.startswith("encoder.")}


def load_weights(encoder: nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Load tensors that must fit exactly. Raises CheckpointError with the first three names that differ, and how."""
    wanted = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    different = [name for name in (wanted | found) if wanted.get(name) != found.get(name)]
    if different:
        shown = "; ".join(_describe_difference(name, wanted.get(name), found.get(name)) for name in different[:3])
        raise CheckpointError(
            f"{source} does not fit {type(encoder).__name__}: {len(different)} tensors differ, first {shown}."
            " Use weights of this architecture, width and depth."
        )
    encoder.load_state_dict(dict(tensors))


def _describe_difference(name: str, wanted: tuple | None, found: tuple | None) -> str:
    if found is None:
        return f"{name}: wanted {wanted}, the file lacks it"
    if wanted is None:
        return f"{name}: found {found}, the encoder lacks it"
    return f"{name}: wanted {wanted}, found {found}"


def count_parameters(module: nn.Module) -> int:
    """Count the trainable parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
