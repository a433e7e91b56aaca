"""What notifications reads and keeps in MongoDB beside its aggregates and feeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING

from services.chassis.mongo import aliases, feeds, sessions
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.schema import CHASSIS, Schema
from services.notifications.domain.directory import Directory, Organisation

Document = dict[str, Any]
# Ids of aggregates that begin with "organisation-" or "service-": "." follows "-".
_DIRECTORY = {"$or": [{"_id": {"$gte": f"{kind}-", "$lt": f"{kind}."}} for kind in ("organisation", "service")]}
_IN_ORDER = [("_id", ASCENDING)]
_KEYS = {"referrals": ("referral", "changed_at"), "cases": ("case", "opened_at")}
# Where a file says which feeds get lines of what it holds; most files have a case and no referral.
_FEEDS = {"referrals": "state.referrals.feeds", "cases": "state.feeds"}
INDEXES = (
    *(Index("aggregates", (place, "_id"), f"views() of {kind}", sparse=True) for kind, place in _FEEDS.items()),
    Index("aggregates", ("state.referrals.referral",), "view() of a referral", sparse=True),
    Index("aggregates", ("state.cases.case",), "view() of a case", sparse=True),
)
SCHEMA = Schema((*CHASSIS, *aliases.INDEXES, *feeds.INDEXES, *sessions.INDEXES, *INDEXES))
# Lines stay as bytes until a reader asks for them.
_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_AWAIT_MS = 2_000
_LINES_AT_ONCE = 500


class Asked(NamedTuple):
    """A page of a list. `kind`: "referrals" or "cases". `newest`: the last changed first, else in a fixed order."""

    kind: str
    feed: str
    whole_file: bool
    status: str | None
    newest: bool
    page: int
    per_page: int


class Found(NamedTuple):
    """A view of a case or referral, and the pseudonym of the person whose file it is in."""

    person: str
    view: Document


class NotificationsStore:
    """Queries on the files and the directory, cursors of feeds."""

    def __init__(self, database: Database, feeds: MongoFeeds) -> None:
        self._aggregates = database["aggregates"]
        self._cursors = database["cursors"]
        self._feeds = feeds

    # The directory

    async def refresh(self, directory: Directory) -> None:
        """Read the whole directory: other processes of this service learn of changes first."""
        async with available():
            found = await self._aggregates.find(_DIRECTORY, {"state": 1}).to_list(None)
        directory.learn((document["_id"], document["state"]) for document in found if document["state"])

    async def organisation(self, directory: Directory, name: str) -> Organisation | None:
        """One organisation, from memory or else from the database."""
        if name not in directory.organisations:
            async with available():
                found = await self._aggregates.find_one({"_id": f"organisation-{name}"}, {"state": 1})
            if found and found["state"]:
                directory.learn([(found["_id"], found["state"])])
        return directory.organisations.get(name)

    # Cases and referrals

    async def views(self, asked: Asked) -> list[Found]:
        """A page of what a feed's reader may see. Pages in the fixed order miss nothing while files change."""
        key, changed_at = _KEYS[asked.kind]
        item: Document = {} if asked.whole_file else {"item.feeds": asked.feed}
        if asked.status:
            item["item.status"] = asked.status
        pipeline: list[Document] = [
            {"$match": {_FEEDS[asked.kind]: asked.feed}},
            {"$sort": {"_id": 1}},
            {"$project": {"item": f"$state.{asked.kind}"}},
            {"$unwind": "$item"},
            {"$match": item},
            *([{"$sort": {f"item.{changed_at}": -1, f"item.{key}": 1}}] if asked.newest else []),
            {"$skip": (asked.page - 1) * asked.per_page},
            {"$limit": asked.per_page},
        ]
        async with available():
            found = await self._aggregates.aggregate(pipeline).to_list(None)
        return [Found(_person(document["_id"]), document["item"]) for document in found]

    async def view(self, kind: str, name: str, feed: str, *, whole_file: bool) -> Found | None:
        """One case or referral, if the feed's reader may see it."""
        key, _ = _KEYS[kind]
        async with available():
            found = await self._aggregates.find_one(
                {f"state.{kind}.{key}": name, "state.feeds": feed}, {f"state.{kind}": 1}
            )
        if found is None:
            return None
        view = next(view for view in found["state"][kind] if view[key] == name)
        return Found(_person(found["_id"]), view) if whole_file or feed in view["feeds"] else None

    # Feeds

    async def feeds(self) -> list[str]:
        """All feeds that have a line."""
        async with available():
            return [str(name) for name in await self._feeds.collection.distinct("_id.org")]

    async def prune(self, before: datetime) -> None:
        """Remove lines older than `before`; the last line of a feed stays, since the next is numbered after it."""
        for feed in await self.feeds():
            last = await self._feeds.last(feed)
            async with available():
                lines = self._feeds.collection
                kept = await lines.find_one({**_up_to(feed, last), "at": {"$gte": before}}, {"_id": 1}, sort=_IN_ORDER)
                await lines.delete_many(_up_to(feed, (kept["_id"]["n"] if kept else last) - 1))

    async def new_lines(self) -> AsyncIterator[Sequence[RawBSONDocument]]:
        """Lines as they are appended, of all feeds, in batches; an empty batch first, once nothing more is missed.

        Plain commands instead of Motor's change stream: that takes a thread's turn for each line, this for each batch.
        Raises StoreUnavailable; begin again then, and read from the database what came in between.
        """
        database, name = self._feeds.collection.database, self._feeds.collection.name
        watch = {
            "aggregate": name,
            "pipeline": [
                {"$changeStream": {}},
                {"$match": {"operationType": "insert"}},
                {"$project": {"fullDocument": 1}},
            ],
            "cursor": {"batchSize": 0},
        }
        async with available(), await database.client.start_session() as session:
            cursor = (await database.command(watch, session=session))["cursor"]
            yield []
            more = {"getMore": cursor["id"], "collection": name, "maxTimeMS": _AWAIT_MS, "batchSize": _LINES_AT_ONCE}
            while True:
                answer = await _whole(database.command(more, session=session, codec_options=_RAW))
                if batch := answer["cursor"]["nextBatch"]:
                    yield [change["fullDocument"] for change in batch]

    async def cursor(self, organisation: str) -> tuple[int, str]:
        """How far a feed has been sent on to the organisation's topic, and on which incarnation of the broker."""
        async with available():
            found = await self._cursors.find_one({"_id": organisation})
        return (int(found["n"]), str(found["incarnation"])) if found else (0, "")

    async def cursors(self) -> dict[str, tuple[int, str]]:
        """All of them, by organisation."""
        async with available():
            found = await self._cursors.find({}).to_list(None)
        return {document["_id"]: (int(document["n"]), str(document["incarnation"])) for document in found}

    async def set_cursor(self, organisation: str, n: int, incarnation: str) -> None:
        """Remember it."""
        async with available():
            await self._cursors.replace_one({"_id": organisation}, {"n": n, "incarnation": incarnation}, upsert=True)


def _up_to(feed: str, n: int) -> Document:
    return {"_id": {"$gte": {"org": feed, "n": 0}, "$lte": {"org": feed, "n": n}}}


def _person(file: str) -> str:
    return file.removeprefix("file-")


async def _whole(work: Awaitable[Document]) -> Document:
    """Let a command that is under way in a thread of Motor end before a cancellation does: its connection is in use."""
    under_way = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise
