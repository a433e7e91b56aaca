"""Keycloak's own distribution as a process, with the realm of `deploy/compose/keycloak`."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import httpx

from deploy.local import ports

VERSION = "26.4.0"
REALM = Path("deploy/compose/keycloak/hulpketen-realm.json")
_CACHE = Path.home() / ".cache" / "hulpketen"
_ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
_FETCH_S, _START_S = 600.0, 420.0
_MISSING = "needs Java 17, and KEYCLOAK_HOME or Maven (mvn), which fetches Keycloak"


class NoKeycloak(Exception):
    """Why there is none on this machine."""


@dataclass(frozen=True)
class Keycloak:
    """A running server: the realm's address, and the secrets that its file was filled with."""

    issuer: str
    board_url: str
    secrets: Mapping[str, str]


def home() -> Path:
    """Where the distribution is; fetched once into the cache of the user. Raises NoKeycloak."""
    if shutil.which("java") is None:
        raise NoKeycloak(_MISSING)
    if given := os.environ.get("KEYCLOAK_HOME"):
        return Path(given)
    found = _CACHE / f"keycloak-{VERSION}"
    if not found.is_dir():
        if shutil.which("mvn") is None:
            raise NoKeycloak(_MISSING)
        _CACHE.mkdir(parents=True, exist_ok=True)
        fetch = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={_CACHE}"]
        done = subprocess.run(fetch, capture_output=True, text=True, timeout=_FETCH_S, check=False)
        if done.returncode:
            raise NoKeycloak(f"Keycloak cannot be fetched: {done.stdout.strip()[:300]}")
        archive = _CACHE / f"keycloak-quarkus-dist-{VERSION}.zip"
        shutil.unpack_archive(archive, _CACHE)
        (found / "bin" / "kc.sh").chmod(0o755)
        archive.unlink()
    return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Keycloak]:
    """Keycloak with the realm, on a free port, with what it writes in `folder`. Raises TimeoutError."""
    place = folder / "keycloak"
    shutil.copytree(home(), place)
    port = ports.free_base()
    names = ("board_secret", "cli_secret", "metrics_secret", "password")
    filled = {name: secrets.token_urlsafe(24) for name in names} | {"url": f"https://localhost:{port + 1}"}
    imported = place / "data" / "import"
    imported.mkdir(parents=True)
    realm = Template(REALM.read_text(encoding="utf-8")).safe_substitute(filled)
    (imported / REALM.name).write_text(realm, encoding="utf-8")
    options = [f"--http-port={port}", "--http-host=127.0.0.1", "--http-relative-path=/auth"]
    with (folder / "keycloak.log").open("wb") as log:
        command = [str(place / "bin" / "kc.sh"), "start-dev", "--import-realm", *options]
        environment = os.environ | {"JAVA_OPTS_KC_HEAP": "-Xmx512m"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        issuer = f"http://127.0.0.1:{port}/auth/realms/hulpketen"
        _wait(issuer, process, folder / "keycloak.log")
        yield Keycloak(issuer, filled["url"], filled)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(issuer: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    with httpx.Client(trust_env=False, timeout=10) as http:
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if http.get(f"{issuer}/.well-known/openid-configuration").is_success:
                    return
            time.sleep(0.5)
    raise TimeoutError(f"Keycloak did not come up; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")
