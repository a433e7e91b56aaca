"""A program for test_serve: serves an application with a stream that ends when the server is asked to stop."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from services.chassis.settings import AuthSettings, HttpSettings, TelemetrySettings
from services.chassis.web import create_app, serve
from tests.unit.chassis.test_web import Runtime
from tests.unit.chassis.unconnected import unconnected


def main(folder: Path, port: int) -> None:
    """Serve on `port`, with traces and keys below `folder`."""
    settings = unconnected(
        folder,
        http=HttpSettings(port=port, shutdown_s=30),
        auth=AuthSettings(issuer="http://127.0.0.1:1", audience="test"),
        telemetry=TelemetrySettings(exporter="file", directory=folder / "traces", sample_ratio=1),
    )
    router = APIRouter()

    @router.get("/stream")
    async def stream(request: Request) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"begun\n"
            await request.app.state.stopping.wait()
            yield b"ended\n"

        return StreamingResponse(chunks())

    @router.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret")

    serve(create_app("test", runtime=Runtime(), settings=settings, routers=[router]), settings.http)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
