"""HTTP as a careful client has it: the same request again, under the same key, until there is an answer."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self, cast

import httpx

from cli.demo.scan import Scanner
from cli.demo.world import World
from deploy.local.errors import StackError

PATIENCE_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
_ATTEMPT_S = 15.0
_AT_ONCE = 8
_TRY_AGAIN = frozenset({429, 502, 503, 504})
GOOD = range(200, 300)
# Without certificates of authorities: loopback speaks no TLS.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# httpx looks for this package twice a request; where it is not installed each search takes 0.2 ms.
sys.modules.setdefault("sniffio", cast(ModuleType, None))
Token = Callable[[str, str, Sequence[str]], str]


def client(timeout: float | httpx.Timeout, tls: ssl.SSLContext = NO_TLS) -> httpx.AsyncClient:
    """For requests to services: on this machine, or anywhere with `tls`."""
    return httpx.AsyncClient(trust_env=False, verify=tls, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `sent_at`: the clock at which the request first went out."""

    status: int
    body: Any
    sent_at: float

    @property
    def good(self) -> bool:
        return self.status in GOOD

    @property
    def problem(self) -> str:
        """The type of a problem+json, without its prefix."""
        return str(self.body.get("type", "")).rpartition(":")[2] if isinstance(self.body, dict) else ""


class Outside:
    """The world outside the chain: tokens, and requests to its services. Refusals are searched for what is planted."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        token: Token,
        scanner: Scanner,
        world: World,
        attempt_s: float = _ATTEMPT_S,
        tls: ssl.SSLContext = NO_TLS,
    ) -> None:
        """`world`: its municipality is that of tokens that name no other; `attempt_s`: how long one answer may take."""
        self.world = world
        self.addresses = addresses
        self._token = token
        self._tokens: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._scanner = scanner
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._clients = {name: client(attempt_s, tls) for name in addresses}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        for each in self._clients.values():
            await each.aclose()

    def token(self, role: str, organisation: str, municipalities: Sequence[str] = ()) -> str:
        """A bearer token; it lasts for an hour."""
        key = (role, organisation, tuple(municipalities) or (self.world.municipality,))
        if key not in self._tokens:
            self._tokens[key] = self._token(role, organisation, key[2])
        return self._tokens[key]

    async def ask(
        self,
        method: str,
        service: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        *,
        content: bytes | None = None,
        content_type: str = "application/json",
        key: str | None = None,
        accept: Collection[int] = (),
        again: Collection[int] = (),
    ) -> Answer:
        """Ask until there is an answer: 2xx, or one to `accept`; those of `again` are tried again, like 503.

        Raises: StackError for any other answer, or where none came within a minute.
        """
        headers = {"Content-Type": content_type} if content is not None else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        sent_at, pause, last = 0.0, _FIRST_PAUSE_S, "no answer"
        while not sent_at or time.perf_counter() < sent_at + PATIENCE_S:
            try:
                async with self._room:
                    sent_at = sent_at or time.perf_counter()
                    response = await self._clients[service].request(
                        method, self.addresses[service] + path, headers=headers, json=body, content=content
                    )
            except httpx.TransportError as error:
                last = type(error).__name__
            else:
                last = f"{response.status_code} {response.text[:300]}"
                if response.status_code not in _TRY_AGAIN and response.status_code not in again:
                    return self._answer(response, sent_at, accept, f"{method} {service}{path}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        raise StackError(f"{method} {service}{path} got no answer in {PATIENCE_S:.0f} s, but {last}")

    def _answer(self, response: httpx.Response, sent_at: float, accept: Collection[int], what: str) -> Answer:
        if response.is_error:
            self._scanner.look("answers of errors", response.content)
        if response.status_code not in GOOD and response.status_code not in accept:
            raise StackError(f"{what} answered {response.status_code}: {response.text[:300]}")
        is_json = "json" in response.headers.get("content-type", "")
        return Answer(response.status_code, response.json() if is_json else response.text, sent_at)
