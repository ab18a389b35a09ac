"""Compute the sizes, shapes and classes that a study's tables describe."""

from pathlib import Path

from earmark.descriptions import describe_study
from earmark.logs import log_to

log_to(snakemake.log[0])
describe_study(
    tables=snakemake.params.tables,
    representations=snakemake.params.representations,
    subsets=snakemake.params.subsets,
    descriptions=Path(snakemake.output.descriptions),
)
