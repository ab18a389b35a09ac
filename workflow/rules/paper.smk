"""The document that binds tables, figures and notes of a study."""


rule make_report:
    """Bind all tables, figures and notes into one document."""
    input:
        tables=all_tables,
        figures=all_figures,
        notes=expand(checkout("paper/{study}/notes.md"), study=STUDIES),
        template=checkout("paper/report.typ"),
    output:
        pdf=report("results/{scale}/report.pdf", caption="../report/report.rst", category="Document"),
    log:
        "results/{scale}/logs/make_report.log",
    benchmark:
        "results/{scale}/benchmarks/make_report.tsv"
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=resource("make_report", "mem_mb"),
        runtime=resource("make_report", "runtime"),
    params:
        studies=CONFIG.studies,
        label=CONFIG.scale["label"],
        remarks=[remark for study in STUDIES for remark in run_remarks(CONFIG, study)],
        code=code("earmark.report"),
    script:
        "../../scripts/make_report.py"
