"""The rules that hold for every route, over HTTP in memory."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from pymongo.errors import NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from services.chassis import telemetry
from services.chassis.auth import Principal, TokenVerifier, requires
from services.chassis.incoming import Idempotency, RequestModel
from services.chassis.issuer import Issuer
from services.chassis.operations import StillDead
from services.chassis.pipeline.errors import (
    Erased,
    KeyReused,
    OutboxFull,
    StoreUnavailable,
    UnknownDeadLetter,
    WriteRefused,
)
from services.chassis.pipeline.model import IdempotencyKey
from services.chassis.problems import Problem
from services.chassis.settings import ChassisSettings, TelemetrySettings
from services.chassis.web import App, create_app
from tests.unit.chassis.issuer import NOW, TestIssuer, good_claims
from tests.unit.chassis.test_telemetry import SAMPLED, TRACE, spans

JSON = {"content-type": "application/json"}
Fails = Callable[[], Exception]
FAILURES: dict[str, tuple[Fails, int, str]] = {
    "store": (StoreUnavailable, 503, "unavailable"),
    "outbox": (OutboxFull, 503, "unavailable"),
    "reused": (KeyReused, 409, "key-reused"),
    "erased": (Erased, 404, ""),
    "refused": (WriteRefused, 400, "write-refused"),
    "selection": (lambda: ServerSelectionTimeoutError("mongodb://secret"), 503, "unavailable"),
    "network": (lambda: NetworkTimeout("mongodb://secret"), 503, "unavailable"),
    "other": (lambda: OperationFailure("secret"), 500, ""),
    "bug": (lambda: RuntimeError("secret"), 500, ""),
    "problem": (lambda: Problem(409, "Not from here.", type="transition"), 409, "transition"),
}


class Note(RequestModel):
    """A body for tests."""

    house_number: int = Field(gt=0)
    text: str = Field(max_length=20)
    more: Any = None


class Runtime:
    """Remembers what operations staff asked for."""

    def __init__(self) -> None:
        self.green = {"database": True, "consumer": True}
        self.caught_up = True
        self.done: list[tuple[Any, ...]] = []
        self.running = False
        self.answered: dict[str, tuple[str, dict[str, Any]]] = {}

    @property
    def operations(self) -> Runtime:
        return self

    @property
    def answers(self) -> Runtime:
        return self

    async def once(self, key: IdempotencyKey | None, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        if key is None:
            return await work()
        if key.key not in self.answered:
            self.answered[key.key] = (key.digest, await work())
        if self.answered[key.key][0] != key.digest:
            raise KeyReused
        return self.answered[key.key][1]

    def digest_key(self) -> bytes:
        return bytes(32)

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def checks(self) -> dict[str, bool]:
        return self.green

    async def list_dead_letters(self, limit: int, after: str | None) -> list[dict[str, Any]]:
        self.done.append(("list", limit, after))
        return [{"id": "letter-1", "reason": "bad-headers"}]

    async def show_dead_letter(self, id: str) -> dict[str, Any]:
        return {"id": self._known(id)}

    async def replay(self, id: str) -> None:
        if id == "letter-2":
            raise StillDead
        self.done.append(("replay", self._known(id)))

    async def skip(self, id: str, reason: str) -> None:
        self.done.append(("skip", self._known(id), reason))

    async def republish(self, since: datetime) -> int:
        self.done.append(("republish", since.isoformat()))
        return 3

    def _known(self, id: str) -> str:
        if id != "letter-1":
            raise UnknownDeadLetter
        return id


def routes() -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/who")
    async def who(principal: Annotated[Principal, Depends(requires("cases:read"))]) -> dict[str, str]:
        return {"organisation": principal.organisation}

    @router.post("/notes/{id}")
    async def note(id: str, body: Note, key: Idempotency, request: Request) -> dict[str, Any]:
        return {"key": key, "traceparent": telemetry.current_traceparent()}

    @router.post("/signed/{id}")
    async def signed(id: str, body: Note, who: Annotated[Principal, Depends(requires("cases:read"))]) -> None: ...

    @router.get("/notes")
    async def notes(limit: Annotated[int, Query(le=10)] = 5) -> dict[str, int]:
        return {"limit": limit}

    @router.get("/fail/{how}")
    async def fail(how: str) -> None:
        raise FAILURES[how][0]()

    @router.post("/deliveries", max_body_size=100_000)
    async def deliver(request: Request) -> dict[str, int]:
        return {"bytes": sum([len(chunk) async for chunk in request.stream()])}

    @router.get("/broken-stream")
    async def broken() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("secret")

        return StreamingResponse(chunks(), headers={"Cache-Control": "max-age=60"})

    return router


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def app(settings: ChassisSettings, issuer: TestIssuer, runtime: Runtime) -> App:
    app = create_app("matching", runtime=runtime, settings=settings, routers=[routes()], transport=issuer.transport)
    app.state.verifier = TokenVerifier(Issuer(settings.auth, issuer.transport), lambda: NOW)
    return app


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.test") as client:
        yield client


@pytest.fixture
def bearer(issuer: TestIssuer) -> Callable[..., dict[str, str]]:
    return lambda **changes: {"authorization": f"Bearer {issuer.token(good_claims(**changes))}"}


def problem(response: httpx.Response, status: int, type: str = "") -> dict[str, Any]:
    """The body of an answer, which must be a problem of that status and type."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    if type:
        assert body["type"] == f"urn:problem-type:hulpketen:{type}"
    return body


