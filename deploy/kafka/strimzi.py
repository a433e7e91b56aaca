"""The same as resources of the Strimzi operator, in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.kafka.desired import Desired, Right, Topic

VERSION = "kafka.strimzi.io/v1"
CLUSTER = "hulpketen"
_OPERATIONS = {"READ": ["Read", "Describe"], "WRITE": ["Write", "Describe"], "DESCRIBE": ["Describe"]}
_QUOTAS = {
    "producer_byte_rate": "producerByteRate",
    "consumer_byte_rate": "consumerByteRate",
    "request_percentage": "requestPercentage",
}


def resources(desired: Desired, cluster: str = CLUSTER) -> Iterator[dict[str, Any]]:
    """KafkaTopic for each topic, KafkaUser with rights and quotas for each user."""
    labels = {"strimzi.io/cluster": cluster}
    for topic in sorted(desired.topics.values()):
        yield _resource("KafkaTopic", topic.name, labels, _topic(topic))
    for user in sorted(desired.users):
        yield _resource("KafkaUser", user, labels, _user(desired, user))


def _resource(kind: str, name: str, labels: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}


def _topic(topic: Topic) -> dict[str, Any]:
    return {"partitions": topic.partitions, "replicas": topic.replication, "config": dict(topic.config)}


def _user(desired: Desired, user: str) -> dict[str, Any]:
    rights = sorted(right for right in desired.rights if right.user == user)
    quotas = {_QUOTAS[name]: int(value) for name, value in desired.quotas[user].items()}
    return {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": [_acl(right) for right in rights]},
        "quotas": quotas,
    }


def _acl(right: Right) -> dict[str, Any]:
    pattern = "prefix" if right.prefix else "literal"
    resource = {"type": right.kind.lower(), "name": right.name, "patternType": pattern}
    return {"resource": resource, "operations": _OPERATIONS[right.operation]}
