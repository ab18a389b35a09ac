"""Write the two files of a store: audio in record batches, the index some rows at a time."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from earmark.audio import SAMPLE_RATE_HZ
from earmark.datasets import Clip
from earmark.errors import MetadataError
from earmark.store import SCHEMA

BATCH_SAMPLES = 8 * 2**20  # 16 MiB of int16 a record batch
INDEX_ROWS = 2**16
_TEXT = pa.string()
_INDEX_SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("clip_id", "recording_id", "split")),
        ("fold", pa.int64()),
        ("labels", pa.list_(_TEXT)),
        *((name, pa.float64()) for name in ("start_s", "duration_s")),
        ("source_path", _TEXT),
        *((name, pa.int64()) for name in ("n_samples", "offset")),
    ]
)


class AudioWriter:
    """Collect clips into record batches of about 16 MiB, whole clips only.

    A thread has the disk take up each batch while the next one is filled, so that the file's end need not wait for all.
    """

    def __init__(self, path: Path):
        self.clips = self.samples = 0
        self._waiting = np.empty(BATCH_SAMPLES, np.int16)  # one for all batches: fresh memory costs more than the copy
        self._filled = 0
        self._file = path.open("wb")
        self._syncing = ThreadPoolExecutor(1)
        self._synced = None
        self._writer = pa.ipc.new_file(self._file, SCHEMA)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        with self._file, self._syncing, nullcontext() if kind is None else suppress(OSError):
            if kind is None:
                self._flush()
                self._check_synced()
            self._writer.close()

    def write(self, samples: np.ndarray) -> None:
        self.clips += 1
        self.samples += len(samples)
        if self._filled + len(samples) > len(self._waiting):
            self._flush()
        if len(samples) > len(self._waiting):
            self._write_batch(samples)
        else:
            self._waiting[self._filled : self._filled + len(samples)] = samples
            self._filled += len(samples)

    def _flush(self) -> None:
        if self._filled:
            self._write_batch(self._waiting[: self._filled])
            self._filled = 0

    def _write_batch(self, samples: np.ndarray) -> None:
        self._writer.write_batch(pa.record_batch([pa.array(samples, pa.int16())], schema=SCHEMA))
        if self._synced is None or self._synced.done():
            self._check_synced()
            self._file.flush()
            self._synced = self._syncing.submit(os.fdatasync, self._file.fileno())

    def _check_synced(self) -> None:
        """Raise the OSError of the last sync, if it met one: a later fsync would not tell."""
        if self._synced is not None:
            self._synced.result()


def write_index(path: Path, listed: Sequence[Clip], offsets: np.ndarray, lengths: np.ndarray) -> None:
    """Write the index of the stored clips in official order, some rows at a time."""
    rows = np.flatnonzero(offsets >= 0)
    extra = dict.fromkeys(name for row in rows for name in listed[row].columns)
    writer = None
    try:
        for start in range(0, len(rows), INDEX_ROWS):
            frame = _index(listed, rows[start : start + INDEX_ROWS], extra, offsets, lengths)
            schema = _INDEX_SCHEMA if writer is None else writer.schema
            for name in extra if writer is None else ():
                schema = schema.append(pa.field(name, _TEXT))
            table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _index(
    listed: Sequence[Clip], rows: np.ndarray, extra: Iterable[str], offsets: np.ndarray, lengths: np.ndarray
) -> pd.DataFrame:
    kept = [listed[row] for row in rows]
    table = {
        "clip_id": [clip.clip_id for clip in kept],
        "recording_id": [str(clip.recording_id) for clip in kept],
        "split": [clip.split for clip in kept],
        "fold": pd.array([clip.fold for clip in kept], dtype="Int64"),
        "labels": [list(clip.labels) for clip in kept],
        "start_s": [float(clip.start_s) for clip in kept],
        "duration_s": lengths[rows] / SAMPLE_RATE_HZ,
        "source_path": [clip.audio for clip in kept],
        "n_samples": lengths[rows],
        "offset": offsets[rows],
    }
    for name in extra:
        if name in table:
            raise MetadataError(f"the reader gives an extra column {name!r}, which every store has already; rename it.")
        table[name] = [str(clip.columns.get(name, "")) for clip in kept]
    return pd.DataFrame(table)
