"""`hulpketen contracts`: the generated files of the contracts, and what a change of them would break."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import hulpketen_contracts
import typer
from hulpketen_contracts import export as generated

app = typer.Typer(no_args_is_help=True, help="Schemas of the events: generate them, and see what a change breaks.")

_SOURCE = Path(hulpketen_contracts.__file__).resolve().parent.parent

Directory = Annotated[
    Path, typer.Option("--directory", help="The contracts folder, with schemas/, baseline/ and asyncapi.json.")
]


@app.command(epilog="Example: hulpketen contracts check")
def check(directory: Directory = _SOURCE) -> None:
    """Compare with the released schemas, and name each change that breaks a reader or a writer (exit 1)."""
    try:
        found = generated.breaks(directory)
    except (OSError, ValueError) as error:
        typer.echo(f"contracts: {error}", err=True)
        raise typer.Exit(1) from None
    for change in found:
        typer.echo(str(change))
    if found:
        typer.echo(f"contracts: {len(found)} changes break; put them into a new version of the event", err=True)
        raise typer.Exit(1)
    typer.echo("contracts: nothing breaks", err=True)


@app.command(epilog="Example: hulpketen contracts export --check")
def export(
    compare: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file is stale.")] = False,
    directory: Directory = _SOURCE,
) -> None:
    """Write the JSON Schemas and the AsyncAPI document, and name the files that changed."""
    try:
        changed = generated.stale(directory) if compare else generated.write(directory)
    except OSError as error:
        typer.echo(f"contracts: {error}", err=True)
        raise typer.Exit(1) from None
    for path in changed:
        typer.echo(path)
    if changed and compare:
        typer.echo("contracts: stale; `hulpketen contracts export` writes them", err=True)
        raise typer.Exit(1)
