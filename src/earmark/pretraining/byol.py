"""BYOL for audio: an encoder learns that two augmented views of one segment are the same sound, without labels.

Source: Niizumi et al. 2023, section III and IV; Grill et al. 2020; the authors' public code where the text is open:
the views pass each network one after the other, so batch normalisation has statistics of one view; the target trains
along (its own batch statistics, dropout), and only its learnable parameters follow the online network.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import get_ema_multi_avg_fn

from earmark.encoders import count_parameters, load_encoder
from earmark.errors import ProtocolError
from earmark.files import atomic_path, file_digest, write_yaml
from earmark.frontends import log_mel_frontend, n_frames
from earmark.heads.finetune import train_all
from earmark.logs import LOGGER
from earmark.pretraining.tagging import read_presence
from earmark.pretraining.views import Views, build_views
from earmark.provenance import config_digest, peak_memory_mb
from earmark.store import ClipStore
from earmark.tasks import select_rows
from earmark.training.batches import Batch, ShuffledRows, derive_seed
from earmark.training.checkpoints import save_weights
from earmark.training.devices import Hardware, describe_share, make_fabric
from earmark.training.loop import Schedule, finish, train

SAMPLE_RATE = 16_000


class Byol(nn.Module):
    """Online encoder, projector and predictor; target encoder and projector, which follow them without gradient.

    `encoder`: gives the rows on which a head decides; their mean is the embedding. `views`: the augmentation, carried
    here so that its queue is part of the state. `hidden`, `size`: of projector and predictor (4,096 and 256).
    `predictor`: False compares the projection itself with the target (Table XII, "no prediction").
    """

    def __init__(self, encoder: nn.Module, views: nn.Module, hidden: int, size: int, predictor: bool):
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.projector = perceptron(encoder.embedding_dim, hidden, size)
        self.predictor = perceptron(size, hidden, size) if predictor else nn.Identity()
        self.target_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the symmetrised loss of two views [batch, mels, frames], a scalar from 0 to 8."""
        online = [self.predictor(self.projector(embed(self.encoder, view))) for view in (first, second)]
        with torch.no_grad():
            target = [self.target_projector(embed(self.target_encoder, view)) for view in (first, second)]
        return (byol_loss(online[0], target[1]) + byol_loss(online[1], target[0])).mean()

    def update_target(self, tau: float) -> None:
        """Move the target's parameters towards the online ones: xi = tau xi + (1 - tau) theta.

        1 keeps the target as it was drawn, 0 copies the online parameters. Statistics of batch normalisation stay.
        """
        online = [*self.encoder.parameters(), *self.projector.parameters()]
        target = [*self.target_encoder.parameters(), *self.target_projector.parameters()]
        get_ema_multi_avg_fn(tau)(target, online, None)


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build projector or predictor: linear, batch normalisation, ReLU, linear."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs)
    )


def embed(encoder: nn.Module, log_mel: torch.Tensor) -> torch.Tensor:
    """Encode [batch, mels, frames] as [batch, dim]: the mean of the rows on which a head decides."""
    return encoder.decision_frames(encoder.forward_frames(log_mel)).mean(dim=1)


def byol_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return 2 - 2 cos(prediction, target) of each row, Eq. (1), in float32 or finer. Both are [batch, dim]; 0 to 4."""
    kind = torch.promote_types(prediction.dtype, torch.float32)
    return 2 - 2 * (normalize(prediction.to(kind), dim=-1) * normalize(target.to(kind), dim=-1)).sum(dim=-1)


class SegmentBatches:
    """Batches of one random segment of each clip per epoch, in a new order each epoch.

    `rows`: of the clips; `n_samples`: of a segment; shorter clips end in zeros. A last batch may be smaller, and is
    never a single clip. Both views of a clip come from the same segment. Starts are drawn from 0 to the spare length,
    without the last, as in the authors' public code.
    """

    def __init__(self, store: ClipStore, rows: Sequence[int], batch_size: int, n_samples: int, seed: int):
        self._store, self._rows, self._n_samples, self._seed = store, np.asarray(rows), n_samples, seed
        self._clip_ids = store.clips["clip_id"].to_numpy()
        self._order = ShuffledRows(len(self._rows), batch_size, seed)
        self.steps_per_epoch = self._order.steps_per_epoch

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: waveforms float32 [batch, samples], no targets."""
        rows = self._rows[self._order.rows(step)]
        shares = np.random.default_rng(derive_seed(self._seed, "segment", step)).random(len(rows))
        samples = np.zeros((len(rows), self._n_samples), dtype=np.float32)
        for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
            clip = self._store.samples(int(row))
            start = int(share * max(0, len(clip) - self._n_samples))
            piece = clip[start : start + self._n_samples]
            samples[place, : len(piece)] = piece
        samples *= np.float32(1 / 32768)
        return Batch(torch.from_numpy(samples), torch.empty(len(rows), 0), tuple(self._clip_ids[rows]), step=step)


