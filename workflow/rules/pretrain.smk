"""Weights of representations: trained here on tags or by BYOL, brought from a public checkpoint, or random."""


rule pretrain_encoder:
    """Train one encoder to tag the clips of the corpus; average its best checkpoints."""
    input:
        clips=corpus_file("clips.parquet"),
        audio=corpus_file("audio_16k.arrow"),
        ledger=corpus_file("ledger.csv"),
    output:
        weights="results/{scale}/encoders/{representation}/weights.safetensors",
        card="results/{scale}/encoders/{representation}/card.yaml",
        history="results/{scale}/encoders/{representation}/history.csv",
    log:
        "results/{scale}/logs/pretrain_encoder/{representation}.log",
    benchmark:
        "results/{scale}/benchmarks/pretrain_encoder/{representation}.tsv"
    wildcard_constraints:
        representation=one_of(TAGGED),
    # Most of what follows waits for it.
    priority: 100
    conda:
        "../../envs/torch.yaml"
    threads: resource("pretrain_encoder", "threads")
    resources:
        **on_nodes(),
        mem_mb=resource("pretrain_encoder", "mem_mb"),
        runtime=resource("pretrain_encoder", "runtime"),
        gpu=gpus(CONFIG.user["devices"] * CONFIG.user["nodes"]),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        frontend=frontend_of,
        corpus=corpus_of,
        vocabulary=corpus_vocabulary,
        protocol=pretraining_protocol,
        accelerator=CONFIG.user["accelerator"],
        precision=CONFIG.user["precision"],
        devices=devices_per_node,
        nodes=node_count,
        accumulate=CONFIG.user["accumulate"],
        scratch=scratch_dir,
        work="results/{scale}/encoders/{representation}/checkpoints",
        code=code("earmark.pretraining.tagging", "{encoder_module}"),
    script:
        "../../scripts/pretrain_encoder.py"


rule pretrain_byol:
    """Train one encoder by BYOL on the clips of its corpus, without labels."""
    input:
        clips=corpus_file("clips.parquet"),
        audio=corpus_file("audio_16k.arrow"),
        ledger=corpus_file("ledger.csv"),
    output:
        weights="results/{scale}/encoders/{representation}/weights.safetensors",
        card="results/{scale}/encoders/{representation}/card.yaml",
        history="results/{scale}/encoders/{representation}/history.csv",
    log:
        "results/{scale}/logs/pretrain_byol/{representation}.log",
    benchmark:
        "results/{scale}/benchmarks/pretrain_byol/{representation}.tsv"
    wildcard_constraints:
        representation=one_of(BYOL),
    conda:
        "../../envs/torch.yaml"
    threads: resource("pretrain_byol", "threads")
    resources:
        **on_nodes(),
        mem_mb=resource("pretrain_byol", "mem_mb"),
        runtime=resource("pretrain_byol", "runtime"),
        gpu=gpus(CONFIG.user["devices"] * CONFIG.user["nodes"]),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        frontend=frontend_of,
        corpus=corpus_of,
        protocol=byol_protocol,
        accelerator=CONFIG.user["accelerator"],
        precision=CONFIG.user["precision"],
        devices=devices_per_node,
        nodes=node_count,
        accumulate=CONFIG.user["accumulate"],
        scratch=scratch_dir,
        work="results/{scale}/encoders/{representation}/checkpoints",
        code=code("earmark.pretraining.byol", "{encoder_module}"),
    script:
        "../../scripts/pretrain_byol.py"


rule provide_weights:
    """Bring the public weights of one encoder into the workflow's form, or draw random ones where the scale says so."""
    input:
        record=record_of_encoder,
    output:
        weights="results/{scale}/encoders/{representation}/weights.safetensors",
        card="results/{scale}/encoders/{representation}/card.yaml",
    log:
        "results/{scale}/logs/provide_weights/{representation}.log",
    benchmark:
        "results/{scale}/benchmarks/provide_weights/{representation}.tsv"
    wildcard_constraints:
        representation=one_of(PUBLIC),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=resource("provide_weights", "mem_mb"),
        runtime=resource("provide_weights", "runtime"),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        checkpoint=public_file,
        own=own_file,
        trusted=trusted_files,
        seed=CONFIG.scale["data_seed"],
        code=code("earmark.public_weights.provide", "{encoder_module}"),
    script:
        "../../scripts/provide_weights.py"
