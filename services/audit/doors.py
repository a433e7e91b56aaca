"""What the table of access says, as a dependency of routes."""

from __future__ import annotations

from services.audit.domain.access import TABLE
from services.chassis.auth import Requires, requires, requires_any


def who_may(name: str) -> Requires:
    """Lets in who may have this part of the table, by token or session."""
    scopes = TABLE[name].scopes
    return requires_any(*scopes) if len(scopes) > 1 else requires(*scopes)
