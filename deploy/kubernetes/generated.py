"""Manifests that follow from other files: `python -m deploy.kubernetes.generated [--check]`.

Kafka's topics and users for Strimzi, and the alerts of deploy/observability for the Prometheus Operator.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.kafka import strimzi
from deploy.kafka.desired import desired

HERE = Path(__file__).parent
ALERTS = HERE.parent / "observability/prometheus/alerts"
_HEAD = "# Made by `make manifests`, of {source}: change that instead.\n"


def _topics() -> Iterable[Mapping[str, Any]]:
    """Those of the chain; a partner's are made when it comes (docs/operations/kubernetes.md)."""
    return strimzi.resources(desired("production"))


def _alerts() -> Iterable[Mapping[str, Any]]:
    """One PrometheusRule for each file of alerts, with the groups as they stand there."""
    for path in sorted(ALERTS.glob("*.yml")):
        yield {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": path.stem, "labels": {"app.kubernetes.io/part-of": "hulpketen"}},
            "spec": yaml.safe_load(path.read_text(encoding="utf-8")),
        }


_MADE: Mapping[str, tuple[str, Callable[[], Iterable[Mapping[str, Any]]]]] = {
    "kafka/topics.yaml": ("deploy/kafka/topics.toml and the contracts' catalogue", _topics),
    "components/monitoring/alerts.yaml": ("deploy/observability/prometheus/alerts", _alerts),
}


def main(check: bool) -> int:
    """Write them all, or say which is not as it should be: 1 then."""
    stale = []
    for name, (source, resources) in _MADE.items():
        text = _HEAD.format(source=source) + yaml.dump_all(resources(), Dumper=_Plain, sort_keys=False, width=120)
        path = HERE / name
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            stale.append(name)
        elif not check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stderr.write(f"deploy/kubernetes/{name} is not what it is made of: run `make manifests`\n")
    return bool(stale)


class _Plain(yaml.SafeDumper):
    """Writes a thing that comes twice twice: an anchor would be hard to read in a difference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
