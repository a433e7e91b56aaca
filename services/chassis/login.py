"""Signing in at the issuer: OpenID Connect, the authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import httpx
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]

from services.chassis.auth import InvalidToken, Principal, TokenVerifier
from services.chassis.issuer import IssuerUnavailable
from services.chassis.keys import SealBroken, Sealer
from services.chassis.logs import get_logger
from services.chassis.problems import Problem

LOGIN_S = 600
_TIMEOUT_S = 10
_SEALED_AS = b"login"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """How the issuer knows this service; `public_url` is where a browser reaches it, without a slash at the end."""

    id: str
    secret: str
    public_url: str

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.public_url.startswith("https://")


class SignedIn(NamedTuple):
    """What a finished login gives."""

    principal: Principal
    access_token: str
    next_path: str


class Login:
    """The flow. Between its two halves, what the answer must match travels sealed in a cookie of ten minutes."""

    def __init__(
        self, client: Client, verifier: TokenVerifier, sealer: Sealer, clock: Callable[[], float] = time
    ) -> None:
        self._client, self._verifier, self._sealer, self._clock = client, verifier, sealer, clock

    async def begin(self, next_path: str) -> tuple[str, str]:
        """Where to send the browser, and the cookie to send along. Raises Problem 503 without the issuer."""
        metadata = await self._metadata()
        oauth = OAuth2Client(
            None,
            self._client.id,
            scope="openid",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
        )
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        url, state = oauth.create_authorization_url(
            metadata["authorization_endpoint"], secrets.token_urlsafe(24), verifier, nonce=nonce
        )
        expected = {"state": state, "nonce": nonce, "verifier": verifier, "next": next_path}
        content = json.dumps(expected | {"until": self._clock() + LOGIN_S}).encode()
        return url, base64.urlsafe_b64encode(self._sealer.seal(content, _SEALED_AS)).decode()

    async def finish(self, cookie: str, code: str, state: str) -> SignedIn:
        """Check the issuer's answer, exchange the code and verify both tokens. Raises Problem 400, 503."""
        expected = self._expected(cookie)
        if not code or not hmac.compare_digest(state.encode(), expected["state"].encode()):
            raise _refused()
        tokens = await self._exchange(code, expected["verifier"])
        access_token, id_token = str(tokens.get("access_token", "")), str(tokens.get("id_token", ""))
        try:
            claims = await self._verifier.claims(id_token, self._client.id)
            principal = await self._verifier.verify(access_token)
        except InvalidToken as error:
            log.warning("login_refused", error=error)
            raise _refused() from error
        except IssuerUnavailable as error:
            raise _away() from error
        party = claims.get("azp", self._client.id)
        if (
            claims.get("nonce") != expected["nonce"]
            or claims.get("sub") != principal.subject
            or party != self._client.id
        ):
            raise _refused()
        return SignedIn(principal, access_token, expected["next"])

    @property
    def _redirect_uri(self) -> str:
        return f"{self._client.public_url}/callback"

    def _expected(self, cookie: str) -> dict[str, Any]:
        try:
            opened = self._sealer.open(base64.urlsafe_b64decode(cookie), _SEALED_AS)
        except (SealBroken, ValueError) as error:
            raise _refused() from error
        expected: dict[str, Any] = json.loads(opened)
        if self._clock() >= expected["until"]:
            raise _refused()
        return expected

    async def _exchange(self, code: str, verifier: str) -> dict[str, Any]:
        metadata = await self._metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        # RFC 6749, 2.3.1: both parts are form-encoded before they become Basic credentials.
        auth = httpx.BasicAuth(quote_plus(self._client.id), quote_plus(self._client.secret))
        transport = self._verifier.issuer.transport
        try:
            async with httpx.AsyncClient(transport=transport, timeout=_TIMEOUT_S, trust_env=False) as http:
                response = await http.post(metadata["token_endpoint"], data=form, auth=auth)
                if response.status_code >= 500:
                    raise _away()
                answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _away() from error
        if response.status_code != 200 or not isinstance(answer, dict):
            raise _refused()
        return answer

    async def _metadata(self) -> dict[str, Any]:
        try:
            return await self._verifier.issuer.metadata()
        except IssuerUnavailable as error:
            raise _away() from error


def _refused() -> Problem:
    return Problem(400, "Signing in did not succeed. Begin again at /login.", type="login")


def _away() -> Problem:
    return Problem(503, "The issuer of tokens does not answer.", headers={"Retry-After": "5"})
