"""Entries of the directory: who may change them, and what is told."""

from __future__ import annotations

import pytest
from hulpketen_contracts import OrganisationChanged, ServiceChanged

from services.matching.api import PROBLEMS, problem_of
from services.matching.domain import entries, errors
from services.matching.domain.errors import NotYourMunicipality
from tests.unit.matching.made_up import ASSEN, LOCAL, MUNICIPALITY, context, service

ENTRIES: list[ServiceChanged | OrganisationChanged] = [
    service("one", "volunteers", LOCAL, eligibility=[{"rule": "income", "value": 120, "valid_from": "2026-01-01"}]),
    MUNICIPALITY,
]


@pytest.mark.parametrize("entry", ENTRIES, ids=["service", "organisation"])
def test_an_entry_is_told_as_it_is_and_read_back(entry: entries.Entry) -> None:
    decision = entries.put(None, entry, {ASSEN, "9901"}, context())
    assert decision
    assert [emit.event for emit in decision.events] == [entry]
    assert entries.read(decision.state) == entry
    assert entries.entry_id(entry) in ("service-one", "organisation-gemeente-assen")
    assert entries.put(decision.state, entry, {ASSEN}, context()) is None


def test_only_who_works_for_each_municipality_that_it_serves_or_served_may_change_it() -> None:
    wide = service("one", "volunteers", LOCAL, municipalities=[ASSEN, "9901"])
    narrow = service("one", "volunteers", LOCAL)
    with pytest.raises(NotYourMunicipality):
        entries.put(None, wide, {ASSEN}, context())
    decision = entries.put(None, wide, {ASSEN, "9901"}, context())
    assert decision
    with pytest.raises(NotYourMunicipality):
        entries.put(decision.state, narrow, {ASSEN}, context())
    changed = entries.put(decision.state, narrow, {ASSEN, "9901"}, context())
    assert changed
    assert entries.read(changed.state) == narrow


def test_no_organisation_takes_the_name_of_the_feed_of_a_municipality() -> None:
    with pytest.raises(errors.OrganisationReserved) as refused:
        entries.put(None, MUNICIPALITY.model_copy(update={"organisation": "municipality-0106"}), {ASSEN}, context())
    (wrong,) = problem_of(refused.value).errors
    assert (wrong.place, wrong.pointer) == ("path", "/organisation")
    near = MUNICIPALITY.model_copy(update={"organisation": "municipality-of-assen"})
    assert entries.put(None, near, {ASSEN}, context())


def test_each_code_that_is_wrong_is_named_with_what_is_due() -> None:
    problem = problem_of(errors.CodeRefused({"reason": ["capacity", "other"], "outcome": []}))
    assert [(wrong.pointer, wrong.message) for wrong in problem.errors] == [
        ("/reason", "Give one of: capacity, other. Free text is not taken."),
        ("/outcome", "None is due here: leave it out. Free text is not taken."),
    ]
    assert problem.extensions == {"allowed": ["capacity", "other"]}


def test_every_error_has_its_problem_and_says_what_to_do() -> None:
    made: list[errors.MatchingError] = [
        errors.NotFound(),
        errors.CaseIsClosed(),
        errors.ServiceUnknown(),
        errors.ServiceNotOffered(),
        errors.AlreadyReferred("id"),
        errors.NotAllowedNow("made", ["accept"]),
        errors.CodeRefused({"reason": ["capacity"]}),
        errors.NotYourMunicipality(),
        errors.OrganisationUnknown(),
        errors.ServiceNotFound(),
        errors.OrganisationReserved(),
    ]
    assert {type(error) for error in made} == set(errors.MatchingError.__subclasses__()) == set(PROBLEMS)
    for error in made:
        problem = problem_of(error)
        assert 400 <= problem.status < 500
        assert problem.detail.endswith(".")
        assert bool(problem.errors) == (problem.status == 400)
    assert problem_of(made[5]).extensions == {"allowed": ["accept"]}
    assert problem_of(made[4]).extensions == {"referral": "id"}
    assert problem_of(made[6]).extensions == {"allowed": ["capacity"]}
