"""The calls of the HEAR API, for encoders that work on log-mel frames or on something else made of a waveform."""

import functools
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from earmark.files import read_yaml
from earmark.frontends import log_mel_frontend

ROOT = Path(__file__).resolve().parents[3]


@functools.cache
def frontend_constants(name: str) -> Mapping:
    """Return the constants of a front-end from `config/frontends.yaml`."""
    return read_yaml(ROOT / "config" / "frontends.yaml")[name]


def scene_embeddings(encoder: nn.Module, audio: torch.Tensor) -> torch.Tensor:
    """Encode clips as one embedding each.

    `audio`: float32 [batch, samples] at `encoder.sample_rate`, in [-1, 1]. Returns [batch, dim]: the mean over the rows
    on which a head decides. No gradient flows.
    """
    with torch.no_grad():
        return encoder.decision_frames(encoder.forward_frames(encoder_input(encoder, audio))).mean(dim=1)


def timestamp_embeddings(encoder: nn.Module, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode clips as a sequence of embeddings.

    `audio` as in `scene_embeddings`. Returns ([batch, frames', dim], milliseconds [batch, frames']): each time is the
    middle of what a frame stands for, as an equal share of the clip's length. No gradient flows.
    """
    with torch.no_grad():
        frames = encoder.forward_frames(encoder_input(encoder, audio))  # [batch, frames', dim]
    return frames, share_time(audio, encoder.sample_rate, frames.shape[1])


def share_time(audio: torch.Tensor, sample_rate: int, count: int) -> torch.Tensor:
    """Cut the time of [batch, samples] into equal shares; return their middles in milliseconds, [batch, count]."""
    length_ms = 1000.0 * audio.shape[1] / sample_rate
    middles = (torch.arange(count, device=audio.device) + 0.5) * (length_ms / count)
    return middles.expand(audio.shape[0], count)


def encoder_input(encoder: nn.Module, audio: torch.Tensor) -> torch.Tensor:
    """Compute what `encoder.forward_frames` takes.

    `audio`: float32 [batch, samples] at `encoder.sample_rate`. Returns the log-mel [batch, mels, frames] of the
    encoder's front-end, normalised where it has `input_statistics`; or what its `prepare` gives where it has none.
    """
    if encoder.frontend is None:
        return encoder.prepare(audio)
    log_mel = _frontend(encoder.frontend, audio.device)(audio)
    if encoder.input_statistics is None:
        return log_mel
    mean, deviation = encoder.input_statistics
    return (log_mel - mean) / deviation


@functools.cache
def _frontend(name: str, device: torch.device) -> nn.Module:
    return log_mel_frontend(frontend_constants(name)).to(device)
