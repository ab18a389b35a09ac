"""Scores per task and mode: measured bars, published diamonds, chance marks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earmark.figures import Inputs
from earmark.tables import read_cells

MODE_NAMES = {"scratch": "Scratch", "frozen": "Frozen", "finetune": "Finetuned"}
PALETTE = {"scratch": "#8da0cb", "frozen": "#66c2a5", "finetune": "#fc8d62"}
BAR_WIDTH = 0.8


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the first of the tidy tables."""
    return draw_modes(read_cells(inputs.tables[0]), inputs.tasks or {}, inputs.representations or {})


def draw_modes(cells: pd.DataFrame, tasks: Mapping[str, str], representations: Mapping[str, str]) -> Figure:
    """Draw one panel per encoder with a group of bars per task.

    `cells`: tidy cells of a table of scores; `tasks`, `representations`: {slug: printed name}. A bar is a measured mean
    with its 95 % interval, a diamond the published value, a black mark chance; a cell that was not run has no bar.
    An arrow down marks a task where less is better.
    """
    data = _with_names(cells, tasks, representations)
    tasks, encoders = list(data["name"].unique()), list(data["encoder"].unique())
    modes = {mode: name for mode, name in MODE_NAMES.items() if mode in set(data["mode"])}
    figure = Figure(figsize=(11, 0.62 * len(tasks) + 1.8))
    panels = figure.subplots(1, len(encoders), sharey=True, squeeze=False)[0]
    step = BAR_WIDTH / len(modes)
    for axes, encoder in zip(panels, encoders, strict=True):
        shown = data[data["encoder"] == encoder]
        seaborn.barplot(
            shown, y="name", x="measured", hue="mode", order=tasks, hue_order=list(modes), palette=PALETTE, ax=axes,
            orient="h", width=BAR_WIDTH, errorbar=None, legend=False, saturation=0.9,
        )  # fmt: skip
        for cell in shown.to_dict("records"):
            height = tasks.index(cell["name"]) - BAR_WIDTH / 2 + step * (list(modes).index(cell["mode"]) + 0.5)
            if pd.notna(cell["measured"]) and pd.notna(cell["interval"]):
                low, high = (max(0, min(100, cell["measured"] + sign * cell["interval"])) for sign in (-1, 1))
                axes.plot([low, high], [height, height], color="#444444", lw=0.9)
            colour = PALETTE[cell["mode"]]
            axes.plot(cell["published"], height, marker="D", ms=5, mfc=colour, mec="black", mew=0.7, ls="none")
        chances = shown.dropna(subset="chance").drop_duplicates("name")
        for task, chance in zip(chances["name"], chances["chance"], strict=True):
            middle = tasks.index(task)
            axes.plot([chance, chance], [middle - BAR_WIDTH / 2, middle + BAR_WIDTH / 2], color="black", lw=2)
        axes.set(title=encoder, xlabel="Score (%)", ylabel="", xlim=(0, 100), ylim=(len(tasks) - 0.5, -0.5))
        axes.grid(axis="x", color="#dddddd", lw=0.6)
        axes.set_axisbelow(True)
        for border in range(len(tasks) - 1):
            axes.axhline(border + 0.5, color="#eeeeee", lw=0.8, zorder=0)
    figure.legend(handles=_legend(modes), loc="lower center", ncols=len(modes) + 3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.035, 1, 0.98))
    return figure


def _with_names(cells: pd.DataFrame, tasks: Mapping[str, str], representations: Mapping[str, str]) -> pd.DataFrame:
    arrows = cells["direction"].map({"down": " ↓"}).fillna("")
    numbers = {
        name: pd.to_numeric(cells[name], errors="coerce") for name in ("measured", "interval", "chance", "published")
    }
    return cells.assign(
        name=cells["task"].map(lambda task: tasks.get(task, task)) + arrows,
        encoder=cells["representation"].map(lambda name: representations.get(name, name)),
        **numbers,
    )


def _legend(modes: Mapping[str, str]) -> list[Line2D]:
    marks = [
        Line2D([], [], color=PALETTE[mode], lw=8, solid_capstyle="butt", label=f"{name}, measured")
        for mode, name in modes.items()
    ]
    marks.append(Line2D([], [], color="#444444", lw=0.9, label="95 % interval"))
    marks.append(Line2D([], [], marker="D", ms=5, mfc="white", mec="black", ls="none", label="published"))
    marks.append(Line2D([], [], color="black", lw=2, label="chance"))
    return marks
