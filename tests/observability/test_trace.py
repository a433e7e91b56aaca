"""One trace from the request that brings something in to the partner that is told, over all services and restarts."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
import yaml
from hulpketen_contracts import ProcessingLogged
from hulpketen_contracts.reader import FeedReader

from cli.demo import wire, world
from cli.demo.outside import Outside, client
from cli.demo.people import Person, people, reference
from cli.demo.scan import Scanner
from cli.spans import Span
from deploy.local.ports import SERVICES
from deploy.local.stack import LocalStack
from tests.observability.collectors import CONFIGURATION, InMemory, Traces, jaeger
from tests.otlp import Receiver, receiving

WITHIN_S = 60
WORLD = world.World()
CREDITOR = WORLD.creditors[0]
Hop = tuple[str, str]
PERSONS = people(3, Random(4), "bsn")

REQUEST: Hop = ("intake", "POST /v1/signals")
MATCHED: Hop = ("matching", "process signals")
OF_A_SIGNAL = {
    (REQUEST,),
    (REQUEST, ("audit", "process signals")),
    (REQUEST, MATCHED),
    (REQUEST, MATCHED, ("audit", "process cases")),
    (REQUEST, MATCHED, ("intake", "process cases")),
    (REQUEST, MATCHED, ("notifications", "process cases")),
    (REQUEST, MATCHED, ("notifications", "process cases"), ("notifications", "send /v1/events")),
    (REQUEST, MATCHED, ("notifications", "process cases"), ("notifications", "send partners.{organisation}")),
}
REFERRED: Hop = ("matching", "POST /v1/referrals")
OF_A_REFERRAL = {
    (REFERRED,),
    (REFERRED, ("audit", "process cases")),
    (REFERRED, ("intake", "process cases")),
    (REFERRED, ("notifications", "process cases")),
    (REFERRED, ("notifications", "process cases"), ("notifications", "send /v1/events")),
    (REFERRED, ("notifications", "process cases"), ("notifications", "send partners.{organisation}")),
}


@asynccontextmanager
async def chain(folder: Path, endpoint: str) -> AsyncIterator[tuple[LocalStack, Outside]]:
    """The chain, with a municipality that follows its feed over Kafka and as an event stream."""
    settings = {"TELEMETRY_EXPORTER": "otlp", "TELEMETRY_ENDPOINT": endpoint, "TELEMETRY_SAMPLE_RATIO": "1"}
    async with (
        LocalStack(folder / "data", env=dict.fromkeys(SERVICES, settings)) as stack,
        Outside(stack.addresses, stack.token, Scanner(()), WORLD) as outside,
    ):
        await world.bring_in(outside)
        municipality = world.Organisation(WORLD.coordinator, "municipality", kafka=True)
        await world.put_organisation(outside, municipality, [WORLD.municipality])
        following = asyncio.create_task(follow(outside))
        try:
            yield stack, outside
        finally:
            following.cancel()


class Seen(NamedTuple):
    """A chain whose spans go to a receiver in memory."""

    stack: LocalStack
    outside: Outside
    receiver: Receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    with receiving() as receiver:
        async with chain(tmp_path_factory.mktemp("seen"), receiver.endpoint) as (stack, outside):
            yield Seen(stack, outside, receiver)


@pytest.mark.asyncio(loop_scope="module")
async def test_one_trace_leads_from_a_request_to_who_is_told_of_it(seen: Seen) -> None:
    await leads_from_a_request_to_who_is_told(seen.stack, seen.outside, InMemory(seen.receiver))


@pytest.mark.skipif(not os.environ.get("JAEGER_BIN"), reason="JAEGER_BIN is to name the program of a Jaeger 2")
async def test_jaeger_shows_that_trace(tmp_path: Path) -> None:
    with jaeger(tmp_path) as traces:
        async with chain(tmp_path, traces.endpoint) as (stack, outside):
            await leads_from_a_request_to_who_is_told(stack, outside, traces)


async def leads_from_a_request_to_who_is_told(stack: LocalStack, outside: Outside, traces: Traces) -> None:
    """A signal comes in, and is referred."""
    signal = await send(outside, 1, PERSONS[0])
    spans = await once_they_are(OF_A_SIGNAL, lambda: traces.about("matching", signal))
    follow_the_conventions(spans)
    # The audit's span of the same record has no subject.
    of_cases = [each.attributes for each in spans if each.name == "process cases"]
    case = next(said["cloudevents.event_subject"] for said in of_cases if "cloudevents.event_subject" in said)
    referral = await refer(outside, case)
    spans = await once_they_are(OF_A_REFERRAL, lambda: traces.about("notifications", referral))
    follow_the_conventions(spans)

    # Two partners are told by topic. Who follows one goes on from the delivery, and not from somewhere in the chain.
    def deliveries() -> dict[str, str]:
        sent = [each for each in traces.about("notifications", referral) if each.name.startswith("send partners.")]
        return {f"00-{each.trace}-{each.id}-01": each.attributes["messaging.destination.name"] for each in sent}

    topics = {"partners.gemeente-proefdam", "partners.kredietbank-proef"}
    await until(lambda: set(deliveries().values()) == topics)
    records = await wire.read_all({"bootstrap_servers": stack.addresses["kafka"]})
    on_topics = {traceparent(record): record.topic for record in records}
    assert deliveries().items() <= on_topics.items()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_look_is_in_the_processing_log_whether_its_trace_is_kept_or_not(seen: Seen) -> None:
    kept, unkept = uuid.uuid4().hex, uuid.uuid4().hex
    signal = await send(seen.outside, 2, PERSONS[1])
    await once_they_are(OF_A_SIGNAL, lambda: InMemory(seen.receiver).about("matching", signal))
    for trace, flag in ((unkept, "00"), (kept, "01")):  # spans go in their order: with the second comes the first
        await look(seen.outside, f"00-{trace}-00f067aa0ba902b7-{flag}")
    await until(lambda: seen.receiver.of(kept))
    assert not seen.receiver.of(unkept)
    lines = {trace: await logged(seen.stack, trace) for trace in (kept, unkept)}
    for line in lines[kept] + lines[unkept]:
        await in_the_trail(seen.outside, line)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_trace_goes_on_after_its_broker_and_a_service_were_killed(seen: Seen) -> None:
    seen.stack.kill("broker")
    seen.stack.kill("notifications")
    signal = await send(seen.outside, 3, PERSONS[2])
    await once_they_are(OF_A_SIGNAL, lambda: InMemory(seen.receiver).about("matching", signal))


def test_the_collector_lets_through_what_spans_have_and_no_more(seen: Seen) -> None:
    configuration = yaml.safe_load((CONFIGURATION / "collector.yaml").read_text())
    allowed = set(configuration["processors"]["redaction"]["allowed_keys"])
    resource = {"service.name", "service.namespace", "service.instance.id"}
    assert {name for span in seen.receiver.spans for name in span.attributes} == allowed - resource - {"error.type"}


def follow_the_conventions(spans: list[Span]) -> None:
    """OpenTelemetry's for HTTP and messaging; and each span begins after the one that caused it."""
    began = {span.id: span.start for span in spans}
    for span in spans:
        assert not span.failed
        assert span.start // 1000 >= began.get(span.parent, 0) // 1000  # Jaeger counts in microseconds
        method, _, where = span.name.partition(" ")
        if method == "POST":
            assert span.attributes["http.request.method"] == method
            assert span.attributes["http.route"] == where
            assert span.attributes["http.response.status_code"] in ("200", "201", "202")
        else:
            assert span.attributes["messaging.operation.name"] == method
            name = span.attributes["messaging.destination.name"]
            assert span.attributes.get("messaging.destination.template", name) == where
            assert span.attributes["messaging.message.id"] == span.attributes["cloudevents.event_id"]
            assert span.attributes["cloudevents.event_type"].startswith("nl.hulpketen.")


