"""The vault: random pseudonyms, keyed hashes that lead to them, and personal data under a key for each person."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from services.chassis.data_keys import make_keys, open_keys, period
from services.chassis.keys import KeyedHasher, KeyProvider, Sealer
from services.chassis.pipeline.errors import StoreUnavailable
from services.intake.domain.client import Identifier
from services.intake.domain.identity import Found, Known, Trace, claims, resolve
from services.intake.domain.person import Values, merged
from services.intake.store import Document, IntakeStore

_TRIES = 8


class Entry(NamedTuple):
    """A record for the vault: what leads to its person, and its values by kind.

    `apart`: keep it under a pseudonym of its own for now, and let nothing lead to it.
    """

    identifiers: Sequence[Identifier]
    values: Mapping[str, Any]
    apart: bool = False


@dataclass(slots=True)
class Opened:
    """A person whose key is open, for as long as one batch or request takes."""

    pseudonym: str
    sealer: Sealer
    values: Values

    def seal(self, kind: str, value: str) -> bytes:
        """Seal something that is kept elsewhere; pseudonym and kind are the associated data."""
        return self.sealer.seal(value.encode(), _associated(self.pseudonym, kind))

    def open(self, kind: str, sealed: bytes) -> str:
        """Open it again. Raises SealBroken."""
        return self.sealer.open(sealed, _associated(self.pseudonym, kind)).decode()


class Placed(NamedTuple):
    """Where a record went; `candidates` where a human has to say who it is about."""

    person: Opened
    candidates: tuple[str, ...]


class Vault:
    """All personal data of intake goes through here."""

    def __init__(
        self, store: IntakeStore, keys: KeyProvider, clock: Callable[[], datetime], key_period_days: int
    ) -> None:
        self._store = store
        self._keys = keys
        self._hasher = KeyedHasher(keys)
        self._clock = clock
        self._period = key_period_days
        # Within a process records of one person wait for each other; between processes the unique hashes decide.
        self._resolving = asyncio.Lock()

    def digest(self, municipality: str, kind: str, value: str) -> str:
        """A keyed hash of something that is not to be guessed."""
        return self._hasher.hash(municipality, kind, value)

    async def place(self, municipality: str, entries: Sequence[Entry]) -> list[Placed]:
        """Find or make the person of each record, and keep its values. A handful of queries for all together.

        A crash in between leaves hashes that lead to a pseudonym without values: the next record fills it.
        """
        async with self._resolving:
            found = await self._resolve(municipality, entries)
        additions: dict[str, Values] = {}
        births: dict[str, dict[str, str]] = {}
        for entry, (traces, each) in zip(entries, found, strict=True):
            additions[each.person] = merged(additions.get(each.person, {}), entry.values)
            if not each.candidates:
                births.setdefault(each.person, {}).update({t.place: t.hash for t in traces if t.kind == "birth"})
        opened = await self._keep(municipality, additions, births)
        return [Placed(opened[each.person], each.candidates) for _, each in found]

    async def look_up(self, municipality: str, identifiers: Sequence[Identifier]) -> list[str]:
        """Persons that these lead to, all together; nothing is made."""
        known = await self._known([self._traces(municipality, identifiers)])
        return list(dict.fromkeys(person for persons in known.led.values() for person in persons))

    async def lead(self, municipality: str, identifiers: Sequence[Identifier], person: str) -> None:
        """A human decided: these lead to this person from now on (too)."""
        traces = self._traces(municipality, identifiers)
        for _ in range(_TRIES):
            stored = await self._store.identifiers([trace.hash for trace in traces])
            rounds = claims([(traces, Found(person))], stored)
            lost = [await self._store.claim(each, municipality, stored) for each in rounds]
            if not any(lost):
                return
        raise StoreUnavailable("identifiers are contended")

    async def add(self, municipality: str, person: str, values: Values) -> Opened:
        """Keep more about a person that there is."""
        return (await self._keep(municipality, {person: values}, {}))[person]

    async def open(self, person: str) -> Opened | None:
        """A person's values; None where there is nobody (any more)."""
        document = (await self._store.persons([person])).get(person)
        if document is None:
            return None
        (key,) = await self._keys.unwrap(document["label"], [document["key"]])
        return _opened(document, key)

    async def replace(self, person: str, kind: str, value: Any) -> bool:
        """Set one value as it stands; False where there is nobody (any more)."""
        for _ in range(_TRIES):
            document = (await self._store.persons([person])).get(person)
            if document is None:
                return False
            (key,) = await self._keys.unwrap(document["label"], [document["key"]])
            opened = _opened(document, key)
            changed = _document(document, opened.sealer, opened.values | {kind: value})
            if not await self._store.write_persons([changed]):
                return True
        raise StoreUnavailable("person is contended")

    async def erase(self, persons: Collection[str]) -> None:
        """Forget these persons: their data and keys, and the hashes that lead to them. Again is harmless."""
        await self._store.forget_persons(persons)

    async def drop(self, pseudonym: str) -> None:
        """Drop what was kept apart under this pseudonym."""
        await self._store.drop_person(pseudonym)

    # Who it is about

    async def _resolve(self, municipality: str, entries: Sequence[Entry]) -> list[tuple[list[Trace], Found]]:
        """Resolve, claim, and resolve again what others claimed first: racing replicas end with one person."""
        traced = [[] if entry.apart else self._traces(municipality, entry.identifiers) for entry in entries]
        for _ in range(_TRIES):
            known = await self._known(traced)
            before = {name: tuple(persons) for name, persons in known.led.items()}
            found = [(traces, resolve(traces, known, _pseudonym)) for traces in traced]
            if await self._claim(municipality, found, before):
                return found
        raise StoreUnavailable("identifiers are contended")

    async def _claim(
        self, municipality: str, found: Sequence[tuple[list[Trace], Found]], before: Mapping[str, Sequence[str]]
    ) -> bool:
        stored = set(before)
        for each in claims(found, before):
            if await self._store.claim(each, municipality, stored):
                return False
            stored |= {claim.trace.hash for claim in each}
        return True

    async def _known(self, traced: Iterable[Sequence[Trace]]) -> Known:
        hashes = {trace.hash for traces in traced for trace in traces}
        led = await self._store.identifiers(hashes) if hashes else {}
        known = Known(led={name: list(persons) for name, persons in led.items()})
        surnames = {t.hash for traces in traced if len(traces) > 1 for t in traces if t.kind == "surname"}
        doubtful = {person for name in surnames for person in led.get(name, ())}
        if doubtful:
            documents = await self._store.persons(doubtful)
            known.births = {person: dict(document["births"]) for person, document in documents.items()}
        return known

    def _traces(self, municipality: str, identifiers: Sequence[Identifier]) -> list[Trace]:
        def hashed(kind: str, text: str) -> str:
            return self._hasher.hash(municipality, kind, text)

        place = next((each.place for each in identifiers if each.kind in ("birth", "surname")), "")
        at = hashed("address", place) if place else ""
        return [Trace(each.kind, hashed(each.kind, each.text), at) for each in identifiers]

    # What is kept

    async def _keep(
        self, municipality: str, additions: Mapping[str, Values], births: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Opened]:
        done: dict[str, Opened] = {}
        todo = set(additions)
        for _ in range(_TRIES):
            documents, keys = await self._open_or_make(municipality, todo)
            writes: list[Document] = []
            for person, document in documents.items():
                opened = _opened(document, keys[person])
                values = merged(opened.values, additions[person])
                born = document["births"] | births.get(person, {})
                if document["v"] == 0 or values != opened.values or born != document["births"]:
                    writes.append(_document(document | {"births": born}, opened.sealer, values))
                done[person] = Opened(person, opened.sealer, values)
            todo = await self._store.write_persons(writes)
            if not todo:
                return done
        raise StoreUnavailable("persons are contended")

    async def _open_or_make(
        self, municipality: str, pseudonyms: Iterable[str]
    ) -> tuple[dict[str, Document], dict[str, bytes]]:
        documents = await self._store.persons(set(pseudonyms))
        keys = await open_keys(self._keys, documents.values())
        missing = [person for person in pseudonyms if person not in documents]
        if missing:
            made, new = await make_keys(self._keys, self._label(municipality), missing)
            documents |= {person: each | {"v": 0, "values": {}, "births": {}} for person, each in made.items()}
            keys |= new
        return documents, keys

    def _label(self, municipality: str) -> str:
        """The wrapping key of new persons: of a municipality and a period."""
        return f"persons/{municipality}/{period(self._clock(), self._period)}"


def _pseudonym() -> str:
    return str(uuid.uuid4())


def _associated(person: str, kind: str) -> bytes:
    return f"{person}/{kind}".encode()


def _opened(document: Document, key: bytes) -> Opened:
    sealer = Sealer(key)
    person = document["_id"]
    values = {
        kind: json.loads(sealer.open(sealed, _associated(person, kind))) for kind, sealed in document["values"].items()
    }
    return Opened(person, sealer, values)


def _document(document: Document, sealer: Sealer, values: Values) -> Document:
    """The next version of a document, with these values sealed."""
    sealed = {
        kind: sealer.seal(json.dumps(value).encode(), _associated(document["_id"], kind))
        for kind, value in values.items()
    }
    return document | {"v": document["v"] + 1, "values": sealed}
