"""Frozen encoders of every kind as one call: a batch of crops in, one embedding a clip out, checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from earmark.encoders import load_encoder
from earmark.errors import ConfigError, EncoderError
from earmark.files import file_digest
from earmark.hear.bridge import STORE_RATE_HZ, HearEncoder, load_hear_encoder
from earmark.training.batches import derive_seed
from earmark.training.loop import describe_device

INITIAL_SEED = 42  # of random weights, where none are given
POOLINGS = {"scene": "scene embedding", "mean": "mean of frames", "mean_max": "mean plus maximum of frames"}
NAMES_SHOWN = 5


@dataclass(frozen=True)
class ViewEncoder:
    """A frozen encoder. `encode` takes crops, log-mels [batch, mels, frames] or sound [batch, samples] at `sample_rate`
    (in Hz, None: log-mels), and returns what should be [batch, dim]. `made_from`: what the embeddings depend on.
    `parameters`: their number, None where it is not known. `device`: where it runs, in words.
    """

    name: str
    encode: Callable[[torch.Tensor], Any]
    dim: int
    sample_rate: int | None
    parameters: int | None
    device: str
    made_from: Mapping[str, Any]

    def embed(self, crops: torch.Tensor, dataset: str, clip_ids: Sequence[str]) -> torch.Tensor:
        """Encode crops as float32 [batch, dim] in this process's memory.

        Raises EncoderError that names the data set and the clips when the encoder returns another shape, values that
        are no finite numbers, or fails as a HEAR module.
        """
        given = f"{dataset}: {self.name} was given the crops {list(crops.shape)} of"
        try:
            found = self.encode(crops)
        except EncoderError as error:
            failing = [clip_ids[place] for place in range(len(clip_ids)) if self._fails(crops[place : place + 1])]
            named = f"fails on {_some(failing)}" if failing else f"fails on {_some(clip_ids)} together, on none alone"
            raise EncoderError(f"{given} {len(clip_ids)} clips and {named}; {error}") from error
        wanted = [len(clip_ids), self.dim]
        shape = list(found.shape) if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
        if shape != wanted:
            raise EncoderError(
                f"{given} {_some(clip_ids)} and returned {shape}; wanted {wanted}, a row of {self.dim} values for each"
                " clip. Mend the encoder (its shape, or the embedding size that it declares) and run again; no"
                " embedding was kept under a final name."
            )
        rows = found.detach().float().cpu()
        bad = [clip_id for clip_id, is_good in zip(clip_ids, rows.isfinite().all(dim=1), strict=True) if not is_good]
        if bad:
            raise EncoderError(
                f"{given} {len(clip_ids)} clips and returned values that are no finite numbers (NaN, infinite) for"
                f" {len(bad)} of them, {_some(bad)}. Look there for the logarithm of zero, a division by a deviation of"
                " zero (silence), or weights that diverged; mend it and run again. No embedding was kept under a final"
                " name."
            )
        return rows

    def _fails(self, crop: torch.Tensor) -> bool:
        try:
            self.encode(crop)
        except EncoderError:
            return True
        return False


@contextmanager
def open_encoder(
    *,
    encoder: str | None,
    encoder_options: Mapping[str, Any],
    weights: Path | None,
    frontend: Mapping[str, Any] | None,
    module: Mapping[str, Any] | None,
    device: torch.device,
    module_device: str,
    threads: int | None,
) -> Iterator[ViewEncoder]:
    """Offer a frozen encoder: one of ours by its slug, or a HEAR module; arguments of `earmark.embed.embed_views`.

    `device`: for ours; `module_device`: auto, cpu or cuda for a module, whose environment may see a GPU that this one
    does not.
    Raises ConfigError when neither or both are named, or for an unknown pooling of a module.
    """
    if (encoder is None) == (module is None):
        raise ConfigError(f"found encoder {encoder!r} and module {module!r}; wanted one of the two.")
    if encoder is None:
        with _load_module(module, module_device, threads) as hear_encoder:
            yield _module_encoder(hear_encoder, module)
        return
    with torch.random.fork_rng(devices=[]):  # random weights are those that a pre-training with this seed begins with
        torch.manual_seed(derive_seed(INITIAL_SEED, "init"))
        model = load_encoder(encoder, weights, **encoder_options)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model = model.to(device, memory_format=torch.channels_last if frontend else torch.preserve_format)
    model.eval().requires_grad_(False)
    made_from = {
        "encoder": encoder,
        "encoder_options": dict(encoder_options),
        "weights_sha256": file_digest(weights) if weights else None,
        "frontend": dict(frontend) if frontend else None,
        "layer": "last",
        "pooling": "mean of the decision frames" if frontend else "scene embedding",
    }
    yield ViewEncoder(
        name=encoder,
        encode=_log_mel_call(model, device) if frontend else _waveform_call(model, device),
        dim=model.embedding_dim if frontend else model.scene_embedding_size,
        sample_rate=None if frontend else model.sample_rate,
        parameters=parameters,
        device=describe_device(device),
        made_from=made_from,
    )


def _log_mel_call(model: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda crops: model.decision_frames(model.forward_frames(crops.to(device))).mean(dim=1)


def _waveform_call(model: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda crops: model.get_scene_embeddings(crops.to(device))


def _load_module(module: Mapping[str, Any], device: str, threads: int | None) -> HearEncoder:
    if (pooling := module.get("pooling") or "scene") not in POOLINGS:
        raise ConfigError(f"pooling: found {pooling!r}, wanted one of {', '.join(POOLINGS)}.")
    return load_hear_encoder(
        module["hear_module"],
        module.get("weights"),
        python=module.get("python"),
        device=device,
        threads=threads,
    )


def _module_encoder(encoder: HearEncoder, module: Mapping[str, Any]) -> ViewEncoder:
    pooling, weights = module.get("pooling") or "scene", module.get("weights")
    facts = {name: fact for name, fact in encoder.facts.items() if name not in ("file", "device")}

    def encode(crops: torch.Tensor) -> torch.Tensor:
        if pooling == "scene":
            return encoder.get_scene_embeddings(crops)
        frames, _ = encoder.get_timestamp_embeddings(crops)  # [batch, frames, dim]
        mean = frames.mean(dim=1)
        return mean if pooling == "mean" else mean + frames.amax(dim=1)

    made_from = {
        "hear_module": module["hear_module"],
        "module_facts": {**facts, "sample_rate_hz": encoder.module_sample_rate},
        "weights_sha256": file_digest(weights) if weights and Path(weights).is_file() else None,
        "frontend": None,
        "layer": "as the module gives it",
        "pooling": POOLINGS[pooling],
    }
    return ViewEncoder(
        name=module["hear_module"],
        encode=encode,
        dim=encoder.scene_embedding_size if pooling == "scene" else encoder.timestamp_embedding_size,
        sample_rate=STORE_RATE_HZ,  # the bridge resamples to the module's rate
        parameters=None,
        device=encoder.facts["device"],
        made_from=made_from,
    )


def _some(names: Sequence[str]) -> str:
    """List the first few clips, and how many more there are."""
    listed = ", ".join(map(repr, names[:NAMES_SHOWN]))
    return listed if len(names) <= NAMES_SHOWN else f"{listed} and {len(names) - NAMES_SHOWN} more clips"
