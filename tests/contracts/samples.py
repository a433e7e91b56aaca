"""Events of every type, made at random from their published schemas, and an envelope for each."""

from __future__ import annotations

import json
import string
from datetime import UTC, date, datetime
from functools import cache
from re import fullmatch
from typing import Any

from hulpketen_contracts import EVENTS, Envelope, Event, ReferralMade
from hulpketen_contracts.schemas import Schema, schema
from hypothesis import strategies as st

SOURCE = "urn:nld:oin:00000099000000000000:systeem:hulpketen-matching"
PERSON = "0b7e9a52-6f0c-4c4e-8f43-2f6a1c1d0e11"
CASE = "1c8fab63-701d-4d5f-9054-307b2d2e1f22"
REFERRAL = "2d90bc74-812e-4e60-8165-418c3e3f2033"
NOW = datetime(2026, 11, 22, 9, 30, 0, 125000, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_FIRST, _LAST = NOW.replace(1900, tzinfo=None), NOW.replace(9998, tzinfo=None)
_moments = st.datetimes(_FIRST, _LAST, timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def referral(**changes: Any) -> ReferralMade:
    """A referral from the municipality to volunteers."""
    held = {
        "referral": REFERRAL,
        "case": CASE,
        "person": PERSON,
        "municipality": "0106",
        "service": "maatjes",
        "from_organisation": "gemeente-assen",
        "to_organisation": "maatjes-voorbeeld",
        "status": "made",
        "version": 1,
        "decided_by": "professional",
        "changed_at": NOW,
    }
    return ReferralMade(**{**held, **changes})


def envelope_for(event: Event, **changes: Any) -> Envelope:
    """An envelope as matching would send it; `changes` to its attributes."""
    held: dict[str, Any] = {
        "id": "5f1b0d5e-0000-5000-8000-000000000001",
        "source": SOURCE,
        "type": event.TYPE,
        "time": NOW,
        "stream": f"file-{PERSON}",
        "streamepoch": 1,
        "streamseq": 1,
    }
    return Envelope(**{**held, **changes})


def topic_for(event: Event) -> str | None:
    """The topic to give to `encode`, for events that need one."""
    return "partners.maatjes-voorbeeld" if "{" in event.TOPIC else None


def events() -> st.SearchStrategy[Event]:
    """Any event of the catalogue."""
    return st.one_of([data(model).map(model.model_validate_json) for model in EVENTS])


@cache
def data(model: type[Event]) -> st.SearchStrategy[str]:
    """JSON that the model's published schema allows."""
    held = schema(model)
    return _value(held, held).map(json.dumps)


def envelopes(event: Event) -> st.SearchStrategy[Envelope]:
    """Any envelope of an event."""
    token = st.text(string.ascii_letters + string.digits, min_size=1, max_size=40)
    partner = "{" in event.TOPIC
    return st.builds(
        Envelope,
        id=st.uuids().map(str),
        source=st.just(SOURCE),
        type=st.just(event.TYPE),
        time=_moments,
        subject=st.just(str(getattr(event, event.KEY))) if partner else st.none() | token,
        stream=st.just("") if partner else token,
        streamepoch=st.just(0) if partner else st.integers(1, 99),
        streamseq=st.just(0) if partner else st.integers(1, 10**12),
        dataref=st.none() | st.just("https://intake.example/v1/referrals/1/person"),
        traceparent=st.none() | st.just(TRACEPARENT),
        sequence=st.integers(1, 10**12) if partner else st.none(),
        origin=st.none() | _moments,
    )


def _value(held: Schema, root: Schema) -> st.SearchStrategy[Any]:
    if "$ref" in held:
        return _value(root["$defs"][held["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in held:
        return st.one_of([_value(part, root) for part in held["anyOf"]])
    if "enum" in held:
        return st.sampled_from(held["enum"])
    if held["type"] == "object":
        return _object(held, root)
    if held["type"] == "array":
        # At most five, since the longest lists of the longest texts are over 64 KB together.
        items = _value(held["items"], root)
        return st.lists(items, min_size=held.get("minItems", 0), max_size=min(5, held["maxItems"]))
    return _scalar(held)


def _object(held: Schema, root: Schema) -> st.SearchStrategy[Any]:
    values = {name: _value(part, root) for name, part in held["properties"].items()}
    required = {name: value for name, value in values.items() if name in held["required"]}
    optional = {name: value for name, value in values.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _scalar(held: Schema) -> st.SearchStrategy[Any]:
    if held["type"] == "integer":
        return st.integers(held["minimum"], held["maximum"])
    if held["type"] == "boolean":
        return st.booleans()
    if held["type"] == "null":
        return st.none()
    if "format" in held:
        days = st.dates(date(1900, 1, 1), date(9999, 1, 1)).map(date.isoformat)
        return days if held["format"] == "date" else _moments.map(datetime.isoformat)
    return _texts(held["pattern"], held.get("minLength", 0), held.get("maxLength", 64))


@cache
def _texts(pattern: str, lowest: int, highest: int) -> st.SearchStrategy[str]:
    if fullmatch(pattern, PERSON):
        return st.uuids().map(str)
    if pattern.startswith("^[^"):
        # Drawn from the regular expression these take most of the tests' time.
        allowed = st.characters(codec="utf-8", exclude_categories=["Cc"])
        return st.text(allowed, min_size=lowest, max_size=min(highest, 40))
    texts = st.from_regex(pattern.replace("$", r"\Z"))
    return texts.filter(lambda text: lowest <= len(text) <= highest)
