"""The sample issuer: OpenID Connect for made-up employees on this machine, and for nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.access import BOARD_CLIENT, CLI_CLIENT, Login, login_for
from deploy.local.errors import StackError
from deploy.local.folder import DataFolder, write_private
from deploy.local.ports import HOST, SERVICES

TOKEN_S = 3600
_CODE_S = 60
_MAX_CODES = 1000
_ALGORITHM = "ES256"


class OAuthError(Exception):
    """A refusal in the words of OAuth 2 (RFC 6749); `code` is one of its error codes."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a page asks for before somebody signs in; its client and redirect URI have been checked."""

    redirect_uri: str
    state: str
    nonce: str
    challenge: str


@dataclass(frozen=True, slots=True)
class _Code:
    request: AuthorizationRequest
    login: Login
    until: float


class Issuer:
    """Signs tokens for who holds a secret of the data folder, or presses a button of the sample logins."""

    def __init__(
        self,
        folder: DataFolder,
        url: str,
        pages: Sequence[str],
        clock: Callable[[], float] = time.time,
        inside: str | None = None,
    ) -> None:
        """`pages`: the addresses whose pages sign people in. `inside`: where services reach it, if not at `url`.

        Raises: StackError where `url` is not of this machine.

        Its logins have no password.
        """
        if not folder.held or urlsplit(url).hostname not in (HOST, "localhost"):
            raise StackError("the sample issuer has no passwords: it serves this machine only, at localhost")
        self.url = url
        self._inside = inside or url
        self.pages = pages
        self._secrets = {client: folder.secret(client) for client in (BOARD_CLIENT, CLI_CLIENT)}
        self._clock = clock
        self._key = _signing_key(folder)
        self._codes: dict[str, _Code] = {}

    def discovery(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 1.0)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self._inside}/token",
            "jwks_uri": f"{self._inside}/jwks",
            "end_session_endpoint": f"{self.url}/logout",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["public"],
            "scopes_supported": ["openid"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def keys(self) -> dict[str, Any]:
        """The public keys, as a JWK set."""
        return {"keys": [self._key.as_dict(private=False)]}

    def check_redirect(self, query: Mapping[str, str]) -> None:
        """Raises: OAuthError that must not be sent to the redirect URI, since that may be anybody's."""
        if query.get("client_id") != BOARD_CLIENT:
            raise OAuthError("invalid_request", "this client is not registered")
        if query.get("redirect_uri") not in [f"{page}/callback" for page in self.pages]:
            raise OAuthError("invalid_request", "this redirect URI is not registered for the client")

    def authorization_request(self, query: Mapping[str, str]) -> AuthorizationRequest:
        """Raises: OAuthError, also where PKCE (RFC 7636, S256) is missing."""
        self.check_redirect(query)
        if query.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "only response_type=code is supported")
        challenge = query.get("code_challenge", "")
        if query.get("code_challenge_method") != "S256" or len(challenge) != 43:
            raise OAuthError("invalid_request", "PKCE is required: a code_challenge with the method S256")
        return AuthorizationRequest(query["redirect_uri"], query.get("state", ""), query.get("nonce", ""), challenge)

    def code(self, request: AuthorizationRequest, login: Login) -> str:
        """A code for one use within a minute."""
        now = self._clock()
        self._codes = {code: held for code, held in self._codes.items() if held.until > now}
        if len(self._codes) >= _MAX_CODES:
            raise OAuthError("temporarily_unavailable", "too many logins are under way", 503)
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(request, login, now + _CODE_S)
        return code

    def redeem(self, client: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The tokens for a code. Raises: OAuthError."""
        held = self._codes.pop(form.get("code", ""), None)
        if client != BOARD_CLIENT or held is None or held.until <= self._clock():
            raise OAuthError("invalid_grant", "the code is unknown, used or too old")
        if form.get("redirect_uri") != held.request.redirect_uri:
            raise OAuthError("invalid_grant", "the redirect URI is not the one of the code")
        if not hmac.compare_digest(_challenge(form.get("code_verifier", "")), held.request.challenge):
            raise OAuthError("invalid_grant", "the code verifier does not fit the code challenge")
        identity = {"aud": client} | ({"nonce": held.request.nonce} if held.request.nonce else {})
        return self._answer(held.login) | {"id_token": self._sign(held.login, identity)}

    def client_credentials(self, client: str, form: Mapping[str, str]) -> dict[str, Any]:
        """A machine's token, for `hulpketen token`; the form has role, organisation and municipalities."""
        if client != CLI_CLIENT:
            raise OAuthError("unauthorized_client", "this client signs people in")
        try:
            login = login_for(
                form.get("role", ""), form.get("organisation") or None, form.get("municipalities", "").split() or None
            )
        except StackError as error:
            raise OAuthError("invalid_request", str(error)) from error
        return self._answer(login)

    def machine_token(
        self, role: str, organisation: str | None = None, municipalities: Sequence[str] | None = None
    ) -> str:
        """An access token for a role. Raises: StackError where there is no such role."""
        return str(self._answer(login_for(role, organisation, municipalities))["access_token"])

    def authenticate(self, client: str, secret: str) -> str:
        """The client's id. Raises: OAuthError where it is unknown or the secret is not its own."""
        expected = self._secrets.get(client, "")
        if not expected or not hmac.compare_digest(expected.encode(), secret.encode()):
            raise OAuthError("invalid_client", "the client or its secret is not right", 401)
        return client

    def _answer(self, login: Login) -> dict[str, Any]:
        token = self._sign(login, {"aud": list(SERVICES), "scope": login.scope})
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S, "scope": login.scope}

    def _sign(self, login: Login, claims: dict[str, Any]) -> str:
        now = int(self._clock())
        who = {"sub": login.subject, "organisation": login.organisation, "municipalities": list(login.municipalities)}
        times = {"iat": now, "exp": now + TOKEN_S}
        header = {"alg": _ALGORITHM, "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, {"iss": self.url, **who, **times, **claims}, self._key, algorithms=[_ALGORITHM])


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _signing_key(folder: DataFolder) -> ECKey:
    """The key of this data folder, made at its first start: what was signed before a restart stays valid."""
    path = folder.keys / "issuer.json"
    if not path.exists():
        made = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": _ALGORITHM})
        write_private(path, json.dumps(made.as_dict(private=True)))
    return ECKey.import_key(json.loads(path.read_text(encoding="utf-8")))
