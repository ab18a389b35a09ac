"""Train the linear heads of all tasks of one representation on its embeddings, all seeds, folds and learning rates."""

from pathlib import Path

from earmark.gpu_slots import start_gpu_job
from earmark.heads.linear import train_linear_probes
from earmark.provenance import record

start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
params, wildcards = snakemake.params, snakemake.wildcards
train_linear_probes(
    tasks=params.tasks,
    clips=[Path(path) for path in snakemake.input.clips],
    embeddings=[Path(path) for path in snakemake.input.embeddings],
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    fixed_learning_rate=params.fixed_learning_rate,
    protocol=params.protocol,
    names={"study": wildcards.study, "representation": wildcards.representation},
    runs=params.runs,
    scores=[Path(path) for path in snakemake.output.scores],
    predictions=[Path(path) for path in snakemake.output.predictions],
    provenance=record(params.code, params.tasks, [], wildcards.scale),
    accelerator=params.accelerator,
    precision=params.precision,
    threads=snakemake.threads,
)
