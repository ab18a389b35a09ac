"""Runs of linear heads side by side: order, faults, and stopping."""

import threading
import time

import numpy as np
import pytest
import torch

from earmark.heads._linear_ahead import RunsAhead
from earmark.tasks import Split

ROWS = np.arange(1)
ORDER = [(seed, Split(fold, ROWS, ROWS, ROWS)) for seed in (42, 43) for fold in (1, 2, 3)]


def test_outcomes_come_in_order_whatever_ends_first():
    together = threading.Barrier(2, timeout=30)
    threads = []

    def fit(seed, split, is_wanted):
        if split.fold < 3:
            together.wait()  # passes only when two runs are trained at once
        time.sleep(0.02 if split.fold == 1 else 0)
        threads.append(torch.get_num_threads())
        return seed, split.fold

    before = torch.get_num_threads()
    with RunsAhead(fit, ORDER, threads=2, workers=2) as ahead:
        found = [ahead.outcome(seed, split) for seed, split in ORDER]
    assert found == [(seed, split.fold) for seed, split in ORDER]
    assert threads == [1] * 6
    assert torch.get_num_threads() == before


def test_runs_before_the_first_one_asked_for_are_not_trained():
    trained = []
    with RunsAhead(lambda seed, split, _: trained.append((seed, split.fold)), ORDER, threads=2, workers=2) as ahead:
        for seed, split in ORDER[4:]:
            ahead.outcome(seed, split)
    assert sorted(trained) == [(43, 2), (43, 3)]


def test_one_worker_trains_nothing_ahead():
    trained = []
    with RunsAhead(lambda seed, split, _: trained.append((seed, split.fold)), ORDER, threads=2, workers=1) as ahead:
        ahead.outcome(*ORDER[0])
    assert trained == [(42, 1)]


def test_fault_of_a_run_is_raised_when_its_turn_comes_and_stops_the_others():
    stopped = []

    def fit(seed, split, is_wanted):
        if split.fold == 2:
            raise ValueError("fold 2")
        while split.fold == 3 and is_wanted():
            time.sleep(0.01)
        stopped.append(split.fold)

    with pytest.raises(ValueError, match="fold 2"), RunsAhead(fit, ORDER[:3], threads=2, workers=2) as ahead:
        for seed, split in ORDER[:3]:
            ahead.outcome(seed, split)
    assert 1 in stopped
    assert threading.active_count() < 20
