"""What rules read of data sets and of the files of public checkpoints: what is wanted, at hand, or to be fetched."""

from earmark.config.checkpoints import find_file
from earmark.config.presence import explain_absent, is_prepared
from earmark.plan import used_datasets
from earmark.public_weights.places import is_within_reach


def is_offline(wildcards, resources):
    """Tell whether the network is barred. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["offline"]


def archive_folders(wildcards, resources):
    """List the user's archive folders. Taking `resources` keeps the value out of what reruns a job."""
    return CONFIG.user["archive_dirs"]


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
