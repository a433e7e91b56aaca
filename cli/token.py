"""`hulpketen token`: a bearer token for scripts."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.chain import Chain
from cli.options import DATA, Data


def token(
    role: Annotated[
        str, typer.Option(help="sender, professional, coordinator, partner, operations or auditor.", show_default=False)
    ],
    organisation: Annotated[str | None, typer.Option(help="Its id; the role's first sample login if left out.")] = None,
    municipality: Annotated[
        list[str] | None, typer.Option(help="Code of four digits; may be given again. Else the organisation's own.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Print a bearer token that is valid for an hour.

    Example: [bold]curl -H "Authorization: Bearer $(hulpketen token --role partner)" …[/bold]
    """
    with Chain(data) as chain:
        print(chain.token(role, organisation, " ".join(municipality or ())))
