"""Cases: signals open and join them, a professional closes them. A program never closes one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import combinations
from typing import Any, NamedTuple, cast

from hulpketen_contracts import (
    CaseClosed,
    CaseOpened,
    CaseState,
    CaseUpdated,
    PersonErased,
    PersonMerged,
    ReferralsProposed,
    SignalReceived,
    SignalWithdrawn,
)
from hulpketen_contracts.values import CaseResult, PartnerType, SubjectKind

from services.chassis.pipeline.model import Context, Decision, Emit, State
from services.matching.domain.directory import Directory
from services.matching.domain.errors import CaseIsClosed, NotFound
from services.matching.domain.file import (
    MERGED,
    NO_SIGNALS_LEFT,
    SIGNALS_KEPT,
    Case,
    File,
    Signal,
    flag_codes,
    open_case,
    with_case,
    with_flag,
    without_flags,
)
from services.matching.domain.policy import Policy
from services.matching.domain.rules import Need

RESIDENT: PartnerType = "Inwoner"
# Of these a signal tells of arrears with a creditor; the others see trouble without being owed.
NOT_CREDITORS = frozenset({"School", "Werkgever", "Wijkteam", RESIDENT})


class World(NamedTuple):
    """What a decision may look at beside the state: the time, the directory, and what is set."""

    context: Context
    directory: Directory
    policy: Policy


def receive(state: State | None, event: SignalReceived, world: World) -> Decision:
    """A signal joins the open case, or opens one."""
    file = file_of(state, event.person, event.municipality, event.subject_kind)
    signal = _signal(event)
    signal["repeated"] = _repeats(file, signal, world.policy.repeated_days)
    case, opened = case_for(file, world.context)
    days = world.policy.matching_period(file["municipality"])
    return as_decision(*tell(file, _joined(case, signal, days, first=opened), opened, event.signal, world))


def withdraw(state: State | None, event: SignalWithdrawn, world: World) -> Decision | None:
    """The signal leaves the open case. With its last signal gone the case is flagged: a human closes it."""
    case = open_case(cast(File, state)) if state else None
    if state is None or case is None or not any(s["id"] == event.signal for s in case["signals"]):
        return None
    file = cast(File, state)
    left = _without(case, event.signal, world.policy.matching_period(file["municipality"]))
    if not left["count"] and not left.get("asked"):
        left = with_flag(left, NO_SIGNALS_LEFT)
    return as_decision(*tell(file, left, False, event.signal, world))


def close(state: State | None, case_id: str, result: CaseResult, by: str, world: World) -> Decision:
    """A professional of this organisation closes the case with its result. Raises NotFound, CaseIsClosed."""
    file, case = case_in(state, case_id)
    if case["status"] != "open":
        raise CaseIsClosed
    closed: Case = {
        **case,
        "status": "closed",
        "version": case["version"] + 1,
        "result": result,
        "closed_by": by,
        "closed_at": world.context.now,
    }
    event = case_event(CaseClosed, file, closed, None, world.policy)
    return as_decision(with_case(file, closed), [event], summary(file, closed))


def merge(state: State | None, event: PersonMerged, world: World) -> Decision:
    """The person is another one: the file keeps its stream and says so, and its open case is flagged for a human."""
    file = cast(File, {**(state or _empty(event.person)), "merged_into": event.into})
    case = open_case(file)
    if case is None:
        return as_decision(file, [])
    return as_decision(*tell(file, with_flag(case, MERGED), False, None, world))


def erase(_: State | None, __: PersonErased, ___: World) -> Decision:
    """Nothing stays but a tombstone, so that no late event brings the person back."""
    return Decision({}, erase=True)


def case_in(state: State | None, case_id: str) -> tuple[File, Case]:
    """The file and its case with this id. Raises NotFound."""
    file = cast(File, state) if state else None
    found = next((case for case in file["cases"] if case["id"] == case_id), None) if file else None
    if file is None or found is None:
        raise NotFound
    return file, found


def file_of(state: State | None, person: str, municipality: str, subject_kind: SubjectKind) -> File:
    """The file, made where there is none, or where only a merge is known."""
    if state is not None and state["municipality"]:
        return cast(File, state)
    file = state or _empty(person)
    return cast(File, {**file, "municipality": municipality, "subject_kind": subject_kind})


def case_for(file: File, context: Context) -> tuple[Case, bool]:
    """The open case, or a new one that nothing is known of yet (True)."""
    case = open_case(file)
    if case is not None:
        return case, False
    fresh: Case = {
        "id": context.new_id("case"),
        "status": "open",
        "version": 0,
        "kind": "single",
        "crisis": False,
        "repeated": False,
        "opened_at": context.now,
        "signals": [],
        "count": 0,
    }
    return (with_flag(fresh, MERGED) if "merged_into" in file else fresh), True


def tell(file: File, case: Case, opened: bool, signal: str | None, world: World) -> tuple[File, list[Emit]]:
    """The file with the case one version on, and the events of that: proposals only where they changed."""
    proposed = world.directory.propose(need_of(file, case), world.context.now.date())
    before = case.get("proposed")
    case = {**case, "version": case["version"] + 1, "proposed": proposed.digest}
    events = [case_event(CaseOpened if opened else CaseUpdated, file, case, signal, world.policy)]
    if before != proposed.digest:
        proposals = ReferralsProposed(
            case=case["id"],
            person=file["person"],
            municipality=file["municipality"],
            proposals=proposed.proposals,
        )
        events.append(Emit(proposals, subject=case["id"]))
    return with_case(file, case), events


def need_of(file: File, case: Case) -> Need:
    """What the rules may look at."""
    return Need(file["municipality"], case["crisis"], case["kind"], case.get("exit"), tuple(partner_types(case)))


def partner_types(case: Case) -> list[PartnerType]:
    """Who saw the trouble, in alphabetical order; a resident who asked for help among them."""
    types = {signal["type"] for signal in case["signals"]}
    if case.get("asked"):
        types.add(RESIDENT)
    return sorted(types)


def case_event(kind: type[CaseState], file: File, case: Case, signal: str | None, policy: Policy) -> Emit:
    """The event that tells of this case as it now is."""
    event = kind(
        case=case["id"],
        person=file["person"],
        subject_kind=file["subject_kind"],
        municipality=file["municipality"],
        version=case["version"],
        status=case["status"],
        kind=case["kind"],
        crisis=case["crisis"],
        repeated=case["repeated"],
        signals=case["count"],
        partner_types=partner_types(case),
        signal=signal,
        result=case.get("result"),
        organisation=case.get("closed_by"),
        opened_at=case["opened_at"],
        flags=flag_codes(case) if case["status"] == "open" else [],
    )
    return Emit(event, subject=case["id"], dataref=f"{policy.intake_url}/v1/cases/{case['id']}/person")


def summary(file: File, case: Case) -> dict[str, Any]:
    """A case without whom it is about, JSON-able."""
    return {
        "case": case["id"],
        "municipality": file["municipality"],
        "subject_kind": file["subject_kind"],
        "status": case["status"],
        "version": case["version"],
        "kind": case["kind"],
        "crisis": case["crisis"],
        "repeated": case["repeated"],
        "signals": case["count"],
        "partner_types": partner_types(case),
        "exit": case.get("exit"),
        "flags": case.get("flags", []),
        "result": case.get("result"),
        "opened_at": as_text(case["opened_at"]),
        "closed_at": as_text(case.get("closed_at")),
    }


def as_decision(file: File, events: Sequence[Emit], answer: Any = None) -> Decision:
    """The file as the new state."""
    return Decision(cast(State, file), events, answer)


def as_text(moment: datetime | None) -> str | None:
    """RFC 3339."""
    return moment.isoformat(timespec="milliseconds") if moment else None


def _empty(person: str) -> State:
    return {"person": person, "municipality": "", "subject_kind": "person", "cases": []}


def _signal(event: SignalReceived) -> Signal:
    return {
        "id": event.signal,
        "sender": event.sender,
        "type": event.partner_type,
        "amount": event.amount,
        "day": event.signalled_on.isoformat(),
        "crisis": event.crisis,
        "repeated": False,
    }


def _joined(case: Case, signal: Signal, days: int, *, first: bool) -> Case:
    multiple = case["kind"] == "multiple" or any(_together(signal, other, days) for other in case["signals"])
    joined: Case = {
        **case,
        "kind": "multiple" if multiple else "single",
        "crisis": case["crisis"] or signal["crisis"],
        "repeated": signal["repeated"] and (first or case["repeated"]),
        "signals": [*case["signals"], signal][-SIGNALS_KEPT:],
        "count": case["count"] + 1,
    }
    return without_flags(joined, NO_SIGNALS_LEFT)


def _without(case: Case, signal_id: str, days: int) -> Case:
    """The case as if the signal had not come; what is no longer held of older signals keeps the case as it was."""
    left = [signal for signal in case["signals"] if signal["id"] != signal_id]
    some_forgotten = case["count"] > len(case["signals"])
    multiple = any(_together(a, b, days) for a, b in combinations(left, 2))
    crisis = any(signal["crisis"] for signal in left) or case.get("asked_crisis", False)
    return {
        **case,
        "kind": "multiple" if multiple or (some_forgotten and case["kind"] == "multiple") else "single",
        "crisis": crisis or (some_forgotten and case["crisis"]),
        "repeated": bool(left) and all(s["repeated"] for s in left) and not case.get("asked"),
        "signals": left,
        "count": case["count"] - 1,
    }


def _together(one: Signal, other: Signal, days: int) -> bool:
    """Are these signals of two kinds of creditor, within the matching period?"""
    if one["type"] == other["type"] or one["type"] in NOT_CREDITORS or other["type"] in NOT_CREDITORS:
        return False
    return _days_between(one, other) <= days


def _repeats(file: File, signal: Signal, days: int) -> bool:
    """Is it one of the same sender, of an amount not higher than one that was handled recently? (Bgs)

    Of an amount that is not known nobody can say so; a higher one must be taken up.
    """
    amount = signal["amount"]
    return amount is not None and any(
        other["sender"] == signal["sender"]
        and other["type"] == signal["type"]
        and other["amount"] is not None
        and amount <= other["amount"]
        and _days_between(signal, other) <= days
        for case in file["cases"]
        for other in case["signals"]
    )


def _days_between(one: Signal, other: Signal) -> int:
    return abs((date.fromisoformat(one["day"]) - date.fromisoformat(other["day"])).days)
