"""Counts of the prepared stores, and the tables."""


rule count_task:
    """Count the clips and labels of one task in the prepared store."""
    input:
        clips=clips_of_task,
    output:
        counts="results/{scale}/counts/{study}/{task}.csv",
    log:
        "results/{scale}/logs/count_task/{study}/{task}.log",
    benchmark:
        "results/{scale}/benchmarks/count_task/{study}/{task}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("count_task", "mem_mb"),
        runtime=resource("count_task", "runtime"),
    params:
        task=task_of,
        vocabulary=vocabulary_of_task,
        code=code("earmark.counts"),
    script:
        "../../scripts/count_task.py"


rule count_corpus:
    """Count the clips and labels of the pre-training corpus in the prepared store."""
    input:
        clips=corpus_clips_of_study,
    output:
        counts="results/{scale}/counts/{study}/upstream.csv",
    log:
        "results/{scale}/logs/count_corpus/{study}.log",
    benchmark:
        "results/{scale}/benchmarks/count_corpus/{study}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("count_corpus", "mem_mb"),
        runtime=resource("count_corpus", "runtime"),
    params:
        corpus=corpus_of_study,
        vocabulary=corpus_labels_of_study,
        code=code("earmark.counts"),
    script:
        "../../scripts/count_corpus.py"


rule describe_study:
    """Compute the sizes, shapes and classes that a study's tables describe, from code and configuration."""
    output:
        descriptions="results/{scale}/descriptions/{study}.csv",
    log:
        "results/{scale}/logs/describe_study/{study}.log",
    benchmark:
        "results/{scale}/benchmarks/describe_study/{study}.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=resource("describe_study", "mem_mb"),
        runtime=resource("describe_study", "runtime"),
    params:
        tables=described_tables_of_study,
        representations=described_representations_of_study,
        subsets=described_subsets_of_study,
        code=code_of_descriptions,
    script:
        "../../scripts/describe_study.py"


rule make_table:
    """Put published and measured numbers of one table side by side, in four formats."""
    input:
        published=checkout("paper/{study}/published/{table}.csv"),
        scores=scores_of_table,
        cards=cards_of_table,
        counts=counts_of_table,
        descriptions=descriptions_of_table,
    output:
        csv="results/{scale}/tables/{study}/{table}.csv",
        md="results/{scale}/tables/{study}/{table}.md",
        tex="results/{scale}/tables/{study}/{table}.tex",
        html=report(
            "results/{scale}/tables/{study}/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            subcategory="{study}",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
    log:
        "results/{scale}/logs/make_table/{study}/{table}.log",
    benchmark:
        "results/{scale}/benchmarks/make_table/{study}/{table}.tsv"
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=resource("make_table", "mem_mb"),
        runtime=resource("make_table", "runtime"),
    params:
        table=table_of,
        tasks=tasks_of_study,
        left_out=left_out_of_table,
        label=CONFIG.scale["label"],
        remarks=remarks_of_study,
        code=code("earmark.tables"),
    script:
        "../../scripts/make_table.py"
