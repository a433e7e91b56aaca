"""`hulpketen republish`: publish again what a broker lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.chain import Chain, content
from cli.options import DATA, Data
from deploy.local.errors import StackError


def republish(
    since: Annotated[
        datetime,
        typer.Option(
            help="From when on, in UTC unless it names an offset.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        ),
    ],
    data: Data = DATA,
) -> None:
    """Have every service publish again what it published since then. Readers drop what they have seen.

    The embedded broker needs no help with this; it is for a Kafka that lost its log. Of the directory the latest is
    published again at any time.

    Example: [bold]hulpketen republish --since 2026-11-01T06:00:00[/bold]
    """
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise StackError(f"{since} lies in the future: nothing was published since then")
    with Chain(data) as chain:
        for service in chain.services:
            answer = content(chain.operate("POST", service, "republish", {"since": moment.isoformat()}))
            batches = answer["batches"]
            print(f"{service}: {batches} {'batch is' if batches == 1 else 'batches are'} published again")
