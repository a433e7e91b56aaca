"""The file: all cases and referrals of one person, or address, in one municipality. One aggregate, plain data.

A decision never changes what it was given: it copies what it changes, since another decision may follow on the same
state after it failed.
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from hulpketen_contracts.values import (
    CaseKind,
    CaseResult,
    CaseStatus,
    DecidedBy,
    Exit,
    PartnerType,
    ReferralStatus,
    SubjectKind,
)

SIGNALS_KEPT = 100
FLAGS_KEPT = 20

# Flags: what a human must look at, since a program may not decide it.
NO_SIGNALS_LEFT = "no-signals-left"
MERGED = "person-merged"
NOT_OFFERED = "choice-not-offered"
NO_MUNICIPALITY = "choice-without-municipality"
FLAGS = (NO_SIGNALS_LEFT, MERGED, NOT_OFFERED, NO_MUNICIPALITY)


class Signal(TypedDict):
    """A signal in a case; `day` as YYYY-MM-DD, `amount` in whole euros."""

    id: str
    sender: str
    type: PartnerType
    amount: int | None
    day: str
    crisis: bool
    repeated: bool


class Flag(TypedDict):
    """Something that a human must look at: a code, and the service that it is about."""

    code: str
    service: NotRequired[str]


class Case(TypedDict):
    """A case. `count`: of its signals, of which the last 100 are held. `proposed`: digest of what was proposed last.

    `asked`: the resident asked for help; `asked_crisis`: and said that the situation is threatening.
    """

    id: str
    status: CaseStatus
    version: int
    kind: CaseKind
    crisis: bool
    repeated: bool
    opened_at: datetime
    signals: list[Signal]
    count: int
    proposed: NotRequired[str]
    asked: NotRequired[bool]
    asked_crisis: NotRequired[bool]
    exit: NotRequired[Exit]
    flags: NotRequired[list[Flag]]
    result: NotRequired[CaseResult]
    closed_at: NotRequired[datetime]
    closed_by: NotRequired[str]


class Referral(TypedDict):
    """A referral; the keys are the fields of `ReferralState`, but for person and municipality, which are the file's."""

    referral: str
    case: str
    service: str
    from_organisation: str
    to_organisation: str
    status: ReferralStatus
    version: int
    decided_by: DecidedBy | None
    reason: str | None
    outcome: str | None
    changed_at: datetime


class File(TypedDict):
    """The state of `file-<pseudonym>`. `status`, `since` and `flagged` are those of the last case, for the lists."""

    person: str
    municipality: str
    subject_kind: SubjectKind
    cases: list[Case]
    referrals: NotRequired[list[Referral]]
    status: NotRequired[CaseStatus]
    since: NotRequired[datetime]
    flagged: NotRequired[bool]
    merged_into: NotRequired[str]


def file_id(person: str) -> str:
    """The aggregate, and stream, of a person's file."""
    return f"file-{person}"


def open_case(file: File) -> Case | None:
    """The open case; there is one at most, and it is the last."""
    if file["cases"] and file["cases"][-1]["status"] == "open":
        return file["cases"][-1]
    return None


def with_case(file: File, case: Case) -> File:
    """The file with this case as its last: in the place of the one with its id, or after all."""
    cases = file["cases"]
    others = cases[:-1] if cases and cases[-1]["id"] == case["id"] else cases
    changed: File = {
        **file,
        "cases": [*others, case],
        "status": case["status"],
        "since": case.get("closed_at", case["opened_at"]),
    }
    changed.pop("flagged", None)
    if case["status"] == "open" and case.get("flags"):
        changed["flagged"] = True
    return changed


def with_flag(case: Case, code: str, service: str | None = None) -> Case:
    """The case with a flag for a human; the same flag stands there once."""
    flag: Flag = {"code": code, "service": service} if service else {"code": code}
    flags = case.get("flags", [])
    return case if flag in flags else {**case, "flags": [*flags, flag][-FLAGS_KEPT:]}


def flag_codes(case: Case) -> list[str]:
    """The codes of its flags, each once, in the order in which they came."""
    return list(dict.fromkeys(flag["code"] for flag in case.get("flags", ())))


def without_flags(case: Case, *codes: str) -> Case:
    """The case without the flags of these codes."""
    flags = case.get("flags")
    if not flags:
        return case
    return {**case, "flags": [flag for flag in flags if flag["code"] not in codes]}
