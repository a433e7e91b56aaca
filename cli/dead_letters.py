"""`hulpketen dead-letters`: records that could not be applied, and what to do with each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from cli.chain import Chain, content
from cli.options import DATA, Data
from deploy.local.errors import StackError

app = typer.Typer(
    help="Records that could not be applied: list and show them, replay them once mended, or skip them for good.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(help="Id of the dead letter, as `list` shows it.", show_default=False)]
_PAGE = 500


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False, data: Data = DATA
) -> None:
    """List the dead letters of all services, the oldest of each first.

    Example: [bold]hulpketen dead-letters list --json | jq .reason[/bold]
    """
    with Chain(data) as chain:
        letters = [letter for service in chain.services for letter in _of(chain, service)]
    if as_json:
        for letter in letters:
            print(json.dumps(letter))
    elif letters:
        print_table(letters)
    else:
        print("There are no dead letters.")


@app.command()
def show(id: Id, data: Data = DATA) -> None:
    """Show one: where it came from and why it could not be applied. Never its bytes.

    Example: [bold]hulpketen dead-letters show 6731f0c2a4[/bold]
    """
    with Chain(data) as chain:
        service, letter = _find(chain, id)
        print(json.dumps({"service": service} | letter, indent=2))


@app.command()
def replay(id: Id, data: Data = DATA) -> None:
    """Apply it now that its cause is mended, and then what waits behind it, in order.

    Example: [bold]hulpketen dead-letters replay 6731f0c2a4[/bold]
    """
    with Chain(data) as chain:
        service, _ = _find(chain, id)
        content(chain.operate("POST", service, f"{_path(id)}/replay"))
        print(f"{service}: replayed")


@app.command()
def skip(
    id: Id,
    reason: Annotated[str, typer.Option(help="Why; kept with it. No personal data.", show_default=False)],
    data: Data = DATA,
) -> None:
    """Pass over it for good, and let through what waits behind it, in order.

    Example: [bold]hulpketen dead-letters skip 6731f0c2a4 --reason "sent by a test"[/bold]
    """
    with Chain(data) as chain:
        service, _ = _find(chain, id)
        content(chain.operate("POST", service, f"{_path(id)}/skip", {"reason": reason}))
        print(f"{service}: skipped")


def _of(chain: Chain, service: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        items = content(chain.operate("GET", service, f"dead-letters?limit={_PAGE}{after}"))["items"]
        yield from ({"service": service} | item for item in items)
        if len(items) < _PAGE:
            return
        after = f"&after={quote(str(items[-1]['id']), safe='')}"


def _find(chain: Chain, id: str) -> tuple[str, dict[str, Any]]:
    """The service that has it, and what it shows of it. Raises: StackError where none has."""
    for service in chain.services:
        response = chain.operate("GET", service, _path(id))
        if response.status_code != HTTPStatus.NOT_FOUND:
            return service, content(response)
    raise StackError(f"no service has a dead letter {id}")


def _path(id: str) -> str:
    return f"dead-letters/{quote(id, safe='')}"


def print_table(letters: Sequence[Mapping[str, Any]]) -> None:
    """A row a letter; where it was skipped its detail says so, with the reason."""
    table = Table("service", "id", "since", "topic", "reason", "detail", box=None)
    for column in table.columns:
        column.overflow = "fold"
    table.columns[1].no_wrap = True  # an id is there to be copied, however narrow the terminal
    for letter in letters:
        origin = f"{letter.get('topic', '')} {letter.get('partition', '')}/{letter.get('offset', '')}"
        shown = (letter["service"], letter["id"], str(letter.get("at", ""))[:19], origin, letter.get("reason", ""))
        skipped = f"skipped: {letter['skipped'].get('reason', '')}" if letter.get("skipped") else ""
        table.add_row(*map(str, shown), skipped or str(letter.get("detail") or ""))
    Console(markup=False).print(table)
