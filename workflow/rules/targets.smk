"""Names that a user types: all, a study, a table, a figure, a data set, a plan."""

import sys

for _study in STUDIES:

    rule:
        name:
            _study
        input:
            files_of_study(_study),
        localrule: True

    for _table in CONFIG.studies[_study]["tables"]:

        rule:
            name:
                f"{_study}_{_table}"
            input:
                f"{RESULTS}/tables/{_study}/{_table}.csv",
            localrule: True

    for _figure in CONFIG.studies[_study]["figures"]:

        rule:
            name:
                f"{_study}_{_figure}"
            input:
                f"{RESULTS}/figures/{_study}/{_figure}.png",
            localrule: True


for _dataset in DATASETS:

    rule:
        name:
            f"data_{_dataset}"
        input:
            f"{DATA}/{SOURCE}/{_dataset}/clips.parquet",
        localrule: True


rule data:
    """Prepare every data set that can be had, and say for each other one what the user must do."""
    input:
        present_files("clips.parquet"),
    log:
        f"{RESULTS}/logs/data.log",
    localrule: True
    conda:
        "../../envs/audio.yaml"
    params:
        text=absent_text,
    script:
        "../../scripts/explain_absent.py"


rule plan:
    """Print what a run would take: jobs, trainings, hours, disk, and the data sets a user must bring."""
    log:
        f"{RESULTS}/logs/plan.log",
    localrule: True
    conda:
        "../../envs/audio.yaml"
    params:
        root=ROOT,
        config=config,
    script:
        "../../scripts/print_plan.py"


onstart:
    begin_run()
    begin_gpu_run()
    if absent_datasets():
        names = ", ".join(absent_datasets())
        print(f"Data sets not here, so left out: {names}. `snakemake plan` says more.", file=sys.stderr)
