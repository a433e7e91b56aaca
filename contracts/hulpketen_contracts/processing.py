"""The processing log (Logboek Dataverwerkingen): a line for each look at personal data; and who looked, apart."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import Code, Id, LineStatus, Millis, OrganisationId, Time

TraceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
SpanId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Employee = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A pseudonym of an employee at one service: a keyed hash (HMAC-SHA256) of the organisation and who signed in there."""

FeedNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]


class ProcessingLogged(Event):
    """One line: one action, on the data of one person or none. A decision needs no line: its event is the line.

    `activity`: in the register of processing activities. `subject`: a pseudonym. `organisation`: who looked; absent
    for the chain itself. Who of its staff looked is not in the line. `feed_first`, `feed_last`: which lines of its feed
    the organisation was given; the first alone where that has only begun.
    """

    TYPE = "nl.hulpketen.processing-activities.logged.v1"
    TOPIC = "processing-log"

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: SpanId | None = None
    status: LineStatus
    name: Code
    start_time: Millis
    end_time: Millis
    service: Code
    organisation: OrganisationId | None = None
    activity: Code
    subject: Id | None = None
    feed_first: FeedNumber | None = None
    feed_last: FeedNumber | None = None


class AccessLogged(Event):
    """Which employee of an organisation looked, for the auditor alone: beside the line of the look, never in it.

    `trace_id` and `span_id` are those of that line. It names no subject. What a machine or the chain itself did has
    none. `employee` is another one at each service.
    """

    TYPE = "nl.hulpketen.accesses.logged.v1"
    TOPIC = "processing-log"

    trace_id: TraceId
    span_id: SpanId
    looked_at: Time
    service: Code
    organisation: OrganisationId
    employee: Employee
    activity: Code
