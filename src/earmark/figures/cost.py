"""What accuracy costs: average accuracy over the size of an encoder, and over the time that it takes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from earmark.figures import Inputs
from earmark.figures.drawing import GREY, INK, LARGE, NORMAL, SMALL, WIDTH
from earmark.files import read_yaml
from earmark.tables import read_cells
from earmark.tables.cells import printed_words, read_published

COLOURS = ("#d1603d", "#7a5195", "#3f8f5b", "#1b6ca8", "#222222")
DISTANCES = (5, 10, 16, 23, 31, 40)  # points between a mark and its label, nearest first
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw printed averages over printed sizes, and measured ones over the sizes and times of this run.

    `inputs.published`: the table of scores, then that of sizes in million parameters; `inputs.tables`: the tidy table
    of scores; `inputs.cards`: of embeddings. `spec`: `families`, printed names by row_group. What was not measured is
    named below the key.
    """
    points = collect_points(inputs)
    figure = Figure(figsize=(WIDTH, 6.0))
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    families = dict(zip(spec["families"], COLOURS, strict=False))
    for axes, (title, x, y, label) in zip(
        panels.flat,
        (
            ("Published", "published_parameters", "published", "Parameters (millions)"),
            ("Measured here, by size", "parameters", "measured", "Parameters (millions)"),
            ("Measured here, by time", "seconds", "measured", "Seconds per hour of audio"),
        ),
        strict=False,
    ):
        _draw_panel(axes, points, x, y, families)
        axes.set_title(title, fontsize=LARGE)
        axes.set_xlabel(label, fontsize=NORMAL)
        axes.set_ylabel("Average accuracy (%)", fontsize=NORMAL)
    _draw_key(panels[1, 1], spec["families"], families, points)
    figure.tight_layout(rect=(0, 0, 1, 0.955), h_pad=1.6, w_pad=1.6)
    for axes in panels.flat[:3]:
        place_labels(axes)
    return figure


def collect_points(inputs: Inputs) -> pd.DataFrame:
    """Return a row a representation: name, family (its row_group), and the numbers as far as they are known.

    `published` and `measured`: average accuracy in percent; `published_parameters` and `parameters`: in millions;
    `seconds`: of embedding for an hour of audio, over all data sets of `inputs.cards`.
    """
    cells = read_cells(inputs.tables[0])
    averages = cells[(cells["column"] == "average") & (cells["status"] != "quoted")].set_index("row")
    scores, sizes = (read_published(path) for path in inputs.published)
    is_average = (scores["column"] == "average") & ~scores["flags"].str.contains("reported_by_other")
    printed = scores[is_average].set_index("row")["value"]
    printed_sizes = {
        row["row"]: first_number(row["value"] or printed_words(row["source_note"]))
        for row in sizes[sizes["column"] == "params_m"].to_dict("records")
    }
    costs = read_costs(inputs.cards)
    slugs = averages["representation"]
    table = pd.DataFrame(
        {
            "name": [(inputs.representations or {}).get(slug, row) for row, slug in slugs.items()],
            "family": averages["row_group"],
            "published": pd.to_numeric(printed.reindex(slugs.index), errors="coerce"),
            "measured": pd.to_numeric(averages["measured"], errors="coerce"),
            "published_parameters": [printed_sizes.get(row) for row in slugs.index],
            "parameters": [costs.get(slug, {}).get("parameters") for slug in slugs],
            "seconds": [costs.get(slug, {}).get("seconds") for slug in slugs],
        }
    )
    numbers = ["published_parameters", "parameters", "seconds"]
    return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})


def read_costs(cards: Sequence[Path]) -> dict[str, dict[str, float | None]]:
    """Return {representation: {parameters in millions, seconds per hour of audio}} of embeddings' cards.

    The seconds are those of all data sets together over their hours.
    """
    found: dict[str, list[Mapping]] = {}
    for path in map(Path, cards):
        found.setdefault(path.parents[2].name, []).append(read_yaml(path))
    return {
        name: {
            "parameters": _millions(contents[0].get("parameters")),
            "seconds": sum(card["seconds"] for card in contents) / sum(card["hours_of_audio"] for card in contents),
        }
        for name, contents in found.items()
    }


