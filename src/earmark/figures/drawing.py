"""What the diagrams share: a sheet measured in inches, boxes, arrows, log-mels."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

WIDTH = 7.16  # inches: both columns of the paper's page
SMALL, NORMAL, LARGE = 6.5, 7.5, 9  # points
LINE = 0.135  # inches between lines of text
INK, GREY = "#333333", "#777777"
COLOURS = {"data": "#e3ecf5", "step": "#f6d9b8", "network": "#d8ecd9", "target": "#e9e9e9", "loss": "#f3d3d3"}
COLOUR_MAP = "magma"

Place = tuple[float, float, float, float]


def sheet(height: float) -> tuple[Figure, Axes]:
    """Return a figure as wide as a page and axes over all of it whose unit is the inch; no line goes above it."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_autoscale_on(False)
    axes.axis("off")
    return figure, axes


def heading(axes: Axes, place: tuple[float, float], text: str) -> None:
    """Write the name of a part of a figure; `place` is its left end."""
    axes.text(*place, text, ha="left", va="center", fontsize=LARGE, fontweight="bold", color=INK)


def box(axes: Axes, place: Place, title: str, lines: Sequence[str] = (), colour: str = "step", **style) -> None:
    """Draw a box with a bold title and smaller lines below it. `place`: left, bottom, width, height in inches."""
    left, bottom, width, height = place
    shape = "round,pad=0,rounding_size=0.06"
    style = {"fc": COLOURS[colour], "ec": INK, "lw": 0.9} | style
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle=shape, **style))
    titles = title.split("\n")
    top = bottom + height / 2 + LINE * (len(titles) + len(lines) - 1) / 2
    for number, line in enumerate([*titles, *lines]):
        is_title = number < len(titles)
        axes.text(
            left + width / 2, top - number * LINE, line, ha="center", va="center", color=INK,
            fontsize=NORMAL if is_title else SMALL, fontweight="bold" if is_title else "normal",
        )  # fmt: skip


def arrow(axes: Axes, *points: tuple[float, float], text: str = "", above: float = 0.09, **style) -> None:
    """Draw a line through points that ends in an arrow; `text` stands over the middle of its first piece."""
    style = {"color": INK, "lw": 1.1} | style
    for start, stop in itertools.pairwise(points[:-1]):
        axes.plot(*zip(start, stop, strict=True), solid_capstyle="round", **style)
    axes.add_patch(
        FancyArrowPatch(*points[-2:], arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, joinstyle="miter",
                        **style)
    )  # fmt: skip
    if text:
        (x1, y1), (x2, y2) = points[:2]
        axes.text((x1 + x2) / 2, (y1 + y2) / 2 + above, text, ha="center", va="center", fontsize=SMALL, color=INK)


def picture(axes: Axes, place: Place, log_mel: np.ndarray, limits: tuple[float, float] | None = None) -> None:
    """Draw a log-mel [mels, frames], low bands at the bottom. `limits`: values of the darkest and lightest colour."""
    left, bottom, width, height = place
    low, high = limits or (None, None)
    axes.imshow(
        log_mel, extent=(left, left + width, bottom, bottom + height), origin="lower", aspect="auto", cmap=COLOUR_MAP,
        vmin=low, vmax=high, interpolation="nearest", zorder=2,
    )  # fmt: skip
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle="square,pad=0", fill=False, ec=INK, lw=0.7,
                                  zorder=3))  # fmt: skip


def colour_limits(log_mels: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the values between which 98 % of all bins of some log-mels lie, for one colour scale."""
    low, high = np.percentile(np.concatenate([np.ravel(log_mel) for log_mel in log_mels]), [1, 99])
    return float(low), float(high)


def spell_shape(shape: Sequence[int]) -> str:
    """Write a shape as [24, 1,024]."""
    return f"[{', '.join(f'{size:,}' for size in shape)}]"


def spell_range(bounds: Sequence[float]) -> str:
    """Write bounds as 0.6 to 1.5."""
    return " to ".join(f"{bound:g}" for bound in bounds)
