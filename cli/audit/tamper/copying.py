"""Copies the newest part of a trail to a database beside it, and its tiles to a folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hulpketen_contracts.trail.checkpoint import open_checkpoint
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.note import Note
from hulpketen_contracts.trail.tiles import tile_path
from hulpketen_contracts.trail.tree import TILE_WIDTH
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from cli.audit.tamper.scene import Scene
from deploy.local.errors import StackError
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.place import Place
from services.audit.signing_key import LogKey
from services.chassis.keys import FileKeyProvider, KeyProvider
from services.chassis.mongo.database import Database
from services.chassis.pipeline.errors import StoreUnavailable


class Source(NamedTuple):
    """A trail: the client and the name of its database, the folder of its tiles, and its keys."""

    client: AsyncIOMotorClient[dict[str, Any]]
    name: str
    place: Path
    keys: KeyProvider


@asynccontextmanager
async def copied(source: Source, folder: Path, entries: int) -> AsyncIterator[Scene]:
    """The newest `entries` that are signed, from the first of a bundle on. The copy goes at the end.

    Raises: StackError where nothing is signed yet, or the database does not answer.
    """
    name = f"{source.name}_tamper_{os.getpid()}"
    try:
        await _drop_left(source)
        yield await _copy(source, source.client[name], folder, entries)
    except (StoreUnavailable, PyMongoError) as error:
        raise StackError(f"the database of the audit does not answer ({type(error).__name__})") from error
    finally:
        await source.client.drop_database(name)


async def _drop_left(source: Source) -> None:
    """Copies of processes that were killed: no erasure reaches what is sealed in them."""
    for name in await source.client.list_database_names():
        owner = name.removeprefix(f"{source.name}_tamper_")
        if owner != name and owner.isdecimal() and not _lives(int(owner)):
            await source.client.drop_database(name)


def _lives(pid: int) -> bool:
    """Whether this is another process that runs."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


async def _copy(source: Source, target: Database, folder: Path, entries: int) -> Scene:
    database = source.client[source.name]
    last = await CheckpointStore(database).last()
    if last is None:
        raise StackError("nothing of the trail is signed yet: try again in a moment")
    key = _key(source.keys, last)
    first = max(0, last.size - entries) // TILE_WIDTH * TILE_WIDTH
    within = {"_id": {"$gte": first, "$lt": last.size}}
    out = {"db": target.name, "coll": "entries"}
    await database["entries"].aggregate([{"$match": within}, {"$out": out}]).to_list(None)
    persons = await target["entries"].distinct("about.person")
    for collection, query in (
        ("person_keys", {"_id": {"$in": persons}}),
        ("trail", {}),
        ("checkpoints", {"_id": last.size}),
    ):
        if documents := await database[collection].find(query).to_list(None):
            await target[collection].insert_many(documents)
    generation = int(key.origin.rpartition("/")[2])
    place = Place(folder / "copy", generation)
    _copy_tiles(Place(source.place, generation), place, last.size)
    scene = Scene(target, place, source.keys, key, FileKeyProvider(folder / "stranger.json"))
    await scene.open()
    return scene


def _key(keys: KeyProvider, last: Kept) -> LogKey:
    """The key that signed it."""
    origin, _, generation = Note.parse(last.text).text.split("\n")[0].rpartition("/")
    key = LogKey(keys, origin, int(generation))
    try:
        open_checkpoint(last.text, [key.public()])
    except TrailError as error:
        raise StackError(f"the newest checkpoint is not signed with the key of this trail: {error}") from error
    return key


def _copy_tiles(source: Place, target: Place, size: int) -> None:
    """All that a tree of this size has; of a tile that has grown since, its beginning."""
    level, count = 0, size
    while count:
        for index in range(-(-count // TILE_WIDTH)):
            width = min(TILE_WIDTH, count - index * TILE_WIDTH)
            file = target.folder / tile_path(level, index, width)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(source.tile(level, index, width))
        level, count = level + 1, count // TILE_WIDTH
