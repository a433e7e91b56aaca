"""Referrals: made by a person, answered by the organisation that helps. One table says what may follow on what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

from hulpketen_contracts import (
    HelpEnded,
    HelpStarted,
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralState,
    ReferralWaitlisted,
)
from hulpketen_contracts.values import DecidedBy, ReferralStatus

from services.chassis.pipeline.model import Context, Decision, Emit, State
from services.matching.domain.cases import World, as_decision, as_text, case_in, tell
from services.matching.domain.errors import (
    AlreadyReferred,
    CaseIsClosed,
    CodeRefused,
    NotAllowedNow,
    NotFound,
    ServiceNotOffered,
    ServiceUnknown,
)
from services.matching.domain.file import NO_MUNICIPALITY, NOT_OFFERED, File, Referral, without_flags
from services.matching.domain.policy import Policy

Part = Literal["receiver", "author", "clock"]


class Due(NamedTuple):
    """What an action must say: a field, and the codes that it may hold."""

    field: Literal["reason", "outcome"]
    codes: tuple[str, ...]


DECLINE = Due(
    "reason",
    ("capacity", "not-eligible", "outside-area", "missing-information", "other-help-running", "safety", "other"),
)
WAITLIST = Due("reason", ("capacity", "additional-assessment", "missing-information", "other-help-running", "other"))
CANCEL = Due(
    "reason", ("withdrawn-by-resident", "no-contact", "other-help-found", "moved-away", "made-in-error", "other")
)
END = Due("outcome", ("completed", "partly", "stopped-by-resident", "no-contact", "referred-on", "failed"))


class Transition(NamedTuple):
    """A row of the table: from which status who may do what, where it leads, what is due, and the event of it."""

    before: ReferralStatus
    action: str
    after: ReferralStatus
    who: Part
    due: Due | None
    event: type[ReferralState]


TRANSITIONS: tuple[Transition, ...] = (
    Transition("made", "accept", "accepted", "receiver", None, ReferralAccepted),
    Transition("made", "decline", "declined", "receiver", DECLINE, ReferralDeclined),
    Transition("made", "waitlist", "waitlisted", "receiver", WAITLIST, ReferralWaitlisted),
    Transition("made", "cancel", "cancelled", "author", CANCEL, ReferralCancelled),
    Transition("made", "expire", "expired", "clock", None, ReferralExpired),
    Transition("waitlisted", "accept", "accepted", "receiver", None, ReferralAccepted),
    Transition("waitlisted", "decline", "declined", "receiver", DECLINE, ReferralDeclined),
    Transition("waitlisted", "cancel", "cancelled", "author", CANCEL, ReferralCancelled),
    Transition("waitlisted", "expire", "expired", "clock", None, ReferralExpired),
    Transition("accepted", "start", "started", "receiver", None, HelpStarted),
    Transition("accepted", "cancel", "cancelled", "author", CANCEL, ReferralCancelled),
    Transition("started", "end", "ended", "receiver", END, HelpEnded),
)
AT_AN_END = frozenset({"declined", "ended", "cancelled", "expired"})


class Actor(NamedTuple):
    """Who acts: an organisation, whether it may answer referrals and make them, and as what it makes them."""

    organisation: str
    may_answer: bool
    may_write: bool
    writes_as: DecidedBy = "professional"


class Wanted(NamedTuple):
    """A referral that a person wants: to which service, decided by whom, on behalf of which organisation."""

    service: str
    decided_by: DecidedBy
    from_organisation: str


def make(state: State | None, case_id: str, wanted: Wanted, world: World) -> Decision:
    """Refer. Raises NotFound, CaseIsClosed, ServiceUnknown, ServiceNotOffered, AlreadyReferred."""
    file, case = case_in(state, case_id)
    if case["status"] != "open":
        raise CaseIsClosed
    offered(wanted.service, file["municipality"], world)
    if running := running_to(file, case_id, wanted.service):
        raise AlreadyReferred(running["referral"])
    looked_at = without_flags(case, NOT_OFFERED, NO_MUNICIPALITY)
    file, events = tell(file, looked_at, False, None, world) if looked_at != case else (file, [])
    file, event, referral = add(file, case_id, wanted, world)
    return as_decision(file, [*events, event], answer(file, referral))


def offered(service: str, municipality: str, world: World) -> None:
    """Raises ServiceUnknown, ServiceNotOffered."""
    if service not in world.directory.services:
        raise ServiceUnknown
    if not world.directory.offers(service, municipality):
        raise ServiceNotOffered


def running_to(file: File, case_id: str, service: str) -> Referral | None:
    """The referral of this case to this service that is not at its end."""
    return next(
        (
            each
            for each in file.get("referrals", ())
            if each["case"] == case_id and each["service"] == service and each["status"] not in AT_AN_END
        ),
        None,
    )


def add(file: File, case_id: str, wanted: Wanted, world: World) -> tuple[File, Emit, Referral]:
    """The file with one referral more, to a service that the directory has."""
    referral: Referral = {
        "referral": world.context.new_id("referral"),
        "case": case_id,
        "service": wanted.service,
        "from_organisation": wanted.from_organisation,
        "to_organisation": world.directory.services[wanted.service].organisation,
        "status": "made",
        "version": 1,
        "decided_by": wanted.decided_by,
        "reason": None,
        "outcome": None,
        "changed_at": world.context.now,
    }
    changed: File = {**file, "referrals": [*file.get("referrals", ()), referral]}
    return changed, _event(ReferralMade, changed, referral, world.policy), referral


class Step(NamedTuple):
    """What somebody wants to do with a referral, with the reason or outcome. `actor` None: the clock."""

    referral: str
    action: str
    actor: Actor | None
    reason: str | None = None
    outcome: str | None = None


def act(state: State | None, step: Step, world: World) -> Decision:
    """Take a referral on. Raises NotFound, NotAllowedNow, CodeRefused."""
    file, before = referral_in(state, step.referral, step.actor)
    rows = _open_to(before, step.actor)
    row = next((row for row in rows if row.action == step.action), None)
    if row is None:
        raise NotAllowedNow(before["status"], [row.action for row in rows])
    _check_codes(row, step)
    after = _moved(before, row, step, world.context)
    return _replaced(file, after, _event(row.event, file, after, world.policy))


def allowed(referral: Referral, actor: Actor) -> list[dict[str, Any]]:
    """What the actor may do now, with what is due: for a page to make buttons of."""
    return [
        {"action": t.action, "due": t.due.field if t.due else None, "codes": list(t.due.codes) if t.due else []}
        for t in _open_to(referral, actor)
    ]


def referral_in(state: State | None, referral_id: str, actor: Actor | None) -> tuple[File, Referral]:
    """The file and its referral, where the actor made or received it. Raises NotFound."""
    file = cast(File, state) if state else None
    for each in file.get("referrals", ()) if file else ():
        if each["referral"] == referral_id and (
            actor is None or actor.organisation in (each["from_organisation"], each["to_organisation"])
        ):
            return cast(File, file), each
    raise NotFound


def answer(file: File, referral: Referral) -> dict[str, Any]:
    """A referral without whom it is about, JSON-able."""
    return {**referral, "municipality": file["municipality"], "changed_at": as_text(referral["changed_at"])}


def _open_to(referral: Referral, actor: Actor | None) -> Sequence[Transition]:
    parts = _parts(referral, actor)
    return [t for t in TRANSITIONS if t.before == referral["status"] and t.who in parts]


def _parts(referral: Referral, actor: Actor | None) -> set[Part]:
    if actor is None:
        return {"clock"}
    parts: set[Part] = set()
    if actor.may_answer and actor.organisation == referral["to_organisation"]:
        parts.add("receiver")
    if actor.may_write and actor.organisation == referral["from_organisation"]:
        parts.add("author")
    return parts


def _check_codes(row: Transition, step: Step) -> None:
    wrong: dict[str, tuple[str, ...]] = {}
    for field, code in (("reason", step.reason), ("outcome", step.outcome)):
        codes = row.due.codes if row.due and row.due.field == field else ()
        if (code not in codes) if codes else (code is not None):
            wrong[field] = codes
    if wrong:
        raise CodeRefused(wrong)


def _moved(before: Referral, row: Transition, step: Step, context: Context) -> Referral:
    by: DecidedBy | None = None
    if step.actor is not None:
        by = "partner" if row.who == "receiver" else step.actor.writes_as
    return {
        **before,
        "status": row.after,
        "version": before["version"] + 1,
        "decided_by": by,
        "reason": step.reason,
        "outcome": step.outcome,
        "changed_at": context.now,
    }


def _replaced(file: File, after: Referral, event: Emit) -> Decision:
    referrals = [after if each["referral"] == after["referral"] else each for each in file.get("referrals", ())]
    changed: File = {**file, "referrals": referrals}
    return as_decision(changed, [event], answer(changed, after))


def _event(kind: type[ReferralState], file: File, referral: Referral, policy: Policy) -> Emit:
    event = kind.model_validate({**referral, "person": file["person"], "municipality": file["municipality"]})
    dataref = f"{policy.intake_url}/v1/referrals/{referral['referral']}/person"
    return Emit(event, subject=referral["referral"], dataref=dataref)
