"""The image, and docker-compose.yml with a small demo on it. The images that it takes are those of the environment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import ports
from deploy.local.access import CLI_CLIENT

ROOT = Path(__file__).parents[2]
IMAGE = "hulpketen:test"
# With a base of some 130 MB together 250 at most; what is added now is 119.
OWN_LAYERS_MB = 120
WITHIN_S = 1200
HULPKETEN = (sys.executable, "-c", "from cli.main import main; main()")
ONCE = {"secrets", "database", "topics"}
PIECES = {"kafka", "mongo", "intake", "matching", "notifications", "audit", "issuer", "proxy"}


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def image(container_engine: None) -> str:
    if shutil.which("docker") is None:
        _missing("there is no command docker")
    has_buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0
    run("docker", "build", "--quiet", "--network", "host", "--tag", IMAGE, ".", DOCKER_BUILDKIT="01"[has_buildx])
    return IMAGE


class Stack:
    """A project of its own, on a port of its own."""

    def __init__(self, generated: Path) -> None:
        self.generated = generated
        port = ports.free_base()
        self.url = f"https://localhost:{port}"
        self.environment = {
            "COMPOSE_PROJECT_NAME": f"hulpketen-test-{os.getpid()}",
            "HULPKETEN_IMAGE": IMAGE,
            "HULPKETEN_URL": self.url,
            "HULPKETEN_PORT": str(port),
            "HULPKETEN_GENERATED": str(generated),
        }

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, **self.environment)

    def containers(self) -> dict[str, list[dict[str, Any]]]:
        """What Docker says of each container, by service."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in json.loads(run("docker", "inspect", *self.compose("ps", "--all", "--quiet").split())):
            found.setdefault(each["Config"]["Labels"]["com.docker.compose.service"], []).append(each)
        return found

    def client(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=self.generated / "ca.pem")
        return httpx.Client(base_url=self.url, verify=trust, trust_env=False, timeout=60)


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        _missing("Docker has no plugin compose, version 2")
    stack = Stack(tmp_path_factory.mktemp("generated"))
    try:
        try:
            stack.compose("up", "--detach", "--wait")
        except AssertionError:
            with contextlib.suppress(AssertionError):
                sys.stderr.write(stack.compose("logs", "--tail", "20"))
            raise
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")


def _missing(what: str) -> None:
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {what}")
    pytest.skip(what)


def in_image(*command: str) -> str:
    return run("docker", "run", "--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", IMAGE, *command)


def test_the_image_runs_as_nobody_on_a_root_that_is_not_written_to(image: str) -> None:
    assert in_image("id", "-u").strip() == "10001"
    assert "topics" in in_image("hulpketen", "--help")


def test_the_image_has_neither_installers_nor_compilers(image: str) -> None:
    tools = "pip pip3 gcc cc g++ make curl git"
    assert in_image("sh", "-c", f"for tool in {tools}; do command -v $tool; done; true").strip() == ""
    find = "import importlib.util as u; print([n for n in ('pip', 'setuptools', 'ensurepip') if u.find_spec(n)])"
    assert in_image("python", "-c", find).strip() == "[]"


def test_the_image_lists_every_package_that_is_in_it(image: str) -> None:
    listed = {
        (each["name"].lower().replace("_", "-").replace(".", "-"), each["version"])
        for each in json.loads(in_image("cat", "/opt/sbom.cdx.json"))["components"]
    }
    ask = """
import importlib.metadata, sysconfig
for found in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
    print(f"{found.name}=={found.version}")
"""
    there = in_image("python", "-c", ask).split()
    assert len(there) > 30
    for each in there:
        name, _, version = each.partition("==")
        assert (re.sub(r"[_.]", "-", name.lower()), version) in listed


def test_the_image_knows_the_public_holidays(image: str) -> None:
    ask = "import datetime, services.audit.working_hours as w; print(datetime.date(2026, 4, 27) in w.PUBLIC_HOLIDAYS)"
    assert in_image("python", "-c", ask).strip() == "True"


def test_what_the_image_adds_to_its_base_is_small(image: str) -> None:
    history = run("docker", "history", "--format", "{{.Size}} {{.CreatedBy}}", "--no-trunc", "--human=false", IMAGE)
    own = history.partition("ensurepip")[0].splitlines()
    assert sum(int(line.split()[0]) for line in own) < OWN_LAYERS_MB * 1_000_000


