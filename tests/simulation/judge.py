"""What must hold at the end of a run: nothing lost, nothing doubled, nothing out of order, nothing left lying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

from hulpketen_contracts import Position

from services.chassis.pipeline.ports import Document
from tests.simulation import toy
from tests.simulation.memory_broker import Group
from tests.simulation.memory_store import MemoryStore
from tests.simulation.world import World

PIPES = {
    "matching": ("intake", toy.SIGNALS),
    "notifications": ("matching", toy.FILES),
}


def unsettled(world: World) -> list[str]:
    """What is still under way; when nothing is, the run has come to rest."""
    return list(_under_way(world))


def _under_way(world: World) -> Iterator[str]:
    if world.restarting or any(not request.done for request in world.requests):
        yield "clients without an answer, or processes that have not started"
    if any(process.busy for process in world.processes):
        yield "a process is at work"
    for name, service in world.services.items():
        store = service.store
        for id, document in store.aggregates.items():
            if document["outbox"]:
                yield f"{name}: the outbox of {id} holds {[e['seq'] for e in document['outbox']]}"
            elif "due" in document:
                yield f"{name}: {id} is due, and its outbox empty"
        elsewhere = [id for id, kept in store.kept_records.items() if kept["incarnation"] != world.broker.cluster_id]
        if elsewhere:
            yield f"{name}: kept records {elsewhere} are not on {world.broker.cluster_id}"
        yield from _lag(world, name, service.topics)
        if world.mended:
            yield from _held(world, name)


def _lag(world: World, name: str, topics: Sequence[str]) -> Iterator[str]:
    """A commit may have been lost: then it is enough that a member has read, and is not at work."""
    group = world.broker.groups.get(name, Group())
    for topic in topics:
        for place, end in world.broker.end(topic).items():
            read = max([group.committed.get(place, 0), *(m.positions.get(place, 0) for m in group.members)])
            if read != end:
                yield f"{name}: {place} is read up to {read} of {end}"


def _held(world: World, name: str) -> Iterator[str]:
    store = world.services[name].store
    for _, position in store.parked_records:
        yield f"{name}: {position} is parked"
    for id, letter in store.letters.held.items():
        if "skipped" not in letter:
            yield f"{name}: the dead letter {id} is neither applied nor skipped"


def problems(world: World) -> list[str]:
    """What is wrong with a run that has come to rest."""
    found = [*world.scheduler.crashes, *(wrong for request in world.requests for wrong in request.wrong)]
    found += [*_commands(world), *_numbers(world)]
    for name in PIPES:
        found += _applied(world, name)
    found += _directory(world)
    found += _feeds(world)
    return found


def _commands(world: World) -> Iterator[str]:
    """Every command once, its answer the same each time."""
    for request in world.requests:
        document = world.services[request.service].store.aggregates.get(request.aggregate)
        if document is None:
            yield f"{request.label}: answered, and there is no {request.aggregate}"
        elif "erased" not in document and request.label != "erase":
            times = _history(document, "commands").count(request.label)
            if times != 1:
                yield f"{request.label}: done {times} times"
            if len(set(request.answers)) != 1:
                yield f"{request.label}: answered {request.answers}"


def _numbers(world: World) -> Iterator[str]:
    """An aggregate's number is that of its last event; what was erased stays so."""
    for name, service in world.services.items():
        for id, document in service.store.aggregates.items():
            if "erased" in document:
                if document["state"] is not None:
                    yield f"{name}: {id} was erased, and is there again"
            elif name != "notifications" and document["seq"] != len(_history(document, "events")):
                yield f"{name}: {id} has number {document['seq']} after {_history(document, 'events')}"


def _applied(world: World, name: str) -> Iterator[str]:
    """Each stream is applied once and in order, by the aggregate that it feeds."""
    source, streams = PIPES[name]
    service = world.services[name]
    for stream in streams:
        made = world.services[source].store.aggregates.get(stream)
        fed = service.store.aggregates.get(toy.FED_BY[stream])
        if made is None or (fed and "erased" in fed):
            continue
        applied = [entry[1:] for entry in _history(fed, "applied") if entry[0] == stream]
        skipped = {letter["position"] for letter in service.store.letters.held.values() if "skipped" in letter}
        if made["state"] is None:  # erased: its events are told apart by their numbers alone
            labels = dict.fromkeys(_dead(service.store, stream), "poison") | dict(applied)
            history = [labels.get(seq, "?") for seq in range(1, made["seq"] + 1)]
        else:
            history = list(_history(made, "events"))
        expected = list(_expected(world.mended, stream, history, skipped))
        if applied != expected:
            yield f"{name}: {stream} should be {expected}, applied {applied}"


def _dead(store: MemoryStore, stream: str) -> list[int]:
    """Which numbers of a stream lie among the dead letters."""
    return [letter["position"].seq for letter in store.letters.held.values() if letter.get("stream") == stream]


def _expected(mended: bool, stream: str, labels: Sequence[str], skipped: Set[Position]) -> Iterator[tuple[int, str]]:
    """All but the skipped; as long as nobody mended anything: all before the first bad one."""
    for seq, label in enumerate(labels, start=1):
        if Position(stream, 1, seq) in skipped:
            continue
        if toy.is_bad(label) and not mended:
            return
        yield seq, label


def _directory(world: World) -> Iterator[str]:
    """Of reference data the latest: at the consumer, and on the broker for consumers that are still to come."""
    held = world.services["notifications"].store.aggregates.get(toy.DIRECTORY)
    state = (held["state"] if held else None) or {}
    there = {
        (record.headers["ce_stream"].decode(), int(record.headers["ce_streamseq"]))
        for place, log in world.broker.logs.items()
        for record in log
        if place[0] == "directory"
    }
    for organisation in toy.ORGANISATIONS:
        made = world.services["matching"].store.aggregates.get(organisation)
        if made and state.get(organisation) != made["state"]["events"][-1]:
            yield f"directory: {organisation} should be {made['state']['events'][-1]}, is {state.get(organisation)}"
        if made and (organisation, made["seq"]) not in there:
            yield f"directory: version {made['seq']} of {organisation} is not on the broker, only {sorted(there)}"


def _feeds(world: World) -> Iterator[str]:
    """Feeds are numbered 1, 2, 3 … and hold the lines of each case once, in order."""
    service = world.services["notifications"]
    for reader in ("reader-1", "reader-2"):
        lines = service.feeds.lines.get(reader, {})
        if list(lines) != list(range(1, len(lines) + 1)):
            yield f"feed of {reader}: numbers {list(lines)}"
        events = [line.event_id for line in lines.values()]
        if len(set(events)) != len(events):
            yield f"feed of {reader}: an event is there twice"
        for case, readers in toy.READERS.items():
            there = [
                _label(line.record.value) for line in lines.values() if toy.IDS[case].encode() in line.record.value
            ]
            expected = list(_history(service.store.aggregates.get(case), "lines")) if reader in readers else []
            if there != expected:
                yield f"feed of {reader}: of {case} it should have {expected}, has {there}"


def _label(value: bytes) -> str:
    return value.split(b'"reason":"')[1].split(b'"')[0].decode()


def _history(document: Document | None, name: str) -> Sequence[Any]:
    return (document["state"] or {}).get(name, ()) if document else ()
