"""The register names every activity that the chain has, and nothing else; a municipality's own words count."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hulpketen_contracts import CATALOGUE
from pydantic import ValidationError

import services
from services.audit.domain.register import NOT_SET, Register

URI = "https://example.test/register/"
# What a service says of a look; a name that is a constant is found by its value.
_RECORD = {"record", "log"}


def test_each_activity_of_an_event_or_a_look_is_in_it_and_no_other() -> None:
    said = {event.ACTIVITY for event in CATALOGUE.values() if event.ACTIVITY} | _activities_of_looks()
    assert said == set(Register.read(URI).activities)


def _activities_of_looks() -> set[str]:
    """In calls of `looks.record(activity, …)` and `matching.log(name, activity, …)`, and in constants for them."""
    found: set[str] = set()
    for path in Path(services.__path__[0]).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "ACTIVITY" for t in node.targets):
                found |= _texts(node.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RECORD:
                owner = ast.unparse(node.func.value)
                if owner.endswith("looks"):
                    found |= _texts(node.args[0])
                elif owner == "matching":
                    found |= _texts(node.args[1])
    return found


def _texts(node: ast.expr) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_an_activity_has_an_address_and_is_found_by_it() -> None:
    register = Register.read(URI)
    assert register.uri("make-referrals") == "https://example.test/register/make-referrals"
    assert register.slug("https://example.test/register/make-referrals") == "make-referrals"
    assert register.slug("https://example.test/register/nothing") is None
    assert register.slug("make-referrals") is None


def test_what_a_municipality_says_of_an_activity_counts_and_the_rest_stays(tmp_path: Path) -> None:
    own = tmp_path / "register.toml"
    own.write_text('[make-referrals]\nbasis = {nl = "Verordening van Assen.", en = "By-law of Assen."}\n')
    register, before = Register.read(URI, own), Register.read(URI)
    assert before.activities["make-referrals"].basis == NOT_SET
    assert register.activities["make-referrals"].basis.nl == "Verordening van Assen."
    assert register.activities["make-referrals"].why == before.activities["make-referrals"].why
    assert register.activities["give-help"] == before.activities["give-help"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[no-such]\nbasis = {nl = "x", en = "y"}\n', ValueError),
        ('[make-referrals]\nbasis = {nl = "x"}\n', ValidationError),
        ('[make-referrals]\nlaw = "x"\n', ValidationError),
        ("not toml", ValueError),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    own = tmp_path / "register.toml"
    own.write_text(text)
    with pytest.raises(error):
        Register.read(URI, own)
