"""Backups of the databases of a test."""

from __future__ import annotations

import asyncio
from pathlib import Path

from deploy.backup.archive import identities, new_key, recipient
from deploy.backup.dump import dump
from deploy.backup.load import Plan, erased_now, load
from deploy.backup.places import connected
from tests.conftest import Infrastructure


class Backup:
    """A backup of one service's database, as it was when this was made."""

    def __init__(self, infrastructure: Infrastructure, folder: Path, service: str, database: str) -> None:
        self._mongo = infrastructure.mongo
        self._path, self._key = folder / "backup.age", folder / "backup.key"
        self._databases = {service: database}

    async def take(self) -> None:
        """While the service goes on."""
        await asyncio.to_thread(self._take)

    def _take(self) -> None:
        public = new_key(self._key)
        with connected(self._mongo) as client:
            dump(client, self._databases, self._path, [recipient(public)])

    async def restore(self, *erased: str) -> None:
        """In the place of what is there; the service is stopped."""
        await asyncio.to_thread(self._restore, frozenset(erased))

    def _restore(self, erased: frozenset[str]) -> None:
        with connected(self._mongo) as client:
            known = erased_now(client, self._databases.values())
            load(client, self._path, identities(self._key), Plan(self._databases, True, known | erased))
