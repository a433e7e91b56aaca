"""The questionnaires of the financial test, from the files beside this module."""

from __future__ import annotations

from pathlib import Path

from services.intake.domain.questionnaire import Questionnaire, parse

_FOLDER = Path(__file__).parent / "questionnaires"


def load() -> dict[str, Questionnaire]:
    """All versions, oldest first; the last is the current one. Raises ValueError where a file is not right."""
    found = [parse(path.read_bytes()) for path in _FOLDER.glob("*.json")]
    ordered = sorted(found, key=lambda each: tuple(int(part) for part in each.version.split("-")))
    return {each.version: each for each in ordered}
