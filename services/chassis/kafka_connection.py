"""How Kafka's clients connect: addresses, TLS, and who signs in."""

from __future__ import annotations

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis.settings import KafkaSettings


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    if not settings.security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What aiokafka's clients need to connect."""
    password = settings.sasl_password
    connection: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap.split(","),
        "security_protocol": settings.security_protocol,
        "ssl_context": _ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        connection["sasl_mechanism"] = settings.sasl_mechanism
        connection["sasl_plain_username"] = settings.sasl_username
        connection["sasl_plain_password"] = password.get_secret_value() if password else None
    return connection


def security(settings: KafkaSettings) -> BaseSecurity:
    """The same for FastStream."""
    context = _ssl_context(settings)
    password = settings.sasl_password
    if not settings.security_protocol.startswith("SASL") or password is None or settings.sasl_username is None:
        return BaseSecurity(ssl_context=context, use_ssl=context is not None)
    mechanisms = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return mechanisms[settings.sasl_mechanism](
        settings.sasl_username, password.get_secret_value(), ssl_context=context, use_ssl=context is not None
    )
