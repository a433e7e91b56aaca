"""A made-up municipality with its partners and their help, brought in over HTTP as any municipality would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.demo.outside import Outside

MUNICIPALITY = "9902"
_ONLOOKER = "digitaal-proef"
_DEBT, _LOCAL = "gemeentelijke-schuldhulpverlening", "lokale-vrijwilliger-of-professional"


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of the made-up municipality; `signals`: what it may signal; `kafka`: how it follows its feed."""

    id: str
    kind: str
    signals: tuple[str, ...] = ()
    kafka: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of help that one of them offers."""

    id: str
    organisation: str
    kind: str
    exits: tuple[str, ...]
    capacity: str = "capacity"


_CREDITORS = (
    Organisation("woningstichting-proef", "creditor", ("Huur",)),
    Organisation("stroom-proef", "creditor", ("Energie",)),
    Organisation("waterbedrijf-proef", "creditor", ("Water",)),
    Organisation("zorgpolis-proef", "creditor", ("Zorg",)),
)
_HELPERS = (
    Organisation("kredietbank-proef", "debt-counselling", kafka=True),
    Organisation("maatjes-proef", "volunteers"),
    Organisation("wijkteam-proef", "neighbourhood-team"),
    Organisation("voedselbank-proef", "food-bank", kafka=True),
    Organisation("zelf-proef", "self-help"),
    Organisation(_ONLOOKER, "digital"),
)
_SERVICES = (
    Service("proef-schuldhulp", "kredietbank-proef", "debt-counselling", (_DEBT, _LOCAL)),
    Service("proef-maatje", "maatjes-proef", "volunteers", (_LOCAL,)),
    Service("proef-wijk", "wijkteam-proef", "neighbourhood-team", (_LOCAL,)),
    Service("proef-voedsel", "voedselbank-proef", "food-bank", (_DEBT, _LOCAL), "waitlist"),
    Service("proef-zelf", "zelf-proef", "self-help", ("zelfhulp",)),
    Service("proef-digitaal", _ONLOOKER, "digital", ("digitale-vrijwilliger",)),
)


@dataclass(frozen=True)
class World:
    """One municipality and its partners.

    `run`: stands behind every name, so that a chain that has seen other demos does not mix them up; `kafka`: whether
    some partners follow their feed on a Kafka topic.
    """

    municipality: str = MUNICIPALITY
    run: str = ""
    kafka: bool = True

    @property
    def coordinator(self) -> str:
        return self._named("gemeente-proefdam")

    @property
    def onlooker(self) -> str:
        """A partner that residents alone choose: it tries to look at the people of others."""
        return self._named(_ONLOOKER)

    @property
    def self_help(self) -> str:
        return self._named("proef-zelf")

    @property
    def of_ones_own(self) -> str:
        """What the coordinator now and then chooses though it is not proposed."""
        return self._named("proef-voedsel")

    @cached_property
    def creditors(self) -> tuple[Organisation, ...]:
        return tuple(self._organisation(each) for each in _CREDITORS)

    @cached_property
    def helpers(self) -> tuple[Organisation, ...]:
        return tuple(self._organisation(each) for each in _HELPERS)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        return tuple(
            Service(self._named(s.id), self._named(s.organisation), s.kind, s.exits, s.capacity) for s in _SERVICES
        )

    @cached_property
    def receivers(self) -> Mapping[str, str]:
        """Who gives each service."""
        return {service.id: service.organisation for service in self.services}

    def _organisation(self, each: Organisation) -> Organisation:
        return Organisation(self._named(each.id), each.kind, each.signals, each.kafka and self.kafka)

    def _named(self, name: str) -> str:
        return f"{name}-{self.run}" if self.run else name


async def bring_in(outside: Outside) -> None:
    """Put organisations and services in the directory."""
    world = outside.world
    for organisation in (Organisation(world.coordinator, "municipality"), *world.creditors, *world.helpers):
        await put_organisation(outside, organisation, [world.municipality])
    token = outside.token("coordinator", world.coordinator)
    for service in world.services:
        body = {
            "organisation": service.organisation,
            "name": service.id.replace("proef-", "Proef: "),
            "status": "active",
            "municipalities": [world.municipality],
            "kind": service.kind,
            "exits": service.exits,
            "capacity": service.capacity,
        }
        await outside.ask("PUT", "matching", f"/v1/services/{service.id}", token, body)


async def put_organisation(outside: Outside, organisation: Organisation, municipalities: list[str]) -> None:
    """Put one organisation in the directory, by a coordinator of the municipalities."""
    body: dict[str, Any] = {
        "name": f"{organisation.id} (verzonnen)",
        "kind": organisation.kind,
        "municipalities": municipalities,
        "partnerTypes": organisation.signals,
        "kafka": organisation.kafka,
    }
    token = outside.token("coordinator", outside.world.coordinator, municipalities)
    await outside.ask("PUT", "matching", f"/v1/organisations/{organisation.id}", token, body)
