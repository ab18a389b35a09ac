"""Two systems side by side: BYOL for images, and the same with log-mels and an augmentation for sound."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from earmark.encoders import count_parameters
from earmark.figures import Inputs
from earmark.figures.definition import build_byol, segment_shape, step_names, trace_encoder
from earmark.figures.drawing import INK, NORMAL, SMALL, arrow, box, heading, sheet, spell_shape

COLUMNS = (0.1, 1.05, 2.2, 3.42, 4.64)  # left ends, in inches: input, augmentation, encoder, projector, predictor
WIDTHS = (0.7, 0.84, 0.94, 0.94, 0.94)
LOSS = (6.12, 0.92)  # left end and width


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw BYOL (Grill et al. 2020) over BYOL for audio; sizes are those of the modules of `inputs.definition`.

    Source: Niizumi et al. 2023, Figure 2, as its caption and text describe it; the layout is our own.
    """
    figure, axes = sheet(4.7)
    model, protocol = build_byol(inputs.definition), inputs.definition["protocol"]
    shape = segment_shape(inputs.definition)
    embedding = spell_shape(trace_encoder(model.encoder, shape)["embedding"])
    projection, prediction = _outputs(model.projector), _outputs(model.predictor)
    heading(axes, (0.12, 4.36), "(a) BYOL")
    _draw_system(axes, 2.55, ("Image", []), ("Augmen-\ntation", ["for images"]), ([], [], []), "")
    heading(axes, (0.12, 2.12), "(b) BYOL for audio")
    names = [name.replace("\n", " ").removeprefix("Random ") for name in step_names(model.views).values()]
    sound = ("Log-mel", [spell_shape(shape), f"{protocol['segment_seconds']:g} s"])
    layers = ([embedding], [spell_shape(projection)], [spell_shape(prediction)])
    tau = f"moving average, τ = {protocol['tau']:g}"
    sizes = [
        ("encoder", count_parameters(model.encoder)),
        ("projector", count_parameters(model.projector)),
        ("predictor", count_parameters(model.predictor)),
    ]
    told = "; ".join(f"{name} {count:,}" for name, count in sizes)
    axes.text(
        LOSS[0] + LOSS[1], 2.12, f"trained parameters: {told}", ha="right", va="center", fontsize=SMALL, color=INK
    )
    _draw_system(axes, 0.32, sound, ("Augmen-\ntation", names), layers, tau)
    return figure


def _draw_system(axes: Axes, bottom: float, source, augmentation, layers, tau: str) -> None:
    """Draw one system in a band 1.6 inches high; `layers`: lines in encoder, projector and predictor."""
    upper, lower, middle = bottom + 1.2, bottom + 0.3, bottom + 0.75
    box(axes, (COLUMNS[0], middle - 0.35, WIDTHS[0], 0.7), source[0], source[1], "data")
    height = 0.14 * (len(augmentation[1]) + 2) + 0.15
    box(axes, (COLUMNS[1], middle - height / 2, WIDTHS[1], height), augmentation[0], augmentation[1], "step")
    arrow(axes, (COLUMNS[0] + WIDTHS[0], middle), (COLUMNS[1], middle))
    names = (("Encoder", "f"), ("Projector", "g"), ("Predictor", "q"))
    for line, (y, role, weights) in enumerate(((upper, "network", "θ"), (lower, "target", "ξ"))):
        letter = "v" if line == 0 else "v′"
        right = COLUMNS[1] + WIDTHS[1]
        fork = right + 0.1
        arrow(axes, (right, middle), (fork, middle), (fork, y), (COLUMNS[2], y))
        axes.text(fork + 0.08, y + 0.1, letter, ha="center", va="center", fontsize=NORMAL, color=INK)
        stages = names if line == 0 else names[:2]
        for number, (name, symbol) in enumerate(stages):
            left, width = COLUMNS[2 + number], WIDTHS[2 + number]
            title = f"{name}\n${symbol}_{{{weights}}}$" if not layers[number] else f"{name} ${symbol}_{{{weights}}}$"
            box(axes, (left, y - 0.29, width, 0.58), title, layers[number], role)
            after = COLUMNS[3 + number] if number + 1 < len(stages) else LOSS[0]
            arrow(axes, (left + width, y), (after, y), text="y" + "′" * line if number == 0 else "")
    for number in range(2):
        x = COLUMNS[2 + number] + WIDTHS[2 + number] / 2
        arrow(axes, (x, upper - 0.29), (x, lower + 0.29), ls=(0, (3, 2)))
    axes.text(COLUMNS[3] + WIDTHS[3] + 0.1, middle, tau or "moving average", ha="left", va="center", fontsize=SMALL)
    axes.text(LOSS[0] - 0.4, lower + 0.1, "no gradient", ha="center", va="center", fontsize=SMALL)
    box(
        axes,
        (LOSS[0], lower - 0.29, LOSS[1], upper - lower + 0.58),
        "Loss",
        ["2 − 2 cos", "both ways", "round"],
        "loss",
    )


def _outputs(layers: nn.Module) -> tuple[int, ...]:
    """Return the output sizes of the linear layers of a projector or predictor."""
    return tuple(layer.out_features for layer in layers.modules() if isinstance(layer, nn.Linear))
