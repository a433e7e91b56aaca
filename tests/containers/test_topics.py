"""Topics as code on a real Kafka: what is applied is what is wanted, and everybody may do that and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType
from hulpketen_contracts import TOPICS, Envelope, OrganisationChanged, encode
from typer.testing import CliRunner

from cli.main import app
from deploy.kafka.cluster import Cluster
from deploy.kafka.desired import SERVICES
from deploy.kafka.difference import Change
from deploy.local.errors import StackError
from services.chassis.broker_watch import topics_of
from services.chassis.kafka import KafkaProducer, KafkaSubscriber
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.kafka_connection import connection
from services.chassis.kafka_rights import WRITE
from services.chassis.pipeline.model import Outgoing, Record
from services.chassis.preflight import NotReady
from services.chassis.settings import KafkaSettings
from tests.containers.engine import Kafka
from tests.integration.surroundings import Neighbour

ONE, OTHER = "maatjes-voorbeeld", "maatjes-voorbeeld-noord"
RECORD = encode(
    OrganisationChanged(
        organisation="zonder-kafka", name="Verzonnen", kind="volunteers", municipalities=["9902"], kafka=False
    ),
    Envelope(
        id="6f0f4a0e-3a53-4b57-8e0c-0d2f0a6b9c11",
        source="urn:nld:oin:00000099000000000001:systeem:hulpketen-matching",
        type=OrganisationChanged.TYPE,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        stream="organisation-zonder-kafka",
        streamepoch=1,
        streamseq=1,
    ),
)
"""What the tests write anywhere: on the topic of the directory it may be read."""


class Operator:
    """Somebody who runs the command, with the password files that it needs."""

    def __init__(self, kafka: Kafka, passwords: Path) -> None:
        self.kafka = kafka
        self.passwords = passwords
        for user in (*SERVICES, f"partner-{ONE}", f"partner-{OTHER}"):
            (passwords / user).write_text(f"secret-of-{user}\n")

    def run(self, *words: str) -> list[dict[str, str]]:
        """The changes that `hulpketen topics …` names."""
        found: list[dict[str, str]] = self._said(*words)["changes"]
        return found

    def remarks(self) -> list[str]:
        """What a plan remarks."""
        found: list[str] = self._said("plan", "--organisation", ONE, "--organisation", OTHER)["remarks"]
        return found

    def _said(self, *words: str) -> dict[str, Any]:
        answer = CliRunner().invoke(app, ["topics", *words, "--profile", "single", "--json"], env=self.environment())
        assert answer.exit_code == 0, answer.output
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def apply(self, *words: str) -> list[dict[str, str]]:
        """The same, made."""
        return self.run("apply", "--passwords", str(self.passwords), *words)

    def settings(self, user: str) -> KafkaSettings:
        """How this user signs in."""
        login = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": user, "sasl_password": f"secret-of-{user}"}
        return KafkaSettings(**{**self.kafka.settings("admin"), **login})

    def environment(self) -> dict[str, str]:
        """The administrator's."""
        return {f"KAFKA_{name.upper()}": str(value) for name, value in self.kafka.settings("admin").items()}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    # A cluster of its own: rights are of the whole cluster.
    with Kafka() as kafka:
        operator = Operator(kafka, tmp_path_factory.mktemp("passwords"))
        operator.apply("--organisation", ONE, "--organisation", OTHER)
        yield operator


def test_what_was_applied_needs_nothing_more(operator: Operator) -> None:
    assert operator.run("plan", "--organisation", ONE, "--organisation", OTHER) == []


def test_what_somebody_changed_by_hand_is_put_right(operator: Operator) -> None:
    partners = ("--organisation", ONE, "--organisation", OTHER)
    cluster_settings = operator.kafka.settings("admin")

    cluster = Cluster(KafkaSettings(**cluster_settings))
    cluster.make(Change("set-config", ("cases", "retention.ms", "1000"), ""))
    cluster.make(Change("set-quota", ("intake", {"producer_byte_rate": 5.0}), ""))
    said = [change["change"] for change in operator.apply(*partners)]
    assert any("retention.ms of topic cases" in words for words in said)
    assert any("quota of intake" in words for words in said)
    assert operator.run("plan", *partners) == []