async def test_a_token_with_the_scope_gets_in(http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]) -> None:
    response = await http.get("/v1/who", headers=bearer())
    assert response.json() == {"organisation": "gemeente-assen"}


async def test_others_are_told_what_is_missing(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], issuer: TestIssuer
) -> None:
    response = await http.get("/v1/who")
    problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    response = await http.get("/v1/who", headers=bearer(exp=NOW - 60))
    assert "expired" in problem(response, 401, "invalid-token")["detail"]
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    response = await http.get("/v1/who", headers=bearer(scope="operations"))
    problem(response, 403, "scope")
    assert 'scope="cases:read"' in response.headers["www-authenticate"]
    problem(await http.get("/v1/who", headers={"authorization": "Basic YTpi"}), 401)
    twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    problem(await http.get("/v1/who", headers=twice), 401)
    problem(await http.get("/v1/who?access_token=abc"), 401)


async def test_without_the_issuer_nobody_is_sent_away_for_good(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], issuer: TestIssuer
) -> None:
    issuer.away = True
    response = await http.get("/v1/who", headers=bearer())
    problem(response, 503)
    assert response.headers["retry-after"] == "5"


async def test_every_answer_has_the_security_headers(http: httpx.AsyncClient) -> None:
    for path in ("/livez", "/v1/none", "/v1/fail/bug", "/v1/notes?limit=99"):
        headers = (await http.get(path)).headers
        assert headers["api-version"] == "1.0.0"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
    assert (await http.get("/livez")).headers.get_list("api-version") == ["1.0.0"]


async def test_all_errors_at_once_with_their_pointers_and_without_values(http: httpx.AsyncClient) -> None:
    sent = {"houseNumber": -12345, "text": "Jan Jansen uit de Lange Straat", "bsn": "123456782"}
    response = await http.post("/v1/notes/1", json=sent)
    errors = problem(response, 400, "invalid")["errors"]
    assert [(error["in"], error["pointer"], error["code"]) for error in errors] == [
        ("body", "/houseNumber", "greater-than"),
        ("body", "/text", "string-too-long"),
        ("body", "/bsn", "extra-forbidden"),
    ]
    for value in ("12345", "Jansen", "123456782"):
        assert value not in response.text
    (error,) = problem(await http.get("/v1/notes?limit=99"), 400)["errors"]
    assert (error["in"], error["pointer"]) == ("query", "/limit")


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"[]", b"\xff\xfe{", b'{"houseNumber": "\xe9"}', b'{"text": "a\x00b"}', b"[" * 3_000, b"nul", b"\x00"],
)
async def test_what_is_no_json_is_refused(body: bytes, http: httpx.AsyncClient) -> None:
    problem(await http.post("/v1/notes/1", content=body, headers=JSON), 400)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), float("-inf"), {"a\0": 1}, [{"deep": ["\0"]}]])
