"""Figures, as pdf for papers and png for eyes."""


rule make_figure:
    """Draw one figure."""
    input:
        tables=tables_of_figure,
        published=published_of_figure,
        histories=histories_of_figure,
        cards=cards_of_figure,
        store=store_of_figure,
    output:
        pdf="results/{scale}/figures/{study}/{figure}.pdf",
        png=report(
            "results/{scale}/figures/{study}/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{study}",
            labels={"figure": "{figure}", "scale": "{scale}"},
        ),
    log:
        "results/{scale}/logs/make_figure/{study}/{figure}.log",
    benchmark:
        "results/{scale}/benchmarks/make_figure/{study}/{figure}.tsv"
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=resource("make_figure", "mem_mb"),
        runtime=resource("make_figure", "runtime"),
    params:
        figure=figure_of,
        definition=definition_of_figure,
        tasks=tasks_of_study,
        representations=representations_of_study,
        label=CONFIG.scale["label"],
        code=code_of_figure,
    script:
        "../../scripts/make_figure.py"
