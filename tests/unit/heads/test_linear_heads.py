"""Linear heads trained together: against torch.nn.Linear and torch.optim.Adam, and each against itself alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from earmark.errors import ProtocolError, TrainingError
from earmark.heads._linear_data import Standardiser
from earmark.heads._linear_heads import EarlyStop, initial_weight, train_heads
from earmark.heads._linear_probe import make_score
from earmark.metrics import METRICS
from earmark.training.batches import derive_seed

N_TRAIN, N_VALID, DIM, CLASSES, SEED = 90, 61, 20, 4, 7
RATES = [1e-4, 1e-3, 1e-2, 1e-1]


def make_task(loss: str):
    """Make overlapping classes of points; returns (raw embeddings, standardised inputs, targets)."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, CLASSES, N_TRAIN + N_VALID)
    centres = generator.normal(0, 0.4, (CLASSES, DIM))
    points = (centres[labels] + generator.normal(0, 1, (len(labels), DIM))).astype(np.float32)
    inputs = Standardiser.fit(points, np.arange(N_TRAIN)).apply(points, np.arange(len(points)))
    targets = torch.from_numpy(labels)
    if loss == "binary_cross_entropy":
        targets = nn.functional.one_hot(targets, CLASSES).float()
        targets[::3, 0] = 1.0
    return inputs, targets


def train(loss, rates, epochs=60, patience=3, **changes):
    inputs, targets = make_task(loss)
    metric = METRICS["accuracy" if loss == "cross_entropy" else "map"]
    train_rows, valid_rows = torch.arange(N_TRAIN), torch.arange(N_TRAIN, N_TRAIN + N_VALID)
    options = {"batch_size": 40, "max_epochs": epochs, "patience": patience, "seed": SEED, **changes}
    score = make_score(metric, targets[valid_rows])
    return train_heads(inputs, targets, train_rows, valid_rows, DIM, CLASSES, loss, score, rates, **options)


def train_plainly(loss, rate, epochs=60, patience=3):
    """Train one head as a PyTorch tutorial does: autograd, nn.Linear, optim.Adam, a copy of the best state."""
    inputs, targets = make_task(loss)
    inputs = inputs[:, :DIM]
    start = initial_weight(DIM, DIM + 1, CLASSES, SEED)
    layer = nn.Linear(DIM, CLASSES)
    with torch.no_grad():
        layer.weight.copy_(start[:, :DIM])
        layer.bias.copy_(start[:, DIM])
    optimiser = torch.optim.Adam(layer.parameters(), lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-8)
    best, best_epoch, failures, state = -math.inf, 0, 0, None
    for epoch in range(epochs):
        order = np.random.default_rng(derive_seed(SEED, "order", epoch)).permutation(N_TRAIN)
        for start_row in range(0, N_TRAIN, 40):
            rows = order[start_row : start_row + 40]
            optimiser.zero_grad()
            logits = layer(inputs[rows])
            if loss == "cross_entropy":
                one_hot = nn.functional.one_hot(targets[rows], CLASSES)
                value = -torch.mean(one_hot * logits.log_softmax(dim=1))
            else:
                value = nn.functional.binary_cross_entropy(torch.sigmoid(logits), targets[rows])
            value.backward()
            optimiser.step()
        with torch.no_grad():
            logits = layer(inputs[N_TRAIN:])
        if loss == "cross_entropy":
            score = 100 * (logits.argmax(dim=1) == targets[N_TRAIN:]).double().mean().item()
        else:
            score = METRICS["map"].function(targets[N_TRAIN:].numpy(), logits.sigmoid().numpy())
        if score >= best:
            best, best_epoch, failures = score, epoch + 1, 0
            state = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().clone()
        else:
            failures += 1
        if failures >= patience:
            break
    return best, best_epoch, epoch + 1, state


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_heads_equal_plain_training(loss):
    for head, rate in zip(train(loss, RATES), RATES, strict=True):
        best, best_epoch, epochs, state = train_plainly(loss, rate)
        assert (head.best_epoch, head.epochs) == (best_epoch, epochs)
        assert head.stop.best == pytest.approx(best, abs=1e-4)
        torch.testing.assert_close(head.weight[:, : DIM + 1], state, atol=2e-5, rtol=1e-4)
        assert not head.weight[:, DIM + 1 :].any()


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_each_head_equals_the_head_trained_alone(loss):
    together = train(loss, RATES)
    assert len({head.epochs for head in together}) > 1  # some leave before others
    for head in together:
        alone = train(loss, [head.learning_rate])[0]
        assert (alone.best_epoch, alone.epochs, alone.stop.best) == (head.best_epoch, head.epochs, head.stop.best)
        torch.testing.assert_close(head.weight, alone.weight, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head.last_weight, alone.last_weight, atol=1e-5, rtol=1e-5)