@torch.no_grad()
def segment_statistics(segments: SegmentBatches, log_mel: nn.Module, at_least: int) -> tuple[float, float, int]:
    """Return mean, population deviation (over all values) and number of the segments of the first batches.

    Takes whole batches until there are `at_least` segments; a corpus with fewer clips gives several of each. Source:
    the authors' public code (10,000 segments, then fixed).
    """
    count, total, squares, seen, step = 0, 0.0, 0.0, 0, 0
    while seen < at_least:
        values = log_mel(segments.batch(step).inputs).double()
        count, seen, step = count + values.numel(), seen + len(values), step + 1
        total, squares = total + float(values.sum()), squares + float(values.square().sum())
    mean = total / count
    return mean, max(0.0, squares / count - mean**2) ** 0.5, seen


def pretrain_byol(
    *,
    store: Path,
    frontend: Mapping[str, Any],
    encoder: str,
    encoder_options: Mapping[str, Any],
    corpus: Mapping[str, Any],
    protocol: Mapping[str, Any],
    weights: Path,
    card: Path,
    history: Path,
    work: Path,
    provenance: Mapping[str, Any],
    accelerator: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    threads: int | None = None,
    accumulate: int = 1,
    ledger: Path | None = None,
) -> None:
    """Train an encoder by BYOL on the clips of a corpus, and write its weights, its card and the history of the loss.

    `store`: folder of the corpus's clips; `corpus`: its `train` is a selection {column: [values]} of clips, labels are
    not read; `protocol`: seed, learning_rate, batch_size, epochs, tau, predictor, projection {hidden, size},
    segment_seconds, pre_norm_segments, blocks (names in their order, see `views.BLOCKS`) and the options of each block
    under its name; `work`: folder of checkpoints; `accumulate`: see `Hardware`; `ledger`: that of the corpus. There is
    no selection: the last state counts. The weights hold `encoder.*`, the online encoder. On several devices every
    process makes the views of the whole batch, so mixup's queue and Post-Norm are those of one device, and trains on
    its share of them; the first one alone writes. Raises ProtocolError for a corpus smaller than a batch, an encoder
    without trainable parameters, or values that make no sense; TrainingError when the loss is no number.
    """
    hardware = Hardware(accelerator, devices, precision, threads, accumulate)
    fabric = make_fabric(hardware)
    clips = ClipStore(store)
    rows = _select(clips.clips, corpus["train"], protocol["batch_size"])
    _check(protocol)
    seed = protocol["seed"]
    n_samples = round(protocol["segment_seconds"] * SAMPLE_RATE)
    log_mel = log_mel_frontend(frontend)
    segment = (clips, rows, protocol["batch_size"], n_samples)
    mean, deviation, n_segments = segment_statistics(
        SegmentBatches(*segment, derive_seed(seed, "pre_norm")), log_mel, protocol["pre_norm_segments"]
    )
    LOGGER.info("Pre-Norm of %d segments: mean %.4f, deviation %.4f", n_segments, mean, deviation)
    shape = (frontend["mels"], n_frames(n_samples, frontend))
    views = build_views(protocol["blocks"], protocol, shape, mean, deviation)
    torch.manual_seed(derive_seed(seed, "init"))
    model = Byol(
        load_encoder(encoder, **encoder_options), views, **protocol["projection"], predictor=protocol["predictor"]
    )
    train_all(model)
    if not count_parameters(model.encoder):
        raise ProtocolError(f"the encoder {encoder!r} declares no trainable parameters; BYOL has nothing to train")
    batches = SegmentBatches(*segment, derive_seed(seed, "sampling"))

    def prepare(batch: Batch) -> Batch:
        frames = log_mel.to(batch.inputs.device)(batch.inputs)
        both = model.views(frames, derive_seed(seed, "views", batch.step))
        return replace(batch, inputs=torch.stack(both, dim=1))  # [batch, 2, mels, frames]

    settings = [encoder, encoder_options, frontend, corpus, protocol, precision]
    trained = train(
        model,
        batches,
        lambda module, batch: module(*batch.inputs.unbind(1)),
        None,
        Schedule(protocol["learning_rate"], protocol["epochs"], patience=1, **_checkpoints(protocol)),
        seed,
        work,
        config_digest([*settings, provenance["code"], provenance["inputs"]]),
        hardware,
        f"pre-train {encoder}",
        after_step=lambda: model.update_target(protocol["tau"]),
        prepare=prepare,
        fabric=fabric,
        events=history.parent / "tensorboard",
    )
    if fabric.global_rank:
        fabric.barrier()
        return
    kept = {name: value for name, value in trained.last_state.items() if name.startswith("encoder.")}
    save_weights(weights, kept, {"encoder": encoder})
    with atomic_path(history) as temporary:
        pd.DataFrame(trained.history).to_csv(temporary, index=False)
    seconds = clips.clips["n_samples"].to_numpy()[rows] / SAMPLE_RATE
    content = {
        "encoder": encoder,
        "encoder_options": dict(encoder_options),
        "parameters": count_parameters(model.encoder),
        "parameters_projector": count_parameters(model.projector),
        "parameters_predictor": count_parameters(model.predictor),
        "corpus": dict(corpus),
        "clips_present_of_official_lists": read_presence(ledger) if ledger else [],
        "protocol": dict(protocol),
        "pre_norm": {"mean": mean, "std": deviation, "n_segments": n_segments},
        "queue_filled": _queue_filled(views),
        "n_train": len(rows),
        "corpus_hours": float(seconds.sum() / 3600),
        "hours_seen": float(protocol["epochs"] * np.minimum(seconds, protocol["segment_seconds"]).sum() / 3600),
        "steps": trained.steps,
        "epochs": trained.epochs,
        "first_loss": trained.history[0]["train_loss"],
        "last_loss": trained.history[-1]["train_loss"],
        "seconds": trained.seconds,
        "waiting_share": trained.waiting_share,
        "peak_memory_mb": peak_memory_mb(),
        "device": trained.device,
        "precision": precision,
        "threads": threads,
        **describe_share(fabric, hardware, protocol["batch_size"]),
        "weights_sha256": file_digest(weights),
        "provenance": dict(provenance),
    }
    write_yaml(card, content)
    finish(work)
    fabric.barrier()  # the other processes wait here for the first


