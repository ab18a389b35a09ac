"""The printed shape of a table: titles, heads, lines and notes as text, the same for every format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from earmark.tables.notes import collect_notes
from earmark.tables.roles import KEY, cell_key

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """One printed cell: the measured line, and below it the published value with the difference.

    `status` is measured, quoted (published alone) or not_run.
    """

    status: str
    published: str = ""
    measured: str = ""
    difference: str = ""
    mark: str = ""
    best_published: bool = False
    best_measured: bool = False


@dataclass(frozen=True)
class Line:
    """One printed row; `extra` holds what is beside the printed columns (chance, clips)."""

    group: str
    name: str
    cells: tuple[Cell, ...]
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A whole table in its printed shape; `spans` holds (name, columns) over the heads."""

    slug: str
    title: str
    caption: str
    banner: str
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    spans: tuple[tuple[str, int], ...] = ()
    extra_heads: tuple[str, ...] = ()
    extra_lines: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_columns(self) -> int:
        """Count all columns, the one of row names included."""
        return 1 + len(self.heads) + len(self.extra_heads)


def lay_out(
    spec: Mapping[str, Any],
    cells: pd.DataFrame,
    label: str | None,
    remarks: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Grid:
    """Arrange the tidy cells of a table as it is printed.

    `cells`: the table of `make_cells`, or its csv read with `read_cells`; `label`: the line that everything made at a
    scale carries; `remarks`: notes on this run. Best values are those at printed precision, ties included, where at
    least two values can be compared; published and measured ones apart; lines for reference and columns of differences
    take no part.
    """
    records = {tuple(cell[part] for part in KEY): cell for cell in cells.to_dict("records")}
    keys = [[cell_key(spec, line, head) for head in spec["heads"]] for line in spec["lines"]]
    matrix = [
        [_prepare(records[key], spec, line, head) for key, head in zip(row, spec["heads"], strict=True)]
        for row, line in zip(keys, spec["lines"], strict=True)
    ]
    for which in ("published", "measured"):
        _mark_best(matrix, spec["best"], which)
    reasons = {}
    for cell in (cell for row in matrix for cell in row if cell["status"] == "not_run"):
        cell["mark"] = reasons.setdefault(cell["note"], _letter(len(reasons)))
    by_line = spec["measured"].get("task") in spec["by"]
    extra = _extras(matrix if by_line else list(zip(*matrix, strict=True)), spec, by_line)
    lines = tuple(
        Line(
            spec["groups"].get(line["row_group"], line["row_group"]),
            line["name"],
            tuple(_cell(cell) for cell in row),
            tuple(values[number] for values in extra.values()) if by_line else (),
        )
        for number, (line, row) in enumerate(zip(spec["lines"], matrix, strict=True))
    )
    return Grid(
        slug=str(cells["table"].iloc[0]),
        title=spec["title"],
        caption=spec["caption"],
        banner=label or "",
        heads=tuple(head["name"] for head in spec["heads"]),
        lines=lines,
        spans=_spans(spec),
        extra_heads=tuple(extra) if by_line else (),
        extra_lines=() if by_line else tuple((name, *values) for name, values in extra.items()),
        notes=tuple(collect_notes(spec, cells, reasons, remarks, provenance or {})),
    )


def format_number(value: float, decimals: int, sign: bool = False) -> str:
    """Write a number with a fixed number of decimals, groups of thousands and a true minus sign."""
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = ("±" if sign else "") + text.lstrip("+-")
    return text.replace("-", "−")


def _prepare(record: dict, spec: Mapping, line: Mapping, head: Mapping) -> dict:
    """Give a tidy record its texts. A published number with a plus sign keeps it, and gives it to the measured one."""
    published, measured = record["published"], record["measured"]
    number = isinstance(measured, int | float) and pd.notna(measured)
    printed = _is_number(published)
    digits = len(published.partition(".")[2]) if printed else 2
    decimals = head.get("decimals", digits)
    signed = printed and published.startswith("+")
    spread = record["interval" if spec["measured"].get("interval") == "student" else "spread"]
    texts = {"published_text": published, "measured_text": "", "difference_text": ""}
    if printed:
        texts["published_text"] = format_number(float(published), digits, signed)
        if record.get("published_interval"):
            texts["published_text"] += f" ± {record['published_interval']}"
    if number:
        texts["measured_text"] = format_number(measured, decimals, signed)
        if pd.notna(spread):
            texts["measured_text"] += f" ± {format_number(spread, decimals)}"
        if pd.notna(record["difference"]):
            texts["difference_text"] = format_number(record["difference"], decimals, sign=True)
    elif isinstance(measured, str):
        texts["measured_text"] = measured
    return {
        **record,
        **texts,
        "published_value": float(published) if printed else None,
        "measured_value": round(float(measured), decimals) if number else None,
        "decimals": decimals,
        "group": spec["groups"].get(line["row_group"], line["row_group"]),
        "is_compared": not line.get("for_reference") and head.get("shows") != "difference",
        "mark": "",
        "best_published": False,
        "best_measured": False,
    }


def _cell(cell: Mapping) -> Cell:
    return Cell(
        "quoted" if cell["status"] == "blank" else cell["status"],
        cell["published_text"] or DASH,
        cell["measured_text"],
        cell["difference_text"],
        cell["mark"],
        cell["best_published"],
        cell["best_measured"],
    )


def _mark_best(matrix: list[list[dict]], best: str, which: str) -> None:
    columns = [list(column) for column in zip(*matrix, strict=True)]
    groups = {"line": matrix, "head": columns, "group": _divide(columns), "none": []}[best]
    for group in groups:
        known = [
            cell
            for cell in group
            if cell["is_compared"] and cell[f"{which}_value"] is not None and cell["direction"] in ("up", "down")
        ]
        if len(known) < 2:
            continue
        choose = min if known[0]["direction"] == "down" else max
        top = choose(cell[f"{which}_value"] for cell in known)
        for cell in known:
            cell[f"best_{which}"] = cell[f"{which}_value"] == top


def _divide(columns: list[list[dict]]) -> list[list[dict]]:
    """Divide columns into the parts that the groups of lines make."""
    parts: dict[tuple[int, str], list[dict]] = {}
    for number, column in enumerate(columns):
        for cell in column:
            parts.setdefault((number, cell["group"]), []).append(cell)
    return list(parts.values())


def _extras(groups, spec: Mapping, by_line: bool) -> dict[str, list[str]]:
    """Collect chance and clips of each line (or column) where any is known."""
    if spec["measured"]["from"] in ("counts", "descriptions"):
        return {}
    chance, clips = [], []
    for group in groups:
        known = [cell for cell in group if pd.notna(cell["chance"])]
        chance.append(format_number(known[0]["chance"], known[0]["decimals"]) if known else DASH)
        sizes = sorted({int(cell["n_clips"]) for cell in group if pd.notna(cell["n_clips"])})
        clips.append(DASH if not sizes else DASH.join(f"{size:,}" for size in sorted({sizes[0], sizes[-1]})))
    found = {"Chance": chance, "Clips": clips}
    return {name: values for name, values in found.items() if any(value != DASH for value in values)}


def _spans(spec: Mapping) -> tuple[tuple[str, int], ...]:
    spans: list[tuple[str, int]] = []
    for head in spec["heads"] if "spans" in spec else ():
        name = spec["spans"][head["span"]] if "span" in head else ""
        if spans and spans[-1][0] == name:
            spans[-1] = (name, spans[-1][1] + 1)
        else:
            spans.append((name, 1))
    return tuple(spans)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return text != "" and pd.notna(text)


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26) * (number // 26 + 1)


def to_json(grid: Grid) -> str:
    """Write a grid as JSON, for documents made outside Python."""
    return json.dumps(asdict(grid), ensure_ascii=False, sort_keys=True)
