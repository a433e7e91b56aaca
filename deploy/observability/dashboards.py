"""Grafana's dashboards, from what each panel asks: `python -m deploy.observability.dashboards` writes the JSON anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3


class Panel(NamedTuple):
    """A question to Prometheus, with what a line of the answer is called; `kind`: a type of panel of Grafana."""

    title: str
    asks: str
    called: str = "{{service}}"
    unit: str = "short"
    kind: str = "timeseries"


def _rate(counter: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


def _quantile(histogram: str, by: str, q: float = 0.99, where: str = "") -> str:
    return f"histogram_quantile({q}, {_rate(f'{histogram}_bucket', f'{by}, le', where)})"


def _errors(where: str = "") -> str:
    every = _rate("hulpketen_http_requests_total", "service", where)
    errors = _rate("hulpketen_http_requests_total", "service", where + 'status=~"5.."')
    return f"({errors} or 0 * {every}) / {every}"


CHAIN = (
    Panel("Ready", "min by (service) (hulpketen_ready)", kind="stat"),
    Panel("Requests", _rate("hulpketen_http_requests_total", "service"), unit="reqps"),
    Panel("Errors of our own", _errors(), unit="percentunit"),
    Panel("Requests, slowest of a hundred", _quantile("hulpketen_http_seconds", "service"), unit="s"),
    Panel("Events taken", _rate("hulpketen_events_taken_total", "service"), unit="cps"),
    Panel("Consumer lag", "sum by (service, topic) (hulpketen_consumer_lag)", "{{service}}: {{topic}}"),
    Panel("Outboxes", "max by (service, outbox) (hulpketen_outbox_waiting)", "{{service}}: {{outbox}}"),
    Panel("Oldest in an outbox", "max by (service) (hulpketen_outbox_oldest_seconds)", unit="s"),
    Panel("Dead letters", "max by (service) (hulpketen_dead_letters_waiting)"),
    Panel("Parked records", "max by (service) (hulpketen_parked)"),
    Panel("Streams with a gap for too long", "max by (service) (hulpketen_parked_too_long)"),
    Panel("Trail: seconds behind", "max(hulpketen_audit_lag_seconds)", "audit", "s"),
    Panel(
        "Disk of the database",
        'max by (service) (hulpketen_database_disk_bytes{part="used"})'
        ' / max by (service) (hulpketen_database_disk_bytes{part="total"})',
        unit="percentunit",
    ),
    Panel("Clocks apart", "max by (service) (hulpketen_clock_apart_seconds)", unit="s"),
    Panel("Memory", 'sum by (service) (process_resident_memory_bytes{job="hulpketen"})', unit="bytes"),
)
PARTNERS = (
    Panel(
        "To a partner, median",
        _quantile("hulpketen_notifications_to_partner_seconds", "way", 0.5),
        "{{way}}",
        "s",
    ),
    Panel(
        "To a partner, slowest of a hundred",
        _quantile("hulpketen_notifications_to_partner_seconds", "way"),
        "{{way}}",
        "s",
    ),
    Panel("Lines written in feeds", "sum(rate(hulpketen_notifications_lines_total[$__rate_interval]))", "lines", "cps"),
    Panel("Open event streams", "sum(hulpketen_notifications_streams)", "streams"),
    Panel("Lines that wait for Kafka topics", "max(hulpketen_notifications_delivery_lines)", "lines"),
    Panel("Oldest of them", "max(hulpketen_notifications_delivery_oldest_seconds)", "oldest", "s"),
    Panel("Organisations known", "min(hulpketen_notifications_organisations)", "organisations", kind="stat"),
    Panel("Services of help known", "min(hulpketen_matching_services)", "services", kind="stat"),
    Panel("Signals in deliveries", _rate("hulpketen_intake_delivery_lines_total", "outcome"), "{{outcome}}", "cps"),
    Panel("Messages with codes", _rate("hulpketen_intake_messages_total", "outcome"), "{{outcome}}", "cps"),
)
_LOGGED = 'service="audit", type="nl.hulpketen.processing-activities.logged.v1"'
TRAIL = (
    Panel("Writers", "sum(hulpketen_audit_writing)", "writers", kind="stat"),
    Panel("Signing has stopped", "max(hulpketen_audit_signing_stopped)", "stopped", kind="stat"),
    Panel("Two histories were signed", "sum(hulpketen_audit_forks_total)", "forks", kind="stat"),
    Panel("Altered contents", "sum(hulpketen_audit_contents_altered_total)", "altered", kind="stat"),
    Panel("Entries added", "sum(rate(hulpketen_audit_entries_total[$__rate_interval]))", "entries", "cps"),
    Panel("Seconds behind", "max(hulpketen_audit_lag_seconds)", "audit", "s"),
    Panel("Entries that are signed", "max(hulpketen_audit_signed_entries)", "signed"),
    Panel("Entries that wait to be signed", "max(hulpketen_audit_unsigned_entries)", "unsigned"),
    Panel("Age of the last checkpoint", "max(hulpketen_audit_checkpoint_age_seconds)", "age", "s"),
    Panel(
        "Failures of the second place",
        "sum(rate(hulpketen_audit_place_failures_total[$__rate_interval]))",
        "failures",
        "cps",
    ),
    Panel("Entries that partners were told of", "max(hulpketen_audit_announced_entries)", "announced"),
    Panel("Organisations that vouch", "max(hulpketen_audit_witnesses)", "witnesses"),
    Panel("Of them behind", "max(hulpketen_audit_witnesses_behind)", "behind"),
    Panel("Entries that somebody vouches for", "max(hulpketen_audit_cosigned_entries)", "cosigned"),
    Panel(
        "Lines of the processing log, slowest of a hundred to the trail",
        _quantile("hulpketen_event_age_seconds", "service", where=_LOGGED),
        unit="s",
    ),
    Panel(
        "Lines of the processing log that wait to be sent, oldest",
        'max by (service) (hulpketen_outbox_oldest_seconds{outbox="looks"})',
        unit="s",
    ),
)
_OF = 'service=~"$service"'
SERVICE = (
    Panel("Requests by route", _rate("hulpketen_http_requests_total", "method, route", _OF), "{{method}} {{route}}"),
    Panel("Answers by status", _rate("hulpketen_http_requests_total", "status", _OF), "{{status}}", "reqps"),
    Panel("Slowest of a hundred by route", _quantile("hulpketen_http_seconds", "route", where=_OF), "{{route}}", "s"),
    Panel("Events taken by type", _rate("hulpketen_events_taken_total", "type", _OF), "{{type}}", "cps"),
    Panel("Events taken by outcome", _rate("hulpketen_events_taken_total", "outcome", _OF), "{{outcome}}", "cps"),
    Panel(
        "Age of events when done, slowest of a hundred",
        _quantile("hulpketen_event_age_seconds", "type", where=_OF),
        "{{type}}",
        "s",
    ),
    Panel("Events sent by type", _rate("hulpketen_events_sent_total", "type", _OF), "{{type}}", "cps"),
    Panel("Events sent by outcome", _rate("hulpketen_events_sent_total", "outcome", _OF), "{{outcome}}", "cps"),
    Panel(
        "Time of a batch, slowest of a hundred", _quantile("hulpketen_batch_seconds", "service", where=_OF), unit="s"
    ),
    Panel("Kept batches", f"max by (service) (hulpketen_kept_batches{{{_OF}}})"),
    Panel("Database", f"max by (service) (hulpketen_database_bytes{{{_OF}}})", unit="bytes"),
    Panel("Processor", f"rate(process_cpu_seconds_total{{{_OF}}}[$__rate_interval])", "{{service}} {{instance}}"),
)
_VARIABLE = {
    "name": "service",
    "label": "Service",
    "type": "query",
    "datasource": SOURCE,
    "query": "label_values(hulpketen_ready, service)",
    "refresh": 2,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
}


def dashboard(
    uid: str, title: str, panels: Sequence[Panel], variables: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """A dashboard of three columns in Grafana's own form."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["hulpketen"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": list(variables)},
        "panels": [_panel(n, panel) for n, panel in enumerate(panels)],
    }


def _panel(n: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": n + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": n % _COLUMNS * _WIDTH, "y": n // _COLUMNS * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": panel.asks, "legendFormat": panel.called}],
    }


def all_dashboards() -> dict[str, str]:
    """The text of each file by its name."""
    made = (
        dashboard("hulpketen-chain", "Hulpketen: the chain", CHAIN),
        dashboard("hulpketen-partners", "Hulpketen: partners", PARTNERS),
        dashboard("hulpketen-trail", "Hulpketen: the trail", TRAIL),
        dashboard("hulpketen-service", "Hulpketen: one service", SERVICE, [_VARIABLE]),
    )
    return {f"{each['uid'].removeprefix('hulpketen-')}.json": json.dumps(each, indent=1) + "\n" for each in made}


if __name__ == "__main__":
    for name, text in all_dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
