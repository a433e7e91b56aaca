"""The context attributes of an event: CloudEvents 1.0 in the NL GOV profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from hulpketen_contracts.errors import DecodeError, EncodeError
from hulpketen_contracts.values import parse_time

MAX_EVENT_BYTES = 65536
"""NL GOV profile: an event is at most 64 KB."""

Form = Callable[[str], object]

_token = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII).fullmatch
_urn = re.compile(r"urn:nld:oin:[0-9]{20}:systeem:[a-z0-9][a-z0-9-]{0,39}", re.ASCII).fullmatch
_uri = re.compile(r"[!-~]{1,500}", re.ASCII).fullmatch
_number = re.compile(r"[1-9][0-9]{0,14}", re.ASCII).fullmatch
_traceparent = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


class Position(NamedTuple):
    """Where an event stands in its stream. Within a stream positions are ordered by (epoch, seq)."""

    stream: str
    epoch: int
    seq: int


class Envelope(NamedTuple):
    """The context attributes. Units: `time` is aware, kept in UTC with milliseconds; `streamseq` counts 1, 2, 3 …

    source: urn:nld:oin:<20 digits>:systeem:<name>. stream: an opaque id; "" on a partner's topic, where `sequence`,
    the number in the partner's feed, orders all. traceparent: W3C Trace Context. origin: when what led to this came
    into the chain; None where it began here.
    """

    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    stream: str = ""
    streamepoch: int = 0
    streamseq: int = 0
    dataref: str | None = None
    traceparent: str | None = None
    sequence: int | None = None
    origin: datetime | None = None

    @property
    def position(self) -> Position | None:
        """The place in the stream; None on a partner's topic."""
        return Position(self.stream, self.streamepoch, self.streamseq) if self.stream else None


def attributes(envelope: Envelope) -> dict[str, str]:
    """The context attributes as text, by their CloudEvents names, `specversion` and `type` left out.

    Raises EncodeError, which names the attribute that does not follow the NL GOV profile.
    """
    found = {
        "id": _checked("id", envelope.id, _token),
        "source": _checked("source", envelope.source, _known_source),
        "time": _format(envelope.time),
    }
    if envelope.subject is not None:
        found["subject"] = _checked("subject", envelope.subject, _token)
    if envelope.dataref is not None:
        found["dataref"] = _checked("dataref", envelope.dataref, _uri)
    if envelope.stream:
        found["stream"] = _checked("stream", envelope.stream, _token)
        found["streamepoch"] = _checked("streamepoch", str(envelope.streamepoch), _number)
        found["streamseq"] = _checked("streamseq", str(envelope.streamseq), _number)
    if envelope.origin is not None:
        found["origintime"] = _format(envelope.origin)
    if envelope.sequence is not None:
        found["sequence"] = _checked("sequence", str(envelope.sequence), _number)
        found["sequencetype"] = "Integer"
    return found


def envelope_of(held: Mapping[str, str]) -> Envelope:
    """The envelope in context attributes by their CloudEvents names. Raises DecodeError(not-an-event, bad-headers)."""
    for name in ("id", "source", "type", "time"):
        if not held.get(name):
            raise DecodeError("not-an-event", f"there is no {name}")
    if held.get("specversion") != "1.0":
        raise DecodeError("not-an-event", "specversion is not 1.0")
    stream = held.get("stream", "")
    return Envelope(
        id=_read("id", held["id"], _token),
        source=_read("source", held["source"], _known_source),
        type=held["type"],
        time=_parse("time", held["time"]),
        subject=_read("subject", held["subject"], _token) if "subject" in held else None,
        stream=_read("stream", stream, _token) if "stream" in held else "",
        streamepoch=int(_read("streamepoch", held.get("streamepoch", ""), _number)) if stream else 0,
        streamseq=int(_read("streamseq", held.get("streamseq", ""), _number)) if stream else 0,
        dataref=_read("dataref", held["dataref"], _uri) if "dataref" in held else None,
        traceparent=usable_traceparent(held.get("traceparent")),
        sequence=_sequence(held),
        origin=_parse("origintime", held["origintime"]) if "origintime" in held else None,
    )


def usable_traceparent(text: str | None) -> str | None:
    """The value if it has the form of W3C Trace Context; one that has not counts as none, as that standard asks."""
    return text if text is not None and _traceparent(text) else None


def position_of(held: Mapping[str, str]) -> Position | None:
    """The place in the stream, if its three attributes can be read."""
    stream, epoch, seq = (held.get(name, "") for name in ("stream", "streamepoch", "streamseq"))
    if _token(stream) and _number(epoch) and _number(seq):
        return Position(stream, int(epoch), int(seq))
    return None


@lru_cache(maxsize=256)
def _known_source(source: str) -> bool:
    return bool(_urn(source))


def _checked(name: str, text: str, form: Form) -> str:
    if not form(text):
        raise EncodeError(f"{name} does not have the form that the contract asks")
    return text


def _read(name: str, text: str, form: Form) -> str:
    if not form(text):
        raise DecodeError("bad-headers", f"{name} does not have the form that the contract asks")
    return text


def _format(time: datetime) -> str:
    if time.tzinfo is None:
        raise EncodeError("time has no zone")
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def _parse(name: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise DecodeError("bad-headers", f"{name} is not RFC 3339 with a zone") from None


def _sequence(held: Mapping[str, str]) -> int | None:
    if "sequence" not in held:
        return None
    if held.get("sequencetype") != "Integer":
        raise DecodeError("bad-headers", "sequencetype is not Integer")
    return int(_read("sequence", held["sequence"], _number))
