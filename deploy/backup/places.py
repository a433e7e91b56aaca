"""Where the databases of the services are, and what of them is not in a backup."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from deploy.backup.archive import BackupError
from services.chassis.mongo.restored import ERASURES, FOUND

Client = MongoClient[dict[str, Any]]
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
SERVICES = ("intake", "matching", "notifications", "audit")
PREFIX = "hulpketen_"
# Who is signed in, who holds which lease, and what is on its way through a restore: of the moment.
LEFT_OUT = frozenset({"sessions", "leases", ERASURES, FOUND})
# Wrapped by a KMS, they stand in the database, and are backed up apart: whoever has both, and the KMS, has the persons.
KEYS = "keys"
_TOO_OLD, _NOT_YET = 239, 246


def databases(services: Collection[str], prefix: str) -> Mapping[str, str]:
    """The name of each service's database. Raises BackupError for a service that there is not."""
    unknown = sorted(set(services) - set(SERVICES))
    if unknown:
        raise BackupError(f"there is no service {unknown[0]!r}: one of {', '.join(SERVICES)}")
    return {service: f"{prefix}{service}" for service in SERVICES if not services or service in services}


@contextmanager
def connected(uri: str) -> Iterator[Client]:
    """A client of the replica set. What goes wrong with it is raised as BackupError, in one line without secrets."""
    try:
        client: Client = MongoClient(
            uri, w="majority", journal=True, tz_aware=True, tzinfo=UTC, serverSelectionTimeoutMS=10_000
        )
    except (ConfigurationError, InvalidURI, ValueError):
        raise BackupError("the connection string of the database cannot be used") from None
    try:
        yield client
    except PyMongoError as error:
        raise BackupError(_words(error)) from error
    finally:
        client.close()


def _words(error: PyMongoError) -> str:
    if isinstance(error, ServerSelectionTimeoutError):
        return "the database does not answer at the address given"
    if isinstance(error, ConnectionFailure):
        return "the connection to the database broke: run the command again"
    if isinstance(error, OperationFailure) and error.code == _TOO_OLD:
        return (
            "the backup took longer than the database keeps its history: set minSnapshotHistoryWindowInSeconds"
            " higher (300 by default), and run it again"
        )
    if isinstance(error, OperationFailure) and error.code == _NOT_YET:
        return "a collection or index was made a moment ago: run the command again"
    if isinstance(error, OperationFailure) and error.code in (13, 18):
        return "the database refuses this user: it needs the role backup to back up, and restore to restore"
    return f"the database refuses ({type(error).__name__}, code {getattr(error, 'code', None)})"
