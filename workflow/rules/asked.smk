"""What the jobs behind benchmark files asked for."""

from pathlib import Path

from snakemake.iocontainers import Wildcards

ASKED = {"mem_mb": "mem_mb", "runtime": "runtime", "threads": "_cores", "gpu": "gpu"}  # Snakemake's names


def asked_of_benchmarks(wildcards):
    """Say in MB, minutes, threads and GPUs what the first attempt of each finished job asks, by its benchmark file."""
    folder = Path(f"{RESULTS}/benchmarks")
    measured = [entry for entry in workflow.rules if entry.benchmark]
    asked = {}
    for path in sorted(folder.rglob("*.tsv")):
        for entry in measured:
            if match := entry.benchmark.match(str(path)):
                names = Wildcards(fromdict=match.groupdict())
                asked[str(path.relative_to(folder))] = {
                    key: asked_number(entry, name, names) for key, name in ASKED.items()
                }
                break
    return asked


def asked_number(entry, name, names):
    """Give what the first attempt of a job of a rule asks of one resource; None where nothing is said."""
    declared = entry.resources.get(name)
    value = None if declared is None else declared.evaluate(names, attempt=1).value
    return value if isinstance(value, int) else None
