"""docs/operations/logs.md names every event of the log, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations" / "logs.md"
LEVELS = {"debug", "info", "warning", "error"}
Told = tuple[str, str]


def _is_log(owner: ast.expr) -> bool:
    if isinstance(owner, ast.Call):
        owner = owner.func
        return getattr(owner, "attr", getattr(owner, "id", "")) == "get_logger"
    return isinstance(owner, ast.Name) and owner.id == "log"


def _told(call: ast.Call) -> Iterator[Told]:
    """Event and level of a call of a log."""
    if not (isinstance(call.func, ast.Attribute) and _is_log(call.func.value)):
        return
    names = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
    assert names, f"the event's name is to be written out: {ast.unparse(call)}"
    if call.func.attr in LEVELS:
        yield names[0], call.func.attr
    elif call.func.attr == "waits":
        yield from zip(names, ("warning", "error"), strict=False)


def _in_the_code() -> set[Told]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "services").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {told for call in calls for told in _told(call)}


def test_the_page_names_every_event_with_its_level() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE))
    assert rows - {("library_message", "as the library says")} == _in_the_code()
