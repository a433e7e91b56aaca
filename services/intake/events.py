"""Kafka in: the directory, and the cases and referrals by which intake knows who may look at a person."""

from __future__ import annotations

from collections.abc import Callable

from hulpketen_contracts import Decoded, Event
from hulpketen_contracts.cases import CaseClosed, CaseOpened, CaseUpdated
from hulpketen_contracts.deadlines import DeadlineApproaching, DeadlinePassed
from hulpketen_contracts.directory import OrganisationChanged, ServiceChanged
from hulpketen_contracts.help import HelpEnded, HelpStarted
from hulpketen_contracts.referrals import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralsProposed,
    ReferralWaitlisted,
)

from services.chassis.pipeline.model import Handler
from services.intake.domain import directory, files

TOPICS = ("cases", "directory")


def _aggregate(prefix: str) -> Callable[[Decoded], str]:
    """Routes to the aggregate of the event's key."""
    return lambda event: f"{prefix}-{getattr(event.data, event.data.KEY)}"


_file = _aggregate("file")


_CASE = Handler(_file, files.follow_case)
_REFERRAL = Handler(_file, files.follow_referral)
_PASS_BY = Handler(_file, files.pass_by)

HANDLERS: dict[type[Event], Handler] = {
    CaseOpened: _CASE,
    CaseUpdated: _CASE,
    CaseClosed: _CASE,
    ReferralMade: _REFERRAL,
    ReferralAccepted: _REFERRAL,
    ReferralDeclined: _REFERRAL,
    ReferralWaitlisted: _REFERRAL,
    ReferralCancelled: _REFERRAL,
    ReferralExpired: _REFERRAL,
    HelpStarted: _REFERRAL,
    HelpEnded: _REFERRAL,
    ReferralsProposed: _PASS_BY,
    DeadlineApproaching: _PASS_BY,
    DeadlinePassed: _PASS_BY,
    OrganisationChanged: Handler(_aggregate("organisation"), directory.follow),
    ServiceChanged: Handler(_aggregate("service"), directory.follow),
}
