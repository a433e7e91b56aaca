"""The same operation under the same key is done once, and forgotten in time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from services.chassis.mongo.answers import INDEXES, Answer, Answers
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.indexes import make_all
from services.chassis.pipeline.errors import KeyReused
from services.chassis.pipeline.model import IdempotencyKey
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure

KEY = IdempotencyKey("gemeente-assen", "republish-1", "digest-1")
HOURS = timedelta(hours=24)


class World:
    """A clock that is moved by hand, and work that is counted."""

    def __init__(self, database: Database) -> None:
        self.now = datetime(2100, 1, 1, tzinfo=UTC)
        self.done = 0
        self.fails = False
        self._database = database
        self.answers = self.another()

    def another(self) -> Answers:
        """What another process has."""
        return Answers(self._database, lambda: self.now, HOURS)

    async def work(self) -> Answer:
        await asyncio.sleep(0)
        if self.fails:
            raise ValueError
        self.done += 1
        return {"batches": self.done}


@pytest.fixture
async def world(stack_infra: Infrastructure) -> AsyncIterator[World]:
    name = f"answers_{uuid.uuid4().hex[:12]}"
    client = connect(MongoSettings(uri=SecretStr(stack_infra.mongo), database=name))
    world = World(client[name])
    await make_all(client[name], INDEXES)
    yield world
    client.close()


async def test_the_same_again_gets_the_same_answer_and_does_nothing(world: World) -> None:
    together = await asyncio.gather(*(world.answers.once(KEY, world.work) for _ in range(3)))
    later = await world.another().once(KEY, world.work)
    assert [*together, later] == [{"batches": 1}] * 4
    assert world.done == 1


async def test_another_content_under_the_key_is_refused_and_another_organisation_has_keys_of_its_own(
    world: World,
) -> None:
    await world.answers.once(KEY, world.work)
    with pytest.raises(KeyReused):
        await world.answers.once(KEY._replace(digest="digest-2"), world.work)
    other = KEY._replace(organisation="gemeente-elders", digest="digest-2")
    assert await world.answers.once(other, world.work) == {"batches": 2}


async def test_of_two_processes_both_give_the_answer_of_the_first(world: World) -> None:
    both = await asyncio.gather(*(each.once(KEY, world.work) for each in (world.answers, world.another())))
    assert both[0] == both[1] == await world.answers.once(KEY, world.work)


async def test_without_a_key_it_is_done_each_time(world: World) -> None:
    assert [await world.answers.once(None, world.work) for _ in range(2)] == [{"batches": 1}, {"batches": 2}]


async def test_what_was_refused_may_be_tried_again(world: World) -> None:
    world.fails = True
    with pytest.raises(ValueError, match=r"^$"):
        await world.answers.once(KEY, world.work)
    world.fails = False
    assert await world.answers.once(KEY, world.work) == {"batches": 1}


async def test_a_key_is_forgotten_in_time(world: World) -> None:
    await world.answers.once(KEY, world.work)
    world.now += HOURS
    again = KEY._replace(digest="digest-2")
    assert await world.answers.once(again, world.work) == {"batches": 2}
    assert await world.answers.once(again, world.work) == {"batches": 2}
