"""The issuer of tokens: its discovery document and its keys, fetched once, and again when a new key turns up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey, import_key

from services.chassis.logs import get_logger
from services.chassis.settings import AuthSettings

DISCOVERY = "/.well-known/openid-configuration"
_TIMEOUT_S = 5.0
_MAX_KEYS = 100
# Keys that the issuer withdraws are forgotten within this time.
_STALE_S = 600.0
log = get_logger(__name__)


class IssuerUnavailable(Exception):
    """The issuer does not answer, and what is needed of it is not known yet. Try again later."""


class Issuer:
    """What a service knows of its issuer. An issuer that is away for a while changes nothing about known keys."""

    def __init__(
        self,
        settings: AuthSettings,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.settings = settings
        self.transport = transport
        self._clock = clock
        self._metadata: dict[str, Any] | None = None
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def metadata(self) -> dict[str, Any]:
        """The discovery document. Raises IssuerUnavailable, also where it names another issuer."""
        if self._metadata is None:
            found = await self._get(self.settings.discovery_url or self.settings.issuer.rstrip("/") + DISCOVERY)
            if found.get("issuer") != self.settings.issuer:
                log.error("issuer_names_itself_otherwise")
                raise IssuerUnavailable
            self._metadata = found
        return self._metadata

    async def key(self, kid: str) -> Key | None:
        """The issuer's public key of that id (RSA or EC), None if it has none. Raises IssuerUnavailable."""
        if self._wanting(kid):
            async with self._lock:
                if self._wanting(kid):
                    await self._fetch_keys()
        if not self._keys:
            raise IssuerUnavailable
        return self._keys.get(kid)

    def _wanting(self, kid: str) -> bool:
        age = self._clock() - self._fetched_at
        return age >= (_STALE_S if kid in self._keys else self.settings.refetch_s)

    async def _fetch_keys(self) -> None:
        # Set before the fetch, so that requests with a known key do not wait for it.
        self._fetched_at = self._clock()
        try:
            url = self.settings.jwks_url or str((await self.metadata())["jwks_uri"])
            found = await self._get(url)
        except (IssuerUnavailable, KeyError) as error:
            log.warning("issuer_unavailable", error=error)
            if not self._keys:
                self._fetched_at = float("-inf")
            return
        if keys := _public_keys(found):
            self._keys = keys

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(transport=self.transport, timeout=_TIMEOUT_S, trust_env=False) as client:
                response = await client.get(url)
                response.raise_for_status()
                found = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise IssuerUnavailable from error
        if not isinstance(found, dict):
            raise IssuerUnavailable
        return found


def _public_keys(document: dict[str, Any]) -> dict[str, Key]:
    """The signature keys of a JWK set by id; what is symmetric, unreadable or for encryption is left out."""
    keys: dict[str, Key] = {}
    listed = document.get("keys")
    for each in listed[:_MAX_KEYS] if isinstance(listed, list) else []:
        try:
            if each["kty"] in ("RSA", "EC") and each.get("use", "sig") == "sig":
                key = import_key(each)
                if isinstance(key, RSAKey | ECKey):
                    keys[str(each["kid"])] = key
        except (JoseError, KeyError, TypeError, ValueError, AttributeError):
            log.warning("issuer_key_unreadable")
    return keys
