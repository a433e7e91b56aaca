"""What the board offers: actions by role and status, and the codes that they ask for. Matching has the last word."""

from __future__ import annotations

from collections.abc import Mapping

from services.notifications.domain.visibility import Role

ACTIONS: Mapping[Role, Mapping[str, tuple[str, ...]]] = {
    Role.RECEIVER: {
        "made": ("accept", "waitlist", "decline"),
        "waitlisted": ("accept", "decline"),
        "accepted": ("start",),
        "started": ("end",),
    },
    Role.SENDER: {
        "made": ("cancel",),
        "waitlisted": ("cancel",),
        "accepted": ("cancel",),
    },
}

CODES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "decline": (
        "reason",
        ("capacity", "not-eligible", "outside-area", "missing-information", "other-help-running", "safety", "other"),
    ),
    "waitlist": (
        "reason",
        ("capacity", "additional-assessment", "missing-information", "other-help-running", "other"),
    ),
    "cancel": (
        "reason",
        ("withdrawn-by-resident", "no-contact", "other-help-found", "moved-away", "made-in-error", "other"),
    ),
    "end": ("outcome", ("completed", "partly", "stopped-by-resident", "no-contact", "referred-on", "failed")),
}
"""By action: which field is due, and the codes that it may hold."""

RELEASE_REASONS = ("resident-agreed", "safety-checked", "legal-duty")
CONTACT: Mapping[str, tuple[str, ...]] = {
    "address": ("postcode", "houseNumber", "houseNumberAddition"),
    "phone": ("phone",),
    "email": ("email",),
}
"""What a professional may release of a person whose contact is not safe: what intake answers under which names."""