async def once_they_are(ways: set[tuple[Hop, ...]], found: Callable[[], list[Span]]) -> list[Span]:
    """The spans of a trace, once they lead these ways from its one root, and no other."""
    spans: list[Span] = []

    def complete() -> bool:
        nonlocal spans
        spans = found()
        return paths(spans) == ways  # a span may come before the one that caused it

    try:
        await until(complete)
    finally:
        assert paths(spans) == ways
    assert len([span for span in spans if not span.parent]) == 1
    return spans


def paths(spans: list[Span]) -> set[tuple[Hop, ...]]:
    """The ways from the root to each span; one whose parent is not there (yet) is at the top."""
    by_id = {span.id: span for span in spans}

    def path(span: Span) -> tuple[Hop, ...]:
        above = by_id.get(span.parent)
        return (*(path(above) if above else ()), (span.service, span.name))

    return {path(span) for span in spans}


async def until(true: Callable[[], object]) -> None:
    """Until it is, with a limit in time; what asks a Jaeger is not let wait."""
    async with asyncio.timeout(WITHIN_S):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.1)


async def follow(outside: Outside) -> None:
    """The municipality's event stream, read for as long as the test lasts."""
    reader = FeedReader(last=0)
    token = {"Authorization": f"Bearer {outside.token('coordinator', WORLD.coordinator)}"}
    url = f"{outside.addresses['notifications']}/v1/events"
    async with client(60) as http:
        while True:
            with suppress(httpx.TransportError):
                async with http.stream("GET", url, headers=token | reader.connection_headers()) as stream:
                    async for line in stream.aiter_lines():
                        reader.sse_line(line)
            await asyncio.sleep(0.1)


