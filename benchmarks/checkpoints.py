"""Print what checkpoints of BYOL-A pre-training at full size cost, as a share of the time (goal: under 2 %).

Usage: python benchmarks/checkpoints.py [batch] [writes]
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

from devices import train_byol

from earmark.training import loop
from earmark.training.devices import Hardware


def main(batch: str = "16", writes: str = "4") -> None:
    """Train with a checkpoint at every step; the time from its begin to its end counts, the state's copy too."""
    state, seconds = loop.collect_state, []

    def begin_state(*args):
        seconds.append(-time.perf_counter())
        return state(*args)

    def write(*args):
        path = save(*args)
        seconds[-1] += time.perf_counter()
        sizes.append(path.stat().st_size)
        return path

    save, sizes = loop.save_checkpoint, []
    loop.collect_state, loop.save_checkpoint = begin_state, write
    steps = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        train_byol(
            Path(folder),
            int(batch),
            int(writes),
            Hardware("cpu", threads=1),
            lambda _: steps.append(time.perf_counter()),
            checkpoint_steps=1,
        )
    seconds, interval = sorted(seconds), loop.Schedule.checkpoint_seconds
    median, worst = seconds[len(seconds) // 2], seconds[-1]
    each = sorted(later - earlier for earlier, later in itertools.pairwise(steps))[len(steps) // 2 - 1]
    print(f"a checkpoint of {sizes[0] / 1e6:.0f} MB is written in {median:.2f} s, at worst {worst:.2f} s;")
    print(f"a step of {batch} segments takes {each - median:.2f} s beside it")
    for name, write_seconds in (("median", median), ("worst", worst)):
        wait = max(interval, write_seconds / loop.WRITING_SHARE)
        share = write_seconds / (wait + write_seconds)
        print(f"{name}: one every {wait:.0f} s, {100 * share:.2f} % of the time (goal: under 2 %)")


if __name__ == "__main__":
    main(*sys.argv[1:])