async def test_texts_and_numbers_that_are_none_are_refused(value: Any, http: httpx.AsyncClient) -> None:
    body = json.dumps({"houseNumber": 1, "text": "a", "more": value}).encode()
    errors = problem(await http.post("/v1/notes/1", content=body, headers=JSON), 400, "invalid")["errors"]
    assert errors[0]["pointer"].startswith("/more")


async def test_deep_nesting_is_refused_and_32_is_not_deep(http: httpx.AsyncClient) -> None:
    def nested(depth: int) -> bytes:
        return b'{"houseNumber": 1, "text": "a", "more": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert (await http.post("/v1/notes/1", content=nested(32), headers=JSON)).status_code == 200
    problem(await http.post("/v1/notes/1", content=nested(33), headers=JSON), 400, "nesting")
    wide = json.dumps({"houseNumber": 1, "text": "a", "more": [[]] * 500}).encode()
    assert (await http.post("/v1/notes/1", content=wide, headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {},
        {"content-type": "application/json; charset=utf-16"},
        JSON | {"content-encoding": "gzip"},
    ],
)
async def test_another_content_type_is_refused(headers: dict[str, str], http: httpx.AsyncClient) -> None:
    body = b'{"houseNumber": 1, "text": "a"}'
    problem(await http.post("/v1/notes/1", content=body, headers=headers), 415, "content-type")


async def test_json_with_a_charset_or_a_suffix_is_json(http: httpx.AsyncClient) -> None:
    body = b'{"houseNumber": 1, "text": "a"}'
    for content_type in ("application/json; charset=UTF-8", "application/problem+json"):
        response = await http.post("/v1/notes/1", content=body, headers={"content-type": content_type})
        assert response.status_code == 200


async def test_a_body_that_is_no_json_is_told_where_and_what_to_send(http: httpx.AsyncClient) -> None:
    wrong = problem(await http.post("/v1/notes/1", content=b'{"text": geheim}', headers=JSON), 400, "invalid")
    assert wrong["errors"] == [
        {"in": "body", "pointer": "", "code": "json-invalid", "message": "Is not JSON, from character 10 on"}
    ]
    unreadable = problem(await http.post("/v1/notes/1", content=b'{"text": "\xff"}', headers=JSON), 400, "unreadable")
    assert "UTF-8" in unreadable["detail"]


@pytest.mark.parametrize("body", [b"[]", b'"geheim"', b"12345"])
async def test_a_body_that_is_no_object_is_told_so(body: bytes, http: httpx.AsyncClient) -> None:
    (error,) = problem(await http.post("/v1/notes/1", content=body, headers=JSON), 400, "invalid")["errors"]
    assert (error["pointer"], error["message"]) == ("", "Must be a JSON object")


async def test_a_body_has_a_limit_and_a_stream_its_own(http: httpx.AsyncClient) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 1_000

    problem(await http.post("/v1/notes/1", content=b"x" * 5_000, headers=JSON), 413, "too-large")
    body = problem(await http.post("/v1/notes/1", content=chunks(5), headers=JSON), 413, "too-large")
    assert "Send less" in body["detail"]
    problem(await http.post("/v1/none", content=b"x" * 5_000, headers=JSON), 413, "too-large")
    assert (await http.post("/v1/deliveries", content=chunks(90))).json() == {"bytes": 90_000}
    problem(await http.post("/v1/deliveries", content=chunks(101)), 413, "too-large")


async def test_paths_and_methods_that_are_none(http: httpx.AsyncClient) -> None:
    problem(await http.get("/v1/none"), 404)
    problem(await http.get("/v1/notes/"), 404)
    response = await http.delete("/v1/notes")
    problem(response, 405)
    assert response.headers["allow"] == "GET"
    problem(await http.get("/v1/notes?limit=%00"), 400, "nul")
    problem(await http.get("/v1/fail/a%00b"), 400, "nul")
    problem(await http.get("/docs"), 404)


