"""Keys wrapped by a KMS: they are stored wrapped in the service's own database, and opened in memory alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple

import httpx
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.chassis.keys import (
    FileKeyProvider,
    KeyDestroyed,
    KeyProvider,
    SealBroken,
    Sealer,
    derived,
    new_key,
)
from services.chassis.kms import AzureKms, Bound, Kms, KmsRefused, VaultKms
from services.chassis.logs import get_logger
from services.chassis.mongo.database import Database, available
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.settings import KeysSettings

log = get_logger(__name__)
COLLECTION = "keys"
FRESH_S = 60.0
_MASTER, _LABEL = "master/", "label/"
_MOST_HELD = 2_000


class _Held(NamedTuple):
    """A wrapping key that is open, what it was wrapped, and when the database was last seen to have it."""

    sealer: Sealer
    wrapped: bytes
    seen: float


class KmsKeyProvider:
    """Master and wrapping keys, each wrapped by the KMS in a document of its own: {_id: "label/…", wrapped: bytes}.

    Who makes a key first wins. A wrapping key is destroyed by deleting its document: at once in this process, within
    FRESH_S seconds in others, which hold it open for so long. A master key that was added counts from the next start.
    """

    def __init__(self, database: Database, kms: Kms, clock: Callable[[], float] = monotonic) -> None:
        self._keys = database[COLLECTION]
        self._kms = kms
        self._clock = clock
        self._masters: dict[int, bytes] = {}
        self._held: dict[str, _Held] = {}

    async def prepare(self) -> None:
        """Open the master keys; the first one is made here. Raises StoreUnavailable: of the database, or the KMS."""
        stored = await self._stored_masters() or [await self._made(f"{_MASTER}1")]
        names = [str(document["_id"]) for document in stored]
        try:
            opened = await self._kms.unwrap([_bound(document) for document in stored])
        except SealBroken as error:
            log.error("keys_broken", keys=names, hint="they were wrapped by another key, or changed")
            raise KmsRefused("the master keys cannot be opened") from error
        self._masters = {int(name.removeprefix(_MASTER)): key for name, key in zip(names, opened, strict=True)}

    async def close(self) -> None:
        await self._kms.close()

    async def wrap(self, label: str, keys: Sequence[bytes]) -> list[bytes]:
        sealer, associated = await self._sealer(label, make=True), label.encode()
        return [sealer.seal(key, associated) for key in keys]

    async def unwrap(self, label: str, wrapped: Sequence[bytes]) -> list[bytes]:
        held = self._held.get(label)
        fresh = held is not None and self._clock() - held.seen < FRESH_S
        sealer = held.sealer if held and fresh else await self._sealer(label, make=False)
        associated = label.encode()
        return [sealer.open(each, associated) for each in wrapped]

    async def destroy(self, label: str) -> None:
        async with available():
            await self._keys.delete_one({"_id": f"{_LABEL}{label}"})
        self._held.pop(label, None)

    def derive(self, purpose: str, version: int | None = None) -> bytes:
        return derived(self._masters[self.versions()[0] if version is None else version], purpose)

    def versions(self) -> list[int]:
        if not self._masters:
            raise StoreUnavailable("the keys are not open yet")
        return sorted(self._masters, reverse=True)

    async def _sealer(self, label: str, *, make: bool) -> Sealer:
        """The wrapping key as the database has it now; a key that others destroyed must not wrap anything more."""
        name, held = f"{_LABEL}{label}", self._held.get(label)
        async with available():
            document = await self._keys.find_one({"_id": name})
        if document is None:
            self._held.pop(label, None)
            if not make:
                raise KeyDestroyed(label)
            document = await self._made(name)
        if held and held.wrapped == document["wrapped"]:
            sealer = held.sealer
        else:
            (key,) = await self._kms.unwrap([_bound(document)])
            sealer = Sealer(key)
        self._hold(label, _Held(sealer, document["wrapped"], self._clock()))
        return sealer

    def _hold(self, label: str, held: _Held) -> None:
        self._held.pop(label, None)
        self._held[label] = held
        if len(self._held) > _MOST_HELD:
            del self._held[next(iter(self._held))]

    async def _stored_masters(self) -> list[dict[str, Any]]:
        async with available():
            return await self._keys.find({"_id": {"$regex": f"^{_MASTER}"}}).to_list(None)

    async def _made(self, name: str) -> dict[str, Any]:
        """The key of this name: a new one, or that of the process that was first."""
        (wrapped,) = await self._kms.wrap([Bound(new_key(), _context(name))])
        async with available():
            try:
                found = await self._keys.find_one_and_update(
                    {"_id": name},
                    {"$setOnInsert": {"wrapped": wrapped}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError as error:
                raise StoreUnavailable("another process makes this key") from error
        return dict(found)


def open_provider(
    settings: KeysSettings, database: Database, transport: httpx.AsyncBaseTransport | None = None
) -> KeyProvider:
    """The provider that the settings name; `transport` is the way to a KMS."""
    if settings.provider == "file" and settings.file:
        return FileKeyProvider(settings.file)
    kms = VaultKms(settings, transport) if settings.provider == "vault" else AzureKms(settings, transport)
    return KmsKeyProvider(database, kms)


def _context(name: str) -> str:
    return f"hulpketen/keys/{name}"


def _bound(document: dict[str, Any]) -> Bound:
    return Bound(document["wrapped"], _context(document["_id"]))
