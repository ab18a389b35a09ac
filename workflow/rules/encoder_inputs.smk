"""What rules read to make the weights of an encoder, to embed with it, and for linear evaluation."""

from earmark.config.checkpoints import find_file
from earmark.config.modules import find_source
from earmark.files import file_digest


def scratch_dir(wildcards, resources):
    """Say where a node's own disk is. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["scratch_dir"]


def study_of(wildcards):
    """Name the study of a representation."""
    return CONFIG.study_of(wildcards.representation)


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
