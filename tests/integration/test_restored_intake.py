"""Intake, restored from a backup: it knows its signals again, and a second delivery of them brings the persons back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from hulpketen_contracts import OrganisationChanged

from services.chassis.service import Service
from services.intake.main import build
from services.intake.settings import Settings
from tests.conftest import Infrastructure
from tests.integration.backups import Backup
from tests.integration.intake import BSNS, Intake, Mailbox
from tests.integration.surroundings import Neighbour, ready, sections
from tests.unit.chassis.issuer import TestIssuer

DATABASE = "restored_intake"


@asynccontextmanager
async def running(infrastructure: Infrastructure, folder: Path, matching: Neighbour) -> AsyncIterator[Intake]:
    issuer = TestIssuer()
    given = sections(infrastructure, folder, "intake", DATABASE) | {"intake": {"answer_step_ms": 0}}
    app = build(Settings.model_validate(given), httpx.MockTransport(issuer.handle))
    service: Service = app.state.runtime
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://intake") as client,
    ):
        await ready(service)
        yield Intake(client, service, issuer, Mailbox(), matching)


def a_signal(reference: str, bsn: str) -> dict[str, Any]:
    client, contact = {"bsn": bsn}, {"name": "D. Verzonnen", "phone": "0612345670"}
    given = {"reference": reference, "municipality": "0106", "partnerType": "Huur", "amount": 900}
    return given | {"client": client, "contact": contact}


async def send(intake: Intake, reference: str, bsn: str) -> str:
    who = intake.token("sender", "woonborg")
    answer = await intake.client.post("/v1/signals", json=a_signal(reference, bsn), headers=who)
    assert answer.is_success, answer.text
    return str(answer.json()["signal"])


async def published(intake: Intake) -> None:
    async with asyncio.timeout(20):
        while await intake.service.store.waiting():
            await asyncio.sleep(0.05)


async def test_what_the_vault_lost_comes_back_with_the_same_delivery(
    infrastructure: Infrastructure, tmp_path: Path
) -> None:
    backup = Backup(infrastructure, tmp_path, "intake", DATABASE)
    woonborg = OrganisationChanged(
        organisation="woonborg", name="Woonborg (verzonnen)", kind="creditor", municipalities=["0106"],
        partner_types=["Huur"],
    )  # fmt: skip
    async with Neighbour.speaking(infrastructure, "matching") as matching:
        async with running(infrastructure, tmp_path, matching) as intake:
            await matching.publish(woonborg, "organisation-woonborg")
            await intake.until("organisation-woonborg")
            old = await send(intake, "huur-1", BSNS[0])
            await published(intake)
            await backup.take()
            withdrawn = {"reason": "paid"}
            sender = intake.token("sender", "woonborg")
            await intake.client.post(f"/v1/signals/{old}/withdraw", json=withdrawn, headers=sender)
            new = await send(intake, "huur-2", BSNS[1])
            await published(intake)
            person = (await intake.state(f"signal-{new}"))["person"]

        await backup.restore()
        async with running(infrastructure, tmp_path, matching) as intake:
            assert (await intake.state(f"signal-{old}"))["status"] == "withdrawn"
            sender = intake.token("sender", "woonborg")
            shown = (await intake.client.get(f"/v1/signals/{new}", headers=sender)).json()
            assert (shown["status"], shown["partnerType"]) == ("received", "Huur")
            vault = intake.service.database["persons_vault"]
            assert await vault.count_documents({"_id": person}) == 0  # truly lost: no event has it

            assert await send(intake, "huur-2", BSNS[1]) == new
            assert await vault.count_documents({"_id": person}) == 1
            shown = (await intake.client.get(f"/v1/signals/{new}", headers=sender)).json()
            assert shown["reference"] == "huur-2"
            document = await intake.service.database["aggregates"].find_one({"_id": f"signal-{new}"})
            assert document
            assert document["seq"] == 1  # nobody is told of it a second time
            third = await send(intake, "huur-3", BSNS[1])
            assert (await intake.state(f"signal-{third}"))["person"] == person
            other = await intake.client.post(
                "/v1/signals", json=a_signal("huur-2", BSNS[1]) | {"amount": 5}, headers=sender
            )
            assert other.status_code == 409
