"""`hulpketen up` as a person uses it: start, use, stop; and what the other commands say of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.access import SCOPES
from deploy.local.folder import running_stack
from deploy.local.ports import SERVICES, free_base
from deploy.local.sample import read
from tests.integration.test_local_process import gone

pytestmark = pytest.mark.embedded("the command that starts it")


def hulpketen(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from cli.main import main; main()", *arguments]


def ask(data: Path, *arguments: str) -> str:
    done = subprocess.run(hulpketen(*arguments, "--data", str(data)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def up(data: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A stack that has said that it runs."""
    command = hulpketen("up", "--data", str(data), "--port-base", str(free_base()), *options)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if "Stop with Ctrl-C" in line:
                break
        assert "The chain runs" in "".join(said), process.stderr.read() if process.stderr else ""
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a running stack with the sample."""
    folder = tmp_path_factory.mktemp("up")
    with up(folder):
        yield folder


def get(data: Path, service: str, path: str, role: str, organisation: str | None = None) -> Any:
    chosen = ["--organisation", organisation] if organisation else []
    token = ask(data, "token", "--role", role, *chosen).strip()
    url = f"{running_stack(data)[service]}{path}"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=20)


def test_the_sample_came_in_through_the_public_interfaces(data: Path) -> None:
    listed = get(data, "matching", "/v1/services", "coordinator").json()["items"]
    assert {each["id"] for each in listed} == {each["id"] for each in read("services")}
    end = time.monotonic() + 20
    while len(cases := get(data, "matching", "/v1/cases", "coordinator").json()["items"]) < 5:
        assert time.monotonic() < end
    assert {case["kind"] for case in cases} == {"single", "multiple"}


@pytest.mark.parametrize("role", SCOPES)
def test_token_prints_a_token_and_nothing_else(data: Path, role: str) -> None:
    assert ask(data, "token", "--role", role).count(".") == 2


def test_an_unknown_role_is_answered_with_the_roles(data: Path) -> None:
    failed = subprocess.run(
        hulpketen("token", "--role", "boss", "--data", str(data)), capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.strip().endswith("choose one of " + ", ".join(SCOPES))


@pytest.mark.parametrize(
    ("role", "organisation", "said"),
    [
        ("partner", "nobody", "there is no organisation 'nobody'"),
        ("sender", "maatjes-voorbeeld", "the role sender is not for 'maatjes-voorbeeld'"),
    ],
)
def test_a_token_for_who_is_not_there_or_has_another_role_is_refused(
    data: Path, role: str, organisation: str, said: str
) -> None:
    command = hulpketen("token", "--role", role, "--organisation", organisation, "--data", str(data))
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert said in failed.stderr
    assert "gemeente-assen" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_an_organisation_that_was_added_to_the_directory_gets_a_token(data: Path) -> None:
    token = ask(data, "token", "--role", "coordinator").strip()
    body = {"name": "Nieuw", "kind": "volunteers", "municipalities": ["0106"]}
    url = f"{running_stack(data)['matching']}/v1/organisations/nieuw"
    put = httpx.put(url, json=body, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=20)
    assert put.status_code == 200
    assert ask(data, "token", "--role", "partner", "--organisation", "nieuw").count(".") == 2


def test_operations_find_every_service(data: Path) -> None:
    assert ask(data, "dead-letters", "list") == "There are no dead letters.\n"
    published = ask(data, "republish", "--since", "2020-01-01").splitlines()
    assert [line.split(":")[0] for line in published] == list(SERVICES)
    assert not any(" 1 batches" in line for line in published)


def test_a_trace_is_shown_for_a_signal(data: Path) -> None:
    case = get(data, "matching", "/v1/cases", "coordinator").json()["items"][0]
    end = time.monotonic() + 20
    while not any(case["case"] in path.read_text() for path in (data / "traces").glob("*.jsonl")):
        assert time.monotonic() < end
    assert "trace" in ask(data, "trace", case["case"])


def test_ctrl_c_stops_everything_even_when_pressed_again_and_the_data_stays(tmp_path: Path) -> None:
    with up(tmp_path) as process:
        pids = running_stack(tmp_path)["pids"]
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert all(gone(pid) for pid in pids.values())
    with up(tmp_path, "--no-sample"):
        listed = get(tmp_path, "matching", "/v1/services", "coordinator").json()["items"]
        assert len(listed) == len(read("services"))
        pids = running_stack(tmp_path)["pids"]
    # `up` of this file ends with kill -9.
    assert all(gone(pid) for pid in pids.values())
    assert json.loads((tmp_path / "sample.json").read_text())["done"]
