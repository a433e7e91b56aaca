"""The JSON Schema (2020-12) of every event, and of the headers around it."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from hulpketen_contracts.catalogue import EVENTS
from hulpketen_contracts.event import Event

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_OPAQUE = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
_COUNT = "^[1-9][0-9]{0,14}$"
_TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z$"
_HEADERS: dict[str, tuple[str, str]] = {
    "content-type": ("^application/json(; ?charset=utf-8)?$", "The data is JSON."),
    "ce_specversion": ("^1\\.0$", "CloudEvents 1.0, in the NL GOV profile."),
    "ce_id": (_OPAQUE, "The same id is the same event."),
    "ce_source": ("^urn:nld:oin:[0-9]{20}:systeem:[a-z0-9][a-z0-9-]{0,39}$", "The organisation and system that sent."),
    "ce_time": (_TIME, "When it was logged (RFC 3339, UTC)."),
    "ce_subject": (_OPAQUE, "What it is about, by an opaque id."),
    "ce_dataref": ("^[!-~]{1,500}$", "Where who may can fetch who it is about."),
    "ce_stream": (_OPAQUE, "The stream that it belongs to, by an opaque id."),
    "ce_streamepoch": (_COUNT, "Raised when a service is restored from a backup; comes before streamseq."),
    "ce_streamseq": (_COUNT, "Its number in the stream: 1, 2, 3 … without gaps."),
    "ce_sequence": (_COUNT, "Its number in the partner's feed: 1, 2, 3 … without gaps."),
    "ce_sequencetype": ("^Integer$", "Says that sequence is a whole number."),
    "ce_origintime": (_TIME, "When what led to it came into the chain; absent where it began with this event."),
    "traceparent": ("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", "W3C Trace Context."),
}
_ALWAYS = ("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
_STREAM = ("ce_stream", "ce_streamepoch", "ce_streamseq")
_FEED = ("ce_sequence", "ce_sequencetype")


class _Plain(GenerateJsonSchema):
    """Without titles, which repeat the names."""

    def get_title_from_name(self, name: str) -> str:
        return ""


def schemas() -> dict[str, Schema]:
    """A schema for each event by its type, and two for the headers: `headers.chain`, `headers.partners`."""
    found = {event.TYPE: schema(event) for event in EVENTS}
    for name, partner in (("headers.chain", False), ("headers.partners", True)):
        found[name] = {"$schema": DIALECT, "$id": f"urn:hulpketen:{name}", **headers(None, partner=partner)}
    return found


def schema(event: type[Event]) -> Schema:
    """The schema of an event's data, as a reader has it: fields that it does not name are ignored."""
    held = _open(event.model_json_schema(by_alias=True, schema_generator=_Plain))
    address = {
        "x-topic": event.TOPIC,
        "x-key": _wire_name(event, event.KEY) or "stream",
        "x-reference": event.REFERENCE,
        "x-activity": event.ACTIVITY,
    }
    return {"$schema": DIALECT, "$id": f"urn:hulpketen:{event.TYPE}", "title": event.__name__, **address, **held}


def headers(event_type: str | None, *, partner: bool) -> Schema:
    """The schema of a record's headers; `partner`: numbered by the feed, and without a stream."""
    named = (name for name in _HEADERS if name not in (_STREAM if partner else _FEED))
    properties: Schema = {name: _header(name) for name in named}
    properties["ce_type"] = {"const": event_type} if event_type else {"type": "string", "description": "The event."}
    required = (*_ALWAYS, *(("ce_subject", *_FEED) if partner else _STREAM))
    return {"type": "object", "properties": dict(sorted(properties.items())), "required": sorted(required)}


def _header(name: str) -> Schema:
    pattern, description = _HEADERS[name]
    return {"type": "string", "pattern": pattern, "description": description}


def _wire_name(event: type[Event], field: str) -> str:
    return (event.model_fields[field].alias or field) if field else ""


def _open(held: Any) -> Any:
    """Without what only a writer minds: unknown fields, and the titles that are empty."""
    if isinstance(held, list):
        return [_open(part) for part in held]
    if not isinstance(held, dict):
        return held
    dropped = (("additionalProperties", False), ("title", ""))
    return {name: _open(part) for name, part in held.items() if (name, part) not in dropped}
