"""Metrics of the chassis, for Prometheus. Labels have few values: a route's template, never a path."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

http_requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"])
http_seconds = Histogram("http_seconds", "Time to the first byte of the answer.", ["route"], buckets=_SECONDS)
records_consumed = Counter("records_consumed", "Records taken from the broker.")
batch_seconds = Histogram("batch_seconds", "Time from a batch of records to its commit.", buckets=_SECONDS)
outbox_waiting = Gauge("outbox_waiting", "Aggregates with events that are not published yet.")
parked_too_long = Gauge("parked_too_long", "Streams that wait for a gap to close for longer than the alarm allows.")
