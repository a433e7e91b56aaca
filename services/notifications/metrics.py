"""What notifications tells of itself: feeds, and how long it took until a partner had what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from time import time
from typing import Literal, NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from services.chassis.metrics import AGES, observe_all

lines = Counter("hulpketen_notifications_lines", "Lines written in feeds.")
streams = Gauge("hulpketen_notifications_streams", "Event streams that are open in this process.")
organisations = Gauge("hulpketen_notifications_organisations", "Organisations in the directory that this process has.")
delivery_lines = Gauge(
    "hulpketen_notifications_delivery_lines", "Lines that have yet to be sent to the Kafka topics of partners."
)
delivery_oldest_seconds = Gauge(
    "hulpketen_notifications_delivery_oldest_seconds", "How long ago the oldest of them was written."
)
to_partner_seconds = Histogram(
    "hulpketen_notifications_to_partner_seconds",
    "From what happened until the partner had the line; way: feed, kafka or stream.",
    ["way"],
    buckets=AGES,
)
for _way in ("feed", "kafka", "stream"):
    to_partner_seconds.labels(_way)


class Times(NamedTuple):
    """Of a line, in seconds since 1970: when it was made, and when what led to it came into the chain."""

    made: float
    origin: float


def times(headers: Mapping[str, bytes]) -> Times:
    """The times in the headers of a line, which this service wrote itself."""
    made = datetime.fromisoformat(headers["ce_time"].decode()).timestamp()
    origin = headers.get("ce_origintime")
    return Times(made, datetime.fromisoformat(origin.decode()).timestamp() if origin else made)


def arrived(way: Literal["feed", "kafka", "stream"], of: Iterable[Times], since: float = 0) -> None:
    """These lines are there now; those that were made before `since` were late for another reason, and do not count."""
    now = time()
    ages = [max(0.0, now - each.origin) for each in of if each.made >= since]
    observe_all(to_partner_seconds.labels(way), ages)
