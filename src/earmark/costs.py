"""What finished jobs asked for, used and wasted, by rule and by study, from Snakemake's benchmark files."""

import os
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.benchmark_files import read_benchmark
from earmark.config.load import MODES
from earmark.errors import EarmarkError
from earmark.figures.drawing import GREY, INK, LARGE, NORMAL, SMALL, WIDTH
from earmark.files import atomic_path, write_text

HEADINGS = {
    "rule": "rule",
    "jobs": "jobs",
    "hours_asked": "hours asked",
    "hours_used": "used",
    "hours_wasted": "wasted",
    "longest_share": "longest / asked",
    "gb_asked": "GB asked",
    "gb_peak": "peak",
    "gb_hours_wasted": "GB h wasted",
    "cpu_hours_asked": "CPU h asked",
    "cpu_hours_used": "used",
    "cpu_hours_wasted": "wasted",
    "gpu_hours": "GPU h",
}
STUDY_HEADINGS = {
    "study": "study",
    "rule": "rule",
    "jobs": "jobs",
    "seconds": "seconds",
    "hours": "hours",
    "core_hours": "core h",
    "cpu_hours": "CPU h used",
    "gpu_hours": "GPU h",
    "gb_peak": "GB peak",
}
SHARED = "shared"
COLOURS = ("#1b6ca8", "#d1603d", "#5a9367", "#7a5195", "#c9a227")
LEGEND = (
    "Hours asked are a job's time limit, used its seconds on the clock; a limit that is not used up costs nothing but"
    " the scheduler's favour. GB and CPU asked are held for as long as the job runs: wasted is what it held and did not"
    " use. Core and GPU hours are held, whether used or not, on all nodes of a job; GB are those of one node. Asked is"
    " what a first attempt asks. Finished jobs only, at their last attempt; `-` where none was measured: a job too"
    " short, or on several nodes. What serves several studies is `shared`."
)


