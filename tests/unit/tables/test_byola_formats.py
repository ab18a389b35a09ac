"""The four formats of the tables of the study `byola`."""

import re
import shutil
import subprocess
from html import escape

import pytest
from byola_results import LABEL
from byola_results import byola_tables as declared_tables

from earmark.tables import read_cells
from earmark.tables.latex import standalone

TABLES = tuple(declared_tables())


@pytest.mark.parametrize("table", TABLES)
def test_every_format_says_scale_title_and_published_values(byola_tables, table):
    cells = read_cells(byola_tables[table] / f"{table}.csv")
    assert (cells["scale"] == "mini").all()
    for form in ("md", "tex", "html"):
        text = (byola_tables[table] / f"{table}.{form}").read_text()
        assert LABEL in text and "quarter of their width" in text
        for published in cells["published"]:
            if re.fullmatch(r"[\d.]+", published):
                decimals = len(published.partition(".")[2])
                assert f"{float(published):,.{decimals}f}" in text, published


@pytest.mark.parametrize("table", TABLES)
def test_latex_is_ascii_and_balanced(byola_tables, table):
    text = (byola_tables[table] / f"{table}.tex").read_text()
    assert text.isascii()
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    width = len(re.search(r"\\begin\{tabular\}\{(l[r]+)\}", text)[1])
    for row in re.findall(r"^(.*) \\\\\[4pt\]$", text, flags=re.M):
        spanned = sum(int(count) - 1 for count in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(re.findall(r"(?<!\\)&", row)) + spanned == width - 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_and_every_table_fits_a_page(byola_tables, tmp_path):
    for table in TABLES:
        (tmp_path / "t.tex").write_text(standalone((byola_tables[table] / f"{table}.tex").read_text()))
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        if "not found" in done.stdout and ".sty" in done.stdout:
            pytest.skip("booktabs or graphicx is not installed")
        assert (tmp_path / "t.pdf").is_file(), done.stdout[-2000:]
        (tmp_path / "t.pdf").unlink()


@pytest.mark.parametrize("table", TABLES)
def test_html_needs_nothing_from_elsewhere(byola_tables, table):
    text = (byola_tables[table] / f"{table}.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|@import|url\(""", text)
    assert "<script" not in text and "&lt;" not in text and "&amp;nbsp" not in text
    assert text.count("<table") == 1 and escape(declared_tables()[table]["title"]) in text


def test_spans_stand_over_their_columns_alone(byola_tables):
    assert r"\multicolumn{4}{c}{NOSS}" in (byola_tables["table4"] / "table4.tex").read_text()
    heads = (byola_tables["table7"] / "table7.md").read_text()
    assert "| Encoder<br>Dim. |" in heads and "| Average | Difference |" in heads
