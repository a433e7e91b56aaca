"""`hulpketen resident-code`: a code with which a resident sees what was done with their data."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.chain import Chain, content
from cli.options import DATA, Data


def resident_code(
    case: Annotated[str, typer.Argument(help="Id of the resident's case.", show_default=False)],
    organisation: Annotated[
        str | None, typer.Option(help="The municipality that asks; the first of the sample if left out.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Print a code to give to the resident, and nobody else, and the page where it is entered. It works once.

    Example: [bold]hulpketen resident-code 0f8fad5b-d9cb-469f-a165-70867728950e[/bold]
    """
    with Chain(data) as chain:
        given = content(chain.ask("POST", "audit", "/v1/resident-codes", "coordinator", organisation, {"case": case}))
        print(f"{given['code']}  until {given['expiresAt']}, at {chain.addresses['audit']}/my-data")
