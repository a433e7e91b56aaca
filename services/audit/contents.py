"""The contents of entries: sealed under the keys of those whom they are about, and gone with those keys."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from pydantic_core import from_json

from services.audit import metrics
from services.audit.domain.attributes import committed_in
from services.audit.domain.entry import Document, commitment, holder
from services.audit.store import TrailStore
from services.chassis.data_keys import make_keys, open_keys, period
from services.chassis.keys import DerivedKey, KeyDestroyed, KeyProvider, SealBroken, Sealer
from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable

log = get_logger(__name__)

HELD_S = 10.0
_TURN_S = 4.0  # two turns and the second between looks stay under HELD_S
_TRIES = 8
_AT_ONCE = 200


class Content(NamedTuple):
    """What was committed to: the event's data. `committed`: the bytes, with its context attributes, and `nonce` with
    which the commitment of the entry can be made again from them."""

    data: Document
    committed: bytes
    nonce: bytes


class SubjectKey:
    """The key of a person, or that of entries about nobody: nonces and contents of entries come from it."""

    __slots__ = ("_key", "_sealer")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sealer = Sealer(key)

    def nonce(self, event_id: str) -> bytes:
        """32 bytes, of one entry alone; nobody can make them without the key, so that they die with it."""
        return hmac.digest(self._key, b"nonce\0" + event_id.encode(), "sha256")

    def seal(self, content: bytes, bound_to: bytes) -> bytes:
        """What was committed to, bound to its commitment."""
        return self._sealer.seal(content, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Open it again. Raises SealBroken."""
        return self._sealer.open(sealed, bound_to)


class SubjectKeys:
    """The keys of all persons of the trail, and of each day of the access log.

    Opened ones are held for HELD_S at most: call `turn` each second.
    """

    def __init__(
        self,
        store: TrailStore,
        keys: KeyProvider,
        clock: Callable[[], datetime],
        period_days: int,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """Persons who come in one period of so many days share a wrapping key."""
        self._store = store
        self._keys = keys
        self._clock = clock
        self._period = period_days
        self._seconds = seconds
        self._nobody = DerivedKey(keys, "trail-contents", oldest=True)
        self._nobodys: SubjectKey | None = None
        self._young: dict[str, SubjectKey] = {}
        self._old: dict[str, SubjectKey] = {}
        self._turned = seconds()

    def nobody(self) -> SubjectKey:
        """That of entries about no person. Raises StoreUnavailable as long as the keys are not open."""
        self._nobodys = self._nobodys or SubjectKey(self._nobody())
        return self._nobodys

    async def known(self, persons: Collection[str]) -> dict[str, SubjectKey]:
        """The keys of those who have one. Raises StoreUnavailable."""
        await self.turn()
        found = {person: key for person in persons if (key := self._young.get(person) or self._old.get(person))}
        missing = [person for person in persons if person not in found]
        return found | await self._open(missing) if missing else found

    async def all(self, persons: Collection[str]) -> dict[str, SubjectKey]:
        """The keys of all of these, made where there is none; a majority has them. Raises StoreUnavailable."""
        found = await self.known(persons)
        for _ in range(_TRIES):
            missing = [person for person in persons if person not in found]
            if not missing:
                return found
            label = f"persons/{period(self._clock(), self._period)}"
            documents, keys = await make_keys(self._keys, label, missing)
            # Another writer may have been first with some: theirs count.
            mine = await self._store.add_keys(list(documents.values()))
            found |= self._hold({person: SubjectKey(keys[person]) for person in mine})
            others = [person for person in missing if person not in mine]
            found |= await self._open(others) if others else {}
        raise StoreUnavailable("keys are contended")

    def drop(self, persons: Collection[str]) -> None:
        """Hold the keys of these no longer: they were erased."""
        for person in persons:
            self._young.pop(person, None)
            self._old.pop(person, None)

    async def turn(self) -> None:
        """Let go of what was held long enough."""
        if self._seconds() - self._turned >= _TURN_S:
            self._old, self._young, self._turned = self._young, {}, self._seconds()

    async def _open(self, persons: Collection[str]) -> dict[str, SubjectKey]:
        documents = await self._store.keys(persons)
        keys = await open_keys(self._keys, documents)
        return self._hold({person: SubjectKey(key) for person, key in keys.items()})

    def _hold(self, keys: dict[str, SubjectKey]) -> dict[str, SubjectKey]:
        self._young |= keys
        return keys


class Contents:
    """Opens what entries committed to, for those who may read it.

    One that was altered takes no reader the others: operations is told, and it is as one that is gone.
    """

    def __init__(self, keys: SubjectKeys, altered: Callable[[int | None], None] | None = None) -> None:
        """`altered`: told of each entry, by its number, whose content is not what was sealed for it; None: a key."""
        self._keys = keys
        self._altered = altered or _tell

    async def open(self, entries: Sequence[Document]) -> list[Content | None]:
        """Of each entry, as it stands in the database; None where it was erased or altered, or is of before contents
        were kept.

        Raises: StoreUnavailable.
        """
        persons = {person for entry in entries for person in [_holder(entry)] if person}
        try:
            keys = await self._keys.known(persons)
        except (KeyDestroyed, SealBroken):  # that of a whole period, or one; one by one, others are to be had
            keys = {person: key for person in persons for key in [await self._one(person)] if key}
        contents: list[Content | None] = []
        for start in range(0, len(entries), _AT_ONCE):
            await asyncio.sleep(0)  # the process has a lease to renew, and others to answer
            contents += [self._content(entry, keys) for entry in entries[start : start + _AT_ONCE]]
        return contents

    async def _one(self, person: str) -> SubjectKey | None:
        try:
            return (await self._keys.known([person])).get(person)
        except KeyDestroyed:
            return None
        except SealBroken:
            self._altered(None)
            return None

    def _content(self, entry: Document, keys: dict[str, SubjectKey]) -> Content | None:
        about = entry.get("about", {})
        person = _holder(entry)
        key = keys.get(person) if person else self._keys.nobody()
        if key is None or "sealed" not in about:
            return None
        bound, nonce = entry["commitment"], key.nonce(entry["eventId"])
        try:
            committed = key.open(about["sealed"], bound)
        except SealBroken:
            committed = None
        # One who has the keys can seal what was never committed to.
        if committed is None or not ("unprovable" in about or hmac.compare_digest(commitment(nonce, committed), bound)):
            self._altered(entry["_id"])
            return None
        return Content(from_json(committed_in(committed)[1]), committed, nonce)


def _tell(entry: int | None) -> None:
    metrics.altered.inc()
    log.error("content_altered", entry=entry)


def _holder(entry: Document) -> str | None:
    return holder(entry["type"], entry["at"], entry.get("about", {}).get("person"))
