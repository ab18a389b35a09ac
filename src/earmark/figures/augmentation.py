"""The augmentation of a pre-training: its blocks, and what each makes of a simple example."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earmark.figures import Inputs
from earmark.figures.definition import (
    describe_block,
    example_log_mels,
    normed_views,
    record_steps,
    segment_shape,
    step_limits,
    step_names,
)
from earmark.figures.drawing import (
    GREY,
    NORMAL,
    SMALL,
    WIDTH,
    arrow,
    box,
    heading,
    picture,
    sheet,
    spell_shape,
)
from earmark.pretraining.views import Mixup, Views


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the blocks of `inputs.definition` in their order over the example's log-mel after each. `spec`: `seed`.

    Source: Niizumi et al. 2023, Figure 3, as its caption and text describe it; the layout is our own.
    """
    figure, axes = sheet(3.6)
    log_mels = example_log_mels(inputs.definition)
    views = normed_views(inputs.definition, log_mels[:1], log_mels[1:])
    names = step_names(views)
    width = WIDTH / (len(names) + 1)
    heading(axes, (0.12, 3.27), "(a) Blocks")
    _draw_blocks(axes, views, names, width, spell_shape(segment_shape(inputs.definition)))
    heading(axes, (0.12, 1.55), "(b) A made-up sound after each step: view 1 above, view 2 below")
    steps = {"input": (log_mels[:1], log_mels[:1])} | record_steps(views, log_mels[:1], spec["seed"])
    limits = step_limits(steps)
    for column, (name, both) in enumerate(steps.items()):
        for number, value in enumerate(both):
            place = (column * width + 0.09, 0.78 - 0.66 * number, width - 0.18, 0.58)
            picture(axes, place, value[0].numpy(), limits[name])
    return figure


def _draw_blocks(axes: Axes, views: Views, names: Mapping[str, str], width: float, shape: str) -> None:
    middle, height = 2.5, 0.64
    box(axes, (0.09, middle - height / 2, width - 0.18, height), "Log-mel", [shape], "data")
    for number, (name, title) in enumerate(names.items(), start=1):
        left = number * width + 0.09
        block = dict(views.blocks.items()).get(name)
        box(
            axes, (left, middle - height / 2, width - 0.18, height), title, colour="target" if block is None else "step"
        )
        arrow(axes, (left - 0.18, middle), (left, middle))
        lines = {"pre_norm": ["mean, deviation", "of the corpus"], "post_norm": ["mean, deviation", "of both views"]}
        for line, text in enumerate(lines.get(name) or describe_block(block)):
            _word(axes, left + width / 2 - 0.09, middle - height / 2 - 0.14 - 0.135 * line, text)
        if isinstance(block, Mixup):
            _draw_queue(axes, left, width, middle + height / 2)
    _word(axes, WIDTH - 0.45, middle + height / 2 + 0.12, "two views", NORMAL)


def _draw_queue(axes: Axes, left: float, width: float, top: float) -> None:
    """Draw the queue of past inputs over the mixup: it takes what comes in and gives what is mixed in."""
    box(axes, (left + 0.02, top + 0.17, width - 0.22, 0.24), "past inputs", colour="data", ec=GREY)
    arrow(axes, (left + (width - 0.18) / 2, top + 0.17), (left + (width - 0.18) / 2, top))
    before = left - 0.09
    arrow(axes, (before, top - 0.36), (before, top + 0.29), (left + 0.02, top + 0.29))


def _word(axes: Axes, x: float, y: float, text: str, size: float = SMALL) -> None:
    axes.text(x, y, text, ha="center", va="center", fontsize=size)
