"""Fine-tuning and scratch runs on a task of tones: learning, equality to batches of one, nothing done twice."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from earmark.errors import ProtocolError, TrainingError
from earmark.heads import finetune
from earmark.heads.classifier import Classifier
from earmark.tasks import resolve_task
from earmark.training.batches import LogMelPieces

sys.path.insert(0, str(Path(__file__).parent))
from downstream import FRONTEND, LABELS, NAMES, PROTOCOL, PROVENANCE, TASK, TinyEncoder, load_tiny, write_tones


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "load_encoder", load_tiny)
    write_tones(tmp_path)

    def call(**changes):
        options = {
            "clips": tmp_path / "clips.parquet",
            "log_mel": tmp_path / "log_mel" / "at",
            "frontend": FRONTEND,
            "encoder": "tiny",
            "encoder_options": {},
            "weights": None,
            "mode": "scratch",
            "task": TASK,
            "vocabulary": LABELS,
            "max_folds": None,
            "protocol": PROTOCOL,
            "seeds": [42, 43],
            "names": NAMES,
            "runs": tmp_path / "scratch" / "runs",
            "scores": tmp_path / "scratch.parquet",
            "predictions": tmp_path / "scratch_predictions.parquet",
            "provenance": PROVENANCE,
            "accelerator": "cpu",
            "threads": 1,
        }
        finetune.finetune_encoder(**{**options, **changes})
        return pd.read_parquet(tmp_path / "scratch.parquet")

    return call


def test_learns_and_writes_one_row_per_seed_and_fold(run, tmp_path):
    rows = run()
    assert list(zip(rows["seed"], rows["fold"], strict=True)) == [(42, 1), (43, 1), (42, 2), (43, 2)]
    assert rows["value"].mean() > 60
    assert (rows["chance"] < 40).all()
    assert set(rows["n"]) == {15} and set(rows["n_train"]) == {15}
    assert rows["last_epoch_value"].between(0, 100).all()
    assert rows["waiting_share"].between(0, 1).all()
    assert {"code", "inputs", "run_digest", "peak_memory_mb", "device"} <= set(rows.columns)
    predictions = pd.read_parquet(tmp_path / "scratch_predictions.parquet")
    assert len(predictions) == 60
    first = predictions[(predictions["seed"] == 42) & (predictions["fold"] == 1)]
    hits = [np.argmax(row.scores) == row.targets[0] for row in first.itertuples()]
    assert 100 * np.mean(hits) == pytest.approx(rows["value"][0])
    assert not list((tmp_path / "scratch" / "runs").glob("*.work"))


def test_finished_runs_are_not_run_again_and_new_seeds_are(run, monkeypatch):
    first = run(seeds=[42])
    trained = []
    original = finetune.train
    monkeypatch.setattr(finetune, "train", lambda *args: trained.append(args[5]) or original(*args))
    both = run(seeds=[42, 43])
    assert trained == [43, 43]
    pd.testing.assert_frame_equal(both[both["seed"] == 42].reset_index(drop=True), first)
    run(seeds=[42], protocol={**PROTOCOL, "max_epochs": 1})
    assert trained == [43, 43, 42, 42]


def test_work_before_a_failure_is_kept(run, tmp_path, monkeypatch):
    original = finetune.train

    def failing(*args):
        if args[5] == 43:
            raise TrainingError("stopped")
        return original(*args)

    monkeypatch.setattr(finetune, "train", failing)
    with pytest.raises(TrainingError):
        run()
    assert not (tmp_path / "scratch.parquet").exists()
    assert (tmp_path / "scratch" / "runs" / "seed42_fold1.parquet").is_file()


def test_same_seed_gives_the_same_scores(run, tmp_path):
    run(seeds=[42], max_folds=1)
    first = pd.read_parquet(tmp_path / "scratch_predictions.parquet")
    run(seeds=[42], max_folds=1, runs=tmp_path / "again")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scratch_predictions.parquet"), first)


def test_finetune_starts_from_the_weights(run, tmp_path, monkeypatch):
    torch.manual_seed(5)
    given = TinyEncoder()
    save_file(given.state_dict(), tmp_path / "w.safetensors")
    seen = []

    def stop(model, *_):
        seen.append(model.encoder.state_dict())
        raise TrainingError("enough")

    monkeypatch.setattr(finetune, "train", stop)
    with pytest.raises(TrainingError):
        run(mode="finetune", weights=tmp_path / "w.safetensors")
    assert all(torch.equal(seen[0][name], value) for name, value in given.state_dict().items())


def test_evaluation_equals_batches_of_one(run, tmp_path):
    pieces = LogMelPieces(tmp_path / "log_mel" / "at", FRONTEND)
    model = Classifier(TinyEncoder(), 3).eval()
    rows = np.arange(30)[::-1]
    together = finetune.predict_clips(model, pieces, rows, "cross_entropy")
    alone = np.concatenate([finetune.predict_clips(model, pieces, [row], "cross_entropy", 1) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_training_chunks_have_the_labels_of_their_clips_and_are_shuffled(run, tmp_path):
    pieces = LogMelPieces(tmp_path / "log_mel" / "at", FRONTEND)
    clips = pd.read_parquet(tmp_path / "clips.parquet")
    task = {**TASK, "max_seconds": 0.5}
    data = resolve_task(clips, task, LABELS)
    ids = clips["clip_id"].tolist()
    batches = finetune.ChunkBatches(pieces, data, range(30), ids, task, PROTOCOL, seed=1)
    found = [batches.batch(step) for step in range(batches.steps_per_epoch)]
    names = [clip for batch in found for clip in batch.clip_ids]
    # 120 frames give chunks of 50, 50 and 20; 57 frames one of 50, as a tail of 7 frames is under 0.1 s.
    assert len(names) == 24 + 6 * 3
    assert names != sorted(names)
    for batch in found:
        assert [LABELS[number] for number in batch.targets] == [
            clips["labels"][ids.index(c)][0] for c in batch.clip_ids
        ]


def test_mode_and_weights_must_agree(run):
    with pytest.raises(ProtocolError, match="finetune needs weights"):
        run(mode="finetune")


def test_classes_without_clips_in_the_evaluation_set_are_counted(run):
    rows = run(vocabulary=[*LABELS, "silent"], seeds=[42], max_folds=1, task={**TASK, "metric": "map"})
    assert rows["n_classes_skipped"].tolist() == [1]
    assert np.isfinite(rows["value"]).all()
