"""The generated files of the contracts: written, compared with what is committed, and with what was released."""

from __future__ import annotations

import json
from pathlib import Path

from hulpketen_contracts.asyncapi import asyncapi
from hulpketen_contracts.compatibility import Break, compare
from hulpketen_contracts.schemas import Schema, schemas

VERSION = "0.1.0"
"""Of the package; the same as in its pyproject.toml."""


def files() -> dict[str, str]:
    """Every generated file: its path inside the contracts folder, and its text."""
    found = {f"schemas/{name}.json": _text(held) for name, held in schemas().items()}
    return {**found, "asyncapi.json": _text(asyncapi(VERSION))}


def stale(directory: Path) -> list[str]:
    """The paths inside `directory` of generated files that are missing, differ, or belong to no event any more."""
    due = files()
    differ = [path for path, text in due.items() if not _same(directory / path, text)]
    left = [f"schemas/{path.name}" for path in directory.glob("schemas/*.json") if f"schemas/{path.name}" not in due]
    return sorted(differ + left)


def write(directory: Path) -> list[str]:
    """Make the generated files what they should be; the paths inside `directory` that were changed."""
    due, changed = files(), stale(directory)
    (directory / "schemas").mkdir(parents=True, exist_ok=True)
    for path in changed:
        if path in due:
            (directory / path).write_text(due[path], encoding="utf-8")
        else:
            (directory / path).unlink()
    return changed


def breaks(directory: Path) -> list[Break]:
    """Each change from the released schemas, in `directory`/baseline, that breaks a reader or a writer.

    Raises FileNotFoundError where there is no baseline, ValueError where a file of it is not JSON.
    """
    released = {path.stem: _schema(path) for path in sorted((directory / "baseline").glob("*.json"))}
    if not released:
        raise FileNotFoundError(f"no released schemas in {directory / 'baseline'}")
    return compare(released, schemas())


def _schema(path: Path) -> Schema:
    held = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(held, dict):
        raise ValueError(f"{path} is not a schema")
    return held


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _text(held: Schema) -> str:
    return json.dumps(held, indent=2, ensure_ascii=False) + "\n"
