"""Write the small archives of one data set in its official layout."""

import shutil
from pathlib import Path

from earmark.acquire.collect import collect_archives
from earmark.logs import log_to
from earmark.mini import generate_archives

log_to(snakemake.log[0])
folder = Path(snakemake.params.archives)
if folder.exists():
    shutil.rmtree(folder)
folder.mkdir(parents=True)
generate_archives(snakemake.wildcards.dataset, folder, snakemake.params.spec, snakemake.params.seed)
collect_archives(
    snakemake.wildcards.dataset,
    snakemake.params.spec,
    folders=[folder],
    manifest=Path(snakemake.output.manifest),
    names=snakemake.params.spec["mini"].get("files"),
    verify=False,
)
