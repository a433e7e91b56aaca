"""A real Prometheus, with the project's own configuration, scrapes a demo: no panel of a dashboard stays empty."""

from __future__ import annotations

import asyncio
import math
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml
from aiokafka import AIOKafkaProducer

from cli.demo import run
from cli.demo.progress import Show
from cli.demo.target import local
from deploy.local.access import CLI_CLIENT
from deploy.local.ports import HOST, SERVICES, free_base
from deploy.local.stack import LocalStack
from deploy.observability.dashboards import CHAIN, PARTNERS, SERVICE, TRAIL, Panel
from tests.observability import tools

WITHIN_S = 60
PANELS = (*CHAIN, *PARTNERS, *TRAIL, *SERVICE)


def _configuration(folder: Path, stack: LocalStack) -> Path:
    """The project's own, but for where things are on this machine, and how often it looks."""
    held = yaml.safe_load((tools.FOLDER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = held["scrape_configs"]
    held["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    held["rule_files"] = [str(tools.RULES)]
    job["oauth2"] |= {
        "token_url": f"{stack.addresses['issuer']}/token",
        "client_id": CLI_CLIENT,
        "client_secret_file": str(stack.folder.path / "keys" / f"{CLI_CLIENT}.secret"),
    }
    del job["dns_sd_configs"], job["relabel_configs"]
    job["static_configs"] = [
        {"targets": [stack.addresses[name].removeprefix("http://")], "labels": {"service": name}} for name in SERVICES
    ]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(held), encoding="utf-8")
    return path


@asynccontextmanager
async def prometheus(folder: Path, stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """One that scrapes the stack; a client of its API."""
    port = free_base()
    command = [
        tools.program("prometheus"),
        f"--config.file={_configuration(folder, stack)}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={HOST}:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
                yield http
        finally:
            process.terminate()


async def _ask(http: httpx.AsyncClient, query: str) -> list[float]:
    """The numbers of an instant query, without those that are none."""
    answer = (await http.get("/api/v1/query", params={"query": query})).raise_for_status().json()
    values = [float(result["value"][1]) for result in answer["data"]["result"]]
    return [value for value in values if not math.isnan(value)]


async def _until(http: httpx.AsyncClient, query: str) -> list[float]:
    """What it says once it says anything; nothing, where it does not in time."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    if found := await _ask(http, query):
                        return found
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.5)
    except TimeoutError:
        return []


async def _play(stack: LocalStack) -> None:
    """A small demo against the stack, and a record on a topic that nobody can read."""
    plan = run.Plan(signals=60, seed=1)
    with Show(plan.signals) as show:
        await run.run_on(local(stack), plan, show)
    producer = AIOKafkaProducer(bootstrap_servers=stack.addresses["kafka"])
    await producer.start()
    try:
        await producer.send_and_wait("signals", b"{}", headers=[("ce_type", b"nobody.knows.v1")])
    finally:
        await producer.stop()


def _asked(panel: Panel) -> str:
    return panel.asks.replace("$__rate_interval", "3m").replace("$service", ".*")


async def test_no_panel_is_empty_after_a_demo(tmp_path: Path) -> None:
    async with LocalStack(tmp_path / "data") as stack, prometheus(tmp_path, stack) as http:
        assert await _until(http, 'sum(up{job="hulpketen"}) == 4'), (tmp_path / "prometheus.log").read_text()
        await _play(stack)

        empty = [panel.title for panel in PANELS if not await _until(http, _asked(panel))]
        dead = await _until(http, 'ALERTS{alertname="DeadLetters"}')

    assert empty == []
    assert dead
