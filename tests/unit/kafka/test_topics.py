"""Topics as code without a cluster: what follows from the catalogue, and what is never done unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hulpketen_contracts import TOPICS

from deploy.kafka.desired import SERVICES, Desired, Right, desired
from deploy.kafka.difference import Present, difference, remarks
from deploy.kafka.strimzi import resources
from services.chassis.broker_watch import topics_of
from services.chassis.kafka_rights import READ
from services.chassis.settings import KafkaSettings

PARTNERS = ("maatjes", "maatjes-noord")


@pytest.fixture
def wanted() -> Desired:
    return desired("production", PARTNERS)


@pytest.fixture
def as_wanted(wanted: Desired) -> Present:
    return Present(wanted.topics, wanted.rights, wanted.quotas, wanted.users)


def test_every_topic_of_the_catalogue_is_there_and_its_readers_and_writers_alone(wanted: Desired) -> None:
    for name, topic in TOPICS.items():
        if "{" in name:
            continue
        assert name in wanted.topics
        readers = {right.user for right in wanted.rights if right[1:4] == ("TOPIC", name, "READ")}
        writers = {right.user for right in wanted.rights if right[1:4] == ("TOPIC", name, "WRITE")}
        # Who alone writes a topic reads it, too: after a restore from a backup.
        itself = topic.producers if len(topic.producers) == 1 else ()
        assert (readers, writers) == ({*topic.consumers, *itself}, set(topic.producers))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_asks_at_its_start_for_what_it_may_do_and_for_nothing_else(wanted: Desired, service: str) -> None:
    asked = {
        (name, "READ" if right == READ else "WRITE") for name, rights in topics_of(service).items() for right in rights
    }
    given = {right[2:4] for right in wanted.rights if right[:2] == (service, "TOPIC") and not right.prefix}
    assert asked == given
    assert set(topics_of(service)) == {name for name, _ in given}


def test_reference_data_stays_for_ever_and_nothing_is_kept_by_fewer_than_two(wanted: Desired) -> None:
    for name, topic in wanted.topics.items():
        reference = name in TOPICS and TOPICS[name].reference
        assert topic.config["cleanup.policy"] == ("compact" if reference else "delete")
        assert (topic.config["retention.ms"] == "-1") == reference
        assert (topic.replication, topic.config["min.insync.replicas"]) == (3, "2")


def test_a_partner_may_read_its_own_topic_and_nothing_else(wanted: Desired) -> None:
    assert {right[1:] for right in wanted.rights if right.user == "partner-maatjes"} == {
        ("TOPIC", "partners.maatjes", "READ", False),
        ("GROUP", "partner-maatjes", "READ", False),
        ("GROUP", "partner-maatjes.", "READ", True),
    }


def test_services_expect_the_partitions_that_are_made(wanted: Desired) -> None:
    made = {topic.partitions for name, topic in wanted.topics.items() if name in TOPICS}
    assert made == {KafkaSettings.model_fields["partitions"].default}


def test_what_is_as_wanted_needs_nothing(wanted: Desired, as_wanted: Present) -> None:
    assert difference(wanted, as_wanted) == []
    assert remarks(wanted, as_wanted) == []


def test_an_empty_cluster_gets_topics_before_users_before_rights(wanted: Desired) -> None:
    kinds = [change.what for change in difference(wanted, Present({}, frozenset(), {}, frozenset()))]
    assert list(dict.fromkeys(kinds)) == ["make-topic", "make-user", "give-right", "set-quota"]


def test_who_left_waits_for_a_word_and_others_of_the_cluster_are_left_alone(as_wanted: Present) -> None:
    stranger = Right("somebody-else", "TOPIC", "cases", "READ")
    present = replace(as_wanted, rights=as_wanted.rights | {stranger}, users=as_wanted.users | {"somebody-else"})
    found = difference(desired("production", PARTNERS[:1]), present)
    assert {(change.what, change.deletes) for change in found} == {
        ("take-right", "delete"),
        ("remove-user", "delete"),
        ("remove-quota", "delete"),
        ("remove-topic", "delete-topics"),
    }
    assert all("maatjes-noord" in change.words for change in found)


def test_partitions_are_added_and_none_goes(wanted: Desired, as_wanted: Present) -> None:
    for there, what in ((3, ["add-partitions"]), (12, [])):
        topics = {**as_wanted.topics, "cases": as_wanted.topics["cases"]._replace(partitions=there)}
        present = replace(as_wanted, topics=topics)
        assert [change.what for change in difference(wanted, present)] == what
        assert bool(remarks(wanted, present)) == (not what)


def test_too_few_copies_are_a_remark(wanted: Desired, as_wanted: Present) -> None:
    topics = {**as_wanted.topics, "cases": as_wanted.topics["cases"]._replace(replication=1)}
    assert "kafka-reassign-partitions" in remarks(wanted, replace(as_wanted, topics=topics))[0]


def test_strimzi_has_a_resource_for_each_topic_and_user(wanted: Desired) -> None:
    found = list(resources(wanted))
    assert [each["kind"] for each in found].count("KafkaTopic") == len(wanted.topics)
    users = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "KafkaUser"}
    assert users.keys() == wanted.users
    given = users["partner-maatjes"]["authorization"]["acls"]
    assert {(acl["resource"]["name"], acl["resource"]["patternType"]) for acl in given} == {
        ("partners.maatjes", "literal"),
        ("partner-maatjes", "literal"),
        ("partner-maatjes.", "prefix"),
    }
