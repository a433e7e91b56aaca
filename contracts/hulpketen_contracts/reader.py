"""A small reader for partners: takes a feed over SSE or Kafka, drops what it has seen, and says when there is a gap.

A feed is numbered 1, 2, 3 … without gaps (after a restore from a backup it goes on at a much higher number, which
shows as a gap that stays: begin anew), the same over every way out, so that one reader may change from one to
another. Start: `FeedReader()` for the whole feed, or ask the state first (`GET /v1/referrals`), take it over, and go
on from its number: `FeedReader(last=asOf)`. Keep `last` with what you took, in one write, and start from it again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from hulpketen_contracts.codec import Decoded, Headers, decode, from_structured
from hulpketen_contracts.errors import DecodeError

_number = re.compile(r"[1-9][0-9]{0,14}", re.ASCII).fullmatch


class Gap(Exception):
    """Numbers are missing: `expected` is the first of them, `got` what came instead.

    The reader stays where it is. Connect again from `last`; where that is too old (410), take the state from
    `GET /v1/referrals` and begin a new reader at its `asOf`.
    """

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"number {expected} is missing, {got} came")
        self.expected = expected
        self.got = got


class FeedReader:
    """Reads one organisation's feed. `last`: the number of the last line that is dealt with; 0 before the first.

    Each method gives the event; None for one that was seen before or is of a type that this version of the contracts
    does not have, or where nothing is complete yet. It raises Gap, and DecodeError for a line that cannot be read. Such
    a line counts as dealt with, so that it holds nothing up; a line without a readable number changes nothing.
    """

    def __init__(self, last: int = 0) -> None:
        if last < 0:
            raise ValueError("last is 0 or the number of a line")
        self.last = last
        self._id: str | None = None
        self._data: list[str] = []

    def connection_headers(self) -> dict[str, str]:
        """The HTTP headers for a new SSE connection; a line of which half had come on the old one is forgotten."""
        self._id, self._data = None, []
        return {"Accept": "text/event-stream", "Last-Event-ID": str(self.last)}

    def sse_line(self, line: str) -> Decoded | None:
        """Take one line of an SSE stream, without its end. Comments, which are the stream's heartbeat, give None."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "data":
            self._data.append(value)
        elif not line:
            number, data = self._id, "\n".join(self._data)
            self._id, self._data = None, []
            return self.sse(number, data) if data else None
        return None

    def sse(self, number: str | int | None, data: str | bytes) -> Decoded | None:
        """Take one message of an SSE stream: its `id` and its `data`, a CloudEvent in JSON."""
        return self._take(_n(number), lambda: _structured(data))

    def kafka(self, headers: Headers, value: bytes | None) -> Decoded | None:
        """Take one record of the topic `partners.<organisation>`."""
        number = next((text for name, text in headers if name == "ce_sequence"), None)
        return self._take(_n(number), lambda: decode(headers, value))

    def _take(self, n: int, read: Callable[[], Decoded]) -> Decoded | None:
        if n <= self.last:
            return None
        if n != self.last + 1:
            raise Gap(self.last + 1, n)
        self.last = n
        try:
            event = read()
        except DecodeError as error:
            if error.reason == "unknown-type":
                return None  # who does not know of it cannot be waiting for it
            raise
        if event.envelope.sequence not in (n, None):
            raise DecodeError("bad-headers", "the line's number is not the event's")
        return event


def _n(number: str | int | bytes | None) -> int:
    text = number.decode("ascii", "replace") if isinstance(number, bytes) else str(number)
    if not _number(text):
        raise DecodeError("bad-headers", "there is no number in the feed")
    return int(text)


def _structured(data: str | bytes) -> Decoded:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise DecodeError("not-an-event", "not JSON") from None
    return from_structured(event)
