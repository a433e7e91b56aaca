"""A running chain, as the commands find it: by the stack.json of its data folder, and over HTTP only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.local.access import CLI_CLIENT
from deploy.local.errors import StackError
from deploy.local.folder import running_stack
from deploy.local.ports import SERVICES

_TIMEOUT_S = 60
_PER_PAGE = 100


class Chain:
    """The services of one data folder. Raises: StackError where none runs there."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.addresses: Mapping[str, Any] = running_stack(data)
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    @property
    def services(self) -> tuple[str, ...]:
        return SERVICES

    def token(self, role: str, organisation: str | None = None, municipalities: str | None = None) -> str:
        """A bearer token of the embedded issuer. Raises: StackError with the issuer's own words."""
        try:
            secret = (self._data / "keys" / f"{CLI_CLIENT}.secret").read_text(encoding="utf-8")
        except OSError as error:
            raise StackError(f"the secret of {CLI_CLIENT} cannot be read: {error.strerror}") from error
        form = {"grant_type": "client_credentials", "role": role, "organisation": organisation}
        form["municipalities"] = municipalities
        given = {name: value for name, value in form.items() if value}
        response = self._http.post(f"{self.addresses['issuer']}/token", data=given, auth=(CLI_CLIENT, secret))
        answer = response.json()
        if response.is_error:
            raise StackError(str(answer.get("error_description", response.status_code)))
        return str(answer["access_token"])

    def organisations(self) -> Iterator[dict[str, Any]]:
        """The organisations of the directory, by name."""
        headers = {"Authorization": f"Bearer {self.token('coordinator')}"}
        page, total = 0, 1
        while page * _PER_PAGE < total:
            page += 1
            url = f"{self.addresses['matching']}/v1/organisations?perPage={_PER_PAGE}&page={page}"
            answer = content(self._http.get(url, headers=headers))
            yield from answer["items"]
            total = answer["total"]

    def ask(
        self, method: str, service: str, path: str, role: str, organisation: str | None, body: Mapping[str, Any]
    ) -> httpx.Response:
        """Ask a service for something in this role. Every answer comes back, errors too; see `content`."""
        headers = {"Authorization": f"Bearer {self.token(role, organisation)}"}
        return self._http.request(method, f"{self.addresses[service]}{path}", json=body, headers=headers)

    def operate(self, method: str, service: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Ask a service's /v1/operations for something. Every answer comes back, errors too; see `content`."""
        headers = {"Authorization": f"Bearer {self.token('operations')}", "Idempotency-Key": str(uuid.uuid4())}
        url = f"{self.addresses[service]}/v1/operations/{path}"
        return self._http.request(method, url, json=body, headers=headers)


def content(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer. Raises: StackError with what the problem+json of another says."""
    try:
        found = response.json()
    except ValueError:
        found = {}
    if response.is_error or not isinstance(found, dict):
        said = found.get("detail") or found.get("title") if isinstance(found, dict) else None
        raise StackError(f"{response.request.url.path} answered {response.status_code}: {said or 'nothing readable'}")
    return found
