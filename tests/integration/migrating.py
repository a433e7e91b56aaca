"""A migration to test with: names become lists. Run as a program it stops after its first batch, and waits there."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from services.chassis.mongo import migrations
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.migrations import Migrator, rewrite
from services.chassis.mongo.schema import Beat, Schema, Step
from services.chassis.settings import MongoSettings

OLD = {"state.name": {"$exists": True}}
INDEXES = (Index("aggregates", ("state.names",), "a test", sparse=True),)


async def listed(database: Database, beat: Beat) -> None:
    await rewrite(database["aggregates"], OLD, _change, beat)


def _change(document: dict[str, Any]) -> dict[str, Any]:
    return {"$set": {"state.names": [document["state"]["name"]]}, "$unset": {"state.name": ""}}


SCHEMA = Schema(INDEXES, (Step(2, "names become lists", listed),))


async def _until_killed(uri: str, name: str) -> None:
    batches = 0

    async def stopping(database: Database, beat: Beat) -> None:
        async def beat_once() -> None:
            nonlocal batches
            await beat()
            batches += 1
            if batches == 2:
                print("half", flush=True)
                await asyncio.Event().wait()

        await rewrite(database["aggregates"], OLD, _change, beat_once)

    migrations._BATCH = 10
    database = connect(MongoSettings(uri=SecretStr(uri), database=name))[name]
    schema = Schema(INDEXES, (Step(2, "names become lists", stopping),))
    await Migrator(database, schema, "killed", timedelta(seconds=1)).migrate()


if __name__ == "__main__":
    asyncio.run(_until_killed(*sys.argv[1:]))
