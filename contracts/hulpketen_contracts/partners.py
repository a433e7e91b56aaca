"""What partners get: numbered by the feed of their organisation, without a pseudonym."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.checkpoints import Announced
from hulpketen_contracts.event import Event
from hulpketen_contracts.referrals import Proposal
from hulpketen_contracts.values import (
    CaseKind,
    CaseResult,
    CaseStatus,
    Code,
    Count,
    Id,
    Municipality,
    OrganisationId,
    ReferralStatus,
    ServiceId,
    Time,
    Version,
)

Change = Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$", max_length=60)]
"""What happened, after the type of the chain's own event: "referrals.made", "help.started", "cases.opened"."""


class PartnerReferralChanged(Event):
    """A referral that the organisation made, received or oversees. `case`: for the municipality alone."""

    TYPE = "nl.hulpketen.partners.referral-changed.v1"
    TOPIC = "partners.{organisation}"
    KEY = "referral"
    ACTIVITY = "inform-partners"

    referral: Id
    change: Change
    municipality: Municipality
    service: ServiceId
    from_organisation: OrganisationId
    to_organisation: OrganisationId
    status: ReferralStatus
    version: Version
    reason: Code | None = None
    outcome: Code | None = None
    changed_at: Time
    case: Id | None = None


class PartnerCaseChanged(Event):
    """A case, for its municipality. `proposals` where they are what changed; `result` where the case is closed.

    `flags`: why an open case waits for a human's look.
    """

    TYPE = "nl.hulpketen.partners.case-changed.v1"
    TOPIC = "partners.{organisation}"
    KEY = "case"
    ACTIVITY = "inform-partners"

    case: Id
    change: Change
    municipality: Municipality
    status: CaseStatus
    kind: CaseKind
    crisis: bool
    repeated: bool
    signals: Count
    version: Version
    proposals: Annotated[list[Proposal], Field(max_length=50)] | None = None
    result: CaseResult | None = None
    flags: Annotated[list[Code], Field(max_length=20)] = Field(default_factory=list)


class PartnerCheckpointPublished(Announced, Event):
    """How far the audit's trail is signed: with it every partner can see for itself that nothing is rewritten."""

    TYPE = "nl.hulpketen.partners.checkpoint-published.v1"
    TOPIC = "partners.{organisation}"
    KEY = "size"
