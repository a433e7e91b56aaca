"""Traces to a collector: what it gets, and that a collector that is away costs a service nothing but the spans."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY
from pydantic import SecretStr

from services.chassis import telemetry
from services.chassis.settings import TelemetrySettings
from services.chassis.spans import SpanQueue
from tests.logs import said
from tests.otlp import Receiver, receiving
from tests.unit.chassis.test_telemetry import SAMPLED, TRACE, start


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"hulpketen_spans_{name}_total") or 0.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
        telemetry.shutdown()


def set_up(endpoint: str, **settings: object) -> None:
    given = {"exporter": "otlp", "endpoint": endpoint, "sample_ratio": 1, **settings}
    telemetry.setup("test", TelemetrySettings.model_validate(given))


def test_a_collector_gets_spans_of_records_and_of_the_sdk(receiver: Receiver) -> None:
    exported = counted("exported")
    set_up(receiver.endpoint + "/", headers=SecretStr("Authorization=Bearer a=b, X-Tenant=one"))
    with telemetry.tracer().start_as_current_span("GET /v1/x", kind=SpanKind.SERVER, attributes={"count": 2}):
        pass
    start(SAMPLED).end("failed")
    telemetry.flush()

    request, record = receiver.spans
    assert (request.name, request.parent, request.failed) == ("GET /v1/x", "", False)
    assert request.attributes == {"count": "2"}
    assert (record.service, record.name, record.trace) == ("test", "process signals", TRACE)
    assert (record.parent, record.failed) == ("00f067aa0ba902b7", True)
    assert record.attributes["messaging.destination.name"] == "signals"
    assert record.attributes["error.type"] == "failed"
    assert set(receiver.paths) == {"/v1/traces"}
    assert receiver.headers[0]["authorization"] == "Bearer a=b"
    assert receiver.headers[0]["x-tenant"] == "one"
    assert counted("exported") == exported + 2


def test_a_proxy_of_the_environment_gets_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    set_up(receiver.endpoint, timeout_s=1)
    start(SAMPLED).end()
    telemetry.flush()
    assert len(receiver.spans) == 1


def test_what_a_collector_refuses_is_counted_and_said_once(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    dropped = counted("dropped")
    set_up(receiver.endpoint)
    receiver.status = 401
    for _ in range(3):
        start(SAMPLED).end()
        telemetry.flush()
    receiver.status = 200
    start(SAMPLED).end()
    telemetry.flush()

    assert len(receiver.spans) == 1
    assert counted("dropped") == dropped + 3
    assert said(caplog, "spans_not_taken") == [{"spans": 1, "outcome": "401"}]
    assert all("opentelemetry" not in each.name for each in caplog.records)


def test_a_collector_that_is_not_there_takes_nothing_and_a_stop_goes_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens: refused at once
        dropped = counted("dropped")
        set_up(f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_s=60)
        start(SAMPLED).end()
        telemetry.shutdown()
    assert counted("dropped") == dropped + 1


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that nobody but itself vouches for, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    usage = x509.BasicConstraints(ca=True, path_length=None)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(1))
    made = builder.add_extension(address, False).add_extension(usage, True).sign(key, hashes.SHA256())
    pem, private = folder / "collector.pem", folder / "collector.key"
    pem.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


def test_only_a_collector_with_a_certificate_of_the_given_authority_gets_spans(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem, context = certificate(tmp_path)
    with receiving(context) as receiver:
        endpoint = receiver.endpoint.replace("http:", "https:")
        set_up(endpoint, timeout_s=0.2)
        start(SAMPLED).end()
        telemetry.flush()
        assert receiver.spans == []
        set_up(endpoint, ca_file=pem)
        start(SAMPLED).end()
        telemetry.flush()
        assert len(receiver.spans) == 1
        telemetry.shutdown()
    (line,) = said(caplog, "spans_not_taken")
    assert line["outcome"] == "SSLError"


class Stuck(SpanExporter):
    """A collector that takes a connection, and then nothing."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.got: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.go_on.wait(60)
        self.got += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.go_on.set()


def test_who_ends_a_span_never_waits_and_the_oldest_make_room() -> None:
    exporter = Stuck()
    queue = SpanQueue(exporter, most=1_000)
    context = telemetry.parse_traceparent(SAMPLED)
    dropped = counted("dropped")
    queue.on_end(ReadableSpan("first", context))
    assert exporter.asked.wait(30)
    for n in range(1_300):  # returns, although the exporter is still at the first
        queue.on_end(ReadableSpan(str(n), context))
    assert counted("dropped") == dropped + 300
    exporter.go_on.set()
    queue.shutdown()
    assert exporter.got == ["first", *(str(n) for n in range(300, 1_300))]


def test_an_exporter_that_fails_does_not_end_the_thread() -> None:
    class Failing(Stuck):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if not self.got:
                self.got.append("failed")
                raise OSError("no space left on device")
            return super().export(spans)

    exporter = Failing()
    exporter.go_on.set()
    queue = SpanQueue(exporter, most=1_000)
    for name in ("lost", "kept"):
        queue.on_end(ReadableSpan(name, telemetry.parse_traceparent(SAMPLED)))
        queue.force_flush()
    queue.shutdown()
    assert exporter.got == ["failed", "kept"]


@pytest.mark.parametrize("headers", ["token", "a=b,", "a=b\nc=d", "na me=x", "=x"])
def test_headers_that_are_none_are_refused_without_being_repeated(headers: str) -> None:
    with pytest.raises(ValueError, match="must be name=value") as refused:
        TelemetrySettings(headers=SecretStr(headers))
    assert json.dumps(headers) not in str(refused.value)


def test_a_service_whose_collector_has_no_address_or_no_readable_certificates_does_not_start() -> None:
    with pytest.raises(ValueError, match="must be set when TELEMETRY_EXPORTER is otlp"):
        TelemetrySettings(exporter="otlp")
    with pytest.raises(ValueError, match="ca_file"):
        TelemetrySettings.model_validate({"ca_file": "/nowhere/ca.pem"})
