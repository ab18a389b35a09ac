"""Interpreters of encoders that cannot live beside ours (`envs/hear_*.yaml`), and of the user's own environments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.errors import ConfigError

OUTSIDE = ("hear_esresnext", "hear_coala", "hear_openl3", "hear_trill")  # envs/<name>.yaml
PLACE = ".envs/{name}/bin/python"  # under the checkout, where no path is given in config.yaml


def find_environments(root: Path, user: Mapping[str, Any]) -> dict[str, str]:
    """Find the Python of each environment that is installed, by one look for each declared name.

    `root`: the checkout; `user`: config.yaml. Declared are `OUTSIDE`, the names under `environments` in config.yaml and
    those that its `representations` name. The path given under `environments` holds; without one,
    `.envs/<name>/bin/python` under `root` is taken where it is there. Returns {name: absolute path}, in the order of
    declaration. A path is not resolved, since the Python of a virtual environment is a link. Raises ConfigError when a
    path under `environments` is no file.
    """
    given = user.get("environments", {})
    named = [entry["environment"] for entry in user.get("representations", {}).values() if "environment" in entry]
    places = {name: _named_python(root, name, path) for name, path in given.items()}
    declared = dict.fromkeys([*OUTSIDE, *given, *named])
    found = {name: places.get(name, root.absolute() / PLACE.format(name=name)) for name in declared}
    return {name: str(path) for name, path in found.items() if path.is_file()}


def missing_environment(name: str) -> str:
    """Say, for a cell of a table, why what runs in an environment was not run."""
    if name in OUTSIDE:
        return f"needs envs/{name}.yaml, not installed: see config/README.md"
    return f"needs the environment {name}, not installed: see config/README.md"


def _named_python(root: Path, name: str, given: str) -> Path:
    path = root.absolute() / Path(given).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"config.yaml: environments.{name}: no file {path}; wanted the Python of an environment, such as"
            f" /path/to/{name}/bin/python. Correct the path, or delete the line: cells that need it are then dashes."
        )
    return path
