"""Who vouches for the trail, in MongoDB: `witnesses`, one for each organisation, and what they cosigned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo.errors import DuplicateKeyError

from services.audit.domain.entry import Document
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index

# The newest of each organisation stays in `witnesses`: who vouches for a tree vouches for all that it began with.
_KEPT_S = 35 * 86_400
INDEXES = (
    Index("witnesses", ("keys.material",), "register(): no key of two organisations", unique=True),
    Index("cosignatures", ("origin", "size", "organisation"), "add(): once each; lines()", unique=True),
    Index("cosignatures", ("at",), "MongoDB, which removes them", expires_s=_KEPT_S),
)


class WitnessKey(NamedTuple):
    """A key with which an organisation vouches: its vkey (C2SP signed-note), the key in it, and since when."""

    vkey: str
    material: bytes
    since: datetime


class Cosigned(NamedTuple):
    """What an organisation vouched for: a checkpoint's size, its signature line, when it signed and when that came."""

    organisation: str
    origin: str
    size: int
    line: str
    signed_at: datetime
    at: datetime


class Witness(NamedTuple):
    """An organisation that vouches: its key of now, and the largest tree that it vouched for, of whichever log."""

    organisation: str
    key: WitnessKey
    last: Cosigned | None


class WitnessStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._witnesses = database["witnesses"]
        self._cosignatures = database["cosignatures"]

    async def keys(self, organisation: str) -> Sequence[WitnessKey]:
        """All that the organisation ever had, the one of now last."""
        async with available():
            found = await self._witnesses.find_one({"_id": organisation}, {"keys": 1})
        return [WitnessKey(**key) for key in found["keys"]] if found else []

    async def register(self, organisation: str, key: WitnessKey, known: int) -> bool:
        """Give it this key, after the `known` that it had. False where another request was first, or the key is
        another organisation's."""
        place: dict[str, Any] = {"_id": organisation, "keys": {"$size": known}}
        async with available():
            try:
                if known == 0:
                    await self._witnesses.insert_one({"_id": organisation, "keys": [key._asdict()]})
                    return True
                done = await self._witnesses.update_one(place, {"$push": {"keys": key._asdict()}})
            except DuplicateKeyError:
                return False
        return bool(done.matched_count)

    async def owner(self, material: bytes) -> str | None:
        """The organisation that has, or had, this key."""
        async with available():
            found = await self._witnesses.find_one({"keys.material": material}, {"_id": 1})
        return str(found["_id"]) if found else None

    async def add(self, cosigned: Cosigned) -> bool:
        """Keep a cosignature; False where the organisation vouched for this checkpoint before: the first one stays."""
        last = {name: value for name, value in cosigned._asdict().items() if name != "organisation"}
        later = {"$or": [{"last.origin": {"$ne": cosigned.origin}}, {"last.size": {"$lt": cosigned.size}}]}
        async with available():
            try:
                await self._cosignatures.insert_one(cosigned._asdict())
            except DuplicateKeyError:
                new = False
            else:
                new = True
            await self._witnesses.update_one({"_id": cosigned.organisation} | later, {"$set": {"last": last}})
        return new

    async def of(self, organisation: str, origin: str, size: int) -> Cosigned | None:
        """What the organisation vouched for this checkpoint."""
        async with available():
            found = await self._cosignatures.find_one(
                {"origin": origin, "size": size, "organisation": organisation}, {"_id": 0}
            )
        return Cosigned(**found) if found else None

    async def lines(self, origin: str, size: int) -> list[str]:
        """The signature lines of all who vouched for this checkpoint, by organisation."""
        async with available():
            found = self._cosignatures.find({"origin": origin, "size": size}, {"line": 1}).sort("organisation", 1)
            return [str(each["line"]) for each in await found.to_list(None)]

    async def all(self) -> list[Witness]:
        """Everybody who has a key, by organisation."""
        async with available():
            found = await self._witnesses.find().sort("_id", 1).to_list(None)
        return [_witness(document) for document in found]


def _witness(document: Document) -> Witness:
    organisation, last = document["_id"], document.get("last")
    return Witness(organisation, WitnessKey(**document["keys"][-1]), Cosigned(organisation, **last) if last else None)
