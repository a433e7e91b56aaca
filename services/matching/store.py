"""What matching asks of its database beside the pipeline: the file of a case or referral, lists, the directory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from pymongo import DESCENDING

from services.chassis.mongo import aliases
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.schema import CHASSIS, Schema
from services.matching.domain.file import File

# A file pays for the first three, and few for the others.
INDEXES = (
    Index("aggregates", ("state.cases.id",), "file_of_case()", sparse=True),
    Index(
        "aggregates",
        ("state.municipality", "state.status", "-state.since"),
        "list_files()",
        partial={"state.status": {"$exists": True}},
    ),
    Index("aggregates", ("state.referrals.referral",), "file_of_referral()", sparse=True),
    Index(
        "aggregates",
        ("state.municipality", "-state.since"),
        "list_files(), flagged alone",
        partial={"state.flagged": True},
    ),
    Index("aggregates", ("state.changed_at",), "versions()", sparse=True),
)
SCHEMA = Schema((*CHASSIS, *aliases.INDEXES, *INDEXES))
_STATE = {"state": 1}


class CaseFilter(NamedTuple):
    """Which cases: of these municipalities, with this status; `flagged`: only those that wait for a human's look."""

    municipalities: Sequence[str]
    status: str
    flagged: bool


class MatchingStore:
    """Reads; every write goes through the pipeline. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._aggregates = database["aggregates"]

    async def file_of_case(self, case: str) -> tuple[str, File] | None:
        """The aggregate id and state of the file that holds this case."""
        return await self._file({"state.cases.id": case})

    async def file_of_referral(self, referral: str) -> tuple[str, File] | None:
        """The aggregate id and state of the file that holds this referral."""
        return await self._file({"state.referrals.referral": referral})

    async def list_files(self, wanted: CaseFilter, page: int, per_page: int) -> tuple[list[File], int]:
        """A page (from 1) of files by the status of their last case, the latest first; and how many there are."""
        query = _files_query(wanted)
        async with available():
            found = self._aggregates.find(query, _STATE).sort("state.since", DESCENDING)
            documents = await found.skip((page - 1) * per_page).limit(per_page).to_list(per_page)
            total = await self._aggregates.count_documents(query)
        return [document["state"] for document in documents], total

    async def versions(self, since: datetime | None) -> dict[str, int]:
        """The version of each entry of the directory that changed after `since`; None: of all, by id."""
        query: dict[str, Any] = {"state.changed_at": {"$gt": since} if since else {"$exists": True}}
        async with available():
            return {d["_id"]: d["v"] async for d in self._aggregates.find(query, {"v": 1})}

    async def entries(self, ids: Collection[str]) -> list[dict[str, Any]]:
        """These entries of the directory: their documents, with `v` and `state`."""
        async with available():
            return await self._aggregates.find({"_id": {"$in": list(ids)}}, {"v": 1, "state": 1}).to_list(None)

    async def _file(self, query: dict[str, Any]) -> tuple[str, File] | None:
        async with available():
            found = await self._aggregates.find_one(query, _STATE)
        return (found["_id"], cast(File, found["state"])) if found else None


def _files_query(wanted: CaseFilter) -> dict[str, Any]:
    query: dict[str, Any] = {
        "state.municipality": {"$in": list(wanted.municipalities)},
        "state.status": wanted.status,
    }
    return query | {"state.flagged": True} if wanted.flagged else query
