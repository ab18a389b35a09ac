"""Tagging pre-training: an encoder learns to name the sounds of weakly labelled clips.

Source: Dinkel et al. 2022, section 3: balanced sampling, waveform augmentation, masks and mixup of the log-mel, binary
cross-entropy on the mean of per-frame sigmoids, Adam, validation by mAP, early stop, average of the four best states.
Masks come before mixup, which pairs a batch with its reverse on the log-mel: the paper puts mixup in the spectral
domain and states no order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from earmark.encoders import count_parameters, load_encoder
from earmark.errors import ProtocolError
from earmark.files import atomic_path, file_digest, write_yaml
from earmark.frontends import log_mel_frontend
from earmark.heads.classifier import Classifier, clip_loss, clip_scores
from earmark.heads.finetune import train_all
from earmark.metrics import chance_level, evaluate, skipped_classes
from earmark.pretraining.augmentation import WaveformAugmentation, augment_log_mel
from earmark.pretraining.sampling import BalancedRows
from earmark.provenance import config_digest, peak_memory_mb
from earmark.store import ClipStore
from earmark.tasks import select_rows
from earmark.training.batches import Batch, derive_seed, equal_length_batches
from earmark.training.checkpoints import save_weights
from earmark.training.devices import Hardware, describe_share, make_fabric, predict_shared
from earmark.training.loop import Schedule, finish, train

LOSS = "binary_cross_entropy"
SAMPLE_RATE = 16_000
EVALUATION_SAMPLES = 32 * 10 * SAMPLE_RATE
METRIC_NAMES = ("map", "mauc", "dprime")


class WaveformBatches:
    """Balanced batches of waveforms; long clips give a random crop, short ones end in zeros."""

    def __init__(self, store: ClipStore, targets: np.ndarray, rows, batch_size: int, crop_seconds: float, seed: int):
        self._store, self._targets, self._seed = store, targets, seed
        self._crop = round(crop_seconds * SAMPLE_RATE)
        self._clip_ids = store.clips["clip_id"].to_numpy()
        self._order = BalancedRows(targets, rows, batch_size, seed)
        self.steps_per_epoch = self._order.steps_per_epoch

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: waveforms [batch, samples], labels [batch, classes]."""
        rows = self._order.rows(step)
        generator = np.random.default_rng(derive_seed(self._seed, "crop", step))
        waveforms = [self._cut(self._store.waveform(int(row)), generator) for row in rows]
        inputs = np.zeros((len(rows), max(map(len, waveforms))), dtype=np.float32)
        for place, waveform in enumerate(waveforms):
            inputs[place, : len(waveform)] = waveform
        targets = torch.from_numpy(self._targets[rows].astype(np.float32))
        return Batch(torch.from_numpy(inputs), targets, tuple(self._clip_ids[rows]), step=step)

    def _cut(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        spare = len(waveform) - self._crop
        if spare <= 0:
            return waveform
        start = int(generator.integers(spare + 1))
        return waveform[start : start + self._crop]


def pretrain_tagging(
    *,
    store: Path,
    frontend: Mapping[str, Any],
    encoder: str,
    encoder_options: Mapping[str, Any],
    vocabulary: Sequence[str],
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
    """Train an encoder to tag the clips of a corpus, and write its weights, its card and the history of the training.

    `store`: folder of the corpus's clips; `corpus`: for train, valid and test a selection {column: [values]} of clips;
    `protocol`: seed, head_bias, learning_rate, batch_size, max_epochs, validations_per_epoch, patience, average_best,
    crop_seconds, augmentation_probability, gain_db, shift, spec_augment {time, frequency}, mixup; `work`: folder of
    checkpoints; `accumulate`: see `Hardware`; `ledger`: that of the corpus, whose lines on how many clips of the
    official lists are there the card repeats. The weights hold `encoder.*` and `head.*`. On several devices every
    process augments the whole batch, so that mixup pairs the clips as on one device, and trains on its share; each
    scores its share of valid and test, and the first one alone writes. Raises ProtocolError for an empty selection,
    TrainingError when the loss is no number.
    """
    hardware = Hardware(accelerator, devices, precision, threads, accumulate)
    fabric = make_fabric(hardware)
    clips = ClipStore(store)
    rows = {name: _select(clips.clips, corpus[name], name) for name in ("train", "valid", "test")}
    targets = multi_hot(clips.clips["labels"], vocabulary)
    seed = protocol["seed"]
    torch.manual_seed(derive_seed(seed, "init"))
    model = Classifier(load_encoder(encoder, **encoder_options), len(vocabulary), protocol["head_bias"])
    train_all(model)
    log_mel = log_mel_frontend(frontend)
    augment = WaveformAugmentation(
        protocol["augmentation_probability"], tuple(protocol["gain_db"]), tuple(protocol["shift"])
    )
    batches = WaveformBatches(
        clips, targets, rows["train"], protocol["batch_size"], protocol["crop_seconds"], derive_seed(seed, "sampling")
    )

    def prepare(batch: Batch) -> Batch:
        draw = derive_seed(seed, "augmentation", batch.step, batch.clip_ids[0])
        frames = log_mel.to(batch.inputs.device)(augment(batch.inputs, derive_seed(draw, "waveform")))
        frames, labels = augment_log_mel(frames, batch.targets, protocol, draw)
        return replace(batch, inputs=frames, targets=labels)

    def predict(name: str) -> np.ndarray:
        share = partial(predict_waveforms, model, log_mel, clips, batch_size=protocol["batch_size"])
        return predict_shared(share, rows[name])

    def score(_module: nn.Module) -> dict[str, float]:
        return {"score": evaluate("map", targets[rows["valid"]], predict("valid"))}

    settings = [encoder, encoder_options, frontend, vocabulary, corpus, protocol, precision]
    trained = train(
        model,
        batches,
        lambda module, batch: clip_loss(module(batch.inputs), batch.targets, LOSS),
        score,
        Schedule.from_protocol(protocol, "up"),
        seed,
        work,
        config_digest([*settings, provenance["code"], provenance["inputs"]]),
        hardware,
        f"pre-train {encoder}",
        prepare=prepare,
        fabric=fabric,
        events=history.parent / "tensorboard",
    )
    model.load_state_dict(trained.state)
    found = predict("test")
    if fabric.global_rank:
        fabric.barrier()
        return
    save_weights(weights, trained.state, {"encoder": encoder})
    with atomic_path(history) as temporary:
        pd.DataFrame(trained.history).to_csv(temporary, index=False)
    test, seen = targets[rows["test"]], clips.clips["n_samples"].to_numpy()[rows["train"]] / SAMPLE_RATE
    content = {
        "encoder": encoder,
        "encoder_options": dict(encoder_options),
        "parameters": count_parameters(model.encoder),
        "parameters_with_head": count_parameters(model),
        "corpus": dict(corpus),
        "clips_present_of_official_lists": read_presence(ledger) if ledger else [],
        "protocol": dict(protocol),
        **{f"n_{name}": len(rows[name]) for name in ("train", "valid")},
        "n_eval": len(rows["test"]),
        "n_classes": len(vocabulary),
        "n_classes_skipped": skipped_classes(test, len(vocabulary)),
        "corpus_hours": float(seen.sum() / 3600),
        "hours_seen_estimate": float(
            trained.steps * protocol["batch_size"] * np.minimum(seen, protocol["crop_seconds"]).mean() / 3600
        ),
        "steps": trained.steps,
        "epochs": trained.epochs,
        "best_step": trained.best_step,
        "averaged_steps": trained.averaged_steps,
        "seconds": trained.seconds,
        "waiting_share": trained.waiting_share,
        "peak_memory_mb": peak_memory_mb(),
        "device": trained.device,
        "precision": precision,
        "threads": threads,
        **describe_share(fabric, hardware, protocol["batch_size"]),
        "metrics": {name: evaluate(name, test, found) for name in METRIC_NAMES},
        "chance": {name: chance_level(name, targets[rows["train"]], test, len(vocabulary)) for name in METRIC_NAMES},
        "weights_sha256": file_digest(weights),
        "provenance": dict(provenance),
    }
    write_yaml(card, content)
    finish(work)
    fabric.barrier()  # the other processes wait here for the first


@torch.no_grad()
def predict_waveforms(
    model: nn.Module, log_mel: nn.Module, clips: ClipStore, rows: Sequence[int], batch_size: int
) -> np.ndarray:
    """Score whole clips in batches of equal length, the same as batches of one. Returns float32 [rows, classes]."""
    model.eval()
    device = next(model.parameters()).device
    log_mel.to(device)
    found: list[np.ndarray | None] = [None] * len(rows)
    lengths = clips.clips["n_samples"].to_numpy()[rows]
    for group in equal_length_batches(lengths, batch_size, EVALUATION_SAMPLES):
        waveforms = torch.from_numpy(np.stack([clips.waveform(int(rows[item])) for item in group])).to(device)
        scores = clip_scores(model(log_mel(waveforms)), LOSS).float().cpu().numpy()
        for item, row in zip(group, scores, strict=True):
            found[item] = row
    return np.stack(found)


def multi_hot(labels: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> np.ndarray:
    """Turn lists of label names into uint8 [clips, classes]."""
    number = {label: index for index, label in enumerate(vocabulary)}
    targets = np.zeros((len(labels), len(vocabulary)), dtype=np.uint8)
    for row, names in enumerate(labels):
        targets[row, [number[name] for name in names]] = 1
    return targets


def read_presence(ledger: Path) -> list[str]:
    """Read from a ledger how many clips of the official lists are there; empty for a corpus that must be complete."""
    notes = pd.read_csv(ledger, dtype=str, keep_default_na=False, usecols=["status", "detail"])
    return notes["detail"][notes["status"] == "present"].tolist()


def _select(clips: pd.DataFrame, rules: Mapping[str, Any], name: str) -> np.ndarray:
    rows = np.flatnonzero(select_rows(clips, rules))
    if len(rows) == 0:
        raise ProtocolError(f"the corpus has no clip for {name} ({dict(rules)}); see its ledger and study.yaml")
    return rows
