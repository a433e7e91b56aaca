"""Events of a file, as matching sends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hulpketen_contracts import CaseOpened, Proposal, ReferralMade, ReferralsProposed, ReferralState, RuleOutcome
from hulpketen_contracts.cases import CaseState

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PERSON = "00000000-0000-4000-8000-000000000001"
CASE = "00000000-0000-4000-8000-0000000000ca"
REFERRAL = "00000000-0000-4000-8000-0000000000fe"


def case(kind: type[CaseState] = CaseOpened, **fields: Any) -> CaseState:
    """An event of the one case."""
    about: dict[str, Any] = {
        "case": CASE,
        "person": PERSON,
        "subject_kind": "person",
        "municipality": "0106",
        "version": 1,
        "status": "open",
        "kind": "single",
        "crisis": False,
        "repeated": False,
        "signals": 1,
        "partner_types": ["Huur"],
        "opened_at": AT,
    }
    return kind(**(about | fields))


def proposed(**fields: Any) -> ReferralsProposed:
    """What is proposed for the one case."""
    rules = [RuleOutcome(rule="capacity", met=True, detail="has-capacity")]
    proposals = [Proposal(service="maatjes-thuis", organisation="maatjes", rules=rules)]
    about: dict[str, Any] = {"case": CASE, "person": PERSON, "municipality": "0106", "proposals": proposals}
    return ReferralsProposed(**(about | fields))


def referral(kind: type[ReferralState] = ReferralMade, **fields: Any) -> ReferralState:
    """An event of the one referral."""
    about: dict[str, Any] = {
        "referral": REFERRAL,
        "case": CASE,
        "person": PERSON,
        "municipality": "0106",
        "service": "maatjes-thuis",
        "from_organisation": "wijkteam",
        "to_organisation": "maatjes",
        "status": "made",
        "version": 1,
        "decided_by": "professional",
        "changed_at": AT,
    }
    return kind(**(about | fields))
