"""Nodes of Kafka and services are restarted while the chain works: nothing is lost, doubled or put out of order.

Three nodes, three copies of every topic of which two must be in step, and every service with its own rights alone:
as in production.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from random import Random

from typer.testing import CliRunner

from cli.demo.progress import Show
from cli.demo.report import MUST_BE_ZERO
from cli.demo.run import Plan, run_on
from cli.demo.target import local
from cli.demo.world import World
from cli.main import app
from deploy.kafka.desired import desired
from deploy.local.ports import SERVICES
from deploy.local.services import Elsewhere
from deploy.local.stack import LocalStack
from tests.conftest import variables
from tests.containers.engine import ADMIN, Kafka, Mongo

SIGNALS = 60
KILLED, STOPPED = 2, 3
NODE_DIES, NODE_IS_BACK, NODE_STOPS = "a node dies", "it is back", "another is restarted"
FOLLOWERS = [helper.id for helper in World().helpers if helper.kafka]


class InTurn(Random):
    """Moments one after another, evenly over the demo, instead of at random."""

    def __init__(self, count: int) -> None:
        super().__init__(0)
        self._count = count
        self._n = 0

    def uniform(self, a: float, b: float) -> float:
        self._n += 1
        return a + (b - a) * self._n / (self._count + 1)


class RollingPlan(Plan):
    """A demo in which everything is restarted in the order of `kill`."""

    def dice(self, what: str) -> Random:
        return InTurn(len(self.kill)) if what == "killer" else super().dice(what)


def prepare(kafka: Kafka, passwords: Path) -> None:
    """Topics, users and rights, as an administrator makes them."""
    for user in (*SERVICES, *(f"partner-{each}" for each in FOLLOWERS)):
        (passwords / user).write_text(secrets.token_urlsafe(16))
    words = [word for each in FOLLOWERS for word in ("--organisation", each)]
    done = CliRunner().invoke(
        app, ["topics", "apply", "--passwords", str(passwords), *words], env=variables(kafka.settings(ADMIN))
    )
    assert done.exit_code == 0, done.output


def around(kafka: Kafka, mongo: Mongo, passwords: Path) -> Elsewhere:
    """How each service signs in."""
    partitions = desired("production").topics["signals"].partitions
    common = {"security_protocol": "SASL_PLAINTEXT", "partitions": partitions, "session_timeout_ms": 6000}
    users = {
        name: variables({**common, "sasl_username": name, "sasl_password": (passwords / name).read_text()})
        for name in SERVICES
    }
    return Elsewhere(kafka.bootstrap, users, mongo.uri)


class Operator:
    """Restarts what the demo says, without waiting until it is back."""

    def __init__(self, kafka: Kafka, stack: LocalStack) -> None:
        self._kafka = kafka
        self._stack = stack
        self._work: list[asyncio.Task[None]] = []

    def restart(self, name: str) -> None:
        """One of the steps, or a service."""
        if name in SERVICES:
            self._stack.process(name).roll()
            return
        before = self._work[-1:]
        self._work.append(asyncio.create_task(self._node(name, before)))

    async def done(self) -> None:
        """Until all nodes are back, with all copies in step."""
        await asyncio.gather(*self._work)
        await asyncio.to_thread(self._kafka.wait_in_sync)

    async def _node(self, step: str, before: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*before)
        await asyncio.to_thread(self._do, step)

    def _do(self, step: str) -> None:
        if step == NODE_DIES:
            self._kafka.kill(KILLED)
        elif step == NODE_IS_BACK:
            self._kafka.start(KILLED)
        else:
            # With two of three away nobody could write.
            self._kafka.wait_in_sync()
            self._kafka.stop(STOPPED)
            self._kafka.start(STOPPED)


async def test_nodes_and_services_are_restarted_in_turn_and_nothing_is_lost(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.mkdir()
    steps = [NODE_DIES, *SERVICES, NODE_IS_BACK, NODE_STOPS]
    with Kafka(nodes=3) as kafka, Mongo() as mongo:
        await asyncio.to_thread(prepare, kafka, passwords)
        async with LocalStack(tmp_path / "data", elsewhere=around(kafka, mongo, passwords)) as stack:
            operator = Operator(kafka, stack)
            plan = RollingPlan(SIGNALS, 1, steps)
            figures, wrong = await run_on(local(stack, kafka.client(ADMIN)), plan, Show(SIGNALS), operator.restart)
            await operator.done()
            starts = {name: stack.process(name).starts for name in SERVICES}

    assert {name: figures[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0), wrong
    assert figures["statusesSeen"] == figures["statusesExpected"] > figures["referrals"]
    assert starts == dict.fromkeys(SERVICES, 2)
