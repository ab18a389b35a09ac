"""Public checkpoints: their files found or downloaded, checked and recorded, by name or all that are within reach.

What downloads runs where Snakemake does (`localrule`): nodes of a cluster often have no network.
"""


rule fetch_checkpoint:
    """Find or download one file of a public checkpoint, hold it against its hash, and write down what it is."""
    output:
        record=f"{DATA}/checkpoints/{{checkpoint}}/{{file}}.yaml",
    log:
        f"{RESULTS}/logs/fetch_checkpoint/{{checkpoint}}/{{file}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch_checkpoint/{{checkpoint}}/{{file}}.tsv"
    wildcard_constraints:
        checkpoint=one_of(CHECKPOINTS),
        file=one_of([entry["name"] for _, entry in CHECKPOINT_FILES]),
    localrule: True
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("fetch_checkpoint", "mem_mb"),
        runtime=resource("fetch_checkpoint", "runtime"),
    params:
        spec=row_of_checkpoint,
        store=f"{DATA}/checkpoints/{{checkpoint}}",
        folders=archive_folders,
        offline=is_offline,
        code=code("earmark.public_weights.check", "earmark.public_weights.kinds", "earmark.public_weights.members"),
    script:
        "../../scripts/fetch_checkpoint.py"


for _checkpoint in CHECKPOINTS:

    rule:
        name:
            f"checkpoint_{_checkpoint}"
        input:
            required_records(_checkpoint),
        localrule: True


rule checkpoints:
    """Fetch every public checkpoint that has an address or was brought by the user."""
    input:
        records_within_reach(),
    localrule: True
