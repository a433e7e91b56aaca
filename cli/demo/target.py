"""What a demo is played on: a chain of its own, or one that runs already and that a file describes."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import httpx
from aiokafka.helpers import create_ssl_context
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from cli.demo.outside import NO_TLS, Token
from cli.demo.world import World
from deploy.local.access import CLI_CLIENT
from deploy.local.errors import StackError
from deploy.local.folder import DEFAULT
from deploy.local.ports import SERVICES
from deploy.local.stack import LocalStack

COMPOSE = Path("deploy/compose/generated/stack.json")
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Target:
    """A running chain.

    `kafka`: what aiokafka's clients need to connect; None: the broker cannot be looked at. `lives`: how often the
    broker was started. `files`: the folders of `traces` and `logs`. `own`: nobody else uses it, and it began empty.
    """

    addresses: Mapping[str, str]
    token: Token
    world: World = field(default_factory=World)
    kafka: Mapping[str, Any] | None = None
    tls: ssl.SSLContext = NO_TLS
    lives: Callable[[], int] = lambda: 1
    files: Mapping[str, Path] = field(default_factory=dict)
    own: bool = True

    def left_out(self, broker: bool) -> list[str]:
        """What of the reckoning was not done, where the broker was looked at or was not."""
        looked = {"broker": broker} | {name: name in self.files for name in ("traces", "logs")}
        return [name for name, there in looked.items() if not there]


def local(stack: LocalStack, kafka: Mapping[str, Any] | None = None) -> Target:
    """A chain of the demo's own; `kafka`: what aiokafka's clients need, where the broker is not the stack's."""
    data = stack.folder
    return Target(
        stack.addresses,
        stack.token,
        kafka=kafka or {"bootstrap_servers": stack.addresses["kafka"]},
        lives=(lambda: 1) if kafka else lambda: stack.process("broker").starts,
        files={"traces": data.traces, "logs": data.logs},
    )


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class KafkaDoor(_Model):
    """How to read the broker's topics."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password_file: Path | None = None
    ca: Path | None = None


class Description(_Model):
    """A running stack, as its stack.json has it; paths are from the folder that the file is in."""

    issuer: str
    intake: str
    matching: str
    notifications: str
    audit: str
    ca: Path | None = None
    client_id: str = CLI_CLIENT
    client_secret_file: Path = Path("keys") / f"{CLI_CLIENT}.secret"
    kafka: KafkaDoor | None = None
    traces: Path | None = None
    logs: Path | None = None

    @field_validator("kafka", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        return {"bootstrap": value} if isinstance(value, str) else value


def described(where: str) -> Target:
    """The stack that a file describes, or `compose`: that of docker-compose.yml. Raises: StackError."""
    file = COMPOSE if where == "compose" else Path(where)
    stack, folder = _read(file, where), file.parent
    tls = _trust(folder / stack.ca) if stack.ca else NO_TLS
    addresses = {name: str(getattr(stack, name)).rstrip("/") for name in ("issuer", *SERVICES)}
    token = _tokens(addresses["issuer"], stack.client_id, _secret(folder / stack.client_secret_file), tls)
    return Target(
        addresses,
        token,
        # Codes of municipalities that there are do not begin with a 9.
        World(municipality=f"9{secrets.randbelow(1000):03d}", run=secrets.token_hex(3), kafka=False),
        kafka=_door(stack.kafka, folder) if stack.kafka else None,
        tls=tls,
        files={name: folder / path for name, path in (("traces", stack.traces), ("logs", stack.logs)) if path},
        own=False,
    )


def _read(file: Path, where: str) -> Description:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Description.model_validate(found)
    except OSError as error:
        hint = "start it with 'docker compose up --wait'" if where == "compose" else f"start one as {DEFAULT}/ has it"
        _refuse(f"{file} cannot be read: {error.strerror}; {hint}")
    except ValidationError as error:
        first = error.errors()[0]
        _refuse(f"{file}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg'].lower()}")
    except ValueError:
        _refuse(f"{file} is not JSON")


def _refuse(what: str) -> NoReturn:
    raise StackError(what) from None


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StackError(f"the secret in {file} cannot be read: {error.strerror}") from error


def _trust(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise StackError(f"{file} has no certificates that can be read: {error.strerror or 'not PEM'}") from error


def _tokens(issuer: str, client: str, secret: str, tls: ssl.SSLContext) -> Token:
    """Bearer tokens from the issuer; raises: StackError with its own words."""
    http = httpx.Client(trust_env=False, verify=tls, timeout=_TIMEOUT_S)

    def token(role: str, organisation: str, municipalities: Sequence[str]) -> str:
        form = {"grant_type": "client_credentials", "role": role, "organisation": organisation}
        form["municipalities"] = " ".join(municipalities)
        try:
            response = http.post(f"{issuer}/token", data=form, auth=(client, secret))
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise StackError(f"no token from {issuer}: {type(error).__name__}: {error}") from error
        if response.is_error or "access_token" not in answer:
            raise StackError(f"no token from {issuer}: {answer.get('error_description', response.status_code)}")
        return str(answer["access_token"])

    return token


def _door(kafka: KafkaDoor, folder: Path) -> dict[str, Any]:
    door: dict[str, Any] = {"bootstrap_servers": kafka.bootstrap, "security_protocol": kafka.security_protocol}
    if kafka.security_protocol.endswith("SSL"):
        door["ssl_context"] = create_ssl_context(cafile=str(folder / kafka.ca) if kafka.ca else None)
    if kafka.security_protocol.startswith("SASL"):
        door["sasl_mechanism"] = kafka.sasl_mechanism
        door["sasl_plain_username"] = kafka.username
        door["sasl_plain_password"] = _secret(folder / kafka.password_file) if kafka.password_file else None
    return door
