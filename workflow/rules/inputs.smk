"""Named functions that say what a rule reads and with which values, by stage."""

from earmark.config.checkpoints import find_file
from earmark.config.load import merge
from earmark.config.modules import find_source
from earmark.config.presence import explain_absent, is_prepared
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
from earmark.files import file_digest
from earmark.plan import used_datasets
from earmark.public_weights.places import is_within_reach


def is_offline(wildcards, resources):
    """Tell whether the network is barred. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["offline"]


def scratch_dir(wildcards, resources):
    """Say where a node's own disk is. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["scratch_dir"]


def study_of(wildcards):
    """Name the study of a representation."""
    return study_of_representation(wildcards.representation)


def corpus_of(wildcards):
    """Give the pre-training corpus of a representation at this scale."""
    return CONFIG.corpus(study_of(wildcards), wildcards.representation)


def corpus_file(name):
    """Give a file of the pre-training corpus's store."""

    def path(wildcards):
        return store(corpus_of(wildcards)["dataset"], name)

    return path


def corpus_vocabulary(wildcards):
    """Give the labels of the pre-training corpus."""
    return CONFIG.datasets[corpus_of(wildcards)["dataset"]]["labels"]


def pretraining_protocol(wildcards):
    """Give the pre-training protocol of a representation's study at this scale."""
    return CONFIG.protocol(study_of(wildcards), "pretraining")


def byol_protocol(wildcards):
    """Give the protocol of a BYOL pre-training at this scale."""
    return CONFIG.byol_protocol(study_of(wildcards), wildcards.representation)


def linear_views():
    """List the data sets that linear evaluation embeds, each with its view, once for all tasks of all studies."""
    tasks = [CONFIG.studies[study]["tasks"][task] for study in STUDIES for task in CONFIG.linear_tasks(study)]
    return list(dict.fromkeys((task["dataset"], CONFIG.view(task)) for task in tasks))


def embedded_files(name):
    """List this file of all views that linear evaluation reads."""
    folder = "results/{scale}/embeddings/{representation}"
    return [f"{folder}/{dataset}/{view}/{name}" for dataset, view in linear_views()]


def embeds_log_mel(wildcards):
    """Tell whether a representation is embedded from the cached log-mel, rather than from sound."""
    return encoder_slug(wildcards) is not None and encoder_of(wildcards).get("input", "log_mel") == "log_mel"


def embedded_stores(wildcards):
    """List the clips of all views, and their sound where the encoder takes sound."""
    names = ["clips.parquet"] if embeds_log_mel(wildcards) else ["clips.parquet", "audio_16k.arrow"]
    return [store(dataset, name) for dataset, _ in linear_views() for name in names]


def embedded_log_mel(wildcards):
    """List the log-mel caches of all views, where the encoder takes them."""
    if not embeds_log_mel(wildcards):
        return []
    folder = f"log_mel/{encoder_of(wildcards)['frontend']}"
    names = ("frames.npy", "index.parquet", "statistics.json")
    return [store(dataset, f"{folder}/{name}") for dataset, _ in linear_views() for name in names]


def embedding_frontend(wildcards):
    """Give the front-end of the cached log-mel that an encoder takes; None where it takes sound."""
    return frontend_of(wildcards) if embeds_log_mel(wildcards) else None


def embedding_weights(wildcards):
    """Give the weights that a representation is embedded with; a module outside brings its own, or names a file."""
    entry = representation_of(wildcards)
    if "hear_module" not in entry:
        return f"{RESULTS}/encoders/{wildcards.representation}/weights.safetensors"
    named = entry.get("module_weights", "")
    return [named] if Path(named).is_file() else []


def outside_module(wildcards):
    """Say how a module outside this package is loaded; None for an encoder of the package."""
    entry = representation_of(wildcards)
    if "hear_module" not in entry:
        return None
    source = find_source(entry["hear_module"])
    return {
        "hear_module": entry["hear_module"],
        "weights": entry.get("module_weights"),
        "pooling": entry.get("pooling", "scene"),
        "python": CONFIG.environments.get(entry.get("environment")),
        "source": file_digest(source) if source else None,
    }


def clips_of_linear(wildcards):
    """List the clips of the tasks of linear evaluation of a study."""
    tasks = CONFIG.studies[wildcards.study]["tasks"]
    return [store(tasks[task]["dataset"], "clips.parquet") for task in CONFIG.linear_tasks(wildcards.study)]


def embeddings_of_linear(wildcards):
    """List the embeddings of the tasks of linear evaluation of a study, in the order of the tasks."""
    tasks = CONFIG.studies[wildcards.study]["tasks"]
    folder = f"{RESULTS}/embeddings/{wildcards.representation}"
    chosen = [tasks[task] for task in CONFIG.linear_tasks(wildcards.study)]
    return [f"{folder}/{task['dataset']}/{CONFIG.view(task)}/embeddings.npy" for task in chosen]


