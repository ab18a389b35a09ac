"""Compare the rate of prepare_dataset with bare loops over the same files, on the same number of cores.

Run: python benchmarks/prepare.py [--files 2000] [--cores 2] [--rounds 5] [--slow-files 60]. The first loop decodes
mono files with soundfile and resamples them with soxr in a pool of threads and throws the result away; prepare also
reads the list, checks, writes and indexes. Goal: a ratio of at least 0.85. The second loop resamples with librosa's
Kaiser window (`res_type="kaiser_best"`, through resampy), as the authors of SERAB do, on the first of the same files;
goal: prepare is at least 20 times as fast (needs `pip install -e .[bench]`, left out without). Rounds alternate, so
that other load on the machine falls on all; each way counts by its best round, and the ratios of the single rounds say
how quiet it was.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr

from earmark import prepare
from earmark.acquire import collect_archives
from earmark.datasets import Clip

try:
    import librosa
    import resampy  # noqa: F401 - librosa needs it for its Kaiser windows
except ImportError:
    librosa = None

SPEC = {"files": [{"name": "audio", "url": None, "bytes": None, "unpack": "folder"}]}


def main() -> None:
    """Generate the files, time all ways, print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-files", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = generate(folder / "archives" / "audio", options.files)
        prepare.read_clips = lambda slug, root, spec: [Clip(p.name, p.name, f"audio/{p.name}", ("x",)) for p in paths]
        slow_paths = paths[: options.slow_files]
        if librosa:
            resample_slowly(paths[0])  # compiles
        bare, ours, slow = [], [], []
        for _ in range(options.rounds):
            bare.append(len(paths) / timed(partial(loop, resample, paths, options.cores)))
            ours.append(len(paths) / timed(partial(run_prepare, folder, options.cores)))
            if librosa:
                slow.append(len(slow_paths) / timed(partial(loop, resample_slowly, slow_paths, options.cores)))
    print(f"{len(paths)} files of 5 s at 44.1 kHz, {options.cores} cores, best of {options.rounds} rounds, files/s:")
    print(f"prepare {max(ours):.1f}, bare soundfile + soxr {max(bare):.1f}: {describe(ours, bare)}")
    if librosa:
        print(f"soundfile + librosa kaiser_best {max(slow):.1f}: {describe(ours, slow)}")
    else:
        print("librosa or resampy is not installed, so that the second ratio is left out")


def describe(ours: list[float], others: list[float]) -> str:
    """Give the ratio of the best rounds, and those of all rounds in order of size."""
    ratios = sorted(mine / other for mine, other in zip(ours, others, strict=True))
    return f"ratio {max(ours) / max(others):.2f} (rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def generate(folder: Path, count: int) -> list[Path]:
    """Write 16-bit mono files of five seconds of noise; return their paths."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    paths = [folder / f"{number}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, generator.integers(-16000, 16000, 5 * 44100, dtype=np.int16), 44100, subtype="PCM_16")
    return paths


def loop(decode: Callable[[Path], None], paths: list[Path], cores: int) -> None:
    """Decode every file in threads; keep nothing."""
    with ThreadPoolExecutor(cores) as pool:
        for _ in pool.map(decode, paths):
            pass


def resample(path: Path) -> None:
    """Decode and resample one file with soundfile and soxr alone."""
    samples, rate = soundfile.read(path, dtype="float32")
    soxr.resample(samples, rate, 16000, quality="HQ")


def resample_slowly(path: Path) -> None:
    """Decode one file with soundfile and resample it with librosa's slower Kaiser window."""
    samples, rate = soundfile.read(path, dtype="float32")
    librosa.resample(samples, orig_sr=rate, target_sr=16000, res_type="kaiser_best")


def run_prepare(folder: Path, cores: int) -> None:
    """Prepare the same files as a data set."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    collect_archives("demo", SPEC, [folder / "archives"], data / "archives.csv", verify=False)
    outputs = [data / name for name in ("clips.parquet", "audio_16k.arrow", "ledger.csv")]
    prepare.prepare_dataset("demo", SPEC, data / "archives.csv", *outputs, workers=cores)


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
