"""Print the rate of BYOL-A pre-training in two processes beside one, each of one CPU thread, and what bounds it.

Goal: 1.6 times the steps a second on two cores. Encoder and projector have their full size; each process makes the
views of the whole batch, which is not shared. The two are measured in turns, and the best round of each counts.
Usage: python benchmarks/devices.py [batch] [steps] [rounds]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from operator import sub
from pathlib import Path
from statistics import median

import torch

from earmark.encoders import load_encoder
from earmark.files import read_yaml
from earmark.frontends import log_mel_frontend
from earmark.pretraining.byol import Byol
from earmark.pretraining.views import build_views
from earmark.resources import KEEP_FREED_MEMORY
from earmark.training.batches import Batch
from earmark.training.devices import Hardware, gather, make_fabric
from earmark.training.loop import Schedule, Trained, train

N_SAMPLES, SHAPE = 15_200, (64, 96)  # 0.95 s
BLOCKS = {  # Niizumi et al. 2023, section IV-B
    "mixup": {"alpha": 0.2, "queue": 2048},
    "resize_crop": {"frequency": [0.6, 1.5], "time": [0.6, 1.5], "canvas": 1.5},
    "fader": {"bounds": [-1.0, 1.0], "reaches_end": True},
}


class NoiseBatches:
    """Give one batch of noise at every step."""

    def __init__(self, batch_size: int, steps: int):
        generator = torch.Generator().manual_seed(0)
        self.inputs, self.steps_per_epoch = 0.1 * torch.randn(batch_size, N_SAMPLES, generator=generator), steps

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        return Batch(self.inputs, torch.empty(len(self.inputs), 0), ("noise",) * len(self.inputs), step=step)


def train_byol(
    work: Path, batch_size: int, steps: int, hardware: Hardware, note: Callable[[float], None], **schedule
) -> Trained:
    """Train BYOL-A at full size on noise; `note` is given the seconds that making the views of each step took."""
    fabric = make_fabric(hardware)
    frontend = read_yaml(Path(__file__).parents[1] / "config" / "frontends.yaml")["byola"]
    log_mel = log_mel_frontend(frontend)
    torch.manual_seed(0)
    model = Byol(load_encoder("byola"), build_views(list(BLOCKS), BLOCKS, SHAPE, -5.0, 3.0), 4096, 256, True)

    def prepare(batch: Batch) -> Batch:
        begin = time.perf_counter()
        both = model.views(log_mel(batch.inputs), batch.step)
        note(time.perf_counter() - begin)
        return replace(batch, inputs=torch.stack(both, dim=1))

    return train(
        model,
        NoiseBatches(batch_size, steps),
        lambda module, batch: module(*batch.inputs.unbind(1)),
        None,
        Schedule(1e-4, 1, 1, **{"checkpoint_seconds": 1e9, **schedule}),
        0,
        work,
        "benchmark",
        hardware,
        after_step=lambda: model.update_target(0.99),
        prepare=prepare,
        fabric=fabric,
    )


def run_part(work: str, batch_size: str, steps: str, devices: str) -> None:
    """Train in this process and those of its other devices; print what `measure` returns, of the slowest process."""
    begins, busy, views = [], [], []

    def note(seconds: float) -> None:
        begins.append(time.perf_counter())
        busy.append(time.process_time())
        views.append(seconds)

    hardware = Hardware("cpu", int(devices), threads=int(devices))
    train_byol(Path(work), int(batch_size), int(steps), hardware, note)
    found = gather([median(map(sub, times[1:], times)) for times in (begins, busy)] + [median(views)])
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        print(json.dumps([max(column) for column in zip(*found, strict=True)]))


def measure(batch: str, steps: str, devices: int) -> list[float]:
    """Run one training as a program; returns median seconds of a step, on the clock and of the processor, and of views.

    Processor seconds are of one process, and leave out what it waits, for the other process or for other programs.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "part", folder, batch, steps, str(devices)]
        environment = {**os.environ, **KEEP_FREED_MEMORY}
        found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        return json.loads(found.splitlines()[0])


def main(batch: str = "256", steps: str = "5", rounds: str = "1") -> None:
    """Compare one process and two."""
    found = [[measure(batch, steps, devices) for devices in (1, 2)] for _ in range(int(rounds))]
    one, two = (list(map(min, *(turn[number] for turn in found + found))) for number in (0, 1))
    print(f"batch {batch}: {1 / one[0]:.3f} steps a second in one process, {1 / two[0]:.3f} in two:")
    print(f"{one[0] / two[0]:.2f} times by the clock (goal: 1.6), {one[1] / two[1]:.2f} times by processor time")
    print(
        f"Processor seconds a step: {one[1]:.2f} in one process, {two[1]:.2f} in each of two. Of these {two[2]:.2f} are"
    )
    print("views of the whole batch; the optimiser, EMA and the sum of gradients are as much in each process too.")


if __name__ == "__main__":
    run_part(*sys.argv[2:]) if sys.argv[1:2] == ["part"] else main(*sys.argv[1:])
