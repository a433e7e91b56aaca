"""What lets residents in, in MongoDB: codes and sessions, each under a hash and for a short while."""

from __future__ import annotations

from datetime import datetime

from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index

INDEXES = (
    Index("resident_codes", ("expires_at",), "removal: what has expired", expires_s=0),
    Index("resident_codes", ("person",), "put_code(): the one before counts no longer"),
    Index("resident_sessions", ("expires_at",), "removal: what has expired", expires_s=0),
    Index("resident_tries", ("expires_at",), "removal: what has expired", expires_s=0),
)


class ResidentStore:
    """Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._codes = database["resident_codes"]
        self._sessions = database["resident_sessions"]
        self._tries = database["resident_tries"]

    async def put_code(self, hashed: str, person: str, expires_at: datetime) -> None:
        """Keep a code of this person, in the place of an earlier one."""
        async with available():
            await self._codes.delete_many({"person": person})
            await self._codes.insert_one({"_id": hashed, "person": person, "expires_at": expires_at})

    async def take_code(self, hashed: str, now: datetime) -> str | None:
        """Whose code this is; it is used then. None where there is none that counts."""
        async with available():
            found = await self._codes.find_one_and_delete({"_id": hashed, "expires_at": {"$gt": now}})
        return str(found["person"]) if found else None

    async def try_again(self, minute: str, expires_at: datetime) -> int:
        """Count a try to enter a code; how many there were in this minute."""
        async with available():
            await self._tries.update_one(
                {"_id": minute}, {"$inc": {"n": 1}, "$setOnInsert": {"expires_at": expires_at}}, upsert=True
            )
            found = await self._tries.find_one({"_id": minute})
        return int(found["n"]) if found else 1

    async def begin(self, key: str, person: str, expires_at: datetime) -> None:
        """Keep a session, under the fingerprint of its cookie."""
        async with available():
            await self._sessions.insert_one({"_id": key, "person": person, "expires_at": expires_at})

    async def person(self, key: str, now: datetime) -> str | None:
        """Whose session this is; None where there is none that counts."""
        async with available():
            found = await self._sessions.find_one({"_id": key, "expires_at": {"$gt": now}})
        return str(found["person"]) if found else None

    async def end(self, key: str) -> None:
        """Forget a session; again is harmless."""
        async with available():
            await self._sessions.delete_one({"_id": key})
