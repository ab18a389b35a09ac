"""Train the head of one task on frozen embeddings, all seeds and folds."""

from pathlib import Path

from earmark.gpu_slots import start_gpu_job
from earmark.heads.frozen import train_probe
from earmark.provenance import record

start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
params, wildcards = snakemake.params, snakemake.wildcards
settings = {key: params[key] for key in ("encoder", "encoder_options", "task", "protocol", "precision", "max_folds")}
inputs = [snakemake.input.clips, snakemake.input.weights, snakemake.input.statistics]
train_probe(
    clips=Path(snakemake.input.clips),
    embeddings=[Path(path) for path in snakemake.input.embeddings],
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    task=params.task,
    vocabulary=params.vocabulary,
    max_folds=params.max_folds,
    protocol=params.protocol,
    seeds=params.seeds,
    names={"study": wildcards.study, "task": wildcards.task, "representation": wildcards.representation},
    runs=Path(params.runs),
    scores=Path(snakemake.output.scores),
    predictions=Path(snakemake.output.predictions),
    provenance=record(params.code, settings, inputs, wildcards.scale),
    accelerator=params.accelerator,
    precision=params.precision,
    threads=snakemake.threads,
)
