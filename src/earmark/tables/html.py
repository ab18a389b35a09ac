"""Tables as one self-contained HTML page."""

from html import escape

import great_tables
import pandas as pd

from earmark.tables.layout import DASH, Cell, Grid

STYLE = """
body { margin: 2rem; color: #222; }
.banner { font: 600 1rem sans-serif; background: #fff3cd; border: 1px solid #e0c36a; padding: .6rem 1rem;
          display: table; margin: 0 auto 1rem; }
.published { font-size: 80%; color: #666; white-space: nowrap; }
.measured { white-space: nowrap; }
.missing { color: #999; }
.missing sup { font-size: 80%; vertical-align: super; }
"""


def to_html(grid: Grid) -> str:
    """Write a table as a page that needs nothing from elsewhere: no scripts, fonts or style sheets of other hosts."""
    names = [f"c{number}" for number in range(grid.n_columns - 1)]
    rows = [[line.group, escape(line.name), *map(_cell, line.cells), *map(escape, line.extra)] for line in grid.lines]
    rows += [["Beside the scores", *map(escape, values)] for values in grid.extra_lines]
    data = pd.DataFrame(rows, columns=["group", "name", *names])
    table = (
        great_tables.GT(data, rowname_col="name", groupname_col="group", id=grid.slug.replace("_", "-"))
        .tab_header(title=grid.title, subtitle=great_tables.html(_subtitle(grid)))
        .cols_label({name: head for name, head in zip(names, (*grid.heads, *grid.extra_heads), strict=True)})
        .fmt_passthrough(columns=["name", *names], escape=False)
        .cols_align(align="right", columns=names)
        .tab_options(table_font_size="13px", source_notes_font_size="12px", row_group_font_weight="bold")
    )
    start = 0
    for name, count in grid.spans:
        if name:
            table = table.tab_spanner(label=name, columns=names[start : start + count])
        start += count
    for note in grid.notes:
        table = table.tab_source_note(source_note=great_tables.html(escape(note)))
    banner = f'<p class="banner">{escape(grid.banner)}</p>' if grid.banner else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(grid.title)}</title>\n'
        f'<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n{banner}\n'
        f"{table.as_raw_html()}\n</body>\n</html>\n"
    )


def _subtitle(grid: Grid) -> str:
    return escape(grid.caption)


def _cell(cell: Cell) -> str:
    published = _bold(cell.published, cell.best_published)
    if cell.status == "quoted":
        return f'<span class="missing">{DASH}</span>' if cell.published == DASH else f"{published}&nbsp;†"
    if cell.status == "not_run":
        return (
            f'<span class="missing">{DASH}<sup>{cell.mark}</sup></span><br><span class="published">{published}</span>'
        )
    below = f"{published} ({escape(cell.difference)})" if cell.difference else published
    measured = _bold(cell.measured, cell.best_measured)
    return f'<span class="measured">{measured}</span><br><span class="published">{below}</span>'


def _bold(text: str, is_best: bool) -> str:
    return f"<b>{escape(text)}</b>" if is_best else escape(text)
