"""What the tests of the audit share: records of the chain, a lease that is always held, a database of one's own."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from hulpketen_contracts import CATALOGUE, CaseOpened, Event, OrganisationChanged, ReferralMade
from motor.motor_asyncio import AsyncIOMotorDatabase
from pydantic import SecretStr

from services.audit.contents import Content, SubjectKeys
from services.audit.domain.entry import Document, commitment
from services.audit.events import Writer, WriterLease, now
from services.audit.store import SCHEMA, TrailStore
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo.database import connect
from services.chassis.mongo.indexes import make_all
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure
from tests.unit.notifications.events import case, referral

Database = AsyncIOMotorDatabase[dict[str, Any]]


class AlwaysHeld:
    """A lease that every writer believes to hold: the worst that clocks can do."""

    def __init__(self) -> None:
        self.fence: int | None = 1

    async def held(self) -> bool:
        return self.fence is not None


class Buried:
    """Where dead letters go."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def __call__(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters


@asynccontextmanager
async def a_database(infrastructure: Infrastructure) -> AsyncIterator[Database]:
    """A database of one's own, with the indexes of the trail; it goes at the end."""
    name = f"audit_{uuid.uuid4().hex[:8]}"
    client = connect(MongoSettings(uri=SecretStr(infrastructure.mongo), database=name))
    folder = tempfile.TemporaryDirectory(prefix="audit-keys-")
    try:
        _keys[name] = FileKeyProvider(Path(folder.name) / "keys.json")
        await make_all(client[name], SCHEMA.indexes)
        yield client[name]
    finally:
        del _keys[name]
        folder.cleanup()
        await client.drop_database(name)
        client.close()


_keys: dict[str, FileKeyProvider] = {}


def provider_of(database: Database) -> FileKeyProvider:
    """The keys of this database."""
    return _keys[database.name]


def subject_keys(
    database: Database, store: TrailStore | None = None, seconds: Callable[[], float] = monotonic
) -> SubjectKeys:
    """Those of this database: the same for all writers of a test."""
    return SubjectKeys(store or TrailStore(database), _keys[database.name], now, 7, seconds)


async def nothing_signed() -> int:
    return 0


def writer(
    database: Database,
    lease: WriterLease | None = None,
    store: TrailStore | None = None,
    reach: Callable[[], Awaitable[int]] = nothing_signed,
) -> Writer:
    store = store or TrailStore(database)
    return Writer(store, lease or AlwaysHeld(), Buried(), subject_keys(database, store), reach=reach)


def a_person() -> str:
    return str(uuid.uuid4())


def _rest(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"person", "case"})


# What the contracts ask beside what a test says, of events that readers open.
_REST: dict[str, dict[str, Any]] = {
    CaseOpened.TYPE: _rest(case()),
    ReferralMade.TYPE: _rest(referral()),
    OrganisationChanged.TYPE: {"kind": "volunteers", "municipalities": ["0106"]},
}


def record(
    person: str, event_type: str = CaseOpened.TYPE, *, at: str = "2026-03-01T09:30:00.125Z", **fields: Any
) -> Record:
    """An event of the chain about this person."""
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid.uuid4()).encode()),
        ("ce_source", b"urn:nld:oin:00000099000000000001:systeem:hulpketen-matching"),
        ("ce_type", event_type.encode()),
        ("ce_time", at.encode()),
        ("ce_stream", b"file-" + person.encode()),
        ("ce_streamepoch", b"1"),
        ("ce_streamseq", b"1"),
        ("content-type", b"application/json"),
    )
    data = {"person": person, "case": str(uuid.uuid4())} | _REST.get(event_type, {}) | fields
    return Record(CATALOGUE[event_type].TOPIC, 0, 0, person.encode(), json.dumps(data).encode(), headers)


def ids(records: Collection[Record]) -> list[str]:
    """The ids of these events."""
    return [(dict(each.headers)["ce_id"] or b"").decode() for each in records]


def opens(content: Content, entry: Document) -> bool:
    """Whether this is what the entry committed to; not so where its key is another one than at that time."""
    return bool(commitment(content.nonce, content.committed) == entry["commitment"])


async def trail(database: Database) -> list[Document]:
    """All entries, in the order of their numbers."""
    return await database["entries"].find().sort("_id", 1).to_list(None)
