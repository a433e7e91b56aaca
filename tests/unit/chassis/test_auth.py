"""Tokens: which are accepted, and that nothing else is."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from services.chassis.auth import InvalidToken, TokenVerifier
from services.chassis.issuer import Issuer, IssuerUnavailable
from services.chassis.settings import AuthSettings, ChassisSettings
from tests.unit.chassis.conftest import Clock
from tests.unit.chassis.issuer import AUDIENCE, ISSUER, NOW, TestIssuer, good_claims, unsigned


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def verifier(known_issuer: Issuer, clock: Clock) -> TokenVerifier:
    return TokenVerifier(known_issuer, clock)


async def test_a_good_token_tells_who_is_asking(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    for key in (issuer.rsa, issuer.ec):
        principal = await verifier.verify(issuer.token(good_claims(), key))
        assert principal.organisation == "gemeente-assen"
        assert principal.municipalities == {"0106"}
        assert principal.scopes == {"cases:read", "referrals:write"}
        assert principal.subject == "employee-1"
        assert principal.expires_at.timestamp() == NOW + 300
        assert not principal.machine


@pytest.mark.parametrize(("said", "machine"), [(True, True), (False, False), ("true", False), (None, False)])
async def test_a_machine_is_what_the_issuer_says_is_one(
    issuer: TestIssuer, verifier: TokenVerifier, said: object, machine: bool
) -> None:
    assert (await verifier.verify(issuer.token(good_claims(machine=said)))).machine is machine


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "http://another.test"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "audit"}, "another service"),
        ({"aud": []}, "another service"),
        ({"aud": None}, "another service"),
        ({"aud": {"matching": 1}}, "another service"),
        ({"exp": NOW - 10}, "expired"),
        ({"exp": None}, "exp is missing"),
        ({"exp": "soon"}, "exp is missing or not a time"),
        ({"exp": True}, "exp is missing or not a time"),
        ({"exp": 1e300}, "exp is missing or not a time"),
        ({"nbf": NOW + 60}, "not valid yet"),
        ({"iat": NOW + 60}, "not valid yet"),
        ({"organisation": None}, "no organisation"),
        ({"organisation": ["a"]}, "no organisation"),
        ({"sub": None}, "no organisation or no subject"),
        ({"scope": ["operations"]}, "another form"),
        ({"municipalities": "0106"}, "another form"),
        ({"municipalities": [106]}, "another form"),
    ],
)
async def test_a_token_with_other_claims_is_refused(
    changes: dict[str, Any], why: str, issuer: TestIssuer, verifier: TokenVerifier
) -> None:
    with pytest.raises(InvalidToken, match=why):
        await verifier.verify(issuer.token(good_claims(**changes)))


async def test_clocks_may_differ_a_little(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    await verifier.verify(issuer.token(good_claims(exp=NOW - 9)))
    await verifier.verify(issuer.token(good_claims(nbf=NOW + 9, iat=NOW + 9)))


async def test_no_algorithm_but_the_fixed_ones(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    signed = unsigned({"alg": "HS256", "kid": "rsa-1"}, good_claims()).removesuffix(".")
    mac = hmac.digest(issuer.rsa.as_pem(private=False), signed.encode(), "sha256")
    forged = unsigned({"alg": "HS256", "kid": "rsa-1"}, good_claims(), mac)
    rs512 = jwt.encode({"alg": "RS512", "kid": "rsa-1"}, good_claims(), issuer.rsa, algorithms=["RS512"])
    none = unsigned({"alg": "none", "kid": "rsa-1"}, good_claims())
    for token in (forged, rs512, none):
        with pytest.raises(InvalidToken, match="algorithm"):
            await verifier.verify(token)


async def test_a_key_of_another_kind_or_of_somebody_else_is_refused(
    issuer: TestIssuer, verifier: TokenVerifier
) -> None:
    stranger = RSAKey.generate_key(2048, parameters={"kid": "rsa-1"})
    other_curve = ECKey.generate_key("P-256", parameters={"kid": "ec-1"})
    for token in (
        issuer.token(good_claims(), stranger),
        issuer.token(good_claims(), other_curve),
        issuer.token(good_claims(), issuer.rsa, kid="ec-1"),
        unsigned({"alg": "RS256", "kid": "rsa-1"}, good_claims(), b"signature"),
        unsigned({"alg": "RS256", "kid": "rsa-1"}, good_claims()),
    ):
        with pytest.raises(InvalidToken, match="signature"):
            await verifier.verify(token)
    with pytest.raises(InvalidToken, match="key that the issuer does not have"):
        await verifier.verify(issuer.token(good_claims(), stranger, kid="unheard-of"))


async def test_a_changed_token_is_refused_also_after_the_good_one(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    token = issuer.token(good_claims())
    await verifier.verify(token)
    header, _, signature = token.split(".")
    _, more, _ = issuer.token(good_claims(scope="operations")).split(".")
    with pytest.raises(InvalidToken):
        await verifier.verify(f"{header}.{more}.{signature}")


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "..", "é.é.é", "x" * 9_000, "\0", "e30.e30.", "W10.e30.AA"])
async def test_what_is_no_token_is_refused(token: str, verifier: TokenVerifier) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_critical_header_that_is_not_understood_is_refused(issuer: TestIssuer, verifier: TokenVerifier) -> None:
    token = unsigned({"alg": "RS256", "kid": "rsa-1", "crit": ["exp"], "exp": NOW}, good_claims(), b"x")
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_verified_token_is_remembered_but_not_beyond_its_time(
    issuer: TestIssuer, verifier: TokenVerifier, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = jwt.decode

    def counted(token: str, *rest: Any, **more: Any) -> jwt.Token:
        decoded.append(token)
        return decode(token, *rest, **more)

    monkeypatch.setattr(jwt, "decode", counted)
    token = issuer.token(good_claims(exp=NOW + 100))
    await verifier.verify(token)
    await verifier.verify(token)
    assert len(decoded) == 1
    clock.now += 61
    await verifier.verify(token)
    assert len(decoded) == 2
    clock.now += 60
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(token)


async def test_a_new_key_is_fetched_and_not_for_every_unknown_name(
    issuer: TestIssuer, settings: ChassisSettings
) -> None:
    clock = Clock(0)
    source = Issuer(settings.auth, issuer.transport, clock)
    assert await source.key("rsa-1") is not None
    assert issuer.key_requests == 1
    new = RSAKey.generate_key(2048, parameters={"kid": "rsa-2"})
    issuer.published = [issuer.rsa, new]
    for _ in range(5):
        assert await source.key("rsa-2") is None
    assert issuer.key_requests == 1
    clock.now += 10
    assert await source.key("rsa-2") is not None
    assert issuer.key_requests == 2


async def test_a_withdrawn_key_is_forgotten_after_a_while(issuer: TestIssuer, settings: ChassisSettings) -> None:
    clock = Clock(0)
    source = Issuer(settings.auth, issuer.transport, clock)
    assert await source.key("rsa-1") is not None
    issuer.published = [issuer.ec]
    clock.now += 599
    assert await source.key("rsa-1") is not None
    clock.now += 1
    assert await source.key("rsa-1") is None


async def test_known_keys_outlive_an_issuer_that_is_away(issuer: TestIssuer, settings: ChassisSettings) -> None:
    clock = Clock(0)
    source = Issuer(settings.auth, issuer.transport, clock)
    issuer.away = True
    with pytest.raises(IssuerUnavailable):
        await source.key("rsa-1")
    issuer.away = False
    assert await source.key("rsa-1") is not None
    issuer.away = True
    clock.now += 10_000
    assert await source.key("rsa-1") is not None
    assert await source.key("unheard-of") is None


async def test_an_issuer_of_another_name_is_not_trusted(issuer: TestIssuer, settings: ChassisSettings) -> None:
    issuer.name = "http://another.test"
    with pytest.raises(IssuerUnavailable):
        await Issuer(settings.auth, issuer.transport).key("rsa-1")


async def test_keys_that_cannot_sign_are_left_out(issuer: TestIssuer) -> None:
    secret = OctKey.generate_key(256, parameters={"kid": "oct-1"}).as_dict(private=True)
    encryption = issuer.rsa.as_dict(private=False) | {"kid": "enc-1", "use": "enc"}
    broken: list[Any] = [{"kty": "RSA", "kid": "broken"}, 3, secret, encryption]

    class Key:
        def __init__(self, content: Any) -> None:
            self.content = content

        def as_dict(self, private: bool) -> Any:
            return self.content

    issuer.published = [*map(Key, broken), issuer.ec]
    source = Issuer(AuthSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=f"{ISSUER}/keys"), issuer.transport)
    assert await source.key("ec-1") is not None
    for name in ("broken", "oct-1", "enc-1"):
        assert await source.key(name) is None
