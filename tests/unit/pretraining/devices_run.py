"""Pre-train in one process or several, by BYOL or on tags, without dropout, whose draws differ in each process.

Usage: devices_run.py byol|tagging STORE OUT DEVICES ACCUMULATE PRECISION NODES. Prints the number of each step in each
process, and writes the loss of every step to OUT/losses.json. With WAIT_FOR_SIGNAL set, steps from the 7th take a
second more.
"""

import json
import os
import sys
import time
from pathlib import Path

from byol_run import PROTOCOL as BYOL_PROTOCOL
from byol_run import run_byol
from tagging_run import PROTOCOL as TAGGING_PROTOCOL
from tagging_run import run_tagging
from torch import nn

from earmark.pretraining import byol, tagging
from earmark.training import loop
from earmark.training.devices import start_on_nodes

RUNS = {  # batches of 8, 8 and 7 of 23 clips, 51 steps; batches of 7 by mixup of 27 clips, 52 steps
    "byol": (run_byol, {**BYOL_PROTOCOL, "batch_size": 8, "epochs": 17, "checkpoint_steps": 10}),
    "tagging": (run_tagging, {**TAGGING_PROTOCOL, "batch_size": 7, "max_epochs": 13, "learning_rate": 1e-3}),
}


class Double(nn.Module):
    """Turn log-mel into float64."""

    def forward(self, log_mel):
        return log_mel.double()


def in_float64(make_frontend):
    return lambda frontend: nn.Sequential(make_frontend(frontend), Double())


if __name__ == "__main__":
    nn.Dropout.forward = lambda self, inputs: inputs
    agree, losses = loop.agree, []

    def recording(*args):
        agreed = agree(*args)
        losses.append(agreed[0])
        os.write(1, f"{len(losses)}\n".encode())  # whole lines: print would mix those of two processes
        if len(losses) >= 7 and "WAIT_FOR_SIGNAL" in os.environ:
            time.sleep(1)
        return agreed

    loop.agree = recording
    kind, store, out, devices, accumulate, precision, nodes = sys.argv[1:]
    start_on_nodes(int(nodes), int(devices), threads=1)
    options = {"accumulate": int(accumulate), "precision": precision}
    if precision == "64-true":
        for module in (byol, tagging):
            module.log_mel_frontend = in_float64(module.log_mel_frontend)
    run, protocol = RUNS[kind]
    run(Path(store), Path(out), protocol=protocol, devices=int(devices), **options)
    (Path(out) / "losses.json").write_text(json.dumps(losses))
