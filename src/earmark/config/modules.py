"""Where the source of an own encoder lies, found without importing it."""

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def find_source(module: str) -> Path | None:
    """Return the file of a module that can be imported from here or from the working folder; None where there is none.

    `module`: dotted name. Nothing is imported but what finders of the first part need.
    """
    first, *rest = module.split(".")
    spec = PathFinder.find_spec(first, [str(Path.cwd()), *sys.path]) or importlib.util.find_spec(first)
    name = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return Path(spec.origin) if spec is not None and spec.origin else None
