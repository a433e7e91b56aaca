"""An issuer for tests: real keys, a real JWK set, served in memory; it signs what it is asked to sign."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

ISSUER = "http://issuer.test"
NOW = 1_800_000_000
AUDIENCE = "matching"
CLIENT = "notifications-pages"
SECRET = "s3cret & so on"


def good_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a token that is accepted; a change of None leaves a claim out."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": ["intake", AUDIENCE],
        "exp": NOW + 300,
        "iat": NOW,
        "sub": "employee-1",
        "organisation": "gemeente-assen",
        "municipalities": ["0106"],
        "scope": "cases:read referrals:write",
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


class TestIssuer:
    """Answers discovery, keys and the token endpoint; counts the requests for its keys."""

    __test__ = False

    def __init__(self) -> None:
        self.rsa = RSAKey.generate_key(2048, parameters={"kid": "rsa-1", "use": "sig"})
        self.ec = ECKey.generate_key("P-256", parameters={"kid": "ec-1", "use": "sig"})
        self.published: list[Any] = [self.rsa, self.ec]
        self.name = ISSUER
        self.away = False
        self.key_requests = 0
        self.codes: dict[str, dict[str, str]] = {}
        self.token_answer: dict[str, Any] = {}
        self.transport = httpx.MockTransport(self.handle)

    def token(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        """Sign claims, with the RSA key if no other is given."""
        key = key or self.rsa
        alg = "ES256" if isinstance(key, ECKey) else "RS256"
        return jwt.encode({"alg": alg, "kid": key.kid} | header, claims, key, algorithms=["RS256", "ES256"])

    def handle(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        if self.away:
            raise httpx.ConnectError("away", request=request)
        if request.url.path == "/.well-known/openid-configuration":
            endpoints = {
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
            }
            return httpx.Response(200, json={"issuer": self.name} | endpoints)
        if request.url.path == "/keys":
            self.key_requests += 1
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
        return self._exchange(request)

    def authorize(self, url: str) -> dict[str, str]:
        """What a browser brings back after signing in at `url`; remembers what the code was given for."""
        asked = dict(parse_qsl(urlsplit(url).query))
        self.codes["code-1"] = asked
        return {"code": "code-1", "state": asked["state"]}

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked = self.codes.pop(form["code"], None)
        scheme, _, credentials = request.headers["authorization"].partition(" ")
        assert (scheme, base64.b64decode(credentials)) == ("Basic", f"{CLIENT}:s3cret+%26+so+on".encode())
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["code_challenge_method"] != "S256":
            return httpx.Response(400, json={"error": "invalid_grant"})
        assert form["redirect_uri"] == asked["redirect_uri"]
        id_claims = good_claims(aud=CLIENT, nonce=asked["nonce"])
        answer = {"access_token": self.token(good_claims()), "id_token": self.token(id_claims), "token_type": "Bearer"}
        return httpx.Response(200, json=answer | self.token_answer)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
