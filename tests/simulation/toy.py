"""A small chain to simulate: three services whose states hold all that happened to them, so that it can be judged.

intake: HTTP alone; its aggregates are signal-1 … signal-3. matching: batches and HTTP; signals 1 and 2 feed file-1,
signal 3 feeds file-2; it has reference data, too. notifications: batches; files 1 and 2 feed cases of the same name,
whose lines go to the feeds of reader-1 (both cases) and reader-2 (the second).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from hulpketen_contracts import (
    DeadlineApproaching,
    DeadlinePassed,
    Decoded,
    Event,
    OrganisationChanged,
    PartnerReferralChanged,
    SignalRefused,
)

from services.chassis.pipeline.model import Context, Decide, Decision, Emit, Handler, Outgoing, State

DAY = date(2026, 1, 1)
SIGNALS = ("signal-1", "signal-2", "signal-3")
FILES = ("file-1", "file-2")
FOLLOWED = {"matching": ("signals",), "notifications": ("cases", "directory")}
ORGANISATIONS = ("organisation-1", "organisation-2")
FED_BY = {"signal-1": "file-1", "signal-2": "file-1", "signal-3": "file-2", "file-1": "case-1", "file-2": "case-2"}
READERS = {"case-1": ("reader-1",), "case-2": ("reader-1", "reader-2")}
DIRECTORY = "directory-0"
IDS = {name: str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in (*FED_BY, *READERS)}
NAMES = {id: name for name, id in IDS.items()}


class Poisoned(Exception):
    """What a decision raises about a poisoned event, until somebody mended the service."""


def is_bad(label: str) -> bool:
    """Whether an event stops its stream until operations see to it."""
    return label.startswith(("poison", "huge", "corrupt"))


def corrupt(record: Outgoing) -> Outgoing:
    """What the broker makes of a record: those of a corrupt event cannot be read."""
    return record._replace(value=record.value[1:]) if b'"corrupt' in record.value else record


def _grown(state: State | None, **more: Any) -> State:
    """The state with items at the end of its histories; states are never changed in place."""
    grown = dict(state or {})
    for name, items in more.items():
        grown[name] = (*grown.get(name, ()), *items)
    return grown


def signal_command(aggregate: str, label: str, count: int) -> Decide:
    """Intake: `count` events of one command."""

    def decide(state: State | None, _: Context) -> Decision:
        labels = [f"{label}.{i}" for i in range(count)]
        events = [Emit(SignalRefused(signal=IDS[aggregate], sender="sender", reasons=[each])) for each in labels]
        return Decision(_grown(state, events=labels, commands=[label]), events, answer=_length(state, "commands"))

    return decide


def file_command(aggregate: str, label: str, count: int) -> Decide:
    """Matching: the same, about a file."""

    def decide(state: State | None, _: Context) -> Decision:
        labels = [f"{label}.{i}" for i in range(count)]
        events = [Emit(_deadline(aggregate, each)) for each in labels]
        return Decision(_grown(state, events=labels, commands=[label]), events, answer=_length(state, "commands"))

    return decide


def erase_command(aggregate: str) -> Decide:
    """Matching: the last event of a file, whose state goes."""

    def decide(_: State | None, __: Context) -> Decision:
        event = DeadlinePassed(
            case=IDS[aggregate], person=IDS[aggregate], municipality="0106", clock="last", due_on=DAY
        )
        return Decision({}, [Emit(event)], erase=True)

    return decide


def directory_command(aggregate: str, label: str) -> Decide:
    """Matching: reference data, of which the latest counts."""

    def decide(state: State | None, _: Context) -> Decision:
        event = OrganisationChanged(organisation=aggregate, name=label, kind="creditor", municipalities=[])
        return Decision(_grown(state, events=[label], commands=[label]), [Emit(event)], _length(state, "commands"))

    return decide


def _length(state: State | None, name: str) -> int:
    return len((state or {}).get(name, ())) + 1


def _deadline(aggregate: str, label: str) -> DeadlineApproaching:
    id = IDS[aggregate]
    return DeadlineApproaching(case=id, person=id, municipality="0106", clock=label, due_on=DAY)


class Handlers:
    """The handlers of matching and notifications; `mended` says whether the poisoned can be applied now."""

    def __init__(self, mended: Callable[[], bool]) -> None:
        self._mended = mended

    def matching(self) -> Mapping[type[Event], Handler]:
        return {SignalRefused: Handler(lambda d: FED_BY[NAMES[d.data.signal]], self._on_signal)}  # type: ignore[attr-defined]

    def notifications(self) -> Mapping[type[Event], Handler]:
        on_file = Handler(lambda d: FED_BY[NAMES[d.data.case]], self._on_file)  # type: ignore[attr-defined]
        return {
            DeadlineApproaching: on_file,
            DeadlinePassed: on_file,
            OrganisationChanged: Handler(lambda _: DIRECTORY, _on_organisation),
        }

    def _on_signal(self, state: State | None, decoded: Decoded, _: Context) -> Decision:
        assert isinstance(decoded.data, SignalRefused)
        label = decoded.data.reasons[0]
        self._poison(label)
        aggregate = FED_BY[NAMES[decoded.data.signal]]
        made = [f"e{_length(state, 'events')}"] if _length(state, "events") % 4 else []
        grown = _grown(state, events=made, applied=[_applied(decoded, label)])
        return Decision(grown, [Emit(_deadline(aggregate, each)) for each in made])

    def _on_file(self, state: State | None, decoded: Decoded, context: Context) -> Decision:
        assert isinstance(decoded.data, DeadlineApproaching | DeadlinePassed)
        label = decoded.data.clock
        self._poison(label)
        aggregate = FED_BY[NAMES[decoded.data.case]]
        line = f"line-{_length(state, 'lines')}"
        readers = READERS[aggregate]
        events = [Emit(_line(aggregate, line, context), topic=f"partners.{reader}") for reader in readers]
        return Decision(_grown(state, lines=[line], applied=[_applied(decoded, label)]), events)

    def _poison(self, label: str) -> None:
        if label.startswith("poison") and not self._mended():
            raise Poisoned


def _applied(decoded: Decoded, label: str) -> tuple[str, int, str]:
    return decoded.envelope.stream, decoded.envelope.streamseq, label


def _line(aggregate: str, label: str, context: Context) -> PartnerReferralChanged:
    return PartnerReferralChanged(
        referral=IDS[aggregate],
        change="referrals.made",
        municipality="0106",
        service="service",
        from_organisation="one",
        to_organisation="other",
        status="made",
        version=1,
        reason=label,
        changed_at=context.now,
    )


def _on_organisation(state: State | None, decoded: Decoded, _: Context) -> Decision:
    assert isinstance(decoded.data, OrganisationChanged)
    return Decision({**(state or {}), decoded.data.organisation: decoded.data.name})


def is_huge(document: Mapping[str, Any]) -> bool:
    """Whether the database refuses this document, until mended."""
    applied: Sequence[tuple[str, int, str]] = (document["state"] or {}).get("applied", ())
    return any(label.startswith("huge") for _, _, label in applied)
