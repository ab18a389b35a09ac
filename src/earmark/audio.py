"""Decode recordings: libsndfile, mono, 16 kHz through soxr, int16; every change and every fault is named."""

import io
import os
import re
import stat
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from earmark.errors import AudioError

SAMPLE_RATE_HZ = 16000
FULL_SCALE = 32768.0
# Writers that cannot go back to fill in the size leave a value near 2^31 or 2^32 there (ffmpeg to a pipe).
UNKNOWN_BYTES = 0x7FFF0000
LONGEST_FRAMES = 2**34
_SCRATCH = threading.local()
BLOCK_FRAMES = 2**20  # 22 s at 48 kHz: shorter recordings are decoded at once


@dataclass(frozen=True)
class Recording:
    """One decoded recording: int16 [samples] at 16 kHz, and what was changed on the way as (status, detail) pairs."""

    samples: np.ndarray
    changes: tuple[tuple[str, str], ...]


class RecordingFault(AudioError):
    """A recording that cannot enter a store; `status` is missing, empty, unreadable or not_finite."""

    def __init__(self, status: str, detail: str):
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


def read_recording(source: str | Path | bytes) -> Recording:
    """Decode one file, or the bytes of one, to int16 mono at 16 kHz.

    Channels are averaged, other rates go through soxr HQ, samples are rounded and limited to full scale. Integer
    mono files at 16 kHz with 16 bits pass unchanged. Long files are decoded block by block, which changes no sample.
    Changes reported: downmixed, resampled, clipped. Raises RecordingFault: missing; empty (0 bytes or 0 samples);
    unreadable (no sound file, or fewer frames than its header says); not_finite (NaN or infinite samples).
    """
    is_file = not isinstance(source, bytes)
    size = _file_size(source) if is_file else len(source)
    if size == 0:
        raise RecordingFault("empty", "0 bytes")
    try:
        # A path and not an open file: where the content does not tell the format, libsndfile looks at the suffix.
        with soundfile.SoundFile(str(source) if is_file else io.BytesIO(source)) as sound:
            samples, changes = _decode(sound)
            is_wav = sound.format in ("WAV", "WAVEX")
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise RecordingFault("unreadable", re.sub(r"^Error opening .*: ", "", str(error))) from error
    if is_wav:
        with Path(source).open("rb") if is_file else io.BytesIO(source) as file:
            _check_wav_length(file, size)
    return Recording(samples, changes)


def _file_size(path: str | Path) -> int:
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every clip
    except FileNotFoundError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise RecordingFault("missing", "no such file")
    return found.st_size


def _decode(sound: soundfile.SoundFile) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """Read a whole file in blocks; return int16 [samples] at 16 kHz and what was changed."""
    if sound.frames > LONGEST_FRAMES:
        raise RecordingFault("unreadable", "the header gives no length")
    rate, channels = sound.samplerate, sound.channels
    # Reading 16 bits as they are and scaling later takes a quarter of the time of libsndfile's own conversion.
    dtype = "int16" if sound.subtype == "PCM_16" and channels == 1 else "float32"
    is_resampled, stream = rate != SAMPLE_RATE_HZ, None
    if is_resampled and sound.frames > BLOCK_FRAMES:
        stream = soxr.ResampleStream(rate, SAMPLE_RATE_HZ, 1, "float32", "HQ")
    pieces, done, not_finite, clipped = [], 0, 0, 0
    while done < sound.frames:
        wanted = min(BLOCK_FRAMES, sound.frames - done)
        reused = _reused("read", wanted, np.int16) if dtype == "int16" and is_resampled else None
        block = sound.read(wanted, dtype=dtype, out=reused)
        done += len(block)
        if len(block) == 0:
            raise RecordingFault("unreadable", f"truncated: {done} of {sound.frames} frames")
        if dtype == "int16" and not is_resampled:
            pieces.append(block)
            continue
        # In steps of int16 from here on; scaling by a power of two changes no digit of the resampler's result.
        if dtype == "int16":
            steps = _reused("steps", len(block), np.float32)
            np.copyto(steps, block)
            block = steps
        else:
            block = block * np.float32(FULL_SCALE)
        block = block.mean(axis=1, dtype=np.float32) if channels > 1 else block
        if dtype == "float32" and not (finite := np.isfinite(block)).all():
            not_finite += int((~finite).sum())
            continue
        if stream is not None:
            block = stream.resample_chunk(block, last=done == sound.frames)
        elif is_resampled:
            block = soxr.resample(block, rate, SAMPLE_RATE_HZ, "HQ")
        limited, beyond = _round(block)
        pieces.append(limited)
        clipped += beyond
    if not_finite:
        raise RecordingFault("not_finite", f"{not_finite} of {done} samples are NaN or inf")
    samples = pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, np.int16), *pieces])
    if len(samples) == 0:
        raise RecordingFault("empty", "0 samples" + (f" after resampling from {rate} Hz" if done else ""))
    changes = [("downmixed", f"{channels} channels")] if channels > 1 else []
    changes += [("resampled", f"{rate} Hz")] if is_resampled else []
    changes += [("clipped", f"{clipped} of {len(samples)} samples")] if clipped else []
    return samples, tuple(changes)


def _reused(name: str, count: int, dtype: type) -> np.ndarray:
    """Give this thread's scratch memory of a name, since fresh memory for every file costs a tenth of the time."""
    scratch = getattr(_SCRATCH, name, None)
    if scratch is None or len(scratch) < count:
        scratch = np.empty(count, dtype)
        setattr(_SCRATCH, name, scratch)
    return scratch[:count]


def to_int16(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    """Round float32 [samples] in [-1, 1] to int16; also return how many samples lay beyond full scale."""
    return _round(waveform * np.float32(FULL_SCALE))


def _round(steps: np.ndarray) -> tuple[np.ndarray, int]:
    """Round float32 [samples] in steps of int16, which are overwritten, and count those beyond full scale."""
    clipped = 0
    if len(steps) and (steps.max() > FULL_SCALE - 1 or steps.min() < -FULL_SCALE):
        clipped = int((np.abs(steps) > FULL_SCALE).sum())
        np.clip(steps, -FULL_SCALE, FULL_SCALE - 1, out=steps)
    return np.rint(steps, out=steps).astype(np.int16), clipped


def _check_wav_length(file: BinaryIO, size: int) -> None:
    """Raise RecordingFault when a RIFF file is shorter than its data chunk says; libsndfile mends that in silence."""
    magic = file.read(12)
    while magic[:4] == b"RIFF" and len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        start = file.tell()
        if name == b"data":
            if length < UNKNOWN_BYTES and start + length > size:
                raise RecordingFault("unreadable", f"truncated: {size - start} of {length} bytes of sound")
            return
        file.seek(start + length + length % 2)
