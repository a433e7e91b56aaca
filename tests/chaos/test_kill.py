"""kill -9 of each process in the middle of a demo: nothing is lost, doubled or put out of order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.demo import PROCESSES
from cli.demo.report import MUST_BE_ZERO

COMMAND = Path(sys.executable).with_name("hulpketen")
WITHIN_S = 240


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_nothing_is_lost(name: str) -> None:
    arguments = ["demo", "--signals", "40", "--kill", name, "--json"]
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=WITHIN_S, check=False)

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {figure: figures[figure] for figure in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
    assert figures["taken"] + figures["refused"] == figures["signals"]
    assert figures["statusesSeen"] == figures["statusesExpected"] > 0
