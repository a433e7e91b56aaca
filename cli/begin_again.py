"""`hulpketen audit begin-again`: an honest new log, where the trail cannot go on from what was signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from hulpketen_contracts.trail.errors import Malformed
from hulpketen_contracts.trail.note import VerifierKey

from cli.backup import Prefix, Uri
from cli.options import DATA, Data
from deploy.backup.archive import BackupError
from deploy.backup.begin_again import Begun, begin_again
from deploy.backup.places import PREFIX, connected
from deploy.local.folder import DataFolder
from deploy.local.stack import LocalStack
from services.chassis.keys import FileKeyProvider


def begin(
    checkpoint: Annotated[Path, typer.Option(help="The last signed checkpoint that anybody holds.", dir_okay=False)],
    *,
    key: Annotated[
        str | None, typer.Option(help="The trail's public key (a vkey); else that of the data folder.")
    ] = None,
    uri: Uri = None,
    prefix: Prefix = PREFIX,
    data: Data = DATA,
) -> None:
    """Begin a new log after a loss: its first entry is the last checkpoint of the old one. The audit must be stopped.

    The entries that are left follow it. Partners see that a new log began, and where the old one ended.

    Example: [bold]hulpketen audit begin-again --checkpoint partners-checkpoint.txt[/bold]
    """
    try:
        text = checkpoint.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{checkpoint} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
    known = _key(key, text, data)

    def work(uri: str) -> Begun:
        with connected(uri) as client:
            return begin_again(client, f"{prefix}audit", text, [known])

    done = work(uri) if uri else asyncio.run(_beside(data, work))
    print(
        f"log {done.generation} begins with the checkpoint of log {done.generation - 1}; {done.entries} entries follow"
    )
    print("start the audit: it signs the new log, and partners are told of it")


async def _beside(data: Path, work: Callable[[str], Begun]) -> Begun:
    """Start the database of a data folder, without services, for as long as this takes."""
    async with LocalStack(data, run=()) as stack:
        return await asyncio.to_thread(work, stack.addresses["mongo"])


def _key(given: str | None, text: str, data: Path) -> VerifierKey:
    if given:
        try:
            return VerifierKey.parse(given)
        except Malformed as error:
            raise BackupError(f"--key: {error}") from error
    file = DataFolder(data).keys / "audit.json"
    if not file.exists():
        raise BackupError("say with --key by which public key the checkpoint is to be checked: GET /v1/trail/keys")
    origin, _, generation = text.partition("\n")[0].rpartition("/")
    if not generation.isdecimal():
        raise BackupError("the checkpoint is of no log of this chain: its first line is …/<number>")
    # The driver takes a while to import: the other commands do without.
    from services.audit.signing_key import LogKey  # noqa: PLC0415

    return LogKey(FileKeyProvider(file), origin, int(generation)).public()
