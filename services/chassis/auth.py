"""Access: bearer tokens (JWT), who they stand for, and what a route needs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from services.chassis.issuer import Issuer, IssuerUnavailable
from services.chassis.problems import Problem

ALGORITHMS = ["RS256", "ES256"]
_MAX_TOKEN = 8_192
_CACHED = 4_096
_CACHED_S = 60.0
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A JWT of the issuer, for this service.")


class InvalidToken(Exception):
    """A token that is not accepted; the text says why and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: an employee or a machine (`subject`, a pseudonym) of an organisation.

    A machine is what the issuer says is one, by the claim `machine`; who it does not say it of counts as an employee.
    """

    organisation: str
    municipalities: frozenset[str]
    scopes: frozenset[str]
    subject: str
    expires_at: datetime
    machine: bool = False


class TokenVerifier:
    """Checks tokens for one service. A verified token is remembered, by its hash, for at most 60 s."""

    def __init__(self, issuer: Issuer, clock: Callable[[], float] = time) -> None:
        self.issuer = issuer
        self._settings = issuer.settings
        self._clock = clock
        self._verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Who the token stands for. Raises InvalidToken, and IssuerUnavailable while its keys are not known."""
        name = hashlib.sha256(token.encode(errors="replace")).digest()
        now = self._clock()
        known = self._verified.get(name)
        if known is not None and now < known[0]:
            return known[1]
        principal = _principal(await self.claims(token, self._settings.audience))
        self._remember(name, min(now + _CACHED_S, principal.expires_at.timestamp()), principal)
        return principal

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token for `audience` that this issuer signed and that is valid now; raises as `verify`."""
        if len(token) > _MAX_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            header = extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError) as error:
            raise InvalidToken("the token is not a signed JWT") from error
        kid = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(kid, str):
            raise InvalidToken("the token's algorithm is not accepted, or it names no key")
        key = await self.issuer.key(kid)
        if key is None:
            raise InvalidToken("the token is signed with a key that the issuer does not have")
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken("the token's signature is not right") from error
        self._check(claims, audience)
        return claims

    def _check(self, claims: dict[str, Any], audience: str) -> None:
        now, leeway = self._clock(), self._settings.leeway_s
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        if claims.get("iss") != self._settings.issuer:
            raise InvalidToken("the token is of another issuer")
        if audience not in audiences:
            raise InvalidToken("the token is for another service")
        if _seconds(claims, "exp") <= now - leeway:
            raise InvalidToken("the token has expired")
        if any(name in claims and _seconds(claims, name) > now + leeway for name in ("nbf", "iat")):
            raise InvalidToken("the token is not valid yet")

    def _remember(self, name: bytes, until: float, principal: Principal) -> None:
        self._verified[name] = (until, principal)
        self._verified.move_to_end(name)
        if len(self._verified) > _CACHED:
            self._verified.popitem(last=False)


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise InvalidToken(f"the token's {name} is missing or not a time")
    return float(value)


def _principal(claims: dict[str, Any]) -> Principal:
    organisation, subject, scope = claims.get("organisation"), claims.get("sub"), claims.get("scope", "")
    municipalities = claims.get("municipalities", [])
    if not (isinstance(organisation, str) and organisation and isinstance(subject, str) and subject):
        raise InvalidToken("the token names no organisation or no subject")
    if not isinstance(scope, str) or not isinstance(municipalities, list):
        raise InvalidToken("the token's scope or municipalities have another form")
    if not all(isinstance(each, str) for each in municipalities):
        raise InvalidToken("the token's scope or municipalities have another form")
    expires_at = datetime.fromtimestamp(_seconds(claims, "exp"), UTC)
    machine = claims.get("machine") is True
    return Principal(organisation, frozenset(municipalities), frozenset(scope.split()), subject, expires_at, machine)


class SessionReader(Protocol):
    """The other way to sign in: the session of a page (see sessions.py)."""

    async def principal(self, request: Request) -> Principal | None:
        """Who the request's session stands for, None where it has none. Raises Problem where CSRF is not ruled out."""


async def principal_of(request: Request) -> Principal | None:
    """Who is asking, by bearer token or else by session; None if neither came along. Raises Problem 401, 403, 503.

    Reads `app.state.verifier` (TokenVerifier) and, where pages are served, `app.state.sessions` (SessionReader).
    """
    if not hasattr(request.state, "identity"):
        try:
            request.state.identity = await _identify(request)
        except Problem as problem:
            request.state.identity = problem
    identity: Principal | Problem | None = request.state.identity
    if isinstance(identity, Problem):
        raise identity
    return identity


async def _identify(request: Request) -> Principal | None:
    given = request.headers.getlist("authorization")
    sessions: SessionReader | None = getattr(request.app.state, "sessions", None)
    if not given:
        return await sessions.principal(request) if sessions else None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise _unauthorized("use one bearer token")
    verifier: TokenVerifier = request.app.state.verifier
    try:
        return await verifier.verify(token.strip())
    except InvalidToken as error:
        raise _unauthorized(str(error)) from error
    except IssuerUnavailable as error:
        raise Problem(503, "The issuer of tokens does not answer.", headers={"Retry-After": "5"}) from error


def _unauthorized(why: str) -> Problem:
    challenge = f'Bearer error="invalid_token", error_description="{why}"'
    return Problem(401, f"{why[0].upper()}{why[1:]}.", type="invalid-token", headers={"WWW-Authenticate": challenge})


class Requires:
    """A dependency: the principal, who must have all of `scopes` (none: any valid token or session will do); one of
    them where `one_will_do`.

    Raises Problem 401 with a challenge, 403 where a scope is missing, 503 while the issuer's keys are not known.
    """

    def __init__(self, scopes: frozenset[str], *, one_will_do: bool = False) -> None:
        self._scopes = scopes
        self._one_will_do = one_will_do

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        """For a route; the bearer token stands there for its description."""
        return await self.check(request)

    async def check(self, request: Request) -> Principal:
        """The same, before there is a route."""
        principal = await principal_of(request)
        if principal is None:
            raise Problem(401, "A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
        enough = self._scopes & principal.scopes if self._one_will_do else self._scopes <= principal.scopes
        if not enough:
            missing = " ".join(sorted(self._scopes))
            challenge = f'Bearer error="insufficient_scope", scope="{missing}"'
            needed = "one of " + missing if self._one_will_do else missing
            raise Problem(403, f"Needed: {needed}.", type="scope", headers={"WWW-Authenticate": challenge})
        return principal


def requires(*scopes: str) -> Requires:
    """A dependency that lets in who has all of these scopes."""
    return Requires(frozenset(scopes))


def requires_any(*scopes: str) -> Requires:
    """A dependency that lets in who has one of these scopes."""
    return Requires(frozenset(scopes), one_will_do=True)
