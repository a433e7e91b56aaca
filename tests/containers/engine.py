"""Apache Kafka and MongoDB in containers, as they are in production: sign-in, rights, replica sets."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import docker
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from docker.errors import DockerException
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from deploy.local import ports

KAFKA_IMAGE = os.environ.get("KAFKA_IMAGE", "apache/kafka:4.1.1")
MONGO_IMAGE = os.environ.get("MONGO_IMAGE", "mongo:8.0")
ADMIN = "admin"
REPLICA_SET = "rs0"
_WITHIN_S = 180.0
_INSIDE = 19092
_CONTROLLER = 9093
_NOT_YET_INITIALISED = 94


def why_not() -> str | None:
    """Why no container can be started here; None where an engine answers."""
    try:
        client = docker.from_env()
        try:
            client.ping()
        finally:
            client.close()
    except DockerException:
        return "no container engine answers: start Docker, or set DOCKER_HOST"
    return None


class Kafka:
    """A cluster of 1 or 3 nodes, each broker and controller, reached on localhost.

    Everybody signs in: `admin` by SASL/PLAIN, whom `add_user` made by SCRAM-SHA-512. Who has no right to something
    may not do it (StandardAuthorizer). No topic comes into being by itself.
    """

    def __init__(self, nodes: int = 1) -> None:
        self._password = secrets.token_urlsafe(16)
        base = ports.free_base()
        self._ports = [base + n for n in range(nodes)]
        self._network = Network()
        self._passwords = {ADMIN: self._password}
        self._cleanup = contextlib.ExitStack()
        raw = uuid.uuid4().bytes
        # A cluster's id may not begin with a dash.
        self._cluster = base64.urlsafe_b64encode(b"\x51" + raw[1:]).decode()[:22]
        self.nodes: list[DockerContainer] = []

    @property
    def bootstrap(self) -> str:
        """host:port of all nodes, separated by commas."""
        return ",".join(f"localhost:{port}" for port in self._ports)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._network)
            for n in range(1, len(self._ports) + 1):
                node = self._node(n)
                undo.push(node)
                node.start()
                self.nodes.append(node)
            self.wait_ready()
            self._cleanup = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._cleanup.close()

    @cached_property
    def admin(self) -> AdminClient:
        """A client that may do everything."""
        login = {"sasl.username": ADMIN, "sasl.password": self._password, "sasl.mechanism": "PLAIN"}
        where = {"bootstrap.servers": self.bootstrap, "security.protocol": "SASL_PLAINTEXT"}
        return AdminClient({**where, **login, "log_level": 0})

    def password(self, user: str) -> str:
        """The password of `admin`, or of whom `add_user` made."""
        return self._passwords[user]

    def add_user(self, name: str) -> Mapping[str, Any]:
        """A SCRAM user who may do nothing yet; the answer is that of `settings`."""
        self._passwords[name] = secrets.token_urlsafe(16)
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        wanted = UserScramCredentialUpsertion(name, credential, self._passwords[name].encode())
        for done in self.admin.alter_user_scram_credentials([wanted]).values():
            done.result(timeout=_WITHIN_S)
        # The controller has it; the brokers hear of it a moment later.
        _until(lambda: self._knows(name), f"the user {name} was not made", self.nodes)
        return self.settings(name)

    def _knows(self, user: str) -> bool:
        answer = self.admin.describe_user_scram_credentials([user])
        try:
            return isinstance(answer, dict) and bool(answer[user].result(timeout=_WITHIN_S))
        except KafkaException:
            return False

    def allow(self, user: str, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Give rights on what has this name; a name that ends in `*` is a prefix, and `*` alone is all."""
        prefix = name.endswith("*") and name != "*"
        pattern = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
        rights = [
            AclBinding(kind, name.rstrip("*") or "*", pattern, f"User:{user}", "*", each, AclPermissionType.ALLOW)
            for each in operations
        ]
        for done in self.admin.create_acls(rights).values():
            done.result(timeout=_WITHIN_S)

    def make_topics(self, *names: str, partitions: int = 6) -> None:
        """Make topics, with a copy on each node."""
        wanted = [NewTopic(name, partitions, len(self._ports)) for name in names]
        for done in self.admin.create_topics(wanted).values():
            done.result(timeout=_WITHIN_S)

    def settings(self, user: str) -> Mapping[str, Any]:
        """The section `kafka` of a service's settings, for this user."""
        return {
            "bootstrap": self.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN" if user == ADMIN else "SCRAM-SHA-512",
            "sasl_username": user,
            "sasl_password": self._passwords[user],
        }

    def client(self, user: str) -> dict[str, Any]:
        """What aiokafka's clients need to connect as this user."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN" if user == ADMIN else "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self._passwords[user],
        }

    def kill(self, n: int = 1) -> None:
        """kill -9 node `n` (1, 2, 3); its log stays. `start` brings it back."""
        self.nodes[n - 1].get_wrapped_container().kill()

    def stop(self, n: int = 1) -> None:
        """Stop node `n` in order."""
        self.nodes[n - 1].get_wrapped_container().stop(timeout=30)

    def start(self, n: int = 1) -> None:
        """Start a node again that was killed or stopped."""
        self.nodes[n - 1].get_wrapped_container().start()

    def wait_ready(self) -> None:
        """Until all nodes are in the cluster. Raises: TimeoutError."""

        def complete() -> bool:
            with contextlib.suppress(KafkaException):
                return len(self.admin.list_topics(timeout=5).brokers) == len(self._ports)
            return False

        _until(complete, f"not all nodes of {KAFKA_IMAGE} came up", self.nodes)

    def wait_in_sync(self) -> None:
        """Until every partition has all its copies in step. Raises: TimeoutError."""

        def whole() -> bool:
            with contextlib.suppress(KafkaException):
                topics = self.admin.list_topics(timeout=5).topics.values()
                partitions = [each for topic in topics for each in topic.partitions.values()]
                return all(set(each.isrs) == set(each.replicas) for each in partitions)
            return False

        _until(whole, "copies of partitions did not catch up", self.nodes)

    def _node(self, n: int) -> DockerContainer:
        port = self._ports[n - 1]
        node = DockerContainer(KAFKA_IMAGE).with_network(self._network).with_network_aliases(f"kafka-{n}")
        return node.with_bind_ports(port, port).with_envs(CLUSTER_ID=self._cluster, **self._properties(n))

    def _properties(self, n: int) -> dict[str, str]:
        """What the image makes properties of. A listener that is named after SASL would have it ask for KAFKA_OPTS."""
        nodes = range(1, len(self._ports) + 1)
        copies = len(self._ports)
        listeners = {"CLIENTS": self._ports[n - 1], "BROKERS": _INSIDE, "CONTROLLER": _CONTROLLER}
        plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{ADMIN}"'
        jaas = f'{plain} password="{self._password}" user_{ADMIN}="{self._password}";'
        return {
            "KAFKA_NODE_ID": str(n),
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": ",".join(f"{k}@kafka-{k}:{_CONTROLLER}" for k in nodes),
            "KAFKA_LISTENERS": ",".join(f"{name}://:{port}" for name, port in listeners.items()),
            "KAFKA_ADVERTISED_LISTENERS": f"CLIENTS://localhost:{listeners['CLIENTS']},BROKERS://kafka-{n}:{_INSIDE}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": ",".join(f"{name}:SASL_PLAINTEXT" for name in listeners),
            "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKERS",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_SASL_ENABLED_MECHANISMS": "PLAIN",
            "KAFKA_LISTENER_NAME_CLIENTS_SASL_ENABLED_MECHANISMS": "PLAIN,SCRAM-SHA-512",
            "KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL": "PLAIN",
            "KAFKA_SASL_MECHANISM_CONTROLLER_PROTOCOL": "PLAIN",
            **{f"KAFKA_LISTENER_NAME_{name}_PLAIN_SASL_JAAS_CONFIG": jaas for name in listeners},
            "KAFKA_LISTENER_NAME_CLIENTS_SCRAM___SHA___512_SASL_JAAS_CONFIG": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "KAFKA_SUPER_USERS": f"User:{ADMIN}",
            "KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND": "false",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": str(copies),
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "6",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": str(copies),
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": str(min(2, copies)),
            "KAFKA_MIN_INSYNC_REPLICAS": str(min(2, copies)),
            "KAFKA_DEFAULT_REPLICATION_FACTOR": str(copies),
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            # On a busy machine a voter that is slow for a second is not gone.
            "KAFKA_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS": "3000",
            "KAFKA_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS": "6000",
            # A node that was killed may come back when its session has ended.
            "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
            "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "1000",
            "KAFKA_LOG_DIRS": "/tmp/kafka-logs",
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx384m -XX:TieredStopAtLevel=1",
        }


class Mongo:
    """A replica set of one member, reached on localhost."""

    def __init__(self) -> None:
        # The member's name is the same inside and outside.
        self._port = ports.free_base()
        command = f"mongod --replSet {REPLICA_SET} --port {self._port}"
        self.node = DockerContainer(MONGO_IMAGE).with_command(command).with_bind_ports(self._port, self._port)

    @property
    def uri(self) -> str:
        """The connection string."""
        return f"mongodb://localhost:{self._port}/?replicaSet={REPLICA_SET}&w=majority&journal=true"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.push(self.node)
            self.node.start()
            self.wait_ready()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.node.stop()

    def kill(self) -> None:
        """kill -9; its data stay. `start` brings it back."""
        self.node.get_wrapped_container().kill()

    def start(self) -> None:
        """Start it again."""
        self.node.get_wrapped_container().start()

    def wait_ready(self) -> None:
        """Until it takes writes. Raises: TimeoutError."""
        _until(self._primary, f"{MONGO_IMAGE} did not come up", [self.node])

    def _primary(self) -> bool:
        client: MongoClient[dict[str, Any]] = MongoClient(
            "localhost", self._port, directConnection=True, serverSelectionTimeoutMS=1000
        )
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            try:
                client.admin.command("replSetGetStatus")
            except OperationFailure as error:
                if error.code == _NOT_YET_INITIALISED:
                    members = [{"_id": 0, "host": f"localhost:{self._port}"}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except PyMongoError:
            return False
        finally:
            client.close()
        return False


def _until(true: Callable[[], bool], otherwise: str, nodes: Sequence[DockerContainer]) -> None:
    end = time.monotonic() + _WITHIN_S
    while not true():
        gone = [node for node in nodes if node.get_wrapped_container().status == "exited"]
        if gone or time.monotonic() > end:
            said = (gone or nodes)[0].get_wrapped_container().logs(tail=20).decode(errors="replace")
            raise TimeoutError(f"{otherwise} in {_WITHIN_S:.0f} s; the end of its log:\n{said}")
        time.sleep(0.1)
        for node in nodes:
            node.get_wrapped_container().reload()
