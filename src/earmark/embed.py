"""Embeddings: every clip of a data set through one frozen encoder, once.

`embed_dataset` gives the rows of whole clips or consecutive chunks, `embed_views` one row for a crop of each clip, for
several data sets. Work goes on where it was cut off: rows are appended to a working file, and a marker says how many
groups of it are whole.
"""

import io
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from earmark._crops import CROP_RULE, CROP_SEED, LogMelCrops, WaveformCrops, crop_seconds, read_clips
from earmark._view_encoders import ViewEncoder, open_encoder
from earmark.encoders import load_encoder
from earmark.errors import ConfigError
from earmark.features import INDEX_FILE, STATISTICS_FILE, allocate_array
from earmark.files import atomic_path, file_digest, write_json, write_yaml
from earmark.logs import LOGGER, progress
from earmark.provenance import config_digest, peak_memory_mb
from earmark.store import AUDIO_FILE, CLIPS_FILE
from earmark.training.batches import LogMelPieces, equal_length_batches
from earmark.training.loop import describe_device

GROUP_FRAMES = 16_000
GROUP_ITEMS = 64
VIEW_FRAMES = 4_000  # 40 s; BYOL-A takes 1.22 s of one core for 31 crops of 5 s so, 1.47 s in groups of GROUP_FRAMES
VIEW_SAMPLES = 160 * VIEW_FRAMES  # of sound at 16 kHz: as long
MARKER_SECONDS = 10.0
READ_AHEAD = 2
VIEW_FILES = ("embeddings.npy", "index.parquet", "card.yaml")


def embed_dataset(
    *,
    log_mel: Path,
    frontend: Mapping[str, Any],
    encoder: str,
    encoder_options: Mapping[str, Any],
    weights: Path | None,
    view: str,
    embeddings: Path,
    index: Path,
    card: Path,
    provenance: Mapping[str, Any],
    accelerator: str = "auto",
    threads: int | None = None,
    min_chunk_seconds: float = 0.1,
) -> None:
    """Encode every clip of a data set and write the rows on which a head decides.

    `log_mel`: folder of the data set's cache; `view`: `whole`, or `chunks_<seconds>` for consecutive pieces that do not
    overlap (tails under `min_chunk_seconds` are left out). Writes `embeddings` float32 [rows, dim], `index` (clip_id,
    piece, row_offset, n_rows; order of the clips) and `card`. Pieces of equal length are encoded together, so nothing
    is padded but what the encoder is too short for. Raises ConfigError for another view.
    """
    if threads:
        torch.set_num_threads(threads)
    begin = time.perf_counter()
    pieces = LogMelPieces(log_mel, frontend)
    seconds = view_seconds(view)
    parts = [
        (row, *bounds)
        for row in range(len(pieces.n_frames))
        for bounds in pieces.bounds(row, seconds, min_chunk_seconds)
    ]
    device = find_device(accelerator)
    model = load_encoder(encoder, weights, **encoder_options).to(device, memory_format=torch.channels_last)
    model.eval().requires_grad_(False)
    made_from = {
        "encoder": encoder,
        "encoder_options": dict(encoder_options),
        "weights_sha256": file_digest(weights) if weights else None,
        "frontend": dict(frontend),
        "view": view,
        "rows": "decision frames",
        "layer": "last",
        "precision": "float32",
    }
    digest = config_digest([made_from, min_chunk_seconds, provenance["code"], provenance["inputs"], len(parts)])
    work = embeddings.parent / ".embeddings.work"
    lengths = np.array([stop - start for _, start, stop in parts])
    groups = list(equal_length_batches(lengths, GROUP_ITEMS, GROUP_FRAMES))

    def encode(inputs: torch.Tensor, _group: np.ndarray) -> torch.Tensor:
        return model.decision_frames(model.forward_frames(inputs.to(device)))  # [batch, rows, dim]

    rows_of_group, _ = _append_groups(
        groups, lambda group: pieces.stack([parts[item] for item in group]), encode, work / "rows.bin", digest, "embed"
    )

    n_rows = np.zeros(len(parts), dtype=np.int64)
    for group, count in zip(groups, rows_of_group, strict=True):
        n_rows[group] = count
    offsets = np.concatenate([[0], np.cumsum(n_rows)[:-1]])
    _arrange(work / "rows.bin", embeddings, groups, offsets, n_rows, model.embedding_dim)
    clip_ids = pieces.store.index["clip_id"].to_numpy()
    clip_rows = np.array([row for row, _, _ in parts])
    table = pd.DataFrame({"clip_id": clip_ids[clip_rows], "row_offset": offsets, "n_rows": n_rows})
    table.insert(1, "piece", table.groupby("clip_id", sort=False).cumcount())
    with atomic_path(index) as temporary:
        table.to_parquet(temporary, index=False)
    costs = {
        "n_clips": len(pieces.n_frames),
        "n_pieces": len(parts),
        "n_rows": int(n_rows.sum()),
        "embedding_dim": model.embedding_dim,
        "seconds": time.perf_counter() - begin,
        "peak_memory_mb": peak_memory_mb(),
        "device": describe_device(device),
        "threads": threads,
    }
    write_yaml(card, {**made_from, **costs, "provenance": dict(provenance)})
    shutil.rmtree(work)


