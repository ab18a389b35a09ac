"""The diagram of a transfer study: a network pre-trained upstream serves tasks downstream."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from earmark.figures import Inputs

COLOURS = {"corpus": "#dbe7f3", "network": "#f6d9b8", "features": "#f9ead6", "Sound": "#d8ecd9", "Speech": "#e6dcf0"}


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the diagram; it reads nothing."""
    return draw_approach(spec)


def draw_approach(spec: Mapping[str, Any]) -> Figure:
    """Draw corpus, network, feature extractor and the groups of tasks, from left to right.

    `spec`: `upstream` {corpus, task, labels, networks} and `downstream` {group: [task names]}.
    Source: Dinkel et al., Figure 1, as its caption and text describe it.
    """
    figure = Figure(figsize=(10, 4.4))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.92))
    axes.set(xlim=(0, 100), ylim=(0, 44))
    axes.axis("off")
    upstream = spec["upstream"]
    networks = " or ".join(upstream["networks"])
    _stage(axes, 1, 47, "Upstream: pre-training")
    _stage(axes, 53, 99, "Downstream: transfer")
    _box(axes, (3, 15, 15, 14), f"{upstream['corpus']}\n{upstream['labels']}", COLOURS["corpus"])
    _box(axes, (23, 15, 22, 14), f"{upstream['task']}\nlog-mel → {networks}\n→ labels per clip", COLOURS["network"])
    _box(axes, (55, 15, 16, 14), "Feature extractor\nfrozen\nor finetuned", COLOURS["features"])
    _arrow(axes, (18.3, 22), (22.7, 22))
    _arrow(axes, (45.3, 22), (54.7, 22), "weights")
    groups = list(spec["downstream"].items())
    height, gap = 32 / len(groups), 2.5
    for number, (group, tasks) in enumerate(groups):
        bottom = 38 - (number + 1) * height + gap / 2
        half = (len(tasks) + 1) // 2 if len(tasks) <= 6 else (len(tasks) + 2) // 3
        lines = [", ".join(tasks[start : start + half]) for start in range(0, len(tasks), half)]
        text = f"{group} tasks\n" + "\n".join(lines)
        _box(axes, (76, bottom, 22, height - gap), text, COLOURS.get(group, "#eeeeee"))
        _arrow(axes, (71.3, 22), (75.7, bottom + (height - gap) / 2))
    return figure


def _stage(axes, left: float, right: float, name: str) -> None:
    frame = FancyBboxPatch(
        (left, 2), right - left, 38, boxstyle="round,pad=0,rounding_size=1.5", fill=False, ls="--", ec="#888888"
    )
    axes.add_patch(frame)
    axes.text((left + right) / 2, 42, name, ha="center", va="center", fontsize=12, fontweight="bold")


def _box(axes, place: tuple[float, float, float, float], text: str, colour: str) -> None:
    left, bottom, width, height = place
    box = FancyBboxPatch(
        (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1.2", fc=colour, ec="#444444", lw=1.2
    )
    axes.add_patch(box)
    title, _, rest = text.partition("\n")
    lines = rest.count("\n") + 1
    middle, centre = left + width / 2, bottom + height / 2
    axes.text(middle, centre + 1.3 * lines, title, ha="center", va="center", fontsize=10.5, fontweight="bold")
    axes.text(middle, centre - 1.4, rest, ha="center", va="center", fontsize=9, linespacing=1.4)


def _arrow(axes, start: tuple[float, float], stop: tuple[float, float], text: str = "") -> None:
    axes.add_patch(FancyArrowPatch(start, stop, arrowstyle="-|>", mutation_scale=14, lw=1.6, color="#444444"))
    axes.text((start[0] + stop[0]) / 2, start[1] + 1.2, text, ha="center", va="bottom", fontsize=9)
