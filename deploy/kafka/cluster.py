"""A cluster as an administrator sees it: reads what is there, and makes changes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from hulpketen_contracts import DecodeError, OrganisationChanged, decode

from deploy.kafka.desired import Right, Topic
from deploy.kafka.difference import Change, Present
from deploy.kafka.quotas import read_quotas, write_quota
from services.chassis.kafka_connection import connection
from services.chassis.settings import KafkaSettings

_WITHIN_S = 30
_SCRAM = ScramMechanism.SCRAM_SHA_512
_ITERATIONS = 4096
_DIRECTORY = "directory"
_READ_S = 60.0


class PasswordMissing(Exception):
    """A user cannot be made, since no file has its password; the text says which."""


class DirectoryUnread(Exception):
    """Who the partners are cannot be told from the topic `directory`; the text says why."""


class Cluster:
    """The cluster of these settings, whose user is an administrator. Raises KafkaException, KafkaError."""

    def __init__(self, settings: KafkaSettings, passwords: Path | None = None) -> None:
        """`passwords`: a folder with a file for each user to be made."""
        self._settings = settings
        self._passwords = passwords
        self._admin = AdminClient(_configuration(settings))
        self._quotas: Mapping[str, Mapping[str, float]] = {}

    def brokers(self) -> int:
        """How many there are."""
        return len(self._admin.list_topics(timeout=_WITHIN_S).brokers)

    def present(self, keys: Collection[str]) -> Present:
        """What it holds; of topics the settings with these names."""
        found = self._admin.list_topics(timeout=_WITHIN_S).topics
        names = [name for name in found if not name.startswith("__")]
        configs = self._configs(names)
        self._quotas = asyncio.run(read_quotas(self._settings))
        rights = self._rights()
        users: Any = self._admin.describe_user_scram_credentials()
        return Present(
            {
                name: Topic(
                    name,
                    len(found[name].partitions),
                    len(found[name].partitions[0].replicas),
                    {key: configs[name][key].value for key in keys if key in configs[name]},
                )
                for name in names
            },
            frozenset(_right(acl) for acl in rights if _plain(acl)),
            self._quotas,
            frozenset(name for name, user in users.result(_WITHIN_S).items() if _signs_in(user)),
            tuple(sorted(_words(acl) for acl in rights if not _plain(acl))),
        )

    def organisations(self) -> list[str]:
        """Who chose Kafka, by the topic `directory`. Raises DirectoryUnread where it cannot be read whole."""
        if _DIRECTORY not in self._admin.list_topics(timeout=_WITHIN_S).topics:
            raise DirectoryUnread("there is no topic directory yet")
        return asyncio.run(_organisations(self._settings))

    def make(self, change: Change) -> None:
        """Raises PasswordMissing, beside what the class says."""
        getattr(self, "_" + change.what.replace("-", "_"))(change.it)

    def _configs(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._admin.describe_configs(resources) if resources else {}
        return {resource.name: answer.result(_WITHIN_S) for resource, answer in answers.items()}

    def _rights(self) -> list[Any]:
        every: Any = None  # its types do not say that None stands for all
        anything = (AclOperation.ANY, AclPermissionType.ANY)
        everything = AclBindingFilter(ResourceType.ANY, every, ResourcePatternType.ANY, every, every, *anything)
        return list(self._admin.describe_acls(everything).result(_WITHIN_S))

    def _make_topic(self, topic: Topic) -> None:
        new = NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config))
        _done(self._admin.create_topics([new]))

    def _add_partitions(self, topic: Topic) -> None:
        _done(self._admin.create_partitions([NewPartitions(topic.name, topic.partitions)]))

    def _set_config(self, it: tuple[str, str, str]) -> None:
        name, key, value = it
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        _done(self._admin.incremental_alter_configs([resource]))

    def _make_user(self, user: str) -> None:
        password = self._password(user)
        made = UserScramCredentialUpsertion(user, ScramCredentialInfo(_SCRAM, _ITERATIONS), password)
        _done(self._admin.alter_user_scram_credentials([made]))

    def _password(self, user: str) -> bytes:
        path = self._passwords / user if self._passwords else None
        try:
            password = path.read_text(encoding="utf-8").strip() if path else ""
        except (OSError, UnicodeDecodeError):
            password = ""
        if not password:
            raise PasswordMissing(f"user {user}: no file {path or user} with its password can be read (--passwords)")
        return password.encode()

    def _give_right(self, right: Right) -> None:
        _done(self._admin.create_acls([_binding(right, AclBinding)]))

    def _set_quota(self, it: tuple[str, Mapping[str, float]]) -> None:
        user, quota = it
        asyncio.run(write_quota(self._settings, user, quota, self._quotas.get(user, {})))

    def _take_right(self, right: Right) -> None:
        _done(self._admin.delete_acls([_binding(right, AclBindingFilter)]))

    def _remove_user(self, user: str) -> None:
        _done(self._admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, _SCRAM)]))

    def _remove_quota(self, user: str) -> None:
        asyncio.run(write_quota(self._settings, user, {}, self._quotas.get(user, {})))

    def _remove_topic(self, name: str) -> None:
        _done(self._admin.delete_topics([name]))


def _done(answers: Mapping[Any, Any]) -> None:
    for answer in answers.values():
        answer.result(_WITHIN_S)


def _plain(acl: Any) -> bool:
    return bool(acl.permission_type == AclPermissionType.ALLOW and acl.host == "*")


def _right(acl: Any) -> Right:
    prefix = acl.resource_pattern_type == ResourcePatternType.PREFIXED
    return Right(acl.principal.removeprefix("User:"), acl.restype.name, acl.name, acl.operation.name, prefix)


def _words(acl: Any) -> str:
    user, kind = acl.principal.removeprefix("User:"), acl.restype.name.lower()
    verb = "may" if acl.permission_type == AclPermissionType.ALLOW else "may not"
    return f"{user} {verb} {acl.operation.name.lower()} {kind} {acl.name} from {acl.host}"


def _signs_in(user: Any) -> bool:
    return any(known.mechanism == _SCRAM for known in user.scram_credential_infos)


def _binding(right: Right, make: Any) -> Any:
    pattern = ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL
    kind, operation = ResourceType[right.kind], AclOperation[right.operation]
    return make(kind, right.name, pattern, f"User:{right.user}", "*", operation, AclPermissionType.ALLOW)


def _configuration(settings: KafkaSettings) -> dict[str, Any]:
    """The settings in librdkafka's words."""
    password = settings.sasl_password
    said: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap,
        "security.protocol": settings.security_protocol,
        "ssl.ca.location": settings.ca_file and str(settings.ca_file),
        "ssl.certificate.location": settings.cert_file and str(settings.cert_file),
        "ssl.key.location": settings.key_file and str(settings.key_file),
        "sasl.mechanism": settings.sasl_mechanism if settings.security_protocol.startswith("SASL") else None,
        "sasl.username": settings.sasl_username,
        "sasl.password": password.get_secret_value() if password else None,
        # It would write to standard error beside what the command says.
        "log_level": 0,
    }
    return {name: value for name, value in said.items() if value is not None}


async def _organisations(settings: KafkaSettings) -> list[str]:
    """The topic from beginning to end; of each organisation the latest counts. Raises DirectoryUnread."""
    latest: dict[str, tuple[tuple[int, int], bool]] = {}
    consumer = AIOKafkaConsumer(
        _DIRECTORY, **connection(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        async with asyncio.timeout(_READ_S):
            await consumer.start()
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        _take(record, latest)
    except TimeoutError as error:
        raise DirectoryUnread(f"the topic directory was not read to its end within {_READ_S:.0f} s") from error
    finally:
        await consumer.stop()
    return sorted(organisation for organisation, (_, kafka) in latest.items() if kafka)


def _take(record: Any, latest: dict[str, tuple[tuple[int, int], bool]]) -> None:
    try:
        envelope, data = decode(record.headers, record.value)
    except DecodeError as error:
        raise DirectoryUnread(f"a record of the topic directory cannot be read ({error})") from error
    if isinstance(data, OrganisationChanged):
        version = (envelope.streamepoch, envelope.streamseq)
        if version >= latest.get(data.organisation, (version, False))[0]:
            latest[data.organisation] = (version, data.kafka)
