"""Encode every clip of one data set with one frozen encoder."""

from pathlib import Path

from earmark.embed import embed_dataset
from earmark.gpu_slots import start_gpu_job
from earmark.provenance import record

start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
params, log_mel = snakemake.params, Path(snakemake.input.log_mel[0]).parent
settings = {key: params[key] for key in ("encoder", "encoder_options", "frontend", "min_chunk_seconds")}
inputs = [snakemake.input.weights, log_mel / "index.parquet", log_mel / "statistics.json"]
embed_dataset(
    log_mel=log_mel,
    frontend=params.frontend,
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    weights=Path(snakemake.input.weights),
    view=snakemake.wildcards.view,
    embeddings=Path(snakemake.output.embeddings),
    index=Path(snakemake.output.index),
    card=Path(snakemake.output.card),
    provenance=record(params.code, settings, inputs, snakemake.wildcards.scale),
    accelerator=params.accelerator,
    threads=snakemake.threads,
    min_chunk_seconds=params.min_chunk_seconds,
)
