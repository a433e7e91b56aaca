"""Events of feeds as the demo reads them, and a chain in which all is well."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from hulpketen_contracts import Decoded, Envelope, PartnerCaseChanged, PartnerReferralChanged, SignalReceived

from cli.demo.check import Facts
from cli.demo.ledger import Ledger

GEMEENTE, HELPER = "gemeente-proefdam", "maatjes-proef"
AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
CASE, REFERRAL, SIGNAL = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("case", "referral", "signal"))


def referral_line(version: int, status: str, change: str, *, id: str = "", referral: str = REFERRAL) -> Decoded:
    """A change of the referral of CASE to HELPER; `id`: the event's, its own unless it is given."""
    data = PartnerReferralChanged(
        referral=referral,
        change=change,
        municipality="9902",
        service="proef-maatje",
        from_organisation=GEMEENTE,
        to_organisation=HELPER,
        status=status,
        version=version,
        changed_at=AT,
    )
    return Decoded(_envelope(data.TYPE, id or f"{referral}/{version}/{change}"), data)


def case_line(version: int, signals: int, change: str = "cases.updated") -> Decoded:
    """The case CASE, with so many signals in it."""
    data = PartnerCaseChanged(
        case=CASE,
        change=change,
        municipality="9902",
        status="open",
        kind="single",
        crisis=False,
        repeated=False,
        signals=signals,
        version=version,
    )
    return Decoded(_envelope(data.TYPE, f"{CASE}/{version}/{change}"), data)


def answer(version: int, status: str, referral: str = REFERRAL) -> dict[str, Any]:
    """What matching answers to a request that led to this status."""
    return {"referral": referral, "version": version, "status": status, "toOrganisation": HELPER}


def well() -> tuple[Ledger, Facts]:
    """One signal, one case, one referral that was accepted: all of it seen by everybody, and listed everywhere."""
    ledger = Ledger(GEMEENTE)
    ledger.signal_taken("klant-1", "a person", SIGNAL)
    ledger.referral_changed(answer(1, "made"), 1.0)
    ledger.referral_changed(answer(2, "accepted"), 2.0)
    ledger.saw(GEMEENTE, case_line(1, 1, "cases.opened"), 0.5)
    for organisation in (GEMEENTE, HELPER):
        ledger.saw(organisation, referral_line(1, "made", "referrals.made"), 1.1)
        ledger.saw(organisation, referral_line(2, "accepted", "referrals.accepted"), 2.2)
    return ledger, facts()


def facts(**changes: Any) -> Facts:
    """What the services have when all is well, with changes."""
    referral = {"referral": REFERRAL, "version": 2, "case": CASE, "service": "proef-maatje"}
    case = {
        "case": CASE,
        "version": 1,
        "signals": 1,
        "received": [{"signal": SIGNAL}],
        "referrals": [referral],
        "otherCases": [],
    }
    entries: list[dict[str, Any]] = [{"index": n, "eventId": f"event-{n}"} for n in range(3)]
    all_well = Facts(
        cases=[case],
        told_cases=[{"case": CASE, "version": 1}],
        told_referrals={GEMEENTE: [referral], HELPER: [referral], "wijkteam-proef": []},
        entries=entries,
        events=[signal_event()],
        audited=frozenset(entry["eventId"] for entry in entries),
    )
    return all_well._replace(**changes)


def signal_event(id: str = "signal event") -> Decoded:
    """The event of SIGNAL, as it lies on the topic."""
    data = SignalReceived(
        signal=SIGNAL,
        person=CASE,
        subject_kind="person",
        municipality="9902",
        sender="stroom-proef",
        partner_type="Energie",
        signalled_on=AT.date(),
        crisis=False,
        warm_transfer=False,
    )
    return Decoded(_envelope(data.TYPE, id), data)


def _envelope(type: str, id: str) -> Envelope:
    return Envelope(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, id)),
        source="urn:nld:oin:00000000000000000000:systeem:test",
        type=type,
        time=AT,
        subject=CASE,
        stream=f"file-{CASE}",
        streamepoch=1,
        streamseq=1,
    )
