"""An entry of the trail as it stands in the tree: what says nothing of a person, and a commitment to the rest.

Its bytes are JSON in one form alone (names sorted, no spaces, ASCII), so that an entry has one hash:
`{"activity":…,"at":"2026-11-22T10:00:00.000Z","commitment":"<64 hex>","eventId":…,"organisation":…,"source":…,
"type":…,"v":1}`. The commitment is HMAC-SHA256 of the event (attributes and data) under a nonce of the entry's own.
"""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from hulpketen_contracts.trail.errors import CommitmentDiffers, Malformed

VERSION = 1


class Leaf(NamedTuple):
    """An entry. `at`: when it happened, in UTC, to the millisecond; `commitment`: 32 bytes."""

    at: datetime
    type: str
    source: str
    organisation: str | None
    activity: str | None
    event_id: str
    commitment: bytes


def leaf_bytes(leaf: Leaf) -> bytes:
    """The bytes that stand in the tree."""
    at = leaf.at.astimezone(UTC).isoformat(timespec="milliseconds")[:23]
    return (
        f'{{"activity":{_value(leaf.activity)},"at":"{at}Z","commitment":"{leaf.commitment.hex()}",'
        f'"eventId":{quoted(leaf.event_id)},"organisation":{_value(leaf.organisation)},'
        f'"source":{quoted(leaf.source)},"type":{quoted(leaf.type)},"v":{VERSION}}}'
    ).encode()


def parse_leaf(data: bytes) -> Leaf:
    """The entry in these bytes. Raises Malformed, also where they are not in the one form that there is."""
    try:
        found = json.loads(data)
        leaf = Leaf(
            datetime.fromisoformat(found["at"]),
            found["type"],
            found["source"],
            found["organisation"],
            found["activity"],
            found["eventId"],
            bytes.fromhex(found["commitment"]),
        )
        same = leaf_bytes(leaf) == data and len(leaf.commitment) == 32
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        same = False
    if not same:
        raise Malformed("an entry of the trail is not in the one form that entries have")
    return leaf


def check_content(leaf: Leaf, content: bytes, nonce: bytes) -> None:
    """Check that this is what the entry committed to. Raises CommitmentDiffers."""
    if not hmac.compare_digest(hmac.digest(nonce, content, "sha256"), leaf.commitment):
        raise CommitmentDiffers(f"the content is not what the entry about event {leaf.event_id} committed to")


def _value(text: str | None) -> str:
    return "null" if text is None else quoted(text)
