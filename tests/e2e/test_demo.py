"""The demo as a person runs it: the whole chain, with the world around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.demo.report import MUST_BE_ZERO
from tests.integration.test_local_up import up

pytestmark = pytest.mark.embedded("the command starts a chain of its own")

COMMAND = Path(sys.executable).with_name("hulpketen")
DELIVERY = Path(__file__).with_name("delivery.json")


def hulpketen(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)


def test_a_demo_ends_with_nothing_lost_doubled_or_told() -> None:
    done = hulpketen("demo", "--signals", "60", "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {name: figures[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
    assert figures["helpStarted"] > 0
    assert figures["statusesSeen"] == figures["statusesExpected"] > figures["referrals"]
    assert figures["auditEntries"] > figures["signals"]


def test_a_stack_that_has_seen_the_same_demo_does_not_mix_them_up(tmp_path: Path) -> None:
    with up(tmp_path, "--no-sample"):
        for _ in range(2):
            done = hulpketen(
                "demo", "--stack", str(tmp_path / "stack.json"), "--signals", "10", "--seed", "7", "--json"
            )
            assert done.returncode == 0, done.stderr
            figures = json.loads(done.stdout)
            assert {name: figures[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
            assert figures["leftOut"] == ["traces", "logs"]


def test_nothing_is_killed_in_a_stack_that_others_use(tmp_path: Path) -> None:
    done = hulpketen("demo", "--stack", str(tmp_path / "stack.json"), "--kill", "broker")

    assert done.returncode == 1
    assert "--kill" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def delivery() -> dict[str, Any]:
    return dict(json.loads(DELIVERY.read_text(encoding="utf-8")))


def test_each_record_of_a_delivery_is_taken_or_refused_with_its_reasons(delivery: dict[str, Any]) -> None:
    done = hulpketen("demo", "--ddas", str(DELIVERY), "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    records = sum(len(part["vroegsignalen"]) for part in delivery["leveringen"])
    assert figures["records"] == records == figures["taken"] + figures["refused"]
    assert figures["refused"] == len(figures["reasons"]) > 0
    assert figures["taken"] > 0


def test_a_file_that_is_no_delivery_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "no-delivery.json"
    file.write_text("{", encoding="utf-8")

    done = hulpketen("demo", "--ddas", str(file), "--json")

    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
