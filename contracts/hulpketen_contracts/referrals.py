"""Referrals (verwijzingen): proposed by rules, made by a person, answered by the organisation that helps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event, Part
from hulpketen_contracts.values import (
    Code,
    DecidedBy,
    Id,
    Municipality,
    OrganisationId,
    ReferralStatus,
    ServiceId,
    Time,
    Version,
)


class RuleOutcome(Part):
    """What one rule said of one service. `met` absent: it could not be known. `detail`: a code that explains it."""

    rule: Code
    met: bool | None = None
    detail: Code | None = None


class Proposal(Part):
    """A service that may fit, with the outcome of each rule."""

    service: ServiceId
    organisation: OrganisationId
    rules: Annotated[list[RuleOutcome], Field(max_length=30)]


class ReferralsProposed(Event):
    """What the rules propose for a case; nobody is referred by it."""

    TYPE = "nl.hulpketen.referrals.proposed.v1"
    TOPIC = "cases"
    KEY = "person"
    ACTIVITY = "propose-help"

    case: Id
    person: Id
    municipality: Municipality
    proposals: Annotated[list[Proposal], Field(max_length=50)]


class ReferralState(Event):
    """The state of a referral to which an event led.

    `decided_by` is absent where a term ran out. `reason`: of a referral declined, waitlisted, cancelled or expired;
    `outcome`: of help that ended.
    """

    TOPIC = "cases"
    KEY = "person"

    referral: Id
    case: Id
    person: Id
    municipality: Municipality
    service: ServiceId
    from_organisation: OrganisationId
    to_organisation: OrganisationId
    status: ReferralStatus
    version: Version
    decided_by: DecidedBy | None = None
    reason: Code | None = None
    outcome: Code | None = None
    changed_at: Time


class ReferralMade(ReferralState):
    """A person referred; the organisation that helps has not answered yet."""

    TYPE = "nl.hulpketen.referrals.made.v1"
    ACTIVITY = "make-referrals"


class ReferralAccepted(ReferralState):
    """The organisation that helps takes it up."""

    TYPE = "nl.hulpketen.referrals.accepted.v1"
    ACTIVITY = "answer-referrals"


class ReferralDeclined(ReferralState):
    """The organisation that helps does not take it up, and says why."""

    TYPE = "nl.hulpketen.referrals.declined.v1"
    ACTIVITY = "answer-referrals"


class ReferralWaitlisted(ReferralState):
    """The organisation that helps put it on its waiting list."""

    TYPE = "nl.hulpketen.referrals.waitlisted.v1"
    ACTIVITY = "answer-referrals"


class ReferralCancelled(ReferralState):
    """Who made it took it back."""

    TYPE = "nl.hulpketen.referrals.cancelled.v1"
    ACTIVITY = "make-referrals"


class ReferralExpired(ReferralState):
    """No answer came within the term."""

    TYPE = "nl.hulpketen.referrals.expired.v1"
    ACTIVITY = "make-referrals"
