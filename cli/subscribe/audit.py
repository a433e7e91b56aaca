"""What a witness asks of the audit: its keys, a proof that did not come with the feed, and to take a cosignature."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import httpx
from hulpketen_contracts.trail.errors import NotConsistent

from cli.chain import Chain
from deploy.local.errors import StackError

_TIMEOUT_S = 30
_NOT_OURS = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
_TYPE = "urn:problem-type:hulpketen:"


class NoProof(Exception):
    """The audit gives none now; the text says why. Nothing is known then, neither good nor bad."""


class Audit:
    """The routes /v1/trail."""

    def __init__(self, chain: Chain, token: Callable[[], str]) -> None:
        self._url = f"{chain.addresses['audit']}/v1/trail"
        self._token = token
        self._bearer = ""

    def keys(self) -> Sequence[str]:
        """The keys that checkpoints are signed with, as vkeys. Raises StackError."""
        answer = self._ask("GET", "keys")
        found = answer.text.split("\n")[:-1] if answer.is_success else []
        if not found:
            raise StackError(f"the audit does not say with which key it signs: {_said(answer)}")
        return found

    def prove(self, old: int, size: int) -> Sequence[bytes]:
        """The proof that the tree of `size` entries goes on from that of `old`. Raises NoProof, or NotConsistent where
        the audit says that it has not signed so many: then it does not stand by what it signed."""
        try:
            answer = self._ask("GET", f"consistency-proofs?from={old}&to={size}")
            if answer.status_code in _NOT_OURS:
                raise NotConsistent(f"the audit has no proof from {old} to {size} entries ({_said(answer)})")
            if answer.is_error:
                raise NoProof(_said(answer))
            return [base64.b64decode(each, validate=True) for each in answer.json()["hashes"]]
        except NotConsistent:
            raise
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoProof(f"the audit does not answer ({type(error).__name__})") from error

    def send(self, method: str, path: str, body: dict[str, str]) -> str:
        """Send something; what was refused, as `type: detail`, and empty where it was taken."""
        try:
            answer = self._ask(method, path, body)
        except httpx.HTTPError as error:
            return f"the audit does not answer ({type(error).__name__})"
        return "" if answer.is_success else _said(answer)

    def _ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        self._bearer = self._bearer or self._token()
        for _ in range(2):
            headers = {"Authorization": f"Bearer {self._bearer}"}
            answer = httpx.request(
                method, f"{self._url}/{path}", json=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False
            )
            if answer.status_code != HTTPStatus.UNAUTHORIZED:
                break
            self._bearer = self._token()
        return answer


def _said(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem['type'].removeprefix(_TYPE)}: {problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answered {answer.status_code}"
