"""The tamper test says what was not found, and fails then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.audit import app
from cli.audit.tamper import run


@pytest.mark.parametrize(
    ("results", "valid", "code"),
    [
        ({"its time": "entry 7", "its type": "entry 7"}, True, 0),
        ({"its time": "entry 7", "its type": ""}, True, 1),
        ({"its time": "entry 7"}, False, 1),
    ],
)
def test_what_is_not_found_is_said_and_is_a_failure(
    results: Mapping[str, str], valid: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def made(data: Path, entries: int) -> tuple[Mapping[str, str], bool]:
        return results, valid

    monkeypatch.setattr(run, "run", made)
    as_json = CliRunner().invoke(app, ["tamper-test", "--json"])
    found = sum(bool(what) for what in results.values())
    assert json.loads(as_json.stdout) == {"altered": len(results), "found": found, "proofsValidAfterErasure": valid}
    shown = CliRunner().invoke(app, ["tamper-test"])
    assert (as_json.exit_code, shown.exit_code) == (code, code)
    assert ("NOT FOUND  its type" in shown.stdout) == (found < len(results))
