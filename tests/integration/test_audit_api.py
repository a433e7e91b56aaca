"""What an auditor may ask of the trail, what the answer shows, and that asking is itself in the processing log."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hulpketen_contracts import (
    AccessLogged,
    CaseClosed,
    CaseOpened,
    Event,
    PersonErased,
    ProcessingLogged,
    SignalReceived,
)

from services.audit.api import ACTIVITY, routes
from services.audit.store import TrailStore
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.processing_log import Looks
from services.chassis.settings import AuthSettings
from services.chassis.web import create_app
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, ids, record, writer
from tests.unit.chassis.issuer import ISSUER, TestIssuer, good_claims
from tests.unit.chassis.unconnected import unconnected


class NoRuntime:
    """Nothing runs beside these requests."""

    operations: Any = None
    answers: Any = None
    caught_up = True

    def digest_key(self) -> bytes:
        return bytes(32)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def checks(self) -> dict[str, bool]:
        return {}


class Auditor:
    """A client with a token, and the lines that its requests left in the processing log."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.lines: list[ProcessingLogged] = []
        self.accesses: list[AccessLogged] = []
        self.log_answers = True

    async def record(self, events: Sequence[Event]) -> None:
        if not self.log_answers:
            raise StoreUnavailable
        self.lines += [event for event in events if isinstance(event, ProcessingLogged)]
        self.accesses += [event for event in events if isinstance(event, AccessLogged)]

    async def get(self, path: str, **query: str | int) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def found(self, **query: str | int) -> list[int]:
        """The numbers of the entries that a search finds."""
        return [entry["index"] for entry in (await self.get("/v1/entries", **query))["items"]]


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def auditor(database: Database, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Auditor]:
    settings = unconnected(tmp_path, auth=AuthSettings(issuer=ISSUER, audience="audit"))
    async with httpx.AsyncClient(base_url="http://audit.test") as client:
        one = Auditor(client)
        router = routes(TrailStore(database), Looks("audit", one.record, lambda: bytes(32), lambda: datetime.now(UTC)))
        app = create_app("audit", runtime=NoRuntime(), settings=settings, routers=[router], transport=issuer.transport)
        client._transport = httpx.ASGITransport(app)
        client.headers["authorization"] = f"Bearer {token(issuer, 'audit:read')}"
        yield one


def token(issuer: TestIssuer, scope: str, **more: Any) -> str:
    now = int(time.time())
    about = {"aud": ["audit"], "iat": now, "exp": now + 300, "organisation": "rekenkamer", "scope": scope}
    return issuer.token(good_claims(**about | more))


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


@pytest.mark.usefixtures("case")
async def test_pages_follow_each_other_and_say_how_many_there_are(auditor: Auditor) -> None:
    pages = [await auditor.get("/v1/entries", page=n, perPage=2) for n in (1, 2, 3, 4)]
    assert [[e["index"] for e in page["items"]] for page in pages] == [[0, 1], [2, 3], [4], []]
    assert {(page["total"], page["perPage"]) for page in pages} == {(5, 2)}
    narrowed = await auditor.get("/v1/entries", type=CaseClosed.TYPE, perPage=1)
    assert (narrowed["total"], len(narrowed["items"])) == (2, 1)


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
    }
    await writer(database).handle([record(person, PersonErased.TYPE)])
    assert await auditor.get("/v1/entries/0") == answer | {"case": None, "erased": True}
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
    ({"type": "Jan de Vries"}, "/type"),
    ({"case": "' or 1=1"}, "/case"),
    ({"page": 0}, "/page"),
    ({"perPage": 501}, "/perPage"),
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


async def test_only_who_may_read_the_trail_does(auditor: Auditor, issuer: TestIssuer) -> None:
    others = "cases:read persons:read referrals:read feed:read operations"
    auditor.client.headers["authorization"] = f"Bearer {token(issuer, others)}"
    for path in ("/v1/entries", "/v1/entries/0"):
        assert (await auditor.client.get(path)).status_code == 403
    del auditor.client.headers["authorization"]
    for path in ("/v1/entries", "/v1/entries/0"):
        assert (await auditor.client.get(path)).status_code == 401
