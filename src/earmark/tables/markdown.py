"""Tables as Markdown."""

import re

from earmark.tables.layout import Cell, Grid


def to_markdown(grid: Grid) -> str:
    """Write a table in Markdown (pipes, line breaks inside cells as <br>), with its notes as a list."""
    heads = ["", *grid.heads, *grid.extra_heads]
    if grid.spans:
        names = [name for name, count in grid.spans for _ in range(count)]
        heads[1 : 1 + len(names)] = [
            f"{name}<br>{head}" if name else head for name, head in zip(names, grid.heads, strict=True)
        ]
    rows = [_row(map(_escape, heads)), _row(["---", *["---:"] * (grid.n_columns - 1)])]
    group = None
    for line in grid.lines:
        if line.group != group:
            group = line.group
            rows.append(_row([f"**{_escape(group)}**", *[""] * (grid.n_columns - 1)]))
        rows.append(_row([_escape(line.name), *map(_cell, line.cells), *line.extra]))
    rows += [_row([f"*{name}*", *values]) for name, *values in grid.extra_lines]
    banner = [f"> **{grid.banner}**", ""] if grid.banner else []
    notes = [f"- {_escape(note)}" for note in grid.notes]
    return "\n".join([f"# {_escape(grid.title)}", "", *banner, grid.caption, "", *rows, "", *notes, ""])


def _row(values) -> str:
    return f"| {' | '.join(values)} |"


def _cell(cell: Cell) -> str:
    published = f"**{cell.published}**" if cell.best_published else cell.published
    if cell.status == "quoted":
        return published if cell.published == "–" else f"{published} †"
    if cell.status == "not_run":
        return f"– <sup>{cell.mark}</sup><br>{published}"
    measured = f"**{cell.measured}**" if cell.best_measured else cell.measured
    return f"{measured}<br>{published}{f' ({cell.difference})' if cell.difference else ''}"


def _escape(text: str) -> str:
    return re.sub(r"(?<!<br)([*|_])", r"\\\1", text)
