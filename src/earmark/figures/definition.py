"""The modules that figures of a method draw, built as the paper defines them: nothing about them is typed in here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from earmark.encoders import load_encoder
from earmark.figures.drawing import colour_limits
from earmark.frontends import log_mel_frontend, n_frames
from earmark.pretraining.byol import Byol
from earmark.pretraining.views import Fader, GaussianMixup, Mixup, ResizeCrop, Views, build_views

BLOCK_NAMES = {
    Mixup: "Mixup", GaussianMixup: "Gaussian", ResizeCrop: "Random\nResize Crop", Fader: "Random\nLinear Fader",
}  # fmt: skip


def segment_samples(definition: Mapping[str, Any]) -> int:
    """Count the samples of a training segment."""
    return round(definition["protocol"]["segment_seconds"] * definition["frontend"]["sample_rate_hz"])


def segment_shape(definition: Mapping[str, Any]) -> tuple[int, int]:
    """Return (mels, frames) of a training segment."""
    return definition["frontend"]["mels"], n_frames(segment_samples(definition), definition["frontend"])


def build_augmentation(definition: Mapping[str, Any], mean: float = 0.0, deviation: float = 1.0) -> Views:
    """Build the augmentation of the protocol. `mean`, `deviation`: of Pre-Norm."""
    protocol = definition["protocol"]
    return build_views(protocol["blocks"], protocol, segment_shape(definition), mean, deviation)


def build_byol(definition: Mapping[str, Any]) -> Byol:
    """Build online and target networks without memory for their numbers: shapes and options only."""
    protocol = definition["protocol"]
    with torch.device("meta"):
        encoder = load_encoder(definition["encoder"], **definition["encoder_options"])
        return Byol(encoder, build_augmentation(definition), **protocol["projection"], predictor=protocol["predictor"])


@torch.no_grad()
def trace_encoder(encoder: nn.Module, shape: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Send one segment of `shape` (mels, frames) through an encoder with `features` and `fc`, and return the shapes.

    Keys: input, image (after the convolution blocks), local (what `fc` takes), global (what it gives), frames (both),
    embedding. No shape has the batch.
    """
    found: dict[str, tuple[int, ...]] = {"input": shape}

    def keep(before: str | None, after: str):
        def hook(module, inputs, output):
            found.update({before: tuple(inputs[0].shape[1:])} if before else {}, **{after: tuple(output.shape[1:])})

        return hook

    hooks = [
        encoder.features.register_forward_hook(keep(None, "image")),
        encoder.fc.register_forward_hook(keep("local", "global")),
    ]
    try:
        frames = encoder.eval().forward_frames(torch.zeros(1, *shape, device=next(encoder.parameters()).device))
        embedding = encoder.decision_frames(frames).mean(dim=1)
    finally:
        for hook in hooks:
            hook.remove()
    return found | {"frames": tuple(frames.shape[1:]), "embedding": tuple(embedding.shape[1:])}


def describe_features(features: nn.Sequential) -> tuple[int, list[str]]:
    """Return the number of convolution blocks, and what one of them holds, layer by layer."""
    layers = list(features)
    n_blocks = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    return n_blocks, [_describe_layer(layer) for layer in layers[: len(layers) // n_blocks]]


def describe_layers(layers: nn.Module) -> list[str]:
    """Say what each layer of a sequence is."""
    return [_describe_layer(layer) for layer in layers]


def describe_block(block: nn.Module) -> list[str]:
    """Say with which values an augmentation block draws, one line each."""
    if isinstance(block, Mixup):
        return [f"share up to {block.alpha:g}", f"queue of {len(block.items):,}"]
    if isinstance(block, GaussianMixup):
        return [f"share up to {block.alpha:g}", f"deviation {block.deviation:g}"]
    if isinstance(block, ResizeCrop):
        (low, high), time = block.frequency, block.time
        return [f"F × {low:g} to {min(high, 1):g}", f"T × {time[0]:g} to {time[1]:g}"]  # never higher than the input
    if isinstance(block, Fader):
        return [f"ends from {block.bounds[0]:g}", f"to {block.bounds[1]:g}"]
    return []


@torch.no_grad()
def record_steps(views: Views, log_mel: torch.Tensor, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Make two views and return both after each step: pre_norm, the blocks by name, post_norm.

    `log_mel` and each value: [batch, mels, frames].
    """
    steps: dict[str, list[torch.Tensor]] = {"pre_norm": [], **{name: [] for name in views.blocks}}

    def keep(name: str, is_first: bool):
        def hook(module, inputs, output):
            if is_first:
                steps["pre_norm"].append(inputs[1])
            steps[name].append(output)

        return hook

    hooks = [
        block.register_forward_hook(keep(name, is_first=number == 0))
        for number, (name, block) in enumerate(views.blocks.items())
    ]
    try:
        final = views(log_mel, seed)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: tuple(values) for name, values in steps.items()} | {"post_norm": final}


def step_names(views: Views) -> dict[str, str]:
    """Return the printed names of the steps of an augmentation, in their order."""
    blocks = {name: BLOCK_NAMES[type(block)] for name, block in views.blocks.items()}
    return {"pre_norm": "Pre-Norm", **blocks, "post_norm": "Post-Norm"}


def step_limits(steps: Mapping[str, Sequence[torch.Tensor]]) -> dict[str, tuple[float, float]]:
    """Return the limits of the colour scale of each step: one for pre_norm and all blocks, own ones for the others."""
    own = {"input", "post_norm"} & set(steps)
    values = {name: [value.numpy() for value in both] for name, both in steps.items()}
    shared = colour_limits([value for name, both in values.items() if name not in own for value in both])
    return {name: colour_limits(values[name]) if name in own else shared for name in steps}


def example_log_mels(definition: Mapping[str, Any]) -> torch.Tensor:
    """Return the log-mels [2, mels, frames] of two made-up sounds of a segment's length: a rising tone, and pulses."""
    rate, n_samples = definition["frontend"]["sample_rate_hz"], segment_samples(definition)
    seconds = np.arange(n_samples) / rate
    length = n_samples / rate
    phase = 2 * np.pi * (250 * seconds + 450 * seconds**2 / length)
    is_on = np.clip(np.minimum(seconds / length - 0.12, 0.88 - seconds / length) * 25, 0, 1)
    tone = is_on * sum(0.3 / order * np.sin(order * phase) for order in range(1, 7))
    pulses = 0.3 * np.sin(2 * np.pi * 3200 * seconds) * np.exp(-30 * (seconds % (length / 4)))
    noise = np.random.default_rng(0).normal(0, 0.004, (2, n_samples))
    waveforms = torch.from_numpy(np.stack([tone, pulses]) + noise).float()
    return log_mel_frontend(definition["frontend"])(waveforms)


def normed_views(definition: Mapping[str, Any], log_mel: torch.Tensor, past: torch.Tensor) -> Views:
    """Build the augmentation with the statistics of some segments, its queue filled with those in `past`.

    Both: [batch, mels, frames].
    """
    everything = torch.cat([log_mel, past])
    views = build_augmentation(definition, float(everything.mean()), float(everything.std(correction=0)))
    views(past, 0)
    return views


def _describe_layer(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        return f"Conv {'×'.join(map(str, layer.kernel_size))}, {layer.out_channels}"
    if isinstance(layer, nn.MaxPool2d):
        return f"MaxPool {layer.kernel_size}×{layer.kernel_size}"
    if isinstance(layer, nn.Linear):
        return f"FC {layer.out_features:,}"
    if isinstance(layer, nn.Dropout):
        return f"Dropout {layer.p:g}"
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return "BatchNorm"
    return type(layer).__name__
