"""Matching on a real broker and database: from a signal to help that ended, and what everybody is told and shown."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import (
    AccessLogged,
    Event,
    PersonErased,
    PersonMerged,
    ProcessingLogged,
    ReferralState,
    SignalRefused,
)

from services.chassis.mongo.aliases import Aliases
from services.chassis.pipeline.model import Record
from services.matching.domain.file import file_id
from tests.conftest import Infrastructure
from tests.integration.matching import (
    ASSEN,
    ELSEWHERE,
    HELP,
    HELPER,
    Matching,
    read,
    running,
)
from tests.integration.surroundings import Neighbour
from tests.unit.matching.made_up import choice, signal, withdrawal

# One service for all tests here: to join the group of consumers takes a second or two.
pytestmark = pytest.mark.asyncio(loop_scope="module")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matching(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matching]:
    async with running(stack_infra, tmp_path_factory.mktemp("matching")) as one:
        await one.fill_directory()
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def intake(stack_infra: Infrastructure) -> AsyncIterator[Neighbour]:
    async with Neighbour.speaking(stack_infra, "intake") as one:
        yield one


async def a_case(matching: Matching, intake: Neighbour, **fields: Any) -> tuple[str, str]:
    """A person and the case that a signal about that person opened."""
    person = str(uuid.uuid4())
    given = signal(person=person, **fields)
    await intake.publish(given, f"signal-{given.signal}")
    file = await matching.file(person)
    return person, file["cases"][-1]["id"]


def about(event: Event) -> str | None:
    return getattr(event, "person", None)


async def test_from_a_signal_to_help_that_ended(
    stack_infra: Infrastructure, matching: Matching, intake: Neighbour
) -> None:
    person, case = await a_case(matching, intake)
    professional = matching.token("professional", "gemeente-assen")
    partner = matching.token("partner", "maatjes-voorbeeld")

    proposals = await matching.ask(professional, "GET", f"/v1/cases/{case}/proposals")
    (proposal,) = proposals.json()["proposals"]
    assert proposal["service"] == "maatjes"
    assert all(rule["nl"] and rule["en"] and rule["met"] is not False for rule in proposal["rules"])

    order = {"case": case, "service": "maatjes"}
    made = await matching.ask(professional, "POST", "/v1/referrals", order, key="refer-1")
    assert made.status_code == 201, made.text
    referral = made.json()["referral"]
    assert made.headers["location"] == f"/v1/referrals/{referral}"
    assert (await matching.ask(professional, "POST", "/v1/referrals", order, key="refer-1")).json() == made.json()
    other = order | {"service": "other"}
    assert (await matching.ask(professional, "POST", "/v1/referrals", other, key="refer-1")).status_code == 409
    double = await matching.ask(professional, "POST", "/v1/referrals", order, key="refer-2")
    assert (double.status_code, double.json()["referral"]) == (409, referral)

    path = f"/v1/referrals/{referral}"
    shown = (await matching.ask(partner, "GET", path)).json()
    assert [each["action"] for each in shown["allowed"]] == ["accept", "decline", "waitlist"]
    assert (shown["case"], made.json()["case"]) == (None, case)
    for action, body in (("waitlist", {"reason": "capacity"}), ("accept", None), ("start", {})):
        answered = await matching.ask(partner, "POST", f"{path}/{action}", body)
        assert answered.status_code == 200, answered.text
        assert case not in answered.text
    again = await matching.ask(partner, "POST", f"{path}/accept")
    assert (again.status_code, again.json()["allowed"]) == (409, ["end"])
    no_outcome = await matching.ask(partner, "POST", f"{path}/end", {})
    assert no_outcome.status_code == 400
    assert no_outcome.json()["errors"][0]["pointer"] == "/outcome"
    ended = await matching.ask(partner, "POST", f"{path}/end", {"outcome": "completed"})
    assert (ended.json()["status"], ended.json()["version"]) == ("ended", 5)

    closed = await matching.ask(
        professional, "POST", f"/v1/cases/{case}/close", {"result": "Vervolghulp en/of verwijzing"}
    )
    assert closed.json()["status"] == "closed"
    assert (await matching.ask(professional, "POST", "/v1/referrals", order)).json()["type"].endswith("case-closed")

    told = await read(stack_infra, "cases", lambda e: about(e.data) == person, 8)
    assert [e.envelope.type.removeprefix("nl.hulpketen.").removesuffix(".v1") for e in told] == [
        "cases.opened",
        "referrals.proposed",
        "referrals.made",
        "referrals.waitlisted",
        "referrals.accepted",
        "help.started",
        "help.ended",
        "cases.closed",
    ]
    assert [e.envelope.streamseq for e in told] == list(range(1, 9))
    assert {e.envelope.stream for e in told} == {f"file-{person}"}
    versions = [e.data.version for e in told if isinstance(e.data, ReferralState)]
    assert versions == [1, 2, 3, 4, 5]
    assert person not in proposals.text + made.text + str(shown) + ended.text + closed.text


async def test_a_signal_that_was_refused_and_then_taken_is_matched_and_can_be_taken_back(
    matching: Matching, intake: Neighbour
) -> None:
    given = signal(person=str(uuid.uuid4()))
    stream = f"signal-{given.signal}"
    refused = SignalRefused(signal=given.signal, municipality=ASSEN, sender=given.sender, reasons=["sender-unknown"])
    for event in (refused, refused, given):
        await intake.publish(event, stream)
    (case,) = (await matching.file(given.person, lambda file: bool(file.get("cases"))))["cases"]
    assert case["status"] == "open"
    await intake.publish(withdrawal(given), stream)
    await matching.file(given.person, lambda file: "flagged" in file)


async def test_who_may_not_sees_nothing(matching: Matching, intake: Neighbour) -> None:
    _, case = await a_case(matching, intake)
    professional = matching.token("professional", "gemeente-assen")
    order = {"case": case, "service": "maatjes"}
    referral = (await matching.ask(professional, "POST", "/v1/referrals", order)).json()["referral"]
    stranger = matching.token("partner", "gkb-voorbeeld")
    elsewhere = matching.token("professional", "gemeente-elders", ELSEWHERE)
    receiver = matching.token("partner", "maatjes-voorbeeld")
    refusals = [
        (stranger, "GET", f"/v1/referrals/{referral}", None, 404),
        (stranger, "POST", f"/v1/referrals/{referral}/accept", None, 404),
        (elsewhere, "POST", f"/v1/referrals/{referral}/cancel", {"reason": "other"}, 404),
        (elsewhere, "GET", f"/v1/cases/{case}", None, 404),
        (elsewhere, "GET", f"/v1/cases/{case}/proposals", None, 404),
        (elsewhere, "POST", f"/v1/cases/{case}/close", {"result": "Inwoner is overleden"}, 404),
        (elsewhere, "POST", "/v1/referrals", order, 404),
        (elsewhere, "GET", f"/v1/cases?municipality={ASSEN}", None, 403),
        (receiver, "GET", f"/v1/cases/{case}", None, 403),
        (receiver, "POST", f"/v1/referrals/{referral}/cancel", {"reason": "other"}, 403),
        (professional, "POST", f"/v1/referrals/{referral}/accept", None, 403),
        (matching.token("sender", "woonborg-voorbeeld"), "GET", "/v1/services", None, 403),
        (professional, "PUT", "/v1/services/maatjes", HELP, 403),
        ({}, "GET", "/v1/cases", None, 401),
        (professional, "GET", f"/v1/cases/{uuid.uuid4()}", None, 404),
        (receiver, "POST", f"/v1/referrals/{uuid.uuid4()}/accept", None, 404),
        (receiver, "GET", f"/v1/referrals/{uuid.uuid4()}", None, 404),
    ]
    for who, method, path, body, status in refusals:
        response = await matching.ask(who, method, path, body)
        assert response.status_code == status, (method, path, response.text)
        assert response.headers["content-type"] == "application/problem+json"


async def test_bad_input_is_refused_and_not_repeated(matching: Matching, intake: Neighbour) -> None:
    _, case = await a_case(matching, intake)
    coordinator = matching.token("coordinator", "gemeente-assen")
    partner = matching.token("partner", "maatjes-voorbeeld")
    made = await matching.ask(coordinator, "POST", "/v1/referrals", {"case": case, "service": "maatjes"})
    decline = f"/v1/referrals/{made.json()['referral']}/decline"
    refusals: list[tuple[dict[str, str], str, str, Any, str]] = [
        (partner, "POST", decline, {"reason": "mevrouw Jansen"}, "/reason"),
        (partner, "POST", decline, {"reason": "other", "note": "mevrouw Jansen"}, "/note"),
        (coordinator, "POST", "/v1/referrals", {"case": "Jansen", "service": "Jansen!"}, "/case"),
        (coordinator, "POST", "/v1/referrals", {"case": case, "service": "jansen"}, "/service"),
        (coordinator, "POST", f"/v1/cases/{case}/close", {"result": "Jansen"}, "/result"),
        (coordinator, "PUT", "/v1/services/new", HELP | {"organisation": "jansen"}, "/organisation"),
        (coordinator, "PUT", "/v1/services/new", HELP | {"status": "Jansen", "kind": "Jansen!"}, "/status"),
        (coordinator, "PUT", "/v1/services/new", HELP | {"minimumAge": 18, "maximumAge": 4}, "/maximumAge"),
        (coordinator, "PUT", "/v1/organisations/new", HELPER | {"municipalities": []}, "/municipalities"),
    ]
    for who, method, path, body, pointer in refusals:
        response = await matching.ask(who, method, path, body)
        assert response.status_code == 400, response.text
        assert response.json()["errors"][0]["pointer"] == pointer
        assert "jansen" not in response.text.lower()
    ages = await matching.ask(coordinator, "PUT", "/v1/services/new", HELP | {"minimumAge": 118, "maximumAge": 104})
    assert ages.json()["errors"][0]["message"] == "Must not be below minimumAge"
    foreign = await matching.ask(coordinator, "PUT", "/v1/services/new", HELP | {"municipalities": [ASSEN, ELSEWHERE]})
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("case", "service", "status", "pointers"),
    [
        ("Jansen", "Jansen!", 400, ["/case", "/service"]),
        (UNKNOWN, "jansen", 404, ["/case", "/service"]),
        (UNKNOWN, "maatjes", 404, ["/case"]),
    ],
)
async def test_all_that_is_wrong_with_a_new_referral_is_named_at_once(
    matching: Matching, case: str, service: str, status: int, pointers: list[str]
) -> None:
    professional = matching.token("professional", "gemeente-assen")
    response = await matching.ask(professional, "POST", "/v1/referrals", {"case": case, "service": service})
    assert response.status_code == status
    assert [error["pointer"] for error in response.json()["errors"]] == pointers
    assert "jansen" not in response.text.lower()


async def test_a_list_is_in_the_processing_log_with_a_line_for_each_person(
    stack_infra: Infrastructure, matching: Matching, intake: Neighbour
) -> None:
    people = dict([await a_case(matching, intake, municipality="9911", crisis=n == 0) for n in range(3)])
    who = f"gemeente-{uuid.uuid4().hex[:8]}"
    professional = matching.token("professional", who, "9910", "9911")
    page = (await matching.ask(professional, "GET", "/v1/cases?perPage=2")).json()
    assert (page["total"], len(page["items"])) == (3, 2)
    rest = (await matching.ask(professional, "GET", "/v1/cases?perPage=2&page=2&municipality=9911")).json()
    listed = [item["case"] for item in page["items"] + rest["items"]]
    assert set(listed) == set(people.values())
    opened = [item["openedAt"] for item in page["items"] + rest["items"]]
    assert opened == sorted(opened, reverse=True)
    detail = (await matching.ask(professional, "GET", f"/v1/cases/{listed[0]}")).json()
    assert (len(detail["received"]), detail["referrals"], detail["otherCases"]) == (1, [], [])
    assert not set(people) & set(str((page, rest, detail)))

    lines = await read(stack_infra, "processing-log", lambda e: getattr(e.data, "organisation", "") == who, 8)
    logged = [line.data for line in lines if isinstance(line.data, ProcessingLogged)]
    named = sorted((line.name, line.subject is not None) for line in logged)
    assert named == [("list-cases", False), *[("list-cases", True)] * 3, ("read-case", True)]
    assert {line.subject for line in logged} == {None, *people}
    looked = [line.data for line in lines if isinstance(line.data, AccessLogged)]
    spans = {line.span_id for line in logged}
    whole = {(line.trace_id, line.span_id) for line in logged if line.parent_span_id not in spans}
    assert {(each.trace_id, each.span_id) for each in looked} == whole
    assert len({each.employee for each in looked}) == 1


async def test_lists_follow_status_and_flags(matching: Matching, intake: Neighbour) -> None:
    _, closed = await a_case(matching, intake, municipality="9912")
    person = str(uuid.uuid4())
    given = signal(person=person, municipality="9912")
    await intake.publish(given, f"signal-{given.signal}")
    await intake.publish(withdrawal(given), f"signal-{given.signal}")
    flagged = (await matching.file(person, lambda s: "flagged" in s))["cases"][-1]["id"]
    professional = matching.token("professional", "gemeente-elders", "9912")
    await matching.ask(professional, "POST", f"/v1/cases/{closed}/close", {"result": "Inwoner is overleden"})

    async def listed(query: str) -> list[str]:
        return [
            item["case"] for item in (await matching.ask(professional, "GET", f"/v1/cases?{query}")).json()["items"]
        ]

    assert await listed("status=closed") == [closed]
    assert await listed("") == [flagged]
    assert await listed("flagged=true") == [flagged]
    assert await listed("status=closed&flagged=true") == []


async def test_a_choice_makes_a_referral_that_the_municipality_may_cancel(
    matching: Matching, intake: Neighbour
) -> None:
    person = str(uuid.uuid4())
    given = choice(person=person)
    await intake.publish(given, f"choice-{given.test}")
    referral = (await matching.file(person))["referrals"][0]["referral"]
    professional = matching.token("professional", "gemeente-assen")
    cancelled = await matching.ask(
        professional, "POST", f"/v1/referrals/{referral}/cancel", {"reason": "withdrawn-by-resident"}
    )
    assert (cancelled.status_code, cancelled.json()["decidedBy"]) == (200, "professional")


async def test_an_erased_person_does_not_come_back_under_any_pseudonym(matching: Matching, intake: Neighbour) -> None:
    alias, alias_case = await a_case(matching, intake, municipality="9913")
    person, _ = await a_case(matching, intake, municipality="9913")
    await intake.publish(PersonMerged(person=alias, into=person), f"person-{alias}")
    await matching.file(alias, lambda s: "merged_into" in s)
    await intake.publish(PersonErased(person=person), f"person-{person}")
    await matching.file(person, lambda s: not s)
    aliases = Aliases(matching.service.database, matching.service.engine, file_id)
    assert await aliases.erase() == 1
    assert await aliases.erase() == 0
    for pseudonym in (person, alias):
        late = signal(person=pseudonym, municipality="9913")
        message = intake.message(late, f"signal-{late.signal}")
        record = Record(message.topic, 0, 0, message.key, message.value, tuple(message.headers))
        assert await matching.service.consumer.handle([record]) == []
    professional = matching.token("professional", "gemeente-elders", "9913")
    assert (await matching.ask(professional, "GET", f"/v1/cases/{alias_case}")).status_code == 404
    assert (await matching.ask(professional, "GET", "/v1/cases")).json()["total"] == 0
