"""The list of dead letters as operations staff read it."""

from __future__ import annotations

import pytest

from cli import dead_letters

ID = "25994aa69eee76d9117e3f17d7132f53"
LETTER = {"service": "matching", "id": ID, "at": "2026-11-22T23:45:14.459000Z", "topic": "signals", "partition": 1}


def test_an_id_is_whole_in_a_narrow_terminal_and_a_skipped_letter_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    skipped = {"reason": "by [a] test"}
    letter = LETTER | {"offset": 7, "reason": "not-an-event", "detail": "no type", "skipped": skipped}
    dead_letters.print_table([letter])
    shown = capsys.readouterr().out
    assert ID in shown
    assert "skipped" in shown
    assert "[a]" in shown
