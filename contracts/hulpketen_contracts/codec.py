"""Events to Kafka records and back (CloudEvents, binary mode), and to the JSON form (structured mode) for SSE."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from hulpketen_contracts.catalogue import CATALOGUE
from hulpketen_contracts.envelope import (
    MAX_EVENT_BYTES,
    Envelope,
    Position,
    attributes,
    envelope_of,
    position_of,
    usable_traceparent,
)
from hulpketen_contracts.errors import DecodeError, EncodeError, EventTooLarge, PersonalDataRefused
from hulpketen_contracts.event import Event, personal_fields

CONTENT_TYPE = "application/json"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"

Headers = Sequence[tuple[str, bytes | None]]

_NAMES = ("specversion", "id", "source", "type", "time", "subject", "dataref", "stream", "streamepoch", "streamseq")
_OTHERS = ("sequence", "sequencetype", "origintime")
_ATTRIBUTES = {f"ce_{name}": name for name in (*_NAMES, *_OTHERS)} | {"traceparent": "traceparent"}
_MOST_ERRORS = 10
_json = re.compile(r"application/json[ \t]*(;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.ASCII | re.IGNORECASE).fullmatch


class Message(NamedTuple):
    """A Kafka record that is to be sent."""

    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


class Decoded(NamedTuple):
    """An event as it was read."""

    envelope: Envelope
    data: Event


class _Kind(NamedTuple):
    """What is the same for all events of a model."""

    headers: tuple[tuple[str, bytes], ...]
    topic: re.Pattern[str]
    partner: bool


@lru_cache(maxsize=1024)
def _kind(model: type[Event]) -> _Kind:
    if marked := personal_fields(model):
        raise PersonalDataRefused(f"{model.__name__} has personal fields: {', '.join(marked)}")
    if not model.TYPE or not model.TOPIC:
        raise EncodeError(f"{model.__name__} has no type or no topic")
    headers = (("content-type", CONTENT_TYPE.encode()), ("ce_specversion", b"1.0"), ("ce_type", model.TYPE.encode()))
    before, braces, after = model.TOPIC.partition("{organisation}")
    organisation = "[a-z0-9][a-z0-9-]{0,39}" if braces else ""
    return _Kind(headers, re.compile(re.escape(before) + organisation + re.escape(after)), bool(braces))


def encode(data: Event, envelope: Envelope, *, topic: str | None = None) -> Message:
    """The Kafka record of an event. `topic` is due where the contract's has a place for the organisation.

    A partner's record has no stream: its id would let partners join their files.
    Raises PersonalDataRefused, EventTooLarge (64 KB), EncodeError for what the NL GOV profile or the model refuses.
    """
    kind = _kind(type(data))
    topic = topic or data.TOPIC
    if envelope.type != data.TYPE or not kind.topic.fullmatch(topic):
        raise EncodeError("the envelope's type or the topic is not that of the event")
    held = attributes(envelope)
    key = str(getattr(data, data.KEY)) if data.KEY else envelope.stream
    if not key:
        raise EncodeError("there is no key")
    if kind.partner:
        _opaque_to_partners(held, key)
    headers = [*kind.headers, *((f"ce_{name}", text.encode()) for name, text in held.items())]
    if traceparent := usable_traceparent(envelope.traceparent):
        headers.append(("traceparent", traceparent.encode()))
    message = Message(topic, key.encode(), headers, _value(data))
    if len(message.value) > MAX_EVENT_BYTES - 4096 and _size(headers, message.value) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"{data.TYPE} is over {MAX_EVENT_BYTES} bytes")
    return message


def decode(headers: Headers, value: bytes | None) -> Decoded:
    """The event in a Kafka record. Fields that the model does not know are ignored. Raises DecodeError."""
    held = _texts(headers)
    if _size(headers, value or b"") > MAX_EVENT_BYTES:
        raise DecodeError("too-large", f"over {MAX_EVENT_BYTES} bytes")
    if "ce_type" not in held:
        raise DecodeError("not-an-event", "there is no type")
    model = _model(held["ce_type"])
    if not _json(held.get("content-type", "")):
        raise DecodeError("bad-headers", f"content-type is not {CONTENT_TYPE}")
    context = {_ATTRIBUTES[name]: text for name, text in held.items() if name in _ATTRIBUTES}
    return Decoded(envelope_of(context), _data(model, value))


def peek(headers: Headers) -> Position | None:
    """The place in its stream of a record that may be broken in any way; None where it cannot be read."""
    try:
        held = dict(headers)
        names = ("stream", "streamepoch", "streamseq")
        return position_of({name: (held.get(f"ce_{name}") or b"").decode() for name in names})
    except (AttributeError, TypeError, ValueError):
        return None


def with_sequence(headers: Mapping[str, bytes], n: int) -> dict[str, bytes]:
    """The headers of a record with its number in a partner's feed: CloudEvents `sequence`, from 1."""
    return {**headers, "ce_sequence": str(n).encode(), "ce_sequencetype": b"Integer"}


