"""What is to be done for a cluster to be as desired. Pure: what a cluster holds is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from deploy.kafka.desired import PARTNER, SERVICES, Desired, Right, Topic, is_partner_topic


@dataclass(frozen=True)
class Present:
    """What a cluster holds now: topics with the settings that are asked about, rights, quotas, and SCRAM users.

    `odd`: in words, rights of a kind that no command here gives: those that forbid, or are for one host alone.
    """

    topics: Mapping[str, Topic]
    rights: frozenset[Right]
    quotas: Mapping[str, Mapping[str, float]]
    users: frozenset[str]
    odd: tuple[str, ...] = ()


class Change(NamedTuple):
    """One thing to do: `what` with `it`. `deletes`: "" or what has to be allowed for it."""

    what: str
    it: Any
    words: str
    deletes: str = ""


RIGHTS, TOPICS = "delete", "delete-topics"


def difference(desired: Desired, present: Present) -> list[Change]:
    """In the order in which it can be done."""
    return [
        *_topics(desired, present),
        *_users(desired, present),
        *_rights(desired, present),
        *_quotas(desired, present),
        *_extra(desired, present),
    ]


def remarks(desired: Desired, present: Present) -> list[str]:
    """What is not as desired, and what no command here changes."""
    said = []
    for name, topic in desired.topics.items():
        found = present.topics.get(name)
        if found and found.partitions > topic.partitions:
            said.append(f"topic {name} has {found.partitions} partitions, {topic.partitions} are wanted: none go again")
        if found and found.replication != topic.replication:
            said.append(
                f"topic {name} has {found.replication} copies, {topic.replication} are wanted: move it with "
                "kafka-reassign-partitions"
            )
    foreign = sorted(right for right in present.rights if not _ours(right.user) and _touches(right, desired))
    said += [f"{_said(right)}: no command here gave it; see who that is" for right in foreign]
    return said + [f"{words}: no command here made that; it changes who may do what" for words in present.odd]


def _touches(right: Right, desired: Desired) -> bool:
    """Whether it is about a topic of the chain or of a partner."""
    if right.kind != "TOPIC":
        return False
    names = (*desired.topics, "partners.")
    return right.name == "*" or any(
        name.startswith(right.name) if right.prefix else name == right.name for name in names
    )


def _topics(desired: Desired, present: Present) -> Iterator[Change]:
    for name, topic in desired.topics.items():
        found = present.topics.get(name)
        if found is None:
            config = ", ".join(f"{key}={value}" for key, value in sorted(topic.config.items()))
            words = f"make topic {name}: {topic.partitions} partitions, {topic.replication} copies, {config}"
            yield Change("make-topic", topic, words)
            continue
        if found.partitions < topic.partitions:
            yield Change("add-partitions", topic, f"give topic {name} {topic.partitions} partitions")
        for key, value in topic.config.items():
            if found.config.get(key) != value:
                words = f"set {key} of topic {name} to {value} (now {found.config.get(key)})"
                yield Change("set-config", (name, key, value), words)


def _users(desired: Desired, present: Present) -> Iterator[Change]:
    for user in sorted(desired.users - present.users):
        yield Change("make-user", user, f"make user {user}")


def _rights(desired: Desired, present: Present) -> Iterator[Change]:
    for right in sorted(desired.rights - present.rights):
        yield Change("give-right", right, f"give {_said(right)}")


def _quotas(desired: Desired, present: Present) -> Iterator[Change]:
    for user, quota in sorted(desired.quotas.items()):
        if present.quotas.get(user, {}) != quota:
            values = ", ".join(f"{name} {value:.0f}" for name, value in sorted(quota.items()))
            yield Change("set-quota", (user, quota), f"set the quota of {user} to {values}")


def _extra(desired: Desired, present: Present) -> Iterator[Change]:
    """What is there and not desired, of the chain's users and topics alone: others of the cluster are not ours."""
    for right in sorted(right for right in present.rights - desired.rights if _ours(right.user)):
        yield Change("take-right", right, f"take {_said(right)}", RIGHTS)
    for user in sorted(user for user in present.users - desired.users if user.startswith(PARTNER)):
        yield Change("remove-user", user, f"remove user {user}", RIGHTS)
    for user in sorted(user for user in present.quotas.keys() - desired.quotas.keys() if _ours(user)):
        yield Change("remove-quota", user, f"remove the quota of {user}", RIGHTS)
    for name in sorted(name for name in present.topics.keys() - desired.topics.keys() if is_partner_topic(name)):
        yield Change("remove-topic", name, f"remove topic {name} with all that is in it", TOPICS)


def _ours(user: str) -> bool:
    return user in SERVICES or user.startswith(PARTNER)


def _said(right: Right) -> str:
    names = (
        f"{right.kind.lower()}s that begin with {right.name}" if right.prefix else f"{right.kind.lower()} {right.name}"
    )
    return f"{right.user} the right to {right.operation.lower()} {names}"
