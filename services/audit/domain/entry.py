"""From a record of the chain to an entry of the trail: a commitment to its content, and what says nothing of a person.

Only the context attributes and a few fields of the data are read: a full validation would cost most of the throughput,
and a commitment needs none. All that is kept in plain is checked against a narrow form, so that no value of a wrong
record can put personal data into an entry that cannot be erased.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import Any, NamedTuple

from hulpketen_contracts import CATALOGUE, MAX_EVENT_BYTES, DecodeError, PersonMerged, decode
from pydantic_core import from_json

from services.audit.domain.attributes import Headers, attributes

Document = dict[str, Any]

NONCE_BYTES = 32

_ACTIVITIES = {event_type: event.ACTIVITY for event_type, event in CATALOGUE.items()}
_ORGANISATION_FIELDS = ("organisation", "sender", "confirmedByOrganisation")

_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_code = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}").fullmatch
_source = re.compile(r"urn:nld:oin:[0-9]{20}:systeem:[a-z0-9-]{1,40}").fullmatch


class Entry(NamedTuple):
    """What the trail takes from one event, before it has a number."""

    event_id: str
    at: datetime
    type: str
    source: str
    organisation: str | None
    activity: str | None
    person: str | None
    about: dict[str, str]
    content: bytes
    merged_into: str | None
    traceparent: str | None


def read(headers: Headers, value: bytes | None) -> Entry:
    """The entry of a record. Raises DecodeError for what is no event of the catalogue."""
    found = attributes(headers)
    if found.type not in _ACTIVITIES:
        decode(headers, value)  # raises, and says whether it is the type or its version that is not known
    if not _uuid(found.id) or not _source(found.source):
        raise DecodeError("bad-headers", "ce_id or ce_source has another form than the chain's own")
    data = _data(value)
    person = _id(data.get("person") or data.get("subject"))
    return Entry(
        found.id,
        _time(found.time),
        found.type,
        found.source,
        _organisation(data),
        _ACTIVITIES[found.type] or _plain(data.get("activity")),
        person,
        _about(person, _id(data.get("case"))),
        found.committed + (value or b""),
        _id(data.get("into")) if found.type == PersonMerged.TYPE else None,
        found.traceparent,
    )


def leaf(entry: Entry, index: int, nonce: bytes, *, erased: bool = False) -> Document:
    """The document of an entry at its place in the trail. `nonce`: 32 random bytes, used for this entry alone.

    `about` holds all that leads to a person or opens the commitment: erasing is unsetting it, and the leaf stays.
    `erased`: the person was erased before this entry came, so that it never has one.
    """
    document: Document = {
        "_id": index,
        "at": entry.at,
        "type": entry.type,
        "source": entry.source,
        "organisation": entry.organisation,
        "activity": entry.activity,
        "eventId": entry.event_id,
        "commitment": commitment(nonce, entry.content),
    }
    if not erased:
        document["about"] = entry.about | {"nonce": nonce}
    return document


def commitment(nonce: bytes, content: bytes) -> bytes:
    """32 bytes that bind to the content, and say nothing of it to who does not have the nonce."""
    return hmac.digest(nonce, content, "sha256")


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
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise DecodeError("bad-headers", "ce_time is not a time") from None
    if at.tzinfo is None:
        raise DecodeError("bad-headers", "ce_time has no zone")
    return at


def _organisation(data: Document) -> str | None:
    """Who acted: for a referral the receiver where it was the receiver that decided, and its author otherwise."""
    if "fromOrganisation" in data:
        return _plain(data.get("toOrganisation" if data.get("decidedBy") == "partner" else "fromOrganisation"))
    for name in _ORGANISATION_FIELDS:
        if name in data:
            return _plain(data[name])
    return None


def _about(person: str | None, case: str | None) -> dict[str, str]:
    about: dict[str, str] = {}
    if person:
        about["person"] = person
    if case:
        about["case"] = case
    return about


def _plain(value: object) -> str | None:
    return value if isinstance(value, str) and _code(value) else None


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _uuid(value) else None
