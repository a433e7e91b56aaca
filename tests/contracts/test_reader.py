"""What a partner's reader makes of a feed."""

from __future__ import annotations

import json

import pytest
from hulpketen_contracts import (
    Decoded,
    DecodeError,
    Message,
    PartnerReferralChanged,
    encode,
    to_structured,
    with_sequence,
)
from hulpketen_contracts.reader import FeedReader, Gap
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import NOW, REFERRAL, envelope_for

TOPIC = "partners.maatjes-voorbeeld"


def line(n: int) -> Message:
    event = PartnerReferralChanged(
        referral=REFERRAL,
        change="referrals.made",
        municipality="0106",
        service="maatjes",
        from_organisation="gemeente-assen",
        to_organisation="maatjes-voorbeeld",
        status="made",
        version=n,
        changed_at=NOW,
    )
    message = encode(event, envelope_for(event), topic=TOPIC)
    return message._replace(headers=list(with_sequence(dict(message.headers), n).items()))


def sse(n: int) -> str:
    return json.dumps(to_structured(line(n)))


def version(event: Decoded | None) -> int | None:
    return None if event is None else event.data.model_dump()["version"]


def test_the_first_number_is_one() -> None:
    reader = FeedReader()
    assert version(reader.sse("1", sse(1))) == 1
    assert reader.last == 1


def test_what_was_seen_gives_none_over_any_way() -> None:
    reader = FeedReader()
    message = line(1)
    assert version(reader.kafka(message.headers, message.value)) == 1
    assert reader.sse(1, sse(1)) is None
    assert reader.kafka(message.headers, message.value) is None


def test_it_goes_on_from_a_backfill() -> None:
    reader = FeedReader(last=41)
    assert reader.sse(41, sse(41)) is None
    assert version(reader.sse(42, sse(42))) == 42


def test_a_gap_is_named_and_the_reader_stays_where_it_is() -> None:
    reader = FeedReader()
    for _ in range(2):
        with pytest.raises(Gap) as raised:
            reader.sse("3", sse(3))
        assert (raised.value.expected, raised.value.got) == (1, 3)
    assert version(reader.sse("1", sse(1))) == 1


@given(st.lists(st.integers(1, 8)))
def test_each_number_is_given_once_and_in_order_whatever_comes(numbers: list[int]) -> None:
    reader = FeedReader()
    given_out = []
    for n in numbers:
        try:
            event = reader.sse(n, sse(n))
        except Gap:
            continue
        if event is not None:
            given_out.append(version(event))
    assert given_out == list(range(1, reader.last + 1))


def test_a_new_type_of_event_is_passed_over() -> None:
    reader = FeedReader()
    assert reader.sse(1, sse(1).replace("referral-changed.v1", "help-rated.v1")) is None
    assert version(reader.sse(2, sse(2))) == 2


def test_a_new_version_of_an_event_is_told_and_holds_nothing_up() -> None:
    reader = FeedReader()
    with pytest.raises(DecodeError) as raised:
        reader.sse(1, sse(1).replace("referral-changed.v1", "referral-changed.v2"))
    assert raised.value.reason == "unknown-version"
    assert version(reader.sse(2, sse(2))) == 2


@pytest.mark.parametrize("number", [None, "", "0", "-1", "1.0", "x", b"\xff", "٣"])
def test_a_line_without_a_number_changes_nothing(number: str | None) -> None:
    reader = FeedReader()
    with pytest.raises(DecodeError):
        reader.sse(number, sse(1))
    assert reader.last == 0


def test_a_number_that_is_not_the_events_own_is_refused() -> None:
    with pytest.raises(DecodeError):
        FeedReader().sse(1, sse(2))


@pytest.mark.parametrize("data", ["", "{", "[" * 100_000, "[]", "null"])
def test_data_that_is_no_event(data: str) -> None:
    with pytest.raises(DecodeError):
        FeedReader().sse(1, data)


def test_a_record_without_a_number() -> None:
    message = line(1)
    with pytest.raises(DecodeError):
        FeedReader().kafka([h for h in message.headers if h[0] != "ce_sequence"], message.value)


def test_lines_of_a_stream_make_events() -> None:
    reader = FeedReader()
    lines = [": heartbeat", "", "retry: 500", "id: 1", "event: x", *_data(1), "", "id:2", *_data(2), "", "id: 3", ""]
    assert [version(event) for event in map(reader.sse_line, lines) if event] == [1, 2]


def test_half_a_message_is_forgotten_at_a_new_connection() -> None:
    reader = FeedReader(last=1)
    for text in ["id: 2", *_data(2)]:
        assert reader.sse_line(text) is None
    assert reader.connection_headers() == {"Accept": "text/event-stream", "Last-Event-ID": "1"}
    assert reader.sse_line("") is None
    assert reader.last == 1


def test_it_begins_at_a_number() -> None:
    with pytest.raises(ValueError, match="last"):
        FeedReader(last=-1)


def _data(n: int) -> list[str]:
    """A message may spread its JSON over several lines of data."""
    return [f"data: {text}" for text in json.dumps(to_structured(line(n)), indent=1).split("\n")]
