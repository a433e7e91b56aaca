"""The signed trail over HTTP, as a third party reads it: of the chain on a data folder, or of one anywhere."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from hulpketen_contracts.trail.errors import NotConsistent, TileTruncated
from hulpketen_contracts.trail.part import Extent, Keys

from cli.chain import Chain, content
from deploy.local.errors import StackError

TOKEN, TOKEN_FILE = "TOKEN", "TOKEN_FILE"
_TIMEOUT_S = 60
_TYPE = "urn:problem-type:hulpketen:"


class NoProof(Exception):
    """The audit gives none now; the text says why. Nothing is known then, neither good nor bad."""


class Remote:
    """Asks with the token of an auditor, or of a partner where that may ask.

    Unless it says otherwise a method raises StackError with what the service says, and httpx' own.
    """

    def __init__(self, url: str, token: Callable[[], str], *, elsewhere: bool = False) -> None:
        """`url`: of the audit, without /v1. `token` is asked again when the last one has expired. `elsewhere`: a proxy
        and certificates are those of the environment (HTTPS_PROXY, SSL_CERT_FILE)."""
        self._url = f"{url.rstrip('/')}/v1/trail"
        self._token = token
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=elsewhere)
        self._http.headers["Authorization"] = f"Bearer {token()}"

    def checkpoint(self) -> str:
        """The newest signed checkpoint, with the cosignatures that are known."""
        return self._good("checkpoint").text

    def keys(self) -> Keys:
        """The keys that the service itself names: of the trail, and of its witnesses."""
        witnesses = "".join([f"{each['vkey']}\n" for each in content(self._good("witnesses"))["items"]])
        return Keys.parse(self.trail_keys() + witnesses)

    def trail_keys(self) -> str:
        """The keys that checkpoints are signed with, a line each."""
        found = self._good("keys").text
        if not found.strip():
            raise StackError("the audit does not say with which key it signs")
        return found

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of `size` entries goes on from that of `old`.

        Raises NotConsistent where the audit says that it has not signed so many: then it does not stand by what it
        signed. NoProof where it gives none for another reason.
        """
        try:
            answer = self._ask("consistency-proofs", {"from": old, "to": size})
            said = _refused(answer)
            hashes = [] if said else [base64.b64decode(each, validate=True) for each in answer.json()["hashes"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoProof(f"the audit does not answer ({type(error).__name__})") from error
        if said.startswith("not-signed:"):
            raise NotConsistent(f"the audit has no proof from {old} to {size} entries ({said})")
        if said:
            raise NoProof(said)
        return hashes

    def send(self, method: str, path: str, body: dict[str, str]) -> str:
        """Send something; what was refused, as `type: detail`, and empty where it was taken."""
        try:
            return _refused(self._ask(path, method=method, body=body))
        except httpx.HTTPError as error:
            return f"the audit does not answer ({type(error).__name__})"

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

    def _good(self, path: str, asked: Mapping[str, str] | None = None) -> httpx.Response:
        return _good(self._ask(path, asked))

    def _ask(
        self, path: str, asked: Mapping[str, str | int] | None = None, *, method: str = "GET", body: Any = None
    ) -> httpx.Response:
        answer = self._http.request(method, f"{self._url}/{path}", params=asked, json=body)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
            answer = self._http.request(method, f"{self._url}/{path}", params=asked, json=body)
        return answer


@contextmanager
def remote(url: str | None, data: Path) -> Iterator[Remote]:
    """The audit at this address, with the token of the environment; else that of the chain on the data folder."""
    if url is None:
        with Chain(data) as chain:
            yield from _closing(Remote(chain.addresses["audit"], lambda: chain.token("auditor")))
        return
    yield from _closing(Remote(url, _token_of_environment, elsewhere=True))


def _token_of_environment() -> str:
    """That in TOKEN_FILE, which somebody may keep fresh while the trail is read, or else that in TOKEN."""
    file = os.environ.get(TOKEN_FILE)
    try:
        token = Path(file).read_text(encoding="utf-8").strip() if file else os.environ.get(TOKEN)
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{file} ({TOKEN_FILE}) cannot be read ({type(error).__name__})") from error
    if not token:
        raise StackError(f"no token: set {TOKEN} to one of the role auditor, or {TOKEN_FILE} to a file with it")
    return token


def _closing(found: Remote) -> Iterator[Remote]:
    try:
        yield found
    finally:
        found.close()


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        content(answer)
    return answer


def _refused(answer: httpx.Response) -> str:
    """What a problem+json says, as `type: detail`; empty where the answer is good."""
    if answer.is_success:
        return ""
    try:
        problem = answer.json()
        return f"{problem['type'].removeprefix(_TYPE)}: {problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answered {answer.status_code}"
