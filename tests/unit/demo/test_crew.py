"""Work beside work: a failure is never swallowed. And the killer kills what it was told to, once each."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from cli.demo.crew import Crew
from cli.demo.killer import Killer


async def fail() -> None:
    raise ValueError("failed")


async def give_up() -> None:
    raise asyncio.CancelledError


async def test_a_failure_ends_what_is_done_beside_it() -> None:
    crew = Crew()
    crew.begin(fail())
    with pytest.raises(ValueError, match="failed"):
        await crew.beside(asyncio.sleep(60))
    await crew.close()


async def test_work_that_cancels_itself_has_failed() -> None:
    crew = Crew()
    crew.begin(give_up())
    with pytest.raises(RuntimeError):
        await crew.beside(asyncio.sleep(60))
    await crew.close()


async def test_a_failure_of_the_work_itself_is_told() -> None:
    crew = Crew()
    with pytest.raises(ValueError, match="failed"):
        await crew.beside(fail())
    await crew.close()


async def test_a_crew_is_idle_once_all_work_is_done() -> None:
    crew = Crew()
    done = asyncio.Event()

    async def work() -> None:
        await done.wait()

    crew.begin(work())
    assert not crew.idle
    done.set()
    await asyncio.sleep(0.01)
    assert crew.idle
    await crew.close()


def test_each_process_is_killed_once_at_a_moment_of_its_own() -> None:
    killed: list[str] = []
    killer = Killer(["intake", "broker", "intake"], 100, Random(1), killed.append)
    killer.look(0)
    assert killed == []
    first = killer.pending[0][1]
    killer.look(int(killer.pending[0][0]) + 1)
    assert killed == [first]
    killer.all()
    killer.all()
    assert sorted(killed) == ["broker", "intake", "intake"]
