"""Who is erased or merged: what becomes of the file, and which records of the busiest topic are read at all."""

from __future__ import annotations

from hulpketen_contracts import CATALOGUE, PersonErased, PersonMerged

from services.chassis.pipeline.model import Record
from services.notifications.domain import file
from services.notifications.domain.directory import Directory
from services.notifications.domain.visibility import own_feed
from services.notifications.events import TOPICS, followed, handlers
from tests.unit.notifications.events import CASE, PERSON, case

OTHER = "00000000-0000-4000-8000-000000000002"


def record(kind: str, topic: str = "signals") -> Record:
    return Record(topic, 0, 0, b"k", b"{}", [("ce_type", kind.encode())])


def test_every_type_of_a_stream_that_is_followed_is_routed() -> None:
    routed = set(handlers(Directory()))
    persons = {PersonMerged, PersonErased}
    passed_by = {e for e in CATALOGUE.values() if e.TOPIC == "signals" and not followed([record(e.TYPE)])}
    assert persons <= routed
    assert not passed_by & routed
    assert {e for e in CATALOGUE.values() if e.TOPIC in TOPICS} == routed | passed_by
    assert all(event.TYPE.startswith(("nl.hulpketen.signals.", "nl.hulpketen.tests.")) for event in passed_by)


def test_what_nobody_knows_is_read_to_be_refused() -> None:
    unknown = [record("nl.hulpketen.persons.erased.v2"), Record("signals", 0, 0, None, None, [])]
    assert followed(unknown) == unknown
    elsewhere = [record("nl.hulpketen.signals.received.v1", topic="cases")]
    assert followed(elsewhere) == elsewhere


def test_a_merge_keeps_what_the_file_shows_and_an_erasure_leaves_nothing() -> None:
    merged = file.merge(None, PersonMerged(person=PERSON, into=OTHER))
    opened = file.decide(merged.state, case(), own_feed)
    assert opened
    assert opened.state["merged_into"] == OTHER
    again = file.merge(opened.state, PersonMerged(person=PERSON, into=OTHER))
    assert [held["case"] for held in again.state["cases"]] == [CASE]
    assert again.events == ()
    assert (file.gone().state, file.gone().erase) == ({}, True)
