"""The signed trail over HTTP, as a third party reads it: of the chain on a data folder, or of one anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

import httpx
from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.part import Extent, Keys

from cli.chain import Chain, content
from deploy.local.errors import StackError

TOKEN = "TOKEN"  # noqa: S105
_TIMEOUT_S = 60


class Remote:
    """Asks with the token of an auditor. Every method raises StackError with what the service says, and httpx' own."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        """`url`: of the audit, without /v1. `token` is asked again when the last one has expired."""
        self._url = f"{url.rstrip('/')}/v1/trail"
        self._token = token
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        self._http.headers["Authorization"] = f"Bearer {token()}"

    def checkpoint(self) -> str:
        """The newest signed checkpoint, with the cosignatures that are known."""
        return self._good("checkpoint").text

    def keys(self) -> Keys:
        """The keys that the service itself names: of the trail, and of its witnesses."""
        witnesses = "".join([f"{each['vkey']}\n" for each in content(self._good("witnesses"))["items"]])
        return Keys.parse(self._good("keys").text + witnesses)

    def read(self, path: str) -> bytes:
        """A tile, or a bundle of entries. Raises TileTruncated where the trail has none."""
        answer = self._ask(path)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise TileTruncated(f"the trail has no {path}")
        return _good(answer).content

    def proof(self, event_id: str) -> str:
        """The proof that this event is in the trail, as a tlog-proof."""
        return self._good(f"proofs/{event_id}").text

    def period(self, since: datetime | None, until: datetime | None) -> Extent:
        """The numbers between which all entries of a period stand; `until` itself is not of it."""
        asked = {name: each.isoformat() for name, each in (("from", since), ("to", until)) if each}
        found = content(self._good("period", asked))
        return Extent(found["first"], found["end"], asked.get("from"), asked.get("to"))

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _good(self, path: str, asked: dict[str, str] | None = None) -> httpx.Response:
        return _good(self._ask(path, asked))

    def _ask(self, path: str, asked: dict[str, str] | None = None) -> httpx.Response:
        answer = self._http.get(f"{self._url}/{path}", params=asked)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
            answer = self._http.get(f"{self._url}/{path}", params=asked)
        return answer


@contextmanager
def remote(url: str | None, data: Path) -> Iterator[Remote]:
    """The audit at this address, with the token of the environment; else that of the chain on the data folder."""
    if url is None:
        with Chain(data) as chain:
            yield from _closing(Remote(chain.addresses["audit"], lambda: chain.token("auditor")))
        return
    token = os.environ.get(TOKEN)
    if not token:
        raise StackError(f"no token for {url}: set {TOKEN} to one of the role auditor")
    yield from _closing(Remote(url, lambda: token))


def _closing(found: Remote) -> Iterator[Remote]:
    try:
        yield found
    finally:
        found.close()


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        content(answer)
    return answer
