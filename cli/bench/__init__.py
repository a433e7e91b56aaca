"""`hulpketen bench`: what the chain does in a second, each benchmark beside what it is compared with."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.bench import audit, chain, replicas, tracing

app = typer.Typer(help="Measure the chain on this machine.", no_args_is_help=True)
BENCHMARKS = {
    "chain": "from the signals topic to the municipality's feed, beside a bare chain of the same hops",
    "replicas": "what more processes of matching and notifications add, and what a signal takes up",
    "audit": "entries that the audit adds to its trail and signs, and what a proof costs then",
    "tracing": "what traces cost: none, 5 % and all of them, by turns in one run",
}


@app.command("list")
def list_benchmarks() -> None:
    """Name the benchmarks.

    Example: hulpketen bench list
    """
    for name, what in BENCHMARKS.items():
        typer.echo(f"{name}: {what}")


@app.command("chain")
def bench_chain(
    signals: Annotated[int, typer.Option(min=100, help="Signals fed in each round.")] = 10_000,
    lines: Annotated[int, typer.Option(min=100, help="Lines of the delivery.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure the chain beside a bare one, in one run on the same broker and database.

    Example: hulpketen bench chain --json
    """
    _show(asyncio.run(chain.measure(signals, lines, Console(stderr=True).print)), as_json)


@app.command("tracing")
def bench_tracing(
    signals: Annotated[int, typer.Option(min=100, help="Signals fed to each chain in each round.")] = 4_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; all three chains have a turn in each.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure what traces cost: three chains by turns, without traces, with 5 % of them and with all.

    Example: hulpketen bench tracing --json
    """
    _show(asyncio.run(tracing.measure(signals, rounds, Console(stderr=True).print)), as_json)


@app.command("audit")
def bench_audit(
    entries: Annotated[int, typer.Option(min=1_000, help="How long the trail becomes.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure the audit alone: records given to its writer, on a database of its own, signed in a second place.

    Example: hulpketen bench audit --json
    """
    _show(asyncio.run(audit.measure(entries, Console(stderr=True).print)), as_json)


@app.command("replicas")
def bench_replicas(
    counts: Annotated[
        str, typer.Option("--replicas", help="How many processes of each; each number is a round of its own.")
    ] = "1,2,4",
    signals: Annotated[int, typer.Option(min=100, help="Signals fed in each round.")] = 10_000,
    lines: Annotated[int, typer.Option(min=100, help="Lines of the delivery that sizes are taken from.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure what more processes of matching and notifications add on this machine.

    Example: hulpketen bench replicas --replicas 1,2 --json
    """
    if not re.fullmatch(r"[1-9]\d?(,[1-9]\d?)*", counts):
        raise typer.BadParameter(f"{counts} is no list of numbers from 1 to 99, as 1,2,4", param_hint="--replicas")
    wanted = [int(count) for count in counts.split(",")]
    _show(asyncio.run(replicas.measure(wanted, signals, lines, Console(stderr=True).print)), as_json)


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for name, value in found.items():
            typer.echo(f"{name}: {value}")
