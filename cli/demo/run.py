"""Runs a demo: a chain of its own, the outside world around it, and the reckoning at the end."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
from aiokafka.errors import KafkaError

from cli.demo import check, facts, report, signals, wire, world
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
from cli.demo.target import Target, local
from deploy.local.errors import StackError
from deploy.local.stack import LocalStack

_RESIDENTS = 0.06
_LOOK_EVERY_S = 0.02
# So long nothing at all may happen before the demo gives up waiting.
_SILENCE_S = 30.0
Outcome = tuple[dict[str, Any], list[str]]
"""The figures of the report, and in words what is wrong."""


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


async def run(plan: Plan, show: Show) -> Outcome:
    """Play on a chain of its own. Raises: StackError."""
    with tempfile.TemporaryDirectory(prefix="hulpketen-demo-") as folder:

        def changed(name: str, what: str) -> None:
            if what != "started":
                show.say(f"{name} {what}; it is started again")

        show.say("starting a chain of its own …")
        async with LocalStack(Path(folder), on_change=changed) as stack:
            return await run_on(local(stack), plan, show, stack.kill)


async def run_on(target: Target, plan: Plan, show: Show, kill: Callable[[str], None] = lambda name: None) -> Outcome:
    """Play on a chain that runs. Raises: StackError."""
    begun = time.perf_counter()
    scanner, ledger = Scanner(plan.planted()), Ledger(target.world.coordinator)
    play = _Play(plan, target, ledger, scanner, show, kill)
    found, copies = await play.all()
    show.say("looking for personal data and pseudonyms in traces and logs …")
    pseudonyms = found.pseudonyms()
    for name, place in target.files.items():
        if not scanner.look_in_files(place, pseudonyms):
            ledger.find("lost", f"the {name} are empty")
    check.check(ledger, found)
    helpers = target.world.helpers
    sse = frozenset({target.world.coordinator, *(helper.id for helper in helpers if not helper.kafka)})
    figures = report.make(ledger, found, ledger.milliseconds(sse), copies, len(scanner.found))
    words = [f"{each.kind}: {each.what}{f' ({each.times})' if each.times > 1 else ''}" for each in ledger.findings]
    told = {"leftOut": target.left_out(found.events is not None), "seconds": round(time.perf_counter() - begun, 1)}
    return figures | told, words + scanner.found


class _Play:
    """The world outside one chain, from its first organisation to its last status."""

    def __init__(
        self, plan: Plan, target: Target, ledger: Ledger, scanner: Scanner, show: Show, kill: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._target = target
        self._ledger = ledger
        self._scanner = scanner
        self._show = show
        self._killer = Killer(plan.kill, plan.signals, plan.dice("killer"), kill)

    async def all(self) -> tuple[check.Facts, int]:
        """Play, wait, and read what there is at the end."""
        target = self._target
        # aiokafka says at length that it cannot reach a broker that was killed.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        async with AsyncExitStack() as cleanup:
            streams = await cleanup.enter_async_context(client(SILENCE, target.tls))
            outside = await cleanup.enter_async_context(
                Outside(target.addresses, target.token, self._scanner, target.world, tls=target.tls)
            )
            before = await self._before(outside)
            crew = Crew()
            cleanup.push_async_callback(crew.close)
            await world.bring_in(outside)
            followers = Crew()
            cleanup.push_async_callback(followers.close)
            coordinator = Coordinator(outside, self._ledger, crew, self._plan.dice("coordinator"))
            self._follow(followers, streams, outside, crew, coordinator)
            await followers.beside(crew.beside(self._play(outside, crew, coordinator)))
            self._show.say("looking at what services, broker and audit have …")
            return await facts.gather(outside, target, before, self._scanner)

    async def _before(self, outside: Outside) -> facts.Before:
        """How things are at the beginning. Raises: StackError where the municipality is not new to the chain."""
        now, kafka = datetime.now(UTC), self._target.kafka
        if self._target.own:
            return facts.Before({} if kafka else None, now)
        token = outside.token("coordinator", outside.world.coordinator)
        for status in ("open", "closed"):
            if (await outside.ask("GET", "matching", f"/v1/cases?status={status}&perPage=1", token)).body["items"]:
                raise StackError("the municipality that was drawn is one of an earlier demo: run it again")
        try:
            return facts.Before(await wire.ends(kafka) if kafka else None, now)
        except (KafkaError, OSError) as error:
            self._show.say(f"the broker cannot be looked at from here ({error})")
            return facts.Before(None, now)

    def _follow(
        self, followers: Crew, streams: httpx.AsyncClient, outside: Outside, crew: Crew, coordinator: Coordinator
    ) -> None:
        """Let the municipality and each partner follow its feed, in its own way."""
        ledger, kafka, overseer = self._ledger, self._target.kafka, outside.world.coordinator
        url = f"{outside.addresses['notifications']}/v1/events"

        def sse(organisation: str, role: str, on_event: Any) -> None:
            feed = Feed(organisation, ledger, self._scanner, on_event)
            token, dice = outside.token(role, organisation), self._plan.dice(f"feed of {organisation}")
            followers.begin(SseClient(feed, streams, url, token, dice).follow())

        sse(overseer, "coordinator", coordinator.on_event)
        for helper in outside.world.helpers:
            partner = Partner(helper.id, outside, ledger, crew, self._plan.dice(helper.id))
            if helper.kafka and kafka:
                feed = Feed(helper.id, ledger, self._scanner, partner.on_event)
                followers.begin(TopicClient(feed, kafka, self._target.lives).follow())
            else:
                sse(helper.id, "partner", partner.on_event)

    async def _play(self, outside: Outside, crew: Crew, coordinator: Coordinator) -> None:
        self._show.say("creditors deliver signals, residents take the test, partners answer …")
        plan, ledger = self._plan, self._ledger
        made = signals.make(plan.signals, plan.people, datetime.now(UTC).date(), plan.dice("signals"), outside.world)
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