def test_rights_that_nobody_here_gave_are_named(operator: Operator) -> None:
    operator.kafka.allow("mallory", ResourceType.TOPIC, "*", AclOperation.READ)
    audit_is_shut_out = AclBinding(
        ResourceType.TOPIC,
        "signals",
        ResourcePatternType.LITERAL,
        "User:audit",
        "10.0.0.1",
        AclOperation.READ,
        AclPermissionType.DENY,
    )
    for done in operator.kafka.admin.create_acls([audit_is_shut_out]).values():
        done.result(30)
    said = operator.remarks()
    assert any(words.startswith("mallory the right to read topic *") for words in said)
    assert any(words.startswith("audit may not read topic signals from 10.0.0.1") for words in said)


def test_a_user_gets_another_password(operator: Operator) -> None:
    before = operator.settings("intake")
    (operator.passwords / "intake").write_text("another")
    operator.apply("--organisation", ONE, "--organisation", OTHER, "--new-password", "intake")
    asyncio.run(_refused(before))
    (operator.passwords / "intake").write_text("secret-of-intake\n")
    operator.apply("--organisation", ONE, "--organisation", OTHER, "--new-password", "intake")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--organisation", "a.b"], "a.b is no organisation"),
        (["--profile", "production"], "needs 3 brokers"),
        (["--profile", "nothing"], "no profile nothing"),
    ],
)
def test_what_cannot_be_is_said(operator: Operator, words: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, ["topics", "plan", *words], env=operator.environment())
    assert isinstance(answer.exception, StackError)
    assert said in str(answer.exception)


def test_a_password_that_is_missing_is_said_and_the_rest_is_done(operator: Operator, tmp_path: Path) -> None:
    words = ["topics", "apply", "--profile", "single", "--json", "--passwords", str(tmp_path)]
    partners = [word for name in (ONE, OTHER, "zonder") for word in ("--organisation", name)]
    answer = CliRunner().invoke(app, [*words, *partners], env=operator.environment())
    outcomes = {change["change"]: change["outcome"] for change in json.loads(answer.stdout)["changes"]}
    assert isinstance(answer.exception, StackError)
    assert "(--passwords)" in outcomes.pop("make user partner-zonder")
    assert set(outcomes.values()) == {"done"}
    operator.apply("--organisation", ONE, "--organisation", OTHER, "--delete", "--delete-topics")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_do_all_that_it_does(operator: Operator, service: str) -> None:
    settings = operator.settings(service)
    admin, producer = KafkaAdmin(settings), KafkaProducer(settings)
    wanted = topics_of(service)
    await admin.ensure_topics(wanted)
    for name, operations in wanted.items():
        if WRITE in operations:
            for group in TOPICS[name].consumers:
                assert await _patiently(lambda g=group, n=name: admin.committed(g, [(n, 0)]))  # type: ignore[misc]
    await producer.start(await admin.cluster_id())
    written = [name for name, operations in wanted.items() if WRITE in operations]
    assert None not in await producer.send([_record(name) for name in written])
    had = asyncio.Event()

    async def handle(records: Any) -> None:
        had.set()

    read = [name for name, topic in TOPICS.items() if service in topic.consumers]
    subscriber = KafkaSubscriber(settings, service, read, handle, 500)
    await subscriber.start()
    await _as_admin(operator, [_record(name) for name in read])
    async with asyncio.timeout(60):
        await had.wait()
    await subscriber.stop()
    await producer.stop()
    await admin.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_no_topic_of_another(operator: Operator, service: str) -> None:
    foreign = [name for name, topic in TOPICS.items() if service not in topic.producers and "{" not in name]
    if service != "notifications":
        foreign.append(f"partners.{ONE}")
    for name in foreign:
        with pytest.raises(TopicAuthorizationFailedError):
            await _write(operator.settings(service), name)


async def test_notifications_writes_to_partners(operator: Operator) -> None:
    await _write(operator.settings("notifications"), f"partners.{ONE}")


