"""A KMS: an outside system that wraps the few keys which protect all others, under a key that never leaves it.

HashiCorp Vault and OpenBao (secrets engine Transit), and Azure Key Vault, by their REST interfaces.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import ssl
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Protocol

import httpx

from services.chassis.keys import SealBroken
from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.settings import KeysSettings

log = get_logger(__name__)
_AZURE_API = "7.4"
_AZURE_ALGORITHM = "RSA-OAEP-256"
_AZURE_VERSION = re.compile(r"[0-9a-f]{32}")
_AZURE_RESOURCE = "https://vault.azure.net"
_IDENTITY_API = "2018-02-01"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DIGEST_BYTES = 32
# A token is taken for expired this many seconds early, so that none expires on its way.
_MARGIN_S = 120
_BUSY = frozenset({408, 429})
_HINTS = {
    400: "the request is not what it takes: look at the type and name of the key",
    401: "the token is not valid",
    403: "the token may not use this key, or the network is not let in",
    404: "there is no such key, mount or namespace",
}


class KmsUnavailable(StoreUnavailable):
    """The KMS does not answer; nothing was half-written. Try again after `retry_after` seconds."""

    retry_after = 5


class KmsRefused(KmsUnavailable):
    """The KMS answers, and will not. Somebody has to change something there, or in the settings."""


class Bound(NamedTuple):
    """A key (or a wrapped one), and what it is for: under another context it does not open."""

    content: bytes
    context: str


class Kms(Protocol):
    """Who wraps keys. Every method raises KmsUnavailable, KmsRefused."""

    async def wrap(self, keys: Sequence[Bound]) -> list[bytes]:
        """Wrap 32-byte keys; what comes out may be stored beside what they protect."""

    async def unwrap(self, wrapped: Sequence[Bound]) -> list[bytes]:
        """Open them again. Raises SealBroken."""

    async def close(self) -> None:
        """Close the connections."""


class _Rest:
    """Requests to one KMS, and what its refusals mean: one line in the log, and no answer of it in there."""

    def __init__(self, name: str, settings: KeysSettings, transport: httpx.AsyncBaseTransport | None) -> None:
        self._name = name
        verify = ssl.create_default_context(cafile=settings.kms_ca_file) if settings.kms_ca_file else True
        self._client = httpx.AsyncClient(
            timeout=settings.kms_timeout_s, verify=verify, trust_env=False, transport=transport
        )

    async def send(self, what: str, method: str, url: str, *, also: Collection[int] = (), **parts: Any) -> Any:
        """The JSON of the answer; that of an answer with a status in `also` too. `what` is for the log."""
        try:
            answer = await self._client.request(method, url, **parts)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("kms_away", kms=self._name, operation=what, error=error)
            raise KmsUnavailable(self._name) from error
        status = answer.status_code
        if status >= 500 or status in _BUSY:
            log.warning("kms_away", kms=self._name, operation=what, status=status)
            raise KmsUnavailable(f"{self._name}: {status}")
        if not answer.is_success and status not in also:
            raise self.refused(what, _HINTS.get(status, "see the log of the KMS"), status)
        try:
            return answer.json()
        except ValueError as error:
            raise self.refused(what, "the answer is no JSON: is the address right?", status) from error

    def refused(self, what: str, hint: str, status: int | None = None) -> KmsRefused:
        """Say it in the log, in one line; the exception to raise."""
        log.error("kms_refused", kms=self._name, operation=what, status=status, hint=hint)
        return KmsRefused(f"{self._name}: {what}: {hint}")

    def read(self, path: Path) -> str:
        """A token in a file that another program keeps fresh."""
        try:
            return path.read_text().strip()
        except (OSError, ValueError) as error:
            raise self.refused("token", "the token's file cannot be read") from error

    async def close(self) -> None:
        await self._client.aclose()


class VaultKms:
    """Vault or OpenBao: the secrets engine Transit, with a key of a type that takes associated data (aes256-gcm96).

    https://developer.hashicorp.com/vault/api-docs/secret/transit
    """

    def __init__(self, settings: KeysSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._rest = _Rest("vault", settings, transport)
        self._url = f"{_base(settings.vault_url)}/v1/{settings.vault_mount}"
        self._key = settings.vault_key
        self._token_file = settings.vault_token_file or Path()
        self._namespace = settings.vault_namespace

    async def wrap(self, keys: Sequence[Bound]) -> list[bytes]:
        results = await self._batch("encrypt", [("plaintext", _text(key.content), key.context) for key in keys])
        return [str(result.get("ciphertext", "")).encode() for result in results]

    async def unwrap(self, wrapped: Sequence[Bound]) -> list[bytes]:
        items = [("ciphertext", each.content.decode(errors="replace"), each.context) for each in wrapped]
        return [_bytes(result.get("plaintext")) for result in await self._batch("decrypt", items)]

    async def close(self) -> None:
        await self._rest.close()

    async def _batch(self, what: str, items: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
        headers = {"X-Vault-Token": self._rest.read(self._token_file), "X-Vault-Request": "true"}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        batch = [{kind: value, "associated_data": _text(context.encode())} for kind, value, context in items]
        url = f"{self._url}/{what}/{self._key}"
        answer = await self._rest.send(what, "POST", url, also={400}, headers=headers, json={"batch_input": batch})
        data = answer.get("data") if isinstance(answer, dict) else None
        results = data.get("batch_results") if isinstance(data, dict) else None
        if not isinstance(results, list) or len(results) != len(items):
            raise self._rest.refused(what, _HINTS[400], 400)
        if any(result.get("error") for result in results):
            if what == "decrypt":
                raise SealBroken
            raise self._rest.refused(what, _HINTS[400], 400)
        return results


class AzureKms:
    """Azure Key Vault: wrapkey and unwrapkey with an RSA key (RSA-OAEP-256), as a managed or workload identity.

    Key Vault binds nothing to what it wraps: a digest of the context is wrapped in front of the key.
    https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key
    """

    def __init__(
        self,
        settings: KeysSettings,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._rest = _Rest("azure", settings, transport)
        self._url = f"{_base(settings.azure_url)}/keys/{settings.azure_key}"
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._until = 0.0

    async def wrap(self, keys: Sequence[Bound]) -> list[bytes]:
        if not keys:
            return []
        current = await self._call("key", "GET", self._url)
        version = str(_member(current, "key", "kid")).rpartition("/")[2]
        if not _AZURE_VERSION.fullmatch(version):
            raise self._rest.refused("key", "the answer names no version of the key")
        plain = [hashlib.sha256(key.context.encode()).digest() + key.content for key in keys]
        values = await asyncio.gather(*(self._use("wrapkey", version, _url_text(each)) for each in plain))
        return [f"{version}.{value}".encode() for value in values]

    async def unwrap(self, wrapped: Sequence[Bound]) -> list[bytes]:
        return list(await asyncio.gather(*(self._unwrap(each) for each in wrapped)))

    async def close(self) -> None:
        await self._rest.close()

    async def _unwrap(self, wrapped: Bound) -> bytes:
        version, _, value = wrapped.content.decode(errors="replace").partition(".")
        # It comes from the database, and goes into the address that the token is sent to.
        if not _AZURE_VERSION.fullmatch(version):
            raise SealBroken
        plain = _url_bytes(await self._use("unwrapkey", version, value))
        digest = hashlib.sha256(wrapped.context.encode()).digest()
        if not hmac.compare_digest(plain[:_DIGEST_BYTES], digest):
            raise SealBroken
        return plain[_DIGEST_BYTES:]

    async def _use(self, what: str, version: str, value: str) -> str:
        body = {"alg": _AZURE_ALGORITHM, "value": value}
        also = {400} if what == "unwrapkey" else set()
        answer = await self._call(what, "POST", f"{self._url}/{version}/{what}", also=also, json=body)
        found = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(found, str):
            raise SealBroken
        return found

    async def _call(self, what: str, method: str, url: str, **parts: Any) -> Any:
        headers = {"Authorization": f"Bearer {await self._bearer()}"}
        try:
            return await self._rest.send(
                what, method, url, params={"api-version": _AZURE_API}, headers=headers, **parts
            )
        except KmsRefused:
            self._until = 0.0  # the next try has a token of its own: rights may have been given since
            raise

    async def _bearer(self) -> str:
        if self._clock() >= self._until:
            workload = self._settings.azure_identity == "workload"
            answer = await (self._workload_token() if workload else self._managed_token())
            self._token = str(_member(answer, "access_token") or "")
            seconds = _member(answer, "expires_in")  # a number, or a text of one
            if not self._token or not str(seconds).isdigit():
                raise self._rest.refused("token", "the answer holds no token")
            self._until = self._clock() + int(seconds) - _MARGIN_S
        return self._token

    async def _managed_token(self) -> Any:
        query = {"api-version": _IDENTITY_API, "resource": _AZURE_RESOURCE}
        if self._settings.azure_client_id:
            query["client_id"] = self._settings.azure_client_id
        url = f"{_base(self._settings.azure_identity_url)}/metadata/identity/oauth2/token"
        return await self._rest.send("token", "GET", url, params=query, headers={"Metadata": "true"})

    async def _workload_token(self) -> Any:
        settings = self._settings
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.azure_client_id,
            "scope": f"{_AZURE_RESOURCE}/.default",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._rest.read(settings.azure_token_file or Path()),
        }
        url = f"{_base(settings.azure_login_url)}/{settings.azure_tenant_id}/oauth2/v2.0/token"
        return await self._rest.send("token", "POST", url, data=form)


def _base(url: object) -> str:
    return str(url).rstrip("/")


def _member(answer: Any, *path: str) -> Any:
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise SealBroken from error


def _url_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _url_bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise SealBroken from error
