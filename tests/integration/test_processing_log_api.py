"""What the read API of the processing log gives, to whom, and that reading is itself in the log."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hulpketen_contracts import AccessLogged, PersonErased, PersonMerged, ProcessingLogged, ReferralMade

from services.audit.domain.lines import ACTIVITY_ID, SUBJECT_ID, SUBJECT_TYPE
from services.chassis.pipeline.model import Record
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, record, writer
from tests.integration.auditing import REGISTER, Auditor, an_auditor, token
from tests.unit.chassis.issuer import TestIssuer

READ = "/lezenapi/v1/processing-activities"
DAY_MS = 1_772_323_200_000  # 2026-03-01T00:00Z


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def reader(database: Database, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Auditor]:
    async with an_auditor(database, issuer, tmp_path) as one:
        yield one


def a_look(person: str | None, trace: str, *, at: str = "2026-03-01T09:30:00.125Z", **fields: Any) -> Record:
    said = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "status": "Ok",
        "name": "look-at-person",
        "startTime": DAY_MS,
        "endTime": DAY_MS + 5,
        "service": "intake",
        "organisation": "gemeente-assen",
        "activity": "look-at-person",
    }
    made = record(person or "", ProcessingLogged.TYPE, at=at)
    data = said | ({"subject": person} if person else {}) | fields
    return made._replace(value=json.dumps(data).encode())


async def asked(reader: Auditor, **body: Any) -> list[dict[str, Any]]:
    answer = await reader.client.post(READ, json=body)
    assert answer.status_code == 200, answer.text
    lines: list[dict[str, Any]] = answer.json()["processingActivities"]
    return lines


async def test_lines_are_found_by_trace_in_both_forms_and_the_reading_is_a_line_about_whom_they_name(
    reader: Auditor, database: Database
) -> None:
    person, trace = a_person(), secrets.token_hex(16)
    await writer(database).handle([a_look(person, trace), a_look(a_person(), secrets.token_hex(16))])
    for form in (trace, trace.upper(), str(uuid.UUID(trace))):
        (line,) = await asked(reader, traceId=form)
        assert line["traceId"] == str(uuid.UUID(trace))
    assert [(said.activity, said.subject) for said in reader.lines] == [("read-processing-log", person)] * 3
    assert (await asked(reader, traceId=secrets.token_hex(16))) == []


async def test_a_subject_that_was_given_is_what_one_may_ask_with_and_of_no_use_to_another(
    reader: Auditor, database: Database, issuer: TestIssuer
) -> None:
    one, merged = a_person(), a_person()
    await writer(database).handle(
        [
            a_look(one, secrets.token_hex(16)),
            record(one, ReferralMade.TYPE, fromOrganisation="gemeente-assen", toOrganisation="maatjes"),
            a_look(merged, secrets.token_hex(16)),
            record(merged, PersonMerged.TYPE, into=one),
            a_look(a_person(), secrets.token_hex(16)),
        ]
    )
    every = await asked(reader, startTime=DAY_MS)
    assert len({line["attributes"][SUBJECT_ID] for line in every}) == len(every) == 5
    assert [said.subject for said in reader.lines] == [None]  # a period is about the log, and about nobody
    subject = every[0]["attributes"][SUBJECT_ID]
    about = await asked(reader, **{SUBJECT_ID: subject})
    assert [line["name"] for line in about] == ["look-at-person", "referrals.made", "look-at-person", "persons.merged"]
    assert {said.subject for said in reader.lines[1:] if said.subject} == {one, merged}
    for other in (token(issuer, "processing-log:read", organisation="gemeente-elders"),):
        headers = {"authorization": f"Bearer {other}"}
        answer = await reader.client.post(READ, json={SUBJECT_ID: subject}, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "unknown-subject"


async def test_who_of_the_staff_looked_is_not_given(reader: Auditor, database: Database) -> None:
    trace = secrets.token_hex(16)
    access = record("", AccessLogged.TYPE)._replace(
        value=json.dumps({"traceId": trace, "employee": "e" * 64, "activity": "look-at-person"}).encode()
    )
    await writer(database).handle([a_look(a_person(), trace), access])
    for body in ({"traceId": trace}, {"startTime": DAY_MS}, {ACTIVITY_ID: REGISTER.uri("look-at-person")}):
        answer = await reader.client.post(READ, json=body)
        assert len(answer.json()["processingActivities"]) == 1
        assert "e" * 64 not in answer.text


async def test_a_person_who_was_erased_is_in_no_answer_and_that_something_was_done_stays(
    reader: Auditor, database: Database
) -> None:
    person, trace = a_person(), secrets.token_hex(16)
    writing = writer(database)
    await writing.handle([a_look(person, trace)])
    await writing.handle([record(person, PersonErased.TYPE, at="2026-03-01T10:00:00.000Z")])
    assert await asked(reader, traceId=trace) == []
    lines = await asked(reader, startTime=DAY_MS)
    assert [line["attributes"] for line in lines] == [
        {ACTIVITY_ID: REGISTER.uri("look-at-person")},
        {ACTIVITY_ID: REGISTER.uri("erase-persons")},
    ]


async def test_a_period_and_an_activity_narrow_what_is_given(reader: Auditor, database: Database) -> None:
    await writer(database).handle(
        [
            a_look(a_person(), secrets.token_hex(16)),
            a_look(a_person(), secrets.token_hex(16), at="2026-03-02T09:30:00.000Z", activity="link-household"),
        ]
    )
    assert len(await asked(reader, startTime=DAY_MS, endTime=DAY_MS + 86_400_000)) == 1
    assert len(await asked(reader, startTime=DAY_MS + 86_400_000)) == 1
    (first,) = await asked(reader, startTime="2026-03-01T00:00:00Z", endTime="2026-03-02T01:00:00+01:00")
    assert first["startTime"] == "2026-03-01T00:00:00.000Z"
    assert "parentSpanId" not in first
    (line,) = await asked(reader, **{ACTIVITY_ID: REGISTER.uri("link-household")})
    assert line["attributes"][SUBJECT_TYPE] == "pseudonym"
    assert await asked(reader, **{ACTIVITY_ID: "https://elsewhere.test/link-household"}) == []
    assert await asked(reader, **{SUBJECT_TYPE: "bsn"}) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_asked"),
        ({"traceId": None}, "nothing_asked"),
        ({"traceId": "0f8fad5b"}, "trace_id"),
        ({"traceId": "0f8fad5bd9cb-469fa165-70867728950e00"}, "trace_id"),
        ({"startTime": 5, "endTime": 4}, "ends_before_it_starts"),
        ({"startTime": "2026-03-01T00:00:00Z", "endTime": 0}, "ends_before_it_starts"),
        ({"dpl.core.foreign_operation.processor": "x"}, "extra_forbidden"),
        ({SUBJECT_ID: "bm90aGluZw=="}, "unknown-subject"),
    ],
)
async def test_a_question_that_makes_no_sense_is_told_why(reader: Auditor, body: dict[str, Any], code: str) -> None:
    answer = await reader.client.post(READ, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["code"].replace("-", "_") for error in answer.json()["errors"]] == [code.replace("-", "_")]
    assert reader.lines == []


async def test_too_many_lines_are_refused_and_not_cut(
    reader: Auditor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.api_log.MAX_LINES", 2)
    await writer(database).handle([a_look(a_person(), secrets.token_hex(16)) for _ in range(3)])
    answer = await reader.client.post(READ, json={"startTime": DAY_MS})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (400, "too-many")


async def test_nothing_is_given_where_the_reading_cannot_be_logged(reader: Auditor, database: Database) -> None:
    await writer(database).handle([a_look(a_person(), secrets.token_hex(16))])
    reader.log_answers = False
    answer = await reader.client.post(READ, json={"startTime": DAY_MS})
    assert answer.status_code == 503
    assert "processingActivities" not in answer.text


async def test_anybody_of_the_chain_reads_the_register(reader: Auditor, issuer: TestIssuer) -> None:
    headers = {"authorization": f"Bearer {token(issuer, 'feed:read')}"}
    answer = await reader.client.get("/v1/processing-activities", headers=headers)
    items = {item["name"]: item for item in answer.json()["items"]}
    assert items.keys() == REGISTER.activities.keys()
    assert items["erase-persons"]["id"] == "https://example.test/erase-persons"
    assert items["erase-persons"]["basis"]["en"].endswith("article 17.")
