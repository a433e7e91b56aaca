"""A service that stops lets what it is doing end, and waits for nobody who does not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.chassis import service
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.service import Service
from services.matching.main import build
from tests.conftest import Infrastructure
from tests.integration.matching import settings

Work = Callable[[], Awaitable[None]]


async def started_with(infrastructure: Infrastructure, folder: Path, work: Work, begun: asyncio.Event) -> Service:
    """A service that is in the middle of this work."""
    app = build(settings(infrastructure, folder, f"stop_{uuid.uuid4().hex[:12]}"))
    runtime: Service = app.state.runtime
    runtime.every("work", 3600, work)
    await runtime.start()
    async with asyncio.timeout(30):
        await begun.wait()
    return runtime


async def test_work_under_way_ends_before_the_database_is_let_go(
    stack_infra: Infrastructure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ENDING_S", 30)
    begun, goes_on = asyncio.Event(), asyncio.Event()
    done: list[object] = []

    async def work() -> None:
        begun.set()
        await goes_on.wait()
        done.append(await runtime.database["aggregates"].find_one({}))

    runtime = await started_with(stack_infra, tmp_path, work, begun)
    runtime.on_stop(_at_once(lambda: done.append("closed")))
    stopping = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    goes_on.set()
    async with asyncio.timeout(20):
        await stopping
    assert done == [None, "closed"]


async def test_what_cannot_end_since_the_database_is_away_keeps_nothing_else_from_its_end(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    async def away() -> None:
        raise StoreUnavailable

    runtime = await started_with(stack_infra, tmp_path, _at_once(begun.set), begun)
    runtime.on_stop(away)
    runtime.on_stop(_at_once(lambda: ended.append("closed")))
    async with asyncio.timeout(20):
        await runtime.stop()
    assert ended == ["closed"]


async def test_work_that_does_not_end_is_cut_short(
    stack_infra: Infrastructure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ENDING_S", 0)
    begun, cut = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    runtime = await started_with(stack_infra, tmp_path, work, begun)
    async with asyncio.timeout(20):
        await runtime.stop()
    assert cut.is_set()


async def test_a_service_that_has_no_database_stops(stack_infra: Infrastructure, tmp_path: Path) -> None:
    chosen = settings(stack_infra, tmp_path, "nowhere")
    nowhere = chosen.mongo.model_copy(update={"uri": SecretStr("mongodb://127.0.0.1:1"), "timeout_ms": 100})
    runtime: Service = build(chosen.model_copy(update={"mongo": nowhere})).state.runtime
    await runtime.start()
    async with asyncio.timeout(30):
        await runtime.stop()
    assert not any(runtime.checks().values())


def _at_once(does: Callable[[], None]) -> Work:
    async def hook() -> None:
        does()

    return hook
