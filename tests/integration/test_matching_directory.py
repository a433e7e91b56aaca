"""The directory of help: searched, changed, told to others, and the same in every process."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from hulpketen_contracts import OrganisationChanged, ServiceChanged

from services.chassis.pipeline.model import Command
from services.matching.domain.entries import entry_id, put
from services.matching.snapshot import Snapshot
from services.matching.store import MatchingStore
from tests.conftest import Infrastructure
from tests.integration.matching import ASSEN, ELSEWHERE, HELP, HELPER, Matching, read, running


async def test_the_directory_is_searched_and_told(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with running(stack_infra, tmp_path) as matching:
        coordinator = matching.token("coordinator", "gemeente-assen", ASSEN, ELSEWHERE)
        partner = matching.token("partner", "anybody")
        helper, name = f"helper-{uuid.uuid4().hex[:8]}", f"service-{uuid.uuid4().hex[:8]}"
        wide = HELPER | {"municipalities": [ASSEN, ELSEWHERE], "kafka": True}
        assert (await matching.ask(coordinator, "PUT", f"/v1/organisations/{helper}", wide)).json()["kafka"] is True
        more = HELP | {"organisation": helper, "municipalities": [ASSEN, ELSEWHERE], "minimumAge": 18}
        income = {"rule": "income", "value": 120, "validFrom": "2026-01-01"}
        closed = more | {"name": "Gesloten", "status": "temporarily closed", "eligibility": [income], "exits": []}
        for id, body in ((name, more), (f"{name}-closed", closed), (name, more)):
            put = await matching.ask(coordinator, "PUT", f"/v1/services/{id}", body)
            assert put.status_code == 200, put.text
            shown = await matching.ask(partner, "GET", f"/v1/services/{id}")
            assert shown.json() == put.json()
            assert shown.json()["id"] == id
        assert (await matching.ask(partner, "GET", "/v1/services/unknown")).status_code == 404

        async def found(query: str) -> list[str]:
            page = (await matching.ask(partner, "GET", f"/v1/services?{query}")).json()
            return [item["id"] for item in page["items"]]

        assert await found("") == [name, f"{name}-closed"]
        assert await found("search=ADMINISTRATIE") == [name]
        assert await found(f"municipality={ELSEWHERE}&status=active") == [name]
        assert await found("municipality=0001") == []
        assert await found("exit=lokale-vrijwilliger-of-professional") == [name]
        assert await found("exit=zelfhulp") == []
        assert await found("perPage=1&page=2") == [f"{name}-closed"]
        organisations = (await matching.ask(partner, "GET", "/v1/organisations?kind=volunteers&search=maat")).json()
        assert [item["id"] for item in organisations["items"]] == [helper]

        told = await read(
            stack_infra,
            "directory",
            lambda e: (
                (isinstance(e.data, ServiceChanged) and e.data.service.startswith(name))
                or (isinstance(e.data, OrganisationChanged) and e.data.organisation == helper)
            ),
            3,
        )
        assert {e.envelope.stream for e in told} == {
            f"organisation-{helper}",
            f"service-{name}",
            f"service-{name}-closed",
        }


async def test_two_processes_have_the_same_directory_and_a_new_one_finds_it(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    database = f"matching_{uuid.uuid4().hex[:12]}"
    async with running(stack_infra, tmp_path, database) as one:
        # What another process has in memory: it shares nothing with this one but the database.
        other = Snapshot(MatchingStore(one.service.database))
        await other.refresh()
        assert not other.current.services
        await one.fill_directory()
        await other.refresh()
        assert set(other.current.services) == {"maatjes"}
        full = HELP | {"capacity": "no-capacity"}
        coordinator = one.token("coordinator", "gemeente-assen")
        for service in ("maatjes", "second"):
            assert (await one.ask(coordinator, "PUT", f"/v1/services/{service}", full)).status_code == 200
        await asyncio.gather(*(other.refresh() for _ in range(5)))
        assert {each.capacity for each in other.current.services.values()} == {"no-capacity"}
        assert other.current.organisations.keys() == {"gemeente-assen", "maatjes-voorbeeld"}
        await entry_of_another_process(one)
    async with running(stack_infra, tmp_path, database) as later:
        page = (await later.ask(later.token("partner", "anybody"), "GET", "/v1/services")).json()
        assert page["total"] == 2


async def entry_of_another_process(matching: Matching) -> None:
    """What another process wrote is seen here without a request that misses it."""
    entry = OrganisationChanged(organisation="elders", name="Elders", kind="fund", municipalities=[ASSEN])
    await matching.service.engine.execute(
        Command(entry_id(entry), lambda state, context: put(state, entry, {ASSEN}, context))
    )
    reader = matching.token("partner", "anybody")
    async with asyncio.timeout(10):
        while (await matching.ask(reader, "GET", "/v1/organisations")).json()["total"] < 3:
            await asyncio.sleep(0.02)
