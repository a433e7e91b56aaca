"""The lines of a feed as a terminal shows them."""

from __future__ import annotations

import json
from typing import Any

from hulpketen_contracts import (
    Decoded,
    PartnerCaseChanged,
    PartnerCheckpointPublished,
    PartnerReferralChanged,
    to_structured,
)

FIRST, GOES_ON, EARLIER, UNCHECKED = "first", "goes-on", "earlier", "not-checked"
_CHECKED = {
    FIRST: "the first: the next has to go on from it",
    GOES_ON: "goes on from what was kept",
    EARLIER: "the beginning of what was kept",
    UNCHECKED: "not checked",
}


def in_words(number: int, event: Decoded, checked: str) -> str:
    """For people. `checked`: what came of the check of a checkpoint."""
    at = event.envelope.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{number}  {at}  {_words(event, checked)}"


def in_json(number: int, event: Decoded, checked: str) -> str:
    """For programs: {n, event: CloudEvent, checked: where it is a checkpoint}."""
    line: dict[str, Any] = {"n": number, "event": to_structured(event)} | ({"checked": checked} if checked else {})
    return json.dumps(line, ensure_ascii=False)


def _words(event: Decoded, checked: str) -> str:
    data = event.data
    if isinstance(data, PartnerCheckpointPublished):
        return f"the trail is signed up to {data.size} entries; {_CHECKED[checked]}"
    if isinstance(data, PartnerReferralChanged):
        way = f"from {data.from_organisation} to {data.to_organisation}"
        return f"{data.change}  referral {data.referral}, {data.status}, {way}"
    if isinstance(data, PartnerCaseChanged):
        return f"{data.change}  case {data.case}, {data.status}, {data.signals} signals"
    return event.envelope.type
