"""Reads at the end what the services and the broker have: over HTTP and Kafka, as partners and auditors would."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hulpketen_contracts import TOPICS, Decoded

from cli.demo import wire
from cli.demo.check import Facts
from cli.demo.outside import Outside
from cli.demo.scan import Scanner
from cli.demo.target import Target
from deploy.local.ports import SERVICES

_AUDITED = frozenset(name for name, topic in TOPICS.items() if "audit" in topic.consumers)
_AT_ONCE = 8
_AUDIT_WITHIN_S, _LOOK_EVERY_S = 30.0, 0.2
# So far apart may the clocks of this machine and of the services be.
_CLOCKS = timedelta(minutes=1)
Items = list[dict[str, Any]]


class Before(NamedTuple):
    """How it was when the demo began: `ends` of the topics (None: the broker cannot be looked at), and what time."""

    ends: wire.Ends | None
    at: datetime


async def gather(outside: Outside, target: Target, before: Before, scanner: Scanner) -> tuple[Facts, int]:
    """The facts, and how many copies of events lie on the broker's topics. All that is read there is searched."""
    world = outside.world
    coordinator = outside.token("coordinator", world.coordinator)
    cases = await _cases(outside, coordinator)
    told = {world.coordinator: await _pages(outside, "notifications", "/v1/referrals", coordinator, 200)}
    for helper in world.helpers:
        token = outside.token("partner", helper.id)
        told[helper.id] = await _pages(outside, "notifications", "/v1/referrals", token, 200)
    told_cases = await _pages(outside, "notifications", "/v1/cases", coordinator, 200)
    events, audited, copies = None, frozenset[str](), 0
    if target.kafka and before.ends is not None:
        records = await wire.read_all(target.kafka, before.ends)
        for record in records:
            scanner.look(f"the topic {record.topic}", record.bytes)
        distinct = wire.distinct(records)
        copies = len(records) - len(distinct)
        said = wire.decoded(record for record in distinct.values() if not record.topic.startswith(wire.FEEDS))
        events = [event for event in said if _of(world.municipality, event)]
        audited = frozenset(id.split()[1] for id, record in distinct.items() if record.topic in _AUDITED)
    entries = await _entries(outside, audited, None if target.own else before.at)
    await _metrics(outside, scanner)
    return Facts(cases, told_cases, told, entries, events, audited, target.own), copies


def _of(municipality: str, event: Decoded) -> bool:
    """Whether it is of this municipality, or of none."""
    return getattr(event.data, "municipality", None) in (None, municipality)


async def _cases(outside: Outside, token: str) -> Items:
    summaries = await _pages(outside, "matching", "/v1/cases?status=open", token, 100)
    summaries += await _pages(outside, "matching", "/v1/cases?status=closed", token, 100)
    room = asyncio.Semaphore(_AT_ONCE)

    async def detail(case: str) -> dict[str, Any]:
        async with room:
            return dict((await outside.ask("GET", "matching", f"/v1/cases/{case}", token)).body)

    return list(await asyncio.gather(*(detail(each["case"]) for each in summaries)))


async def _pages(outside: Outside, service: str, path: str, token: str, size: int) -> Items:
    found: Items = []
    page = 0
    while True:
        page += 1
        sign = "&" if "?" in path else "?"
        answer = await outside.ask("GET", service, f"{path}{sign}page={page}&perPage={size}", token)
        found += answer.body["items"]
        if len(answer.body["items"]) < size:
            return found


async def _entries(outside: Outside, audited: frozenset[str], since: datetime | None) -> Items:
    """All entries of the trail (`since`: of events from then on), once it has all these events; what it still lacks
    after a while is lost.

    They are listed by time, so that a late one can move another to the next page: then that is read twice.
    """
    token = outside.token("auditor", outside.world.coordinator)
    path = "/v1/entries" + (f"?from={(since - _CLOCKS).isoformat().replace('+00:00', 'Z')}" if since else "")
    entries: dict[int, dict[str, Any]] = {}
    until = time.perf_counter() + _AUDIT_WITHIN_S
    while time.perf_counter() < until:
        had = len(entries)
        for entry in await _pages(outside, "audit", path, token, 500):
            entries[entry["index"]] = entry
        whole = since is not None or len(entries) == max(entries, default=-1) + 1
        if whole and not audited - {entry["eventId"] for entry in entries.values()}:
            break
        if len(entries) > had:
            until = time.perf_counter() + _AUDIT_WITHIN_S
        await asyncio.sleep(_LOOK_EVERY_S)
    return list(entries.values())


async def _metrics(outside: Outside, scanner: Scanner) -> None:
    token = outside.token("operations", outside.world.coordinator)
    for service in SERVICES:
        answer = await outside.ask("GET", service, "/metrics", token)
        scanner.look(f"the metrics of {service}", str(answer.body).encode())
