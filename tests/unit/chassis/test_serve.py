"""The server process: answers, logs in JSON, and stops in order with a stream open."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import httpx

from tests.unit.chassis.test_telemetry import spans


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def answers(http: httpx.AsyncClient) -> None:
    """Return once the server answers."""
    while True:
        try:
            if (await http.get("/livez")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)


async def test_the_server_stops_in_order_with_a_stream_open(tmp_path: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.chassis.serving", str(tmp_path), str(port), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            await asyncio.wait_for(answers(http), 20)
            response = await http.get("/bug")
            assert response.status_code == 500
            assert "server" not in response.headers
            async with http.stream("GET", "/stream") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "begun"
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(anext(lines), 10) == "ended"
        _, log = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode in (0, -signal.SIGTERM)
    written = [json.loads(line) for line in log.decode().splitlines()]
    assert [line["event"] for line in written] == ["request_failed"]
    assert "secret" not in log.decode()
    assert {span["name"] for span in spans(tmp_path / "traces")} == {"GET /livez", "GET /bug", "GET /stream"}
