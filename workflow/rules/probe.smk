"""Heads on cached embeddings: the head of frozen mode, and linear evaluation."""


rule train_probe:
    """Train the head of one task on frozen embeddings, all seeds and folds."""
    input:
        clips=clips_of_task,
        embeddings=embeddings_of_task,
        weights="results/{scale}/encoders/{representation}/weights.safetensors",
        statistics=statistics_of_task,
    output:
        scores="results/{scale}/scores/{study}/{task}/{representation}/frozen.parquet",
        predictions="results/{scale}/scores/{study}/{task}/{representation}/frozen_predictions.parquet",
    log:
        "results/{scale}/logs/train_probe/{study}/{task}/{representation}.log",
    benchmark:
        "results/{scale}/benchmarks/train_probe/{study}/{task}/{representation}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: resource("train_probe", "threads")
    resources:
        mem_mb=resource("train_probe", "mem_mb"),
        runtime=resource("train_probe", "runtime"),
        gpu=gpus(),
    params:
        encoder=encoder_slug,
        encoder_options=encoder_options,
        task=task_of,
        vocabulary=vocabulary_of_task,
        max_folds=CONFIG.scale["max_folds"],
        protocol=downstream_protocol,
        seeds=seeds_of_task,
        accelerator=CONFIG.user["accelerator"],
        precision=CONFIG.user["precision"],
        runs="results/{scale}/scores/{study}/{task}/{representation}/frozen/runs",
        code=code("earmark.heads.frozen", "{encoder_module}"),
    script:
        "../../scripts/train_probe.py"


for _study in STUDIES:
    if CONFIG.linear_tasks(_study):

        rule:
            name:
                f"evaluate_linear_{_study}"
            input:
                clips=clips_of_linear,
                embeddings=embeddings_of_linear,
            output:
                scores=expand(
                    "results/{{scale}}/scores/{{study}}/{task}/{{representation}}/linear.parquet",
                    task=CONFIG.linear_tasks(_study),
                ),
                predictions=expand(
                    "results/{{scale}}/scores/{{study}}/{task}/{{representation}}/linear_predictions.parquet",
                    task=CONFIG.linear_tasks(_study),
                ),
            log:
                "results/{scale}/logs/evaluate_linear/{study}/{representation}.log",
            benchmark:
                "results/{scale}/benchmarks/evaluate_linear/{study}/{representation}.tsv"
            wildcard_constraints:
                study=one_of([_study]),
                representation=one_of(LINEAR),
            conda:
                "../../envs/torch.yaml"
            threads: resource("evaluate_linear", "threads")
            resources:
                mem_mb=resource("evaluate_linear", "mem_mb"),
                runtime=resource("evaluate_linear", "runtime"),
                gpu=gpus(),
            params:
                encoder=encoder_slug,
                encoder_options=encoder_options,
                tasks=tasks_of_linear,
                fixed_learning_rate=has_fixed_learning_rate,
                protocol=linear_protocol,
                accelerator=CONFIG.user["accelerator"],
                precision=CONFIG.user["precision"],
                runs=runs_of_linear,
                code=code("earmark.heads.linear"),
            script:
                "../../scripts/evaluate_linear.py"
