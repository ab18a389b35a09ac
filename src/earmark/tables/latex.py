"""Tables as LaTeX: a fragment for \\input, with booktabs and graphicx."""

import re

from earmark.tables.layout import DASH, Cell, Grid

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",
    "]": "{]}",
    "*": r"$\ast$",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$\dagger$",
    "←": r"$\leftarrow$",
}
LONGEST = 24  # lines that fit on a page at full size
PREAMBLE = "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n"


def to_latex(grid: Grid) -> str:
    """Write a table as one LaTeX table environment, shrunk to the line width where it is wider, to the page where long.

    Needs `booktabs` and `graphicx` in the preamble; plain ASCII, so any engine and input encoding will do.
    """
    body = [
        "% \\usepackage{booktabs,graphicx}",
        r"\begin{table}[p]",
        r"\centering",
        rf"\caption{{{escape(_unnumbered(grid.title))}. {escape(grid.caption)}{_banner(grid)}}}",
        rf"\label{{tab:{grid.slug}}}",
        r"\medskip",
        r"\setlength{\tabcolsep}{4pt}",
        *([r"\resizebox*{!}{0.75\textheight}{%"] if len(grid.lines) > LONGEST else []),
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (grid.n_columns - 1)}}}",
        r"\toprule",
        *_heads(grid),
        r"\midrule",
    ]
    group = None
    for line in grid.lines:
        if line.group != group:
            body += [r"\addlinespace"] if group is not None else []
            group = line.group
            body.append(rf"\multicolumn{{{grid.n_columns}}}{{l}}{{\itshape {escape(group)}}} \\")
        body.append(_row([escape(line.name), *map(_cell, line.cells), *map(escape, line.extra)]))
    if grid.extra_lines:
        body += [r"\midrule", *(_row(map(escape, values)) for values in grid.extra_lines)]
    notes = [rf"{escape(note)}\par" for note in grid.notes]
    closing = r"\end{tabular}}}" if len(grid.lines) > LONGEST else r"\end{tabular}}"
    body += [r"\bottomrule", closing, r"\par\medskip", r"\begin{minipage}{\linewidth}\scriptsize"]
    return "\n".join([*body, *notes, r"\end{minipage}", r"\end{table}", ""])


def standalone(fragment: str) -> str:
    """Wrap a table fragment into a document that compiles by itself."""
    return f"{PREAMBLE}{fragment}\\end{{document}}\n"


def escape(text: str) -> str:
    """Write text so that LaTeX prints it as it is; characters beyond ASCII that tables use become commands."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _unnumbered(title: str) -> str:
    """Drop "Table 3. ", since LaTeX counts for itself."""
    return re.sub(r"^Table \d+\. ", "", title)


def _banner(grid: Grid) -> str:
    return rf" \textbf{{{escape(grid.banner)}}}" if grid.banner else ""


def _heads(grid: Grid) -> list[str]:
    rows = []
    if grid.spans:
        start, rules, names = 2, [], [""]
        for name, count in grid.spans:
            names.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(name)}}}")
            rules += [rf"\cmidrule(lr){{{start}-{start + count - 1}}}"] if name else []
            start += count
        rows = [_row([*names, *[""] * len(grid.extra_heads)]), " ".join(rules)]
    return [*rows, _row(["", *map(escape, grid.heads), *map(escape, grid.extra_heads)])]


def _row(values) -> str:
    return " & ".join(values) + r" \\[4pt]"


def _cell(cell: Cell) -> str:
    published = _bold(cell.published, cell.best_published)
    if cell.status == "quoted":
        return published if cell.published == DASH else rf"{published}\,$\dagger$"
    if cell.status == "not_run":
        return _stack(rf"--\textsuperscript{{{cell.mark}}}", published)
    below = f"{published} ({escape(cell.difference)})" if cell.difference else published
    return _stack(_bold(cell.measured, cell.best_measured), below)


def _stack(above: str, below: str) -> str:
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{above}\\[-3pt]{{\scriptsize {below}}}\end{{tabular}}"


def _bold(text: str, is_best: bool) -> str:
    return rf"\textbf{{{escape(text)}}}" if is_best else escape(text)
