"""Encode a crop of every clip of several data sets with one frozen encoder."""

from pathlib import Path

from earmark.embed import embed_views
from earmark.gpu_slots import start_gpu_job
from earmark.provenance import record

start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
params, given = snakemake.params, snakemake.input
weights = str(given.get("weights", ""))  # of no file or one
# data/<source>/<dataset>/clips.parquet and data/<source>/<dataset>/log_mel/<front-end>/index.parquet
stores = {path.parent.name: path.parent for path in map(Path, given.get("stores", []))}
log_mels = {path.parents[2].name: path.parent for path in map(Path, given.get("log_mel", []))}
outputs = zip(snakemake.output.embeddings, snakemake.output.index, snakemake.output.card, strict=True)
datasets = {
    name: {"store": stores[name], "log_mel": log_mels.get(name), "view": view, "folder": Path(files[0]).parent}
    for (name, view), files in zip(params.datasets.items(), outputs, strict=True)
}
settings = {key: params[key] for key in ("encoder", "encoder_options", "frontend", "module", "datasets")}
digested = [path for path in given if Path(path).suffix in (".parquet", ".json", ".safetensors")]
embed_views(
    datasets=datasets,
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    weights=Path(weights) if weights else None,
    frontend=params.frontend,
    module=params.module,
    work=Path(params.work),
    provenance=record(params.code, settings, digested, snakemake.wildcards.scale),
    accelerator=params.accelerator,
    threads=snakemake.threads,
)