def first_number(text: str) -> float | None:
    """Return the first number in a text, such as 9.0 of '9.0/1.6'; None where there is none."""
    match = re.search(r"\d+(\.\d+)?", text)
    return float(match[0]) if match else None


def place_labels(axes: Axes) -> None:
    """Move the labels of the marks so that they cover neither each other nor a mark, and stay inside the axes.

    Each label takes the nearest free place around its mark, from the highest mark to the lowest.
    """
    renderer = axes.figure.canvas.get_renderer()
    unit = axes.figure.dpi / 72  # pixels of a point
    frame = axes.get_window_extent(renderer)
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    labels = sorted(labels, key=lambda label: (-label.xy[1], label.xy[0]))
    marks = [axes.transData.transform(label.xy) for label in labels]
    taken = [Bbox.from_bounds(x - 4 * unit, y - 4 * unit, 8 * unit, 8 * unit) for x, y in marks]
    for label, (x, y) in zip(labels, marks, strict=True):
        size = label.get_window_extent(renderer)
        best = None
        for distance in DISTANCES:
            for across, up in DIRECTIONS:
                left = x + across * distance * unit - (size.width if across < 0 else size.width / 2 * (across == 0))
                bottom = y + up * distance * unit - (size.height if up < 0 else size.height / 2 * (up == 0))
                place = Bbox.from_bounds(left, bottom, size.width, size.height)
                lost = sum(_shared_area(place, other) for other in taken)
                lost += 10 * (place.width * place.height - _shared_area(place, frame))
                if best is None or lost < best[0] - 1e-6:
                    best = (lost, place, distance)
            if best[0] < 1e-6:
                break
        place = best[1]
        taken.append(place)
        label.set_position(((place.x0 - x) / unit, (place.y0 - y) / unit))
        label.arrow_patch.set_visible(best[2] > DISTANCES[1])


def _draw_panel(axes: Axes, points: pd.DataFrame, x: str, y: str, families: Mapping[str, str]) -> None:
    shown = points.dropna(subset=[x, y])
    for point in shown.to_dict("records"):
        axes.plot(point[x], point[y], marker="o", ms=5, ls="none", color=families.get(point["family"], INK))
        axes.annotate(
            point["name"], (point[x], point[y]), (0, 0), textcoords="offset points", fontsize=SMALL, color=INK,
            ha="left", va="bottom", arrowprops={"arrowstyle": "-", "lw": 0.5, "color": GREY, "shrinkA": 0,
                                                "shrinkB": 3},
        )  # fmt: skip
    if shown.empty:
        axes.text(0.5, 0.5, "nothing measured in this run", transform=axes.transAxes, ha="center", fontsize=NORMAL)
        axes.set(xticks=[], yticks=[])
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.16, y=0.12)
    axes.tick_params(labelsize=SMALL, length=2.5)
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)


def _draw_key(axes: Axes, names: Mapping[str, str], families: Mapping[str, str], points: pd.DataFrame) -> None:
    axes.axis("off")
    present = [family for family in families if family in set(points["family"])]
    handles = [Line2D([], [], marker="o", ms=5, ls="none", color=families[f], label=names[f]) for f in present]
    axes.legend(handles=handles, loc="upper left", frameon=False, fontsize=NORMAL, borderaxespad=0)
    left_out = points[points["measured"].isna() | points["parameters"].isna()]["name"]
    if len(left_out):
        lines = ["Not drawn, as not measured in this run:", *left_out]
        axes.text(0.0, 0.52, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=SMALL, color=INK)


def _millions(parameters: float | None) -> float | None:
    return None if parameters is None else parameters / 1e6


def _shared_area(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0
