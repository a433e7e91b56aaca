"""`python -m deploy.compose.issuer`: the sample issuer, its mailbox and its start page, for trying out.

Whoever reaches it may be anybody, without a password. So it answers on this machine alone: its address must be that of
localhost, and for anything else there is Keycloak.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.folder import DataFolder
from deploy.local.issuer import Issuer
from deploy.local.ports import SERVICES
from deploy.local.sample import load_sample
from deploy.local.server import IssuerServer

_DATA = Path("/var/lib/hulpketen")
_NAME, _AGAIN_S = "issuer", 2.0


async def serve(url: str, port: int) -> None:
    """Until SIGTERM. The made-up municipality is brought in as soon as the services are there."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with DataFolder(_DATA) as folder:
        issuer = Issuer(folder, f"{url}/issuer", [url], inside=f"http://{_NAME}:{port}")
        pages = dict.fromkeys(("intake", "notifications"), url)
        async with IssuerServer(issuer, port, pages, listen="0.0.0.0", known_as=(_NAME,)):  # noqa: S104
            loading = asyncio.create_task(_load(folder, issuer))
            await stop.wait()
            loading.cancel()


async def _load(folder: DataFolder, issuer: Issuer) -> None:
    addresses = {name: f"http://{name}:8080" for name in SERVICES}
    said = ""
    while True:
        try:
            await load_sample(folder, addresses, issuer.machine_token, datetime.now(UTC).date())
        except StackError as error:
            if str(error) != said:
                said = str(error)
                sys.stderr.write(f"not yet: {said}\n")
            await asyncio.sleep(_AGAIN_S)
        else:
            sys.stderr.write("the made-up municipality is there\n")
            return


def main() -> None:
    """Run it with the address that browsers have."""
    try:
        asyncio.run(serve(os.environ["HULPKETEN_URL"].rstrip("/"), int(os.environ["HTTP_PORT"])))
    except StackError as error:
        sys.exit(f"issuer: {error}")


if __name__ == "__main__":
    main()
