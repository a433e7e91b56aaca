"""Where the chain's spans go in a test: a receiver in memory, or a real Jaeger, with a collector before it if given."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from cli.spans import Span
from tests.otlp import Receiver

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "observability"
_WITHIN_S = 60
_ERROR = {"key": "error", "type": "bool", "value": True}


class Traces(Protocol):
    """`endpoint`: what TELEMETRY_ENDPOINT is to be."""

    endpoint: str

    def about(self, service: str, subject: str) -> list[Span]:
        """The spans of the trace in which this service processed an event about this; none if there is none yet."""


class InMemory:
    """What the receiver got."""

    def __init__(self, receiver: Receiver) -> None:
        self.endpoint = receiver.endpoint
        self._receiver = receiver

    def about(self, service: str, subject: str) -> list[Span]:
        named = (each for each in list(self._receiver.spans) if each.service == service)
        traces = {each.trace for each in named if each.attributes.get("cloudevents.event_subject") == subject}
        assert len(traces) < 2
        return [span for trace in traces for span in self._receiver.of(trace)]


class Jaeger:
    """What Jaeger's own interface shows, asked as its page asks."""

    def __init__(self, endpoint: str, query: str) -> None:
        self.endpoint = endpoint
        self._query = query

    def about(self, service: str, subject: str) -> list[Span]:
        tags = json.dumps({"cloudevents.event_subject": subject})
        asked = {"service": service, "tags": tags, "lookback": "1h", "limit": "20"}
        answer = httpx.get(f"{self._query}/api/traces", params=asked, trust_env=False).raise_for_status()
        traces = answer.json()["data"]
        assert len(traces) < 2
        return [_span(span, trace["processes"]) for trace in traces for span in trace["spans"]]


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    return Span(
        trace=span["traceID"],
        id=span["spanID"],
        parent=next((each["spanID"] for each in span["references"]), ""),
        name=span["operationName"],
        service=processes[span["processID"]]["serviceName"],
        start=span["startTime"] * 1000,
        end=(span["startTime"] + span["duration"]) * 1000,
        failed=_ERROR in span["tags"],
        attributes={tag["key"]: str(tag["value"]) for tag in span["tags"]},
    )


@contextmanager
def jaeger(folder: Path) -> Iterator[Jaeger]:
    """The Jaeger of JAEGER_BIN, and before it the collector of COLLECTOR_BIN, with the project's own configuration."""
    listen, query, health, metrics, grpc = (f"127.0.0.1:{port}" for port in _free_ports(5))
    settings = {"JAEGER_LISTEN": listen, "JAEGER_QUERY": query, "JAEGER_QUERY_GRPC": grpc, "JAEGER_HEALTH": health}
    settings |= {"JAEGER_METRICS_PORT": metrics.rpartition(":")[2], "JAEGER_DATA": str(folder)}
    program = [os.environ["JAEGER_BIN"], "--config", str(CONFIGURATION / "jaeger.yaml")]
    with _running(program, settings, f"http://{health}/status", folder / "jaeger.log"):
        if os.environ.get("COLLECTOR_BIN"):
            with _collector(folder, f"http://{listen}") as endpoint:
                yield Jaeger(endpoint, f"http://{query}")
        else:
            yield Jaeger(f"http://{listen}", f"http://{query}")


@contextmanager
def _collector(folder: Path, behind: str) -> Iterator[str]:
    listen, health, metrics = (f"127.0.0.1:{port}" for port in _free_ports(3))
    settings = {"COLLECTOR_LISTEN": listen, "COLLECTOR_HEALTH": health, "JAEGER_ENDPOINT": behind}
    settings["COLLECTOR_METRICS_PORT"] = metrics.rpartition(":")[2]
    program = [os.environ["COLLECTOR_BIN"], "--config", str(CONFIGURATION / "collector.yaml")]
    with _running(program, settings, f"http://{health}/", folder / "collector.log"):
        yield f"http://{listen}"


@contextmanager
def _running(program: list[str], settings: Mapping[str, str], health: str, log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(program, env={**os.environ, **settings}, stderr=output) as process:
        try:
            until = time.monotonic() + _WITHIN_S
            while not _answers(health):
                assert process.poll() is None, f"it ended at once: {log.read_text()[-2000:]}"
                assert time.monotonic() < until, f"{health} does not answer: {log.read_text()[-2000:]}"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
