"""`hulpketen audit tamper-test`: alters a copy of the trail in every way there is, and counts what is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated

import typer

from cli.options import DATA, Data


def tamper_test(
    entries: Annotated[int, typer.Option(min=300, help="Copy so many of the newest entries, and all tiles.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    data: Data = DATA,
) -> None:
    """Alter one entry of a copy of the trail in every way there is, and see whether a partner would find it.

    The check has what a partner has: one signed checkpoint from before, and the public key. Of the chain that runs on
    the data folder a part is copied, beside it; where none runs, a made-up trail is altered in a database of its own.
    The exit code is 1 where something was not found, or where a proof from before an erasure does not hold after it.

    Example: [bold]hulpketen audit tamper-test --json[/bold]
    """
    # The stores and the driver take a while to import: the other commands do without.
    from cli.audit.tamper.run import run  # noqa: PLC0415

    results, valid = asyncio.run(run(data, entries))
    found = sum(bool(what) for what in results.values())
    if as_json:
        print(json.dumps({"altered": len(results), "found": found, "proofsValidAfterErasure": valid}))
    else:
        _show(results, valid=valid)
    if found < len(results) or not valid:
        raise typer.Exit(1)


def _show(results: Mapping[str, str], *, valid: bool) -> None:
    for name, what in results.items():
        print(f"{'found    ' if what else 'NOT FOUND'}  {name}{f': {what}' if what else ''}")
    print(f"proofs from before an erasure hold after it: {'yes' if valid else 'NO'}")
