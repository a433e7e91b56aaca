"""Metrics of the chassis, for Prometheus.

Labels have few values: a route's template, never a path; a type of the catalogue, or else "other"; no organisation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from typing import get_args

from hulpketen_contracts import CATALOGUE
from hulpketen_contracts.errors import Reason
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# When a counter began is told by Prometheus itself, and is a third of all lines.
disable_created_metrics()  # type: ignore[no-untyped-call]
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
AGES = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
OTHER = "other"
_TYPES = {name.encode(): name for name in CATALOGUE}

http_requests = Counter("hulpketen_http_requests", "Requests answered.", ["method", "route", "status"])
http_seconds = Histogram(
    "hulpketen_http_seconds", "Time to the first byte of the answer.", ["method", "route"], buckets=_SECONDS
)
ready = Gauge("hulpketen_ready", "1 where this check of `/readyz` passes, else 0.", ["check"])
events_taken = Counter(
    "hulpketen_events_taken", "Records taken from the broker; outcome: done, parked or dead.", ["type", "outcome"]
)
event_age_seconds = Histogram(
    "hulpketen_event_age_seconds", "From an event's `time` until its batch was done.", ["type"], buckets=AGES
)
batch_seconds = Histogram("hulpketen_batch_seconds", "Time that a batch of records took.", buckets=_SECONDS)
events_sent = Counter(
    "hulpketen_events_sent", "Records sent to the broker; outcome: acknowledged or failed.", ["type", "outcome"]
)
consumer_lag = Gauge("hulpketen_consumer_lag", "Records on the broker that this process has yet to take.", ["topic"])
outbox_waiting = Gauge("hulpketen_outbox_waiting", "Documents with events that are not published yet.", ["outbox"])
outbox_oldest_seconds = Gauge("hulpketen_outbox_oldest_seconds", "How long the oldest of them has waited.", ["outbox"])
parked = Gauge("hulpketen_parked", "Records that wait for what comes before them in their stream.")
parked_too_long = Gauge(
    "hulpketen_parked_too_long", "Streams that wait for a gap to close for longer than the alarm allows."
)
dead_letters = Counter("hulpketen_dead_letters", "Records put with the dead letters.", ["reason"])
# From 0 on, so that the first one is a rise.
for _reason in (*get_args(Reason), "decision-failed"):
    dead_letters.labels(_reason)
dead_letters_waiting = Gauge("hulpketen_dead_letters_waiting", "Dead letters neither replayed nor skipped.")
kept_batches = Gauge("hulpketen_kept_batches", "Batches of published events, kept for a broker that loses its log.")
clock_apart_seconds = Gauge("hulpketen_clock_apart_seconds", "Between the clock here and the one of the database.")
database_bytes = Gauge("hulpketen_database_bytes", "What the service's database takes on disk, with its indexes.")
database_disk_bytes = Gauge("hulpketen_database_disk_bytes", "The disk of the database; part: used or total.", ["part"])
spans_exported = Counter("hulpketen_spans_exported", "Spans that the exporter took.")
spans_dropped = Counter(
    "hulpketen_spans_dropped", "Spans that nobody took: the collector is away, or they came too fast."
)


def type_of(text: bytes | None) -> str:
    """The type of an event as a label."""
    return _TYPES.get(text or b"", OTHER)


def count(counter: Counter, outcomes: Mapping[tuple[str, ...], int]) -> None:
    """Count how often each of these labels came: once for each, since a count takes microseconds."""
    for labels, times in outcomes.items():
        counter.labels(*labels).inc(times)


def observe_all(histogram: Histogram, amounts: Sequence[float]) -> None:
    """As `observe` of prometheus_client (pinned: this is its inside) for each, at a tenth of the cost."""
    for place, times in Tally(bisect_left(histogram._upper_bounds, amount) for amount in amounts).items():
        histogram._buckets[place].inc(times)
    histogram._sum.inc(sum(amounts))
