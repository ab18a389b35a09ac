"""Compare the store of embeddings, one array and an index, with one .npy file for each clip.

Run: python benchmarks/embedding_store.py [--clips 10000] [--dim 2048] [--rounds 3]. Both write the same float32
embeddings of all clips and read them in the order of the clips. The store is written as `earmark.embed` does it:
appended to a working file group by group behind a header, synced, with its marker and index, and given its final name.
It is read as the linear probe does it (`read_embeddings`). The peer calls `numpy.save` and `numpy.load` for each clip,
as HEAR's evaluation kit saves embeddings; it syncs nothing. A way has read all when it knows the largest value. What is
read lies in the page cache. Goal: the store is at least 25 times as fast in total on a disk. (In memory, `--folder
/dev/shm`, the peer is faster, since a new file costs little there.) Rounds alternate, each way counts by its best one;
the seconds of the processor beside those of the clock say what other work on the machine took.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from earmark.embed import _append_groups, _array_header, _offer
from earmark.files import atomic_path
from earmark.heads._linear_data import read_embeddings

GROUP = 64


def main() -> None:
    """Time both ways of writing and reading, print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=10000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    options = parser.parse_args()
    embeddings = np.random.default_rng(0).normal(size=(options.clips, options.dim)).astype(np.float32)
    clip_ids = [f"clip{number:06d}" for number in range(options.clips)]
    ways = {"store": (write_store, read_store), "files": (write_files, read_files)}
    best = {(way, step): (np.inf, np.inf) for way in ways for step in ("write", "read")}
    for _ in range(options.rounds):
        for way, (write, read) in ways.items():
            with tempfile.TemporaryDirectory(dir=options.folder) as name:
                seconds, _ = timed(write, Path(name), clip_ids, embeddings)
                best[way, "write"] = min(best[way, "write"], seconds)
                seconds, largest = timed(read, Path(name), clip_ids)
                best[way, "read"] = min(best[way, "read"], seconds)
            if largest != embeddings.max():
                raise SystemExit(f"{way}: the largest value read is {largest}, the one written {embeddings.max()}")
    print(f"{options.clips} embeddings of {options.dim} float32, best of {options.rounds} rounds", end=", ")
    print(f"load {os.getloadavg()[0]:.1f}; seconds on the clock (of the processor):")
    for name, steps in (("write", ["write"]), ("read", ["read"]), ("both (goal 25)", ["write", "read"])):
        ours, other = (np.sum([best[way, step] for step in steps], axis=0) for way in ways)
        print(f"{name}: store {ours[0]:.3f} ({ours[1]:.3f}), a file for each clip {other[0]:.3f}", end=" ")
        print(f"({other[1]:.3f}): ratio {other[0] / ours[0]:.1f} ({other[1] / ours[1]:.1f})")


def timed(call: Callable[..., float | None], *arguments: Any) -> tuple[tuple[float, float], float | None]:
    """Return the seconds of clock and processor that a call takes, and its result."""
    begin, processor = time.perf_counter(), time.process_time()
    result = call(*arguments)
    return (time.perf_counter() - begin, time.process_time() - processor), result


def write_store(folder: Path, clip_ids: list[str], embeddings: np.ndarray) -> None:
    """Write array and index through the working file, as a job of embedding does."""
    count, rows = len(clip_ids), torch.from_numpy(embeddings)
    groups = [np.arange(start, min(start + GROUP, count)) for start in range(0, count, GROUP)]
    head = _array_header(embeddings.shape)
    work = folder / "work"
    _append_groups(groups, lambda g: rows[g[0] : g[-1] + 1, None], take, work / "embeddings.npy", "", "embed", head)
    with atomic_path(work / "index.parquet") as temporary:
        table = {"clip_id": clip_ids, "piece": 0, "row_offset": np.arange(count), "n_rows": 1}
        pd.DataFrame(table).to_parquet(temporary, index=False)
    for name in ("embeddings.npy", "index.parquet"):
        _offer(work / name, folder / name)
    shutil.rmtree(work)


def take(rows: torch.Tensor, _group: np.ndarray) -> torch.Tensor:
    """Stand for the encoder: give back the rows."""
    return rows


def read_store(folder: Path, clip_ids: list[str]) -> float:
    """Read all values in the order of the clips; return the largest."""
    return float(read_embeddings(folder / "embeddings.npy", clip_ids).max())


def write_files(folder: Path, clip_ids: list[str], embeddings: np.ndarray) -> None:
    """Write a file for each clip."""
    for clip_id, embedding in zip(clip_ids, embeddings, strict=True):
        np.save(folder / f"{clip_id}.npy", embedding)


def read_files(folder: Path, clip_ids: list[str]) -> float:
    """Read all values in the order of the clips; return the largest."""
    first = np.load(folder / f"{clip_ids[0]}.npy")
    rows = np.empty((len(clip_ids), len(first)), first.dtype)
    for row, clip_id in zip(rows, clip_ids, strict=True):
        row[:] = np.load(folder / f"{clip_id}.npy")
    return float(rows.max())


if __name__ == "__main__":
    main()
