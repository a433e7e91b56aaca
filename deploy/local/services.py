"""The four services as programs of the stack, with their settings."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from deploy.local.access import BOARD_CLIENT
from deploy.local.folder import DataFolder
from deploy.local.infrastructure import mongo_uri
from deploy.local.ports import HOST
from deploy.local.process import Program

# Tansu joins a group in half the session timeout, has no idempotent producer, and holds a fetch for its whole time.
_BROKER = {
    "KAFKA_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "200",
    "KAFKA_IDEMPOTENT": "false",
    "KAFKA_FETCH_WAIT_MS": "30",
    "KAFKA_INCARNATION_CHECK_S": "1",
    "KAFKA_MAKE_TOPICS": "true",
    "KAFKA_PARTITIONS": "2",
    # Else a broker that is rolled for its size would be given all of it back.
    "PIPELINE_KEPT_HOURS": "0.1",
}
# Loopback speaks no TLS, and to load the machine's certificates for every look takes 20 ms.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# Every trace is kept, for `hulpketen trace`. glibc's arenas for each thread would only cost memory, and what a batch
# took is given back.
_DEFAULTS = {
    "TELEMETRY_SAMPLE_RATIO": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "PYTHONUNBUFFERED": "1",
}


def url(port: int) -> str:
    """Address of what listens on that port."""
    return f"http://{HOST}:{port}"


@dataclass(frozen=True)
class Elsewhere:
    """A broker and a database that others run. `kafka`: the variables KAFKA_… of each service, by its name;
    `bootstrap`: host:port of the brokers; `mongo`: a connection string."""

    bootstrap: str
    kafka: Mapping[str, Mapping[str, str]]
    mongo: str

    def settings(self, name: str) -> dict[str, str]:
        """The variables of a service that say where they are."""
        return {"KAFKA_BOOTSTRAP": self.bootstrap, "MONGO_URI": self.mongo, **self.kafka[name]}


def embedded(ports: Mapping[str, int]) -> dict[str, str]:
    """The same for the broker and database of the stack itself."""
    kafka = f"{HOST}:{ports['broker']}"
    return {**_BROKER, "KAFKA_BOOTSTRAP": kafka, "MONGO_URI": mongo_uri(ports["database"])}


def database_of(name: str) -> str:
    """The name of a service's database."""
    return f"hulpketen_{name}"


def service(
    name: str, folder: DataFolder, ports: Mapping[str, int], around: Mapping[str, str], overrides: Mapping[str, str]
) -> Program:
    """A service. `around`: its variables of broker and database; `overrides`: those that come before all others."""

    async def ready() -> bool:
        return await _is_ready(url(ports[name]))

    environment = {**_DEFAULTS, **os.environ, **around, **_settings(name, folder, ports), **overrides}
    command = [sys.executable, "-m", f"services.{name}"]
    return Program(name, lambda: command, folder.logs / f"{name}.log", ready, environment)


def _settings(name: str, folder: DataFolder, ports: Mapping[str, int]) -> dict[str, str]:
    issuer = url(ports["issuer"])
    common = {
        "HTTP_HOST": HOST,
        "HTTP_PORT": str(ports[name]),
        "MONGO_DATABASE": database_of(name),
        "AUTH_ISSUER": issuer,
        "AUTH_AUDIENCE": name,
        "TELEMETRY_EXPORTER": "file",
        "TELEMETRY_DIRECTORY": str(folder.traces),
        "KEYS_PROVIDER": "file",
        "KEYS_FILE": str(folder.keys / f"{name}.json"),
    }
    own = {
        "intake": {"INTAKE_MESSAGES_URL": f"{issuer}/mailbox"},
        "matching": {"MATCHING_INTAKE_URL": url(ports["intake"])},
        "notifications": {
            "NOTIFICATIONS_MATCHING_URL": url(ports["matching"]),
            "NOTIFICATIONS_INTAKE_URL": url(ports["intake"]),
            "NOTIFICATIONS_AUDIT_URL": url(ports["audit"]),
            "NOTIFICATIONS_PUBLIC_URL": url(ports["notifications"]),
            "NOTIFICATIONS_CLIENT_ID": BOARD_CLIENT,
            "NOTIFICATIONS_CLIENT_SECRET": folder.secret(BOARD_CLIENT),
        },
        "audit": {
            "AUDIT_PLACE": str(folder.path / "trail"),
            "AUDIT_ORIGIN": "localhost/hulpketen",
            "AUDIT_CHECKPOINT_S": "1",
            "AUDIT_ANNOUNCE_S": "10",
            "AUDIT_PAGE_PUBLIC_URL": url(ports["audit"]),
            "AUDIT_PAGE_CLIENT_ID": BOARD_CLIENT,
            "AUDIT_PAGE_CLIENT_SECRET": folder.secret(BOARD_CLIENT),
        },
    }
    return common | own.get(name, {})


async def _is_ready(address: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False, verify=_NO_TLS) as client:
            return (await client.get(f"{address}/readyz", timeout=2)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
