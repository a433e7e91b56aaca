"""Bringing databases back from a backup: the whole file is looked at first, and nothing half-restored is ever used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import bson
from pymongo import ReplaceOne
from pymongo.collection import Collection as MongoCollection

from deploy.backup.archive import FORMAT, BackupError, Document, reading
from deploy.backup.places import KEYS, RAW, SERVICES, Client
from services.chassis.mongo.restored import ERASURES, MARK, RESTORED, RESTORING


class Checked(NamedTuple):
    """A backup that is whole: when it was taken, of which services, and how many documents of each it holds.

    `keys`: it holds the wrapped keys of the databases, and nothing else.
    """

    keys: bool
    taken_at: datetime
    services: list[str]
    documents: dict[str, int]


class Plan(NamedTuple):
    """What to restore: the databases by service; `replace` what is there; `erased`: persons to erase again."""

    databases: Mapping[str, str]
    replace: bool
    erased: frozenset[str]


def check(path: Path, keys: list[Any]) -> Checked:
    """Read all of a backup, and write nothing. Raises BackupError where it is not whole, or not for these keys."""
    documents: dict[str, int] = {}
    with reading(path, keys) as found:
        head = next(found, {})
        if head.get("format") != FORMAT:
            raise BackupError(f"{path} is no backup that this version can read ({head.get('format', 'no head')})")
        for service, _, count in _collections(found, path, lambda _, __: None):
            documents[service] = documents.get(service, 0) + count
    return Checked(head["keys"], head["takenAt"].replace(tzinfo=UTC), list(head["services"]), documents)


def load(client: Client, path: Path, keys: list[Any], plan: Plan) -> Checked:
    """Restore these databases. The services must be stopped; each catches up at its next start.

    Raises BackupError, and nothing was changed, where the backup is not whole or something is in the way. What fails
    after that leaves databases that no service starts on: run it again.
    """
    checked = check(path, keys)
    missing = sorted(set(plan.databases) - set(checked.services))
    if missing:
        raise BackupError(f"{path} holds nothing of {', '.join(missing)}, only {', '.join(checked.services)}")
    for service, name in plan.databases.items():
        _free(client, service, name, {KEYS} if checked.keys else None, plan.replace)
    for name in plan.databases.values():
        if checked.keys:
            client[name].drop_collection(KEYS)
        else:
            _empty(client, name, plan.erased)
    with reading(path, keys) as found:
        next(found)
        for _ in _collections(found, path, _Loading(client, plan.databases, checked.keys)):
            pass
    whole = set(plan.databases) == set(SERVICES)
    for name in () if checked.keys else plan.databases.values():
        _mark(client, name, checked.taken_at, whole)
    return checked


def erased_now(client: Client, databases: Collection[str]) -> frozenset[str]:
    """The persons whom any of these databases knows as erased: a backup may be of before that."""
    found: set[str] = set()
    for name in databases:
        found |= {str(each["_id"]) for each in client[name]["tombstones"].find({}, {"_id": 1})}
        found |= {str(each["_id"]) for each in client[name][ERASURES].find({}, {"_id": 1})}
        files = {"_id": {"$gte": "file-", "$lt": "file."}, "erased": {"$exists": True}}
        found |= {each["_id"].removeprefix("file-") for each in client[name]["aggregates"].find(files, {"_id": 1})}
    return frozenset(found)


def _free(client: Client, service: str, name: str, only: Collection[str] | None, replace: bool) -> None:
    """Raises BackupError where the service runs, or something stands where the backup (`only` of it) is to go."""
    now = client.admin.command("hello")["localTime"]
    held = client[name]["leases"].find_one({"holder": {"$ne": ""}, "until": {"$gt": now}})
    if held:
        raise BackupError(f"{service} is running ({held['holder']}): stop it, and wait until its leases have ended")
    mark = client[name][MARK].find_one({"_id": "mark"})
    half = bool(mark and mark["status"] == RESTORING)
    if replace or half:
        return
    for each in client[name].list_collection_names():
        concerned = each in only if only else each != KEYS and not each.startswith("system.")
        if concerned and client[name][each].find_one({}, {"_id": 1}):
            raise BackupError(f"the database {name} is not empty: --replace drops what is in it")


def _empty(client: Client, name: str, erased: Collection[str]) -> None:
    """First the mark, so that no service begins on what is half there; and who was erased, which the rest of the
    database says only until it is dropped: a restore that breaks off is run again."""
    client[name][MARK].update_one({"_id": "mark"}, {"$set": {"status": RESTORING}}, upsert=True)
    if erased:
        known = [ReplaceOne({"_id": each}, {"_id": each}, upsert=True) for each in sorted(erased)]
        client[name][ERASURES].bulk_write(known, ordered=False)
    for each in client[name].list_collection_names():
        if each not in (MARK, KEYS, ERASURES) and not each.startswith("system."):
            client[name].drop_collection(each)


def _mark(client: Client, name: str, taken_at: datetime, whole: bool) -> None:
    broker = client[name]["incarnation"].find_one({"_id": "broker"}) or {}
    held = client[name][MARK].find_one({"_id": "mark"}) or {}
    mark = {
        "status": RESTORED,
        "taken_at": taken_at,
        "restored_at": datetime.now(UTC),
        "whole": whole,
        "incarnation": broker.get("cluster_id", ""),
        "epoch": held.get("epoch", 1),
    }
    client[name][MARK].replace_one({"_id": "mark"}, mark, upsert=True)


class _Loading:
    """Writes the documents of the databases that are to be restored."""

    def __init__(self, client: Client, databases: Mapping[str, str], keys: bool) -> None:
        """`keys`: whether this is a backup of the wrapped keys."""
        self._client = client
        self._keys = keys
        self._databases = databases
        self._at: MongoCollection[Any] | None = None
        self._marks = False

    def __call__(self, head: Document | None, documents: bytes) -> None:
        """The head of a collection, or a portion of its documents."""
        if head is not None:
            self._at = self._begin(head) if head["service"] in self._databases else None
        elif self._at is not None and not self._marks:
            self._at.insert_many(bson.decode_all(documents, RAW), ordered=False)
        elif self._at is not None:  # the mark of an earlier restore: no epoch that was begun is given again
            for mark in bson.decode_all(documents):
                self._at.update_one({"_id": "mark"}, {"$max": {"epoch": mark.get("epoch", 1)}})

    def _begin(self, head: Document) -> MongoCollection[Any] | None:
        database, name = self._client[self._databases[head["service"]]], head["collection"]
        if name in (KEYS, ERASURES) and not self._keys:
            raise BackupError(f"the file has a collection {name} that no backup holds: somebody else made it")
        self._marks = name == MARK
        if self._marks:
            return database[MARK]
        database.create_collection(name, **head["options"])
        if head["indexes"]:
            database.command("createIndexes", name, indexes=head["indexes"])
        return database.get_collection(name, codec_options=RAW)


def _collections(
    found: Iterator[Document], path: Path, take: Callable[[Document | None, bytes], None]
) -> Iterator[tuple[str, str, int]]:
    """Service, name and number of documents of each collection, once it was given to `take` and proved whole."""
    total = 0
    broken = BackupError(f"{path} does not hold what it says: nothing of it is used; take another copy")
    for head in found:
        if "total" in head:
            if head["total"] != total or next(found, None) is not None:
                raise broken
            return
        take(head, b"")
        count, digest = 0, hashlib.sha256()
        for part in found:
            if "end" in part:
                break
            digest.update(part["documents"])
            count += len(bson.decode_all(part["documents"], RAW))
            take(None, part["documents"])
        else:
            raise broken
        if (part["end"], part["count"], part["sha256"]) != (head["collection"], count, digest.digest()):
            raise broken
        total += count
        yield head["service"], head["collection"], count
    raise broken
