"""Who sees which field: a test for each row, and what a safe-contact rule withholds."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hulpketen_contracts.values import OrganisationKind

from services.intake.domain.files import OPEN, Reader, may_look
from services.intake.domain.looks import CONTACT_FIELDS, FIELDS, contact_details, view
from services.intake.domain.person import PERSON, PROFESSIONAL, contact, merged, proofs, said_by

IDENTITY = {"bsn": "1", "birthDate": "2", "postcode": "3", "houseNumber": 4, "houseNumberAddition": "5", "surname": "6"}
CONTACT = {"name": "7", "phone": "8", "email": "9"}
VALUES = {"identity": IDENTITY, "contact": CONTACT}
ADDRESS = {"postcode", "houseNumber", "houseNumberAddition"}


@pytest.mark.parametrize("kind", get_args(OrganisationKind))
def test_each_row(kind: str) -> None:
    seen = set(view(kind, VALUES, ())["person"])
    assert seen == FIELDS[kind]
    assert ("bsn" in seen) == (kind in ("municipality", "debt-counselling"))
    if kind in ("creditor", "school", "employer", "self-help"):
        assert not seen
    if kind == "volunteers":
        assert "birthDate" not in seen


def test_an_unknown_kind_sees_nothing() -> None:
    assert view("bank", VALUES, ())["person"] == {}


@pytest.mark.parametrize("kind", get_args(OrganisationKind))
def test_a_rule_withholds_every_way_to_reach_the_person(kind: str) -> None:
    seen = view(kind, VALUES | {"safe-contact": ["call"]}, ())
    assert not set(seen["person"]) & (ADDRESS | {"phone", "email"})
    assert set(seen["withheld"]) == FIELDS[kind] & (ADDRESS | {"phone", "email"})
    assert seen["safeContact"] == {"restricted": True, "rules": ["call"]}


@pytest.mark.parametrize("released", CONTACT_FIELDS)
def test_only_what_was_released_is_seen(released: Any) -> None:
    seen = set(view("municipality", VALUES | {"safe-contact": ["secret-address"]}, [released])["person"])
    shown = ADDRESS if released == "address" else {released}
    assert seen & (ADDRESS | {"phone", "email"}) == shown


def file(status: str) -> dict[str, Any]:
    referral = {"status": status, "case": "c", "from": "gemeente", "to": "maatjes"}
    return {"municipality": "0106", "entries": {"r": referral, "c": {"status": "open", "case": "c"}}}


@pytest.mark.parametrize(
    "status", ["made", "accepted", "waitlisted", "started", "declined", "ended", "cancelled", "expired"]
)
def test_a_receiver_looks_while_the_referral_is_open(status: str) -> None:
    assert may_look(file(status), "r", Reader("maatjes", "volunteers", ["0106"])) == (status in OPEN)
    assert not may_look(file(status), "r", Reader("fonds", "fund", ["0106"]))
    assert not may_look(file(status), "c", Reader("maatjes", "volunteers", ["0106"]))
    assert may_look(file(status), "r", Reader("gemeente", "municipality", ["0106"]))
    assert not may_look(file(status), "r", Reader("gemeente", "municipality", ["9901"]))


def test_newer_details_replace_older_ones_but_a_rule_is_only_added_to() -> None:
    known = {"contact": {"name": "A", "phone": "1"}, "safe-contact": ["call"]}
    values = merged(known, {"contact": {"phone": "2"}, "safe-contact": ["visit"], "identity": {"bsn": "3"}})
    assert values == {
        "contact": {"name": "A", "phone": "2"},
        "safe-contact": ["call", "visit"],
        "identity": {"bsn": "3"},
    }


def test_of_contact_details_the_newest_of_the_strongest_source_counts() -> None:
    signal = {"contact": {"name": "A", "phone": "1", "email": "a@x.nl"}}
    values = merged(signal, said_by({"contact": {"name": "B", "phone": "2"}, "identity": {"bsn": "3"}}, PERSON))
    assert contact(values) == {"name": "B", "phone": "2", "email": "a@x.nl"}
    values = merged(values, {"contact": {"phone": "4", "email": "b@x.nl"}})
    assert contact(values) == {"name": "B", "phone": "2", "email": "b@x.nl"}
    values = merged(values, said_by({"contact": {"phone": "5"}}, PROFESSIONAL))
    assert contact(merged(values, {PERSON: {"phone": "6"}}))["phone"] == "5"
    assert contact(merged(values, {PROFESSIONAL: {"phone": "7"}}))["phone"] == "7"
    assert view("municipality", values, ())["person"] == {"bsn": "3", "name": "B", "phone": "5", "email": "b@x.nl"}
    assert contact_details(values) == {"phone": "5", "email": "b@x.nl"}


def test_what_only_a_sender_named_is_no_proof() -> None:
    values: dict[str, Any] = {
        "contact": {"phone": "1", "email": "A@x.nl"},
        PERSON: {"phone": "2"},
        PROFESSIONAL: {"email": "B@x.nl"},
    }
    assert proofs(values) == {"2", "b@x.nl"}
    assert proofs({"contact": {"phone": "1"}}) == set()
