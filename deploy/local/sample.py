"""Loads the made-up municipality through the public interfaces, as any organisation would."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import httpx

from deploy.local.access import SAMPLE
from deploy.local.errors import StackError
from deploy.local.folder import DataFolder, write_private

# How long the directory may take to reach intake: until then it does not know the senders.
_KNOWN_WITHIN_S = 30.0
Token = Callable[..., str]


class SampleLoader:
    """Brings in the organisations, their services, the signals and a test. Doing it again changes nothing."""

    def __init__(self, addresses: dict[str, str], token: Token, day: date, client: httpx.AsyncClient) -> None:
        """`day`: the day that the sample's "days ago" count from."""
        self._addresses = addresses
        self._token = token
        self._day = day
        self._client = client

    async def load(self) -> None:
        """Raises: StackError, naming what was refused."""
        for organisation in read("organisations"):
            await self._put("organisations", organisation, organisation["municipalities"])
        for service in read("services"):
            await self._put("services", service, service["municipalities"])
        for sender, signal in signals(self._day):
            await self._signal(sender, signal)
        await self._test()

    async def _put(self, kind: str, entry: dict[str, Any], municipalities: list[str]) -> None:
        body = {name: value for name, value in entry.items() if name != "id"}
        token = self._token("coordinator", _municipality_of(municipalities), municipalities)
        await self._send("PUT", f"{self._addresses['matching']}/v1/{kind}/{entry['id']}", token, body)

    async def _signal(self, sender: str, signal: dict[str, Any]) -> None:
        """Send a signal; right after a first start intake may still have to hear who its sender is."""
        token = self._token("sender", sender)
        end = time.monotonic() + _KNOWN_WITHIN_S
        while True:
            response = await self._ask("POST", f"{self._addresses['intake']}/v1/signals", token, signal)
            if response.status_code == httpx.codes.FORBIDDEN and time.monotonic() < end:
                await asyncio.sleep(0.2)
                continue
            return _accepted(response)

    async def _test(self) -> None:
        for body in read("tests"):
            await self._send("POST", f"{self._addresses['intake']}/v1/tests", None, body)

    async def _send(self, method: str, url: str, token: str | None, body: dict[str, Any]) -> None:
        _accepted(await self._ask(method, url, token, body))

    async def _ask(self, method: str, url: str, token: str | None, body: dict[str, Any]) -> httpx.Response:
        key = hashlib.sha256(f"{url} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()[:32]
        headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            return await self._client.request(method, url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise StackError(f"the sample could not be loaded: {method} {url}: {type(error).__name__}") from error


async def load_sample(folder: DataFolder, addresses: dict[str, str], token: Token, today: date) -> bool:
    """Load the sample once for each data folder and version of the sample. Whether it was loaded now.

    Raises: StackError. A load that was cut short goes on with the day it began on: the same content again is harmless.
    """
    path = folder.path / "sample.json"
    version = _version()
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if known.get("version") == version and known["done"]:
        return False
    day = date.fromisoformat(known["day"]) if known.get("version") == version else today
    state = {"version": version, "day": day.isoformat()}
    write_private(path, json.dumps(state | {"done": False}))
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        await SampleLoader(addresses, token, day, client).load()
    write_private(path, json.dumps(state | {"done": True}))
    return True


def read(name: str) -> list[dict[str, Any]]:
    """A list of the sample: organisations, services, signals or tests."""
    found: list[dict[str, Any]] = json.loads((SAMPLE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def signals(day: date) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sender and body of each signal, with dates that count back from `day`."""
    for signal in read("signals"):
        sender = signal.pop("sender")
        arisen = day - timedelta(days=signal.pop("arisenDaysAgo"))
        yield sender, signal | {"arisenOn": arisen.isoformat(), "signalledOn": day.isoformat()}


def _municipality_of(municipalities: list[str]) -> str:
    """The organisation of the municipality that brings an entry into the directory."""
    return next(
        str(each["id"])
        for each in read("organisations")
        if each["kind"] == "municipality" and each["municipalities"][0] in municipalities
    )


def _accepted(response: httpx.Response) -> None:
    if not response.is_success:
        asked = f"{response.request.method} {response.request.url}"
        raise StackError(f"the sample was refused: {asked} answered {response.status_code}: {response.text[:300]}")


def _version() -> str:
    digest = hashlib.sha256()
    for path in sorted(SAMPLE.glob("*.json")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
