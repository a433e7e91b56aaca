"""Leases and the broker's identity, in MongoDB."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.chassis.mongo.database import Database, available


class MongoLeases:
    """The LeaseStore port. Times are the database's own: the clocks of two processes may differ."""

    def __init__(self, database: Database) -> None:
        self._leases = database["leases"]

    async def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> int | None:
        """Take or renew; the fencing number rises when the holder changes. None: another holds it."""
        free = {"$or": [{"holder": holder}, {"$expr": {"$lte": ["$until", "$$NOW"]}}]}
        ttl_ms = int((until - now).total_seconds() * 1000)
        same = {"$eq": ["$holder", holder]}
        taken = {
            "holder": holder,
            "until": {"$add": ["$$NOW", ttl_ms]},
            "fence": {"$add": [{"$ifNull": ["$fence", 0]}, {"$cond": [same, 0, 1]}]},
        }
        async with available():
            document = await self._take(name, free, taken)
            if document is None:
                with suppress(DuplicateKeyError):  # the first time there is nothing to take
                    await self._leases.insert_one(
                        {"_id": name, "holder": "", "until": datetime(1970, 1, 1, tzinfo=UTC), "fence": 0}
                    )
                    document = await self._take(name, free, taken)
        return int(document["fence"]) if document else None

    async def _take(self, name: str, free: dict[str, Any], taken: dict[str, Any]) -> dict[str, Any] | None:
        return await self._leases.find_one_and_update(
            {"_id": name, **free}, [{"$set": taken}], return_document=ReturnDocument.AFTER
        )

    async def release(self, name: str, holder: str) -> None:
        """Give it back, where it is ours."""
        async with available():
            await self._leases.update_one({"_id": name, "holder": holder}, [{"$set": {"until": "$$NOW", "holder": ""}}])


class MongoIncarnation:
    """The IncarnationStore port."""

    def __init__(self, database: Database) -> None:
        self._incarnations = database["incarnation"]

    async def incarnation(self) -> str:
        """The cluster id as last seen; empty at first."""
        async with available():
            found = await self._incarnations.find_one({"_id": "broker"})
        return str(found["cluster_id"]) if found else ""

    async def set_incarnation(self, cluster_id: str) -> None:
        """Remember it."""
        async with available():
            await self._incarnations.update_one({"_id": "broker"}, {"$set": {"cluster_id": cluster_id}}, upsert=True)
