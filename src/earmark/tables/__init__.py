"""Tables in the printed shape, made from tidy rows of scores: csv, Markdown, LaTeX, HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.files import atomic_path, write_text


def make_table(
    *,
    table: str,
    spec: Mapping[str, Any],
    tasks: Mapping[str, Mapping],
    published: Path,
    scores: Sequence[Path],
    cards: Sequence[Path],
    counts: Sequence[Path],
    not_run: Mapping[str, str],
    scale: str,
    label: str | None,
    provenance: Mapping[str, Any],
    csv: Path,
    md: Path,
    tex: Path,
    html: Path,
    remarks: Sequence[str] = (),
    descriptions: Sequence[Path] = (),
) -> None:
    """Write one table of a study in four formats: tidy csv (a line a cell), and the printed shape in three languages.

    `spec`: the table's entry in the study; `tasks`: {task: {metric, ...}}; `scores`: the score files that exist for it;
    `cards`: files <representation>/card.yaml; `counts`: one csv a task (task, n_train, n_eval, n_labels, n_folds);
    `descriptions`: files of `earmark.descriptions`;
    `not_run`: {"task/representation/mode": reason} for what was left out, * fits any; `label`: the line that everything
    made at this scale carries; `remarks`: notes on this run (a width factor, random weights); `provenance`: code,
    config, inputs, versions of this very job.
    Raises ConfigError when spec and published file do not name the same cells, StoreError for a damaged score file.
    """
    from earmark.tables.cells import make_cells, read_published
    from earmark.tables.html import to_html
    from earmark.tables.latex import to_latex
    from earmark.tables.layout import lay_out
    from earmark.tables.markdown import to_markdown

    printed = read_published(published)
    cells = make_cells(table, spec, printed, tasks, scores, cards, counts, not_run, scale, provenance, descriptions)
    grid = lay_out(spec, cells, label, remarks, provenance)
    cells = cells.assign(label=label or "")
    with atomic_path(csv) as temporary:
        cells.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
    for path, writer in ((md, to_markdown), (tex, to_latex), (html, to_html)):
        write_text(path, writer(grid))


def read_cells(csv: Path) -> pd.DataFrame:
    """Read the tidy csv of a table back: texts as texts, numbers as numbers, `measured` as either."""
    texts = "table row_group row column_group column metric direction published status note scale task representation"
    texts += " mode device code config inputs protocol_digest versions published_interval measured"
    cells = pd.read_csv(csv, dtype=dict.fromkeys(texts.split(), str), keep_default_na=False, na_values=[""])
    words = [name for name in texts.split()[:-1] if name in cells]
    cells[words] = cells[words].fillna("")
    numbers = pd.to_numeric(cells["measured"], errors="coerce")
    measured = [
        text if pd.isna(number) else float(number) for text, number in zip(cells["measured"], numbers, strict=True)
    ]
    return cells.assign(measured=pd.Series(measured, dtype=object))
