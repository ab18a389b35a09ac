"""Frozen mode: only the linear head trains, on embeddings that were computed once.

Since the encoder is fixed, in evaluation mode and without gradients, its frames are the same in every epoch.
Differs from Dinkel et al. 2022: chunks of a training batch are not padded to the longest, so no frame of silence votes;
each chunk decides by its own frames, as clips do in the evaluation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from earmark.encoders import load_encoder
from earmark.errors import StoreError
from earmark.heads.classifier import clip_loss, clip_scores, make_head
from earmark.heads.finetune import outcome_of
from earmark.metrics import METRICS, evaluate
from earmark.scores import Outcome, score_runs
from earmark.tasks import Split, resolve_task
from earmark.training.batches import Batch, ShuffledRows, derive_seed, equal_length_batches
from earmark.training.loop import Hardware, Schedule, finish, train

EVALUATION_ROWS = 200_000


class Embeddings:
    """One view of a data set's embeddings, mapped from its file: the system keeps in memory what fits.

    `path`: embeddings.npy, with index.parquet beside it; `clip_ids`: the clips of the task's data set, in order. `clip`
    [pieces] is the row of each piece's clip. Raises StoreError when the two do not list the same clips.
    """

    def __init__(self, path: Path, clip_ids: Sequence[str]):
        self.rows = np.load(path, mmap_mode="r")
        index = pd.read_parquet(path.with_name("index.parquet"))
        number = {clip: row for row, clip in enumerate(clip_ids)}
        if set(index["clip_id"]) != set(number):
            raise StoreError(f"{path} holds other clips than the data set's clips.parquet; delete it to make it again")
        self.clip = index["clip_id"].map(number).to_numpy(np.int64)
        self.offset, self.n_rows = index["row_offset"].to_numpy(np.int64), index["n_rows"].to_numpy(np.int64)
        if self.n_rows.sum() != len(self.rows):
            raise StoreError(f"{path} has {len(self.rows)} rows, its index {self.n_rows.sum()}; delete both")

    def pieces_of(self, clips: Sequence[int]) -> np.ndarray:
        """List the pieces that belong to some clips, in the order of the index."""
        return np.flatnonzero(np.isin(self.clip, clips))

    def piece(self, number: int) -> np.ndarray:
        """Return float32 [rows, dim] of one piece."""
        start = self.offset[number]
        return self.rows[start : start + self.n_rows[number]]


class PieceBatches:
    """Shuffled batches of embedded pieces, their rows one after another."""

    def __init__(self, view: Embeddings, clips, targets: np.ndarray, clip_ids, batch_size: int, seed: int):
        self._view, self._targets, self._clip_ids = view, targets, clip_ids
        self._pieces = view.pieces_of(clips)
        self._order = ShuffledRows(len(self._pieces), batch_size, seed)
        self.steps_per_epoch = self._order.steps_per_epoch

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; `inputs` [rows of all pieces, dim]."""
        pieces = self._pieces[self._order.rows(step)]
        clips = self._view.clip[pieces]
        return Batch(
            torch.from_numpy(np.concatenate([self._view.piece(piece) for piece in pieces])),
            torch.from_numpy(self._targets[clips]),
            tuple(self._clip_ids[clip] for clip in clips),
            tuple(int(length) for length in self._view.n_rows[pieces]),
            step,
        )


def train_probe(
    *,
    clips: Path,
    embeddings: Sequence[Path],
    encoder: str,
    encoder_options: Mapping[str, Any],
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
    """Train the head of one task on frozen embeddings for all seeds and folds, and write scores and predictions.

    `embeddings`: `embeddings.npy` of the view `whole`, then, where the task cuts its training clips, of the chunks;
    `names`: study, task and representation, columns of the scores. Raises StoreError when embeddings and clips do not
    fit, TrainingError when a loss is no number.
    """
    table = pd.read_parquet(clips)
    clip_ids = table["clip_id"].tolist()
    data = resolve_task(table, task, vocabulary, max_folds)
    whole = Embeddings(Path(embeddings[0]), clip_ids)
    chunks = Embeddings(Path(embeddings[1]), clip_ids) if len(embeddings) > 1 else whole
    metric = METRICS[task["metric"]]
    schedule = Schedule.from_protocol(protocol, metric.direction)
    hardware = Hardware(accelerator, 1, precision, threads)
    template = load_encoder(encoder, **encoder_options)

    def run(seed: int, split: Split, work: Path, digest: str) -> Outcome:
        torch.manual_seed(derive_seed(seed, "init"))
        head = make_head(template, len(data.classes))
        order_seed = derive_seed(seed, "pieces")
        batches = PieceBatches(chunks, split.train, data.targets, clip_ids, protocol["batch_size"], order_seed)

        def score(module: nn.Module) -> dict[str, float]:
            found = predict_pieces(module, whole, split.valid, task["loss"])
            return {"score": evaluate(metric.name, data.targets[split.valid], found)}

        trained = train(
            head,
            batches,
            lambda module, batch: ragged_loss(module(batch.inputs), batch, task["loss"]),
            score,
            schedule,
            seed,
            work,
            digest,
            hardware,
            f"{names['task']} seed {seed} fold {split.fold}",
        )
        outcome = outcome_of(
            head,
            trained,
            lambda module: predict_pieces(module, whole, split.test, task["loss"]),
            batches.steps_per_epoch,
        )
        finish(work)
        return outcome

    settings = {
        "mode": "frozen",
        "encoder": [encoder, encoder_options],
        "task": task,
        "classes": data.classes,
        "protocol": protocol,
        "precision": precision,
    }
    columns = {**names, "encoder": encoder, "mode": "frozen"}
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


def ragged_loss(logits: torch.Tensor, batch: Batch, loss: str) -> torch.Tensor:
    """Compute the mean loss of pieces of different length.

    `logits`: [rows of all pieces, classes], piece after piece as `batch.lengths` says. Pieces of equal length are
    stacked, so that each decides by its own rows alone. Returns a scalar.
    """
    lengths = np.array(batch.lengths)
    if len(set(batch.lengths)) == 1:
        return clip_loss(logits.view(len(lengths), lengths[0], -1), batch.targets, loss)
    parts = logits.split(batch.lengths)
    total = logits.new_zeros(())
    for length in np.unique(lengths):
        members = np.flatnonzero(lengths == length)
        stacked = torch.stack([parts[member] for member in members])  # [pieces, rows, classes]
        total = total + clip_loss(stacked, batch.targets[members], loss) * len(members)
    return total / len(lengths)


@torch.no_grad()
def predict_pieces(head: nn.Module, view: Embeddings, clips: Sequence[int], loss: str) -> np.ndarray:
    """Score whole clips from their embeddings. Returns float32 [clips, classes] in the order of `clips`."""
    head.eval()
    device = next(head.parameters()).device
    place = {int(clip): piece for piece, clip in enumerate(view.clip)}
    pieces = np.array([place[int(clip)] for clip in clips])
    found: list[np.ndarray | None] = [None] * len(pieces)
    for group in equal_length_batches(view.n_rows[pieces], EVALUATION_ROWS, EVALUATION_ROWS):
        inputs = torch.from_numpy(np.stack([view.piece(pieces[item]) for item in group])).to(device)
        for item, scores in zip(group, clip_scores(head(inputs), loss).float().cpu().numpy(), strict=True):
            found[item] = scores
    return np.stack(found)
