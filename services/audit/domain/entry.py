"""From a record of the chain to an entry of the trail: a commitment to its content, and what says nothing of a person.

Only the context attributes and a few fields of the data are read: a full validation would cost most of the throughput,
and a commitment needs none. All that is kept in plain is checked against a narrow form, so that no value of a wrong
record can put personal data into an entry that cannot be erased.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hulpketen_contracts import CATALOGUE, DecodeError

Headers = Sequence[tuple[str, bytes | None]]
Document = dict[str, Any]

NONCE_BYTES = 32
MAX_VALUE_BYTES = 65536
ERASED_TYPE = "nl.hulpketen.persons.erased.v1"
MERGED_TYPE = "nl.hulpketen.persons.merged.v1"

_ACTIVITIES = {event_type: event.ACTIVITY for event_type, event in CATALOGUE.items()}
_ORGANISATION_FIELDS = ("organisation", "sender", "confirmedByOrganisation")
_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")

_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_slug = re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch
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
    merged_into: str | None = None


def read(headers: Headers, value: bytes | None) -> Entry:
    """The entry of a record. Raises DecodeError for what is no event of the catalogue."""
    attributes = _attributes(headers)
    event_type, event_id, source = attributes["ce_type"], attributes["ce_id"], attributes["ce_source"]
    if event_type not in _ACTIVITIES:
        raise DecodeError("unknown-type", "this type is not in the catalogue")
    if not _uuid(event_id) or not _source(source):
        raise DecodeError("bad-headers", "ce_id or ce_source has another form than the chain's own")
    data = _data(value)
    person = _text(data, "person") or _text(data, "subject")
    return Entry(
        event_id=event_id,
        at=_time(attributes["ce_time"]),
        type=event_type,
        source=source,
        organisation=_organisation(data),
        activity=_ACTIVITIES[event_type] or _plain(data.get("activity")),
        person=person,
        about=_about(attributes, data, person),
        content=content(headers, value or b""),
        merged_into=_text(data, "into") if event_type == MERGED_TYPE else None,
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
        "commitment": hmac.digest(nonce, entry.content, "sha256"),
    }
    if not erased:
        document["about"] = {**entry.about, "nonce": nonce}
    return document


def content(headers: Headers, value: bytes) -> bytes:
    """What is committed to: the number of context attributes, each name and value in the order of the names, the data.

    All are set apart by NUL, which no attribute may hold, so that no two events have the same content.
    Raises DecodeError where an attribute holds one.
    """
    attributes = sorted((name.encode(), held or b"") for name, held in headers if name.startswith("ce_"))
    parts = [part for attribute in attributes for part in attribute]
    head = b"\0".join(parts)
    if head.count(b"\0") != len(parts) - 1:
        raise DecodeError("bad-headers", "an attribute holds a NUL")
    return b"%d\0%b\0%b" % (len(attributes), head, value)


def _attributes(headers: Headers) -> dict[str, str]:
    try:
        attributes = {name: held.decode() for name, held in headers if held is not None}
    except UnicodeDecodeError:
        raise DecodeError("bad-headers", "a header is not UTF-8") from None
    if len(attributes) != len(headers):
        raise DecodeError("bad-headers", "a header is null or stands there twice")
    for name in _REQUIRED:
        if not attributes.get(name):
            raise DecodeError("not-an-event", f"there is no {name}")
    return attributes


def _data(value: bytes | None) -> Document:
    if value is None or len(value) > MAX_VALUE_BYTES:
        raise DecodeError("too-large" if value else "invalid-data", "the data is absent or over 64 KB")
    try:
        data = json.loads(value)
    except (ValueError, RecursionError):
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
    return next((_plain(data[name]) for name in _ORGANISATION_FIELDS if data.get(name)), None)


def _about(attributes: dict[str, str], data: Document, person: str | None) -> dict[str, str]:
    about = {"person": person, "case": _text(data, "case"), "stream": attributes.get("ce_stream")}
    return {name: held for name, held in about.items() if held}


def _plain(value: object) -> str | None:
    return value if isinstance(value, str) and _slug(value) else None


def _text(data: Document, name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= 64 else None
