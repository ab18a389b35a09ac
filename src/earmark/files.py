"""Files that are either complete or not there: written to a neighbour name, synced, renamed. Folders of one user."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from earmark.errors import ConfigError

SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Offer a temporary neighbour of `path` to write to, and rename it to `path` when the block ends well.

    Works for a file and for a folder. When the block raises (a full disk, Ctrl-C), the temporary is removed and
    whatever stood at `path` before is untouched. The suffix of `path` is kept, since many writers look at it. An
    OSError without a file name gets that of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part.{path.name}")
    _remove(temporary)
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # a full disk does not say which file met it
            error.filename = str(path)
        raise
    finally:
        _remove(temporary)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file as a whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file as a whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_yaml(path: str | Path, value: Any) -> None:
    """Write a YAML file as a whole or not at all, keys in the order given."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file without executing tags, with the parser in C where there is one: all graphs begin with it."""
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=SAFE_LOADER)


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def make_own_folder(folder: Path) -> None:
    """Make a folder that nobody else can enter, and refuse one found there that is not so; its parent is there.

    In a place that all users write to, anybody could have made it first. Raises ConfigError.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status, user = folder.lstat(), os.getuid()
    if not stat.S_ISDIR(status.st_mode):
        found = "it is no folder"
    elif status.st_uid != user:
        found = f"it belongs to user {status.st_uid}"
    elif status.st_mode & 0o077:
        found = f"its mode is {stat.S_IMODE(status.st_mode):o}"
    else:
        return
    raise ConfigError(
        f"{folder}: {found}, wanted is a folder that user {user} alone can enter (mode 700). Remove it, or ask its"
        " owner to; it is then made anew."
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
