"""What the jobs of finished runs asked for and used, by rule and by study."""

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


rule costs:
    """Write what finished jobs asked, used and wasted, by rule and by study, and draw it."""
    log:
        f"{RESULTS}/logs/costs.log",
    localrule: True
    conda:
        "../../envs/paper.yaml"
    params:
        results=RESULTS,
        asked=asked_of_benchmarks,
        homes=dict(zip(STUDIES, STUDIES)) | {name: study_of_representation(name) for name in REPRESENTATIONS},
        csv=f"{RESULTS}/costs.csv",
        by_study=f"{RESULTS}/costs_by_study.csv",
        md=f"{RESULTS}/costs.md",
        figure=f"{RESULTS}/costs.png",
        label=CONFIG.scale["label"],
    script:
        "../../scripts/make_costs.py"
