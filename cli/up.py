"""`hulpketen up`: the whole chain on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.options import DATA, Data
from deploy.local import ports
from deploy.local.access import SCOPES, login_for, sample_logins

if TYPE_CHECKING:
    from deploy.local.stack import LocalStack


def up(
    data: Data = DATA,
    port_base: Annotated[
        int, typer.Option(help="First of seven ports: the start page; services, broker and database follow.")
    ] = 8000,
    sample: Annotated[bool, typer.Option(help="Load the made-up organisations, people and signals.")] = True,
) -> None:
    """Start broker, database and services, load the sample, and run until Ctrl-C. What was entered stays.

    Example: [bold]hulpketen up --data /tmp/second --port-base 8100[/bold]
    """
    asyncio.run(_run(data, port_base, sample, Console(), Console(stderr=True)))


async def _run(data: Path, port_base: int, sample: bool, out: Console, progress: Console) -> None:
    # Broker, database and web server take half a second to import: the other commands do without.
    from deploy.local.stack import LocalStack  # noqa: PLC0415

    stop = asyncio.Event()
    # They stay in place while the stack stops: a second Ctrl-C must not leave processes behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stack = LocalStack(data, port_base=port_base, sample=sample, on_change=_reporter(progress))
    asked_to_stop = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(stack.__aenter__())
    with progress.status("Starting the chain…"):
        await asyncio.wait([starting, asked_to_stop], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            return
        await starting
    try:
        _show(stack, out)
        await asked_to_stop
    finally:
        with progress.status("Stopping: services, broker, database…"):
            await stack.__aexit__(None, None, None)


def _reporter(progress: Console) -> Callable[[str, str], None]:
    def report(name: str, what: str) -> None:
        if what != "started":
            progress.print(f"{name} {what}; it is started again")

    return report


def _show(stack: LocalStack, out: Console) -> None:
    """Where everything is, and who one can be."""
    at = stack.addresses
    pages = Table("page", "address", title="The chain runs", title_justify="left")
    pages.add_row("start, logins, messages", at["issuer"])
    pages.add_row("financial test (residents)", f"{at['intake']}/test")
    pages.add_row("own data (residents)", f"{at['audit']}/my-data")
    pages.add_row("board (municipality, partners)", at["notifications"])
    pages.add_row("trail (auditors)", at["audit"])
    for name in ports.SERVICES:
        pages.add_row(f"API of {name}", f"{at[name]}/v1")
    pages.add_row("broker, database", f"{at['kafka']}, {ports.HOST}:{stack.ports['database']}")
    logins = Table("role", "sample login (choose it on the login page)", title="Logins", title_justify="left")
    for role in SCOPES:
        logins.add_row(role, login_for(role, None, None).label)
    out.print(pages, logins)
    out.print(f"All {len(sample_logins())} logins: {at['issuer']}\nData folder: {stack.folder.path}\nStop with Ctrl-C.")
