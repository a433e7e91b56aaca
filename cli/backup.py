"""`hulpketen backup` and `hulpketen backup-key`: all databases of the chain in one encrypted file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DATA, Data
from deploy.backup.archive import new_key, recipient
from deploy.backup.dump import dump
from deploy.backup.places import PREFIX, connected, databases
from deploy.local.folder import running_stack

Uri = Annotated[
    str | None,
    typer.Option(
        envvar="HULPKETEN_MONGO_URI",
        show_envvar=True,
        help="Connection string of the replica set; without it the local stack of the data folder.",
        show_default=False,
    ),
]
Services = Annotated[list[str] | None, typer.Option("--service", help="Of this service alone; may be given again.")]
Prefix = Annotated[str, typer.Option(help="Databases are named by this and the service.")]


def backup(
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, or the folder for it.")],
    to: Annotated[
        list[str],
        typer.Option(envvar="HULPKETEN_BACKUP_TO", help="Public key to encrypt to (age1…); may be given again."),
    ],
    *,
    uri: Uri = None,
    service: Services = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="Only the keys that a KMS wraps, in a file of their own.")
    ] = False,
    prefix: Prefix = PREFIX,
    data: Data = DATA,
) -> None:
    """Write the databases of all services to one encrypted file, as they are at one moment. The services go on.

    The services' own keys are not in it: without them no name in it can be read. Back up KEYS_FILE elsewhere, and with
    a KMS the keys that it wraps with --keys, to another place.

    Where services have a replica set each, back up each with --service and its --uri.

    Example: [bold]hulpketen backup -o /backups --to age1…[/bold]
    """
    recipients = [recipient(each) for each in to]
    path = output / f"hulpketen-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.age" if output.is_dir() else output
    with connected(uri or running_stack(data)["mongo"]) as client:
        done = dump(client, databases(service or (), prefix), path, recipients, keys=keys)
    size = path.stat().st_size
    print(f"{path}: {done.documents} documents of {done.collections} collections, {size / 1_000_000:.1f} MB")


def backup_key(
    file: Annotated[Path, typer.Argument(help="File for the secret key; only its owner may read it.", dir_okay=False)],
) -> None:
    """Make a key for backups: the secret one goes to a file, the public one, to encrypt to, is printed.

    The machine that makes backups needs the public key alone. age-keygen makes the same.

    Example: [bold]hulpketen backup-key backup.key[/bold]
    """
    print(new_key(file))
