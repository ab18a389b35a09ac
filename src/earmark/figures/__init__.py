"""Figures of studies, drawn by code into a pdf and a png.

Each kind of figure is a module here with `draw(spec, inputs)`.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.errors import ConfigError
from earmark.files import atomic_path

KINDS = (
    "approach", "modes", "learning", "scenario", "systems", "augmentation", "views", "crop", "correlation", "cost",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What a figure may read; empty where its kind reads none of it.

    `tables`: tidy tables; `published`: files of published cells; `histories`: files <representation>/history.csv;
    `cards`: files <representation>/<data set>/<view>/card.yaml of embeddings; `store`: clips.parquet and
    audio_16k.arrow of a data set; `definition`: encoder, encoder_options, frontend and protocol of a pre-training as
    the paper defines it; `tasks`, `representations`: {slug: printed name}.
    """

    tables: Sequence[Path] = ()
    published: Sequence[Path] = ()
    histories: Sequence[Path] = ()
    cards: Sequence[Path] = ()
    store: Sequence[Path] = ()
    definition: Mapping[str, Any] | None = None
    tasks: Mapping[str, str] | None = None
    representations: Mapping[str, str] | None = None


def make_figure(
    *,
    spec: Mapping[str, Any],
    tables: Sequence[Path],
    histories: Sequence[Path],
    tasks: Mapping[str, Mapping],
    representations: Mapping[str, Mapping],
    label: str | None,
    pdf: Path,
    png: Path,
    published: Sequence[Path] = (),
    cards: Sequence[Path] = (),
    store: Sequence[Path] = (),
    definition: Mapping[str, Any] | None = None,
) -> None:
    """Draw one figure of a study; equal input gives equal files.

    `spec`: the figure's entry in the study; its `kind` names the module here that draws it. `tasks` and
    `representations` give the printed names; for the other inputs see `Inputs`. `label`: the line that everything made
    at a scale carries. Raises ConfigError for an unknown kind.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if spec["kind"] not in KINDS:
        raise ConfigError(f"a figure is of kind {spec['kind']!r}; wanted one of {', '.join(KINDS)}")
    inputs = Inputs(tables, published, histories, cards, store, definition, _names(tasks), _names(representations))
    figure = importlib.import_module(f"{__name__}.{spec['kind']}").draw(spec, inputs)
    if label:
        figure.text(0.5, 0.995, label, ha="center", va="top", fontsize=9, fontweight="bold", color="#8a6100")
    try:
        with atomic_path(pdf) as temporary:
            figure.savefig(temporary, metadata={"CreationDate": None, "Title": spec["title"]})
        with atomic_path(png) as temporary:
            figure.savefig(temporary, dpi=160, metadata={"Title": spec["title"]})
    finally:
        plt.close(figure)


def _names(entries: Mapping[str, Mapping]) -> dict[str, str]:
    return {slug: entry.get("name", slug) for slug, entry in entries.items()}
