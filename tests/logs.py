"""What the project wrote to its log in a test; a library's lines, which a neighbour may have caused, are not in it."""

from __future__ import annotations

from typing import Any

import pytest


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of each line of an event, in their order."""
    return [fields for record in caplog.records if record.msg == event and (fields := getattr(record, "fields", None))]
