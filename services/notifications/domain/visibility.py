"""Who may see which event, and which fields of it: one table, for the feeds and for every answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache

from hulpketen_contracts import (
    CaseClosed,
    CaseOpened,
    CaseUpdated,
    Event,
    HelpEnded,
    HelpStarted,
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralsProposed,
    ReferralWaitlisted,
)


class Role(StrEnum):
    """What an organisation is to a case or a referral."""

    MUNICIPALITY = "municipality"
    """Its case: the municipality answers for the whole of it (Wgs)."""
    SENDER = "sender"
    """It made the referral, and is told how it goes on (closed loop)."""
    RECEIVER = "receiver"
    """It was asked to help, and learns of the referral what it needs for that: nothing of the case."""


Fields = frozenset[str]
CASE: Fields = frozenset(
    {"case", "municipality", "status", "kind", "crisis", "repeated", "signals", "version", "result", "flags"}
)
PROPOSALS: Fields = CASE | {"proposals"}
REFERRAL: Fields = frozenset(
    {
        "referral",
        "municipality",
        "service",
        "from_organisation",
        "to_organisation",
        "status",
        "version",
        "reason",
        "outcome",
        "changed_at",
    }
)
REFERRAL_AND_CASE: Fields = REFERRAL | {"case"}

_CASE: Mapping[Role, Fields] = {Role.MUNICIPALITY: CASE}
_REFERRAL: Mapping[Role, Fields] = {
    Role.MUNICIPALITY: REFERRAL_AND_CASE,
    Role.SENDER: REFERRAL,
    Role.RECEIVER: REFERRAL,
}

VISIBLE: Mapping[type[Event], Mapping[Role, Fields]] = {
    CaseOpened: _CASE,
    CaseUpdated: _CASE,
    CaseClosed: _CASE,
    ReferralsProposed: {Role.MUNICIPALITY: PROPOSALS},
    ReferralMade: _REFERRAL,
    ReferralAccepted: _REFERRAL,
    ReferralDeclined: _REFERRAL,
    ReferralWaitlisted: _REFERRAL,
    ReferralCancelled: _REFERRAL,
    ReferralExpired: _REFERRAL,
    HelpStarted: _REFERRAL,
    HelpEnded: _REFERRAL,
}
"""By event and role the fields that go out. An event or a role that is not here goes to nobody."""

FeedOf = Callable[[str], str | None]
"""The feed that an organisation reads; None where it may have none."""

_RESERVED = re.compile(r"municipality-\d{4}")


def municipality_feed(code: str) -> str:
    """The feed of a municipality, by its code: it exists before anybody knows which organisation will read it."""
    return f"municipality-{code}"


def own_feed(organisation: str) -> str | None:
    """The feed of any other organisation; None where its id is one that stands for a municipality's feed."""
    return None if _RESERVED.fullmatch(organisation) else organisation


@cache
def change_of(event: type[Event]) -> str:
    """What happened, as partners read it: "referrals.made" of nl.hulpketen.referrals.made.v1."""
    return event.TYPE.removeprefix("nl.hulpketen.").rpartition(".")[0]


# Who has a role to an event stands in this field of it; the widest role first.
_PARTIES: Mapping[Role, str] = {
    Role.MUNICIPALITY: "municipality",
    Role.SENDER: "from_organisation",
    Role.RECEIVER: "to_organisation",
}


def readers(event: Event, feed_of: FeedOf) -> dict[str, Role]:
    """The feeds that get a line of this event, with the role of the reader; where it has several, the widest."""
    allowed = VISIBLE.get(type(event), {})
    found: dict[str, Role] = {}
    for role, field in _PARTIES.items():
        if role in allowed:
            party: str = getattr(event, field)
            feed = municipality_feed(party) if role is Role.MUNICIPALITY else feed_of(party)
            if feed is not None:
                found.setdefault(feed, role)
    return found
