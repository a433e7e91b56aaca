"""What Kafka should hold, from topics.toml and the catalogue of the contracts. Pure: nothing here asks a broker."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

from hulpketen_contracts import TOPICS
from hulpketen_contracts.catalogue import own_topics

SERVICES = tuple(sorted({name for topic in TOPICS.values() for name in (*topic.producers, *topic.consumers)}))
PARTNER = "partner-"
_TEMPLATE = "partners.{organisation}"
_PARTNERS = _TEMPLATE.partition("{")[0]
_DAY_MS = 86_400_000


class Topic(NamedTuple):
    """A topic; `config` as Kafka names and writes it."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Right(NamedTuple):
    """What a user may do: `kind` TOPIC or GROUP, `operation` READ, WRITE or DESCRIBE; `prefix`: of all names so begun.

    A right to read or write is one to describe, too.
    """

    user: str
    kind: str
    name: str
    operation: str
    prefix: bool = False


@dataclass(frozen=True)
class Desired:
    """All of it. `quotas`: by user and name, in Kafka's own words and units."""

    topics: Mapping[str, Topic]
    rights: frozenset[Right]
    quotas: Mapping[str, Mapping[str, float]]
    users: frozenset[str] = field(default_factory=frozenset)


def profiles() -> tuple[str, ...]:
    """The names of the profiles in topics.toml."""
    return tuple(_file()["profiles"])


def partner(organisation: str) -> str:
    """The user of a partner."""
    return f"{PARTNER}{organisation}"


def partner_topic(organisation: str) -> str:
    """The topic of a partner."""
    return _TEMPLATE.format(organisation=organisation)


def is_partner_topic(name: str) -> bool:
    """Whether a topic with this name would be a partner's."""
    return name.startswith(_PARTNERS)


def desired(profile: str, organisations: Iterable[str] = ()) -> Desired:
    """For a profile of topics.toml and the organisations that chose Kafka."""
    said = _file()
    partners = sorted(set(organisations))
    chain = [_topic(said, profile, "chain", name, topic.reference) for name, topic in TOPICS.items() if "{" not in name]
    own = [_topic(said, profile, "partners", partner_topic(each), False) for each in partners]
    quotas = dict.fromkeys(SERVICES, said["quotas"]["service"])
    quotas |= {partner(each): said["quotas"]["partner"] for each in partners}
    return Desired(
        {topic.name: topic for topic in (*chain, *own)},
        frozenset((*_rights_of_services(), *(right for each in partners for right in _rights_of_partner(each)))),
        {user: {name: float(value) for name, value in quota.items()} for user, quota in quotas.items()},
        frozenset(quotas),
    )


def _file() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("topics.toml").read_text(encoding="utf-8"))


def _topic(said: Mapping[str, Any], profile: str, section: str, name: str, reference: bool) -> Topic:
    how, copies = said[section], said["profiles"][profile]
    # Of reference data the latest of each key stays for ever.
    kept = {"cleanup.policy": "compact", "retention.ms": "-1"} if reference else {"cleanup.policy": "delete"}
    kept.setdefault("retention.ms", str(how["retention_days"] * _DAY_MS))
    kept["min.insync.replicas"] = str(copies["min_insync_replicas"])
    return Topic(name, how["partitions"], copies["replication"], kept)


def _rights_of_services() -> Iterable[Right]:
    for name, topic in TOPICS.items():
        template = "{" in name
        for producer in topic.producers:
            yield Right(producer, "TOPIC", _PARTNERS if template else name, "WRITE", template)
            # What it keeps for a broker that loses its log it forgets when every group is past it.
            for consumer in topic.consumers:
                if consumer != producer:
                    yield Right(producer, "GROUP", consumer, "DESCRIBE")
        for consumer in topic.consumers:
            yield Right(consumer, "TOPIC", name, "READ")
            yield Right(consumer, "GROUP", consumer, "READ")
    for service in SERVICES:
        for name in own_topics(service):
            # What it said since a backup: its database may be restored from that.
            yield Right(service, "TOPIC", name, "READ")


def _rights_of_partner(organisation: str) -> Iterable[Right]:
    user = partner(organisation)
    yield Right(user, "TOPIC", partner_topic(organisation), "READ")
    yield Right(user, "GROUP", user, "READ")
    # No organisation's name has a dot: so no partner's groups are another's.
    yield Right(user, "GROUP", f"{user}.", "READ", prefix=True)
