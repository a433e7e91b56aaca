"""The demo on Apache Kafka and MongoDB: the whole chain, with the world around it."""

from __future__ import annotations

from pathlib import Path

from cli.demo.progress import Show
from cli.demo.report import MUST_BE_ZERO
from cli.demo.run import Plan, run_on
from cli.demo.target import local
from deploy.local.stack import LocalStack
from tests.conftest import Infrastructure

SIGNALS = 60


async def test_a_demo_ends_with_nothing_lost_doubled_or_told(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with LocalStack(tmp_path, elsewhere=stack_infra.elsewhere()) as stack:
        figures, wrong = await run_on(local(stack, stack_infra.client), Plan(SIGNALS, seed=1), Show(SIGNALS))

    assert {name: figures[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0), wrong
    assert figures["statusesSeen"] == figures["statusesExpected"] > figures["referrals"]
    assert figures["leftOut"] == []
