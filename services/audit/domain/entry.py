"""From a record of the chain to an entry of the trail: a commitment to its content, and what says nothing of a person.

Only the context attributes and a few fields of the data are read: a full validation would cost most of the throughput,
and a commitment needs none. All that is kept in plain is checked against a narrow form: no free text and no number of a
person gets from a wrong record into an entry that cannot be erased.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from hulpketen_contracts import CATALOGUE, MAX_EVENT_BYTES, AccessLogged, DecodeError, Event, PersonMerged, decode
from pydantic import ValidationError
from pydantic_core import from_json

from services.audit.domain.attributes import Headers, attributes

Document = dict[str, Any]
Said = TypeVar("Said", bound=Event)
ACCESSES = "accesses/"
BEGUN_AGAIN = "trail.begun-again"
"""The type of the first entry of a log that had to begin again: of no event."""

_ACTIVITIES = {event_type: event.ACTIVITY for event_type, event in CATALOGUE.items()}
_ORGANISATION_FIELDS = ("organisation", "sender", "confirmedByOrganisation")

_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_trace_id = re.compile(r"(?!0{32})[0-9a-f]{32}").fullmatch
_code = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}").fullmatch
_number = re.compile(r"[0-9]{8}").search
_source = re.compile(r"urn:nld:oin:[0-9]{20}:systeem:[a-z0-9-]{1,40}").fullmatch


class Key(Protocol):
    """The key of whom an entry is about."""

    def nonce(self, event_id: str) -> bytes: ...

    def seal(self, content: bytes, bound_to: bytes) -> bytes: ...


class Entry(NamedTuple):
    """What the trail takes from one event, before it has a number."""

    event_id: str
    at: datetime
    type: str
    source: str
    organisation: str | None
    activity: str | None
    person: str | None
    about: Document
    content: bytes
    merged_into: str | None
    traceparent: str | None

    @property
    def holder(self) -> str | None:
        """Whose key seals its content."""
        return holder(self.type, self.at, self.person)


def holder(event_type: str, at: datetime, person: str | None) -> str | None:
    """Whose key seals an entry: the person's whom it is about; of who looked, the day's; None: the service's own.

    Days have keys so that who looked can be forgotten for good when it was kept long enough.
    """
    return f"{ACCESSES}{at.astimezone(UTC):%Y-%m-%d}" if event_type == AccessLogged.TYPE else person


def read(headers: Headers, value: bytes | None, topic: str) -> Entry:
    """The entry of a record. Raises DecodeError for what is no event of the catalogue.

    Who may write to a topic is the broker's to say, and every service may write to that of the log: so an event on
    another topic than its own is somebody's who may not send it.
    """
    found = attributes(headers)
    if found.type not in _ACTIVITIES:
        decode(headers, value)  # raises, and says whether it is the type or its version that is not known
    if topic != CATALOGUE[found.type].TOPIC:
        raise DecodeError("bad-headers", f"events of this type are sent on {CATALOGUE[found.type].TOPIC} alone")
    if not _uuid(found.id) or not _source(found.source):
        raise DecodeError("bad-headers", "ce_id or ce_source has another form than the chain's own")
    data = _data(value)
    about = about_of(data, found.traceparent)
    return Entry(
        found.id,
        _time(found.time),
        found.type,
        found.source,
        _organisation(data),
        _ACTIVITIES[found.type] or _plain(data.get("activity")),
        about.get("person"),
        about,
        found.committed + (value or b""),
        _id(data.get("into")) if found.type == PersonMerged.TYPE else None,
        found.traceparent,
    )


def about_of(data: Document, traceparent: str | None = None) -> Document:
    """What leads to an entry, from its data: the person, the case, and the trace (which `traceparent` may say)."""
    person, case = _id(data.get("person") or data.get("subject")), _id(data.get("case"))
    found = {"person": person, "case": case, "trace": _trace(data, traceparent)}
    return {name: value for name, value in found.items() if value}


def leaf(entry: Entry, key: Key | None) -> Document:
    """The document of an entry; `_id`, its place in the trail, comes when it is added.

    `about` holds all that leads to a person or tells the content: erasing is unsetting it, and the leaf stays.
    `key` is None where the person was erased before this entry came, so that it never has one; its commitment is then
    made with a nonce that nobody keeps.
    """
    nonce = key.nonce(entry.event_id) if key else secrets.token_bytes(32)
    bound = commitment(nonce, entry.content)
    document: Document = {
        "at": entry.at,
        "type": entry.type,
        "source": entry.source,
        "organisation": entry.organisation,
        "activity": entry.activity,
        "eventId": entry.event_id,
        "commitment": bound,
    }
    if key:
        document["about"] = entry.about | {"sealed": key.seal(entry.content, bound)}
    return document


def found_again(entry: Entry, bound_to: bytes, key: Key | None) -> Document | None:
    """What stands beside a leaf that is there already, with this commitment; None where the person was erased.

    `unprovable`: the key is not the one of that time, so that nobody can show that the leaf commits to this content.
    """
    if key is None:
        return None
    about = entry.about | {"sealed": key.seal(entry.content, bound_to)}
    same = hmac.compare_digest(commitment(key.nonce(entry.event_id), entry.content), bound_to)
    return about if same else about | {"unprovable": True}


def commitment(nonce: bytes, content: bytes) -> bytes:
    """32 bytes that bind to the content, and say nothing of it to who does not have the nonce."""
    return hmac.digest(nonce, content, "sha256")


def said(model: type[Said], data: Document) -> Said | None:
    """The event that an entry's data is; None where it is none: the trail holds what was sent, right or wrong."""
    try:
        return model.model_validate(data, extra="ignore")
    except ValidationError:
        return None


def _data(value: bytes | None) -> Document:
    if value is None or len(value) > MAX_EVENT_BYTES:
        raise DecodeError("too-large" if value else "invalid-data", "the data is absent or over 64 KB")
    try:
        data = from_json(value)
    except ValueError:
        raise DecodeError("invalid-data", "the data is not JSON") from None
    if not isinstance(data, dict):
        raise DecodeError("invalid-data", "the data is not an object")
    return data


def _time(text: str) -> datetime:
    """In UTC. The ends of the calendar are refused: neither the database nor the end of a day can have them."""
    try:
        at = datetime.fromisoformat(text)
        known = at.tzinfo is not None and 1970 <= at.astimezone(UTC).year <= 9998
    except (ValueError, OverflowError):
        raise DecodeError("bad-headers", "ce_time is not a time") from None
    if not known:
        raise DecodeError("bad-headers", "ce_time has no zone, or is not between the years 1970 and 9998")
    return at.astimezone(UTC)


def _organisation(data: Document) -> str | None:
    """Who acted: for a referral the receiver where it was the receiver that decided, its author where that did, and
    nobody where a term ran out."""
    if "fromOrganisation" in data:
        if "decidedBy" not in data:
            return None
        return _plain(data.get("toOrganisation" if data.get("decidedBy") == "partner" else "fromOrganisation"))
    for name in _ORGANISATION_FIELDS:
        if name in data:
            return _plain(data[name])
    return None


def _trace(data: Document, traceparent: str | None) -> bytes | None:
    """The id of the trace: a line of the processing log says it itself, an event by how it travelled."""
    said = data.get("traceId")
    found = _trace_id(said if isinstance(said, str) else (traceparent or "")[3:35])
    return bytes.fromhex(found[0]) if found else None


def _plain(value: object) -> str | None:
    """A code, in which no number of a person can stand."""
    return value if isinstance(value, str) and _code(value) and not _number(value) else None


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _uuid(value) else None
