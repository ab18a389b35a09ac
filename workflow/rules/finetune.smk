"""Scratch and finetune modes: all weights of the encoder train with the head."""


rule finetune_encoder:
    """Train encoder and head of one task from the cached log-mel, all seeds and folds."""
    input:
        clips=clips_of_task,
        log_mel=log_mel_of_task,
        weights=weights_of_mode,
    output:
        scores="results/{scale}/scores/{study}/{task}/{representation}/{mode}.parquet",
        predictions="results/{scale}/scores/{study}/{task}/{representation}/{mode}_predictions.parquet",
    log:
        "results/{scale}/logs/finetune_encoder/{study}/{task}/{representation}/{mode}.log",
    benchmark:
        "results/{scale}/benchmarks/finetune_encoder/{study}/{task}/{representation}/{mode}.tsv"
    wildcard_constraints:
        mode="scratch|finetune",
    conda:
        "../../envs/torch.yaml"
    threads: resource("finetune_encoder", "threads")
    resources:
        mem_mb=resource("finetune_encoder", "mem_mb"),
        runtime=resource("finetune_encoder", "runtime"),
        gpu=gpus(),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        frontend=frontend_of,
        task=task_of,
        vocabulary=vocabulary_of_task,
        max_folds=CONFIG.scale["max_folds"],
        protocol=downstream_protocol,
        seeds=seeds_of_task,
        accelerator=CONFIG.user["accelerator"],
        precision=CONFIG.user["precision"],
        scratch=scratch_dir,
        runs="results/{scale}/scores/{study}/{task}/{representation}/{mode}/runs",
        code=code("earmark.heads.finetune", "{encoder_module}"),
    script:
        "../../scripts/finetune_encoder.py"
