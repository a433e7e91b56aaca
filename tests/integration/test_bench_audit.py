"""The benchmark of the audit, run small: it measures what the service does, and all of it is signed in the end."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cli.main import app


@pytest.mark.embedded("it starts a database of its own")
def test_the_benchmark_of_the_audit_gives_its_three_figures() -> None:
    done = CliRunner().invoke(app, ["bench", "audit", "--json", "--entries", "3000"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["entries"] == 3_000
    assert min(found[name] for name in ("entriesPerS", "entriesPerSAt1M", "inclusionProofMsAt1M")) > 0
