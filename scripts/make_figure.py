"""Draw one figure."""

from pathlib import Path

from earmark.figures import make_figure
from earmark.logs import log_to

log_to(snakemake.log[0])
make_figure(
    spec=snakemake.params.figure,
    tables=[Path(path) for path in snakemake.input.tables],
    published=[Path(path) for path in snakemake.input.published],
    histories=[Path(path) for path in snakemake.input.histories],
    cards=[Path(path) for path in snakemake.input.cards],
    store=[Path(path) for path in snakemake.input.store],
    definition=snakemake.params.definition,
    tasks=snakemake.params.tasks,
    representations=snakemake.params.representations,
    label=snakemake.params.label,
    pdf=Path(snakemake.output.pdf),
    png=Path(snakemake.output.png),
)
