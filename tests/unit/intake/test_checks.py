"""Single values: what is taken, in which form, and that an error never repeats a value."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.chassis.problems import FieldError
from services.intake.bodies import described, parse
from services.intake.domain.checks import context, folded, is_bsn, today
from services.intake.domain.client import Client, Contact, SafeContact
from services.intake.domain.signal import SignalIn

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bsn(first_eight: str) -> str | None:
    """The BSN that begins with these eight digits, if there is one."""
    last = sum(int(d) * w for d, w in zip(first_eight, range(9, 1, -1), strict=True)) % 11
    return f"{first_eight}{last}" if last < 10 and set(first_eight) != {"0"} else None


@given(st.text("0123456789", min_size=8, max_size=8))
def test_a_number_that_is_made_to_pass_passes(first_eight: str) -> None:
    number = bsn(first_eight)
    if number is None:
        return
    assert is_bsn(number)


@given(st.text("0123456789", min_size=8, max_size=8), st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_never_passes(first_eight: str, place: int, by: int) -> None:
    number = bsn(first_eight)
    if number is None:
        return
    wrong = number[:place] + str((int(number[place]) + by) % 10) + number[place + 1 :]
    assert not is_bsn(wrong)


@pytest.mark.parametrize("number", ["111111111", "000000000", "", "12345678", "1234567821", "12345678²", "١٢٣٤٥٦٧٨٢"])
def test_what_is_no_bsn(number: str) -> None:
    assert not is_bsn(number)


def client(**values: Any) -> Client:
    return Client.model_validate(values, context=context(NOW))


@pytest.mark.parametrize("given_code", ["9401aa", "9401 AA", " 9401 Aa "])
def test_a_postcode_has_one_form(given_code: str) -> None:
    assert client(postcode=given_code, houseNumber=1).postcode == "9401AA"


@pytest.mark.parametrize("code", ["0401AA", "9401", "9401SS", "9401SD", "94 01AA", "9401AAA", "９４０１AA", "9401\nAA"])
def test_what_is_no_postcode(code: str) -> None:
    with pytest.raises(ValidationError):
        client(postcode=code, houseNumber=1)


@given(st.text(max_size=40))
def test_folding_again_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@pytest.mark.parametrize(
    ("one", "other"), [("D'Hondt-Özer", "dhondt ozer"), ("van der Ploeg", "VAN DER PLOEG"), ("Straße", "strasse")]
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_the_day_is_that_of_the_netherlands() -> None:
    assert today(datetime(2026, 6, 30, 22, 30, tzinfo=UTC)) == date(2026, 7, 1)
    assert today(datetime(2026, 6, 30, 12, 0, tzinfo=UTC)) == date(2026, 6, 30)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Needs a bsn"),
        ({"postcode": "9401AA"}, "Needs a bsn"),
        ({"birthDate": date(1980, 1, 1)}, "Needs a bsn"),
        ({"bsn": "999991000", "postcode": "9401AA", "houseNumber": 1}, "A bsn comes without"),
        ({"bsn": "999991000", "surname": "Jansen"}, "A bsn comes without"),
    ],
)
def test_a_client_is_a_number_or_an_address(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        client(**values)


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        ({"bsn": "999991000"}, ["bsn"]),
        ({"postcode": "9401AA", "houseNumber": 1}, ["address"]),
        ({"postcode": "9401AA", "houseNumber": 1, "birthDate": date(1980, 1, 1)}, ["birth"]),
        ({"postcode": "9401AA", "houseNumber": 1, "surname": "A", "birthDate": date(1980, 1, 1)}, ["birth", "surname"]),
    ],
)
def test_what_leads_to_a_person(known: dict[str, Any], kinds: list[str]) -> None:
    assert [identifier.kind for identifier in client(**known).identifiers()] == kinds


def test_an_addition_has_one_form() -> None:
    plain = client(postcode="9401AA", houseNumber=1, houseNumberAddition="A-bis").identifiers()
    assert plain == client(postcode="9401 aa", houseNumber=1, houseNumberAddition="a bis").identifiers()
    assert client(postcode="9401AA", houseNumber=1, houseNumberAddition="").house_number_addition is None


@pytest.mark.parametrize("phone", ["06-12345678", "+31 6 12345678", "(0592) 123456", "0031612345678"])
def test_a_telephone_number_keeps_its_digits(phone: str) -> None:
    assert set(Contact(phone=phone).phone or "") <= set("+0123456789")


@pytest.mark.parametrize(
    "email", ["a", "a@b", "a@b..nl", "a b@c.nl", "a@c.nl\n", "a@-c.nl", "<a@c.nl>", "a@" + "b" * 260]
)
def test_what_is_no_email(email: str) -> None:
    with pytest.raises(ValidationError):
        Contact(email=email)


def test_restrictions_are_sorted_codes() -> None:
    assert SafeContact(secret_address=True, do_not=["visit", "call"]).restrictions() == [
        "call",
        "secret-address",
        "visit",
    ]
    assert SafeContact().restrictions() == []


def signal(**changes: Any) -> dict[str, Any]:
    return {"reference": "k1", "municipality": "0106", "partnerType": "Huur", "client": {"bsn": "999991000"}} | changes


def errors(value: Any) -> list[FieldError]:
    found = parse(SignalIn, json.dumps(value).encode(), NOW)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": -1}, "/amount"),
        ({"amount": "12"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": 1.5}, "/amount"),
        ({"amount": 10**30}, "/amount"),
        ({"arisenOn": "2026-03-03"}, "/arisenOn"),
        ({"arisenOn": "1899-12-31"}, "/arisenOn"),
        ({"arisenOn": 1234}, "/arisenOn"),
        ({"arisenOn": "2026-02-02", "signalledOn": "2026-02-01"}, "/signalledOn"),
        ({"municipality": "106"}, "/municipality"),
        ({"municipality": "٠١٠٦"}, "/municipality"),
        ({"partnerType": "Bank"}, "/partnerType"),
        ({"crisis": "ja"}, "/crisis"),
        ({"reference": ""}, "/reference"),
        ({"reference": "a\0b"}, "/reference"),
        ({"reference": "x" * 129}, "/reference"),
        ({"client": {"bsn": 999991000}}, "/client/bsn"),
        ({"client": []}, "/client"),
        ({"contact": {"name": "\u2028"}}, "/contact/name"),
        ({"safeContact": {"doNot": ["sing"]}}, "/safeContact/doNot/0"),
        ({"extra": 1}, "/extra"),
    ],
)
def test_what_is_wrong_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    assert [error.pointer for error in errors(signal(**changes))] == [pointer]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["reference", "municipality", "partnerType", "amount", "arisenOn", "client", "contact"])


@given(FIELDS, JSON)
def test_whatever_is_sent_gets_a_model_or_errors(field: str, value: Any) -> None:
    found = parse(SignalIn, json.dumps(signal(**{field: value})).encode(), NOW)
    assert isinstance(found, SignalIn) or found


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=30).map(lambda text: f"q{text}q"))
def test_an_error_repeats_no_value(secret: str) -> None:
    wrong = signal(
        municipality=secret,
        partnerType=secret,
        arisenOn=secret,
        client={"bsn": secret},
        contact={"email": secret, "phone": secret},
        safeContact={"doNot": [secret]},
    )
    assert secret not in str(errors(wrong))


def test_a_body_is_described_without_references() -> None:
    text = str(described(SignalIn))
    assert "houseNumberAddition" in text
    assert "$ref" not in text
    assert "$defs" not in text


@pytest.mark.parametrize("name", ["Jan de Vries", "jan_de_vries", "jan-de-vries", "Jansen", "999990019", "0612345678"])
def test_a_personal_value_as_a_name_is_not_repeated(name: str) -> None:
    sent = signal(**{name: 1}, client={"bsn": "999991000", name: 2}, contact={name: {name: 3}})
    found = errors(sent)
    assert {error.pointer for error in found} == {"", "/client", "/contact"}
    assert name not in str(found)
