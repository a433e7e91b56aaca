"""Cases (casussen): all that is known in one municipality about one person's or address's trouble."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import (
    CaseKind,
    CaseResult,
    CaseStatus,
    Code,
    Count,
    Id,
    Municipality,
    OrganisationId,
    PartnerType,
    SubjectKind,
    Time,
    Version,
)


class CaseState(Event):
    """The state of a case to which an event led. `signal`: the one that caused it. `result`: of a closed case,
    and `organisation`: that closed it.

    `flags`: why an open case waits for a human's look, as "choice-not-offered".
    """

    TOPIC = "cases"
    KEY = "person"
    ACTIVITY = "manage-cases"

    case: Id
    person: Id
    subject_kind: SubjectKind
    municipality: Municipality
    version: Version
    status: CaseStatus
    kind: CaseKind
    crisis: bool
    repeated: bool
    signals: Count
    partner_types: Annotated[list[PartnerType], Field(max_length=20)]
    signal: Id | None = None
    result: CaseResult | None = None
    organisation: OrganisationId | None = None
    opened_at: Time
    flags: Annotated[list[Code], Field(max_length=20)] = Field(default_factory=list)


class CaseOpened(CaseState):
    """There was no open case of this person in this municipality, and now there is."""

    TYPE = "nl.hulpketen.cases.opened.v1"


class CaseUpdated(CaseState):
    """A signal joined or left the case, or what is known of it changed."""

    TYPE = "nl.hulpketen.cases.updated.v1"


class CaseClosed(CaseState):
    """A professional closed the case, with its result."""

    TYPE = "nl.hulpketen.cases.closed.v1"
