"""What an entry of the trail holds, what it commits to, and what an erasure leaves."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hulpketen_contracts import (
    CATALOGUE,
    CaseOpened,
    DecodeError,
    PersonErased,
    PersonMerged,
    ProcessingLogged,
    ReferralMade,
)
from hypothesis import given
from hypothesis import strategies as st

from services.audit.contents import SubjectKey
from services.audit.domain.attributes import attributes, committed_in
from services.audit.domain.entry import Entry, commitment, leaf
from services.audit.domain.entry import read as read_record

EVENT = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
PERSON = "0b6a1a4e-8f43-4c0e-9d2f-5b8f0e6f9a11"
CASE = "c1f3d9a2-0000-4000-8000-000000000001"
SOURCE = "urn:nld:oin:00000099000000000001:systeem:hulpketen-matching"
MADE, OPENED, LOGGED = ReferralMade.TYPE, CaseOpened.TYPE, ProcessingLogged.TYPE
TRACE = "0af7651916cd43dd8448eb211c80319c"
KEY = SubjectKey(bytes(range(32)))

Headers = tuple[tuple[str, bytes | None], ...]


def headers(event_type: str = OPENED, **changed: bytes | None) -> Headers:
    given = {
        "ce_specversion": b"1.0",
        "ce_id": EVENT.encode(),
        "ce_source": SOURCE.encode(),
        "ce_type": event_type.encode(),
        "ce_time": b"2026-03-01T09:30:00.125Z",
        "ce_stream": b"file-" + PERSON.encode(),
        "ce_streamepoch": b"1",
        "ce_streamseq": b"1",
        "content-type": b"application/json",
        "traceparent": b"00-" + TRACE.encode() + b"-b7ad6b7169203331-00",
    } | changed
    return tuple(given.items())


def read(given: Headers, value: bytes | None) -> Entry:
    """From the topic of its type."""
    event = CATALOGUE.get((dict(given).get("ce_type") or b"").decode())
    return read_record(given, value, event.TOPIC if event else "cases")


def body(**fields: Any) -> bytes:
    return json.dumps({"case": CASE, "person": PERSON, "municipality": "0106"} | fields).encode()


def test_an_entry_says_when_what_and_who_acted_and_nothing_of_a_person() -> None:
    entry = read(headers(MADE), body(fromOrganisation="gemeente-assen", toOrganisation="gkb", decidedBy="professional"))
    document = leaf(entry, KEY)
    plain = {name: value for name, value in document.items() if name != "about"}
    assert plain == {
        "at": datetime(2026, 3, 1, 9, 30, 0, 125000, UTC),
        "type": MADE,
        "source": SOURCE,
        "organisation": "gemeente-assen",
        "activity": entry.activity,
        "eventId": EVENT,
        "commitment": hmac.new(KEY.nonce(EVENT), entry.content, hashlib.sha256).digest(),
    }
    assert PERSON not in repr(plain)
    assert CASE not in repr(plain)
    sealed = document["about"].pop("sealed")
    assert document["about"] == {"person": PERSON, "case": CASE, "trace": bytes.fromhex(TRACE)}
    assert KEY.open(sealed, document["commitment"]) == entry.content


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"fromOrganisation": "gemeente", "toOrganisation": "gkb", "decidedBy": "partner"}, "gkb"),
        ({"fromOrganisation": "gemeente", "toOrganisation": "gkb", "decidedBy": "coordinator"}, "gemeente"),
        ({"fromOrganisation": "gemeente", "toOrganisation": "gkb"}, None),  # a term ran out
        ({"sender": "woonborg"}, "woonborg"),
        ({"organisation": "voedselbank"}, "voedselbank"),
        ({"confirmedByOrganisation": None}, None),
        ({}, None),
    ],
)
def test_the_organisation_is_the_one_that_acted(fields: dict[str, Any], expected: str | None) -> None:
    assert read(headers(), body(**fields)).organisation == expected


@pytest.mark.parametrize("name", ["Jan de Vries", "a" * 65, "gkb\n", 5, ["gkb"]])
def test_what_has_not_the_form_of_an_organisation_is_not_kept(name: object) -> None:
    assert read(headers(), body(organisation=name)).organisation is None


def test_a_line_of_the_processing_log_brings_its_own_activity_and_subject() -> None:
    line = json.dumps({"subject": PERSON, "activity": "read-person", "organisation": "gkb"}).encode()
    entry = read(headers(LOGGED), line)
    assert (entry.activity, entry.person, entry.organisation) == ("read-person", PERSON, "gkb")


def test_what_has_not_the_form_of_an_id_is_not_kept() -> None:
    entry = read(headers(), body(person="Jan de Vries", case="straat 1"))
    assert (entry.person, entry.about) == (None, {"trace": bytes.fromhex(TRACE)})


def test_of_a_person_erased_before_nothing_is_kept_beside_the_leaf() -> None:
    entry = read(headers(), body())
    document, other = leaf(entry, None), leaf(entry, None)
    assert "about" not in document
    assert document["commitment"] != other["commitment"]
    assert PERSON not in repr(document)


def test_a_merge_says_into_whom_and_other_events_do_not() -> None:
    assert read(headers(PersonMerged.TYPE), body(into=CASE)).merged_into == CASE
    assert read(headers(PersonErased.TYPE), body(into=CASE)).merged_into is None


def test_the_content_is_the_sorted_attributes_and_the_data() -> None:
    content = read(headers(), body()).content
    given = {name: value for name, value in headers() if name.startswith("ce_")}
    names = sorted(given)
    parts = [b"%d" % len(names), *(name.encode() for name in names), *(given[name] or b"" for name in names), body()]
    assert content == b"\0".join(parts)


def test_how_a_record_travelled_is_not_committed_to() -> None:
    other = headers(traceparent=b"00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert read(headers(), body()).content == read(tuple(reversed(other)), body()).content


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=4)
events = st.tuples(st.dictionaries(texts.map(lambda t: f"ce_x{t}"), texts, max_size=3), st.binary(max_size=6))


@given(events, events)
def test_no_two_events_have_the_same_content(
    one: tuple[dict[str, str], bytes], other: tuple[dict[str, str], bytes]
) -> None:
    def content(event: tuple[dict[str, str], bytes]) -> bytes:
        more = tuple((name, value.encode()) for name, value in event[0].items())
        return attributes(headers() + more).committed + event[1]

    assert (content(one) == content(other)) == (one == other)
    more = {name: value for name, value in headers() if name.startswith("ce_")}
    assert committed_in(content(one)) == ({n: (v or b"").decode() for n, v in more.items()} | one[0], one[1])


@pytest.mark.parametrize(
    ("said", "expected"), [("ab" * 16, "ab" * 16), ("0" * 32, None), ("AB" * 16, None), (7, TRACE), (None, TRACE)]
)
def test_a_line_of_the_processing_log_is_of_the_trace_that_it_says(said: object, expected: str | None) -> None:
    found = read(headers(LOGGED), json.dumps({"traceId": said}).encode()).about.get("trace")
    assert found == (bytes.fromhex(expected) if expected else None)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_commitment_depends_on_its_nonce(one: bytes, other: bytes) -> None:
    assert (commitment(one, b"content") == commitment(other, b"content")) == (one == other)


WRONG: Sequence[tuple[str, Headers, bytes | None]] = [
    ("not-an-event", (), b"{}"),
    ("not-an-event", tuple(h for h in headers() if h[0] != "ce_id"), body()),
    ("not-an-event", headers(ce_specversion=b"0.3"), body()),
    ("unknown-version", headers("nl.hulpketen.cases.opened.v9"), body()),
    ("unknown-type", headers("nl.hulpketen.cases.guessed.v1"), body()),
    ("bad-headers", headers(ce_subject=None), body()),
    ("bad-headers", headers(ce_subject=b"\xff"), body()),
    ("bad-headers", headers(ce_subject=b"a\0b"), body()),
    ("bad-headers", (*headers(), ("ce_id", EVENT.encode())), body()),
    ("bad-headers", (*headers(), ("x", b"\xff")), body()),
    ("bad-headers", (*headers(), ("x", None)), body()),
    ("bad-headers", headers(ce_id=b"Jan de Vries"), body()),
    ("bad-headers", headers(ce_source=b"jan@example.org"), body()),
    ("bad-headers", headers(ce_time=b"yesterday"), body()),
    ("bad-headers", headers(ce_time=b"2026-03-01T09:30:00"), body()),
    ("bad-headers", headers(ce_time=b"0001-01-01T00:00:00+01:00"), body()),
    ("bad-headers", headers(ce_time=b"1970-01-01T00:00:00+01:00"), body()),
    ("bad-headers", headers(ce_time=b"9999-12-31T23:59:59-01:00"), body()),
    ("bad-headers", headers(ce_time=b"9999-01-01T00:00:00Z"), body()),
    ("invalid-data", headers(), None),
    ("invalid-data", headers(), b""),
    ("invalid-data", headers(), b"{"),
    ("invalid-data", headers(), b"[]"),
    ("invalid-data", headers(), b"[" * 60_000),
    ("invalid-data", headers(), b'{"a":"\xff"}'),
    ("too-large", headers(), b'{"a":"' + b"x" * 70_000 + b'"}'),
]


@pytest.mark.parametrize("topic", ["processing-log", "signals", "partners.maatjes", ""])
def test_an_event_on_another_topic_than_its_own_is_refused(topic: str) -> None:
    with pytest.raises(DecodeError, match="on cases alone"):
        read_record(headers(), body(), topic)


def test_no_number_of_a_person_gets_into_what_is_plain() -> None:
    line = json.dumps({"subject": PERSON, "activity": "jan-19800101", "organisation": "bsn-123456782"}).encode()
    entry = read(headers(LOGGED), line)
    assert (entry.activity, entry.organisation) == (None, None)


@pytest.mark.parametrize(("reason", "given_headers", "value"), WRONG)
def test_what_is_no_event_is_refused_and_not_repeated(reason: str, given_headers: Headers, value: bytes | None) -> None:
    with pytest.raises(DecodeError) as refused:
        read(given_headers, value)
    assert refused.value.reason == reason
    assert "Jan" not in str(refused.value)
    assert "jan@" not in refused.value.detail
