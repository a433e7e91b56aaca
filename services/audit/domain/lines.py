"""From entries of the trail to lines of the processing log (Logboek Dataverwerkingen): looks, and decisions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from hulpketen_contracts import CATALOGUE, TOPICS, ProcessingLogged
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.audit.domain.entry import Document, said
from services.audit.domain.register import Register

ACTIVITY_ID = "dpl.core.processing_activity_id"
SUBJECT_ID = "dpl.core.data_subject_id"
SUBJECT_TYPE = "dpl.core.data_subject_id_type"
PSEUDONYM = "pseudonym"
_PREFIX = "nl.hulpketen."

_DECISIONS = {t: e.ACTIVITY for t, e in CATALOGUE.items() if e.ACTIVITY and "audit" in TOPICS[e.TOPIC].consumers}
LINE_TYPES = (*_DECISIONS, ProcessingLogged.TYPE)
"""Types of the events that are lines: who of the staff looked (AccessLogged) is none, by the standard."""


def types_of(activity: str | None) -> list[str]:
    """Of which types the lines of an activity are; of all lines if none is given."""
    if activity is None:
        return list(LINE_TYPES)
    return [*(t for t, a in _DECISIONS.items() if a == activity), ProcessingLogged.TYPE]


class Source(BaseModel):
    """Where it was done: the service, and the organisation that acted; none for the chain itself."""

    service: str
    organisation: str | None = None


class Resource(BaseModel):
    """As the standard has it."""

    attributes: Source


class LogLine(BaseModel):
    """A line, as the standard's read API 1.1.0 has it: `traceId` as a UUID, times after RFC 3339 in milliseconds."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    status: Literal["Unset", "Ok", "Error"]
    name: str
    start_time: str
    end_time: str
    resource: Resource
    attributes: dict[str, str]


def line_of(entry: Document, data: Document | None, register: Register, encrypt: Callable[[str], str]) -> LogLine:
    """The line of an entry. `data` of its event: None where the person was erased, and then nothing tells whom it was
    about, or what it belonged to. `encrypt`: makes of a pseudonym what the reader may have."""
    about = entry.get("about", {}) if data is not None else {}
    attributes = {ACTIVITY_ID: register.uri(entry["activity"])} if entry["activity"] else {}
    if person := about.get("person"):
        attributes |= {SUBJECT_ID: encrypt(person), SUBJECT_TYPE: PSEUDONYM}
    service = entry["source"].rpartition("hulpketen-")[2]
    return LogLine(
        **(_of_look(entry, data) or _of_decision(entry, about)),
        resource=Resource(attributes=Source(service=service, organisation=entry["organisation"])),
        attributes=attributes,
    )


def _of_look(entry: Document, data: Document | None) -> dict[str, Any] | None:
    if entry["type"] != ProcessingLogged.TYPE or data is None:
        return None
    line = said(ProcessingLogged, data)
    if line is None:
        return None
    times = {"start_time": _text(line.start_time), "end_time": _text(line.end_time)}
    own = line.model_dump(include={"span_id", "parent_span_id", "status", "name"})
    return own | times | {"trace_id": str(uuid.UUID(line.trace_id))}


def _of_decision(entry: Document, about: Document) -> dict[str, Any]:
    """A decision is a moment; its event's id stands for the span, and for the trace where it has none."""
    event, at = uuid.UUID(entry["eventId"]), _text(round(entry["at"].timestamp() * 1000))
    trace = uuid.UUID(bytes=bytes(about["trace"])) if "trace" in about else event
    return {
        "trace_id": str(trace),
        "span_id": event.hex[:16],
        "parent_span_id": None,
        "status": "Ok",
        "name": entry["type"].removeprefix(_PREFIX).rpartition(".")[0],
        "start_time": at,
        "end_time": at,
    }


def _text(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
