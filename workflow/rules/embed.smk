"""Embeddings: each clip of a data set through a frozen encoder, once."""


rule embed_dataset:
    """Encode every clip of one data set with one frozen encoder."""
    input:
        log_mel=log_mel_of_representation,
        weights="results/{scale}/encoders/{representation}/weights.safetensors",
    output:
        embeddings="results/{scale}/embeddings/{representation}/{dataset}/{view}/embeddings.npy",
        index="results/{scale}/embeddings/{representation}/{dataset}/{view}/index.parquet",
        card="results/{scale}/embeddings/{representation}/{dataset}/{view}/card.yaml",
    log:
        "results/{scale}/logs/embed_dataset/{representation}/{dataset}/{view}.log",
    benchmark:
        "results/{scale}/benchmarks/embed_dataset/{representation}/{dataset}/{view}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: resource("embed_dataset", "threads")
    resources:
        mem_mb=resource("embed_dataset", "mem_mb"),
        runtime=resource("embed_dataset", "runtime"),
        gpu=gpus(),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        frontend=frontend_of,
        min_chunk_seconds=min_chunk_seconds,
        accelerator=CONFIG.user["accelerator"],
        code=code("earmark.embed", "{encoder_module}"),
    script:
        "../../scripts/embed_dataset.py"


if linear_views():

    rule embed_views:
        """Encode every clip of all data sets of linear evaluation with one frozen encoder."""
        input:
            stores=embedded_stores,
            log_mel=embedded_log_mel,
            weights=embedding_weights,
        output:
            embeddings=embedded_files("embeddings.npy"),
            index=embedded_files("index.parquet"),
            card=embedded_files("card.yaml"),
        log:
            "results/{scale}/logs/embed_views/{representation}.log",
        benchmark:
            "results/{scale}/benchmarks/embed_views/{representation}.tsv"
        wildcard_constraints:
            representation=one_of(LINEAR),
        conda:
            "../../envs/torch.yaml"
        threads: resource("embed_views", "threads")
        resources:
            mem_mb=resource("embed_views", "mem_mb"),
            runtime=resource("embed_views", "runtime"),
            gpu=gpus(),
        params:
            encoder=encoder_slug,
            encoder_options=encoder_options,
            frontend=embedding_frontend,
            module=outside_module,
            datasets=dict(linear_views()),
            accelerator=CONFIG.user["accelerator"],
            work="results/{scale}/embeddings/{representation}/.work",
            code=code("earmark.embed", "{encoder_module}"),
        script:
            "../../scripts/embed_views.py"
