"""Train one encoder to tag the clips of the corpus; average its best checkpoints."""

from pathlib import Path

from earmark.gpu_slots import start_gpu_job
from earmark.pretraining.tagging import pretrain_tagging
from earmark.provenance import record
from earmark.scratch import near_folder
from earmark.training.devices import log_of_process, start_on_nodes

start_gpu_job(log_of_process(snakemake.log[0]), snakemake.resources.gpu)
params = snakemake.params
start_on_nodes(params.nodes, params.devices, snakemake.threads)
settings = {key: params[key] for key in ("encoder", "encoder_options", "frontend", "corpus", "protocol", "precision")}
pretrain_tagging(
    store=near_folder([snakemake.input.clips, snakemake.input.audio], params.scratch),
    frontend=params.frontend,
    encoder=params.encoder,
    encoder_options=params.encoder_options,
    vocabulary=params.vocabulary,
    corpus=params.corpus,
    protocol=params.protocol,
    weights=Path(snakemake.output.weights),
    card=Path(snakemake.output.card),
    history=Path(snakemake.output.history),
    work=Path(params.work),
    provenance=record(params.code, settings, [snakemake.input.clips], snakemake.wildcards.scale),
    accelerator=params.accelerator,
    devices=params.devices,
    precision=params.precision,
    threads=snakemake.threads,
    accumulate=params.accumulate,
    ledger=Path(snakemake.input.ledger),
)
