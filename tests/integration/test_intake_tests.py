"""The financial test and the choice after it: anonymous, and nobody can refer a neighbour."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import OrganisationChanged, ServiceChanged

from services.chassis.service import now
from services.intake.choosing import Choices
from services.intake.domain.choice import CodeRules
from services.intake.domain.looks import view
from services.intake.store import IntakeStore
from services.intake.vault import Vault
from tests.conftest import Infrastructure
from tests.integration.intake import Intake, published, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIGHT = {
    "bills": ["always"],
    "arrears": ["none"],
    "threat": ["no"],
    "bailiff": ["no"],
    "living": ["yes"],
    "change": ["no"],
    "overview": ["yes"],
    "support": ["alone"],
    "children": ["no"],
}
NEARBY = LIGHT | {"support": ["together"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def intake(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    async with running(stack_infra, tmp_path_factory.mktemp("intake"), code_attempts=3) as intake:
        for name, kind in (
            ("gemeente-assen", "municipality"),
            ("maatjes-voorbeeld", "volunteers"),
            ("energie-voorbeeld", "creditor"),
        ):
            organisation = {
                "organisation": name,
                "name": f"De {name}",
                "kind": kind,
                "municipalities": ["0106"],
                "partnerTypes": ["Energie"],
            }
            await intake.publish(OrganisationChanged.model_validate(organisation), f"organisation-{name}")
            await intake.until(f"organisation-{name}")
        for name, exit, status in (
            ("maatje", "lokale-vrijwilliger-of-professional", "active"),
            ("gesloten", "lokale-vrijwilliger-of-professional", "inactive"),
            ("tips", "zelfhulp", "active"),
        ):
            service = {
                "service": name,
                "organisation": "maatjes-voorbeeld",
                "name": f"Hulp {name}",
                "status": status,
                "municipalities": ["0106"],
                "kind": "volunteers",
                "exits": [exit],
            }
            await intake.publish(ServiceChanged.model_validate(service), f"service-{name}")
            await intake.until(f"service-{name}")
        yield intake


async def take(intake: Intake, answers: dict[str, list[str]], **headers: str) -> Any:
    body = {"questionnaire": "2026-1", "municipality": "0106", "answers": answers}
    return await intake.client.post("/v1/tests", json=body, headers=headers)


def contact(number: int, phone: str = "0611111111") -> dict[str, Any]:
    return {
        "name": "Anna Voorbeeld",
        "phone": phone,
        "birthDate": "1979-08-09",
        "postcode": "9405CA",
        "houseNumber": number,
    }


async def choose(intake: Intake, person: dict[str, Any], **changes: Any) -> str:
    """Take the test and choose; the path of the choice."""
    test = (await take(intake, NEARBY)).json()["test"]
    body = {"service": "maatje", "contact": person, "consent": True} | changes
    answer = await intake.client.post(f"/v1/tests/{test}/choice", json=body)
    assert (answer.status_code, answer.json()) == (202, {"test": test, "status": "waiting"}), answer.text
    return f"/v1/tests/{test}/choice"


async def verify(intake: Intake, path: str, code: str) -> Any:
    return await intake.client.post(f"{path}/verify", json={"code": code})


async def person_of(intake: Intake, path: str) -> str:
    return str((await intake.state(f"choice-{path.split('/')[3]}"))["person"])


async def test_the_questionnaire_is_open_and_in_two_languages(intake: Intake) -> None:
    answer = await intake.client.get("/v1/questionnaires/current")
    questions = answer.json()["questions"]
    assert {question["id"] for question in questions} == set(LIGHT)
    assert all(question["text"]["nl"] and question["text"]["en"] for question in questions)


async def test_the_test_answers_exit_reasons_and_help(intake: Intake, stack_infra: Infrastructure) -> None:
    body = (await take(intake, NEARBY)).json()
    assert body["exit"] == "lokale-vrijwilliger-of-professional"
    assert [reason["code"] for reason in body["reasons"]] == ["wants-help-nearby"]
    assert [service["service"] for service in body["services"]] == ["maatje"]
    assert (await take(intake, LIGHT)).json()["exit"] == "zelfhulp"
    urgent = (await take(intake, LIGHT | {"threat": ["eviction"]})).json()
    assert (urgent["exit"], urgent["urgent"]) == ("gemeentelijke-schuldhulpverlening", True)
    event = await published(stack_infra, "signals", lambda data: data.get("test") == body["test"])
    assert event["type"] == "nl.hulpketen.tests.completed.v1"
    assert "answers" not in str(await intake.state(f"test-{body['test']}"))


async def test_wrong_answers_are_named_all_at_once(intake: Intake) -> None:
    answer = await take(intake, {"bills": ["geheim"], "arrears": ["one", "few"], "extra": ["x"]})
    assert answer.status_code == 400
    found = {(error["pointer"], error["code"]) for error in answer.json()["errors"]}
    assert found >= {
        ("/answers", "unknown-question"),
        ("/answers/bills", "unknown-answer"),
        ("/answers/arrears", "one-answer"),
        ("/answers/threat", "missing"),
    }
    assert "geheim" not in answer.text


async def test_errors_of_form_and_of_content_come_together(intake: Intake) -> None:
    body = {
        "questionnaire": "1999-1",
        "municipality": "Assen",
        "extra": 1,
        "answers": {"bills": "always", "arrears": ["geheim"], "bailiff": ["no"] * 21, "living": [1], "change": []},
    }
    answer = await intake.client.post("/v1/tests", json=body)
    assert answer.status_code == 400
    missing = {(f"/answers/{name}", "missing") for name in ("change", "threat", "overview", "support", "children")}
    assert {(error["pointer"], error["code"]) for error in answer.json()["errors"]} == missing | {
        ("/questionnaire", "unknown-version"),
        ("/municipality", "string-pattern-mismatch"),
        ("/extra", "extra-forbidden"),
        ("/answers/bills", "list-type"),
        ("/answers/arrears", "unknown-answer"),
        ("/answers/bailiff", "too-long"),
        ("/answers/living/0", "string-type"),
    }
    others: tuple[Any, ...] = ([], {}, {"questionnaire": 1, "answers": 2}, None, {"answers": {"x": 1}})
    for wrong in others:
        assert (await intake.client.post("/v1/tests", json=wrong)).status_code == 400


async def test_all_that_is_wrong_with_a_choice_is_named_at_once(intake: Intake) -> None:
    test = (await take(intake, NEARBY)).json()["test"]
    body = {"contact": contact(19) | {"phone": None, "postcode": "0000AA"}, "consent": False}
    answer = await intake.client.post(f"/v1/tests/{test}/choice", json=body)
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/service",
        "/consent",
        "/contact",
        "/contact/postcode",
    }
    others: tuple[Any, ...] = ([], {"contact": []}, {"contact": {"phone": 1}})
    for wrong in others:
        assert (await intake.client.post(f"/v1/tests/{test}/choice", json=wrong)).status_code == 400


async def test_the_same_key_is_the_same_test(intake: Intake) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = await take(intake, NEARBY, **key), await take(intake, NEARBY, **key)
    assert first.json() == again.json()
    assert (await take(intake, LIGHT, **key)).status_code == 409


async def test_a_code_confirms_the_choice(intake: Intake, stack_infra: Infrastructure) -> None:
    path = await choose(intake, contact(1))
    message = intake.mailbox.messages[-1]
    assert (message["to"], message["channel"]) == ("0611111111", "sms")
    assert "maatje" not in message["text"].lower()
    wrong = await verify(intake, path, "000000" if intake.mailbox.code() != "000000" else "111111")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/code")
    assert (await verify(intake, path, intake.mailbox.code())).json()["status"] == "confirmed"
    person = await person_of(intake, path)
    event = await published(stack_infra, "signals", lambda data: data.get("person") == person)
    assert event["type"] == "nl.hulpketen.tests.choice-confirmed.v1"
    assert (event["service"], event["confirmedBy"]) == ("maatje", "resident")
    assert (await verify(intake, path, intake.mailbox.code())).status_code == 409


async def test_a_code_can_be_tried_a_few_times_and_a_new_one_asked_for(intake: Intake) -> None:
    person = contact(2)
    path = await choose(intake, person)
    first = intake.mailbox.code()
    for n in range(3):
        wrong = f"{(int(first) + n + 1) % 1_000_000:06d}"
        assert (await verify(intake, path, wrong)).status_code == 400
    assert (await verify(intake, path, first)).status_code == 409
    body = {"service": "maatje", "contact": person, "consent": True}
    assert (await intake.client.post(path, json=body)).status_code == 202
    assert (await verify(intake, path, intake.mailbox.code())).status_code == 200


async def test_messages_are_bounded(intake: Intake) -> None:
    path = await choose(intake, contact(3))
    before = len(intake.mailbox.messages)
    for n in range(6):
        body = {"service": "maatje", "contact": contact(3, f"06222222{n:02d}"), "consent": True}
        assert (await intake.client.post(path, json=body)).status_code == 202
    assert len(intake.mailbox.messages) - before == 2


async def test_a_gateway_that_is_away_is_told_and_tried_again(intake: Intake) -> None:
    test = (await take(intake, NEARBY)).json()["test"]
    body = {"service": "maatje", "contact": contact(4), "consent": True}
    headers = {"Idempotency-Key": "choice-4"}
    intake.mailbox.away = True
    answer = await intake.client.post(f"/v1/tests/{test}/choice", json=body, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    intake.mailbox.away = False
    answer = await intake.client.post(f"/v1/tests/{test}/choice", json=body, headers=headers)
    assert answer.status_code == 202
    assert (await verify(intake, f"/v1/tests/{test}/choice", intake.mailbox.code())).status_code == 200


async def known(intake: Intake, number: int, **changes: Any) -> str:
    """A person of whom a creditor sent a signal; the pseudonym."""
    client = {name: contact(number)[name] for name in ("birthDate", "postcode", "houseNumber")}
    body = {
        "reference": str(uuid.uuid4()),
        "municipality": "0106",
        "partnerType": "Energie",
        "client": client,
        "contact": {"phone": "0633333333"},
    }
    headers = intake.token("sender", "energie-voorbeeld")
    answer = await intake.client.post("/v1/signals", json=body | changes, headers=headers)
    return str((await intake.state(f"signal-{answer.json()['signal']}"))["person"])


async def test_a_code_proves_a_telephone_and_no_neighbour(intake: Intake) -> None:
    neighbour = await known(intake, 5)
    stranger = await choose(intake, contact(5, "0644444444"))
    await verify(intake, stranger, intake.mailbox.code())
    assert await person_of(intake, stranger) != neighbour
    again = await choose(intake, contact(5, "0644444444"))
    await verify(intake, again, intake.mailbox.code())
    assert await person_of(intake, again) == await person_of(intake, stranger)
    # A creditor can name any telephone as somebody's.
    named = await choose(intake, contact(5, "06 33333333"))
    await verify(intake, named, intake.mailbox.code())
    assert await person_of(intake, named) != neighbour
    # What the stranger filled in leads nobody anywhere.
    assert await known(intake, 5) == neighbour


async def test_what_a_professional_saw_proves_and_no_signal_overrules_it(intake: Intake) -> None:
    person = await known(intake, 16)
    path = await choose(intake, contact(16, "0644440016"))
    await intake.client.post(f"{path}/confirm", headers=intake.token("professional", "gemeente-assen"))
    assert await person_of(intake, path) == person
    assert await known(intake, 16, contact={"phone": "0655550016", "email": "a@example.org"}) == person
    vault = Vault(IntakeStore(intake.service.database), intake.service.keys, now, 7)
    opened = await vault.open(person)
    assert opened
    assert view("municipality", opened.values, ())["person"] | {"name": ""} == {
        **{name: contact(16)[name] for name in ("birthDate", "postcode", "houseNumber")},
        "name": "",
        "phone": "0644440016",
        "email": "a@example.org",
    }
    for phone, same in (("0655550016", False), ("0644440016", True)):
        path = await choose(intake, contact(16, phone) | {"email": f"{phone}@example.org"})
        await verify(intake, path, intake.mailbox.code())
        assert (await person_of(intake, path) == person) == same
    await known(intake, 16, contact={"email": "b@example.org"})
    opened = await vault.open(person)
    assert opened
    assert view("municipality", opened.values, ())["person"]["email"] == "0644440016@example.org"


async def test_a_professional_confirms(intake: Intake, stack_infra: Infrastructure) -> None:
    neighbour = await known(intake, 6)
    path = await choose(intake, contact(6))
    elsewhere = intake.token("professional", "gemeente-kettingdam", "9901")
    assert (await intake.client.post(f"{path}/confirm", headers=elsewhere)).status_code == 404
    assert (await intake.client.post(f"{path}/confirm")).status_code == 401
    here = intake.token("professional", "gemeente-assen")
    for _ in range(2):
        assert (await intake.client.post(f"{path}/confirm", headers=here)).json()["status"] == "confirmed"
    assert await person_of(intake, path) == neighbour
    event = await published(
        stack_infra, "signals", lambda data: data.get("person") == neighbour and "confirmedBy" in data
    )
    assert (event["confirmedBy"], event["confirmedByOrganisation"]) == ("professional", "gemeente-assen")


async def test_a_key_stands_for_one_request_of_a_choice(intake: Intake) -> None:
    key, here = {"Idempotency-Key": str(uuid.uuid4())}, intake.token("professional", "gemeente-assen")
    path = await choose(intake, contact(12))
    first = await intake.client.post(f"{path}/confirm", headers=here | key)
    again = await intake.client.post(f"{path}/confirm", headers=here | key)
    assert (first.status_code, again.json()) == (200, first.json())
    other = await intake.client.post(f"{path}/confirm", json={"by": "phone"}, headers=here | key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:problem-type:hulpketen:key-reused")


async def test_a_key_of_one_choice_is_not_good_for_another_that_was_made_since(intake: Intake) -> None:
    path = await choose(intake, contact(13))
    keys = [{"Idempotency-Key": str(uuid.uuid4())} for _ in range(2)]
    bodies = [
        {"service": "maatje", "contact": contact(13, phone), "consent": True} for phone in ("0611345678", "0612345678")
    ]
    for body, key in zip(bodies, keys, strict=True):
        assert (await intake.client.post(path, json=body, headers=key)).status_code == 202
    assert (await intake.client.post(path, json=bodies[1], headers=keys[0])).status_code == 409
    assert (await intake.client.post(path, json=bodies[1], headers=keys[1])).status_code == 202


def choices_later(intake: Intake, days: int) -> Choices:
    """The choices of this intake, so many days on."""
    store = IntakeStore(intake.service.database)
    return Choices(
        engine=intake.service.engine,
        vault=Vault(store, intake.service.keys, now, 7),
        store=store,
        looks=intake.service.looks,
        gateway=None,
        code_rules=CodeRules(timedelta(minutes=15), 3),
        keep_for=timedelta(days=30),
        clock=lambda: now() + timedelta(days=days),
    )


async def test_a_choice_that_nobody_confirms_is_forgotten(intake: Intake) -> None:
    path, confirmed = await choose(intake, contact(14)), await choose(intake, contact(15, "0688888888"))
    await verify(intake, confirmed, intake.mailbox.code())
    pseudonym, person = await person_of(intake, path), await person_of(intake, confirmed)
    vault = intake.service.database["persons_vault"]
    await choices_later(intake, 29).lapse()
    assert await vault.find_one({"_id": pseudonym})
    await choices_later(intake, 31).lapse()
    assert await vault.find_one({"_id": pseudonym}) is None
    assert await vault.find_one({"_id": person})
    state = await intake.state(f"choice-{path.split('/')[3]}")
    assert (state["status"], state["person"], state["digest"]) == ("lapsed", "", "")
    here = intake.token("professional", "gemeente-assen")
    assert (await intake.client.post(f"{path}/confirm", headers=here)).status_code == 404
    assert (await verify(intake, path, "123456")).status_code == 409
    body = {"service": "maatje", "contact": contact(14, "0699999999"), "consent": True}
    assert (await intake.client.post(path, json=body)).status_code == 202
    assert (await verify(intake, path, intake.mailbox.code())).status_code == 200


async def test_no_message_goes_to_who_must_not_be_reached(intake: Intake) -> None:
    await known(intake, 7, safeContact={"doNot": ["message"]})
    before = len(intake.mailbox.messages)
    by_signal = await choose(intake, contact(7))
    by_choice = await choose(intake, contact(8), safeContact={"secretAddress": True})
    assert len(intake.mailbox.messages) == before
    for path in (by_signal, by_choice):
        # As everybody who enters a wrong code: another answer would tell a stranger who has a rule.
        answer = await verify(intake, path, "123456")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "wrong-code")
        answer = await intake.client.post(f"{path}/confirm", headers=intake.token("professional", "gemeente-assen"))
        assert answer.status_code == 200


async def test_a_rule_set_later_holds_for_who_proved_a_telephone(intake: Intake) -> None:
    path = await choose(intake, contact(11, "0655555555"))
    await verify(intake, path, intake.mailbox.code())
    vault = Vault(IntakeStore(intake.service.database), intake.service.keys, now, 7)
    assert await vault.replace(await person_of(intake, path), "safe-contact", ["message"])
    before = len(intake.mailbox.messages)
    await choose(intake, contact(11, "0655555555"))
    assert len(intake.mailbox.messages) == before


async def test_a_code_cannot_be_guessed_by_test_upon_test(intake: Intake) -> None:
    before = len(intake.mailbox.messages)
    for n in range(11):
        path = await choose(intake, contact(20 + n, ("0677777777", "+31677777777", "0031 6 7777 7777")[n % 3]))
    assert len(intake.mailbox.messages) - before == 10
    # What was not sent cannot be entered, and nobody is told that it was not.
    choice = f"choice-{path.split('/')[3]}"
    assert (await intake.state(choice))["code"]["sent"]
    assert (await verify(intake, path, "123456")).json()["errors"][0]["code"] == "wrong-code"


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"service": "gesloten"}, 409, None),
        ({"service": "tips"}, 409, None),
        ({"consent": False}, 400, "/consent"),
        ({"contact": contact(9) | {"phone": None}}, 400, "/contact"),
        ({"contact": contact(9) | {"birthDate": "2999-01-01"}}, 400, "/contact/birthDate"),
        ({"contact": contact(9) | {"postcode": "0000AA"}}, 400, "/contact/postcode"),
    ],
)
async def test_choices_that_cannot_be_made(
    intake: Intake, changes: dict[str, Any], status: int, pointer: str | None
) -> None:
    test = (await take(intake, NEARBY)).json()["test"]
    body = {"service": "maatje", "contact": contact(9), "consent": True} | changes
    answer = await intake.client.post(f"/v1/tests/{test}/choice", json=body)
    assert answer.status_code == status
    if pointer:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await verify(intake, f"/v1/tests/{test}/choice", "123456")).status_code == 409
    assert (await intake.client.post(f"/v1/tests/{uuid.uuid4()}/choice", json=body)).status_code in (404, 400)


async def test_nothing_of_a_choice_lies_open(intake: Intake) -> None:
    await choose(intake, contact(10) | {"name": "Zoekwoord", "email": "zoek@example.org"})
    database = intake.service.database
    for collection in await database.list_collection_names():
        content = str(await database[collection].find().to_list(None))
        for value in ("Zoekwoord", "zoek@example.org", "0611111111", "9405CA", "1979-08-09"):
            assert value not in content, (collection, value)


async def test_nothing_of_an_idempotency_key_is_stored(intake: Intake) -> None:
    key = {"Idempotency-Key": "Anna.Sleutelwoord"}
    test = (await take(intake, NEARBY, **key)).json()["test"]
    body = {"service": "maatje", "contact": contact(18), "consent": True}
    assert (await intake.client.post(f"/v1/tests/{test}/choice", json=body, headers=key)).status_code == 202
    here = intake.token("professional", "gemeente-assen") | key
    assert (await intake.client.post(f"/v1/tests/{test}/choice/confirm", headers=here)).status_code == 200
    assert (await take(intake, NEARBY, **key)).json()["test"] == test
    database = intake.service.database
    stored = [str(await database[name].find().to_list(None)) for name in await database.list_collection_names()]
    assert any(test in each for each in stored)
    assert not any("Sleutelwoord" in each for each in stored)


async def test_the_page_is_open_and_uses_its_own_files_alone(intake: Intake) -> None:
    page = await intake.client.get("/test")
    assert page.status_code == 200
    assert "Hoe gaat het met uw geld?" in page.text
    assert "De gemeente-assen" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("test.css", "test.js"):
        assert (await intake.client.get(f"/test/{name}")).status_code == 200
