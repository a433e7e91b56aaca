"""Apache Kafka and MongoDB in containers as the infrastructure of the other tests."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Self

from confluent_kafka.admin import AclOperation, ResourceType
from hulpketen_contracts import TOPICS

from deploy.local.ports import SERVICES
from deploy.local.services import Elsewhere
from tests.conftest import variables
from tests.containers.engine import Kafka, Mongo

USER = "tests"


class Containers:
    """A cluster of one node and a replica set of one member. Everybody signs in as a user who may do all to topics.

    What each service may do, and that it can do its work with that, has tests of its own.
    """

    def __init__(self) -> None:
        self.cluster = Kafka()
        self.replica_set = Mongo()
        self.kafka = self.cluster.bootstrap
        self.mongo = self.replica_set.uri
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self.replica_set)
            undo.enter_context(self.cluster)
            # Before any reader, as an administrator does: a reader of a topic that is not there waits for minutes.
            self.cluster.make_topics(*(name for name in TOPICS if "{" not in name))
            self.cluster.add_user(USER)
            for kind in (ResourceType.TOPIC, ResourceType.GROUP):
                self.cluster.allow(USER, kind, "*", AclOperation.ALL)
            self._cleanup = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._cleanup.close()

    @property
    def settings(self) -> dict[str, Any]:
        """Kafka takes no shorter session than 6 s."""
        return {
            **self.cluster.settings(USER),
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 500,
            "idempotent": True,
            "make_topics": True,
            "incarnation_check_s": 0.5,
        }

    @property
    def client(self) -> dict[str, Any]:
        return self.cluster.client(USER)

    def elsewhere(self) -> Elsewhere | None:
        around = variables(self.settings)
        return Elsewhere(self.kafka, dict.fromkeys(SERVICES, around), self.mongo)

    def kill(self, name: str) -> None:
        node: Kafka | Mongo = self.cluster if name == "broker" else self.replica_set
        node.kill()
        node.start()
