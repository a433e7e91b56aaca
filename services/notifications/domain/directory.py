"""Organisations and services as partners are told of them: what this service needs of the directory, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hulpketen_contracts import OrganisationChanged, ServiceChanged

from services.chassis.pipeline.model import Decision
from services.notifications.domain.visibility import municipality_feed, own_feed


class Organisation(NamedTuple):
    """A partner. `municipality`: the code of the one that it is, None for all others."""

    id: str
    name: str
    municipality: str | None
    kafka: bool

    @property
    def feed(self) -> str | None:
        """The feed that it reads; None where its id is reserved."""
        return municipality_feed(self.municipality) if self.municipality else own_feed(self.id)


class Directory:
    """The organisations and services that this process knows of; it is told of new ones, and looks them up."""

    def __init__(self) -> None:
        self.organisations: dict[str, Organisation] = {}
        self.services: dict[str, str] = {}

    def feed_of(self, organisation: str) -> str | None:
        """The feed that an organisation reads. One that is not known yet is taken to be no municipality."""
        known = self.organisations.get(organisation)
        return known.feed if known else own_feed(organisation)

    def feeds(self) -> set[str]:
        """The feeds of all organisations."""
        return {known.feed for known in self.organisations.values() if known.feed}

    def learn(self, states: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Take in states of the directory's aggregates, by their ids."""
        for aggregate, state in states:
            kind, _, name = aggregate.partition("-")
            if kind == "organisation":
                self.organisations[name] = Organisation(name, state["name"], state["municipality"], state["kafka"])
            else:
                self.services[name] = state["name"]

    def names(self) -> dict[str, dict[str, str]]:
        """What to call organisations and services on a page, by id."""
        return {
            "organisations": {o.id: o.name for o in self.organisations.values()},
            "services": dict(self.services),
        }


def organisation_changed(event: OrganisationChanged) -> Decision:
    """The latest counts. An organisation of kind municipality is the first that it names; it has one."""
    is_municipality = event.kind == "municipality" and event.municipalities
    municipality = event.municipalities[0] if is_municipality else None
    return Decision({"name": event.name, "municipality": municipality, "kafka": event.kafka})


def service_changed(event: ServiceChanged) -> Decision:
    """The latest counts."""
    return Decision({"name": event.name})
