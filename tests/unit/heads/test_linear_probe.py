"""The linear probe of one task: choice of a head, small splits, and what it refuses."""

import numpy as np
import pytest
import torch

from earmark.errors import ProtocolError
from earmark.heads._linear_heads import EarlyStop, Head
from earmark.heads._linear_probe import LinearProbe, choose_head
from earmark.metrics import METRICS
from earmark.tasks import Split, TaskData


def make_probe(data, embeddings, metric="accuracy", loss="cross_entropy", **changes):
    options = {"learning_rates": [1e-3], "batch_size": 200, "max_epochs": 8, "patience": 20, "valid_share": 0.1}
    options |= {"device": torch.device("cpu"), **changes}
    ids = [f"clip{number}" for number in range(len(embeddings))]
    return LinearProbe(embeddings, embeddings, data, ids, "sounds", METRICS[metric], loss, **options)


def test_learning_rate_is_chosen_by_validation_score_then_by_loss():
    def head(score, loss, rate):
        found = Head(rate, EarlyStop(3), valid_loss=loss)
        found.stop.update(score)
        return found

    assert choose_head([head(50, 0.1, 1), head(60, 0.9, 2), head(60, 0.4, 3), head(60, 0.4, 4)], "t").learning_rate == 3


def test_class_with_one_training_clip_of_a_fixed_split_trains():
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(30, 4)).astype(np.float32)
    targets = np.array([0, 1] * 15)
    targets[3] = 2
    rows = np.arange(30)
    data = TaskData(("bark", "bell", "hum"), "single", targets, (Split(0, rows[:20], rows[20:25], rows[25:]),))
    outcome = make_probe(data, embeddings).fit(42, data.splits[0])
    assert outcome.predictions.shape == (5, 3)


def test_empty_validation_split_is_refused():
    rows = np.arange(10)
    data = TaskData(("a", "b"), "single", rows % 2, (Split(0, rows[:6], rows[:0], rows[6:]),))
    with pytest.raises(ProtocolError, match="task sounds, fold 0: no clip in valid"):
        make_probe(data, np.zeros((10, 3), dtype=np.float32))


def test_loss_that_does_not_fit_the_labels_is_refused():
    rows = np.arange(10)
    data = TaskData(("a", "b"), "single", rows % 2, (Split(0, rows[:6], rows[6:8], rows[8:]),))
    with pytest.raises(ProtocolError, match="'binary_cross_entropy' does not fit single-label"):
        make_probe(data, np.zeros((10, 3), dtype=np.float32), loss="binary_cross_entropy")
