"""Lines of the user's own encoders in the tables of a study."""

from collections.abc import Mapping
from typing import Any

from earmark.tables.roles import OWN_GROUP

GROUP_NAME = "Own encoders"


def add_own_rows(tables: Mapping[str, Mapping[str, Any]], own: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return the tables of a study, those with `own_rows: true` with a further line per own representation.

    `own`: {slug of the representation: printed name}. The lines follow the printed ones, under a group of their own,
    and have no published cells. Without any, the tables are those given.
    """
    if not own:
        return dict(tables)
    lines = [{"row_group": OWN_GROUP, "row": slug, "name": name} for slug, name in own.items()]
    return {
        table: {**spec, "lines": [*spec["lines"], *lines], "groups": {**spec["groups"], OWN_GROUP: GROUP_NAME}}
        if spec.get("own_rows")
        else spec
        for table, spec in tables.items()
    }
