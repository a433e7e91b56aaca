"""Prometheus' own programs, where they are installed, and the project's files for them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "observability"
RULES = FOLDER / "prometheus" / "alerts" / "hulpketen.yml"
METRICS = ROOT / "docs" / "metrics.md"


def program(name: str) -> str:
    """Its path. Without it the test is skipped, or fails where REQUIRE_PROMETHEUS is 1."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is not installed (apt-get install prometheus)"
        if os.environ.get("REQUIRE_PROMETHEUS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def alerts() -> list[dict[str, Any]]:
    """All rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def documented() -> set[str]:
    """The metrics of docs/metrics.md."""
    return set(re.findall(r"^\| `(\w+)` \|", METRICS.read_text(encoding="utf-8"), re.MULTILINE))


def asked_for(query: str) -> Iterator[str]:
    """The metrics of the services that a query names; of a histogram's parts the histogram."""
    for name in re.findall(r"\bhulpketen_\w+", query):
        yield re.sub(r"_(bucket|sum|count)$", "", name)
