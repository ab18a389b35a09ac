"""Public encoders that need an environment of their own, as HEAR modules that run inside it.

Each module here imports the original code of one encoder when its model is loaded. The environments are in
`envs/hear_*.yaml`, whose heads say how each is made; `worker.py` imports these files under their Python, where Earmark
is not installed. So they use nothing of Earmark but this file and its errors, and nothing newer than Python 3.8. None
was run with its public weights; each file says what was run.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from earmark.errors import CheckpointError, EncoderError


def import_original(name: str, environment: str) -> ModuleType:
    """Import a module of the original code. Raises EncoderError that says which environment holds it, and why not here.

    `name`: of the module; `environment`: of the file in `envs/` whose head says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EncoderError(
            f"{name} cannot be imported by {sys.executable} ({error}). Make the environment as the head of"
            f" envs/{environment}.yaml says, or name the Python that has it under `environments` in config.yaml."
        ) from error


def find_clone(folder: str, file: str, environment: str) -> Path:
    """Find original code that is no package: a git clone in `src/` of the environment, or in the Python path.

    `folder`: the name of the clone; `file`: one that it holds. Raises EncoderError when it is not there.
    """
    places = [Path(sys.prefix) / "src", *(Path(entry) for entry in sys.path)]
    for place in places:
        if (place / folder / file).is_file():
            return place / folder
    raise EncoderError(
        f"there is no {places[0] / folder / file}. Clone the original code as the head of envs/{environment}.yaml says."
    )


def find_weights(given: str, slug: str, name: str) -> Path:
    """Find a file of public weights.

    `given`: its path, or the folder that holds it; without one, `data/checkpoints/<slug>` of the working folder is
    meant. Raises CheckpointError when the file is not there.
    """
    path = Path(given) if given else Path("data") / "checkpoints" / slug
    path = path / name if path.is_dir() or not given else path
    if not path.is_file():
        raise CheckpointError(
            f"there is no {path.absolute()}. `snakemake --cores 1 checkpoint_{slug}` fetches it or says how to get it;"
            " a file elsewhere is given by its path as weights."
        )
    return path


def share_times(count: int, samples: int, rate: int) -> np.ndarray:
    """Give the middles of `count` equal shares of a clip, float32 [count] in milliseconds."""
    return ((np.arange(count) + 0.5) * (1000.0 * samples / rate / count)).astype(np.float32)
