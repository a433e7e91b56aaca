"""What can go wrong at writing and at reading. No message repeats a value."""

from __future__ import annotations

from typing import Literal

Reason = Literal["not-an-event", "unknown-type", "unknown-version", "bad-headers", "invalid-data", "too-large"]


class EncodeError(ValueError):
    """An event may not be sent as it is; trying again does not help."""


class PersonalDataRefused(EncodeError):
    """A field of the event's contract is marked as personal."""


class EventTooLarge(EncodeError):
    """Over 64 KB, attributes included."""


class DecodeError(ValueError):
    """A record is no event that this version of the contracts can read.

    `reason`: one of a closed list; `detail`: which header or field, and what is wrong with it, never its value.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
