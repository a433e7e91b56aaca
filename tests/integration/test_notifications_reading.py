"""What organisations read of the feeds and lists of one service that is filled once; no test here changes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio
from hulpketen_contracts import PartnerCaseChanged, PartnerReferralChanged

from tests.conftest import Infrastructure
from tests.integration.notifications import Notifications, looks, one_referral, running, take
from tests.unit.notifications.events import CASE, PERSON, REFERRAL

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Notifications]:
    """One service for the tests that only read: with one case and one referral, which was accepted."""
    async with running(stack_infra, tmp_path_factory.mktemp("notifications")) as service:
        for name in ("gemeente-assen", "gemeente-elders", "maatjes", "wijkteam"):
            await service.organisation(name)
        await one_referral(service)
        await service.last("municipality-0106", 4)
        await service.last("maatjes", 2)
        yield service


async def test_each_organisation_gets_its_own_lines_numbered_from_one(filled: Notifications) -> None:
    async with filled.stream(filled.token("coordinator", "gemeente-assen"), "?after=0") as frames:
        mine = await take(frames, 4)
    async with filled.stream(filled.token("partner", "maatjes"), "?after=0") as frames:
        theirs = await take(frames, 2)
    assert [f.n for f in mine] == [1, 2, 3, 4]
    assert [type(f.event.data) for f in mine if f.event] == [PartnerCaseChanged] * 2 + [PartnerReferralChanged] * 2
    assert [f.n for f in theirs] == [1, 2]
    data = [f.event.data for f in theirs if f.event]
    assert [(d.change, d.status) for d in data if isinstance(d, PartnerReferralChanged)] == [
        ("referrals.made", "made"),
        ("referrals.accepted", "accepted"),
    ]
    for frame in (*mine, *theirs):
        assert frame.event
        assert frame.event.envelope.sequence == frame.n
        assert frame.event.envelope.stream == ""
        assert frame.event.envelope.subject in (CASE, REFERRAL)


async def test_no_byte_that_goes_out_holds_the_pseudonym(filled: Notifications) -> None:
    for organisation, role in (("gemeente-assen", "coordinator"), ("maatjes", "partner"), ("wijkteam", "partner")):
        headers = filled.token(role, organisation)
        async with filled.http.stream("GET", "/v1/events?after=0", headers=headers) as answer:
            read = b""
            async for chunk in answer.aiter_raw():
                read += chunk
                if b"accepted" in read:
                    break
        listed = await filled.http.get("/v1/referrals", headers=headers)
        assert PERSON not in read.decode() + listed.text


async def test_lists_show_what_the_role_may_see_and_each_look_is_logged(
    filled: Notifications, stack_infra: Infrastructure
) -> None:
    coordinator = filled.token("coordinator", "gemeente-assen")
    partner = filled.token("partner", "maatjes")
    get = filled.http.get
    cases = (await get("/v1/cases?status=open", headers=coordinator)).json()["items"]
    assert (cases[0]["case"], cases[0]["proposals"][0]["service"]) == (CASE, "maatjes-thuis")
    assert "openedAt" not in cases[0]
    assert (await get(f"/v1/referrals/{REFERRAL}", headers=coordinator)).json()["case"] == CASE
    assert "case" not in (await get(f"/v1/referrals/{REFERRAL}", headers=partner)).json()
    assert (await get("/v1/referrals?status=made", headers=partner)).json()["items"] == []
    assert (await get("/v1/cases", headers=partner)).status_code == 403
    found = await get("/v1/referrals?sort=newest", headers=partner)
    assert len(found.json()["items"]) == 1
    wanted = {("list-cases", "gemeente-assen"), ("read-referrals", "maatjes"), ("list-referrals", "maatjes")}
    async with aclosing(looks(stack_infra)) as lines:
        async for line in lines:
            if line.subject == PERSON:
                wanted.discard((line.name, line.organisation or ""))
            if not wanted:
                break


async def test_what_a_stream_gave_is_logged_before_and_when_it_ends_and_one_that_gave_nothing_is_not(
    filled: Notifications, stack_infra: Infrastructure
) -> None:
    wanted: set[tuple[str, str, int | None, int | None]] = {
        ("open-stream", "wijkteam", 1, None),
        ("close-stream", "wijkteam", 1, 2),
    }
    async with filled.stream(filled.token("coordinator", "gemeente-elders"), "?after=0") as frames:
        await anext(frames)
    async with filled.stream(filled.token("partner", "wijkteam"), "?after=0") as frames:
        await take(frames, 2)
    async with aclosing(looks(stack_infra)) as lines:
        async for line in lines:
            assert "stream" not in line.name or line.organisation != "gemeente-elders"
            wanted.discard((line.name, line.organisation or "", line.feed_first, line.feed_last))
            assert line.subject is None or line.feed_first is None
            if not wanted:
                break


async def test_anothers_referral_is_no_other_than_none(filled: Notifications) -> None:
    for role in ("partner", "coordinator"):
        headers = filled.token(role, "gemeente-elders")
        assert (await filled.http.get(f"/v1/referrals/{REFERRAL}", headers=headers)).status_code == 404
        assert (await filled.http.get("/v1/referrals", headers=headers)).json()["items"] == []


async def test_what_is_refused(filled: Notifications) -> None:
    refused: list[tuple[str, str | None, str, int]] = [
        ("/v1/events", None, "", 401),
        ("/v1/referrals", None, "", 401),
        ("/board/me", None, "", 401),
        ("/v1/events", "sender", "maatjes", 403),
        ("/v1/referrals", "sender", "maatjes", 403),
        ("/v1/events?after=-1", "partner", "maatjes", 400),
        ("/v1/events?after=x", "partner", "maatjes", 400),
        ("/v1/events?after=99", "partner", "maatjes", 400),
        ("/v1/referrals?page=0&perPage=999&status=gone", "partner", "maatjes", 400),
        ("/v1/referrals/no-uuid", "partner", "maatjes", 400),
        ("/v1/referrals", "partner", "nobody-knows-us", 403),
    ]
    for path, role, organisation, status in refused:
        headers = filled.token(role, organisation) if role else {}
        answer = await filled.http.get(path, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_header_goes_before_the_query(filled: Notifications) -> None:
    headers = filled.token("coordinator", "gemeente-assen") | {"Last-Event-ID": "3"}
    async with filled.stream(headers, "?after=0") as frames:
        assert [f.n for f in await take(frames, 1)] == [4]


async def test_a_stream_ends_with_its_token(filled: Notifications) -> None:
    headers = filled.token("partner", "maatjes", seconds=2)
    async with asyncio.timeout(10), filled.stream(headers) as frames:
        assert [f.event async for f in frames] == [None]
