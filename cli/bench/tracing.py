"""The benchmark `tracing`: three chains side by side that take turns, without traces, with 5 % of them, with all."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from pymongo import AsyncMongoClient

from cli.bench.chain import WARM_UP, Say, chain_rate, until
from deploy.local.ports import SERVICES
from deploy.local.stack import LocalStack

SAMPLED_EVERY: Mapping[str, int] = {"off": 0, "sampled5": 20, "all": 1}
"""By the name of the chain: one signal in how many is of a trace that is kept; 0: nothing is traced at all."""
ENTRIES_A_SIGNAL = 3  # in the trail: the signal, the case, and what is proposed
_BROKER_LIMIT_MB = 2_000  # a broker that begins anew in the middle of a round would be measured, too
_EXPORTED, _DROPPED = "hulpketen_spans_exported_total", "hulpketen_spans_dropped_total"
_CPU = "process_cpu_seconds_total"


@dataclass(frozen=True)
class _Runner:
    """One of the chains."""

    stack: LocalStack
    every: int
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def measure(signals: int, rounds: int, say: Say) -> dict[str, Any]:
    """All figures of `hulpketen bench tracing`, by the names under which it prints them.

    Each round measures all three, in another order; a cost is the median over the rounds, so that what else the
    machine does meanwhile counts for all alike. Spans go where they would go in production, to a collector, which
    here throws them away.
    """
    async with AsyncExitStack() as cleanup:
        collector = await asyncio.start_server(_throw_away, "127.0.0.1", 0)
        await cleanup.enter_async_context(collector)
        endpoint = "http://{}:{}".format(*collector.sockets[0].getsockname())
        runners: dict[str, _Runner] = {}
        for name, every in SAMPLED_EVERY.items():
            say(f"starting the chain {name} …")
            folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="hulpketen-bench-"))
            settings = dict.fromkeys(SERVICES, _settings(every, endpoint))
            stack = LocalStack(Path(folder), sample=True, env=settings, broker_limit_mb=_BROKER_LIMIT_MB)
            runners[name] = _Runner(await cleanup.enter_async_context(stack), every)
        names = list(runners)
        for n in range(rounds):
            for name in names[n % len(names) :] + names[: n % len(names)]:
                runner = runners[name]
                await _round(runner, signals)
                say(f"round {n + 1}, {name}: {runner.rates[-1]:,.0f} events/s")
        spans = {name: await _counts(runner.stack) for name, runner in runners.items()}
    rates = {name: runner.rates for name, runner in runners.items()}
    return {
        **{name: round(median(each)) for name, each in rates.items()},
        "costAt5Percent": _cost(rates["off"], rates["sampled5"]),
        "costAtAll": _cost(rates["off"], rates["all"]),
        "cpuMsPerSignal": {name: round(median(runner.cpu_ms), 3) for name, runner in runners.items()},
        "spansExported": {name: round(each[_EXPORTED]) for name, each in spans.items()},
        "spansDropped": {name: round(each[_DROPPED]) for name, each in spans.items()},
        "rounds": rounds,
    }


def _settings(every: int, endpoint: str) -> dict[str, str]:
    if not every:
        return {"TELEMETRY_EXPORTER": "none"}
    ratio = str(1 / every)
    return {"TELEMETRY_EXPORTER": "otlp", "TELEMETRY_ENDPOINT": endpoint, "TELEMETRY_SAMPLE_RATIO": ratio}


def _cost(without: list[float], with_traces: list[float]) -> float:
    """The part of the throughput that traces take; of each round by itself, and of these the median."""
    return round(median(1 - traced / bare for bare, traced in zip(without, with_traces, strict=True)), 3)


async def _round(runner: _Runner, signals: int) -> None:
    """Returns when the audit has all of it as well, so that the next chain has the machine for itself."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(runner.stack.addresses["mongo"])
    entries = client["hulpketen_audit"]["entries"]
    before, cpu_s = await entries.estimated_document_count(), (await _counts(runner.stack))[_CPU]
    runner.rates.append(await chain_rate(runner.stack, signals, runner.every))
    await until(entries.estimated_document_count, before + (signals + WARM_UP) * ENTRIES_A_SIGNAL)
    cpu_s = (await _counts(runner.stack))[_CPU] - cpu_s
    runner.cpu_ms.append(cpu_s * 1_000 / (signals + WARM_UP))
    await client.close()


async def _counts(stack: LocalStack) -> dict[str, float]:
    """Spans that the services of a chain exported and dropped, and seconds of a processor that they used, in all."""
    found = dict.fromkeys((_EXPORTED, _DROPPED, _CPU), 0.0)
    headers = {"Authorization": f"Bearer {stack.token('operations')}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        for service in SERVICES:
            page = (await client.get(f"{stack.addresses[service]}/metrics", headers=headers)).raise_for_status().text
            for name, _, value in (line.partition(" ") for line in page.splitlines()):
                if name in found:
                    found[name] += float(value)
    return found


async def _throw_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A collector that answers every request with 200, and reads no more of it than it must."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
