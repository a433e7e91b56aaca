"""Unusual access, found in a trail of looks, cases and referrals as services write them; and forgotten in time."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hulpketen_contracts import (
    AccessLogged,
    CaseOpened,
    Envelope,
    Event,
    OrganisationChanged,
    PersonErased,
    PersonMerged,
    ProcessingLogged,
    ReferralMade,
    encode,
)

from services.audit.access_store import AccessStore
from services.audit.contents import Contents
from services.audit.settings import UnusualSettings
from services.chassis.auth import Principal
from services.chassis.pipeline.model import Record
from services.chassis.processing_log import Looks, employee
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, record, subject_keys, trail, writer
from tests.integration.auditing import Auditor, an_auditor
from tests.unit.chassis.issuer import TestIssuer

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
LIMITS = UnusualSettings(people_at_least=4, outside_at_least=2, often_times=3, looks=100)
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-30T00:00:00Z"}
KEY = bytes(32)


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture
async def auditor(database: Database, tmp_path: Path) -> AsyncIterator[Auditor]:
    async with an_auditor(database, TestIssuer(), tmp_path, LIMITS) as one:
        yield one


def who(organisation: str, subject: str = "employee-1") -> Principal:
    return Principal(organisation, frozenset(), frozenset(), subject, NOON)


class Chain:
    """What services write of looks, as records of the chain."""

    def __init__(self, database: Database) -> None:
        self._writer = writer(database)
        self._at = NOON
        self._looks = Looks("intake", self._take, lambda: KEY, lambda: self._at)

    async def _take(self, events: Sequence[Event]) -> None:
        await self._writer.handle([_sent(event, self._at) for event in events])

    async def look(
        self,
        organisation: str,
        persons: Sequence[str],
        at: datetime = NOON,
        subject: str = "employee-1",
        name: str | None = None,
        activity: str = "look-at-person",
    ) -> None:
        self._at = at
        await self._looks.record(activity, who(organisation, subject), persons, name=name)

    async def happens(self, event_type: str, person: str, at: str = "2026-10-01T09:00:00.000Z", **fields: Any) -> None:
        await self._writer.handle([record(person, event_type, at=at, **fields)])


def _sent(event: Event, at: datetime) -> Record:
    envelope = Envelope(
        id=str(uuid.uuid4()),
        source="urn:nld:oin:00000099000000000001:systeem:hulpketen-intake",
        type=event.TYPE,
        time=at,
        subject=None,
        stream=f"log-intake-{secrets.token_hex(4)}",
        streamepoch=1,
        streamseq=1,
    )
    message = encode(event, envelope)
    return Record("processing-log", 0, 0, message.key, message.value, tuple(message.headers))


@pytest.fixture
def chain(database: Database) -> Chain:
    return Chain(database)


def findings(answer: Any) -> list[tuple[str, str, str | None, dict[str, int]]]:
    return [(each["rule"], each["organisation"], each["employee"], each["counts"]) for each in answer["findings"]]


async def test_each_rule_finds_what_is_unusual_among_real_looks_and_no_answer_names_whom(
    auditor: Auditor, chain: Chain
) -> None:
    people = [a_person() for _ in range(6)]
    await chain.happens(ReferralMade.TYPE, people[0], fromOrganisation="gemeente-assen", toOrganisation="maatjes")
    for person in people:
        await chain.look("maatjes", [person])
    for minutes in range(2):
        await chain.look("gkb", [people[0]], NOON.replace(hour=22) + timedelta(minutes=minutes))
    for days in range(3):
        await chain.look("fonds", [people[1]], NOON + timedelta(days=days), "employee-9")
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert findings(answer) == [
        ("more-people-than-referrals", "maatjes", None, {"looks": 5, "people": 6, "own": 1, "days": 365}),
        ("outside-working-hours", "gkb", employee(KEY, who("gkb")), {"looks": 2, "of": 2}),
        ("one-person-often", "fonds", employee(KEY, who("fonds", "employee-9")), {"looks": 3, "days": 7}),
    ]
    assert answer["looks"] == 11
    assert all(person not in str(answer) for person in people)
    assert "employee-9" not in str(answer)
    (line,) = auditor.lines
    assert (line.name, line.subject) == ("read-unusual-access", None)
    shown = await auditor.get(f"/v1/entries/{answer['findings'][2]['entries'][0]}")
    assert (shown["type"], shown["employee"]) == (AccessLogged.TYPE, employee(KEY, who("fonds", "employee-9")))


async def test_a_municipalitys_cases_a_partners_referrals_and_merged_persons_are_its_own(
    auditor: Auditor, chain: Chain
) -> None:
    people, before = [a_person() for _ in range(6)], [a_person() for _ in range(6)]
    about: dict[str, Any] = {"name": "Assen", "kind": "municipality", "municipalities": ["0106"]}
    await chain.happens(OrganisationChanged.TYPE, a_person(), organisation="gemeente-assen", **about)
    for person, earlier in zip(people, before, strict=True):
        await chain.happens(CaseOpened.TYPE, person, municipality="0106")
        await chain.happens(ReferralMade.TYPE, earlier, fromOrganisation="gemeente-assen", toOrganisation="maatjes")
        await chain.happens(PersonMerged.TYPE, earlier, into=person)
    for person in people:
        await chain.look("gemeente-assen", [person])
        await chain.look("maatjes", [person])
        await chain.look("gemeente-elders", [person])
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert [each["organisation"] for each in answer["findings"]] == ["gemeente-elders"]


async def test_looks_under_an_older_pseudonym_count_for_the_person_that_it_is_now(
    auditor: Auditor, chain: Chain
) -> None:
    earlier, person = a_person(), a_person()
    await chain.happens(ReferralMade.TYPE, person, fromOrganisation="gemeente-assen", toOrganisation="maatjes")
    for each in (earlier, earlier, person):
        await chain.look("maatjes", [each])
    assert findings(await auditor.get("/v1/unusual-access", **PERIOD)) == []
    await chain.happens(PersonMerged.TYPE, earlier, into=person)
    (found,) = findings(await auditor.get("/v1/unusual-access", **PERIOD))
    assert (found[0], found[3]["looks"]) == ("one-person-often", 3)


async def test_a_check_of_the_whole_trail_is_no_look_at_anybody(auditor: Auditor, chain: Chain) -> None:
    for minutes in range(5):
        late = NOON.replace(hour=22) + timedelta(minutes=minutes)
        await chain.look("rekenkamer", [], late, name="read-audit-entries", activity="check-audit-trail")
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert (answer["looks"], answer["forgotten"], answer["findings"]) == (0, 0, [])


async def test_lists_other_periods_and_quiet_work_are_not_unusual(auditor: Auditor, chain: Chain) -> None:
    people = [a_person() for _ in range(8)]
    for _ in range(4):
        await chain.look("maatjes", people, name="list-referrals")
    await chain.look("maatjes", people[:3], name="read-referral")
    for person in people:
        await chain.look("maatjes", [person], NOON - timedelta(days=60))
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert (answer["looks"], answer["findings"]) == (5, [])
    assert len((await auditor.get("/v1/unusual-access", **{**PERIOD, "from": "2026-09-01T00:00:00Z"}))["findings"]) == 1


async def test_looks_of_one_trace_are_each_joined_with_their_own_lines(auditor: Auditor, chain: Chain) -> None:
    """A client that sends one trace id with all its requests is not taken to have seen everybody each time."""
    people = [a_person() for _ in range(3)]
    one = [event async for event in _looks_of_one_trace(people)]
    await writer_of(chain).handle([_sent(event, NOON) for event in one])
    assert (await auditor.get("/v1/unusual-access", **PERIOD))["findings"] == []


async def _looks_of_one_trace(people: Sequence[str]) -> AsyncIterator[Event]:
    trace = secrets.token_hex(16)
    for person in people:
        events: list[Event] = []

        async def take(given: Sequence[Event], into: list[Event] = events) -> None:
            into += given

        looks = Looks("intake", take, lambda: KEY, lambda: NOON)
        await looks.record("look-at-person", who("maatjes"), [person])
        for event in events:
            assert isinstance(event, AccessLogged | ProcessingLogged)
            yield event.model_copy(update={"trace_id": trace})


def writer_of(chain: Chain) -> Any:
    return chain._writer


async def test_the_processing_log_never_gives_who_looked(auditor: Auditor, chain: Chain, database: Database) -> None:
    await chain.look("fonds", [a_person()])
    (access,) = [entry for entry in await trail(database) if entry["type"] == AccessLogged.TYPE]
    for asked in ({"traceId": access["about"]["trace"].hex()}, {"startTime": 0}):
        answer = await auditor.client.post("/lezenapi/v1/processing-activities", json=asked)
        assert [line["name"] for line in answer.json()["processingActivities"]] == ["look-at-person"]
        assert employee(KEY, who("fonds")) not in answer.text


async def test_whom_was_looked_at_and_is_erased_is_found_no_more(
    auditor: Auditor, chain: Chain, database: Database
) -> None:
    person = a_person()
    for _ in range(3):
        await chain.look("fonds", [person])
    assert len((await auditor.get("/v1/unusual-access", **PERIOD))["findings"]) == 1
    await chain.happens(PersonErased.TYPE, person)
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert (answer["looks"], answer["findings"]) == (3, [])


async def test_who_looked_is_kept_for_some_days_and_then_gone_for_good(
    auditor: Auditor, chain: Chain, database: Database
) -> None:
    for days in range(3):
        for _ in range(2):
            await chain.look("fonds", [a_person()], NOON + timedelta(days=days, hours=12))
    before = await trail(database)
    store = AccessStore(database)
    assert await store.forget(NOON + timedelta(days=1)) == 1
    assert await store.forget(NOON + timedelta(days=1)) == 0
    after = await trail(database)
    kept = [entry for entry in after if entry["type"] == AccessLogged.TYPE and "about" in entry]
    assert sorted({entry["at"].day for entry in kept}) == [25, 26]
    assert [{**entry, "about": None} for entry in before] == [{**entry, "about": None} for entry in after]
    assert all("about" in entry for entry in after if entry["type"] == ProcessingLogged.TYPE)
    # A copy of an entry from before is sealed under a key that is no more.
    (gone, *_) = [entry for entry in before if entry["type"] == AccessLogged.TYPE]
    assert await Contents(subject_keys(database)).open([gone]) == [None]
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert (answer["looks"], answer["forgotten"]) == (4, 2)
    erased = await auditor.get(f"/v1/entries/{gone['_id']}")
    assert (erased["employee"], erased["content"], erased["organisation"]) == (None, "gone", "fonds")


WRONG: list[dict[str, Any]] = [
    {},
    {"traceId": "0" * 32, "spanId": "x", "organisation": ["fonds"]},
    {"traceId": "not hexadecimal", "spanId": "0" * 16, "service": "intake", "organisation": "fonds", "activity": "a"},
]


async def test_events_that_do_not_keep_to_their_contract_count_for_nothing_and_hide_nothing(
    auditor: Auditor, chain: Chain, database: Database
) -> None:
    """One service that errs, or was broken into, must not be able to blind the auditor."""
    at = NOON.isoformat()
    person = a_person()
    for wrong in WRONG:
        entries = [
            record(person, event_type, at=at)._replace(value=json.dumps(wrong | {"person": person}).encode())
            for event_type in (AccessLogged.TYPE, ProcessingLogged.TYPE, OrganisationChanged.TYPE, ReferralMade.TYPE)
        ]
        await writer_of(chain).handle(entries)
    for _ in range(3):
        await chain.look("fonds", [person])
    answer = await auditor.get("/v1/unusual-access", **PERIOD)
    assert [each["rule"] for each in answer["findings"]] == ["one-person-often"]
    found = await auditor.get("/v1/entries", type=AccessLogged.TYPE, **PERIOD)
    assert [entry["employee"] for entry in found["items"]].count(None) == len(WRONG)
    exported = await auditor.get("/v1/entries/export", format="json", type=AccessLogged.TYPE, **PERIOD)
    assert len(exported["entries"]) == len(WRONG) + 3


async def test_a_period_needs_both_ends_and_no_more_looks_than_are_gone_through(auditor: Auditor, chain: Chain) -> None:
    answer = await auditor.client.get("/v1/unusual-access", params={"from": PERIOD["from"]})
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (400, ["/to"])
    backwards = await auditor.client.get("/v1/unusual-access", params={"from": PERIOD["to"], "to": PERIOD["from"]})
    assert (backwards.status_code, backwards.json()["errors"][0]["code"]) == (400, "ends-before-it-starts")
    for _ in range(101):
        await chain.look("fonds", [])
    answer = await auditor.client.get("/v1/unusual-access", params=PERIOD)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too-many")


@pytest.mark.parametrize("path", ["/v1/entries", "/v1/entries/export", "/v1/unusual-access"])
async def test_a_misspelt_filter_is_refused_and_not_passed_over(auditor: Auditor, path: str) -> None:
    asked = PERIOD | {"organization": "fonds"} | ({"format": "json"} if path.endswith("export") else {})
    answer = await auditor.client.get(path, params=asked)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["in"], error["code"]) == (400, "query", "extra-forbidden")
    assert "from, to" in error["message"]
    assert "organization" not in answer.text


async def test_what_could_not_be_logged_is_not_shown(auditor: Auditor, chain: Chain) -> None:
    await chain.look("fonds", [a_person()])
    auditor.log_answers = False
    answer = await auditor.client.get("/v1/unusual-access", params=PERIOD)
    assert answer.status_code == 503
    assert "findings" not in answer.json()
