"""Sessions of pages in MongoDB, which removes them when they have expired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index

INDEXES = (Index("sessions", ("expires_at",), "MongoDB, which removes them", expires_s=0),)


class MongoSessions:
    """Keeps them (services.chassis.sessions.SessionStore). Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._sessions = database["sessions"]

    async def put(self, key: str, document: dict[str, Any], expires_at: datetime) -> None:
        """Keep a session until it expires."""
        async with available():
            held = {"session": document, "expires_at": expires_at}
            await self._sessions.replace_one({"_id": key}, held, upsert=True)

    async def get(self, key: str) -> dict[str, Any] | None:
        """The session, None where there is none."""
        async with available():
            found = await self._sessions.find_one({"_id": key})
        return dict(found["session"]) if found else None

    async def delete(self, key: str) -> None:
        """Forget it."""
        async with available():
            await self._sessions.delete_one({"_id": key})