def make_costs(
    *,
    results: Path,
    asked: Mapping[str, Mapping[str, Any]],
    homes: Mapping[str, str],
    csv: Path,
    by_study: Path,
    md: Path,
    figure: Path,
    label: str | None,
) -> str:
    """Write the tables of costs as csv and Markdown and draw them, and return the Markdown.

    `results`: the folder `results/<scale>`. `asked`: by the path of a benchmark file under its `benchmarks` what the
    job asked: `mem_mb` and `threads` of a node, `runtime` (minutes), `gpu` of all nodes, `nodes`, None where nothing
    was said. `homes`: {study or representation: study}. Raises EarmarkError when no job has finished yet.
    """
    jobs = read_benchmarks(results / "benchmarks", asked, homes)
    costs, studies = sum_costs(jobs), sum_studies(jobs)
    for path, table in ((csv, costs), (by_study, studies)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.4f")
    with atomic_path(figure) as temporary:
        draw_costs(costs, studies, label).savefig(temporary, dpi=160)
    parts = [
        *([f"*{label}*"] if label else []),
        _to_markdown(costs, HEADINGS),
        _to_markdown(studies, STUDY_HEADINGS),
        LEGEND,
        describe_files(results, len(jobs)),
    ]
    text = "\n\n".join(parts)
    write_text(md, text + "\n")
    return text


def read_benchmarks(folder: Path, asked: Mapping[str, Mapping[str, Any]], homes: Mapping[str, str]) -> pd.DataFrame:
    """Read the benchmark files of finished jobs: one row a job.

    Columns: `rule`, `study`, `hours` on the clock, `gb` and `cpu_hours` used, and as asked `limit` (hours), `gb_asked`
    of a node, `threads` and `gpus` of all nodes. `homes`: {study or representation: study}; the path
    `<rule>/<study or representation>/...` tells the study, other work is `shared`. A measure that Snakemake has not
    taken (a job of less than its sampling interval) is missing, as is what was not asked; so are memory and CPU hours
    of a job on several nodes, where Snakemake sees only the process that waits for them. A file without seconds, as a
    killed job leaves it, is left out. Raises EarmarkError when there is no file.
    """
    rows = []
    for name, wants in asked.items():
        rule, *rest = Path(name).with_suffix("").parts
        measured, nodes = read_benchmark(folder / name), wants["nodes"] or 1
        if measured is None:
            continue
        seen = 1.0 if nodes == 1 else float("nan")
        rows.append(
            {
                "rule": rule,
                "study": homes.get(rest[0], SHARED) if rest else SHARED,
                "hours": measured.seconds / 3600,
                "gb": seen * measured.peak_mb / 1000,
                "cpu_hours": seen * measured.cpu_seconds / 3600,
                "limit": _or_nan(wants["runtime"]) / 60,
                "gb_asked": _or_nan(wants["mem_mb"]) / 1000,
                "threads": nodes * (wants["threads"] or 1),
                "gpus": wants["gpu"] or 0,
            }
        )
    if not rows:
        raise EarmarkError(f"found no finished job in {folder}; costs are summed after a run. Make a table first.")
    return pd.DataFrame(rows)


def sum_costs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Add up what the jobs of each rule asked, used and wasted; the most hours first, a last row for all.

    `jobs`: as from `read_benchmarks`. Hours on the clock, GB as 1,000 MB (of jobs that asked differently the most), CPU
    and GPU hours.
    """
    rows = []
    for name, group in jobs.groupby("rule"):
        hours, cpu_asked = group["hours"], group["threads"] * group["hours"]
        rows.append(
            {
                "rule": name,
                "jobs": len(group),
                "hours_asked": group["limit"].sum(min_count=1),
                "hours_used": hours.sum(),
                "hours_wasted": (group["limit"] - hours).sum(min_count=1),
                "longest_share": (hours / group["limit"]).max(),
                "gb_asked": group["gb_asked"].max(),
                "gb_peak": group["gb"].max(),
                "gb_hours_wasted": ((group["gb_asked"] - group["gb"]) * hours).sum(min_count=1),
                "cpu_hours_asked": cpu_asked.sum(),
                "cpu_hours_used": group["cpu_hours"].sum(min_count=1),
                "cpu_hours_wasted": (cpu_asked - group["cpu_hours"]).sum(min_count=1),
                "gpu_hours": (group["gpus"] * hours).sum(),
            }
        )
    costs = pd.DataFrame(rows).sort_values(["hours_used", "rule"], ascending=[False, True], ignore_index=True)
    whole = {key: costs[key].sum() for key in costs if "hours" in key or key == "jobs"}
    return pd.concat([costs, pd.DataFrame([{"rule": "all", **whole}])], ignore_index=True)[list(HEADINGS)]


def sum_studies(jobs: pd.DataFrame) -> pd.DataFrame:
    """Add up what the jobs of each study took, rule by rule, the most hours first, and after them all of its rules.

    `jobs`: as from `read_benchmarks`. Core hours are threads asked times hours on the clock; GB as 1,000 MB.
    """
    per_job = pd.DataFrame(
        {
            "study": jobs["study"],
            "rule": jobs["rule"],
            "jobs": 1,
            "seconds": jobs["hours"] * 3600,
            "hours": jobs["hours"],
            "core_hours": jobs["threads"] * jobs["hours"],
            "cpu_hours": jobs["cpu_hours"],
            "gpu_hours": jobs["gpus"] * jobs["hours"],
            "gb_peak": jobs["gb"],
        }
    )
    how = dict.fromkeys(list(STUDY_HEADINGS)[2:], "sum") | {
        "gb_peak": "max",
        "cpu_hours": partial(pd.Series.sum, min_count=1),
    }
    parts = []
    for study, group in per_job.groupby("study"):
        rules = group.groupby("rule", as_index=False).agg(how).sort_values("hours", ascending=False)
        whole = pd.DataFrame([{"rule": "all", **group.agg(how)}])
        parts.append(pd.concat([rules, whole]).assign(study=study))
    return pd.concat(parts, ignore_index=True)[list(STUDY_HEADINGS)].astype({"jobs": int})


def describe_files(results: Path, n_jobs: int) -> str:
    """Say how many files lie under `results/<scale>`, and how many that is for 1,000 runs (seed and fold of a task).

    `n_jobs`: jobs in the tables; benchmark files of others, no longer declared, are named.
    """
    counts, runs, unused = Counter(), 0, -n_jobs
    tables = {f"{mode}.parquet" for mode in MODES}
    for folder, _, names in os.walk(results):
        parts = Path(folder).relative_to(results).parts
        counts[parts[0] if parts else "."] += len(names)
        if parts[:1] == ("scores",):
            found = [
                pd.read_parquet(Path(folder) / name, columns=["seed", "fold"]) for name in tables.intersection(names)
            ]
            runs += sum(len(table.drop_duplicates()) for table in found)  # a run may have several metrics
        if parts[:1] == ("benchmarks",):
            unused += sum((Path(folder) / name).stat().st_size > 0 for name in names)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
    text = f"Files under {results}: {counts.total():,} ({told}) for {runs:,} finished runs"
    text += f": {1000 * counts.total() / runs:,.0f} files per 1,000 runs." if runs else "."
    return text + (
        f" {unused:,} benchmark files are of jobs that this configuration lacks; left out." if unused else ""
    )


def draw_costs(costs: pd.DataFrame, studies: pd.DataFrame, label: str | None):
    """Draw hours on the clock by rule and study, and beside them the memory that each rule asked and used at most.

    `costs`, `studies`: as from `sum_costs` and `sum_studies`. Returns a matplotlib figure.
    """
    from matplotlib.figure import Figure

    rules = list(costs["rule"][:-1])[::-1]  # the most hours at the top
    figure = Figure(figsize=(WIDTH, 1.3 + 0.22 * len(rules)))
    hours_axes, memory_axes = figure.subplots(1, 2, sharey=True)
    hours = studies[studies["rule"] != "all"].pivot(index="rule", columns="study", values="hours")
    hours, left = hours.reindex(rules).fillna(0.0), pd.Series(0.0, index=rules)
    for number, study in enumerate(hours):
        hours_axes.barh(rules, hours[study], left=left, color=COLOURS[number % len(COLOURS)], label=study)
        left += hours[study]
    memory = costs.set_index("rule").loc[rules]
    memory_axes.barh(rules, memory["gb_asked"], color="none", edgecolor=GREY, label="asked")
    memory_axes.barh(rules, memory["gb_peak"], height=0.5, color=INK, label="used at most")
    for axes, name in ((hours_axes, "Hours on the clock"), (memory_axes, "Memory of a job (GB)")):
        axes.set_xlim(0, 1.05 * axes.dataLim.x1)
        axes.set_xlabel(name, fontsize=NORMAL)
        axes.tick_params(labelsize=SMALL, length=2.5)
        axes.legend(fontsize=SMALL, frameon=False)
    if label:
        figure.text(0.5, 0.995, label, ha="center", va="top", fontsize=LARGE, fontweight="bold", color="#8a6100")
    figure.tight_layout(rect=(0, 0, 1, 0.94 if label else 1))
    return figure


def _or_nan(value: int | None) -> float:
    return float("nan") if value is None else value


def _to_markdown(table: pd.DataFrame, headings: Mapping[str, str]) -> str:
    lines = [f"| {' | '.join(headings.values())} |", "|---|" + "---:|" * (len(headings) - 1)]
    for row in table.to_dict("records"):
        cells = ["-" if pd.isna(value) else value for value in row.values()]
        lines.append(f"| {' | '.join(cell if isinstance(cell, str) else _spell(cell) for cell in cells)} |")
    return "\n".join(lines)


def _spell(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