def embed_views(
    *,
    datasets: Mapping[str, Mapping[str, Any]],
    encoder: str | None,
    encoder_options: Mapping[str, Any],
    weights: Path | None,
    frontend: Mapping[str, Any] | None,
    module: Mapping[str, Any] | None,
    work: Path,
    provenance: Mapping[str, Any],
    accelerator: str = "auto",
    threads: int | None = None,
) -> None:
    """Encode one crop of every clip of several data sets with one frozen encoder, which is loaded once.

    `datasets`: {name: {`store`: folder of clips.parquet and audio_16k.arrow, `log_mel`: folder of the log-mel cache or
    None, `view`: crop_<seconds>, `folder`: of the results}}. `encoder`: a slug, with `encoder_options` and `weights`
    (None: random); or None with `module` {`hear_module`, `weights`, `pooling`: scene, mean or mean_max, `python`: of
    another environment}. `frontend`: constants of the cached log-mels that the encoder works on, None where it takes
    sound at its rate. Crops and normalisation: see `earmark._crops`; the embedding is what the HEAR call for scenes
    gives, in float32.

    Writes `embeddings.npy` float32 [clips, dim], `index.parquet` (clip_id, piece, row_offset, n_rows; order of the
    clips) and `card.yaml` into each folder when all data sets are done. Until then they wait in `work`, from where the
    next call goes on. Raises EncoderError when the encoder returns another shape than it declares or values that are no
    finite numbers, ConfigError for another view, StoreError for a cache or store that does not fit, ProtocolError for
    a data set without training clips.
    """
    if threads:
        torch.set_num_threads(threads)
    views = {name: crop_seconds(dataset["view"]) for name, dataset in datasets.items()}
    device = find_device(accelerator)
    with open_encoder(
        encoder=encoder,
        encoder_options=encoder_options,
        weights=weights,
        frontend=frontend,
        module=module,
        device=device,
        module_device="auto" if accelerator == "auto" else device.type,
        threads=threads,
    ) as model:
        for name, dataset in datasets.items():
            costs = {"device": model.device, "threads": threads}
            _embed_view(model, name, dataset, views[name], Path(work) / name, provenance, costs)
    for name, dataset in datasets.items():
        for file in VIEW_FILES:
            _offer(Path(work) / name / file, Path(dataset["folder"]) / file)
    shutil.rmtree(work)