def test_order_of_learning_rates_changes_nothing():
    forward, backward = train("cross_entropy", RATES), train("cross_entropy", RATES[::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        assert (one.learning_rate, one.best_epoch) == (other.learning_rate, other.best_epoch)
        torch.testing.assert_close(one.weight, other.weight, atol=1e-5, rtol=1e-5)


def test_seed_changes_start_and_order():
    one, other = (train("cross_entropy", [1e-3], epochs=1, seed=seed)[0].weight for seed in (1, 2))
    assert not torch.allclose(one, other, atol=1e-3)


def test_head_that_diverges_leaves_the_others_unchanged():
    heads = train("cross_entropy", [1e-3, 1e38])
    assert [head.has_diverged for head in heads] == [False, True]
    alone = train("cross_entropy", [1e-3])[0]
    torch.testing.assert_close(heads[0].weight, alone.weight, atol=1e-5, rtol=1e-5)


def test_early_stop_vector(vectors):
    vector = vectors["linear_eval_early_stop"]
    stop = EarlyStop(vector["input"]["patience"])
    for score in vector["input"]["val"]:
        assert not stop.is_over
        stop.update(score)
    assert stop.is_over
    assert stop.best_index == vector["expected"]["best_index"]
    assert stop.count - 1 == vector["expected"]["stops_after_index"]


def test_score_that_is_no_number_is_never_the_best():
    stop = EarlyStop(2)
    assert [stop.update(score) for score in (math.nan, 0.0, math.nan, math.nan)] == [False, True, False, False]
    assert (stop.best, stop.best_index, stop.is_over) == (0.0, 1, True)


def test_initial_weights_are_those_of_a_linear_layer():
    weight = initial_weight(400, 416, 50, 0)
    assert weight[:, :401].abs().max() <= 1 / 20
    assert weight[:, :401].std() == pytest.approx(1 / 20 / math.sqrt(3), rel=0.02)  # of a uniform distribution
    assert not weight[:, 401:].any()


def test_bfloat16_products_give_nearly_the_same_head():
    exact = train("cross_entropy", RATES, epochs=5, patience=9)
    rounded = train("cross_entropy", RATES, epochs=5, patience=9, precision="bf16-mixed")
    for one, other in zip(exact, rounded, strict=True):
        assert other.last_weight.dtype == torch.float32
        distance = (one.last_weight - other.last_weight).norm() / one.last_weight.norm()
        assert 0 < distance < 0.05
    with pytest.raises(ProtocolError, match="unknown precision '16-true'"):
        train("cross_entropy", RATES, precision="16-true")


def test_training_that_is_not_wanted_any_more_stops_before_the_next_epoch():
    answers = iter([True, True, False])
    with pytest.raises(TrainingError, match="before epoch 3"):
        train("cross_entropy", RATES, is_wanted=lambda: next(answers))


def test_unknown_loss_is_refused():
    with pytest.raises(ProtocolError, match="unknown loss 'hinge'"):
        train_heads(*[None] * 6, "hinge", *[None] * 6)
