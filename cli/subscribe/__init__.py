"""`hulpketen subscribe`: follows a partner's feed in the terminal, and is a witness of the audit's trail."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cli.chain import Chain
from cli.options import DATA, Data
from cli.subscribe.feed import Feed
from cli.subscribe.subscriber import Alarm, Subscriber, token_of
from cli.trail import ALARMED
from cli.trail.memory import Memory
from cli.trail.remote import Remote


def subscribe(
    organisation: Annotated[str, typer.Option(help="Its id in the directory.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    cosign: Annotated[
        Path | None,
        typer.Option(help="Vouch for the trail with the key in this file; made where there is none.", dir_okay=False),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where to keep how far it has come; else in the data folder.", dir_okay=False)
    ] = None,
    data: Data = DATA,
) -> None:
    """Follow the feed of an organisation, and check that the audit's trail is never rewritten.

    Ctrl-C or SIGTERM ends it. Each checkpoint of the trail has to go on from the last one that was kept. Where one
    does not that is said, what shows it is kept in a file, and the exit code is 3.

    Example: [bold]hulpketen subscribe --organisation maatjes-voorbeeld --cosign maatjes.key[/bold]
    """
    # As Ctrl-C; that one is ignored where a script starts it in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    memory = Memory.load(state or data / "subscriptions" / f"{organisation}.json", "--state")
    with Chain(data) as chain:
        token = token_of(chain, organisation)
        with closing(Remote(chain.addresses["audit"], token)) as audit:
            feed = Feed(chain, token, memory.last)
            _follow(Subscriber(feed, audit, organisation, memory, as_json=as_json), cosign)


def _follow(subscriber: Subscriber, cosign: Path | None) -> None:
    try:
        subscriber.begin(cosign)
        subscriber.run()
    except KeyboardInterrupt:
        return
    except Alarm as alarm:
        subscriber.alarm(alarm)
        raise typer.Exit(ALARMED) from None
