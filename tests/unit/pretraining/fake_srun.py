"""Stand for srun: start the tasks of all nodes on this machine, with the variables that SLURM gives to each.

As in srun of SLURM 22.05 and later (`srun_job.c`, `signals.c`), SIGUSR1 goes to the tasks, and SIGTERM kills them; the
exit code is the highest one. A task that fails ends the others. Its own options are written to FAKE_SRUN_OPTIONS.
The variables of a step (`SLURM_STEP_...`) are what tells a task from a batch script.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

options = [word for word in sys.argv[1:] if word.startswith("--")]
command = sys.argv[1 + len(options) :]
asked = dict(word.removeprefix("--").partition("=")[::2] for word in options)
n_nodes, n_tasks, per_node = (int(asked[name]) for name in ("nodes", "ntasks", "ntasks-per-node"))
Path(os.environ["FAKE_SRUN_OPTIONS"]).write_text(" ".join(options))
tasks = []
for signal_number, passed_on in ((signal.SIGUSR1, signal.SIGUSR1), (signal.SIGTERM, signal.SIGKILL)):
    signal.signal(signal_number, lambda *_, number=passed_on: [task.send_signal(number) for task in tasks])
for rank in range(n_tasks):
    variables = {
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank % per_node,
        "SLURM_NODEID": rank // per_node,
        "SLURM_NTASKS": n_tasks,
        "SLURM_NPROCS": n_tasks,
        "SLURM_NTASKS_PER_NODE": per_node,
        "SLURM_NNODES": n_nodes,
        "SLURM_NODELIST": ",".join(["localhost"] * n_nodes),
        "SLURM_STEP_ID": 0,
        "SLURM_STEP_NUM_TASKS": n_tasks,
        "SLURM_STEP_NUM_NODES": n_nodes,
    }
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    tasks.append(subprocess.Popen(command, env=environment))
while any(task.poll() is None for task in tasks):
    if any(task.returncode for task in tasks):
        time.sleep(2)
        for task in tasks:
            task.kill()
    time.sleep(0.05)
sys.exit(max(code if code >= 0 else 128 - code for code in (task.wait() for task in tasks)))
