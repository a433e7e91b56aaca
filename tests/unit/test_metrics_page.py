"""docs/metrics.md names what the services export."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from prometheus_client import REGISTRY

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
OF_THE_CLIENT = ("python_", "process_")
Row = tuple[str, str, tuple[str, ...], str]


def _written() -> set[Row]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {(name, kind, tuple(re.findall(r"\w+", labels)), what) for name, kind, labels, what in rows}


def _exported() -> set[Row]:
    found: set[Row] = set()
    for collector in set(REGISTRY._collector_to_names):
        for metric in collector.collect():
            if not metric.name.startswith(OF_THE_CLIENT):
                name = f"{metric.name}_total" if metric.type == "counter" else metric.name
                labels: tuple[str, ...] = getattr(collector, "_labelnames", ())
                found.add((name, metric.type, labels, metric.documentation))
    return found


def test_the_page_names_what_is_exported_and_nothing_else() -> None:
    for service in ("intake", "matching", "notifications", "audit"):
        import_module(f"services.{service}.main")
    assert _exported() == _written()
