"""Runs of linear heads, trained side by side in worker threads, a few ahead of the one that is asked for.

The arrays are shared, and torch leaves the interpreter free while it computes; benchmarks/linear_probe.py times it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from earmark.scores import Outcome
from earmark.tasks import Split

Fit = Callable[[int, Split, Callable[[], bool]], Outcome]


class RunsAhead:
    """Give the outcomes of runs in their order, and train the next ones meanwhile. A context: leaving it stops them.

    `fit(seed, split, is_wanted)` trains a run, and asks `is_wanted` now and then whether to go on; `order`: all runs
    (seed, split) as they will be asked for; `threads`: of all workers together; `workers`: runs side by side, 1: each
    run is trained when it is asked for, with all threads. Runs before the first one asked for are never trained, so
    one that was finished before costs nothing.
    """

    def __init__(self, fit: Fit, order: Sequence[tuple[int, Split]], threads: int, workers: int):
        self._fit, self._order, self._workers = fit, list(order), min(workers, len(order))
        self._stopped = threading.Event()
        self._futures: dict[int, Future[Outcome]] = {}
        share = max(1, threads // max(1, self._workers))
        self._pool = ThreadPoolExecutor(self._workers, initializer=torch.set_num_threads, initargs=(share,))

    def __enter__(self) -> "RunsAhead":
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def outcome(self, seed: int, split: Split) -> Outcome:
        """Return the outcome of a run, and raise what its training raised."""
        if self._workers == 1:
            return self._fit(seed, split, self._is_wanted)
        place = next(k for k, run in enumerate(self._order) if run[0] == seed and run[1].fold == split.fold)
        for ahead in range(place, min(place + 2 * self._workers, len(self._order))):
            if ahead not in self._futures:
                self._futures[ahead] = self._pool.submit(self._fit, *self._order[ahead], self._is_wanted)
        return self._futures.pop(place).result()

    def _is_wanted(self) -> bool:
        return not self._stopped.is_set()
