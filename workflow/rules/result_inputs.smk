"""What rules read to make tables, figures and the report, and the lists of these files."""

from earmark.config.load import merge
from earmark.config.requests import (
    counts_corpus,
    described_representations,
    described_subsets,
    described_tables,
    made_encoders,
    run_remarks,
    table_counts,
    table_encoders,
    table_left_out,
    table_runs,
)


def scores_of_table(wildcards):
    """List the score files that a table shows."""
    folder = f"{RESULTS}/scores/{wildcards.study}"
    return [f"{folder}/{run.task}/{run.representation}/{run.mode}.parquet" for run in runs_of_table(wildcards)]


def runs_of_table(wildcards):
    """List the runs of a table."""
    return table_runs(CONFIG, wildcards.study, wildcards.table)


def cards_of_table(wildcards):
    """List the encoder cards that a table shows."""
    names = table_encoders(CONFIG, wildcards.study, wildcards.table)
    return [f"{RESULTS}/encoders/{name}/card.yaml" for name in names]


def counts_of_table(wildcards):
    """List the counts that a table shows, the upstream corpus's among them."""
    tasks = table_counts(CONFIG, wildcards.study, wildcards.table)
    counts = [f"{RESULTS}/counts/{wildcards.study}/{task}.csv" for task in tasks]
    if counts_corpus(CONFIG, wildcards.study, wildcards.table):
        counts.append(f"{RESULTS}/counts/{wildcards.study}/upstream.csv")
    return counts


def descriptions_of_table(wildcards):
    """Give the descriptions of a study, where a table shows some."""
    described = wildcards.table in described_tables(CONFIG, wildcards.study)
    return [f"{RESULTS}/descriptions/{wildcards.study}.csv"] if described else []


def described_tables_of_study(wildcards):
    """Give the parts of a study's tables that say what is described."""
    return described_tables(CONFIG, wildcards.study)


def described_representations_of_study(wildcards):
    """Say how each representation that a study's tables describe is built."""
    return described_representations(CONFIG, wildcards.study)


def described_subsets_of_study(wildcards):
    """Give the subsets of classes that a study's tables describe."""
    return described_subsets(CONFIG, wildcards.study)


def code_of_descriptions(wildcards):
    """Digest the code of descriptions and of the encoders that are described."""
    entries = described_representations(CONFIG, wildcards.study).values()
    modules = {CONFIG.encoders[entry["encoder"]]["module"] for entry in entries if "encoder" in entry}
    return code_digest("earmark.descriptions", *sorted(modules))


def table_of(wildcards):
    """Give the declaration of a table."""
    return CONFIG.studies[wildcards.study]["tables"][wildcards.table]


def tasks_of_study(wildcards):
    """Give all tasks of a study, counted ones included."""
    study = CONFIG.studies[wildcards.study]
    return {**study["tasks"], **study.get("counted_only", {})}


def representations_of_study(wildcards):
    """Give all representations of a study."""
    return CONFIG.studies[wildcards.study]["representations"]


def left_out_of_table(wildcards):
    """Say which cells of a table this run leaves out, and why."""
    return table_left_out(CONFIG, wildcards.study, wildcards.table)


def remarks_of_study(wildcards):
    """Say what sets this run apart from the printed protocol."""
    return run_remarks(CONFIG, wildcards.study)


def corpus_of_study(wildcards):
    """Give the pre-training corpus of a study at this scale."""
    return CONFIG.corpus(wildcards.study)


def corpus_clips_of_study(wildcards):
    """Give the clips of a study's pre-training corpus."""
    return store(CONFIG.corpus(wildcards.study)["dataset"], "clips.parquet")


def corpus_labels_of_study(wildcards):
    """Give the labels of a study's pre-training corpus."""
    return CONFIG.datasets[CONFIG.corpus(wildcards.study)["dataset"]]["labels"]


def figure_of(wildcards):
    """Give the declaration of a figure."""
    return CONFIG.studies[wildcards.study]["figures"][wildcards.figure]


def tables_of_figure(wildcards):
    """List the tidy tables that a figure draws."""
    table = figure_of(wildcards).get("table")
    return [f"{RESULTS}/tables/{wildcards.study}/{table}.csv"] if table else []


def histories_of_figure(wildcards):
    """List the pre-training histories that a figure draws."""
    if figure_of(wildcards)["kind"] != "learning":
        return []
    made = made_encoders(CONFIG, wildcards.study)
    return [f"{RESULTS}/encoders/{name}/history.csv" for name in made if name in [*TAGGED, *BYOL]]


def published_of_figure(wildcards):
    """List the files of published cells that a figure draws."""
    return [checkout(f"paper/{wildcards.study}/{name}") for name in figure_of(wildcards).get("published", [])]


def cards_of_figure(wildcards):
    """List the cards of the embeddings behind the table whose costs a figure draws."""
    if figure_of(wildcards)["kind"] != "cost":
        return []
    tasks = CONFIG.studies[wildcards.study]["tasks"]
    runs = table_runs(CONFIG, wildcards.study, figure_of(wildcards)["table"])
    embedded = [(run.representation, tasks[run.task]) for run in runs]
    folders = [f"{name}/{task['dataset']}/{CONFIG.view(task)}" for name, task in embedded]
    return [f"{RESULTS}/embeddings/{folder}/card.yaml" for folder in dict.fromkeys(folders)]


def store_of_figure(wildcards):
    """List the store whose clip a figure draws; nothing where it draws none, or the data set is absent."""
    dataset = figure_of(wildcards).get("dataset")
    if dataset is None or dataset in CONFIG.absent:
        return []
    return [store(dataset, name) for name in ("clips.parquet", "audio_16k.arrow")]


def definition_of_figure(wildcards):
    """Give the encoder, front-end and protocol that a figure draws, as the paper defines them; None without them."""
    name = figure_of(wildcards).get("representation")
    if name is None:
        return None
    study = CONFIG.studies[wildcards.study]
    entry = study["representations"][name]
    encoder = CONFIG.encoders[entry["encoder"]]
    return {
        "encoder": entry["encoder"],
        "encoder_options": {**encoder.get("options", {}), **entry.get("options", {})},
        "frontend": CONFIG.frontends[encoder["frontend"]],
        "protocol": merge(study["protocols"]["byol"], entry.get("protocol", {})),
    }


def code_of_figure(wildcards):
    """Digest the modules that draw a figure, and that of the encoder that it shows."""
    definition = definition_of_figure(wildcards)
    shown = [CONFIG.encoders[definition["encoder"]]["module"]] if definition else []
    return code_digest("earmark.figures", f"earmark.figures.{figure_of(wildcards)['kind']}", *shown)


def all_tables(wildcards):
    """List the tidy tables of all chosen studies."""
    return [f"{RESULTS}/tables/{study}/{name}.csv" for study in STUDIES for name in CONFIG.studies[study]["tables"]]


def all_figures(wildcards):
    """List the pictures of all chosen studies."""
    return [f"{RESULTS}/figures/{study}/{name}.png" for study in STUDIES for name in CONFIG.studies[study]["figures"]]


def final_files():
    """List every file that `all` makes."""
    return [*(path for study in STUDIES for path in files_of_study(study)), f"{RESULTS}/report.pdf"]


def files_of_study(study):
    """List the tables and figures of one study."""
    tables = [f"{RESULTS}/tables/{study}/{name}.csv" for name in CONFIG.studies[study]["tables"]]
    figures = [f"{RESULTS}/figures/{study}/{name}.png" for name in CONFIG.studies[study]["figures"]]
    return tables + figures
