"""Put published and measured numbers of one table side by side, in four formats."""

from pathlib import Path

from earmark.logs import log_to
from earmark.provenance import record
from earmark.tables import make_table

log_to(snakemake.log[0])
params, inputs = snakemake.params, snakemake.input
settings = {key: params[key] for key in ("table", "tasks", "left_out", "label", "remarks")}
make_table(
    table=snakemake.wildcards.table,
    spec=params.table,
    tasks=params.tasks,
    published=Path(inputs.published),
    scores=[Path(path) for path in inputs.scores],
    cards=[Path(path) for path in inputs.cards],
    counts=[Path(path) for path in inputs.counts],
    descriptions=[Path(path) for path in inputs.descriptions],
    not_run=params.left_out,
    scale=snakemake.wildcards.scale,
    label=params.label,
    provenance=record(params.code, settings, list(inputs), snakemake.wildcards.scale),
    remarks=params.remarks,
    **{name: Path(snakemake.output[name]) for name in ("csv", "md", "tex", "html")},
)
