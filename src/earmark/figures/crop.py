"""The random resize crop: where crops lie on their canvas, and what they become."""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from earmark.errors import ConfigError
from earmark.figures import Inputs
from earmark.figures.definition import build_augmentation, example_log_mels
from earmark.figures.drawing import SMALL, arrow, colour_limits, heading, picture, sheet
from earmark.pretraining.views import ResizeCrop, crop_sizes, draw_integers, draw_uniform

CROP_COLOURS = ("#2bd19e", "#4fa8ff")
SCALE = 3.9 / 144  # inches of a frame on a canvas of 144 frames
N_CROPS = 2


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw two crops on the canvas, and both resized to the size of the input. `spec`: `seed` of the crops.

    Canvas, bounds and draws are those of the block of `inputs.definition`. Source: Niizumi et al. 2023, Figure 5 and
    Eq. (3), (4); the layout is our own. Raises ConfigError where the protocol has no random resize crop.
    """
    blocks = build_augmentation(inputs.definition).blocks.values()
    block = next((block for block in blocks if isinstance(block, ResizeCrop)), None)
    if block is None:
        raise ConfigError("a figure of kind crop needs a pre-training whose `blocks` hold resize_crop")
    log_mel = example_log_mels(inputs.definition)[0]
    log_mel = (log_mel - log_mel.mean()) / log_mel.std()
    canvas, crops = crop_geometry(block, tuple(log_mel.shape), N_CROPS, spec["seed"])
    views = block(log_mel.expand(N_CROPS, -1, -1), log_mel, spec["seed"])
    figure, axes = sheet(3.15)
    heading(axes, (0.12, 2.82), "(a) Crops in the virtual boundary")
    heading(axes, (5.05, 2.82), "(b) Resized to the input")
    _draw_canvas(axes, block, log_mel, canvas, crops)
    n_mels, n_frames = log_mel.shape
    for view, colour, bottom in zip(views, CROP_COLOURS, (1.62, 0.34), strict=True):
        place = (5.2, bottom, 1.5, 0.95)
        picture(axes, place, view.numpy(), colour_limits([log_mel.numpy()]))
        axes.add_patch(Rectangle(place[:2], *place[2:], fill=False, ec=colour, lw=2, zorder=4))
        _word(axes, 5.95, bottom - 0.1, f"{n_frames} frames")
        axes.text(6.8, bottom + 0.47, f"{n_mels} bands", ha="center", va="center", fontsize=SMALL, rotation=90)
    return figure


def crop_geometry(
    block: ResizeCrop, shape: tuple[int, int], n_items: int, seed: int
) -> tuple[int, list[tuple[int, int, int, int]]]:
    """Return the canvas's frames, and (height, width, top, left) of the crop drawn for each input of a batch.

    `shape`: (mels, frames); `top` counts bands from the lowest, `left` frames from the canvas's start. The draws are
    those of `ResizeCrop.forward`.
    """
    n_mels, n_frames = shape
    canvas = int(block.canvas * n_frames)
    draws = draw_uniform(seed, 4, n_items)
    (lowest, highest), (shortest, longest) = block.frequency, block.time
    heights = crop_sizes(lowest + (highest - lowest) * draws[0], n_mels, n_mels)
    widths = crop_sizes(shortest + (longest - shortest) * draws[1], n_frames, canvas)
    tops = draw_integers(draws[2], n_mels - heights + 1)
    lefts = draw_integers(draws[3], canvas - widths + 1)
    return canvas, [tuple(crop) for crop in torch.stack([heights, widths, tops, lefts], dim=1).tolist()]


def _draw_canvas(axes: Axes, block: ResizeCrop, log_mel: torch.Tensor, canvas: int, crops: list) -> None:
    n_mels, n_frames = log_mel.shape
    left, bottom = 0.5, 0.72
    style = {"fill": False, "zorder": 4}
    before = (canvas - n_frames) // 2
    padded = torch.nn.functional.pad(log_mel, (before, canvas - n_frames - before)).numpy()
    picture(axes, (left, bottom, canvas * SCALE, n_mels * SCALE), padded, colour_limits([log_mel.numpy()]))
    start = left + before * SCALE
    axes.add_patch(Rectangle((start, bottom), n_frames * SCALE, n_mels * SCALE, ec="white", ls="--", lw=1.2, **style))
    for number, (crop, colour) in enumerate(zip(crops, CROP_COLOURS, strict=True), start=1):
        height, width, low, first = crop
        place = (left + first * SCALE, bottom + low * SCALE)
        axes.add_patch(Rectangle(place, width * SCALE, height * SCALE, ec=colour, lw=2.2, **style))
        axes.text(
            place[0] + width * SCALE / 2, place[1] + (height * SCALE - 0.12 if number == 1 else 0.12),
            f"{height} × {width}", ha="center", va="center", fontsize=SMALL, zorder=5,
            bbox={"fc": "white", "ec": colour, "pad": 1.5},
        )  # fmt: skip
    top, right = bottom + n_mels * SCALE, left + canvas * SCALE
    _word(axes, left + canvas * SCALE / 2, top + 0.1, f"virtual boundary, {canvas} frames; zeros around the input")
    _word(axes, start + n_frames * SCALE / 2, bottom - 0.11, f"input, {n_frames} frames")
    axes.text(left - 0.12, bottom + n_mels * SCALE / 2, f"{n_mels} bands", ha="center", va="center", fontsize=SMALL,
              rotation=90)  # fmt: skip
    arrow(axes, (right + 0.12, 1.6), (5.1, 1.6))
    bounds = [
        [int(crop_sizes(torch.tensor([share]), size, longest)[0]) for share in shares]
        for shares, size, longest in ((block.frequency, n_mels, n_mels), (block.time, n_frames, canvas))
    ]
    shares = ("{:g} to {:g}".format(*block.frequency), "{:g} to {:g}".format(*block.time))
    texts = [
        f"height: {bounds[0][0]} to {bounds[0][1]} bands (share {shares[0]}, cut at 1)",
        f"width: {bounds[1][0]} to {bounds[1][1]} frames (share {shares[1]})",
    ]
    for number, text in enumerate(texts):
        axes.text(left, 0.38 - 0.15 * number, text, ha="left", va="center", fontsize=SMALL)


def _word(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y, text, ha="center", va="center", fontsize=SMALL)
