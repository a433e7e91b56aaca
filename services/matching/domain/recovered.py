"""What the events that matching published tell of its own state: for a database that was restored from a backup.

A referral's event tells all of it. A case's tells all but its signals, which come with the events that caused it.
"""

from __future__ import annotations

from typing import cast

from hulpketen_contracts import CaseState, Decoded, OrganisationChanged, ReferralState, ServiceChanged

from services.chassis.pipeline.model import State
from services.matching.domain.cases import file_of
from services.matching.domain.entries import as_state
from services.matching.domain.file import Case, File, Flag, Referral, with_case

_OF_REFERRAL = set(Referral.__annotations__)


def reflect(state: State | None, event: Decoded) -> State | None:
    """The state with what one of our own events says."""
    data = event.data
    if isinstance(data, ServiceChanged | OrganisationChanged):
        return as_state(data, event.envelope.time)
    if isinstance(data, CaseState):
        return cast(State, _with_case(file_of(state, data.person, data.municipality, data.subject_kind), event, data))
    if isinstance(data, ReferralState) and state is not None:
        return cast(State, _with_referral(cast(File, state), data))
    return state  # proposals are made again from the case


def _with_case(file: File, event: Decoded, data: CaseState) -> File:
    before = next((case for case in file["cases"] if case["id"] == data.case), None)
    case = cast(
        Case,
        {
            **(before or {"signals": []}),
            "id": data.case,
            "status": data.status,
            "version": data.version,
            "kind": data.kind,
            "crisis": data.crisis,
            "repeated": data.repeated,
            "opened_at": data.opened_at,
            "count": data.signals,
        },
    )
    if data.status == "open" and (data.flags or "flags" in case):
        case["flags"] = _flags(case.get("flags", []), data.flags)
    elif data.result is not None:
        case["result"], case["closed_at"] = data.result, event.envelope.time
        if data.organisation is not None:
            case["closed_by"] = data.organisation
    if before is None or file["cases"][-1] == before:
        return with_case(file, case)
    return {**file, "cases": [case if each["id"] == data.case else each for each in file["cases"]]}


def _flags(held: list[Flag], codes: list[str]) -> list[Flag]:
    """Those held that are still there, and the others by their code alone."""
    kept = [flag for flag in held if flag["code"] in codes]
    known = {flag["code"] for flag in kept}
    return [*kept, *(Flag(code=code) for code in codes if code not in known)]


def _with_referral(file: File, data: ReferralState) -> File:
    referral = cast(Referral, data.model_dump(include=_OF_REFERRAL))
    held = file.get("referrals", [])
    if all(each["referral"] != referral["referral"] for each in held):
        return {**file, "referrals": [*held, referral]}
    return {**file, "referrals": [referral if each["referral"] == referral["referral"] else each for each in held]}
