"""What is learned and by which path: two views of one sound, and the features on the way to an embedding."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earmark.encoders import count_parameters
from earmark.figures import Inputs
from earmark.figures.definition import (
    build_byol,
    describe_features,
    describe_layers,
    example_log_mels,
    normed_views,
    record_steps,
    segment_shape,
    trace_encoder,
)
from earmark.figures.drawing import INK, NORMAL, SMALL, arrow, box, colour_limits, heading, picture, sheet, spell_shape


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the learning scenario over the path of the features. `spec`: `seed` of the views.

    Shapes, layers and pooling are those of the encoder of `inputs.definition`, the views those of its augmentation.
    Source: Niizumi et al. 2023, Figure 1, as its caption and text describe it; the layout is our own.
    """
    figure, axes = sheet(4.05)
    _draw_scenario(axes, spec["seed"], inputs.definition)
    _draw_path(axes, inputs.definition)
    return figure


def _draw_scenario(axes: Axes, seed: int, definition: Mapping[str, Any]) -> None:
    log_mels = example_log_mels(definition)
    views = normed_views(definition, log_mels[:1], log_mels[1:])
    steps = record_steps(views, log_mels[:1], seed)
    source, *both = (values[0].numpy() for values in (steps["pre_norm"][0], *steps["post_norm"]))
    heading(axes, (0.12, 3.7), "(a) Two views of one sound are to have close embeddings")
    picture(axes, (0.3, 2.55, 1.0, 0.62), source, colour_limits([source]))
    _word(axes, 0.8, 3.27, "one sound")
    for number, (view, bottom) in enumerate(zip(both, (2.95, 2.1), strict=True), start=1):
        middle = bottom + 0.31
        arrow(axes, (1.3, 2.86), (1.5, 2.86), (1.5, middle), (2.1, middle))
        _word(axes, 1.78, middle + 0.1, "augment")
        picture(axes, (2.1, bottom, 1.0, 0.62), view, colour_limits(both))
        arrow(axes, (3.1, middle), (3.55, middle))
        _word(axes, 3.32, middle + 0.1, f"view {number}")
        box(axes, (3.55, bottom + 0.08, 1.05, 0.46), "Encoder", colour="network")
        arrow(axes, (4.6, middle), (5.1, middle))
        box(axes, (5.1, bottom + 0.08, 1.05, 0.46), "Embedding", colour="data")
    axes.annotate(
        "", (5.62, 2.67), (5.62, 3.0), arrowprops={"arrowstyle": "<|-|>", "color": INK, "lw": 1.1, "shrinkA": 0,
                                                  "shrinkB": 0},
    )  # fmt: skip
    _word(axes, 5.72, 2.83, "made to agree", ha="left")


def _draw_path(axes: Axes, definition: Mapping[str, Any]) -> None:
    encoder = build_byol(definition).encoder
    shapes = trace_encoder(encoder, segment_shape(definition))
    n_blocks, layers = describe_features(encoder.features)
    mlp = [line.replace("ReLU", "+ ReLU") for line in describe_layers(encoder.fc)]
    heading(axes, (0.12, 1.78), f"(b) Features of the encoder ({count_parameters(encoder):,} parameters)")
    bottom, height, middle = 0.35, 0.95, 0.825
    box(axes, (0.12, bottom + 0.17, 0.68, 0.6), "Log-mel", [spell_shape(shapes["input"])], "data")
    box(axes, (1.0, bottom, 0.98, height), f"{n_blocks} blocks of", layers, "network")
    box(axes, (2.2, bottom + 0.17, 0.86, 0.6), "Local\nfeatures", [spell_shape(shapes["local"])], "data")
    box(axes, (3.26, bottom - 0.06, 0.82, height + 0.12), "MLP", mlp, "network")
    box(axes, (4.28, bottom + 0.17, 0.86, 0.6), "Global\nfeatures", [spell_shape(shapes["global"])], "data")
    box(axes, (5.34, bottom + 0.17, 0.82, 0.6), "Concat", [spell_shape(shapes["frames"])], "step")
    pooling = {"mean_max": "mean + max", "mean": "mean", "max": "max"}[encoder.pool]
    box(
        axes,
        (6.36, bottom + 0.08, 0.72, 0.78),
        "Temporal\npooling",
        [pooling, spell_shape(shapes["embedding"])],
        "step",
    )
    for start, stop in ((0.8, 1.0), (1.98, 2.2), (3.06, 3.26), (4.08, 4.28), (5.14, 5.34), (6.16, 6.36)):
        arrow(axes, (start, middle), (stop, middle))
    above = bottom + height + 0.17
    arrow(axes, (2.63, bottom + 0.77), (2.63, above), (5.75, above), (5.75, bottom + 0.77))
    _word(axes, 4.7, above + 0.08, "local features go on")
    image = spell_shape(shapes["image"])
    _word(axes, 1.49, 0.14, f"to an image {image}: channels, bands, frames")
    _word(axes, 7.08, 0.14, "log-mel: bands, frames; features: frames, dimensions", ha="right")


def _word(axes: Axes, x: float, y: float, text: str, ha: str = "center") -> None:
    axes.text(x, y, text, ha=ha, va="center", fontsize=SMALL if len(text) > 12 else NORMAL, color=INK)
