"""A resident's choice makes a referral; what cannot be done is flagged for a human, never dropped."""

from __future__ import annotations

from typing import Any

import pytest
from hulpketen_contracts import CaseClosed, CaseOpened, CaseUpdated, ReferralMade, ReferralsProposed
from hulpketen_contracts.cases import CaseState

from services.matching.domain import cases, referrals
from services.matching.domain.directory import Directory
from services.matching.domain.referrals import Actor, Step, Wanted
from tests.unit.matching.made_up import (
    DIRECTORY,
    GKB,
    LOCAL,
    MAATJES,
    MUNICIPAL,
    SERVICES,
    Played,
    choice,
    directory,
    service,
    signal,
    types,
    world,
)


def test_a_choice_opens_a_case_and_makes_the_referral() -> None:
    played = Played()
    opened, proposed, made = played.take(choice())
    assert isinstance(opened, CaseOpened)
    assert isinstance(proposed, ReferralsProposed)
    assert isinstance(made, ReferralMade)
    assert (opened.signals, opened.partner_types, opened.repeated) == (0, ["Inwoner"], False)
    assert (made.decided_by, made.from_organisation, made.to_organisation, made.status, made.version) == (
        "resident",
        "gemeente-assen",
        "maatjes-voorbeeld",
        "made",
        1,
    )
    assert made.case == opened.case == proposed.case


def test_a_choice_joins_the_open_case_and_ends_that_it_is_repeated() -> None:
    played = Played()
    played.take(signal())
    told = played.take(choice(exit=MUNICIPAL, service=GKB, crisis=True))
    assert types(told) == ["cases.updated", "referrals.proposed", "referrals.made"]
    assert isinstance(told[0], CaseUpdated)
    assert (told[0].crisis, told[0].partner_types) == (True, ["Huur", "Inwoner"])


def test_a_professional_who_confirms_refers_on_behalf_of_the_own_organisation() -> None:
    made = Played().take(choice(confirmed_by="professional", confirmed_by_organisation="wijkteam-voorbeeld"))[-1]
    assert isinstance(made, ReferralMade)
    assert (made.decided_by, made.from_organisation) == ("professional", "wijkteam-voorbeeld")


CANNOT: list[tuple[str, Directory, dict[str, Any], str]] = [
    ("an unknown service", DIRECTORY, {"service": "unknown"}, "choice-not-offered"),
    *(
        (
            f"a service that is {status}",
            directory(service(MAATJES, "volunteers", LOCAL, status=status)),
            {},
            "choice-not-offered",
        )
        for status in ("inactive", "defunct", "temporarily closed")
    ),
    (
        "a service of elsewhere",
        directory(service(MAATJES, "volunteers", LOCAL, municipalities=["9901"])),
        {},
        "choice-not-offered",
    ),
    ("no known municipality", Directory({s.service: s for s in SERVICES}), {}, "choice-without-municipality"),
]


@pytest.mark.parametrize(("name", "at", "fields", "code"), CANNOT, ids=[row[0] for row in CANNOT])
def test_a_choice_that_cannot_be_referred_is_flagged(
    name: str, at: Directory, fields: dict[str, Any], code: str
) -> None:
    played = Played(at)
    given = choice(**fields)
    told = played.take(given)
    assert "referrals.made" not in types(told)
    assert isinstance(told[0], CaseState)
    assert told[0].flags == [code]
    assert played.case["flags"] == [{"code": code, "service": given.service}]
    assert played.state
    assert played.state["flagged"] is True


def test_a_closed_case_waits_for_nobody() -> None:
    played = Played()
    played.take(choice(service="unknown"))
    (closed,) = played.accept(cases.close(played.state, played.case["id"], "Inwoner is overleden", "assen", world()))
    assert isinstance(closed, CaseClosed)
    assert closed.flags == []
    assert closed.organisation == "assen"


def test_the_flag_goes_when_a_professional_refers() -> None:
    played = Played()
    played.take(choice(service="unknown"))
    wanted = Wanted(GKB, "professional", "gemeente-assen")
    version = played.case["version"]
    told = played.accept(referrals.make(played.state, played.case["id"], wanted, world("make")))
    assert types(told) == ["cases.updated", "referrals.made"]
    assert isinstance(told[0], CaseUpdated)
    assert (told[0].flags, told[0].version) == ([], version + 1)
    assert played.case["flags"] == []
    assert played.state
    assert "flagged" not in played.state


def test_a_choice_of_help_that_is_under_way_makes_no_second_referral() -> None:
    played = Played()
    played.take(choice())
    assert types(played.take(choice())) == ["cases.updated"]
    assert played.state
    assert len(played.state["referrals"]) == 1


def test_a_choice_of_help_that_was_declined_before_makes_another() -> None:
    played = Played()
    played.take(choice())
    step = Step(played.referral["referral"], "decline", Actor("maatjes-voorbeeld", True, False), "capacity")
    played.accept(referrals.act(played.state, step, world("decline")))
    assert types(played.take(choice()))[-1] == "referrals.made"
    assert played.state
    assert [r["status"] for r in played.state["referrals"]] == ["declined", "made"]
