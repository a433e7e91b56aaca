"""An honest new log, where the trail cannot go on from what was signed: its first leaf is the old checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.note import VerifierKey

from deploy.backup.archive import BackupError
from deploy.backup.load import check_stopped
from deploy.backup.places import Client
from services.audit.domain.entry import BEGUN_AGAIN
from services.chassis.pipeline.model import name_id

SOURCE = "urn:hulpketen:trail"
_SHIFTED = "entries_again"


class Begun(NamedTuple):
    """What was done: the number of the new log, and how many entries of the old one are in it, after the first."""

    generation: int
    entries: int


def begin_again(client: Client, name: str, text: str, keys: Sequence[VerifierKey]) -> Begun:
    """Let the trail in this database begin again after this checkpoint, which is the last that anybody holds.

    The audit must be stopped. Every entry that is left moves one place on; leaves stay as they are. Run again after a
    crash it does the rest. Raises BackupError.
    """
    check_stopped(client, "audit", name)
    checkpoint = _checked(text, keys)
    database = client[name]
    generation = _generation(checkpoint)
    first = _first_leaf(text)
    begun = database["entries"].find_one({"_id": 0, "eventId": first["eventId"]}, {"_id": 1})
    if not begun:
        _must(client, name, checkpoint, generation)
        _shift(database, first)
    if "checkpoints" in database.list_collection_names():
        _set_aside(database, generation, keep_new=bool(begun))
    database["trail"].delete_many({"_id": {"$in": ["stopped", "checked"]}})
    database["trail"].update_one({"_id": "generation"}, {"$set": {"number": generation + 1}}, upsert=True)
    return Begun(generation + 1, database["entries"].estimated_document_count() - 1)


def _checked(text: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        return open_checkpoint(text, keys)
    except TrailError as error:
        raise BackupError(f"the checkpoint cannot be taken: {error}") from error


def _generation(checkpoint: Checkpoint) -> int:
    number = checkpoint.origin.rpartition("/")[2]
    if not number.isdecimal():
        raise BackupError(f"the checkpoint is of {checkpoint.origin}, which is no log of this chain: …/<number>")
    return int(number)


def _must(client: Client, name: str, checkpoint: Checkpoint, generation: int) -> None:
    """Raises BackupError where there is no need to, or another checkpoint to begin after."""
    database = client[name]
    state = database["trail"].find_one({"_id": "generation"})
    if (state["number"] if state else 1) != generation:
        raise BackupError(f"the checkpoint is of log {generation}, and the database of another one")
    last = database["checkpoints"].find_one({}, sort=[("_id", -1)])
    if last and last["_id"] > checkpoint.size:
        raise BackupError(f"the database has a later checkpoint, of {last['_id']} entries: begin after the latest")
    same = last is not None and (last["_id"], last["root"]) == (checkpoint.size, checkpoint.root)
    if same and not database["trail"].find_one({"_id": "stopped"}):
        raise BackupError("the database has this checkpoint: nothing is lost, and the log goes on by itself")


def _first_leaf(text: str) -> dict[str, Any]:
    """The entry of the old log: its commitment is the SHA-256 of the checkpoint, which is no secret."""
    now = datetime.now(UTC)
    return {
        "_id": 0,
        "at": now.replace(microsecond=now.microsecond // 1000 * 1000),
        "type": BEGUN_AGAIN,
        "source": SOURCE,
        "organisation": None,
        "activity": None,
        "eventId": name_id(text),
        "commitment": sha256(text.encode()).digest(),
        "about": {"checkpoint": text},
    }


def _shift(database: Any, first: dict[str, Any]) -> None:
    moved = [{"$set": {"_id": {"$add": ["$_id", 1]}}}, {"$out": _SHIFTED}]
    database[_SHIFTED].drop()
    list(database["entries"].aggregate(moved))
    database[_SHIFTED].insert_one(first)
    database[_SHIFTED].rename("entries", dropTarget=True)


def _set_aside(database: Any, generation: int, *, keep_new: bool) -> None:
    """The old log's checkpoints stay, under another name."""
    aside = f"checkpoints_{generation}"
    if not (keep_new and aside in database.list_collection_names()):
        database["checkpoints"].rename(aside, dropTarget=True)