def test_only_the_port_of_the_proxy_is_open(stack: Stack) -> None:
    found = stack.containers()
    assert set(found) == PIECES | ONCE
    assert len(found["matching"]) == 2
    opened = {
        (service, bound["HostIp"])
        for service, containers in found.items()
        for each in containers
        for bindings in each["NetworkSettings"]["Ports"].values()
        for bound in bindings or ()
    }
    assert opened == {("proxy", "127.0.0.1")}


def test_no_container_has_more_rights_than_it_needs(stack: Stack) -> None:
    for service, containers in stack.containers().items():
        for each in containers:
            host = each["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert any("no-new-privileges" in option for option in host["SecurityOpt"]), service
            assert host["Memory"], service
            assert host["LogConfig"]["Config"]["max-size"], service
            if service != "secrets":
                assert each["Config"]["User"].split(":")[0] not in ("", "0", "root"), service
                assert not host["CapAdd"], service


def test_no_password_is_in_an_environment(stack: Stack) -> None:
    secrets = stack.compose(
        "run", "--rm", "--no-deps", "-T", "secrets", "sh", "-c", "cat /volumes/secrets/* /volumes/secrets-topics/*"
    )
    for containers in stack.containers().values():
        for each in containers:
            values = [variable.partition("=")[2] for variable in each["Config"]["Env"]]
            assert not [value for value in values if len(value) >= 32 and value in secrets]


def test_a_service_sees_its_own_database_alone(stack: Stack) -> None:
    ask = """
from pathlib import Path
from pymongo import MongoClient
from pymongo.errors import OperationFailure
client = MongoClient(Path("/run/secrets/mongo_uri").read_text())
print(len(client["hulpketen_intake"].list_collection_names()) > 0)
try:
    client["hulpketen_matching"]["cases"].find_one()
except OperationFailure as error:
    print(error.code)
"""
    assert stack.compose("exec", "-T", "intake", "python", "-c", ask).split() == ["True", "13"]


def test_somebody_signs_in_at_the_board_through_the_proxy(stack: Stack) -> None:
    with stack.client() as browser:
        page = browser.get("/login", follow_redirects=True)
        assert page.url.path == "/issuer/authorize"
        hidden = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text))
        login = re.search(r'value="(coordinator-[^"]+)"', page.text)
        assert login
        form = dict(page.url.params) | {k: v for k, v in hidden.items() if k not in page.url.params}
        form["login"] = login[1]
        board = browser.post(page.url.copy_with(query=None), data=form, follow_redirects=True)
        assert (board.status_code, board.url.path) == (200, "/")
        assert browser.get("/board/me").json()["organisation"]


def test_what_is_for_operations_asks_who_comes_from_outside_for_a_token(stack: Stack) -> None:
    with stack.client() as outside:
        for service in ("intake", "matching", "notifications", "audit"):
            for path in ("livez", "readyz"):
                assert outside.get(f"/{service}/{path}").status_code == 404
            for path in ("metrics", "openapi.json", "v1/operations/dead-letters"):
                assert outside.get(f"/{service}/{path}").status_code == 401


def test_a_demo_on_it_loses_nothing(stack: Stack) -> None:
    demo = [*HULPKETEN, "demo", "--signals", "40", "--json"]
    figures = json.loads(run(*demo, "--stack", str(stack.generated / "stack.json")))
    assert figures["lost"] == 0
    assert figures["doubled"] == 0


def test_an_auditor_checks_the_whole_trail_from_outside(stack: Stack, tmp_path: Path) -> None:
    secret = (stack.generated / "keys" / f"{CLI_CLIENT}.secret").read_text()
    with stack.client() as outside:
        asked = {"grant_type": "client_credentials", "role": "auditor"}
        token = outside.post("/issuer/token", data=asked, auth=(CLI_CLIENT, secret)).json()["access_token"]
    verify = [*HULPKETEN, "audit", "verify", "--url", f"{stack.url}/audit", "--memory", str(tmp_path / "seen.json")]
    said = run(*verify, TOKEN=token, SSL_CERT_FILE=str(stack.generated / "ca.pem"), NO_PROXY="localhost")
    assert "trail: localhost/hulpketen" in said
    assert "each as it was signed" in said


def test_coming_up_again_changes_nothing(stack: Stack) -> None:
    secret = (stack.generated / "keys" / f"{CLI_CLIENT}.secret").read_text()
    before = {each["Id"] for containers in stack.containers().values() for each in containers}
    stack.compose("up", "--detach", "--wait")
    after = {each["Id"] for containers in stack.containers().values() for each in containers}
    assert after == before
    assert (stack.generated / "keys" / f"{CLI_CLIENT}.secret").read_text() == secret