def _select(clips: pd.DataFrame, rules: Mapping[str, Any], batch_size: int) -> np.ndarray:
    rows = np.flatnonzero(select_rows(clips, rules))
    if len(rows) < max(2, batch_size):
        raise ProtocolError(
            f"the corpus has {len(rows)} clips for train ({dict(rules)}), fewer than one batch of {batch_size} (at"
            " least 2, for batch normalisation); lower batch_size, or see the corpus's ledger and study.yaml"
        )
    return rows


def _check(protocol: Mapping[str, Any]) -> None:
    if not 0 <= protocol["tau"] <= 1:
        raise ProtocolError(f"tau must be from 0 (target = online) to 1 (fixed target), found {protocol['tau']}")
    if not protocol["segment_seconds"] > 0:
        raise ProtocolError(f"segment_seconds must be above 0, found {protocol['segment_seconds']}")
    if not protocol["pre_norm_segments"] >= 1:
        raise ProtocolError(f"pre_norm_segments must be at least 1, found {protocol['pre_norm_segments']}")


def _checkpoints(protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {name: protocol[name] for name in ("checkpoint_seconds", "checkpoint_steps") if name in protocol}


def _queue_filled(views: Views) -> int | None:
    """Count the inputs that the mixup's queue holds at the end; None without mixup."""
    if "mixup" not in views.blocks:
        return None
    queue = views.blocks["mixup"]
    held = min(int(queue.pushed), len(queue.items))
    if held < len(queue.items):
        LOGGER.info("the corpus filled the mixup's queue to %d of %d inputs", held, len(queue.items))
    return held
