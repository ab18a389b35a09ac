"""Data cards: one page a data set, and one page of all."""


rule describe_dataset:
    """Write the data card of one prepared data set."""
    input:
        manifest=f"{DATA}/{{source}}/{{dataset}}/archives.csv",
        clips=f"{DATA}/{{source}}/{{dataset}}/clips.parquet",
        ledger=f"{DATA}/{{source}}/{{dataset}}/ledger.csv",
    output:
        card=f"{DATA}/{{source}}/{{dataset}}/card.md",
        facts=f"{DATA}/{{source}}/{{dataset}}/card.json",
    log:
        f"{RESULTS}/logs/describe_dataset/{{source}}/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_dataset/{{source}}/{{dataset}}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=resource("describe_dataset", "mem_mb"),
        runtime=resource("describe_dataset", "runtime"),
    params:
        spec=dataset_of,
        label=generated_label(),
        code=code("earmark.cards"),
    script:
        "../../scripts/describe_dataset.py"


rule bind_data_cards:
    """Bind the data cards of all data sets that are here into one page."""
    input:
        facts=facts_of_cards,
    output:
        page=f"{DATA}/{SOURCE}/data_cards.html",
    log:
        f"{RESULTS}/logs/bind_data_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/bind_data_cards.tsv"
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=resource("bind_data_cards", "mem_mb"),
        runtime=resource("bind_data_cards", "runtime"),
    params:
        code=code("earmark.cards"),
    script:
        "../../scripts/bind_data_cards.py"


rule data_cards:
    """Make the page of all data cards; at other scales than mini, of the data sets that are prepared."""
    input:
        f"{DATA}/{SOURCE}/data_cards.html",
    localrule: True