async def test_a_partner_reads_its_own_topic_in_groups_of_its_own(operator: Operator) -> None:
    await _write(operator.settings("notifications"), f"partners.{OTHER}")
    for group in (f"partner-{OTHER}", f"partner-{OTHER}.second"):
        assert await _first(operator.settings(f"partner-{OTHER}"), f"partners.{OTHER}", group) == RECORD.value


@pytest.mark.parametrize(
    "topic", [f"partners.{OTHER}", "signals", "cases", "directory", "processing-log", "checkpoints"]
)
async def test_a_partner_reads_nothing_else(operator: Operator, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await _first(operator.settings(f"partner-{ONE}"), topic, f"partner-{ONE}")


@pytest.mark.parametrize("group", ["audit", "matching", f"partner-{OTHER}", f"partner-{OTHER}.second"])
async def test_a_partner_takes_no_records_from_another_group(operator: Operator, group: str) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await _first(operator.settings(f"partner-{ONE}"), f"partners.{ONE}", group)


async def test_a_partner_writes_nowhere(operator: Operator) -> None:
    for topic in (f"partners.{ONE}", f"partners.{OTHER}", "signals", "cases"):
        with pytest.raises(TopicAuthorizationFailedError):
            await _write(operator.settings(f"partner-{ONE}"), topic)


async def test_a_partner_who_is_not_signed_in_is_not_let_in(operator: Operator) -> None:
    wrong = operator.settings(f"partner-{ONE}").model_copy(update={"sasl_username": "partner-nobody"})
    with pytest.raises(KafkaError):
        await _write(wrong, f"partners.{ONE}")


async def test_the_partners_are_those_of_the_directory_and_who_left_goes_when_told(operator: Operator) -> None:
    admin = KafkaSettings(**operator.kafka.settings("admin"))
    speaker = AIOKafkaProducer(**connection(admin))
    await speaker.start()
    chosen = Neighbour(speaker, "matching")
    for organisation, kafka in ((ONE, True), (OTHER, True), (OTHER, False)):
        event = OrganisationChanged(
            organisation=organisation, name="Verzonnen", kind="volunteers", municipalities=["9902"], kafka=kafka
        )
        await chosen.publish(event, f"organisation-{organisation}")
    await speaker.stop()
    left = await asyncio.to_thread(operator.run, "plan")
    assert {change["outcome"] for change in left} == {"waits for --delete", "waits for --delete-topics"}
    assert all(OTHER in change["change"] for change in left)
    await asyncio.to_thread(operator.apply, "--delete")
    with pytest.raises(KafkaError):
        await _first(operator.settings(f"partner-{OTHER}"), f"partners.{OTHER}", f"partner-{OTHER}")
    kept = await asyncio.to_thread(operator.run, "plan")
    assert [change["outcome"] for change in kept] == ["waits for --delete-topics"]
    await asyncio.to_thread(operator.apply, "--delete", "--delete-topics")
    assert await asyncio.to_thread(operator.run, "plan") == []


async def _patiently(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, as soon as the cluster has a coordinator for groups: it makes one at the first question."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.1)


def _record(topic: str) -> Outgoing:
    return Outgoing(topic, RECORD.key, dict(RECORD.headers), RECORD.value)


async def _write(settings: KafkaSettings, topic: str) -> None:
    producer = AIOKafkaProducer(**connection(settings), acks="all", request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(20):
            await producer.start()
            await producer.send_and_wait(topic, RECORD.value, key=RECORD.key, headers=RECORD.headers)
    finally:
        await producer.stop()


async def _refused(settings: KafkaSettings) -> None:
    admin = KafkaAdmin(settings)
    with pytest.raises(NotReady):
        await admin.check_door()
    await admin.close()


async def _as_admin(operator: Operator, records: list[Outgoing]) -> None:
    for record in records:
        await _write(KafkaSettings(**operator.kafka.settings("admin")), record.topic)


async def _first(settings: KafkaSettings, topic: str, group: str) -> bytes:
    """The first record of the topic, read as this group."""
    consumer = AIOKafkaConsumer(topic, **connection(settings), group_id=group, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            record: Record = await consumer.getone()
            return record.value or b""
    finally:
        await consumer.stop()
