"""Write the small archives of one data set in its official layout."""

from pathlib import Path

from earmark.acquire.collect import collect_archives
from earmark.files import atomic_path
from earmark.logs import log_to
from earmark.mini import generate_archives

log_to(snakemake.log[0])
folder = Path(snakemake.params.archives)
with atomic_path(folder) as temporary:
    temporary.mkdir()
    generate_archives(snakemake.wildcards.dataset, temporary, snakemake.params.spec, snakemake.params.seed)
collect_archives(
    snakemake.wildcards.dataset,
    snakemake.params.spec,
    folders=[folder],
    manifest=Path(snakemake.output.manifest),
    names=snakemake.params.spec["mini"].get("files"),
    verify=False,
)
