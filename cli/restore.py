"""`hulpketen restore`: databases of the chain back from a backup."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.backup import Prefix, Services, Uri
from cli.options import DATA, Data
from deploy.backup import load
from deploy.backup.archive import BackupError, identities
from deploy.backup.places import PREFIX, connected, databases
from deploy.local.stack import LocalStack

_pseudonym = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", dir_okay=False)],
    key: Annotated[Path, typer.Option(help="File with the secret key.", dir_okay=False)],
    *,
    uri: Uri = None,
    service: Services = None,
    replace: Annotated[bool, typer.Option("--replace", help="Drop what is in the databases now.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Read all of it, and change nothing.")] = False,
    erasures: Annotated[
        Path | None, typer.Option(help="Persons to erase again: a pseudonym a line.", dir_okay=False)
    ] = None,
    prefix: Prefix = PREFIX,
    data: Data = DATA,
) -> None:
    """Bring the databases of all services back, or with --service of one, from a backup. The services must be stopped.

    The whole file is looked at before anything is changed. At its next start a service first takes again what came
    since the backup, as far as the broker still has it; persons that any present database knows as erased are erased
    again.

    Example: [bold]hulpketen restore /backups/hulpketen-20261101T030000Z.age --key backup.key --service matching[/bold]
    """
    keys = identities(key)
    if check:
        found = load.check(file, keys)
        for name, count in found.documents.items():
            print(f"{name}: {count} documents")
        print(f"{file} is whole; it was taken at {found.taken_at:%Y-%m-%d %H:%M:%S} UTC")
        return
    given = _pseudonyms(erasures) if erasures else frozenset[str]()
    chosen = databases(service or (), prefix)

    def work(uri: str) -> load.Checked:
        with connected(uri) as client:
            known = load.erased_now(client, databases((), prefix).values())
            return load.load(client, file, keys, load.Plan(chosen, replace, known | given))

    done = work(uri) if uri else asyncio.run(_beside(data, work))
    _tell(done, chosen)


async def _beside(data: Path, work: Any) -> load.Checked:
    """Start the database of a data folder, without services, for as long as this takes."""
    async with LocalStack(data, run=()) as stack:
        done: load.Checked = await asyncio.to_thread(work, stack.addresses["mongo"])
        return done


def _tell(done: load.Checked, chosen: Mapping[str, str]) -> None:
    for name in chosen:
        print(f"{name}: {done.documents.get(name, 0)} documents of {done.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    if done.keys:
        print("restored: the keys alone")
    else:
        print("restored: start the services; each says in its log when it has caught up")


def _pseudonyms(path: Path) -> frozenset[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
    for number, line in enumerate(lines, start=1):
        if line and not _pseudonym(line):
            raise BackupError(f"{path}, line {number}: not a pseudonym (a UUID in small letters)")
    return frozenset(filter(None, lines))
