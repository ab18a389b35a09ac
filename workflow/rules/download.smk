"""Archives: generated at mini scale, found or fetched and verified otherwise.

What downloads runs where Snakemake does (`localrule`): nodes of a cluster often have no network.
"""


rule generate_archives:
    """Write the small archives of one data set in its official layout."""
    output:
        manifest=f"{DATA}/mini/{{dataset}}/archives.csv",
    log:
        f"{RESULTS}/logs/generate_archives/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate_archives/{{dataset}}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("generate_archives", "mem_mb"),
        runtime=resource("generate_archives", "runtime"),
    params:
        spec=dataset_parts(
            "title",
            "reader",
            "reader_options",
            "labels",
            "label_names",
            "label_type",
            "folds",
            "files",
            "mini",
            "licence",
            "access",
        ),
        seed=CONFIG.scale["data_seed"],
        # No output: Snakemake takes away those of a cancelled job, and killed meanwhile it would leave a part of them.
        archives=f"{DATA}/mini/{{dataset}}/archives",
        code=code("earmark.mini.{reader}", "earmark.acquire.collect"),
    script:
        "../../scripts/generate_archives.py"


rule acquire_archives:
    """Find or fetch the official archives of one data set, verify size and hash, list them."""
    output:
        manifest=f"{DATA}/real/{{dataset}}/archives.csv",
    log:
        f"{RESULTS}/logs/acquire_archives/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/acquire_archives/{{dataset}}.tsv"
    localrule: True
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("acquire_archives", "mem_mb"),
        runtime=resource("acquire_archives", "runtime"),
    params:
        spec=dataset_parts("title", "files", "licence", "access", "terms", "page", "hours", "missing_is_normal"),
        folders=[f"{DATA}/real/{{dataset}}/archives", *CONFIG.user["archive_dirs"]],
        offline=is_offline,
        code=code("earmark.acquire.local", "earmark.acquire.check", "earmark.acquire.manifest"),
    script:
        "../../scripts/acquire_archives.py"
