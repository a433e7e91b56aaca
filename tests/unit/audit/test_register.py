"""The register names every activity that the chain has, and nothing else; a municipality's own words count."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest
from hulpketen_contracts import CATALOGUE, TOPICS, ProcessingLogged, ReferralMade
from pydantic import ValidationError

import services
from services.audit.domain.register import NOT_SET, Register

URI = "https://example.test/register/"
# What a service says of a look; a name that is a constant is found by its value.
_RECORD = {"record", "log"}


# What only partners get, on topics of their own.
_NOT_IN_THE_TRAIL = {
    event_type.removeprefix("nl.hulpketen.").rpartition(".")[0]
    for event_type, event in CATALOGUE.items()
    if "audit" not in TOPICS[event.TOPIC].consumers
}


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


def test_an_activity_of_several_events_says_of_each_what_was_done_and_names_no_other() -> None:
    types = {event_type.removeprefix("nl.hulpketen.").rpartition(".")[0]: event_type for event_type in CATALOGUE}
    by_activity: dict[str, set[str]] = defaultdict(set)
    for step, event_type in types.items():
        by_activity[CATALOGUE[event_type].ACTIVITY].add(step)
    for slug, activity in Register.read(URI).activities.items():
        own = by_activity[slug] - _NOT_IN_THE_TRAIL
        assert set(activity.steps) - {"looked"} == (own if len(own) > 1 or activity.steps else set()), slug
    register = Register.read(URI)
    made = register.activities["make-referrals"].done(ReferralMade.TYPE)
    assert made.en == "A referral to help was made."
    looked = register.activities["look-at-person"]
    assert looked.done(ProcessingLogged.TYPE) == looked.what


def test_a_municipalitys_own_words_stand_for_all_steps_that_it_does_not_name(tmp_path: Path) -> None:
    own = tmp_path / "register.toml"
    own.write_text(
        '[make-referrals]\nwhat = {nl = "Verwezen.", en = "Referred."}\n'
        'steps.looked = {nl = "Bekeken.", en = "Looked at."}\n'
    )
    activity = Register.read(URI, own).activities["make-referrals"]
    assert (activity.done(ReferralMade.TYPE).nl, activity.done(ProcessingLogged.TYPE).nl) == ("Verwezen.", "Bekeken.")


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
