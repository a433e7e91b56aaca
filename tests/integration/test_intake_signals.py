"""Signals over HTTP: taken once, refused by rule, and whom they are about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import OrganisationChanged

from tests.conftest import Infrastructure
from tests.integration.intake import BSNS, Intake, published, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def intake(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    folder = tmp_path_factory.mktemp("intake")
    async with running(stack_infra, folder, legal_bases="0106:School=Verordening 2026") as intake:
        await know(intake)
        yield intake


async def know(intake: Intake) -> None:
    """The directory tells of a few organisations."""
    kinds: dict[str, tuple[str, list[str], list[str]]] = {
        "energie-voorbeeld": ("creditor", ["Energie"], ["0106", "9901"]),
        "school-voorbeeld": ("school", ["School"], ["0106", "9901"]),
        "gemeente-assen": ("municipality", [], ["0106"]),
        "gemeente-kettingdam": ("municipality", [], ["9901"]),
        "maatjes-voorbeeld": ("volunteers", [], ["0106"]),
    }
    for name, (kind, types, municipalities) in kinds.items():
        event = OrganisationChanged.model_validate(
            {"organisation": name, "name": name, "kind": kind, "municipalities": municipalities, "partnerTypes": types}
        )
        await intake.publish(event, f"organisation-{name}")
        await intake.until(f"organisation-{name}")


def signal(reference: str, client: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "municipality": "0106",
        "partnerType": "Energie",
        "amount": 310,
        "arisenOn": "2026-01-05",
        "signalledOn": "2026-02-10",
        "client": client,
    } | changes


async def post(intake: Intake, body: Any, organisation: str = "energie-voorbeeld", *municipalities: str) -> Any:
    headers = intake.token("sender", organisation, *municipalities)
    return await intake.client.post("/v1/signals", json=body, headers=headers)


async def test_a_signal_is_taken_once_and_published(intake: Intake, stack_infra: Infrastructure) -> None:
    body = signal("klant-1", {"bsn": BSNS[0]}, contact={"name": "A. Voorbeeld", "phone": "06-12345678"})
    first, again = await post(intake, body), await post(intake, body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == again.headers["location"] == f"/v1/signals/{first.json()['signal']}"
    event = await published(stack_infra, "signals", lambda data: data.get("signal") == first.json()["signal"])
    assert event["type"] == "nl.hulpketen.signals.received.v1"
    assert event["amount"] == 310
    assert BSNS[0] not in json.dumps(event)
    document = await intake.service.database["aggregates"].find_one({"_id": f"signal-{first.json()['signal']}"})
    assert document
    assert document["seq"] == 1


async def test_another_content_under_the_same_reference_is_a_conflict(intake: Intake) -> None:
    assert (await post(intake, signal("klant-2", {"bsn": BSNS[0]}))).status_code == 202
    answer = await post(intake, signal("klant-2", {"bsn": BSNS[0]}, amount=311))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:problem-type:hulpketen:reference-reused"


async def test_the_sender_alone_sees_what_became_of_it(intake: Intake) -> None:
    location = (await post(intake, signal("klant-3", {"bsn": BSNS[1]}))).headers["location"]
    own = await intake.client.get(location, headers=intake.token("sender", "energie-voorbeeld"))
    assert own.json() | {"receivedAt": ""} == {
        "signal": location.rpartition("/")[2],
        "reference": "klant-3",
        "municipality": "0106",
        "partnerType": "Energie",
        "signalledOn": "2026-02-10",
        "status": "received",
        "receivedAt": "",
    }
    other = await intake.client.get(location, headers=intake.token("sender", "school-voorbeeld"))
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("organisation", "changes", "codes"),
    [
        ("onbekend-voorbeeld", {}, ["unknown-sender"]),
        ("energie-voorbeeld", {"partnerType": "Huur"}, ["partner-type-not-allowed"]),
        ("energie-voorbeeld", {"municipality": "0344"}, ["municipality-not-allowed"]),
        ("energie-voorbeeld", {"municipality": "9901"}, ["municipality-not-allowed"]),
        ("energie-voorbeeld", {"partnerType": "DUO"}, ["partner-type-not-allowed", "no-legal-basis"]),
    ],
)
async def test_what_the_rules_refuse(
    intake: Intake, stack_infra: Infrastructure, organisation: str, changes: dict[str, Any], codes: list[str]
) -> None:
    body = signal(f"geweigerd-{organisation}-{sorted(changes.items())}", {"bsn": BSNS[0]}, **changes)
    answer = await post(intake, body, organisation)
    assert answer.status_code == 403
    assert [error["code"] for error in answer.json()["errors"]] == codes
    event = await published(
        stack_infra, "signals", lambda data: data.get("reasons") == codes and data["sender"] == organisation
    )
    assert event["type"] == "nl.hulpketen.signals.refused.v1"


async def test_a_municipality_sets_its_own_basis(intake: Intake) -> None:
    allowed = await post(intake, signal("leerling-1", {"bsn": BSNS[0]}, partnerType="School"), "school-voorbeeld")
    elsewhere = signal("leerling-2", {"bsn": BSNS[0]}, partnerType="School", municipality="9901")
    refused = await post(intake, elsewhere, "school-voorbeeld", "0106", "9901")
    assert allowed.status_code == 202
    assert [error["code"] for error in refused.json()["errors"]] == ["no-legal-basis"]


async def test_what_was_refused_can_be_taken_later(intake: Intake) -> None:
    body = signal("later-1", {"bsn": BSNS[0]}, municipality="9901")
    assert (await post(intake, body)).status_code == 403
    assert (await post(intake, body, "energie-voorbeeld", "9901")).status_code == 202


async def test_all_errors_at_once_and_nothing_repeated(intake: Intake) -> None:
    body = signal(
        "fout-1",
        {"bsn": "111111111"},
        amount=-5,
        arisenOn="2999-01-01",
        contact={"email": "geen-adres", "name": "Jan\0Jansen"},
        colour="geheim-woord",
    )
    answer = await post(intake, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["pointer"] for error in answer.json()["errors"]} >= {"/contact/name"}
    body["contact"]["name"] = "Jan"
    answer = await post(intake, body)
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/client/bsn", "/amount", "/arisenOn", "/contact/email", "/colour"}
    for value in ("111111111", "2999", "geen-adres", "geheim-woord"):
        assert value not in answer.text


async def test_a_signal_is_withdrawn(intake: Intake, stack_infra: Infrastructure) -> None:
    location = (await post(intake, signal("terug-1", {"bsn": BSNS[1]}))).headers["location"]
    headers = intake.token("sender", "energie-voorbeeld")
    for _ in range(2):
        answer = await intake.client.post(f"{location}/withdraw", json={"reason": "paid"}, headers=headers)
        assert answer.json()["status"] == "withdrawn"
    signal_id = location.rpartition("/")[2]
    event = await published(stack_infra, "signals", lambda data: data.get("signal") == signal_id and "reason" in data)
    assert event["reason"] == "paid"
    refused = await intake.client.post(f"{location}/withdraw", json={"reason": "zomaar"}, headers=headers)
    assert refused.status_code == 400


async def person_of(intake: Intake, answer: Any) -> tuple[str, str]:
    state = await intake.state(f"signal-{answer.json()['signal']}")
    return state["person"], state["subjectKind"]


async def test_what_leads_to_the_same_person(intake: Intake) -> None:
    home = {"postcode": "9401 aa", "houseNumber": 7}
    both = await post(intake, signal("wie-1", home | {"birthDate": "1980-02-03", "surname": "D'Hondt"}))
    name = await post(intake, signal("wie-2", home | {"surname": "d hondt"}))
    born = await post(intake, signal("wie-3", {"postcode": "9401AA", "houseNumber": 7, "birthDate": "1980-02-03"}))
    child = await post(intake, signal("wie-4", home | {"birthDate": "2001-05-06", "surname": "D'Hondt"}))
    alone = await post(intake, signal("wie-5", home))
    assert await person_of(intake, both) == await person_of(intake, name) == await person_of(intake, born)
    assert (await person_of(intake, child))[0] != (await person_of(intake, both))[0]
    assert (await person_of(intake, alone))[1] == "address"
    assert (await person_of(intake, alone))[0] != (await person_of(intake, both))[0]


async def test_at_the_same_time_it_is_still_one_person(intake: Intake) -> None:
    home = {"postcode": "9401AB", "houseNumber": 8, "birthDate": "1975-01-01", "surname": "Gelijk"}
    answers = await asyncio.gather(*(post(intake, signal(f"race-{n}", home)) for n in range(12)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({(await person_of(intake, answer))[0] for answer in answers}) == 1


async def test_a_human_decides_a_conflict(intake: Intake, stack_infra: Infrastructure) -> None:
    home = {"postcode": "9402AC", "houseNumber": 9}
    first = await post(intake, signal("conflict-1", home | {"birthDate": "1960-01-01"}))
    second = await post(intake, signal("conflict-2", home | {"surname": "Tweede"}))
    third = await post(intake, signal("conflict-3", home | {"birthDate": "1960-01-01", "surname": "Tweede"}))
    assert third.status_code == 202
    name = third.json()["signal"]
    assert (await intake.state(f"signal-{name}"))["status"] == "identity-conflict"
    document = await intake.service.database["aggregates"].find_one({"_id": f"signal-{name}"})
    assert document
    assert document["seq"] == 0
    shown = await intake.client.get(third.headers["location"], headers=intake.token("sender", "energie-voorbeeld"))
    assert shown.json()["status"] == "received"

    elsewhere = intake.token("professional", "gemeente-kettingdam", "9901")
    assert (await intake.client.get("/v1/identity-conflicts", headers=elsewhere)).json() == {"items": []}
    path = f"/v1/identity-conflicts/{name}/decision"
    assert (await intake.client.post(path, json={"person": "first"}, headers=elsewhere)).status_code == 404

    here = intake.token("professional", "gemeente-assen")
    (item,) = (await intake.client.get("/v1/identity-conflicts", headers=here)).json()["items"]
    assert item["record"]["person"]["surname"] == "Tweede"
    assert [each["person"] for each in item["candidates"]]
    assert (await intake.client.post(path, json={"person": "third"}, headers=here)).status_code == 400
    for _ in range(2):
        assert (await intake.client.post(path, json={"person": "second"}, headers=here)).status_code == 200
    assert (await intake.client.post(path, json={"person": "first"}, headers=here)).status_code == 409
    assert (await person_of(intake, third))[0] == (await person_of(intake, second))[0]
    event = await published(stack_infra, "signals", lambda data: data.get("signal") == name)
    assert event["person"] == (await person_of(intake, second))[0]
    # From now on that combination leads to the person that was decided.
    fourth = await post(intake, signal("conflict-4", home | {"birthDate": "1960-01-01", "surname": "Tweede"}))
    assert (await person_of(intake, fourth))[0] == (await person_of(intake, second))[0]
    assert (await person_of(intake, first))[0] != (await person_of(intake, second))[0]


async def test_nothing_personal_lies_open(intake: Intake) -> None:
    client = {"postcode": "9403AD", "houseNumber": 10, "birthDate": "1955-12-31", "surname": "Zoekwoord"}
    await post(intake, signal("KLANTNUMMER-77", client, contact={"email": "zoek@example.org"}))
    database = intake.service.database
    for collection in await database.list_collection_names():
        content = str(await database[collection].find().to_list(None))
        for value in ("Zoekwoord", "zoekwoord", "KLANTNUMMER", "1955-12-31", "9403AD", "zoek@example.org", *BSNS):
            assert value not in content, (collection, value)
