"""What the jobs behind benchmark files asked for."""

from pathlib import Path

from snakemake.iocontainers import Wildcards

# Snakemake's names
ASKED = {"mem_mb": "mem_mb", "runtime": "runtime", "threads": "_cores", "gpu": "gpu", "nodes": "nodes"}


def asked_of_benchmarks(wildcards):
    """Say what the first attempt of each finished job asks, by its benchmark file.

    In MB and threads of a node, minutes, GPUs of all nodes, and nodes.
    """
    folder = Path(f"{RESULTS}/benchmarks")
    measured = [entry for entry in workflow.rules if entry.benchmark]
    asked = {}
    for path in sorted(folder.rglob("*.tsv")):
        for entry in measured:
            if match := entry.benchmark.match(str(path)):
                names = Wildcards(fromdict=match.groupdict())
                found = {key: asked_number(entry, name, names) for key, name in ASKED.items()}
                asked[str(path.relative_to(folder))] = found
                break
    return asked


def asked_number(entry, name, names):
    """Give what the first attempt of a job of a rule asks of one resource; None where nothing is said."""
    declared = entry.resources.get(name)
    known = {"input": [], "threads": 1, "rulename": entry.name, "async_run": workflow.async_run}  # for --set-resources
    value = None if declared is None else declared.evaluate(names, attempt=1, **known).value
    return value if isinstance(value, int) else None
