"""Scratch and fine-tuning: encoder and head train together on cached log-mel.

Source: Dinkel et al. 2022, section 3: Adam, batches of 64 chunks, no augmentation, patience of 15 epochs on the
validation score, average of the four best states; evaluation on whole clips at batch size 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from earmark.encoders import load_encoder
from earmark.errors import ProtocolError
from earmark.heads.classifier import Classifier, clip_loss, clip_scores
from earmark.metrics import METRICS, evaluate
from earmark.scores import Outcome, score_runs
from earmark.tasks import Split, TaskData, resolve_task
from earmark.training.batches import Batch, LogMelPieces, ShuffledRows, derive_seed, equal_length_batches
from earmark.training.loop import Hardware, Schedule, Trained, finish, train

EVALUATION_FRAMES = 16_000  # of a bucket of clips of equal length: bounds memory, changes no score


class ChunkBatches:
    """Shuffled batches of training chunks; each chunk has the labels of its clip."""

    def __init__(self, pieces: LogMelPieces, data: TaskData, rows, clip_ids, task, protocol, seed: int):
        self._pieces = pieces
        self._chunks = [
            (int(row), *bounds)
            for row in rows
            for bounds in pieces.bounds(row, task["max_seconds"], protocol["min_chunk_seconds"])
        ]
        self._targets, self._clip_ids = data.targets, clip_ids
        self._order = ShuffledRows(len(self._chunks), protocol["batch_size"], seed)
        self.steps_per_epoch = self._order.steps_per_epoch

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, padded to its longest chunk."""
        chunks = [self._chunks[number] for number in self._order.rows(step)]
        targets = torch.from_numpy(self._targets[[chunk[0] for chunk in chunks]])
        ids = tuple(self._clip_ids[chunk[0]] for chunk in chunks)
        return Batch(self._pieces.stack(chunks), targets, ids, step=step)


def finetune_encoder(
    *,
    clips: Path,
    log_mel: Path,
    frontend: Mapping[str, Any],
    encoder: str,
    encoder_options: Mapping[str, Any],
    weights: Path | None,
    mode: str,
    task: Mapping[str, Any],
    vocabulary: Sequence[str] | None,
    max_folds: int | None,
    protocol: Mapping[str, Any],
    seeds: Sequence[int],
    names: Mapping[str, str],
    runs: Path,
    scores: Path,
    predictions: Path,
    provenance: Mapping[str, Any],
    accelerator: str = "auto",
    precision: str = "32-true",
    threads: int | None = None,
) -> None:
    """Train encoder and head of one task for all seeds and folds, and write scores and predictions.

    `log_mel`: folder of the data set's cache; `mode`: `finetune` starts from `weights`, `scratch` from random ones
    (`weights` None); `names`: study, task and representation, columns of the scores. Raises ProtocolError when mode and
    weights contradict each other, TrainingError when a loss is no number.
    """
    if mode not in ("scratch", "finetune") or (mode == "finetune") != (weights is not None):
        raise ProtocolError(f"mode {mode!r} with weights {weights}: finetune needs weights, scratch has none")
    table = pd.read_parquet(clips)
    clip_ids = table["clip_id"].tolist()
    data = resolve_task(table, task, vocabulary, max_folds)
    pieces = LogMelPieces(log_mel, frontend)
    metric = METRICS[task["metric"]]
    hardware = Hardware(accelerator, 1, precision, threads)
    schedule = Schedule.from_protocol(protocol, metric.direction)

    def run(seed: int, split: Split, work: Path, digest: str) -> Outcome:
        torch.manual_seed(derive_seed(seed, "init"))
        model = Classifier(load_encoder(encoder, weights, **encoder_options), len(data.classes))
        train_all(model)
        batches = ChunkBatches(pieces, data, split.train, clip_ids, task, protocol, derive_seed(seed, "chunks"))

        def score(module: nn.Module) -> dict[str, float]:
            found = predict_clips(module, pieces, split.valid, task["loss"], protocol["batch_size"])
            return {"score": evaluate(metric.name, data.targets[split.valid], found)}

        trained = train(
            model,
            batches,
            lambda module, batch: clip_loss(module(batch.inputs), batch.targets, task["loss"]),
            score,
            schedule,
            seed,
            work,
            digest,
            hardware,
            f"{names['task']} seed {seed} fold {split.fold}",
        )
        outcome = outcome_of(
            model,
            trained,
            lambda module: predict_clips(module, pieces, split.test, task["loss"], protocol["batch_size"]),
            batches.steps_per_epoch,
        )
        finish(work)
        return outcome

    settings = {
        "mode": mode,
        "encoder": [encoder, encoder_options, frontend],
        "task": task,
        "classes": data.classes,
        "protocol": protocol,
        "precision": precision,
    }
    columns = {**names, "encoder": encoder, "mode": mode}
    score_runs(
        run,
        data,
        clip_ids,
        metric.name,
        seeds,
        settings,
        columns,
        runs,
        scores,
        predictions,
        provenance,
        threads,
    )


def train_all(model: Classifier) -> None:
    """Let the head train, and of the encoder what it declares trainable; channels last is faster on a CPU."""
    model.encoder.requires_grad_(False)
    for parameter in model.encoder.trainable():
        parameter.requires_grad_(True)
    model.to(memory_format=torch.channels_last)


@torch.no_grad()
def predict_clips(
    model: nn.Module, pieces: LogMelPieces, rows: Sequence[int], loss: str, batch_size: int = 64
) -> np.ndarray:
    """Score whole clips in batches of equal length, so that nothing is padded: the same as batches of one.

    `rows`: row numbers of the clips. Returns float32 [rows, classes]. The model stays in evaluation mode.
    """
    model.eval()
    device = next(model.parameters()).device
    rows = np.asarray(rows)
    lengths = pieces.n_frames[rows]
    found: list[np.ndarray | None] = [None] * len(rows)
    for group in equal_length_batches(lengths, batch_size, EVALUATION_FRAMES):
        inputs = pieces.stack([(int(rows[item]), 0, None) for item in group]).to(device)
        for item, scores in zip(group, clip_scores(model(inputs), loss).float().cpu().numpy(), strict=True):
            found[item] = scores
    return np.stack(found)


def outcome_of(model: nn.Module, trained: Trained, predict, steps_per_epoch: int) -> Outcome:
    """Score the test clips with the last state, then with the average of the best; the model keeps the average."""
    model.load_state_dict(trained.last_state)
    last = predict(model)
    model.load_state_dict(trained.state)
    return Outcome(
        predictions=predict(model),
        last_predictions=last,
        best_epoch=trained.best_step / steps_per_epoch,
        epochs=trained.epochs,
        steps=trained.steps,
        seconds=trained.seconds,
        waiting_share=trained.waiting_share,
        device=trained.device,
    )
