"""Runs a demo: a chain of its own, the outside world around it, and the reckoning at the end."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx

from cli.demo import check, facts, report, signals, world
from cli.demo.coordinator import Coordinator
from cli.demo.creditors import Creditors
from cli.demo.crew import Crew
from cli.demo.feeds import SILENCE, Feed, SseClient, TopicClient
from cli.demo.killer import Killer
from cli.demo.ledger import Ledger
from cli.demo.outside import Outside, client
from cli.demo.partners import Partner
from cli.demo.people import Person, people
from cli.demo.progress import Show
from cli.demo.residents import Residents
from cli.demo.scan import Scanner
from deploy.local.stack import LocalStack

_RESIDENTS = 0.06
_LOOK_EVERY_S = 0.02
# So long nothing at all may happen before the demo gives up waiting.
_SILENCE_S = 30.0


@dataclass
class Plan:
    """What a demo is to do; the same seed makes the same people, signals and moments to kill."""

    signals: int
    seed: int
    kill: Sequence[str] = ()
    people: list[Person] = field(init=False)
    newcomers: list[Person] = field(init=False)

    def __post_init__(self) -> None:
        dice = self.dice("people")
        count = signals.how_many_people(self.signals)
        self.people = people(count, dice)
        self.newcomers = people(max(4, int(self.signals * _RESIDENTS)), dice, "birth", first=count)

    def dice(self, what: str) -> Random:
        """Luck of its own for each player, so that one does not change another's."""
        return Random(f"{self.seed}/{what}")

    def planted(self) -> list[str]:
        """All values that must not be found anywhere."""
        return [value for person in (*self.people, *self.newcomers) for value in person.planted()]


async def run(plan: Plan, show: Show) -> tuple[dict[str, Any], list[str]]:
    """The figures of the report, and in words what is wrong. Raises: StackError."""
    begun = time.perf_counter()
    scanner, ledger = Scanner(plan.planted()), Ledger(world.COORDINATOR)
    with tempfile.TemporaryDirectory(prefix="hulpketen-demo-") as folder:
        data = Path(folder)

        def changed(name: str, what: str) -> None:
            if what != "started":
                show.say(f"{name} {what}; it is started again")

        show.say("starting a chain of its own …")
        async with LocalStack(data, on_change=changed) as stack:
            found, copies = await _Play(plan, stack, ledger, scanner, show).all()
        show.say("looking for personal data in traces and logs …")
        for place in ("traces", "logs"):
            if not scanner.look_in_files(data / place):
                ledger.find("lost", f"the {place} are empty")
    check.check(ledger, found)
    sse = frozenset({world.COORDINATOR, *(helper.id for helper in world.HELPERS if not helper.kafka)})
    figures = report.make(ledger, found, ledger.milliseconds(sse), copies, len(scanner.found))
    words = [f"{each.kind}: {each.what}{f' ({each.times})' if each.times > 1 else ''}" for each in ledger.findings]
    return figures | {"seconds": round(time.perf_counter() - begun, 1)}, words + scanner.found


class _Play:
    """The world outside one chain, from its first organisation to its last status."""

    def __init__(self, plan: Plan, stack: LocalStack, ledger: Ledger, scanner: Scanner, show: Show) -> None:
        self._plan = plan
        self._stack = stack
        self._ledger = ledger
        self._scanner = scanner
        self._show = show
        self._killer = Killer(plan.kill, plan.signals, plan.dice("killer"), stack.kill)

    async def all(self) -> tuple[check.Facts, int]:
        """Play, wait, and read what there is at the end."""
        async with AsyncExitStack() as cleanup:
            streams = await cleanup.enter_async_context(client(SILENCE))
            outside = await cleanup.enter_async_context(
                Outside(self._stack.addresses, self._stack.token, self._scanner, world.MUNICIPALITY)
            )
            crew = Crew()
            cleanup.push_async_callback(crew.close)
            await world.bring_in(outside)
            followers = Crew()
            cleanup.push_async_callback(followers.close)
            coordinator = Coordinator(outside, self._ledger, crew, self._plan.dice("coordinator"))
            self._follow(followers, streams, outside, crew, coordinator)
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
            await followers.beside(crew.beside(self._play(outside, crew, coordinator)))
            self._show.say("looking at what services, broker and audit have …")
            return await facts.gather(outside, self._stack.addresses["kafka"], self._scanner)

    def _follow(
        self, followers: Crew, streams: httpx.AsyncClient, outside: Outside, crew: Crew, coordinator: Coordinator
    ) -> None:
        """Let the municipality and each partner follow its feed, in its own way."""
        ledger, kafka = self._ledger, self._stack.addresses["kafka"]
        url = f"{outside.addresses['notifications']}/v1/events"

        def sse(organisation: str, role: str, on_event: Any) -> None:
            feed = Feed(organisation, ledger, self._scanner, on_event)
            token, dice = outside.token(role, organisation), self._plan.dice(f"feed of {organisation}")
            followers.begin(SseClient(feed, streams, url, token, dice).follow())

        sse(world.COORDINATOR, "coordinator", coordinator.on_event)
        for helper in world.HELPERS:
            partner = Partner(helper.id, outside, ledger, crew, self._plan.dice(helper.id))
            if helper.kafka:
                feed = Feed(helper.id, ledger, self._scanner, partner.on_event)
                followers.begin(TopicClient(feed, kafka, lambda: self._stack.process("broker").starts).follow())
            else:
                sse(helper.id, "partner", partner.on_event)

    async def _play(self, outside: Outside, crew: Crew, coordinator: Coordinator) -> None:
        self._show.say("creditors deliver signals, residents take the test, partners answer …")
        plan, ledger = self._plan, self._ledger
        made = signals.make(plan.signals, plan.people, datetime.now(UTC).date(), plan.dice("signals"))
        creditors = Creditors(outside, ledger, plan.dice("creditors"))
        residents = Residents(outside, ledger, plan.dice("residents"))
        watch = asyncio.ensure_future(self._watch())
        try:
            await asyncio.gather(creditors.play(made), residents.newcomers(plan.newcomers))
            reachable = [person for person in plan.people if person.known_by == "birth"]
            await residents.known(reachable[: len(plan.newcomers) // 2])
            self._show.say("waiting until every partner has seen every status …")
            await self._settle(crew)
            await coordinator.close_some()
            await self._settle(crew)
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            self._killer.look(self._ledger.progress)
            self._show.update(self._ledger)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _settle(self, crew: Crew) -> None:
        """Until everything came to everybody, or nothing happens any more."""
        had, until = -1, 0.0
        while not (crew.idle and self._ledger.settled() and not self._killer.pending):
            if self._ledger.progress > had:
                had, until = self._ledger.progress, time.perf_counter() + _SILENCE_S
            elif time.perf_counter() > until:
                return self._show.say("nothing happens any more: what is not there is lost")
            elif crew.idle and self._ledger.settled():
                self._killer.all()
            await asyncio.sleep(_LOOK_EVERY_S)
        return None
