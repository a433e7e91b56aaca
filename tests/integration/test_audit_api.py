"""What an auditor may ask of the trail, what the answer shows, and that asking is itself in the processing log."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hulpketen_contracts import (
    CaseClosed,
    CaseOpened,
    PersonErased,
    ProcessingLogged,
    SignalReceived,
)

from services.audit import api, store
from services.audit.api import ACTIVITY
from services.audit.domain.lines import ACTIVITY_ID
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, ids, record, writer
from tests.integration.auditing import MOST, REGISTER, Auditor, an_auditor, token
from tests.unit.chassis.issuer import TestIssuer


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def auditor(database: Database, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Auditor]:
    async with an_auditor(database, issuer, tmp_path) as one:
        yield one


@pytest.fixture
async def case(database: Database) -> str:
    """Five entries, of three days; the case is of the second and the last."""
    one, other = a_person(), a_person()
    opened = record(one, at="2026-03-02T09:00:00.000Z")
    case = str(json.loads(opened.value or b"")["case"])
    await writer(database).handle(
        [
            record(other, SignalReceived.TYPE, at="2026-03-01T09:00:00.000Z", sender="woonborg"),
            opened,
            record(other, at="2026-03-02T10:00:00.000Z"),
            record(other, CaseClosed.TYPE, at="2026-03-03T09:00:00.000Z"),
            record(one, CaseClosed.TYPE, at="2026-03-03T10:00:00.000Z", case=case),
        ]
    )
    return case


@pytest.mark.usefixtures("case")
async def test_a_period_is_found_with_both_its_ends_in_the_order_of_time(auditor: Auditor, database: Database) -> None:
    await writer(database).handle([record(a_person(), at="2026-03-01T08:00:00.000Z")])
    assert await auditor.found() == [5, 0, 1, 2, 3, 4]
    assert await auditor.found(**{"from": "2026-03-02T09:00:00Z", "to": "2026-03-03T09:00:00Z"}) == [1, 2, 3]
    assert await auditor.found(to="2026-03-02T10:00:00+02:00") == [5, 0]
    assert await auditor.found(**{"from": "2027-01-01T00:00:00Z"}) == []


async def test_type_and_case_narrow_a_search(auditor: Auditor, case: str) -> None:
    assert await auditor.found(type=CaseOpened.TYPE) == [1, 2]
    assert await auditor.found(case=case) == [1, 4]
    assert await auditor.found(case=case, type=CaseClosed.TYPE) == [4]
    assert await auditor.found(case=case, **{"from": "2026-03-03T00:00:00Z"}) == [4]
    assert await auditor.found(type=CaseOpened.TYPE, to="2026-03-02T09:30:00Z") == [1]


PERIOD = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-31T00:00:00Z"}


async def test_activity_and_organisation_narrow_a_search_of_a_period_or_a_type(auditor: Auditor, case: str) -> None:
    assert await auditor.found(activity="manage-cases", **PERIOD) == [1, 2, 3, 4]
    assert await auditor.found(activity="receive-signals", **PERIOD) == [0]
    assert await auditor.found(organisation="woonborg", **PERIOD) == [0]
    assert await auditor.found(organisation="woonborg", activity="manage-cases", **PERIOD) == []
    assert await auditor.found(organisation="woonborg", type=SignalReceived.TYPE) == [0]
    assert await auditor.found(activity="manage-cases", case=case) == [1, 4]


async def test_what_is_found_can_be_taken_along_as_a_file(auditor: Auditor, case: str) -> None:
    listed = (await auditor.get("/v1/entries", **PERIOD))["items"]
    assert len(listed) == 5
    for asked in (PERIOD, {"case": case}):
        wanted = (await auditor.get("/v1/entries", **asked))["items"]
        assert await auditor.get("/v1/entries/export", format="json", **asked) == {"entries": wanted}
    table = await auditor.client.get("/v1/entries/export", params={"format": "csv"} | PERIOD)
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert table.headers["content-disposition"] == 'attachment; filename="trail.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    plain = [{name: "" if value is None else str(value) for name, value in entry.items()} for entry in listed]
    assert rows == [row | {"erased": row["erased"].lower()} for row in plain]
    assert await auditor.get("/v1/entries/export", format="json", type="none") == {"entries": []}


async def test_an_export_is_in_both_logs_before_it_begins_and_names_whom_a_case_is_about(
    auditor: Auditor, database: Database, case: str
) -> None:
    held = await database["entries"].find_one({"_id": 1})
    assert held
    await auditor.get("/v1/entries/export", format="json", **PERIOD)
    await auditor.get("/v1/entries/export", format="json", case=case)
    assert [(line.name, line.subject) for line in auditor.lines] == [
        ("export-audit-trail", None),
        ("export-audit-trail", held["about"]["person"]),
    ]
    assert [access.span_id for access in auditor.accesses] == [line.span_id for line in auditor.lines]
    auditor.log_answers = False
    answer = await auditor.client.get("/v1/entries/export", params={"format": "csv", "case": case})
    assert answer.status_code == 503
    assert held["eventId"] not in answer.text


async def test_an_export_has_a_limit_and_says_so_before_it_begins(auditor: Auditor, database: Database) -> None:
    await writer(database).handle([record(a_person()) for _ in range(MOST)])
    assert len((await auditor.get("/v1/entries/export", format="json"))["entries"]) == MOST
    await writer(database).handle([record(a_person())])
    answer = await auditor.client.get("/v1/entries/export", params={"format": "json"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too-many")
    wrong = await auditor.client.get("/v1/entries/export", params={"format": "xlsx"})
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/format"]


@pytest.mark.usefixtures("case")
async def test_pages_follow_each_other_and_say_how_many_there_are(auditor: Auditor) -> None:
    pages = [await auditor.get("/v1/entries", page=n, perPage=2) for n in (1, 2, 3, 4)]
    assert [[e["index"] for e in page["items"]] for page in pages] == [[0, 1], [2, 3], [4], []]
    assert {(page["total"], page["perPage"]) for page in pages} == {(5, 2)}
    narrowed = await auditor.get("/v1/entries", type=CaseClosed.TYPE, perPage=1)
    assert (narrowed["total"], len(narrowed["items"])) == (2, 1)


async def test_no_more_is_counted_than_somebody_would_page_through(
    auditor: Auditor, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_COUNTED", 2)
    monkeypatch.setattr(api, "MOST_COUNTED", 2)
    counted = [await auditor.get("/v1/entries", **asked) for asked in ({"case": case}, {"to": "2026-03-03T09:00:00Z"})]
    assert [(page["total"], page["more"], len(page["items"])) for page in counted] == [(2, False, 2), (2, True, 4)]
    everything = await auditor.get("/v1/entries")
    assert (everything["total"], everything["more"]) == (5, False)


MUCH = [
    ("GET", "/v1/entries?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z&organisation=nobody", "/to"),
    ("GET", "/v1/entries/export?format=csv&from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z&organisation=no", "/to"),
    ("POST", "/lezenapi/v1/processing-activities", "/endTime"),
]


async def test_a_question_that_reads_too_much_is_refused_and_says_how_to_ask(
    auditor: Auditor, database: Database
) -> None:
    (entry,) = [record(a_person(), ProcessingLogged.TYPE, at="2026-03-01T08:00:00Z", activity="view-case")]
    await writer(database).handle([entry])
    (line,) = await database["entries"].find().to_list(None)
    del line["about"]
    many = [line | {"_id": n, "eventId": str(n)} for n in range(1, 60_000)]
    await database["entries"].insert_many(many)
    auditor.store._search_ms = 1
    for method, path, pointer in MUCH:
        asked = {ACTIVITY_ID: REGISTER.uri("search-audit-trail")}
        answer = await auditor.client.request(method, path, json=asked if method == "POST" else None)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer), answer.text
        assert answer.json()["errors"][0]["code"] == "too-much"
    with pytest.raises(store.TooMuch):
        await auditor.store.numbers(None, datetime.now(UTC))
    assert await auditor.store.numbers(None, None) == (0, 60_000)
    assert auditor.lines == []


async def test_an_entry_shows_its_commitment_and_nothing_that_opens_it_or_leads_to_a_person(
    auditor: Auditor, database: Database
) -> None:
    person, case = a_person(), a_person()
    one = record(person, SignalReceived.TYPE, sender="woonborg", case=case)
    await writer(database).handle([one])
    answer = await auditor.get("/v1/entries/0")
    held = await database["entries"].find_one({"_id": 0})
    assert held
    assert answer == {
        "index": 0,
        "at": "2026-03-01T09:30:00.125Z",
        "type": SignalReceived.TYPE,
        "source": "urn:nld:oin:00000099000000000001:systeem:hulpketen-matching",
        "organisation": "woonborg",
        "activity": SignalReceived.ACTIVITY,
        "eventId": ids([one])[0],
        "commitment": held["commitment"].hex(),
        "case": case,
        "erased": False,
        "content": "kept",
        "employee": None,
    }
    await writer(database).handle([record(person, PersonErased.TYPE)])
    assert await auditor.get("/v1/entries/0") == answer | {"case": None, "erased": True, "content": "gone"}
    assert await auditor.found(case=case) == []


async def test_each_search_is_a_line_of_the_processing_log_and_one_for_a_case_names_whom_it_is_about(
    auditor: Auditor, database: Database, case: str
) -> None:
    held = await database["entries"].find_one({"_id": 1})
    assert held
    await auditor.found()
    await auditor.found(case=case)
    await auditor.get("/v1/entries/1")
    assert [line.subject for line in auditor.lines] == [None, held["about"]["person"], held["about"]["person"]]
    assert {(line.service, line.organisation, line.activity) for line in auditor.lines} == {
        ("audit", "rekenkamer", ACTIVITY)
    }


async def test_what_could_not_be_logged_is_not_shown(auditor: Auditor, case: str) -> None:
    auditor.log_answers = False
    answer = await auditor.client.get("/v1/entries", params={"case": case})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "items" not in answer.json()


WRONG: list[tuple[dict[str, str | int], str]] = [
    ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "/to"),
    ({"from": "2026-03-02T00:00:00"}, "/from"),
    ({"to": "yesterday"}, "/to"),
    ({"from": "0001-01-01T00:00:00+14:00"}, "/from"),
    ({"to": "9999-12-31T23:59:59-14:00"}, "/to"),
    ({"type": "Jan de Vries"}, "/type"),
    ({"case": "' or 1=1"}, "/case"),
    ({"page": 0}, "/page"),
    ({"perPage": 501}, "/perPage"),
    ({"activity": "Jan de Vries"}, "/activity"),
    ({"organisation": "Jan de Vries"}, "/organisation"),
    ({"organisation": "woonborg", "from": "2026-03-02T00:00:00Z"}, "/to"),
]


@pytest.mark.parametrize(("query", "pointer"), WRONG)
async def test_a_question_that_makes_no_sense_is_refused(
    auditor: Auditor, query: dict[str, str | int], pointer: str
) -> None:
    answer = await auditor.client.get("/v1/entries", params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "Vries" not in answer.text
    assert auditor.lines == []


async def test_a_number_that_the_trail_does_not_have_is_404_and_one_that_is_none_400(auditor: Auditor) -> None:
    assert (await auditor.client.get("/v1/entries/0")).status_code == 404
    for wrong in ("-1", "x", "99999999999999999999"):
        assert (await auditor.client.get(f"/v1/entries/{wrong}")).status_code == 400


@pytest.mark.usefixtures("case")
async def test_who_may_read_the_trail_reads_all_of_it_whatever_municipalities_the_token_names(
    auditor: Auditor, issuer: TestIssuer
) -> None:
    for municipalities in ([], ["9999"], ["0106", "9901"]):
        mine = token(issuer, "audit:read", municipalities=municipalities)
        auditor.client.headers["authorization"] = f"Bearer {mine}"
        assert await auditor.found() == [0, 1, 2, 3, 4]


PATHS = ("/v1/entries", "/v1/entries/0", "/v1/entries/export?format=csv", "/v1/unusual-access")


async def test_only_who_may_read_the_trail_does(auditor: Auditor, issuer: TestIssuer) -> None:
    others = "cases:read persons:read referrals:read feed:read operations"
    auditor.client.headers["authorization"] = f"Bearer {token(issuer, others)}"
    for path in PATHS:
        assert (await auditor.client.get(path)).status_code == 403
    del auditor.client.headers["authorization"]
    for path in PATHS:
        assert (await auditor.client.get(path)).status_code == 401
