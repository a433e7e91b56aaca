"""What a line of the processing log says, of a look and of a decision, and what is left of it after an erasure."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hulpketen_contracts import AccessLogged, CaseOpened, ProcessingLogged, ReferralMade

from services.audit.domain.lines import ACTIVITY_ID, LINE_TYPES, SUBJECT_ID, SUBJECT_TYPE, line_of, types_of
from services.audit.domain.register import Register
from services.audit.subject_ids import SubjectIds
from services.chassis.keys import Sealer

URI = "https://example.test/"
REGISTER = Register.read(URI)
SEALER = Sealer(bytes(32))
IDS = SubjectIds(SEALER, "gemeente-assen")
PERSON = "11111111-1111-4111-8111-111111111111"
EVENT = "0123456789abcdef0123456789abcdef"
TRACE = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
LOOK = {
    "traceId": TRACE,
    "spanId": "00000000000000cc",
    "parentSpanId": "00000000000000dd",
    "status": "Ok",
    "name": "look-at-person",
    "startTime": 1_772_357_400_000,
    "endTime": 1_772_357_400_125,
    "service": "intake",
    "organisation": "gemeente-assen",
    "activity": "look-at-person",
    "subject": PERSON,
}


def entry(event_type: str, activity: str | None, **about: Any) -> dict[str, Any]:
    return {
        "_id": 7,
        "at": datetime(2026, 3, 1, 9, 30, 0, 125000, UTC),
        "type": event_type,
        "source": "urn:nld:oin:00000099000000000001:systeem:hulpketen-intake",
        "organisation": "gemeente-assen",
        "activity": activity,
        "eventId": str(uuid.UUID(EVENT)),
        "about": about,
    }


def test_a_look_is_the_line_that_it_wrote() -> None:
    of = entry(ProcessingLogged.TYPE, "look-at-person", person=PERSON, trace=bytes.fromhex(TRACE))
    line = line_of(of, LOOK, REGISTER, IDS.encrypt).model_dump(by_alias=True)
    subject = line["attributes"].pop(SUBJECT_ID)
    assert IDS.decrypt(subject) == PERSON
    assert line == {
        "traceId": "aaaaaaaa-aaaa-aaaa-bbbb-bbbbbbbbbbbb",
        "spanId": "00000000000000cc",
        "parentSpanId": "00000000000000dd",
        "status": "Ok",
        "name": "look-at-person",
        "startTime": "2026-03-01T09:30:00.000Z",
        "endTime": "2026-03-01T09:30:00.125Z",
        "resource": {"attributes": {"service": "intake", "organisation": "gemeente-assen"}},
        "attributes": {ACTIVITY_ID: URI + "look-at-person", SUBJECT_TYPE: "pseudonym"},
    }


def test_a_decision_is_a_moment_in_the_trace_of_its_event() -> None:
    line = line_of(
        entry(ReferralMade.TYPE, "make-referrals", person=PERSON, trace=bytes.fromhex(TRACE)), {}, REGISTER, IDS.encrypt
    )
    assert (line.trace_id, line.span_id) == ("aaaaaaaa-aaaa-aaaa-bbbb-bbbbbbbbbbbb", EVENT[:16])
    assert line.start_time == line.end_time == "2026-03-01T09:30:00.125Z"
    assert (line.name, line.status) == ("referrals.made", "Ok")


@pytest.mark.parametrize("event_type", [ProcessingLogged.TYPE, CaseOpened.TYPE])
def test_after_an_erasure_nothing_tells_whom_it_was_about(event_type: str) -> None:
    of = entry(event_type, "manage-cases")
    del of["about"]
    line = line_of(of, None, REGISTER, IDS.encrypt)
    assert SUBJECT_ID not in line.attributes
    assert line.trace_id == str(uuid.UUID(EVENT))
    assert line.attributes == {ACTIVITY_ID: URI + "manage-cases"}


def test_a_line_that_was_said_in_another_form_is_still_a_line() -> None:
    line = line_of(entry(ProcessingLogged.TYPE, None, person=PERSON), {"traceId": "nothing"}, REGISTER, IDS.encrypt)
    assert line.trace_id == str(uuid.UUID(EVENT))
    assert ACTIVITY_ID not in line.attributes


def test_a_subject_is_another_text_each_time_and_of_no_use_to_another_organisation() -> None:
    one, again = IDS.encrypt(PERSON), IDS.encrypt(PERSON)
    assert one != again
    assert PERSON not in one
    assert IDS.decrypt(one) == IDS.decrypt(again) == PERSON
    for reader, text in ((SubjectIds(SEALER, "rekenkamer"), one), (IDS, PERSON), (IDS, "é"), (IDS, one[:-8])):
        with pytest.raises(ValueError, match="not given to this organisation"):
            reader.decrypt(text)


def test_who_of_the_staff_looked_is_no_line() -> None:
    assert AccessLogged.TYPE not in LINE_TYPES
    assert AccessLogged.TYPE not in types_of("look-at-person")


def test_the_lines_of_an_activity_are_of_its_events_and_of_looks() -> None:
    assert set(types_of("manage-cases")) > {CaseOpened.TYPE, ProcessingLogged.TYPE}
    assert ReferralMade.TYPE not in types_of("manage-cases")