def _embed_view(
    model: ViewEncoder,
    name: str,
    dataset: Mapping[str, Any],
    seconds: float,
    work: Path,
    provenance: Mapping[str, Any],
    costs: Mapping[str, Any],
) -> None:
    """Make the three files of one data set in its working folder, the card last; nothing where they wait already."""
    store, frontend = Path(dataset["store"]), model.made_from["frontend"]
    made_from = {
        **model.made_from,
        "dataset": name,
        "view": dataset["view"],
        "crop_seconds": seconds,
        "crop": CROP_RULE,
        "crop_seed": CROP_SEED,
        "rows": "one a clip",
        "precision": "float32",
        "inputs": _inputs_of_view(store, frontend and Path(dataset["log_mel"])),
    }
    digest = config_digest([made_from, provenance["code"]])
    if _is_finished(work, digest):
        LOGGER.info("%s waits in %s already", name, work)
        return
    clips = read_clips(store)
    clip_ids = clips["clip_id"].to_numpy()
    if frontend:
        crops = LogMelCrops(clips, Path(dataset["log_mel"]), frontend, seconds, name)
    else:
        crops = WaveformCrops(clips, store, seconds, model.sample_rate)
    lengths = np.full(len(clips), crops.length)
    groups = list(equal_length_batches(lengths, GROUP_ITEMS, VIEW_FRAMES if frontend else VIEW_SAMPLES))

    def encode(inputs: torch.Tensor, group: np.ndarray) -> torch.Tensor:
        return model.embed(inputs, name, clip_ids[group])[:, None]  # [batch, 1, dim]

    head = _array_header((len(clips), model.dim))  # the groups are in the order of the clips, a row each
    _, spent = _append_groups(groups, crops.batch, encode, work / "embeddings.npy", digest, f"embed {name}", head)
    with atomic_path(work / "index.parquet") as temporary:
        table = {"clip_id": clip_ids, "piece": 0, "row_offset": np.arange(len(clips)), "n_rows": 1}
        pd.DataFrame(table).to_parquet(temporary, index=False)
    hours = len(clips) * seconds / 3600
    card = {
        **made_from,
        "normalisation": crops.normalisation,
        "n_clips": len(clips),
        "n_rows": len(clips),
        "embedding_dim": model.dim,
        "parameters": model.parameters,
        "seconds": spent,
        "seconds_include": "encoder, reading of cached log-mels" if frontend else "encoder, cutting and resampling",
        "hours_of_audio": hours,
        "seconds_per_hour": spent / hours,
        "peak_memory_mb": peak_memory_mb(),
        **costs,
        "provenance": dict(provenance),
    }
    write_yaml(work / "card.yaml", card)


def _inputs_of_view(store: Path, log_mel: Path | None) -> dict[str, Any]:
    """Say which clips the rows come from: digests of the indexes; of the sound, size and time of change."""
    found: dict[str, Any] = {"clips_sha256": file_digest(store / CLIPS_FILE)}
    if log_mel:
        return found | {f"log_mel_{name}": file_digest(log_mel / name) for name in (INDEX_FILE, STATISTICS_FILE)}
    status = (store / AUDIO_FILE).stat()
    return found | {"audio_bytes": status.st_size, "audio_changed_ns": status.st_mtime_ns}