def tasks_of_linear(wildcards):
    """Give the tasks of linear evaluation of a study, with their labels and seeds in this run."""
    tasks = CONFIG.studies[wildcards.study]["tasks"]
    return {
        task: {
            "entry": tasks[task],
            "vocabulary": CONFIG.datasets[tasks[task]["dataset"]]["labels"],
            "seeds": CONFIG.seeds(wildcards.study, task),
            "max_folds": CONFIG.scale["max_folds"],
        }
        for task in CONFIG.linear_tasks(wildcards.study)
    }


def runs_of_linear(wildcards):
    """Give the folder of finished runs of linear evaluation, where {task} stands for the task."""
    return f"{RESULTS}/scores/{wildcards.study}/{{task}}/{wildcards.representation}/linear/runs"


def has_fixed_learning_rate(wildcards):
    """Tell whether linear evaluation of a representation takes the learning rate that its task names."""
    return representation_of(wildcards).get("fixed_learning_rate", False)


def linear_protocol(wildcards):
    """Give the protocol of linear evaluation at this scale."""
    return CONFIG.protocol(wildcards.study, "linear")


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


def wanted_datasets():
    """List the data sets that `data` is about: those of the chosen studies, or all where no choice was made."""
    if CONFIG.user["studies"] == "all":
        return DATASETS
    return list(dict.fromkeys(dataset for study in STUDIES for dataset in used_datasets(CONFIG, study)))


def present_files(name):
    """List this file of all wanted data sets that this run can have."""
    return [store(dataset, name) for dataset in wanted_datasets() if dataset not in CONFIG.absent]


def absent_datasets():
    """List the wanted data sets that are not here."""
    return [dataset for dataset in wanted_datasets() if dataset in CONFIG.absent]


def absent_text(wildcards):
    """Say for each wanted data set that is not here what the user must do."""
    return explain_absent(CONFIG, absent_datasets())


def facts_of_cards(wildcards):
    """List the figures that the page of data cards shows: of all data sets at mini scale, else of prepared ones."""
    at_hand = [dataset for dataset in DATASETS if SOURCE == "mini" or is_prepared(CONFIG, dataset)]
    if not at_hand:
        raise WorkflowError(f"no data set is prepared in {DATA}/{SOURCE}; prepare one first, such as with data_esc50.")
    return [store(dataset, "card.json") for dataset in at_hand]


def generated_label():
    """Give the line that everything made of generated sound carries; None for real data, whatever the scale."""
    return CONFIG.scale["label"] if SOURCE == "mini" else None


def checkpoint_record(slug, name):
    """Give the path of the record on a file of a public checkpoint."""
    return f"{DATA}/checkpoints/{slug}/{name}.yaml"


def required_records(slug):
    """List the records on the files of a public checkpoint that are not optional."""
    return [checkpoint_record(slug, entry["name"]) for entry in CHECKPOINTS[slug]["files"] if not entry.get("optional")]


def records_within_reach():
    """List the records on the required files that have an address or lie in a folder of the user."""
    return [
        checkpoint_record(slug, entry["name"])
        for slug, entry in CHECKPOINT_FILES
        if not entry.get("optional")
        and is_within_reach(slug, entry, f"{DATA}/checkpoints/{slug}", CONFIG.user["archive_dirs"])
    ]


def row_of_checkpoint(wildcards):
    """Give what the row of a checkpoint says of one of its files."""
    row = CHECKPOINTS[wildcards.checkpoint]
    entry = find_file(CHECKPOINTS, wildcards.checkpoint, wildcards.file, "the file asked for")
    return {"page": row["page"], "licence": row["licence"], "files": [entry]}


def has_random_weights(wildcards):
    """Tell whether the weights of a representation are drawn, as it declares itself or by the scale."""
    return CONFIG.scale["public_weights"] == "random" or representation_of(wildcards)["weights"] == "random"


def public_file(wildcards):
    """Give the checkpoint that an encoder names, with the declaration of its file; None where weights are random."""
    if has_random_weights(wildcards):
        return None
    named = encoder_of(wildcards)["checkpoint"]
    entry = find_file(CHECKPOINTS, named["slug"], named["file"], f"encoders/{encoder_slug(wildcards)}.yaml")
    return {**named, "licence": CHECKPOINTS[named["slug"]]["licence"], "entry": entry}


def own_file(wildcards):
    """Give the user's own copy of the public weights of an encoder, None where there is none."""
    if has_random_weights(wildcards):
        return None
    return CONFIG.user["checkpoints"].get(encoder_slug(wildcards))


def record_of_encoder(wildcards):
    """Give the record on the public weights of an encoder; nothing where they are random or the user's own."""
    named = public_file(wildcards)
    return [checkpoint_record(named["slug"], named["file"])] if named and not own_file(wildcards) else []


def trusted_files(wildcards):
    """List the entries of trusted_checkpoints that name the public weights of an encoder."""
    named = public_file(wildcards)
    place = named and f"{named['slug']}/{named['file']}"
    return [text for text in CONFIG.user["trusted_checkpoints"] if text.partition("@")[0] == place]


def archive_folders(wildcards, resources):
    """List the user's archive folders. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["archive_dirs"]
