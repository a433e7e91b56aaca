"""Brings a service's database to the version of the program, while the service runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import UpdateOne

from services.chassis.logs import get_logger
from services.chassis.mongo.coordination import MongoLeases
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Differences, OtherOptions, compare, make
from services.chassis.mongo.schema import Beat, Schema, Step
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.leases import Lease
from services.chassis.preflight import NotReady

log = get_logger(__name__)
Document = dict[str, Any]
COLLECTION, _ONE = "schema", {"_id": "schema"}
_LEASE = timedelta(seconds=10)
_BATCH = 500


class Plan(NamedTuple):
    """What a database lacks. `version`: the one that it has; 0 where it was never migrated."""

    version: int
    steps: Sequence[Step]
    indexes: Differences

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.version == 0 or self.steps or self.indexes.to_make)


class Migrator:
    """One at a time by a lease, for what it does need not be done twice; twice is harmless."""

    def __init__(self, database: Database, schema: Schema, holder: str, lease_for: timedelta = _LEASE) -> None:
        """`holder`: a name of this process alone."""
        self._database = database
        self._schema = schema
        self._lease = Lease(MongoLeases(database), "migrate", holder, clock=lambda: datetime.now(UTC), ttl=lease_for)

    async def plan(self) -> Plan:
        """Raises NotReady where the database is too new for this program, StoreUnavailable."""
        own = self._schema.version
        async with available():
            found = await self._database[COLLECTION].find_one(_ONE) or {"version": 0}
        version = int(found["version"])
        if int(found.get("needs", version)) > own:
            raise NotReady(
                f"the database {self._database.name} is of version {version}, and this program knows up to {own}",
                "start the release that made it, or restore a backup of before",
            )
        if version > own:  # its indexes are for the newer program to say
            return Plan(version, (), Differences((), (), ()))
        steps = [step for step in self._schema.steps if step.version > version]
        return Plan(version, steps, await compare(self._database, self._schema.indexes))

    async def at_start(self, *, allowed: bool) -> None:
        """Before a service begins. Raises NotReady, StoreUnavailable: also while another process migrates."""
        plan = await self.plan()
        if plan.done:
            return
        if not allowed:
            raise NotReady(
                f"the database {self._database.name} is not migrated (version {plan.version} of {self._schema.version},"
                f" {len(plan.indexes.missing)} indexes missing)",
                "run `hulpketen migrate` with this service's settings, or set MONGO_MIGRATE=true",
            )
        await self.migrate()

    async def migrate(self, say: Callable[[Step], None] = lambda _: None, *, drop: bool = False) -> None:
        """Make the indexes, then go step by step; what was cut short goes on. `drop`: see indexes.make.

        Raises NotReady, StoreUnavailable: also where another process migrates.
        """
        await self._beat()
        try:
            plan = await self.plan()
            try:
                await make(self._database, plan.indexes, drop=drop)
            except OtherOptions as error:
                raise NotReady(
                    f"the index {error} of {self._database.name} has other options than it must have",
                    "run `hulpketen migrate --drop-indexes`, which makes it anew",
                ) from error
            if plan.version == 0:
                await self._note(1, 1)
            for step in plan.steps:
                say(step)
                log.info("migration_step", version=step.version)
                await step.run(self._database, self._beat)
                await self._note(step.version, step.needs)
        finally:
            with suppress(StoreUnavailable):
                await self._lease.release()

    async def _note(self, version: int, needs: int) -> None:
        await self._beat()
        noted = {"$max": {"version": version, "needs": needs}, "$set": {"at": datetime.now(UTC)}}
        async with available():
            await self._database[COLLECTION].update_one(_ONE, noted, upsert=True)

    async def _beat(self) -> None:
        if not await self._lease.held():
            raise StoreUnavailable("another process migrates the database")


async def rewrite(
    documents: AsyncIOMotorCollection[Document],
    old: Mapping[str, Any],
    change: Callable[[Document], Mapping[str, Any]],
    beat: Beat,
) -> int:
    """Change all documents that fit `old`, each where its `v` is still the one that was read; how many.

    `change` gives the operators of an update after which the document fits `old` no more; `v` is raised here, so that
    who read it before reads it again instead of writing it back. What another wrote in between is taken up anew.
    """
    done, lost = 0, True
    while lost:
        lost, after = False, dict[str, Any]()
        while batch := await _batch(documents, {"$and": [old, after]}):
            await beat()
            updates = [UpdateOne({"_id": d["_id"], "v": d["v"]}, {"$inc": {"v": 1}, **change(d)}) for d in batch]
            async with available():
                changed = (await documents.bulk_write(updates, ordered=False)).modified_count
            done, lost = done + changed, lost or changed < len(batch)
            after = {"_id": {"$gt": batch[-1]["_id"]}}
    return done


async def _batch(documents: AsyncIOMotorCollection[Document], query: Mapping[str, Any]) -> list[Document]:
    async with available():
        return await documents.find(query).sort("_id", 1).limit(_BATCH).to_list(None)
