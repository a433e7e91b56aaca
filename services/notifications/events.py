"""Kafka in: cases become lines of feeds, and the directory tells who reads which."""

from __future__ import annotations

from hulpketen_contracts import CATALOGUE, Decoded, Event, OrganisationChanged, ServiceChanged

from services.chassis.pipeline.model import Context, Decision, Handler, State
from services.notifications.domain import file
from services.notifications.domain.directory import Directory, organisation_changed, service_changed

TOPICS = ("cases", "directory")


def handlers(directory: Directory) -> dict[type[Event], Handler]:
    """By type of event what follows; every type of the topic `cases` is of a file, shown to somebody or not."""

    def of_file(state: State | None, decoded: Decoded, _: Context) -> Decision | None:
        return file.decide(state, decoded.data, directory.feed_of, decoded.envelope.dataref)

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

    return {event: Handler(_file, of_file) for event in CATALOGUE.values() if event.TOPIC == "cases"} | {
        OrganisationChanged: Handler(lambda decoded: decoded.envelope.stream, of_organisation),
        ServiceChanged: Handler(lambda decoded: decoded.envelope.stream, of_service),
    }


def _file(decoded: Decoded) -> str:
    return decoded.envelope.stream
