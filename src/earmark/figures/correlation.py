"""How alike representations rank tasks: correlations between their scores, published beside measured."""

from collections.abc import Collection, Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earmark.figures import Inputs
from earmark.figures.drawing import LARGE, NORMAL, SMALL, WIDTH
from earmark.tables import read_cells
from earmark.tables.cells import read_published

UNKNOWN = "#d4d4d4"
MIN_TASKS = 3  # fewer points correlate by chance


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw two heat maps: of the published scores (`inputs.published`) and of the measured ones (`inputs.tables`).

    `spec`: `leave_out`, rows that are not shown. The user's own encoders are rows of the measured map alone. What was
    not measured is grey. Source: Niizumi et al. 2023, Figure 6.
    """
    cells = read_cells(inputs.tables[0])
    slugs = dict(zip(cells["row"], cells["representation"], strict=True))
    names = {row: (inputs.representations or {}).get(slug, row) for row, slug in slugs.items()}
    scores = {
        "Published": published_scores(read_published(inputs.published[0]), spec["leave_out"]),
        "Measured here": measured_scores(cells, spec["leave_out"]),
    }
    maps = {title: correlate(table) for title, table in scores.items()}
    known = [table.to_numpy()[np.isfinite(table.to_numpy())] for table in maps.values()]
    lowest = np.floor(10 * min((values.min() for values in known if len(values)), default=0)) / 10
    figure = Figure(figsize=(WIDTH, 4.5))
    places = ((0.12, 0.29, 0.355, 0.565), (0.632, 0.29, 0.355, 0.565))
    for place, (title, table) in zip(places, maps.items(), strict=True):
        axes = figure.add_axes(place)
        image = _draw_map(axes, table.rename(index=names, columns=names), lowest)
        n_tasks = int(scores[title].notna().any().sum())
        axes.set_title(f"{title}, {n_tasks} tasks" if n_tasks else f"{title}: no scores", fontsize=LARGE)
    bar = figure.add_axes((0.38, 0.045, 0.28, 0.022))
    figure.colorbar(image, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=SMALL, length=2)
    figure.text(0.37, 0.056, "Pearson correlation", ha="right", va="center", fontsize=NORMAL)
    figure.text(0.69, 0.056, "grey: not measured", ha="left", va="center", fontsize=NORMAL)
    return figure


def published_scores(published: pd.DataFrame, leave_out: Collection[str]) -> pd.DataFrame:
    """Return the printed accuracies of a file of published cells, a row a representation, a column a task.

    Averages, results quoted from other papers and the rows in `leave_out` are not among them.
    """
    is_own = ~published["flags"].str.split(";").map(lambda flags: "reported_by_other" in flags)
    return _spread(published[is_own], "value", leave_out)


def measured_scores(cells: pd.DataFrame, leave_out: Collection[str]) -> pd.DataFrame:
    """Return the measured accuracies of a tidy table in the same form; NaN for what was not measured."""
    return _spread(cells[cells["status"] != "quoted"], "measured", leave_out)


def correlate(scores: pd.DataFrame) -> pd.DataFrame:
    """Return Pearson's correlation between the rows [rows, tasks] as a matrix with the rows' names on both sides.

    A pair is compared on the tasks that both have, at least three; NaN where there are fewer, or one score throughout.
    """
    return scores.T.corr(min_periods=MIN_TASKS)


def _spread(cells: pd.DataFrame, value: str, leave_out: Collection[str]) -> pd.DataFrame:
    kept = cells[(cells["metric"] == "accuracy") & ~cells["row"].isin(list(leave_out))]
    numbers = pd.to_numeric(kept[value], errors="coerce")
    table = kept.assign(number=numbers).pivot(index="row", columns="column", values="number")
    return table.reindex(index=kept["row"].unique(), columns=kept["column"].unique()).astype(float)


def _draw_map(axes: Axes, table: pd.DataFrame, lowest: float):
    colours = matplotlib.colormaps["YlGnBu"].with_extremes(bad=UNKNOWN)
    values = table.to_numpy()
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=lowest, vmax=1, aspect="equal")
    size = SMALL if len(table) <= 10 else max(4.0, SMALL * 10 / len(table))
    for (line, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            is_dark = (value - lowest) > 0.6 * (1 - lowest)
            text = f"{value:.2f}".replace("-", "−")
            axes.text(
                column, line, text, ha="center", va="center", fontsize=size, color="white" if is_dark else "black"
            )
    ticks = np.arange(len(table))
    axes.set_xticks(ticks, table.columns, rotation=90, fontsize=NORMAL)
    axes.set_yticks(ticks, table.index, fontsize=NORMAL)
    axes.tick_params(length=0)
    axes.set_xticks(ticks[1:] - 0.5, minor=True)
    axes.set_yticks(ticks[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=0.6)
    axes.tick_params(which="minor", length=0)
    return image
