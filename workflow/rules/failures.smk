"""What a run says when it cannot begin, and when jobs have failed."""

import logging
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from earmark.errors import ConfigError
from earmark.failures import JobErrors, describe, find_failures, record_failures
from earmark.workdir import check_writable, declare_dead, explain_lock

JOB_ERRORS = JobErrors()


def explain_in_log(record):
    """Add to Snakemake's message on a locked folder who holds the lock, and what to do."""
    if getattr(record, "exception", None) == "LockException":
        record.msg = f"{record.msg}\n\n{explain_lock(Path(), sys.argv)}"
    return True


try:  # a job looks on its own node, whose results folder may be another one or read-only
    check_writable(Path(), [".snakemake/log" if workflow.is_main_process else f"{RESULTS}/logs/job.log"])
except ConfigError as error:
    raise WorkflowError(str(error))
if workflow.is_main_process:
    logging.getLogger("snakemake.logging").addHandler(JOB_ERRORS)
    logging.getLogger("snakemake.logging").addFilter(explain_in_log)
    if "--unlock" in sys.argv:
        declare_dead(Path())


def is_part():
    """Tell whether the run was asked for less than a study, and so says nothing of failures in the rest of it."""
    targets = set(workflow.dag_settings.targets)
    return bool(targets) and not targets & {"all", *STUDIES}


onsuccess:
    record_failures(Path(RESULTS), [], is_part())


onerror:
    scheduler = workflow.scheduler
    failed = find_failures(scheduler.failed, JOB_ERRORS, sys.argv, workflow.dag_settings.targets)
    if failed:
        record_failures(Path(RESULTS), failed, is_part())
        waiting = len(scheduler.remaining_jobs)
        print(f"\n{describe(failed)}", file=sys.stderr)
        print(f"This table is also in {RESULTS}/failures.md. {waiting} jobs wait for these files.", file=sys.stderr)
