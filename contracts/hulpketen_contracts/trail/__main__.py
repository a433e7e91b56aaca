"""`python -m hulpketen_contracts.trail`: checks a bundle or a proof, on a machine that has nothing else.

Exit code 0: all is right; 1: a check failed, and one line says which; 2: it was called wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hulpketen_contracts.trail import report
from hulpketen_contracts.trail.bundle import check_bundle
from hulpketen_contracts.trail.errors import Malformed, TrailError
from hulpketen_contracts.trail.part import Keys
from hulpketen_contracts.trail.proof import check_proof

MAX_TEXT_BYTES = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        lines = _verify(given) if given.command == "verify" else _check(given)
    except TrailError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    print("\n".join(lines))  # noqa: T201
    return 0


def read_text(path: Path) -> str:
    """A small text file. Raises Malformed, OSError."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise Malformed(f"{path} is larger than any such file is")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"{path} is no text") from None


def _verify(given: argparse.Namespace) -> list[str]:
    keys = Keys.parse(read_text(given.keys)) if given.keys else None
    return list(report.of_bundle(check_bundle(given.file, keys, [read_text(path) for path in given.kept])))


def _check(given: argparse.Namespace) -> list[str]:
    return list(report.of_proof(check_proof(read_text(given.file), Keys.parse(read_text(given.keys)).trail)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hulpketen_contracts.trail", description="Check the audit's trail.")
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="check a bundle: a part of the trail, with all that proves it")
    verify.add_argument("file", type=Path, help="the bundle: a zip, or the folder that it was put into")
    verify.add_argument("--keys", type=Path, help="file with the public keys that you were given, one a line")
    verify.add_argument(
        "--kept", type=Path, action="append", default=[], help="a signed checkpoint that you kept; may be given again"
    )
    check = commands.add_parser("check", help="check the proof of one entry")
    check.add_argument("file", type=Path, help="the proof (.tlog-proof)")
    check.add_argument("--keys", type=Path, required=True, help="file with the public keys that you were given")
    return parser


def _fail(what: str) -> int:
    print(f"not right: {what}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
