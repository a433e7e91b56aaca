"""Reading all databases of the chain as they were at one moment, while the services go on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from pymongo.client_session import ClientSession

from deploy.backup.archive import FORMAT, Writer
from deploy.backup.places import KEYS, LEFT_OUT, Client

_AT_ONCE = 500


class Dumped(NamedTuple):
    """What went into a backup."""

    documents: int
    collections: int


class _Collection(NamedTuple):
    service: str
    database: str
    name: str
    options: dict[str, Any]
    indexes: list[dict[str, Any]]


def dump(
    client: Client, databases: Mapping[str, str], path: Path, recipients: list[Any], *, keys: bool = False
) -> Dumped:
    """Write a backup of these databases, by service, to a file; or of the `keys` in them alone.

    Raises BackupError, PyMongoError.

    All is read at one cluster time (readConcern snapshot): of no database later than of another.
    """
    # Before the first read: what is made after it, no snapshot of that moment can show.
    every = [each for service, name in databases.items() for each in _collections(client, service, name)]
    collections = [each for each in every if (each.name == KEYS) is keys]
    with Writer(path, recipients) as writer, client.start_session(snapshot=True) as session:
        taken_at = datetime.now(UTC)
        writer.put({"format": FORMAT, "keys": keys, "takenAt": taken_at, "services": list(databases)})
        total = sum(_write(client, each, session, writer) for each in collections)
        writer.put({"total": total, "collections": len(collections)})
    return Dumped(total, len(collections))


def _collections(client: Client, service: str, database: str) -> list[_Collection]:
    found = []
    for each in client[database].list_collections():
        name = each["name"]
        if each["type"] == "collection" and name not in LEFT_OUT and not name.startswith("system."):
            indexes = [dict(index) for index in client[database][name].list_indexes() if index["name"] != "_id_"]
            found.append(_Collection(service, database, name, each.get("options", {}), indexes))
    return sorted(found, key=lambda each: each.name)


def _write(client: Client, each: _Collection, session: ClientSession, writer: Writer) -> int:
    """The documents of one collection, in portions as the database gives them: memory stays small."""
    head = {"collection": each.name, "service": each.service, "options": each.options, "indexes": each.indexes}
    writer.put(head)
    count, digest = 0, hashlib.sha256()
    batches = client[each.database][each.name].find_raw_batches(session=session, batch_size=_AT_ONCE)
    for raw in cast(Iterable[bytes], batches):
        count += _count(raw)
        digest.update(raw)
        writer.put({"documents": raw})
    writer.put({"end": each.name, "count": count, "sha256": digest.digest()})
    return count


def _count(raw: bytes) -> int:
    """How many BSON documents stand one after another: each begins with its size."""
    count = at = 0
    while at < len(raw):
        at += int.from_bytes(raw[at : at + 4], "little")
        count += 1
    return count
