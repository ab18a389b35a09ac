"""How many GPUs and nodes a job asks for, and what a run with a total of GPUs does before its first job."""

import sys

from earmark.errors import ConfigError
from earmark.gpu_slots import offer_gpus


def gpus(count=1):
    """Say how many GPUs a job asks for: none where all is computed on the CPU."""
    return 0 if CONFIG.user["accelerator"] == "cpu" else count


def devices_per_node(wildcards, resources):
    """Say how many processes train on each node. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["devices"]


def node_count(wildcards, resources):
    """Say on how many nodes a training runs; as `devices_per_node` no reason to train again, as results are the same."""
    return CONFIG.user["nodes"]


def on_nodes():
    """Give what a job on several nodes asks of SLURM beside the sum of its GPUs; nothing where one node does.

    `mpi` lets the plugin start the job on its first node without srun; the script then starts its tasks by srun.
    """
    nodes, devices = CONFIG.user["nodes"], CONFIG.user["devices"]
    if nodes == 1:
        return {}
    # The plugin refuses tasks_per_node: 1, and takes `tasks` for those of each GPU unless tasks_per_gpu is set.
    tasks = {"tasks": nodes, "tasks_per_gpu": 0} if devices == 1 else {"tasks_per_node": devices}
    asked = {"nodes": nodes, "mpi": "srun", "cpus_per_task": lambda wildcards, threads: max(1, threads // devices)}
    gres = {"gres": f"gpu:{devices}"} if gpus() else {}  # of each node; SLURM may deal the sum out unevenly
    return {**asked, **tasks, **gres}


def begin_gpu_run():
    """Offer the GPUs of this machine to the jobs, where a total is set; on a cluster that is the cluster's business."""
    total = workflow.global_resources.get("gpu")
    if total is None or not workflow.local_exec:
        return
    # From the rules: in the jobs Snakemake has cut it down to the total.
    asked = [job.rule.resources.get("gpu") for job in workflow.dag.needrun_jobs()]
    most_asked = max((entry.value or 0 for entry in asked if entry is not None), default=0)
    if not most_asked:
        return
    try:
        devices = offer_gpus(total.value, most_asked)
    except ConfigError as error:
        raise WorkflowError(str(error))
    text = f"{', '.join(devices)}, one job on each" if devices else "found none, so jobs compute on the CPU"
    print(f"GPUs: {text}.", file=sys.stderr)
