"""What a cell of a table stands for: its key, its task, representation and mode, and the averages that it needs."""

from collections.abc import Mapping
from typing import Any

KEY = ["row_group", "row", "column_group", "column"]
OWN_GROUP = "own"


def is_own(line: Mapping[str, Any]) -> bool:
    """Tell whether a line, or a cell of it, is that of a user's own encoder, for which nothing was published."""
    return line["row_group"] == OWN_GROUP


def cell_key(spec: Mapping[str, Any], line: Mapping, head: Mapping) -> tuple[str, ...]:
    """Return (row_group, row, column_group, column) of the cell where a line and a head of the table meet."""
    return tuple((line if part in spec["by"] else head).get(part, "") for part in KEY)


def cell_role(spec: Mapping[str, Any], cell: Mapping[str, str], role: str) -> str:
    """Return the task, representation or mode of a cell; empty where the table has none.

    `measured` names the part of the key that holds it, or the thing itself; `same` gives a printed row another name.
    """
    part = spec["measured"].get(role, "")
    name = cell[part] if part in KEY else part
    return spec.get("same", {}).get(name, name) if role == "representation" and not is_own(cell) else name


def averaged_parts(
    spec: Mapping[str, Any], line: Mapping, head: Mapping, representation: str
) -> tuple[list[str], list[str]] | None:
    """List the representations whose averages a cell adds, and those whose averages it takes away.

    None for a cell that holds no average.
    """
    if "derive" in line:
        return list(line["derive"]["plus"]), list(line["derive"].get("minus", ()))
    if "shows" not in head:
        return None
    return [representation], [spec["measured"]["base"]] if head["shows"] == "difference" else []
