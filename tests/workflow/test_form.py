"""Form: formatters, linters, sizes of scripts."""

import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import run_snakemake

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "src", "scripts", "tests", "benchmarks"],
        ["ruff", "format", "--check", "src", "scripts", "tests", "benchmarks"],
        ["snakefmt", "-l", "120", "--check", "Snakefile", "workflow"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_formatters_and_linters_are_clean(command):
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_is_clean():
    done = run_snakemake(ROOT, "--lint", check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_are_thin_and_named_like_their_rule():
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for script in (ROOT / "scripts").glob("*.py"):
        assert len(script.read_text().splitlines()) <= 40, f"{script.name} has over 40 lines; logic belongs in src"
        is_command = "argparse" in script.read_text()  # for a user to call
        assert is_command or f'"../../scripts/{script.name}"' in rules, f"no rule runs {script.name}"


def test_every_working_rule_says_what_it_needs():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for text in path.read_text().split("\nrule ")[1:]:
            if "script:" in text and "localrule" not in text:
                for directive in ("log:", "benchmark:", "conda:", "resources:", "code=code"):
                    assert directive in text, f"{path.name}: rule {text.split(':')[0]} lacks {directive}"


def test_no_output_is_a_folder():
    """Snakemake takes away the outputs of a cancelled job. Killed meanwhile, it leaves a part that looks complete."""
    for path in (ROOT / "workflow").rglob("*.smk"):
        assert "directory(" not in path.read_text(), f"{path.name} declares a folder as output; name files instead"
