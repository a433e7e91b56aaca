"""A partner's feed over server-sent events, from any number on, however often the connection breaks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

import httpx
from hulpketen_contracts import Decoded, DecodeError
from hulpketen_contracts.reader import FeedReader, Gap

from cli.chain import Chain
from deploy.local.errors import StackError

_AGAIN_S = 1.0
_TIMEOUT = httpx.Timeout(10, read=60)  # heartbeats come every 15 s
Token = Callable[[], str]


class Feed:
    """The lines of one organisation, in order and each once. `last`: the number of the last that is dealt with; None
    for all that is kept."""

    def __init__(self, chain: Chain, token: Token, last: int | None) -> None:
        self._url = f"{chain.addresses['notifications']}/v1/events"
        self._token = token
        self._bearer = token()
        self._reader = FeedReader(last or 0)
        self._anew = last is None

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self._reader.last

    def follow(self) -> Iterator[Decoded | None]:
        """Events as they come; None where nothing came for a while. Raises StackError where there is no way on."""
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as http:
            while True:
                try:
                    yield from self._connection(http)
                except (httpx.TransportError, Gap):
                    time.sleep(_AGAIN_S)

    def _connection(self, http: httpx.Client) -> Iterator[Decoded | None]:
        headers = self._reader.connection_headers() | {"Authorization": f"Bearer {self._bearer}"}
        anew = self._anew
        if anew:
            del headers["Last-Event-ID"]
        with http.stream("GET", self._url, headers=headers, params={"after": 0} if anew else {}) as stream:
            if self._mended(stream):
                return
            for line in stream.iter_lines():
                if anew and line.startswith("id:"):  # the stream begins with where it begins
                    self._reader.last, anew, self._anew = int(line[3:]), False, False
                if line.startswith(":"):
                    yield None
                elif event := self._read(line):
                    yield event

    def _read(self, line: str) -> Decoded | None:
        try:
            return self._reader.sse_line(line)
        except DecodeError as error:
            say(f"line {self.last} cannot be read by this version: {error.reason}")
            return None

    def _mended(self, stream: httpx.Response) -> bool:
        """Whether the answer is none, and the next try may get one. Raises StackError."""
        status = stream.status_code
        if status == HTTPStatus.OK:
            return False
        stream.read()
        if status == HTTPStatus.UNAUTHORIZED:
            self._bearer = self._token()
        elif status in (HTTPStatus.GONE, HTTPStatus.BAD_REQUEST) and not self._anew:
            say(f"what came after line {self.last} is not to be had any more: goes on with all that is kept")
            self._anew = True
            return True
        elif not stream.is_server_error:
            raise StackError(f"the feed answered {status}: {stream.text[:300]}")
        time.sleep(_AGAIN_S)
        return True


def say(text: str) -> None:
    """A word to who looks on, beside the lines."""
    print(text, file=sys.stderr, flush=True)
