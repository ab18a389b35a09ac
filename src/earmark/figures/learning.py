"""How pre-training went: columns of the histories over steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from earmark.errors import StoreError
from earmark.figures import Inputs
from earmark.figures.drawing import NORMAL, SMALL, WIDTH

COLOURS = ("#1b6ca8", "#d1603d", "#5a9367", "#7a5195")
ABREAST = 2  # panels in a line


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the histories as `spec` says: a panel per group of representations, or a panel per column."""
    drawn = draw_groups if "groups" in spec else draw_learning
    return drawn(inputs.histories, spec, inputs.representations or {})


def draw_learning(histories: Sequence[Path], spec: Mapping[str, Any], names: Mapping[str, str]) -> Figure:
    """Draw the columns that `spec` names, one panel each, one line per representation.

    `histories`: files <representation>/history.csv; rows where a column is empty are left out of its line.
    Raises StoreError when a history lacks a column.
    """
    panels = spec["panels"]
    figure = Figure(figsize=(4.6 * len(panels), 3.6))
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, path in enumerate(sorted(map(Path, histories))):
            _draw_line(axes, path, spec["x"], panel, names, COLOURS[number % len(COLOURS)], lw=1.4, marker="o", ms=3)
        axes.set(xlabel=spec["x"]["name"], ylabel=panel["name"])
        _finish(axes, bool(histories), 9)
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    return figure


def draw_groups(histories: Sequence[Path], spec: Mapping[str, Any], names: Mapping[str, str]) -> Figure:
    """Draw the only column that `spec` names, a panel per entry of its `groups`: {printed name: [representations]}.

    The first of a group is black; a representation may stand in several groups, at most eleven in one. Those without a
    history are left out. Raises StoreError when a history lacks the column.
    """
    paths = {Path(path).parent.name: Path(path) for path in histories}
    (panel,), groups = spec["panels"], spec["groups"]
    n_lines = -(-len(groups) // ABREAST)
    figure = Figure(figsize=(WIDTH, 1.55 * n_lines + 0.45))
    every = figure.subplots(n_lines, ABREAST, sharey=True, squeeze=False)
    for axes, (group, members) in zip(every.flat, groups.items(), strict=False):
        shown = [paths[name] for name in members if name in paths]
        others = iter(matplotlib.colormaps["tab10"].colors)
        for path in shown:
            colour = "black" if path.parent.name == members[0] else next(others)
            _draw_line(axes, path, spec["x"], panel, names, colour, lw=1.1)
        axes.set_title(group, fontsize=NORMAL + 0.5)
        axes.tick_params(labelsize=SMALL, length=2.5)
        _finish(axes, bool(shown), SMALL, loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in every.flat[len(groups) :]:
        axes.axis("off")
    for axes in every.flat[: len(groups)][-ABREAST:]:
        axes.set_xlabel(spec["x"]["name"], fontsize=NORMAL)
        axes.tick_params(labelbottom=True)
    for axes in every[:, 0]:
        axes.set_ylabel(panel["name"], fontsize=NORMAL)
    figure.tight_layout(rect=(0, 0, 1, 0.965))
    return figure


def _draw_line(
    axes: Axes, path: Path, across: Mapping, panel: Mapping, names: Mapping[str, str], colour, **style
) -> None:
    history = pd.read_csv(path)
    if missing := {across["column"], panel["column"]} - set(history.columns):
        raise StoreError(f"{path} lacks the columns {sorted(missing)}; it has {', '.join(history.columns)}")
    points = history[[across["column"], panel["column"]]].dropna()
    name = names.get(path.parent.name, path.parent.name)
    axes.plot(*points.to_numpy().T, color=colour, label=name, **style)


def _finish(axes: Axes, is_drawn: bool, size: float, **place) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e4e4e4", lw=0.6)
    if is_drawn:
        axes.legend(frameon=False, fontsize=size, **place)
    else:
        axes.text(0.5, 0.5, "no pre-training in this run", transform=axes.transAxes, ha="center", fontsize=size + 1)
