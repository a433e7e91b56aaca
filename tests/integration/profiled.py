"""A database whose every command MongoDB's profiler writes down with the plan that it ran by, and what was called."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from inspect import getmembers, isasyncgenfunction, iscoroutinefunction
from typing import Any, TypeVar, cast

from pydantic import SecretStr

from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.indexes import make_all
from services.chassis.mongo.schema import Schema
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure

Store = TypeVar("Store")
_PROFILE = "system.profile"
_ROOM = 64 << 20
# A query may look at some documents more than it takes: an index seldom says all.
_SPARE, _TIMES = 20, 3


def methods(store: type[Any]) -> set[str]:
    """Its public asynchronous methods."""
    return {name for name, method in getmembers(store) if not name.startswith("_") and _is_async(method)}


def _is_async(method: Any) -> bool:
    return iscoroutinefunction(method) or isasyncgenfunction(method)


class Profiled:
    """`database` is for the test's own documents, before `begin`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._called: set[tuple[type[Any], str]] = set()
        self._watched: set[type[Any]] = set()

    def watched(self, store: Store) -> Store:
        """The store, with what is called of it noted."""
        called, kind = self._called, type(store)
        self._watched.add(kind)

        class Noted:
            def __getattr__(self, name: str) -> Any:
                called.add((kind, name))
                return getattr(store, name)

        return cast(Store, Noted())

    async def begin(self) -> None:
        """From now on all is written down."""
        await self.database.create_collection(_PROFILE, capped=True, size=_ROOM)
        await self.database.command("profile", 2)

    async def check(self, may: Mapping[str, str]) -> None:
        """All was called, and went by an index but for what is in `may`, with why; all of that was done, too."""
        wanted = {(kind, name) for kind in self._watched for name in methods(kind)}
        left_out = [f"{kind.__name__}.{name}" for kind, name in wanted - self._called]
        assert not left_out, left_out
        done = await self._faults()
        assert done == set(may), sorted(done ^ set(may))

    async def _faults(self) -> set[str]:
        """What was done other than by an index: collection, fields of the query, and how."""
        await self.database.command("profile", 0)
        written = await self.database[_PROFILE].find({"ns": {"$ne": f"{self.database.name}.{_PROFILE}"}}).to_list(None)
        assert len(written) > 5
        return {about for each in written for about in [_about(each)] if about}


def _about(operation: dict[str, Any]) -> str:
    """The worst of it; nothing where all is well."""
    plan, query = operation.get("planSummary", ""), _query(operation["command"])
    taken = sum(operation.get(name, 0) for name in ("nreturned", "nMatched", "ndeleted"))
    counts = any("$group" in stage for stage in operation["command"].get("pipeline", ()))
    many = not counts and operation.get("docsExamined", 0) > _SPARE + _TIMES * taken
    what = {
        "scan": "COLLSCAN" in plan,
        "the test has nothing there": plan == "EOF",
        "sort": operation.get("hasSortStage", False),
        "looks at many": many,
    }
    wrong = next((name for name, so in what.items() if so), "")
    return f"{operation['ns'].partition('.')[2]} {' '.join(sorted(query)) or 'all'}: {wrong}" if wrong else ""


def _query(command: dict[str, Any]) -> dict[str, Any]:
    """The filter of a command, whatever it is called there."""
    if pipeline := command.get("pipeline"):
        return dict(pipeline[0].get("$match", {}))
    return next((dict(command[name]) for name in ("filter", "q", "query") if command.get(name)), {})


@asynccontextmanager
async def profiled(infrastructure: Infrastructure, schema: Schema) -> AsyncIterator[Profiled]:
    """A database of one's own with these indexes; it goes at the end."""
    name = f"plans_{uuid.uuid4().hex[:8]}"
    client = connect(MongoSettings(uri=SecretStr(infrastructure.mongo), database=name))
    try:
        await make_all(client[name], schema.indexes)
        yield Profiled(client[name])
    finally:
        await client[name].command("profile", 0)
        await client.drop_database(name)
        client.close()