@pytest.mark.parametrize("how", FAILURES)
async def test_failures_are_problems_that_tell_nothing_secret(
    how: str, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    _, status, type = FAILURES[how]
    response = await http.get(f"/v1/fail/{how}")
    body = problem(response, status, type)
    assert len(body["traceId"]) == 32
    assert "secret" not in response.text
    if status == 503:
        assert int(response.headers["retry-after"]) > 0
    if how == "bug":
        assert "request_failed" in [record.msg for record in caplog.records if record.levelno == logging.ERROR]


async def test_half_an_answer_does_not_look_like_a_whole_one(http: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError):
        await http.get("/v1/broken-stream")


async def test_the_idempotency_key_comes_with_organisation_and_digest(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    body = {"houseNumber": 1, "text": "a"}

    async def key(path: str = "/v1/notes/1", content: Any = body, **headers: str) -> Any:
        response = await http.post(path, json=content, headers=headers)
        assert response.status_code == 200
        return response.json()["key"]

    assert await key() is None
    organisation, name, digest = await key(**{"Idempotency-Key": "k-1"})
    assert (organisation, len(name), "k-1" in name) == ("", 64, False)
    signed = {"Idempotency-Key": "k-1", **bearer()}
    assert await key(**signed) == ["gemeente-assen", name, digest]
    assert (await key(**signed | {"Idempotency-Key": "k-2"}))[1:] != [name, digest]
    assert (await key(content=body | {"text": "b"}, **signed))[2] != digest
    assert (await key("/v1/notes/2", **signed))[2] != digest
    for wrong in ("x" * 201, "a b", ""):
        response = await http.post("/v1/notes/1", json=body, headers={"Idempotency-Key": wrong})
        (error,) = problem(response, 400)["errors"]
        assert (error["in"], error["pointer"]) == ("header", "/Idempotency-Key")


async def test_a_request_goes_on_with_its_trace(
    http: httpx.AsyncClient, traces: Path, bearer: Callable[..., dict[str, str]]
) -> None:
    body = {"houseNumber": 1, "text": "a"}
    headers = bearer() | {"traceparent": SAMPLED}
    response = await http.post("/v1/notes/secret-id?also=secret", json=body, headers=headers)
    header = response.json()["traceparent"]
    await http.get("/v1/fail/bug", headers=headers)
    await http.get("/v1/none/secret", headers=bearer() | {"traceparent": "nonsense"})
    telemetry.flush()
    good, failed, unmatched = spans(traces)
    assert header == f"00-{TRACE}-{good['spanId']}-01"
    assert (good["name"], good["kind"], good["parentSpanId"]) == ("POST /v1/notes/{id}", 2, "00f067aa0ba902b7")
    assert good["attributes"] == {
        "http.request.method": {"stringValue": "POST"},
        "http.route": {"stringValue": "/v1/notes/{id}"},
        "http.response.status_code": {"intValue": "200"},
        "url.scheme": {"stringValue": "http"},
    }
    assert failed["status"] == {"code": 2}
    assert failed["attributes"]["error.type"] == {"stringValue": "RuntimeError"}
    assert unmatched["name"] == "GET unmatched"
    assert "secret" not in "".join(path.read_text() for path in traces.iterdir())


async def test_nobody_who_is_not_known_chooses_a_trace_or_that_it_is_kept(
    http: httpx.AsyncClient, traces: Path, bearer: Callable[..., dict[str, str]]
) -> None:
    telemetry.setup("test", TelemetrySettings(exporter="file", directory=traces, sample_ratio=0))
    body = {"houseNumber": 1, "text": "a"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    for who in ({}, bearer(exp=NOW - 60), {"authorization": "Basic YTpi"}):
        response = await http.post("/v1/notes/1", json=body, headers=who | {"traceparent": SAMPLED})
        assert TRACE not in response.text
        assert response.json()["traceparent"].endswith("-00")
    await http.post("/v1/notes/1", content=b"a=b", headers=bearer() | form | {"traceparent": SAMPLED})
    telemetry.flush()
    assert not any(path.read_text() for path in traces.glob("*"))


BROKEN = (b"{", b"\xff", b'{"text": "a\\u0000"}', b"[" * 3_000)


@pytest.mark.parametrize("body", BROKEN)
async def test_who_may_not_come_in_is_not_told_what_is_wrong_with_the_body(
    body: bytes, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    refused = await http.post("/v1/signed/1", content=body, headers=JSON)
    problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    problem(await http.post("/v1/signed/1", content=body, headers=JSON | bearer(exp=NOW - 60)), 401, "invalid-token")
    problem(await http.post("/v1/signed/1", content=body, headers=JSON | bearer(scope="other")), 403, "scope")
    problem(await http.post("/v1/signed/1", content=body, headers=JSON | bearer()), 400)
    problem(await http.post("/v1/notes/1", content=body, headers=JSON), 400)


async def test_a_refusal_before_the_body_is_counted_with_its_route(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    await http.post("/v1/signed/1", content=b"{", headers=JSON)
    text = (await http.get("/metrics", headers=bearer(scope="operations"))).text
    assert 'hulpketen_http_requests_total{method="POST",route="/v1/signed/{id}",status="401"}' in text


async def test_health_is_open_and_says_what_is_red(http: httpx.AsyncClient, runtime: Runtime) -> None:
    assert (await http.get("/livez")).json() == {"status": "pass"}
    assert (await http.get("/readyz")).status_code == 200
    runtime.green = {"database": True, "consumer": False}
    response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "fail", "checks": {"database": True, "consumer": False}}


async def test_metrics_and_the_document_are_not_open(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    problem(await http.get("/metrics"), 401)
    problem(await http.get("/metrics", headers=bearer()), 403)
    problem(await http.get("/openapi.json"), 401)
    await http.get("/v1/notes")
    text = (await http.get("/metrics", headers=bearer(scope="operations"))).text
    assert 'hulpketen_http_requests_total{method="GET",route="/v1/notes",status="200"}' in text
    document = (await http.get("/openapi.json", headers=bearer())).json()
    operation = document["paths"]["/v1/notes/{id}"]["post"]
    assert set(operation["responses"]) == {"200", "default"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["paths"]["/v1/who"]["get"]["security"] == [{"token": []}]


async def test_operations_need_their_scope_and_reach_the_pipeline(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], runtime: Runtime
) -> None:
    letters = "/v1/operations/dead-letters"
    problem(await http.get(letters, headers=bearer()), 403)
    problem(await http.post(f"{letters}/letter-1/replay", headers=bearer()), 403)
    staff = bearer(scope="operations")
    assert (await http.get(f"{letters}?limit=7", headers=staff)).json()["items"][0]["id"] == "letter-1"
    assert (await http.get(f"{letters}/letter-1", headers=staff)).json() == {"id": "letter-1"}
    problem(await http.get(f"{letters}/letter-9", headers=staff), 404)
    assert (await http.post(f"{letters}/letter-1/replay", headers=staff)).json()["status"] == "replayed"
    problem(await http.post(f"{letters}/letter-2/replay", headers=staff), 409, "still-dead")
    problem(await http.post(f"{letters}/letter-1/skip", headers=staff, json={}), 400)
    skipped = await http.post(f"{letters}/letter-1/skip", headers=staff, json={"reason": "sent twice"})
    assert skipped.json()["status"] == "skipped"
    problem(await http.post("/v1/operations/republish", headers=staff, json={"since": "2026-11-22T10:00:00"}), 400)
    since = {"since": "2026-11-22T10:00:00Z"}
    assert (await http.post("/v1/operations/republish", headers=staff, json=since)).json() == {"batches": 3}
    assert runtime.done == [
        ("list", 7, None),
        ("replay", "letter-1"),
        ("skip", "letter-1", "sent twice"),
        ("republish", "2026-11-22T10:00:00+00:00"),
    ]


async def test_the_same_operation_again_is_done_once_and_another_under_its_key_refused(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], runtime: Runtime
) -> None:
    letter = "/v1/operations/dead-letters/letter-1"
    skip: dict[str, Any] = {"reason": "sent twice"}
    since: dict[str, Any] = {"since": "2026-11-22T10:00:00Z"}
    asked: list[tuple[str, Any]] = [(f"{letter}/replay", None), (f"{letter}/skip", skip)]
    for path, body in [*asked, ("/v1/operations/republish", since)]:
        headers = bearer(scope="operations") | {"Idempotency-Key": path}
        first, again = [await http.post(path, json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, first.json()) == (200, again.json())
        problem(
            await http.post(
                "/v1/operations/republish", json=since | {"since": "2020-01-01T00:00:00Z"}, headers=headers
            ),
            409,
            "key-reused",
        )
    assert [done[0] for done in runtime.done] == ["replay", "skip", "republish"]


async def test_the_runtime_lives_as_long_as_the_application(app: App, runtime: Runtime) -> None:
    async with app.router.lifespan_context(app):
        assert runtime.running
    assert not runtime.running
