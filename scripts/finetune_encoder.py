"""Train encoder and head of one task from the cached log-mel, all seeds and folds."""

from pathlib import Path

from earmark.gpu_slots import start_gpu_job
from earmark.heads.finetune import finetune_encoder
from earmark.provenance import record
from earmark.scratch import near_folder

start_gpu_job(snakemake.log[0], snakemake.resources.gpu)
params, wildcards, weights = snakemake.params, snakemake.wildcards, snakemake.input.get("weights")
settings = {key: params[key] for key in ("encoder", "encoder_options", "task", "protocol", "precision", "max_folds")}
inputs = [snakemake.input.clips, snakemake.input.log_mel[2], *([weights] if weights else [])]
finetune_encoder(
    clips=Path(snakemake.input.clips),
    log_mel=near_folder(snakemake.input.log_mel, params.scratch),
    frontend=params.frontend,
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    weights=Path(weights) if weights else None,
    mode=wildcards.mode,
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