def to_structured(event: Decoded | Message) -> dict[str, Any]:
    """The event as one JSON object (CloudEvents JSON format), for SSE. A Message is taken as valid."""
    if isinstance(event, Decoded):
        context = {"specversion": "1.0", "type": event.envelope.type, **attributes(event.envelope)}
        if traceparent := usable_traceparent(event.envelope.traceparent):
            context["traceparent"] = traceparent
        data = json.loads(_value(event.data))
    else:
        texts = ((name.removeprefix("ce_"), text.decode()) for name, text in event.headers)
        context = {name: text for name, text in texts if name != "content-type"}
        data = json.loads(event.value)
    return {**_numbers(context), "datacontenttype": CONTENT_TYPE, "data": data}


def from_structured(event: Any) -> Decoded:
    """The event in a JSON object of the structured form, already parsed. Raises DecodeError."""
    if not isinstance(event, dict):
        raise DecodeError("not-an-event", "not a JSON object")
    context = {name: _text(name, held) for name, held in event.items() if name != "data" and held is not None}
    if "type" not in context:
        raise DecodeError("not-an-event", "there is no type")
    model = _model(context["type"])
    if not _json(context.get("datacontenttype", CONTENT_TYPE)):
        raise DecodeError("bad-headers", f"datacontenttype is not {CONTENT_TYPE}")
    envelope = envelope_of(context)
    try:
        value = json.dumps(event.get("data"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise DecodeError("invalid-data", "data is not JSON") from None
    if len(value) > MAX_EVENT_BYTES:
        raise DecodeError("too-large", f"over {MAX_EVENT_BYTES} bytes")
    return Decoded(envelope, _data(model, value))


def _value(data: Event) -> bytes:
    try:
        return data.model_dump_json(by_alias=True, exclude_none=True, warnings="error").encode()
    except (PydanticSerializationError, UnicodeEncodeError):
        raise EncodeError(f"the data does not fit {type(data).__name__}") from None


def _opaque_to_partners(held: dict[str, str], key: str) -> None:
    if held.setdefault("subject", key) != key:
        raise EncodeError("the subject of what a partner gets is its key")
    for name in ("stream", "streamepoch", "streamseq"):
        held.pop(name, None)


def _texts(headers: Headers) -> dict[str, str]:
    try:
        held = {name: text.decode() for name, text in headers}  # type: ignore[union-attr]
    except UnicodeDecodeError:
        raise DecodeError("bad-headers", "a header is not UTF-8") from None
    except (AttributeError, TypeError, ValueError):
        raise DecodeError("bad-headers", "a header is null") from None
    if len(held) != len(headers):
        raise DecodeError("bad-headers", "a header stands there twice")
    return held


def _size(headers: Headers, value: bytes) -> int:
    names, texts = zip(*headers, strict=True) if headers else ((), ())
    return len(value) + sum(map(len, names)) + sum(map(len, texts))


def _model(event_type: str) -> type[Event]:
    if model := CATALOGUE.get(event_type):
        return model
    family, _, version = event_type.rpartition(".")
    if re.fullmatch(r"v[0-9]{1,3}", version) and any(known.startswith(f"{family}.v") for known in CATALOGUE):
        raise DecodeError("unknown-version", "the catalogue has this type in other versions alone")
    raise DecodeError("unknown-type", "the catalogue does not have this type")


def _data(model: type[Event], value: bytes | None) -> Event:
    if value is None:
        raise DecodeError("invalid-data", "there is no data")
    try:
        return model.model_validate_json(value, strict=True, extra="ignore")
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    wrong = [f"/{'/'.join(map(str, e['loc']))} {e['type']}" for e in found[:_MOST_ERRORS]]
    raise DecodeError("invalid-data", "; ".join(wrong))


def _numbers(context: Mapping[str, str]) -> dict[str, Any]:
    return {name: int(text) if name in ("streamepoch", "streamseq") else text for name, text in context.items()}


def _text(name: str, held: Any) -> str:
    if isinstance(held, bool) or not isinstance(held, str | int):
        raise DecodeError("bad-headers", f"{name if name.isalnum() and len(name) <= 20 else 'an attribute'} is no text")
    return str(held)
