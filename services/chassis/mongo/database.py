"""The connection to MongoDB, what its errors mean to the pipeline, and how raw records are written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, WriteConcernError

from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Record
from services.chassis.settings import MongoSettings

log = get_logger(__name__)
_refuses_writes = log.waits("database_takes_no_writes")
Database = AsyncIOMotorDatabase[dict[str, Any]]
# Code of a write to a unique key that is taken.
DUPLICATE = 11000
# Codes of a server that steps down, shuts down or is not yet primary: to be tried again.
NOT_NOW = frozenset({64, 91, 189, 262, 10107, 11600, 11602, 13435, 13436})
# Codes of a server that takes no writes of anybody: its disk is full, or an administrator has blocked them.
NO_WRITES = frozenset({371, 14031})


def connect(settings: MongoSettings, *, command_ms: int | None = None) -> AsyncIOMotorClient[dict[str, Any]]:
    """A client that counts a write only when a majority has it in its journal; aware datetimes in UTC.

    `command_ms`: how long an answer may take, where a command is known to be long.
    """
    return AsyncIOMotorClient(
        settings.uri.get_secret_value(),
        w="majority",
        journal=True,
        readConcernLevel="majority",
        tz_aware=True,
        tzinfo=UTC,
        retryWrites=True,
        serverSelectionTimeoutMS=settings.timeout_ms,
        connectTimeoutMS=settings.timeout_ms,
        socketTimeoutMS=command_ms or 4 * settings.timeout_ms,
    )


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """Raise StoreUnavailable where the database does not answer, so that callers need not know PyMongo."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError) as error:
        raise StoreUnavailable(type(error).__name__) from error
    except OperationFailure as error:
        if not passes(error):
            raise
        if refused := _codes(error) & NO_WRITES:
            _refuses_writes.say(codes=sorted(refused), todo="make room on its disk, or unblock writes")
        raise StoreUnavailable(type(error).__name__) from error


def passes(error: OperationFailure) -> bool:
    """Whether the server refuses for a reason that lies in itself, and not in what it was asked."""
    return bool(_codes(error) & (NOT_NOW | NO_WRITES))


def _codes(error: OperationFailure) -> set[int]:
    """Its code, and those of the single writes of a bulk."""
    failures = (error.details or {}).get("writeErrors") or ()
    return {code for code in (error.code, *(failure.get("code") for failure in failures)) if code is not None}


def record_document(record: Record) -> dict[str, Any]:
    """A raw record as a document; headers stay a list, since names may come twice and values may be null."""
    return record._asdict() | {"headers": [list(header) for header in record.headers]}


def record_from(document: Mapping[str, Any]) -> Record:
    """The raw record in such a document."""
    return Record(**{**document, "headers": tuple((name, value) for name, value in document["headers"])})
