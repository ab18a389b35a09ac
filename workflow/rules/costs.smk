"""What the jobs of finished runs asked for and used, by rule and by study."""


include: "asked.smk"


rule costs:
    """Write what finished jobs asked, used and wasted, by rule and by study, and draw it."""
    log:
        f"{RESULTS}/logs/costs.log",
    localrule: True
    conda:
        "../../envs/paper.yaml"
    params:
        results=RESULTS,
        asked=asked_of_benchmarks,
        homes=dict(zip(STUDIES, STUDIES)) | {name: CONFIG.study_of(name) for name in REPRESENTATIONS},
        csv=f"{RESULTS}/costs.csv",
        by_study=f"{RESULTS}/costs_by_study.csv",
        md=f"{RESULTS}/costs.md",
        figure=f"{RESULTS}/costs.png",
        label=CONFIG.scale["label"],
    script:
        "../../scripts/make_costs.py"
