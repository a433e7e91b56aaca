"""What the README has a newcomer type works as it stands there, on a chain with the sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.folder import running_stack
from tests.integration.test_local_up import up

pytestmark = pytest.mark.embedded("what the README starts is that one")

ROOT = Path(__file__).parents[2]
WITHIN_S = 180
# A newcomer reads on while events travel; these wait for what the next lines need.
CASE_IS_KNOWN = """
newest() { curl -s http://127.0.0.1:8002/v1/cases -H "$coordinator" | field '["items"][0]["case"]'; }
until curl -s "http://127.0.0.1:8002/v1/cases/$(newest)" -H "$coordinator" | grep -q "$signal"; do sleep 0.1; done
"""
REFERRAL_IS_KNOWN = """
until curl -sf "http://127.0.0.1:8001/v1/referrals/$referral/person" -H "$coordinator"; do sleep 0.1; done
until curl -sf "http://127.0.0.1:8003/v1/referrals/$referral" -H "$coordinator"; do sleep 0.1; done
"""
TRACE_IS_WRITTEN = """
until hulpketen trace "$referral" 2>/dev/null | grep -q accepted; do sleep 0.2; done
"""


class Readme:
    """The README's blocks, with the ports of a stack for those of `make up`."""

    def __init__(self, data: Path) -> None:
        self.base = int(running_stack(data)["issuer"].rpartition(":")[2])
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "HULPKETEN_DATA": str(data), "PATH": path, "COLUMNS": "160"}

    def here(self, text: str) -> str:
        """The text with this stack's ports."""
        return re.sub(r"127\.0\.0\.1:800(\d)", lambda port: f"127.0.0.1:{self.base + int(port[1])}", text)

    def blocks(self, section: str, language: str) -> list[str]:
        """All blocks of a section."""
        text = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        return re.findall(rf"^```{language}\n(.*?)^```", self.here(text), re.DOTALL | re.MULTILINE)

    def run(self, script: str) -> str:
        """What bash prints; it stops at the first error."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readme]:
    folder = tmp_path_factory.mktemp("readme")
    with up(folder):
        yield Readme(folder)


def test_the_first_signal_becomes_a_referral_that_a_partner_follows(readme: Readme) -> None:
    who, send, look, refer, answer, watch, trace = readme.blocks("A first signal", "sh")
    until_ctrl_c = watch.replace("curl -sN", "curl -sN --max-time 3").rstrip() + " || true\n"
    steps = (who, send, CASE_IS_KNOWN, look, refer, REFERRAL_IS_KNOWN, answer, until_ctrl_c, TRACE_IS_WRITTEN, trace)
    said = readme.run("".join(map(readme.here, steps)) + '\necho "token=$TOKEN"')
    assert '"status": "received"' in said
    assert '"name": "D. Verzonnen"' in said
    assert '"status": "accepted"' in said
    assert '"change":"referrals.made"' in said
    assert '"change":"referrals.accepted"' in said
    assert re.search(readme.here(r'"dataref":"http://127.0.0.1:8001/v1/referrals/[0-9a-f-]{36}/person"'), said)
    assert "process cases referrals.made.v1" in said

    token = said.rpartition("token=")[2].strip()
    _a_partner_subscribes(readme, token)


def _a_partner_subscribes(readme: Readme, token: str) -> None:
    (program,) = readme.blocks("A partner subscribes", "python")
    assert len([line for line in program.splitlines() if line]) <= 15
    environment = readme.environment | {"TOKEN": token}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as partner:
        too_late = threading.Timer(WITHIN_S, partner.kill)
        too_late.start()
        try:
            assert partner.stdout
            (first, *made), (second, *accepted) = (partner.stdout.readline().split() for _ in range(2))
            assert (made, accepted) == (["referrals.made", "made"], ["referrals.accepted", "accepted"])
            assert 0 < int(first) < int(second)  # between them may be checkpoints of the trail
        finally:
            too_late.cancel()
            partner.kill()
