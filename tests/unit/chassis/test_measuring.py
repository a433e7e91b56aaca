"""What is counted of a batch: by types of the catalogue, what came of each record, and how old it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from services.chassis import metrics
from services.chassis.measuring import measured
from services.chassis.pipeline.consumer import WAITS
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import DeadLetter, Record

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TYPE = "nl.hulpketen.cases.closed.v1"


def a_record(type: bytes | None, seconds_old: float = 0, offset: int = 0) -> Record:
    time = (NOW - timedelta(seconds=seconds_old)).isoformat().encode()
    headers = [("ce_time", time)] + ([("ce_type", type)] if type is not None else [])
    return Record("cases", 0, offset, b"", b"", headers)


def taken(type: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("hulpketen_events_taken_total", {"type": type, "outcome": outcome}) or 0


def younger(type: str, than: str) -> float:
    return REGISTRY.get_sample_value("hulpketen_event_age_seconds_bucket", {"type": type, "le": than}) or 0


async def test_each_record_counts_by_type_and_outcome_and_what_was_done_by_its_age() -> None:
    known = TYPE.encode()
    records = [a_record(known, 2), a_record(known, 40), a_record(known, 90), a_record(b"made.up.v1"), a_record(None)]
    parked, dead = DeadLetter(records[1], None, WAITS, ""), DeadLetter(records[4], None, "not-an-event", "")
    cases = [(TYPE, "done"), (TYPE, "parked"), (metrics.OTHER, "done"), (metrics.OTHER, "dead")]
    before = [taken(*case) for case in cases], [younger(TYPE, than) for than in ("2.5", "60.0", "300.0")]

    async def handle(_: Sequence[Record]) -> list[DeadLetter]:
        return [parked, dead]

    await measured(handle, lambda: NOW)(records)

    assert [taken(*case) - had for case, had in zip(cases, before[0], strict=True)] == [2, 1, 1, 1]
    ages = [younger(TYPE, than) for than in ("2.5", "60.0", "300.0")]
    assert [now - had for now, had in zip(ages, before[1], strict=True)] == [1, 1, 2]


@pytest.mark.parametrize("time", [b"yesterday", b"2026-11-22T09:30:00", b"\xff", None])
async def test_a_time_that_nobody_can_read_stops_nothing(time: bytes | None) -> None:
    before = taken(TYPE, "done")

    async def handle(_: Sequence[Record]) -> list[DeadLetter]:
        return []

    record = Record("cases", 0, 0, b"", b"", [("ce_type", TYPE.encode()), ("ce_time", time)])
    await measured(handle, lambda: NOW)([record])
    assert taken(TYPE, "done") == before + 1


async def test_a_batch_that_comes_again_counts_once() -> None:
    before, tries = taken(TYPE, "done"), iter((True, False))

    async def handle(_: Sequence[Record]) -> list[DeadLetter]:
        if next(tries):
            raise StoreUnavailable
        return []

    batch = measured(handle, lambda: NOW)
    with pytest.raises(StoreUnavailable):
        await batch([a_record(TYPE.encode())])
    await batch([a_record(TYPE.encode())])
    assert taken(TYPE, "done") == before + 1


def test_all_at_once_is_as_one_by_one() -> None:
    registry = CollectorRegistry()
    amounts = [0.0, 0.025, 0.026, 3, 7200, 10_000]
    at_once, each = (Histogram(name, "", buckets=metrics.AGES, registry=registry) for name in ("a", "b"))
    metrics.observe_all(at_once, amounts)
    for amount in amounts:
        each.observe(amount)
    ((first, second),) = [tuple(registry.collect())]
    plain = [[(s.name[1:], s.labels, s.value) for s in metric.samples] for metric in (first, second)]
    assert plain[0] == plain[1]
