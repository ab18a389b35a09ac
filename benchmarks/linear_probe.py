"""Compare linear evaluation of one task with the same fits one after another through a plain PyTorch DataLoader loop.

Run: python benchmarks/linear_probe.py [--runs 2] [--epochs 200] [--precision bf16-mixed]. The task: 10,000 embeddings
of 3,072 dimensions, 50 classes, 5 folds x 3 seeds x 7 learning rates = 105 fits of at most 200 epochs, each with its
own early stop. A run is one fold and seed with its 7 learning rates. Both sides take the same array, folds, validation
clips, optimiser, batch size and stop, and both choose the learning rate on the validation clips.

The peer takes its embeddings item by item (TensorDataset, DataLoader that shuffles, torch.nn.Linear, autograd,
torch.optim.Adam), as HEAR's evaluation kit and the linear head of BYOL-A's authors do on embeddings in memory, without
the cost of Lightning, logging and copies of one-hot labels. Both may use `--threads` cores: the peer multiplies with
them, Earmark trains that many runs side by side.

The whole takes the peer hours. `--runs` (a multiple of `--threads`; 0: all 15) lets both do the first runs only,
`--epochs` ends the fits of both earlier; what is printed is measured on these, nothing is scaled. The two take turns.
On a machine that is used by others, compare the processor times: waiting threads count in the peer's.
Goal: at least 5 times as fast, mean accuracies within 0.5 points.
"""

import argparse
import math
import os
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from earmark.heads._linear_ahead import RunsAhead
from earmark.heads._linear_data import draw_validation
from earmark.heads._linear_probe import LinearProbe
from earmark.metrics import METRICS, accuracy
from earmark.scores import order_runs
from earmark.tasks import Split, TaskData
from earmark.training.batches import derive_seed

CLIPS, DIM, CLASSES, FOLDS, SEEDS = 10_000, 3_072, 50, 5, (42, 43, 44)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
BATCH, PATIENCE, VALID_SHARE = 200, 20, 0.1


def main() -> None:
    """Time both, print times, ratio and mean accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2, help="runs of 7 fits that both do, of 15; 0: all")
    parser.add_argument("--epochs", type=int, default=200, help="epochs of a fit at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="32-true", help="32-true or bf16-mixed, of Earmark; the peer's is 32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    embeddings, data = generate()
    runs = order_runs(SEEDS, data.splits)
    chosen = runs[: options.runs or None]
    print(f"{CLIPS} x {DIM}, {CLASSES} classes, {len(chosen)} of {len(runs)} runs of {len(RATES)} fits", end=" ")
    print(f"of at most {options.epochs} epochs, {options.precision}, {options.threads} threads,", end=" ")
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}", flush=True)
    probe, peer_runs = make_probe(embeddings, data, options.precision, options.epochs), Peer(embeddings, data)
    ours, peer = Side("Earmark", data), Side("DataLoader loop", data)

    def side_by_side(some):
        with RunsAhead(probe.fit, some, options.threads, options.threads) as ahead:
            outcomes = [ahead.outcome(seed, split) for seed, split in some]
        return [(outcome.predictions, outcome.details["epochs_of_all"]) for outcome in outcomes]

    for start in range(0, len(chosen), options.threads):
        some = chosen[start : start + options.threads]
        ours.measure(side_by_side, some)
        torch.set_num_threads(options.threads)  # the workers' share is that of all matrix products of the process
        peer.measure(lambda some: [peer_runs(seed, split, options.epochs) for seed, split in some], some)
    ratios = [getattr(peer, name) / getattr(ours, name) for name in ("seconds", "processor_seconds")]
    print(f"ratio of seconds {ratios[0]:.1f} (goal 5, aim 10), of processor seconds {ratios[1]:.1f}")
    means = [np.mean(side.accuracies) for side in (ours, peer)]
    print(f"mean accuracy: Earmark {means[0]:.2f} %, DataLoader loop {means[1]:.2f} %, difference", end=" ")
    print(f"{means[0] - means[1]:+.2f} (goal: within 0.5)")


class Side:
    """One of the two, with the seconds, processor seconds, epochs and accuracies of its runs."""

    def __init__(self, name: str, data: TaskData):
        self.name, self.data = name, data
        self.seconds, self.processor_seconds, self.epochs = 0.0, 0.0, 0
        self.accuracies: list[float] = []

    def measure(self, fit: Callable[[list], list], runs: list[tuple[int, Split]]) -> None:
        """Do some runs and print what they took; `fit` gives test scores and the epochs of all fits of each."""
        begin, processor = time.perf_counter(), time.process_time()
        found = fit(runs)
        seconds, processor = time.perf_counter() - begin, time.process_time() - processor
        epochs = sum(count for _, count in found)
        self.accuracies += [
            accuracy(self.data.targets[split.test], scores) for (_, split), (scores, _) in zip(runs, found, strict=True)
        ]
        self.seconds, self.epochs = self.seconds + seconds, self.epochs + epochs
        self.processor_seconds += processor
        print(f"  {self.name}: {len(runs)} runs, {epochs} epochs of one head, {seconds:.1f} s,", end=" ")
        print(f"{1e3 * seconds / epochs:.1f} ms an epoch; {processor:.1f} s of processor", flush=True)


def generate() -> tuple[np.ndarray, TaskData]:
    """Make embeddings as of a network that ends in ReLU: overlapping classes in 64 hidden dimensions, rectified."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, CLIPS)
    hidden = 0.55 * generator.normal(size=(CLASSES, 64))[labels] + generator.normal(size=(CLIPS, 64))
    mixed = hidden @ generator.normal(size=(64, DIM)) / 8 + 0.5 * generator.normal(size=(CLIPS, DIM))
    fold = 1 + generator.permutation(CLIPS) % FOLDS
    rows = np.arange(CLIPS)
    splits = tuple(Split(k, rows[fold != k], rows[fold == k], rows[fold == k]) for k in range(1, FOLDS + 1))
    classes = tuple(f"class {number}" for number in range(CLASSES))
    return np.maximum(mixed, 0).astype(np.float32), TaskData(classes, "single", labels, splits)


