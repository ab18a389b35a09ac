"""What jobs ask of a machine, and what a run does before its first job."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from earmark.cluster import Request, cancel_leftovers, check_cluster
from earmark.errors import ClusterError, ConfigError
from earmark.workdir import check_writable, enter, others

TRAININGS = ("pretrain_encoder", "pretrain_byol", "finetune_encoder")  # those that write checkpoints


def checkpoint_seconds_of(job):
    """Say how often a training writes a checkpoint; None for other jobs."""
    if job.rule.name not in TRAININGS:
        return None
    from earmark.training.loop import Schedule  # imports torch, so only where it is needed

    return job.params.protocol.get("checkpoint_seconds", Schedule.checkpoint_seconds)


def request_of(job):
    """Say what a job asks of the cluster."""
    asked = job.resources
    runtime = asked.get("runtime")
    minutes = runtime if isinstance(runtime, int) else None
    partition, account = (str(asked.get(f"slurm_{name}") or "") or None for name in ("partition", "account"))
    gpu = int(asked.get("gpu") or 0)
    longest = longest_of(job) if minutes else None
    return Request(job.rule.name, partition, account, gpu, minutes, checkpoint_seconds_of(job), longest)


def longest_of(job):
    """Say for how many minutes the last attempt of a job asks; None where each asks the same."""
    declared = job.rule.resources.get("runtime")
    if declared is None or not declared.is_evaluable():
        return None
    known = {"input": job.input, "threads": job.threads, "rulename": job.rule.name, "async_run": workflow.async_run}
    value = declared.evaluate(job.wildcards, attempt=1 + job.restart_times, **known).value
    return value if isinstance(value, int) else None


def is_sent(job):
    """Tell whether a job goes to the cluster where there is one; of the others none can have been left behind there."""
    return job.rule.group is not None or not (job.rule.norun or job.rule.name in workflow._localrules)


def begin_run():
    """Before the first job: look whether all can be written, check the cluster, cancel jobs of a killed Snakemake."""
    folder, engines, jobs, warnings = Path(workflow.workdir_init), others(Path()), None, []
    needed = list(workflow.dag.needrun_jobs())
    sent = [job for job in needed if is_sent(job)]
    try:
        check_writable(Path(), (str(file) for job in needed for file in (*job.output, *job.log)))
        prefix = "earmark"
        if workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm":
            settings, jobs = workflow.executor_settings, workflow.scheduler._executor.run_uuid
            prefix = settings.jobname_prefix or prefix
            warnings = check_cluster([request_of(job) for job in sent], settings.status_command)
        elif any("mpi" in job.resources.keys() for job in needed):
            from earmark.training.devices import check_nodes  # imports torch, so only where it is needed

            check_nodes(CONFIG.user["nodes"])
        left = []
        if sent and (jobs or any(engine.jobs for engine in engines)):
            left = cancel_leftovers(folder, prefix, engines)
    except (ClusterError, ConfigError) as error:
        raise WorkflowError(str(error))
    enter(Path(), jobs, cancelled=bool(sent))
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if left:
        print(f"Cancelled {len(left)} jobs that an earlier Snakemake left behind: {', '.join(left)}.", file=sys.stderr)
