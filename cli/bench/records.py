"""The records that the benchmark feeds and compares with: real events of made-up people."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from functools import cache

from hulpketen_contracts import (
    CaseOpened,
    Envelope,
    Event,
    Message,
    Proposal,
    ReferralsProposed,
    RuleOutcome,
    SignalReceived,
    encode,
)

from services.chassis.processing_log import Look, look_lines

MUNICIPALITY = "0106"
SENDER = "bench-verhuurder"
RULES = ("area", "status", "capacity", "exit", "need")


def signal_record(sampled: bool) -> Message:
    """A signal about a person whom the chain does not know yet."""
    signal, person = str(uuid.uuid4()), str(uuid.uuid4())
    data = SignalReceived(
        signal=signal,
        person=person,
        subject_kind="person",
        municipality=MUNICIPALITY,
        sender=SENDER,
        partner_type="Huur",
        amount=350,
        signalled_on=dt.datetime.now(dt.UTC).date(),
        crisis=False,
        warm_transfer=False,
    )
    traceparent = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-{'01' if sampled else '00'}"
    return encode(data, _envelope(data, "intake", signal, f"signal-{signal}", 1, traceparent))


def signal_records(count: int, every: int) -> Iterator[Message]:
    """`count` signals, one in `every` of them in a trace that is sampled; none where that is 0."""
    return (signal_record(sampled=every > 0 and i % every == 0) for i in range(count))


@cache
def case_records() -> tuple[Message, Message]:
    """What follows from a signal: the case, and what is proposed. The same bytes each time: encoding is no part
    of the bare chain."""
    case, person = str(uuid.uuid4()), str(uuid.uuid4())
    opened = CaseOpened(
        case=case,
        person=person,
        subject_kind="person",
        municipality=MUNICIPALITY,
        version=1,
        status="open",
        kind="single",
        crisis=False,
        repeated=False,
        signals=1,
        partner_types=["Huur"],
        signal=str(uuid.uuid4()),
        opened_at=dt.datetime.now(dt.UTC),
    )
    rules = [RuleOutcome(rule=rule, met=True, detail="fits") for rule in RULES]
    proposals = [Proposal(service=f"service-{n}", organisation=f"helper-{n}", rules=rules) for n in range(3)]
    proposed = ReferralsProposed(case=case, person=person, municipality=MUNICIPALITY, proposals=proposals)
    stream = f"file-{person}"
    return (
        encode(opened, _envelope(opened, "matching", case, stream, 1, None)),
        encode(proposed, _envelope(proposed, "matching", case, stream, 2, None)),
    )


def look_record() -> Message:
    """A look at the data of one person."""
    (line,) = look_lines(
        Look(
            "read-person",
            "read-person",
            "helper-1",
            [str(uuid.uuid4())],
            dt.datetime.now(dt.UTC),
            dt.datetime.now(dt.UTC),
        ),
        "intake",
    )
    return encode(line, _envelope(line, "intake", str(uuid.uuid4()), "log-intake", 1, None))


def _envelope(data: Event, system: str, subject: str, stream: str, seq: int, traceparent: str | None) -> Envelope:
    return Envelope(
        id=str(uuid.uuid4()),
        source=f"urn:nld:oin:00000099000000000001:systeem:hulpketen-{system}",
        type=data.TYPE,
        time=dt.datetime.now(dt.UTC),
        subject=subject,
        stream=stream,
        streamepoch=1,
        streamseq=seq,
        traceparent=traceparent,
    )
