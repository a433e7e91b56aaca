"""What the tests of the signed trail share: a signer, events that are the same each time, and a look at all of it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from hulpketen_contracts.trail.tree import TileTree, leaf_hash

from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.leaves import leaf_of
from services.audit.events import WriterLease
from services.audit.growth import Growth
from services.audit.place import Place
from services.audit.signing import Signer
from services.audit.signing_key import LogKey
from services.chassis.keys import KeyProvider
from services.chassis.pipeline.model import Record
from services.chassis.service import now
from tests.integration.audit import AlwaysHeld, Database, provider_of, record, trail

ORIGIN = "test.example/audit"


async def untold() -> None:
    """Partners were told of no checkpoint."""


def told(text: str) -> Callable[[], Awaitable[str | None]]:
    """They were told of this one."""

    async def announced() -> str | None:
        return text

    return announced


def log_key(provider: KeyProvider, generation: int = 1) -> LogKey:
    return LogKey(provider, ORIGIN, generation)


def signer(
    database: Database,
    folder: Path,
    *,
    lease: WriterLease | None = None,
    provider: KeyProvider | None = None,
    announced: Callable[[], Awaitable[str | None]] = untold,
) -> Signer:
    """One that signs at each step in which the trail grew."""
    return Signer(
        CheckpointStore(database),
        Place(folder, 1),
        log_key(provider or provider_of(database)),
        lease or AlwaysHeld(),
        announced,
        clock=now,
        every=(1, timedelta(hours=1)),
    )


def event_id(n: int) -> str:
    """That of event number n."""
    return str(uuid.UUID(int=n))


def person(n: int) -> str:
    """Whom it is about: from number 300 on of others, too."""
    return str(uuid.UUID(int=(1 << 100) + n % 7 + (4 if n >= 300 else 1)))


def numbered(n: int) -> Record:
    """Event number n: the same each time."""
    one = record(person(n), case=str(uuid.UUID(int=n)))
    headers = tuple((name, event_id(n).encode() if name == "ce_id" else value) for name, value in one.headers)
    return one._replace(headers=headers)


async def looked_over(database: Database, folder: Path, provider: KeyProvider) -> list[Kept]:
    """All checkpoints, after each was found to be over the entries that are there, signed, and after the one before.

    The last is in the second place, too, and its tiles lead to it.
    """
    entries = await trail(database)
    assert [entry["_id"] for entry in entries] == list(range(len(entries)))
    tree, key, previous = TileTree(), log_key(provider), 0
    kept = []
    for document in await database["checkpoints"].find().sort("_id", 1).to_list(None):
        tree.extend([leaf_hash(leaf_of(entry)) for entry in entries[tree.size : document["_id"]]])
        found = key.read(document["text"])
        assert (found.size, found.root) == (document["_id"], document["root"]) == (tree.size, tree.root())
        assert document["previous"] == previous
        previous = found.size
        kept.append(found)
    place = Place(folder, 1)
    assert place.checkpoint() == kept[-1].text
    assert Growth.load(place, kept[-1].size, kept[-1].root).size == kept[-1].size
    return kept
