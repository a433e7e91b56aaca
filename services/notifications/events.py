"""Kafka in: cases become lines of feeds, the directory tells who reads which, and who is erased is forgotten. How far
the audit's trail is signed becomes a line of every feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hulpketen_contracts import (
    CATALOGUE,
    CheckpointPublished,
    Decoded,
    Event,
    OrganisationChanged,
    PersonErased,
    PersonMerged,
    ServiceChanged,
)

from services.chassis.pipeline.model import Context, Decision, Handler, Record, State
from services.notifications.domain import checkpoint, file
from services.notifications.domain.directory import Directory, organisation_changed, service_changed

TOPICS = ("signals", "cases", "directory", "checkpoints")
_OF_PERSONS = (PersonMerged, PersonErased)
# They stand in streams of their own, and are most of what the topic holds: decoding them all would be for nothing.
_PASSED_BY = {e.TYPE.encode() for e in CATALOGUE.values() if e.TOPIC == "signals" and e not in _OF_PERSONS}


def followed(records: Sequence[Record]) -> list[Record]:
    """The records that are for this service, and those that nobody knows: they are refused like any other's."""
    return [r for r in records if r.topic != "signals" or dict(r.headers).get("ce_type") not in _PASSED_BY]


def handlers(directory: Directory) -> dict[type[Event], Handler]:
    """By type of event what follows; every type of the topic `cases` is of a file, shown to somebody or not."""

    def of_file(state: State | None, decoded: Decoded, _: Context) -> Decision | None:
        return file.decide(state, decoded.data, directory.feed_of, decoded.envelope.dataref)

    def of_merge(state: State | None, decoded: Decoded, _: Context) -> Decision:
        assert isinstance(decoded.data, PersonMerged)
        return file.merge(state, decoded.data)

    def of_erasure(_: State | None, __: Decoded, ___: Context) -> Decision:
        return file.gone()

    def of_organisation(_: State | None, decoded: Decoded, __: Context) -> Decision:
        assert isinstance(decoded.data, OrganisationChanged)
        decision = organisation_changed(decoded.data)
        directory.learn([(f"organisation-{decoded.data.organisation}", decision.state)])
        return decision

    def of_service(_: State | None, decoded: Decoded, __: Context) -> Decision:
        assert isinstance(decoded.data, ServiceChanged)
        decision = service_changed(decoded.data)
        directory.learn([(f"service-{decoded.data.service}", decision.state)])
        return decision

    def of_checkpoint(_: State | None, decoded: Decoded, __: Context) -> Decision:
        assert isinstance(decoded.data, CheckpointPublished)
        return checkpoint.told(decoded.data)

    return {event: Handler(_own_stream, of_file) for event in CATALOGUE.values() if event.TOPIC == "cases"} | {
        PersonMerged: Handler(_file_of_person, of_merge),
        PersonErased: Handler(_file_of_person, of_erasure),
        OrganisationChanged: Handler(_own_stream, of_organisation),
        ServiceChanged: Handler(_own_stream, of_service),
        CheckpointPublished: Handler(_own_stream, of_checkpoint),
    }


def _own_stream(decoded: Decoded) -> str:
    return decoded.envelope.stream


def _file_of_person(decoded: Decoded) -> str:
    return file.file_id(cast(PersonMerged | PersonErased, decoded.data).person)
