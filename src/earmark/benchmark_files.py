"""What Snakemake measured of a finished job: its benchmark file."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Seconds on the clock, peak memory (MB) and CPU seconds of a job; not a number where one was not measured."""

    seconds: float
    peak_mb: float
    cpu_seconds: float


def read_benchmark(path: Path) -> Measured | None:
    """Read the last measurement of a benchmark file; None where it has no seconds.

    A killed job leaves an empty file. Of a job shorter than its sampling interval Snakemake measures only the seconds.
    """
    with path.open(errors="replace") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows:
        return None
    measured = Measured(*(_number(rows[-1].get(name)) for name in ("s", "max_rss", "cpu_time")))
    return None if math.isnan(measured.seconds) else measured


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
