"""The connection to MongoDB, what its errors mean to the pipeline, and how raw records are written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, WriteConcernError

from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Record
from services.chassis.settings import MongoSettings

Database = AsyncIOMotorDatabase[dict[str, Any]]
# Code of a write to a unique key that is taken.
DUPLICATE = 11000
# Codes of a server that steps down, shuts down or is not yet primary: to be tried again.
NOT_NOW = frozenset({64, 91, 189, 262, 10107, 11600, 11602, 13435, 13436})


def connect(settings: MongoSettings) -> AsyncIOMotorClient[dict[str, Any]]:
    """A client that counts a write only when a majority has it in its journal; aware datetimes in UTC."""
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
        socketTimeoutMS=4 * settings.timeout_ms,
    )


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """Raise StoreUnavailable where the database does not answer, so that callers need not know PyMongo."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError) as error:
        raise StoreUnavailable(type(error).__name__) from error
    except OperationFailure as error:
        if error.code in NOT_NOW:
            raise StoreUnavailable(type(error).__name__) from error
        raise


def record_document(record: Record) -> dict[str, Any]:
    """A raw record as a document; headers stay a list, since names may come twice and values may be null."""
    return record._asdict() | {"headers": [list(header) for header in record.headers]}


def record_from(document: Mapping[str, Any]) -> Record:
    """The raw record in such a document."""
    return Record(**{**document, "headers": tuple((name, value) for name, value in document["headers"])})
