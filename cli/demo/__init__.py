"""`hulpketen demo`: a whole chain with the world around it, in a minute; it says whether anything went wrong."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.errors import StackError

PROCESSES = ("intake", "matching", "notifications", "audit", "database", "broker")
MOST_SIGNALS = 10_000
_MOST_LINES = 20
_INTERRUPTED = 130
Result = TypeVar("Result")


def demo(
    signals: Annotated[int, typer.Option(help="How many signals creditors send.", min=10, max=MOST_SIGNALS)] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Annotated[int | None, typer.Option(help="For the same people and signals again.")] = None,
    ddas: Annotated[
        Path | None, typer.Option(help="Instead, feed this delivery in DDAS JSON and say what came of each record.")
    ] = None,
    kill: Annotated[
        list[str] | None,
        typer.Option(help=f"kill -9 a process at a random moment; may be repeated. One of {', '.join(PROCESSES)}."),
    ] = None,
    stack: Annotated[
        str | None,
        typer.Option(help="Instead, play on a chain that runs: 'compose', or its stack.json.", metavar="FILE"),
    ] = None,
) -> None:
    """Start a chain of its own, play the world around it, and check that nothing was lost, doubled or told.

    Example: [bold]hulpketen demo --signals 500 --json[/bold]
    """
    if stack is not None and (kill or ddas):
        raise StackError("--stack plays on a chain that others use: it takes neither --kill nor --ddas")
    for name in kill or ():
        if name not in PROCESSES:
            raise StackError(f"there is no process '{name}': choose one of {', '.join(PROCESSES)}")
    if ddas is not None:
        _feed(ddas, as_json)
    else:
        _play(signals, random.randrange(10**6) if seed is None else seed, kill or [], stack, as_json)


def _play(signals: int, seed: int, kill: list[str], stack: str | None, as_json: bool) -> None:
    # Broker, database and web server take half a second to import: the other commands do without.
    from cli.demo import run  # noqa: PLC0415
    from cli.demo.progress import Show  # noqa: PLC0415
    from cli.demo.report import MUST_BE_ZERO  # noqa: PLC0415
    from cli.demo.target import described  # noqa: PLC0415

    plan, target = run.Plan(signals, seed, kill), described(stack) if stack else None
    with Show(signals) as show:
        show.say(f"seed {seed}")
        figures, wrong = _until_done(run.run_on(target, plan, show) if target else run.run(plan, show))
    _print(figures, as_json)
    for line in wrong[:_MOST_LINES]:
        print(line, file=sys.stderr)
    if any(figures[name] for name in MUST_BE_ZERO):
        raise typer.Exit(1)


def _feed(file: Path, as_json: bool) -> None:
    from cli.demo import ddas  # noqa: PLC0415

    delivery = ddas.read(file)
    figures = _until_done(ddas.feed(delivery, file.name))
    reasons = figures["reasons"]
    _print(figures if as_json else {name: value for name, value in figures.items() if name != "reasons"}, as_json)
    if not as_json:
        for each in reasons:
            said = "; ".join(f"{why['pointer']}: {why['message']} ({why['code']})" for why in each["reasons"])
            print(f"refused: record {each['record']} of municipality {each['municipality']}: {said}")


def _until_done(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it. Ctrl-C or SIGTERM ends it in order, and a second one does not cut that short."""

    async def main() -> Result:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, lambda: task.cancelling() or task.cancel())
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        print("hulpketen: interrupted; everything was stopped and removed", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None


def _print(figures: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
        return
    table = Table(show_header=False)
    for name, value in figures.items():
        table.add_row(name, json.dumps(value))
    Console().print(table)
