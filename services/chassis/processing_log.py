"""Lines of the processing log (Logboek Dataverwerkingen) for a look at personal data, and who looked, beside them.

A decision needs no line of its own: its event is one. The employee who looks is not in a line, by the standard, but in
the access log, which goes to the auditor alone.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from hulpketen_contracts import AccessLogged, Event, ProcessingLogged
from opentelemetry import trace
from opentelemetry.trace import SpanContext

from services.chassis.auth import Principal

Status = Literal["Unset", "Ok", "Error"]
Record = Callable[[Sequence[Event]], Awaitable[None]]


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


class Looks:
    """Writes the looks of a service: lines of the processing log, and who looked, in one insert."""

    def __init__(self, service: str, record: Record, key: Callable[[], bytes], clock: Callable[[], datetime]) -> None:
        """`record` stores them, and raises where it could not; `key` is that of the employees' pseudonyms."""
        self.clock = clock
        self._service = service
        self._record = record
        self._key = key

    async def record(
        self,
        activity: str,
        by: Principal | str | None,
        subjects: Sequence[str] = (),
        *,
        name: str | None = None,
        started: datetime | None = None,
        feed: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Have a look in both logs before it is shown. Raises StoreUnavailable: then show nothing.

        `by`: whose token it was; only the organisation where a machine looked for it; None for the chain itself.
        `name`: what was done, where the activity does not say it. `feed`: first and last line of a feed that went out.
        """
        ended = self.clock()
        organisation = by.organisation if isinstance(by, Principal) else by
        look = Look(name or activity, activity, organisation, subjects, started or ended, ended)
        lines = look_lines(look, self._service)
        if feed != (None, None):
            lines = [line.model_copy(update={"feed_first": feed[0], "feed_last": feed[1]}) for line in lines]
        if not isinstance(by, Principal) or by.machine:
            await self._record(lines)
        else:
            await self._record([*lines, access(lines[0], by, employee(self._key(), by))])


def employee(key: bytes, principal: Principal) -> str:
    """The pseudonym of who signed in: 64 hex digits, the same under one key, and another one in each organisation."""
    return hmac.digest(key, f"{principal.organisation}\0{principal.subject}".encode(), "sha256").hex()


def access(line: ProcessingLogged, principal: Principal, employee: str) -> AccessLogged:
    """Who looked, where this is the line of the whole look."""
    return AccessLogged(
        trace_id=line.trace_id,
        span_id=line.span_id,
        looked_at=datetime.fromtimestamp(line.end_time / 1000, UTC),
        service=line.service,
        organisation=principal.organisation,
        employee=employee,
        activity=line.activity,
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
