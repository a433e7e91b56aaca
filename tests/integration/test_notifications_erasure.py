"""A person who is erased is in no list any more and does not come back, under any pseudonym; numbers stay whole."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from hulpketen_contracts import CaseUpdated, PersonErased, PersonMerged, ReferralAccepted

from services.chassis.mongo.aliases import Aliases
from services.chassis.pipeline.model import Record
from services.notifications.domain.file import file_id
from tests.conftest import Infrastructure
from tests.integration.notifications import Notifications, running, take
from tests.unit.notifications.events import case, referral


class Somebody:
    """A person with a case and a referral, whom no other test knows."""

    def __init__(self) -> None:
        self.person, self.case, self.referral = (str(uuid.uuid4()) for _ in range(3))
        self.file = f"file-{self.person}"

    async def arrive(self, service: Notifications) -> None:
        """Have matching tell of them."""
        about: dict[str, Any] = {"person": self.person, "case": self.case}
        await service.publish(case(**about), self.file)
        await service.publish(referral(**about, referral=self.referral), self.file)
        await service.until({"_id": self.file, "state.referrals.referral": self.referral})

    async def late(self, service: Notifications) -> None:
        """Have matching tell of them once more; it is taken in when this returns."""
        about: dict[str, Any] = {"person": self.person, "case": self.case, "version": 2}
        accepted = referral(ReferralAccepted, **about, referral=self.referral, status="accepted")
        messages = [service.message(event, self.file) for event in (case(CaseUpdated, **about), accepted)]
        records = [Record(m.topic, 0, 0, m.key, m.value, tuple(m.headers)) for m in messages]
        assert await service.service.consumer.handle(records) == []


async def test_an_erased_person_goes_under_every_pseudonym(stack_infra: Infrastructure, tmp_path: Path) -> None:
    alias, person, other = Somebody(), Somebody(), Somebody()
    async with running(stack_infra, tmp_path) as service:
        for name in ("gemeente-assen", "maatjes", "wijkteam"):
            await service.organisation(name)
        for each in (alias, person, other):
            await each.arrive(service)
        await service.publish(PersonMerged(person=alias.person, into=person.person), f"person-{alias.person}")
        await service.until({"_id": alias.file, "state.merged_into": person.person})
        await service.publish(PersonMerged(person=person.person, into=other.person), f"person-{person.person}")
        await service.publish(PersonErased(person=person.person), f"person-{person.person}")
        await service.until({"_id": person.file, "erased": {"$exists": True}})

        aliases = Aliases(service.service.database, service.service.engine, file_id)
        assert await aliases.erase() == 1
        assert await aliases.erase() == 0
        for each in (alias, person, other):
            await each.late(service)
        coordinator = service.token("coordinator", "gemeente-assen")
        for path in ("/v1/cases", "/v1/referrals"):
            items = (await service.http.get(path, headers=coordinator)).json()["items"]
            assert [item["case"] for item in items] == [other.case], path
        for gone in (alias, person):
            kept = await service.until({"_id": gone.file})
            assert kept["state"] is None
            partner = service.token("partner", "maatjes")
            assert (await service.http.get(f"/v1/referrals/{gone.referral}", headers=partner)).status_code == 404
        async with service.stream(service.token("partner", "maatjes"), "?after=0") as frames:
            lines = await take(frames, 4)
        assert [line.n for line in lines] == [1, 2, 3, 4]
