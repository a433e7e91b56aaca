"""The directory of help: searched, changed, told to others, and the same in every process."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from hulpketen_contracts import OrganisationChanged, ServiceChanged

from tests.conftest import Infrastructure
from tests.integration.matching import ASSEN, ELSEWHERE, HELP, HELPER, read, running


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
    async with running(stack_infra, tmp_path, database) as one, running(stack_infra, tmp_path, database) as other:
        await one.fill_directory()
        coordinator = other.token("coordinator", "gemeente-assen")
        # A process that misses an entry looks again before it refuses.
        assert (await other.ask(coordinator, "PUT", "/v1/services/second", HELP)).status_code == 200
        async with asyncio.timeout(10):
            for each in (one, other):
                reader = each.token("partner", "anybody")
                while (await each.ask(reader, "GET", "/v1/services")).json()["total"] < 2:
                    await asyncio.sleep(0.02)
        full = await one.ask(
            one.token("coordinator", "gemeente-assen"), "PUT", "/v1/services/second", HELP | {"capacity": "no-capacity"}
        )
        assert full.status_code == 200
        async with asyncio.timeout(10):
            reader = other.token("partner", "anybody")
            while (await other.ask(reader, "GET", "/v1/services/second")).json()["capacity"] != "no-capacity":
                await asyncio.sleep(0.02)
    async with running(stack_infra, tmp_path, database) as later:
        page = (await later.ask(later.token("partner", "anybody"), "GET", "/v1/services")).json()
        assert page["total"] == 2
