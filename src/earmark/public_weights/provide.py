"""Weights of a public checkpoint in the workflow's own form, or random ones where the scale says so."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from earmark.acquire.check import Measured, has_hash, measure
from earmark.encoders import count_parameters, load_encoder, load_weights
from earmark.errors import CheckpointError
from earmark.files import atomic_path, file_digest, read_yaml, write_yaml
from earmark.provenance import config_digest, versions
from earmark.public_weights.check import describe_check, differs_from
from earmark.public_weights.kinds import file_kind
from earmark.public_weights.read import read_tensors

# Names that the encoders here hold and public files may not: counters of torch that older versions left out.
COUNTERS = "num_batches_tracked"


def provide_weights(
    encoder: str,
    encoder_options: Mapping[str, Any],
    checkpoint: Mapping[str, Any] | None,
    seed: int,
    weights: Path,
    card: Path,
    code: str,
    scale: str,
    record: Path | None = None,
    own: Path | None = None,
    trusted: Sequence[str] = (),
) -> None:
    """Write the weights of an encoder and a card that says where they come from.

    `checkpoint`: slug, file and licence of a public checkpoint and `entry`, the declaration of the file; None draws
    random weights from `seed`. `record`: what `fetch_checkpoint` wrote on that file; `own`: the user's copy of it, used
    instead. `trusted`: the files, as `<slug>/<file>` or `<slug>/<file>@<sha256>`, that may run code when they are read.
    Raises CheckpointError for a wrong hash, a file that would run code, or tensors that do not fit.
    """
    torch.manual_seed(seed)
    model = load_encoder(encoder, **encoder_options)
    source: dict[str, Any] = {"origin": "random", "seed": seed}
    if checkpoint is not None:
        file, found, source = _take_own(own, checkpoint) if own else _take_fetched(record, checkpoint["entry"])
        is_trusted = _is_trusted(checkpoint, found, trusted)
        fit_tensors(model, read_tensors(file, is_trusted), str(file))
        source["read"] = "with all that it holds, as trusted_checkpoints allows" if is_trusted else "tensors alone"
    with atomic_path(weights) as temporary:
        save_file({f"encoder.{name}": value.contiguous() for name, value in model.state_dict().items()}, temporary)
    write_yaml(
        card,
        {
            "encoder": encoder,
            "encoder_options": dict(encoder_options),
            "parameters": count_parameters(model),
            "weights": source,
            "weights_sha256": file_digest(weights),
            "scale": scale,
            "code": code,
            "config": config_digest([encoder, dict(encoder_options), checkpoint, seed]),
            "versions": versions(),
        },
    )


def fit_tensors(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Load tensors of a public file into an encoder; the file's other parts, such as a head, are left out.

    An encoder whose public files use other names translates them first (`rename_public`). Each name is then kept from
    the first part on that is a child of the encoder, since training set-ups put the encoder under a prefix
    (`online_encoder.features.0.weight`). `source`: the name of the file, for the message. Raises
    CheckpointError when two tensors end up under one name or a tensor is missing, left over or of another shape; it
    names what differs and, where tensors are missing, what the file held that was left out.
    """
    if hasattr(model, "rename_public"):
        tensors = model.rename_public(tensors)
    kept, left_out = strip_prefixes(tensors, model)
    own = model.state_dict()
    counters = {name: value for name, value in own.items() if name.endswith(COUNTERS)}
    try:
        load_weights(model, {**counters, **kept}, source)
    except CheckpointError as error:
        if not left_out:
            raise
        names = [f"{name} {tuple(tensors[name].shape)}" for name in left_out[:3]]
        raise CheckpointError(
            f"{error} The file also holds {len(left_out)} tensors under names that this encoder does not know, first"
            f" {', '.join(names)}."
        ) from error


def strip_prefixes(
    tensors: Mapping[str, torch.Tensor], model: torch.nn.Module
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the tensors under the encoder's own names, and the names in the file of those that are left out.

    Raises CheckpointError when two tensors would get one name, as those of an online and a target network do.
    """
    children = {name for name, _ in model.named_children()}
    kept, came_from, left_out = {}, {}, []
    for name, value in tensors.items():
        parts = name.split(".")
        start = next((index for index, part in enumerate(parts) if part in children), None)
        if start is None:
            left_out.append(name)
            continue
        short = ".".join(parts[start:])
        if short in kept:
            raise CheckpointError(
                f"{came_from[short]} and {name} of the file are both {short} of the encoder; wanted one network. Write"
                " the one that you mean into a safetensors file and name it in config.yaml under `checkpoints`."
            )
        kept[short], came_from[short] = value, name
    return kept, left_out


def _take_fetched(record: Path, entry: Mapping) -> tuple[Path, Measured, dict[str, Any]]:
    """Give the file that a record names, after a look that it is still the same, its digests and its source."""
    known = read_yaml(record)
    file = Path(known["path"])
    found = measure(file, entry) if file.is_file() else None
    if found is None or found.sha256 != known["sha256"]:
        raise CheckpointError(f"{file} is gone or changed since {record} was written. Delete {record} and run again.")
    return file, found, {"origin": "public checkpoint", **known}


def _take_own(file: Path, checkpoint: Mapping[str, Any]) -> tuple[Path, Measured, dict[str, Any]]:
    """Give the user's own file, its digests and its source; a safetensors file need not be the published one."""
    if not file.is_file():
        raise CheckpointError(
            f"{file} (config.yaml: checkpoints) is not there; put {checkpoint['file']} there, or mend the path."
        )
    entry = checkpoint["entry"]
    found = measure(file, entry)
    difference = differs_from(entry, found)
    if difference and file_kind(file) != "safetensors":
        raise CheckpointError(
            f"{file}: found {difference[0]}; wanted {difference[1]}; this is another file or a damaged one. Get"
            f" {checkpoint['file']} again, or name a safetensors file of your own."
        )
    checked = "not the published file" if difference else describe_check(entry, "no hash is declared")
    known = {"checkpoint": checkpoint["slug"], "file": checkpoint["file"], "path": str(file.absolute())}
    known |= {"bytes": found.bytes, "sha256": found.sha256, "checked": checked, "licence": checkpoint["licence"]}
    return file, found, {"origin": "own copy", **known}


def _is_trusted(checkpoint: Mapping[str, Any], found: Measured, trusted: Sequence[str]) -> bool:
    """Tell whether the user allowed this very file to run code when it is read.

    The name alone is enough where a whole hash is declared and the file has it, else the user's sha256 must be the
    file's. Raises CheckpointError where the user named another one.
    """
    place, entry = f"{checkpoint['slug']}/{checkpoint['file']}", checkpoint["entry"]
    named = [text.partition("@")[2] for text in trusted if text.partition("@")[0] == place]
    if not named:
        return False
    if found.sha256 in named or ("" in named and has_hash(entry) and differs_from(entry, found) is None):
        return True
    raise CheckpointError(
        f"config.yaml: trusted_checkpoints allows {place} to run code, but not this file: its sha256 is {found.sha256}"
        f" and {f'{named[0]} was named' if named[0] else 'no hash is declared for it'}. Check where it comes from, then"
        f" write {place}@{found.sha256}."
    )
