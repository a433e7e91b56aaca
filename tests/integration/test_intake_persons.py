"""Who may look at a person, what they see, and that the look is logged first; safe contact; households."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import CaseOpened, OrganisationChanged, ReferralDeclined, ReferralMade

from services.chassis.service import now
from tests.conftest import Infrastructure
from tests.integration.intake import BSNS, Intake, published, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTACT = {"name": "A. Voorbeeld", "phone": "0612345678", "email": "a@example.org"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def intake(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    async with running(stack_infra, tmp_path_factory.mktemp("intake")) as intake:
        for name, kind, municipality in (
            ("energie-voorbeeld", "creditor", "0106"),
            ("gemeente-assen", "municipality", "0106"),
            ("gemeente-kettingdam", "municipality", "9901"),
            ("gkb-voorbeeld", "debt-counselling", "0106"),
            ("maatjes-voorbeeld", "volunteers", "0106"),
            ("fikks-voorbeeld", "digital", "0106"),
        ):
            event = OrganisationChanged.model_validate(
                {
                    "organisation": name,
                    "name": name,
                    "kind": kind,
                    "municipalities": [municipality],
                    "partnerTypes": ["Energie"] if kind == "creditor" else [],
                }
            )
            await intake.publish(event, f"organisation-{name}")
            await intake.until(f"organisation-{name}")
        yield intake


class Referred:
    """A person with a case and a referral, as matching would have made them."""

    def __init__(self, intake: Intake, person: str, subject_kind: str) -> None:
        self.intake = intake
        self.person = person
        self.subject_kind = subject_kind
        self.case, self.referral = str(uuid.uuid4()), str(uuid.uuid4())

    async def open_case(self) -> None:
        await self._say(
            CaseOpened.model_validate(
                {
                    "case": self.case,
                    "person": self.person,
                    "subjectKind": self.subject_kind,
                    "municipality": "0106",
                    "version": 1,
                    "status": "open",
                    "kind": "single",
                    "crisis": False,
                    "repeated": False,
                    "signals": 1,
                    "partnerTypes": ["Energie"],
                    "openedAt": now(),
                }
            ),
            self.case,
        )

    async def refer(self, to: str) -> None:
        await self._say(ReferralMade.model_validate(self._referral(to, "made", 1)), self.referral)

    async def decline(self, to: str) -> None:
        event = ReferralDeclined.model_validate(self._referral(to, "declined", 2) | {"reason": "capacity"})
        await self.intake.publish(event, f"file-{self.person}")
        await self.intake.until(
            f"file-{self.person}", lambda state: state["entries"][self.referral]["status"] == "declined"
        )

    async def look(self, organisation: str, *, kind: str = "referrals", role: str = "partner", at: str = "0106") -> Any:
        name = self.referral if kind == "referrals" else self.case
        headers = self.intake.token(role, organisation, at)
        return await self.intake.client.get(f"/v1/{kind}/{name}/person", headers=headers)

    async def release(self, organisation: str, role: str = "professional", at: str = "0106", **body: Any) -> Any:
        path = f"/v1/referrals/{self.referral}/person/release"
        headers = self.intake.token(role, organisation, at)
        return await self.intake.client.post(path, json={"reason": "safety-checked"} | body, headers=headers)

    async def _say(self, event: CaseOpened | ReferralMade, name: str) -> None:
        await self.intake.publish(event, f"file-{self.person}")
        await self.intake.until(f"file-{self.person}", lambda state: name in state["entries"])

    def _referral(self, to: str, status: str, version: int) -> dict[str, Any]:
        return {
            "referral": self.referral,
            "case": self.case,
            "person": self.person,
            "municipality": "0106",
            "service": "hulp",
            "fromOrganisation": "gemeente-assen",
            "toOrganisation": to,
            "status": status,
            "version": version,
            "decidedBy": "professional",
            "changedAt": now(),
        }


async def a_person(intake: Intake, client: dict[str, Any], **changes: Any) -> Referred:
    body = {
        "reference": str(uuid.uuid4()),
        "municipality": "0106",
        "partnerType": "Energie",
        "client": client,
        "contact": CONTACT,
    } | changes
    answer = await intake.client.post("/v1/signals", json=body, headers=intake.token("sender", "energie-voorbeeld"))
    assert answer.status_code == 202, answer.text
    state = await intake.state(f"signal-{answer.json()['signal']}")
    referred = Referred(intake, state["person"], state["subjectKind"])
    await referred.open_case()
    return referred


def home(number: int) -> dict[str, Any]:
    return {"postcode": "9404BA", "houseNumber": number, "birthDate": "1988-07-09", "surname": f"Naam {number}"}


async def test_each_role_sees_its_own_fields_and_the_look_is_logged(
    intake: Intake, stack_infra: Infrastructure
) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for organisation in ("gkb-voorbeeld", "maatjes-voorbeeld", "fikks-voorbeeld"):
        referred = await a_person(intake, {"bsn": BSNS[len(seen)]})
        await referred.refer(organisation)
        answer = await referred.look(organisation)
        assert answer.status_code == 200
        seen[organisation] = answer.json()["person"]
        line = await published(
            stack_infra,
            "processing-log",
            lambda data, referred=referred: data.get("subject") == referred.person,  # type: ignore[misc]
        )
        assert (line["organisation"], line["activity"]) == (organisation, "look-at-person")
    assert seen["gkb-voorbeeld"] == {"bsn": BSNS[0]} | CONTACT
    assert seen["maatjes-voorbeeld"] == CONTACT
    assert seen["fikks-voorbeeld"] == CONTACT


async def test_only_the_receiver_sees_it_and_only_while_it_is_open(intake: Intake) -> None:
    referred = await a_person(intake, home(1))
    await referred.refer("maatjes-voorbeeld")
    assert (await referred.look("maatjes-voorbeeld")).status_code == 200
    assert (await referred.look("gkb-voorbeeld")).status_code == 404
    assert (await referred.look("energie-voorbeeld")).status_code == 404
    assert (await referred.look("onbekend-voorbeeld")).status_code == 404
    assert (await referred.look("maatjes-voorbeeld", kind="cases")).status_code == 404
    await referred.decline("maatjes-voorbeeld")
    assert (await referred.look("maatjes-voorbeeld")).status_code == 404
    assert (await referred.look("gemeente-assen")).status_code == 200


async def test_professionals_see_their_own_municipality(intake: Intake) -> None:
    referred = await a_person(intake, home(2))
    answer = await referred.look("gemeente-assen", kind="cases", role="professional")
    assert answer.json() == {
        "person": {"postcode": "9404BA", "houseNumber": 2, "birthDate": "1988-07-09", "surname": "Naam 2"} | CONTACT,
        "safeContact": {"restricted": False, "rules": []},
    }
    assert (await referred.look("gemeente-kettingdam", kind="cases", at="9901")).status_code == 404
    # The directory knows which municipalities an organisation has: a token cannot widen that.
    assert (await referred.look("gemeente-kettingdam", kind="cases", at="0106")).status_code == 404
    assert (await referred.look("gemeente-assen", kind="cases", role="sender")).status_code == 403


async def test_a_secret_address_leaves_only_on_a_professionals_word(intake: Intake) -> None:
    referred = await a_person(intake, home(3), safeContact={"secretAddress": True, "doNot": ["letter"]})
    await referred.refer("maatjes-voorbeeld")
    for organisation in ("maatjes-voorbeeld", "gemeente-assen"):
        answer = await referred.look(organisation)
        assert answer.json()["withheld"] == ["email", "houseNumber", "phone", "postcode"]
        assert answer.json()["safeContact"] == {"restricted": True, "rules": ["letter", "secret-address"]}
        for value in ("9404BA", CONTACT["phone"], CONTACT["email"]):
            assert value not in answer.text
    assert (await referred.release("maatjes-voorbeeld", "partner")).status_code == 403
    assert (await referred.release("maatjes-voorbeeld")).status_code == 403
    assert (await referred.release("gemeente-kettingdam", at="9901")).status_code == 404
    assert (await referred.release("gemeente-assen", fields=["phone"])).json() == {"released": ["phone"]}
    answer = await referred.look("maatjes-voorbeeld")
    assert answer.json()["person"]["phone"] == CONTACT["phone"]
    assert answer.json()["withheld"] == ["email", "houseNumber", "postcode"]


async def test_a_release_does_not_outlive_the_rule_that_it_was_given_under(intake: Intake) -> None:
    referred = await a_person(intake, home(4))
    await referred.refer("gkb-voorbeeld")
    assert (await referred.look("gkb-voorbeeld")).json()["person"]["phone"] == CONTACT["phone"]
    path = f"/v1/referrals/{referred.referral}/person/safe-contact"
    headers = intake.token("professional", "gemeente-assen")

    async def rule(**body: Any) -> None:
        answer = await intake.client.put(path, json=body, headers=headers)
        assert answer.status_code == 200

    await rule(doNot=["call"])
    assert "phone" not in (await referred.look("gkb-voorbeeld")).json()["person"]
    await referred.release("gemeente-assen")
    assert (await referred.look("gkb-voorbeeld")).json()["person"]["phone"] == CONTACT["phone"]
    await rule(doNot=["call", "visit"], secretAddress=True)
    assert "phone" not in (await referred.look("gkb-voorbeeld")).json()["person"]
    await rule()
    assert (await referred.look("gkb-voorbeeld")).json()["person"]["phone"] == CONTACT["phone"]
    partner = intake.token("professional", "gkb-voorbeeld")
    assert (await intake.client.put(path, json={}, headers=partner)).status_code == 403


async def test_a_release_does_not_hold_for_an_address_that_came_later(intake: Intake) -> None:
    secret = {"safeContact": {"secretAddress": True}}
    referred = await a_person(intake, home(12), **secret)
    await referred.refer("gkb-voorbeeld")
    await referred.release("gemeente-assen")
    assert (await referred.look("gkb-voorbeeld")).json()["person"]["phone"] == CONTACT["phone"]
    again = await a_person(intake, home(12), contact={"phone": "0699999999"}, **secret)
    assert again.person == referred.person
    answer = await referred.look("gkb-voorbeeld")
    assert "0699999999" not in answer.text
    assert answer.json()["withheld"] == ["email", "houseNumber", "phone", "postcode"]


async def test_a_later_signal_cannot_lift_a_rule(intake: Intake) -> None:
    referred = await a_person(intake, home(5), safeContact={"secretAddress": True})
    body = {"reference": "again", "municipality": "0106", "partnerType": "Energie", "client": home(5)}
    headers = intake.token("sender", "energie-voorbeeld")
    assert (await intake.client.post("/v1/signals", json=body, headers=headers)).status_code == 202
    answer = await referred.look("gemeente-assen", kind="cases")
    assert answer.json()["safeContact"]["rules"] == ["secret-address"]


async def test_who_live_together_is_a_professionals_decision(intake: Intake) -> None:
    parent, child = await a_person(intake, home(6)), await a_person(intake, home(7))
    address = await a_person(intake, {"postcode": "9404BA", "houseNumber": 8})
    headers = intake.token("professional", "gemeente-assen") | {"Idempotency-Key": "household-1"}

    def body(*members: tuple[Referred, str]) -> dict[str, Any]:
        listed = [{"case": member.case, "relation": relation} for member, relation in members]
        return {"municipality": "0106", "members": listed}

    family = body((parent, "parent"), (child, "child"))
    first = await intake.client.post("/v1/households", json=family, headers=headers)
    again = await intake.client.post("/v1/households", json=family, headers=headers)
    assert (first.status_code, first.json()) == (201, again.json())
    assert (await intake.client.get(first.headers["location"], headers=headers)).json()["members"] == family["members"]
    other = await intake.client.post("/v1/households", json=body((parent, "parent"), (child, "other")), headers=headers)
    assert other.status_code == 409
    del headers["Idempotency-Key"]
    wrong = await intake.client.post(
        "/v1/households", json=body((parent, "parent"), (parent, "child"), (address, "child")), headers=headers
    )
    assert [(e["pointer"], e["code"]) for e in wrong.json()["errors"]] == [
        ("/members/1/case", "same-person"),
        ("/members/2/case", "address-alone"),
    ]
    partner = intake.token("professional", "gkb-voorbeeld")
    refused = await intake.client.post("/v1/households", json=family, headers=partner)
    assert refused.status_code == 404
