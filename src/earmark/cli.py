"""The command `earmark`."""

import argparse
import sys
import textwrap
import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from earmark.errors import EarmarkError

ROOT = Path(__file__).resolve().parents[2]
CALL_SECONDS = 120.0  # longest time for one batch of a module under check
USAGE = 2
NAME_COLUMN, TEXT_COLUMN, WIDTH = 7, 49, 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 all is well, 1 a fault was found, 2 a wrong call."""
    parser = argparse.ArgumentParser(prog="earmark", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check-encoder", help="say what is wrong with an encoder, before any work")
    check.add_argument("module", help="a module that follows the HEAR API, or the slug of an encoder of Earmark")
    check.add_argument("--weights", help="what load_model is given")
    check.add_argument("--python", default=sys.executable, help="the Python of the module's own environment")
    check.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    check.add_argument("--threads", type=int, help="threads of torch")
    watch = commands.add_parser("watch", help="show which jobs run, how far they are, hours used and left")
    watch.add_argument("--scale", help="whose results to look at; that of config.yaml unless given")
    watch.add_argument("--interval", type=_seconds, default=5.0, help="seconds between two looks (default: 5)")
    watch.add_argument("--once", action="store_true", help="look once and end")
    watch.add_argument("--directory", type=Path, default=Path(), help="where Snakemake runs; here unless given")
    given = parser.parse_args(arguments)
    try:
        return _watch(given) if given.command == "watch" else _check_encoder(given)
    except EarmarkError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130


def _check_encoder(given: argparse.Namespace) -> int:
    from earmark.hear.check import check_encoder, describe
    from earmark.hear.processes import OtherProcess

    slugs = sorted(path.stem for path in (ROOT / "config" / "encoders").glob("*.yaml"))
    module = f"earmark.hear.modules.{given.module}" if given.module in slugs else given.module
    begin, findings = time.perf_counter(), []
    found = check_encoder(
        module,
        given.weights,
        lambda: OtherProcess(given.python, CALL_SECONDS),
        device=given.device,
        threads=given.threads,
    )
    print(f"{'result':<{NAME_COLUMN}}{'check':<{TEXT_COLUMN - NAME_COLUMN}}found")
    for finding in found:
        findings.append(finding)
        print("\n".join(finding_lines(finding)), flush=True)
    if findings[0].status == "fault" and (near := get_close_matches(given.module, slugs, n=1)):
        print(f"Did you mean {near[0]!r}?")
    print(f"\n{describe(findings, given.module, begin)}")
    return int(any(finding.status == "fault" for finding in findings))


def _watch(given: argparse.Namespace) -> int:
    from earmark.watch import watch

    try:
        watch(given.directory.absolute(), ROOT, given.scale, given.interval, given.once)
    except KeyboardInterrupt:  # the way to end it
        return 0
    return 0


def _seconds(text: str) -> float:
    """Read a time above 0; a word in its place is a wrong call."""
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"found {text}, wanted seconds above 0")
    return seconds


def finding_lines(finding) -> list[str]:
    """Lay a finding out: status, check and what was found; where it is not ok also what was wanted and what to do."""
    texts = [("", finding.found)]
    if finding.problem:
        texts = [
            ("found   ", finding.found),
            ("wanted  ", finding.problem.wanted),
            ("do      ", finding.problem.advice),
        ]
    lines = []
    for label, text in texts:
        width = WIDTH - TEXT_COLUMN - len(label)
        wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, width) or [""]]
        lines += [(label if number == 0 else " " * len(label)) + part for number, part in enumerate(wrapped)]
    status = finding.status.upper() if finding.status == "fault" else finding.status
    head = f"{status:<{NAME_COLUMN}}{finding.check:<{TEXT_COLUMN - NAME_COLUMN}}"
    return [(head if number == 0 else " " * TEXT_COLUMN) + line for number, line in enumerate(lines)]


if __name__ == "__main__":
    sys.exit(main())
