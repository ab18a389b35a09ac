"""What the jobs of finished runs asked for and used, by rule and by study."""


def asked_of_benchmarks(wildcards):
    """Say what a first attempt asks, by the folder of benchmarks of its rule; rules of one kind share a folder."""
    asked = {}
    for name, values in asked_of_rules(wildcards).items():
        parts = Path(str(workflow.get_rule(name).benchmark)).parts
        folder = parts[parts.index("benchmarks") + 1].removesuffix(".tsv")
        asked[folder] = values | CONFIG.scale["resources"].get(folder, {})
    return asked


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
        homes=dict(zip(STUDIES, STUDIES)) | {name: study_of_representation(name) for name in REPRESENTATIONS},
        csv=f"{RESULTS}/costs.csv",
        by_study=f"{RESULTS}/costs_by_study.csv",
        md=f"{RESULTS}/costs.md",
        figure=f"{RESULTS}/costs.png",
        label=CONFIG.scale["label"],
    script:
        "../../scripts/make_costs.py"