async def send(outside: Outside, number: int, person: Person) -> str:
    """The id of a signal about this person."""
    body = {
        "reference": reference(number),
        "municipality": WORLD.municipality,
        "partnerType": CREDITOR.signals[0],
        "amount": 100,
        "signalledOn": datetime.now(UTC).date().isoformat(),
        "client": person.client,
    }
    token = outside.token("sender", CREDITOR.id)
    # Intake may still have to hear who the sender is.
    return str((await outside.ask("POST", "intake", "/v1/signals", token, body, again=(403,))).body["signal"])


async def refer(outside: Outside, case: str) -> str:
    """The id of a referral to the debt counsellors, who follow their feed over Kafka."""
    token = outside.token("coordinator", WORLD.coordinator)
    body = {"case": case, "service": "proef-schuldhulp"}
    return str((await outside.ask("POST", "matching", "/v1/referrals", token, body, key="refer")).body["referral"])


async def look(outside: Outside, parent: str) -> None:
    """The municipality looks at its cases, in a trace of its own."""
    token = outside.token("coordinator", WORLD.coordinator)
    headers = {"Authorization": f"Bearer {token}", "traceparent": parent}
    async with client(60) as http:
        answer = await http.get(f"{outside.addresses['notifications']}/v1/cases", headers=headers)
    assert answer.raise_for_status().json()["items"]


async def logged(stack: LocalStack, trace: str) -> list[str]:
    """The event ids of the lines of the processing log that name this trace, once they are on the topic."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = [
                event.envelope.id
                for event in wire.decoded(await wire.read_all({"bootstrap_servers": stack.addresses["kafka"]}))
                if isinstance(event.data, ProcessingLogged) and event.data.trace_id == trace
            ]
            if found:
                return found


async def in_the_trail(outside: Outside, event: str) -> None:
    """Until the audit has an entry for this event."""
    token = outside.token("auditor", WORLD.coordinator)
    async with asyncio.timeout(WITHIN_S):
        while True:
            items: list[dict[str, Any]] = (await outside.ask("GET", "audit", "/v1/entries?perPage=500", token)).body[
                "items"
            ]
            if event in {entry["eventId"] for entry in items}:
                return
            await asyncio.sleep(0.1)


def traceparent(record: wire.Record) -> str:
    """The traceparent of a record."""
    return dict(record.headers).get("traceparent", b"").decode()
