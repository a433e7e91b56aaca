"""`hulpketen token`: a bearer token for scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.chain import Chain
from cli.options import DATA, Data
from deploy.local.access import SCOPES, check_organisation, sample_organisations
from deploy.local.errors import StackError


def token(
    role: Annotated[
        str, typer.Option(help="sender, professional, coordinator, partner, operations or auditor.", show_default=False)
    ],
    organisation: Annotated[
        str | None, typer.Option(help="Its id in the directory; the role's first sample login if left out.")
    ] = None,
    municipality: Annotated[
        list[str] | None, typer.Option(help="Code of four digits; may be given again. Else the organisation's own.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Print a bearer token that is valid for an hour.

    Example: [bold]curl -H "Authorization: Bearer $(hulpketen token --role partner)" …[/bold]
    """
    municipalities = municipality or []
    for code in municipalities:
        if not re.fullmatch(r"[0-9]{4}", code):
            raise StackError(f"'{code}' is no municipality: give its code of four digits, such as 0106")
    with Chain(data) as chain:
        if organisation and role in SCOPES:
            found = _organisation(chain, role, organisation)
            municipalities = municipalities or found["municipalities"]
        print(chain.token(role, organisation, " ".join(municipalities)))


def _organisation(chain: Chain, role: str, organisation: str) -> Mapping[str, Any]:
    """One of the sample, or of the directory. Raises: StackError where it is in neither, or has not this role."""
    known = {each["id"]: each for each in sample_organisations()}
    if organisation not in known:
        known |= {each["id"]: each for each in chain.organisations()}
    return check_organisation(role, organisation, known.values())