def make_probe(embeddings: np.ndarray, data: TaskData, precision: str, epochs: int) -> LinearProbe:
    """Make what trains the runs of Earmark."""
    return LinearProbe(
        embeddings,
        embeddings,
        data,
        [str(row) for row in range(CLIPS)],
        "benchmark",
        METRICS["accuracy"],
        "cross_entropy",
        RATES,
        BATCH,
        epochs,
        PATIENCE,
        VALID_SHARE,
        torch.device("cpu"),
        precision,
    )


class Peer:
    """A plain loop: one fit after another, one item after another."""

    def __init__(self, embeddings: np.ndarray, data: TaskData):
        self.embeddings, self.data = embeddings, data

    def __call__(self, seed: int, split: Split, most: int) -> tuple[np.ndarray, int]:
        """Do a run of at most `most` epochs a fit: standardise, fit with each rate, score the test clips."""
        scaler = StandardScaler().fit(self.embeddings[split.train])
        generator = np.random.default_rng(derive_seed(seed, "validation", split.fold))
        labels = self.data.targets[split.train]
        train, valid = draw_validation(labels, self.data.classes, VALID_SHARE, generator, "benchmark")
        inputs, test_inputs = (scaler.transform(self.embeddings[rows]) for rows in (split.train, split.test))
        torch.manual_seed(seed)
        best_score, best_state, epochs = -math.inf, None, 0
        for rate in RATES:
            train_items, valid_items = (as_items(inputs[rows], labels[rows]) for rows in (train, valid))
            score, state, count = self.fit(train_items, valid_items, rate, most)
            epochs += count
            if score > best_score:
                best_score, best_state = score, state
        layer = nn.Linear(DIM, CLASSES)
        layer.load_state_dict(best_state)
        with torch.no_grad():
            loader = DataLoader(as_items(test_inputs, self.data.targets[split.test]), batch_size=BATCH)
            return torch.cat([layer(batch) for batch, _ in loader]).numpy(), epochs

    def fit(self, train: TensorDataset, valid: TensorDataset, rate: float, most: int) -> tuple[float, dict, int]:
        """Fit one head. Returns its best validation accuracy, the state of that epoch, and the epochs trained."""
        layer = nn.Linear(DIM, CLASSES)
        optimiser = torch.optim.Adam(layer.parameters(), lr=rate, weight_decay=1e-8)
        train_loader = DataLoader(train, batch_size=BATCH, shuffle=True)
        valid_loader = DataLoader(valid, batch_size=BATCH)
        best, state, failures, epoch = -math.inf, {}, 0, 0
        while epoch < most and failures < PATIENCE:
            epoch += 1
            for batch, labels in train_loader:
                optimiser.zero_grad()
                loss = nn.functional.cross_entropy(layer(batch), labels) / CLASSES
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                hits = sum((layer(batch).argmax(dim=1) == labels).sum().item() for batch, labels in valid_loader)
            if hits >= best:
                best, failures = hits, 0
                state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
            else:
                failures += 1
        return best, state, epoch


def as_items(embeddings: np.ndarray, labels: np.ndarray) -> TensorDataset:
    """Make a data set that gives one embedding and its label at a time."""
    return TensorDataset(torch.from_numpy(embeddings), torch.from_numpy(labels))


if __name__ == "__main__":
    main()