def _is_finished(work: Path, digest: str) -> bool:
    """Tell whether a data set waits whole; what waits of other weights, clips or code is removed."""
    try:
        marker = json.loads((work / "marker.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    if marker["digest"] != digest:
        shutil.rmtree(work)
    return (work / "card.yaml").is_file()


def _offer(source: Path, target: Path) -> None:
    """Give a file its final name as well; it stays where it is, for a stop before all files have theirs."""
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, temporary)
        temporary.touch()  # newer than the inputs, also when it has waited


def view_seconds(view: str) -> float | None:
    """Return the length of the chunks of a view, None for `whole`. Raises ConfigError for another name."""
    if view == "whole":
        return None
    kind, _, seconds = view.partition("_")
    try:
        if kind == "chunks" and float(seconds) > 0:
            return float(seconds)
    except ValueError:
        pass
    raise ConfigError(f"unknown view {view!r}; known: whole, chunks_<seconds>")


def find_device(accelerator: str) -> torch.device:
    """Return the device that an accelerator's name stands for; `auto` takes a GPU where there is one."""
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device({"gpu": "cuda"}.get(accelerator, accelerator))


@torch.no_grad()
def _append_groups(
    groups: Sequence[np.ndarray],
    prepare: Callable[[np.ndarray], torch.Tensor],
    encode: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
    rows_file: Path,
    digest: str,
    description: str,
    head: bytes = b"",
) -> tuple[list[int], float]:
    """Append the rows of all groups that are not in the working file yet, behind its first bytes `head`.

    `prepare`: from the items of a group to inputs, in a thread while the group before is encoded; `encode`: from inputs
    and items to [batch, rows, dim], stored as float32; `digest`: of all that the rows depend on, another one begins
    anew. Returns the rows per item of each group, and the seconds that all of it took, those before a stop included.
    """
    rows_file.parent.mkdir(parents=True, exist_ok=True)
    counts, n_bytes, seconds = _read_marker(rows_file, digest)
    begin = marked_at = time.perf_counter()
    remaining = groups[len(counts) :]
    with rows_file.open("ab") as file, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        file.truncate(n_bytes)
        if not n_bytes:
            file.write(head)
        prepared = _read_ahead(prepare, remaining)
        for group, inputs in progress(prepared, description, total=len(remaining), unit="group"):
            rows = encode(inputs, group)
            file.write(np.ascontiguousarray(rows.float().cpu().numpy()))
            counts.append(rows.shape[1])
            now = time.perf_counter()
            if now - marked_at > MARKER_SECONDS:
                _write_marker(rows_file, digest, counts, seconds + now - begin, file)
                marked_at = now
        seconds += time.perf_counter() - begin
        _write_marker(rows_file, digest, counts, seconds, file)
    return counts, seconds


def _read_ahead(
    prepare: Callable[[np.ndarray], torch.Tensor], groups: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield groups and their inputs in order, a few of which are prepared in a thread meanwhile."""
    waiting: deque = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="inputs") as pool:
        for group in groups:
            waiting.append((group, pool.submit(prepare, group)))
            if len(waiting) > READ_AHEAD:
                done, inputs = waiting.popleft()
                yield done, inputs.result()
        for done, inputs in waiting:
            yield done, inputs.result()


def _read_marker(rows_file: Path, digest: str) -> tuple[list[int], int, float]:
    """Return rows per item of the groups that are whole, their bytes and seconds; nothing where there are none."""
    try:
        marker = json.loads(rows_file.with_name("marker.json").read_text(encoding="utf-8"))
        found = rows_file.stat().st_size
    except FileNotFoundError:
        return [], 0, 0.0
    if marker["digest"] != digest or found < marker["bytes"]:
        return [], 0, 0.0
    LOGGER.info("going on after %d groups", len(marker["counts"]))
    return marker["counts"], marker["bytes"], marker["seconds"]


def _write_marker(rows_file: Path, digest: str, counts: list[int], seconds: float, file) -> None:
    file.flush()
    os.fsync(file.fileno())
    marker = {"digest": digest, "counts": counts, "seconds": seconds, "bytes": file.tell()}
    write_json(rows_file.with_name("marker.json"), marker)


def _array_header(shape: tuple[int, int]) -> bytes:
    """Return what stands before the float32 values of an npy file."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return head.getvalue()


def _arrange(source: Path, embeddings: Path, groups, offsets, n_rows, dim: int) -> None:
    """Copy the rows from the order in which they were encoded to the order of the clips."""
    found = np.memmap(source, dtype=np.float32, mode="r").reshape(-1, dim)
    with atomic_path(embeddings) as temporary:
        arranged = allocate_array(temporary, found.shape)
        place = 0
        for group in groups:
            for item in group:
                arranged[offsets[item] : offsets[item] + n_rows[item]] = found[place : place + n_rows[item]]
                place += n_rows[item]
        arranged.flush()
        del arranged
