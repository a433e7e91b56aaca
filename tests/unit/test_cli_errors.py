"""Every command has help with an example, and answers an error with one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    ["up"],
    ["token"],
    ["trace"],
    ["republish"],
    ["migrate"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["dead-letters", "skip"],
    ["contracts", "check"],
    ["contracts", "export"],
    ["audit", "verify"],
    ["audit", "prove"],
    ["audit", "check"],
    ["audit", "export"],
    ["audit", "tamper-test"],
]
FAILING = [
    ["token", "--role", "partner"],
    ["trace", "0f8fad5b"],
    ["republish", "--since", "2026-11-01"],
    ["migrate", "--plan"],
    ["dead-letters", "list"],
    ["dead-letters", "skip", "1", "--reason", "a test"],
    ["audit", "verify"],
    ["audit", "prove", "0f8fad5b-d9cb-469f-a165-70867728950e"],
    ["audit", "export", "-o", "trail.zip"],
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_gives_an_example(command: list[str]) -> None:
    shown = run(*command, "--help")
    assert shown.returncode == 0
    assert "Example:" in shown.stdout


@pytest.mark.parametrize("command", FAILING, ids=" ".join)
def test_without_a_stack_a_command_says_so_in_one_line(command: list[str], tmp_path: Path) -> None:
    failed = run(*command, "--data", str(tmp_path))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert len(failed.stderr.splitlines()) == 1
    assert str(tmp_path) in failed.stderr


def test_a_port_base_without_room_is_refused(tmp_path: Path) -> None:
    failed = run("up", "--data", str(tmp_path), "--port-base", "65534")
    assert failed.returncode == 1
    assert failed.stderr == "hulpketen: port base 65534 is not between 1024 and 65529\n"


def test_a_municipality_that_is_no_code_is_refused(tmp_path: Path) -> None:
    failed = run("token", "--role", "sender", "--municipality", "12", "--data", str(tmp_path))
    assert failed.returncode == 1
    assert failed.stderr == "hulpketen: '12' is no municipality: give its code of four digits, such as 0106\n"


def test_what_will_be_published_cannot_be_published_again(tmp_path: Path) -> None:
    failed = run("republish", "--since", "2999-01-01", "--data", str(tmp_path))
    assert failed.returncode == 1
    assert failed.stderr == "hulpketen: 2999-01-01 00:00:00 lies in the future: nothing was published since then\n"
