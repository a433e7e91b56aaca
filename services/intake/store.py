"""What intake keeps in MongoDB beside its aggregates, and its queries on those."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import InsertOne, ReplaceOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from services.chassis.mongo.database import DUPLICATE, Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.schema import CHASSIS, Schema
from services.chassis.pipeline.errors import StoreUnavailable
from services.intake.domain.identity import Claim

Document = dict[str, Any]
_PAGE = 100
_COMPARED = 20
INDEXES = (
    Index("aggregates", ("state.ids",), "file_of()", sparse=True),
    Index(
        "aggregates",
        ("state.municipality", "_id"),
        "conflicts()",
        partial={"state.status": "identity-conflict"},
    ),
    Index("aggregates", ("state.chosenAt",), "waiting_choices()", partial={"state.status": "waiting"}),
    Index("codes", ("at",), "MongoDB, which removes them after a day", expires_s=86_400),
)


def schema(delivery_keys: timedelta) -> Schema:
    """`delivery_keys`: how long the idempotency key of a delivery is remembered."""
    lifetime = int(delivery_keys.total_seconds())
    return Schema((*CHASSIS, *INDEXES, Index("deliveries", ("at",), "MongoDB, which removes them", expires_s=lifetime)))


class IntakeStore:
    """Every method raises StoreUnavailable where the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._aggregates = database["aggregates"]
        self._identifiers = database["persons_identifiers"]
        self._persons = database["persons_vault"]
        self._deliveries = database["deliveries"]
        self._codes = database["codes"]

    # Who a person is

    async def identifiers(self, hashes: Collection[str]) -> dict[str, list[str]]:
        """The persons that each known hash leads to."""
        async with available():
            found = await self._identifiers.find({"_id": {"$in": list(hashes)}}, {"persons": 1}).to_list(None)
        return {document["_id"]: document["persons"] for document in found}

    async def claim(self, claims: Sequence[Claim], municipality: str, stored: Collection[str]) -> set[str]:
        """Let hashes lead to persons. Answers the new hashes that another claimed first: look again."""
        by_hash: dict[str, list[Claim]] = {}
        for claim in claims:
            by_hash.setdefault(claim.trace.hash, []).append(claim)
        operations = [
            _addition(name, group) if name in stored else _insertion(name, group, municipality)
            for name, group in by_hash.items()
        ]
        async with available():
            lost = await _duplicates(self._identifiers, operations)
        names = list(by_hash)
        return {names[index] for index in lost}

    async def persons(self, pseudonyms: Collection[str]) -> dict[str, Document]:
        """The vault's documents, by pseudonym."""
        async with available():
            found = await self._persons.find({"_id": {"$in": list(pseudonyms)}}).to_list(None)
        return {document["_id"]: document for document in found}

    async def write_persons(self, documents: Sequence[Document]) -> set[str]:
        """Write each where its version still is one less than `v`; answers where another was first."""
        operations = [
            InsertOne(document)
            if document["v"] == 1
            else ReplaceOne({"_id": document["_id"], "v": document["v"] - 1}, document, upsert=True)
            for document in documents
        ]
        async with available():
            lost = await _duplicates(self._persons, operations)
        return {documents[index]["_id"] for index in lost}

    async def drop_person(self, pseudonym: str) -> None:
        """Drop what was kept under the pseudonym of one record, once it has joined a person."""
        async with available():
            await self._persons.delete_one({"_id": pseudonym})

    async def forget_persons(self, pseudonyms: Collection[str]) -> None:
        """Drop these persons and all that leads to them. It reads every hash: for the rare day of a restore."""
        given = list(pseudonyms)
        async with available():
            await self._persons.delete_many({"_id": {"$in": given}})
            await self._identifiers.update_many({"persons": {"$in": given}}, {"$pullAll": {"persons": given}})
            await self._identifiers.delete_many({"persons": []})

    # Aggregates

    async def state(self, aggregate: str) -> Document | None:
        """The state of one aggregate."""
        async with available():
            found = await self._aggregates.find_one({"_id": aggregate}, {"state": 1})
        return found["state"] if found else None

    async def signals(self, ids: Collection[str]) -> dict[str, Document]:
        """Status, digest and person of the signals that there are, by id."""
        fields = {"state.status": 1, "state.digest": 1, "state.person": 1}
        names = [f"signal-{id}" for id in ids]
        async with available():
            found = await self._aggregates.find({"_id": {"$in": names}}, fields).to_list(None)
        return {document["_id"].removeprefix("signal-"): document["state"] for document in found}

    async def conflicts(self, municipalities: Collection[str], after: str) -> list[Document]:
        """Signals that wait for a human to say whom they are about, by id; at most 20 after `after`."""
        query = {
            "state.status": "identity-conflict",
            "state.municipality": {"$in": list(municipalities)},
            "_id": {"$gt": f"signal-{after}"},
        }
        async with available():
            found = await self._aggregates.find(query, {"state": 1}).sort("_id", 1).limit(_COMPARED).to_list(None)
        return [document["state"] for document in found]

    async def file_of(self, name: str) -> Document | None:
        """The file that a referral or case is in."""
        async with available():
            found = await self._aggregates.find_one({"state.ids": name, "_id": re.compile("^file-")}, {"state": 1})
        return found["state"] if found else None

    async def services(self, municipality: str, exit: str) -> list[Document]:
        """Active services that help after this exit in this municipality."""
        query = {
            "_id": re.compile("^service-"),
            "state.status": "active",
            "state.municipalities": municipality,
            "state.exits": exit,
        }
        async with available():
            found = await self._aggregates.find(query, {"state": 1}).sort("_id", 1).limit(_PAGE).to_list(None)
        return [document["state"] for document in found]

    async def waiting_choices(self, before: datetime) -> list[Document]:
        """Choices that were made before this time and that nobody confirmed; at most 100."""
        query = {"state.status": "waiting", "state.chosenAt": {"$lt": before}, "_id": re.compile("^choice-")}
        async with available():
            found = await self._aggregates.find(query, {"state": 1}).limit(_PAGE).to_list(None)
        return [document["state"] for document in found]

    async def municipalities(self) -> list[Document]:
        """The organisations of municipalities, by id."""
        query = {"_id": re.compile("^organisation-"), "state.kind": "municipality"}
        async with available():
            found = await self._aggregates.find(query, {"state": 1}).sort("_id", 1).limit(400).to_list(None)
        return [document["state"] for document in found]

    # Codes

    async def count_code(self, place: str, at: datetime) -> int:
        """Count one more code for this place; how many it were since the first, which is forgotten after a day."""
        change = {"$inc": {"n": 1}, "$setOnInsert": {"at": at}}
        async with available():
            found = await self._codes.find_one_and_update(
                {"_id": place}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        return int(found["n"])

    # Deliveries

    async def delivery(self, name: str) -> Document | None:
        """What a delivery under this key held so far: digests of its batches, and whether it ended."""
        async with available():
            return await self._deliveries.find_one({"_id": name})

    async def note_batch(self, name: str, index: int, digest: str, at: datetime) -> bool:
        """Note the digest of batch `index`; False where another process noted a batch there first."""
        query = {"_id": name, "batches": {"$size": index}}
        change = {"$push": {"batches": digest}, "$set": {"at": at, "done": False}}
        async with available():
            try:
                result = await self._deliveries.update_one(query, change, upsert=index == 0)
            except DuplicateKeyError:
                return False
        return bool(result.modified_count or result.upserted_id)

    async def end_delivery(self, name: str) -> None:
        """The delivery was read to its end: it has no more batches than these."""
        async with available():
            await self._deliveries.update_one({"_id": name}, {"$set": {"done": True}})


def _insertion(name: str, claims: Sequence[Claim], municipality: str) -> InsertOne[Document]:
    persons = [claim.person for claim in claims]
    return InsertOne({"_id": name, "kind": claims[0].trace.kind, "municipality": municipality, "persons": persons})


def _addition(name: str, claims: Sequence[Claim]) -> UpdateOne:
    return UpdateOne({"_id": name}, {"$addToSet": {"persons": {"$each": [claim.person for claim in claims]}}})


async def _duplicates(collection: Any, operations: Sequence[Any]) -> list[int]:
    """One unordered bulk; the indexes of the operations that met a duplicate key."""
    if not operations:
        return []
    try:
        await collection.bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        failures: list[Mapping[str, Any]] = error.details["writeErrors"]
        if error.details.get("writeConcernErrors"):
            raise StoreUnavailable("write concern") from error
        if any(failure["code"] != DUPLICATE for failure in failures):
            raise
        return [failure["index"] for failure in failures]
    return []
