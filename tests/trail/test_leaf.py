"""An entry of the trail has one form, so that it has one hash."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hulpketen_contracts.trail.errors import CommitmentDiffers, Malformed
from hulpketen_contracts.trail.leaf import Leaf, check_content, leaf_bytes, parse_leaf
from hypothesis import given
from hypothesis import strategies as st

LEAF = Leaf(
    datetime(2026, 11, 22, 10, 0, 0, 7_999, UTC),
    "nl.hulpketen.cases.opened.v1",
    "urn:nld:oin:00000001821002193000:systeem:matching",
    "gemeente-assen",
    None,
    "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    bytes(range(32)),
)
BYTES = (
    b'{"activity":null,"at":"2026-11-22T10:00:00.007Z",'
    b'"commitment":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"eventId":"7d444840-9dc0-11d1-b245-5ffdce74fad2","organisation":"gemeente-assen",'
    b'"source":"urn:nld:oin:00000001821002193000:systeem:matching","type":"nl.hulpketen.cases.opened.v1","v":1}'
)


def test_an_entry_is_json_in_one_form() -> None:
    assert leaf_bytes(LEAF) == BYTES
    assert parse_leaf(BYTES) == LEAF._replace(at=datetime(2026, 11, 22, 10, 0, 0, 7_000, UTC))
    elsewhere = LEAF.at.astimezone(timezone(timedelta(hours=1)))
    assert leaf_bytes(LEAF._replace(at=elsewhere)) == BYTES


@given(
    st.datetimes(timezones=st.just(UTC)), st.text(), st.text(), st.none() | st.text(), st.none() | st.text(), st.text()
)
def test_every_entry_is_the_json_that_others_would_write(
    at: datetime, type: str, source: str, organisation: str | None, activity: str | None, event_id: str
) -> None:
    leaf = Leaf(at, type, source, organisation, activity, event_id, bytes(32))
    data = leaf_bytes(leaf)
    assert json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode() == data
    assert leaf_bytes(parse_leaf(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        BYTES + b"\n",
        BYTES.replace(b'"v":1', b'"v":2'),
        BYTES.replace(b'"v":1', b'"v": 1'),
        BYTES.replace(b'"v":1', b'"v":1,"x":1'),
        BYTES.replace(b".007Z", b".007+00:00"),
        BYTES.replace(b".007Z", b".0071Z"),
        BYTES.replace(b".007Z", b""),
        BYTES.replace(b"1e1f", b"1E1F"),
        BYTES.replace(b"1e1f", b""),
        BYTES.replace(b'"gemeente-assen"', b"7"),
        BYTES.replace(b"null", b'"\xc3\xa9"'),
        b"[" * 100_000,
    ],
)
def test_an_entry_in_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_leaf(data)


def test_a_content_opens_the_commitment_of_its_own_entry_alone() -> None:
    nonce, content = b"n" * 32, b"attributes and data"
    leaf = LEAF._replace(commitment=hmac.digest(nonce, content, "sha256"))
    check_content(leaf, content, nonce)
    for other, by in ((b"another", nonce), (content, b"m" * 32), (b"", b"")):
        with pytest.raises(CommitmentDiffers, match=LEAF.event_id):
            check_content(leaf, other, by)
