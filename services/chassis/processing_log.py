"""Lines of the processing log (Logboek Dataverwerkingen) for a look at personal data; storing them is the pipeline's.

A decision needs no line of its own: its event is one. The employee who looks is not in a line, by the standard.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hulpketen_contracts import ProcessingLogged
from opentelemetry import trace
from opentelemetry.trace import SpanContext

Status = Literal["Unset", "Ok", "Error"]


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the data of no, one or several persons of a municipality, by `organisation`.

    `name` says what was done ("referral.person.read"); `activity` is a slug of the register of processing
    activities; `subjects` are pseudonyms; `organisation` is None where the chain itself looked. Status: a person's
    abort is Ok, wrong input that was rightly refused is Unset, and only technical failure is Error.
    """

    name: str
    activity: str
    organisation: str | None
    subjects: Sequence[str]
    started_at: datetime
    ended_at: datetime
    status: Status = "Ok"


def look_lines(
    look: Look,
    service: str,
    *,
    context: SpanContext | None = None,
    new_span_id: Callable[[], str] = lambda: secrets.token_hex(8),
) -> list[ProcessingLogged]:
    """The lines of a look: one; with several subjects one for the action and a child for each subject.

    `context` is the span under way where it is not given; outside any, the look gets a trace of its own.
    """
    context = context or trace.get_current_span().get_span_context()
    trace_id = f"{context.trace_id:032x}" if context.is_valid else secrets.token_hex(16)
    above = f"{context.span_id:016x}" if context.is_valid else None

    def line(span_id: str, parent: str | None, subject: str | None) -> ProcessingLogged:
        return ProcessingLogged(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent,
            status=look.status,
            name=look.name,
            start_time=_milliseconds(look.started_at),
            end_time=_milliseconds(look.ended_at),
            service=service,
            organisation=look.organisation,
            activity=look.activity,
            subject=subject,
        )

    action = new_span_id()
    if len(look.subjects) < 2:
        return [line(action, above, look.subjects[0] if look.subjects else None)]
    return [line(action, above, None), *(line(new_span_id(), action, subject) for subject in look.subjects)]


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
