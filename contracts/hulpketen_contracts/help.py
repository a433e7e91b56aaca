"""Help (hulp) that a referral led to."""

from __future__ import annotations

from hulpketen_contracts.referrals import ReferralState


class HelpStarted(ReferralState):
    """Help has begun."""

    TYPE = "nl.hulpketen.help.started.v1"
    ACTIVITY = "give-help"


class HelpEnded(ReferralState):
    """Help has ended, with its outcome."""

    TYPE = "nl.hulpketen.help.ended.v1"
    ACTIVITY = "give-help"
