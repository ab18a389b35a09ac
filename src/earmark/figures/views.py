"""The two views of a clip of the corpus after each block of the augmentation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from earmark.errors import StoreError
from earmark.figures import Inputs
from earmark.figures.definition import normed_views, record_steps, segment_samples, step_limits, step_names
from earmark.figures.drawing import COLOUR_MAP, NORMAL, SMALL, WIDTH
from earmark.frontends import log_mel_frontend
from earmark.store import ClipStore

PAST_CLIPS = 32  # in the mixup's queue, beside which the statistics of Pre-Norm come from them
LOUD_ENOUGH = 0.01  # root mean square of a segment, full scale 1: -40 dB


def draw(spec: Mapping[str, Any], inputs: Inputs) -> Figure:
    """Draw the log-mels of both views of one clip, a row each, a column after each step. `spec`: `seed` of the views.

    The clip is the first training clip of `inputs.store` that is long and loud enough, its first segment; the next
    training clips fill the queue. Without a store the figure says so. Source: Niizumi et al. 2023, Figure 4.
    """
    figure = Figure(figsize=(WIDTH, 3.0))
    if not inputs.store:
        figure.text(0.5, 0.5, "no clip to draw: the data set is not at hand in this run", ha="center", fontsize=NORMAL)
        return figure
    frontend, n_samples = inputs.definition["frontend"], segment_samples(inputs.definition)
    clip_id, waveforms = choose_segments(ClipStore.from_files(*inputs.store), n_samples)
    log_mels = log_mel_frontend(frontend)(torch.from_numpy(waveforms))
    views = normed_views(inputs.definition, log_mels[:1], log_mels[1:])
    steps = record_steps(views, log_mels[:1], spec["seed"])
    names = {"input": "Log-mel"} | {name: text.removeprefix("Random\n") for name, text in step_names(views).items()}
    columns = {"input": (log_mels[:1], log_mels[:1])} | steps
    limits = step_limits(columns)
    axes = figure.subplots(2, len(columns), sharex=True, sharey=True)
    seconds = n_samples / frontend["sample_rate_hz"]
    for column, (name, both) in enumerate(columns.items()):
        for number, value in enumerate(both):
            panel, n_mels = axes[number, column], value.shape[1]
            low, high = limits[name]
            panel.imshow(
                value[0].numpy(), origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=low, vmax=high,
                extent=(0, seconds, 0, n_mels), interpolation="nearest",
            )  # fmt: skip
            panel.set(xticks=[0, 0.5], yticks=[0, n_mels // 2, n_mels])
            panel.tick_params(labelsize=SMALL, length=2, pad=2)
            panel.set_title(names[name] if number == 0 else "", fontsize=NORMAL)
    for number in range(2):
        axes[number, 0].set_ylabel(f"view {number + 1}\nmel band", fontsize=NORMAL)
    figure.supxlabel(f"seconds from the start of clip {clip_id}", fontsize=NORMAL, y=0.01)
    figure.subplots_adjust(left=0.085, right=0.985, bottom=0.14, top=0.85, wspace=0.12, hspace=0.12)
    return figure


def choose_segments(store: ClipStore, n_samples: int) -> tuple[str, np.ndarray]:
    """Return the name of a clip and segments float32 [1 + past, n_samples]: the clip's first, then those of the next.

    The clip is the first one of the split `train` that is at least a segment long and whose first segment is not
    silent. Shorter clips among the next end in zeros. Raises StoreError when there is no such clip.
    """
    rows = np.flatnonzero((store.clips["split"] == "train").to_numpy())
    for place, row in enumerate(rows):
        segment = _segment(store, row, n_samples)
        if store.clips["n_samples"].iloc[row] >= n_samples and np.sqrt(np.mean(np.square(segment))) >= LOUD_ENOUGH:
            following = np.concatenate([rows[place + 1 :], rows[:place]])[:PAST_CLIPS]
            others = [_segment(store, other, n_samples) for other in following]
            return str(store.clips["clip_id"].iloc[row]), np.stack([segment, *others])
    raise StoreError(
        f"{Path(store.folder)}: none of {len(rows)} training clips has {n_samples:,} samples and a level of"
        f" {LOUD_ENOUGH} in them, so there is none to draw; see the ledger beside it"
    )


def _segment(store: ClipStore, row: int, n_samples: int) -> np.ndarray:
    samples = store.waveform(int(row))[:n_samples]
    return np.pad(samples, (0, n_samples - len(samples)))
