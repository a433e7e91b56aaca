"""What the demo reports at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cli.demo.check import Facts, case_places
from cli.demo.ledger import Ledger

MUST_BE_ZERO = ("lost", "doubled", "outOfOrder", "personalDataFound")


def make(ledger: Ledger, facts: Facts, milliseconds: Sequence[float], copies: int, found: int) -> dict[str, Any]:
    """The figures; `copies`: on the topics; `found`: places where planted personal data was."""
    counts = {
        kind: sum(f.times for f in ledger.findings if f.kind == kind) for kind in ("lost", "doubled", "outOfOrder")
    }
    expected = set(ledger.expected()) | set(case_places(ledger.overseer, facts.cases))
    personal = sum(f.times for f in ledger.findings if f.kind == "personal")
    return {
        "signals": len(ledger.taken) + len(ledger.refused),
        "taken": len(ledger.taken),
        "refused": len(ledger.refused),
        "cases": len(facts.cases),
        "referrals": len(ledger.received),
        "helpStarted": sum(status.status == "started" for status in ledger.statuses.values()),
        "statusesExpected": len(expected),
        "statusesSeen": len(expected & ledger.seen.keys()),
        **counts,
        "redelivered": ledger.copies + copies,
        "postToPartnerMs": {"p50": percentile(milliseconds, 50), "p99": percentile(milliseconds, 99)},
        "auditEntries": len(facts.entries),
        "personalDataFound": found + personal,
    }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Of values in order, the one that this many per cent are not above; 0 where there is none."""
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 1)
