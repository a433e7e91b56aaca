"""A made-up municipality with its partners and their help, brought in over HTTP as any municipality would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.demo.outside import Outside

MUNICIPALITY = "9902"
COORDINATOR = "gemeente-proefdam"
SELF_HELP = "proef-zelf"
ONLOOKER = "digitaal-proef"
"""A partner that residents alone choose: it tries to look at the people of others."""

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


CREDITORS = (
    Organisation("woningstichting-proef", "creditor", ("Huur",)),
    Organisation("stroom-proef", "creditor", ("Energie",)),
    Organisation("waterbedrijf-proef", "creditor", ("Water",)),
    Organisation("zorgpolis-proef", "creditor", ("Zorg",)),
)
HELPERS = (
    Organisation("kredietbank-proef", "debt-counselling", kafka=True),
    Organisation("maatjes-proef", "volunteers"),
    Organisation("wijkteam-proef", "neighbourhood-team"),
    Organisation("voedselbank-proef", "food-bank", kafka=True),
    Organisation("zelf-proef", "self-help"),
    Organisation(ONLOOKER, "digital"),
)
SERVICES = (
    Service("proef-schuldhulp", "kredietbank-proef", "debt-counselling", (_DEBT, _LOCAL)),
    Service("proef-maatje", "maatjes-proef", "volunteers", (_LOCAL,)),
    Service("proef-wijk", "wijkteam-proef", "neighbourhood-team", (_LOCAL,)),
    Service("proef-voedsel", "voedselbank-proef", "food-bank", (_DEBT, _LOCAL), "waitlist"),
    Service(SELF_HELP, "zelf-proef", "self-help", ("zelfhulp",)),
    Service("proef-digitaal", ONLOOKER, "digital", ("digitale-vrijwilliger",)),
)
RECEIVERS = {service.id: service.organisation for service in SERVICES}


async def bring_in(outside: Outside) -> None:
    """Put organisations and services in the directory."""
    for organisation in (Organisation(COORDINATOR, "municipality"), *CREDITORS, *HELPERS):
        await put_organisation(outside, organisation, [MUNICIPALITY])
    token = outside.token("coordinator", COORDINATOR)
    for service in SERVICES:
        body = {
            "organisation": service.organisation,
            "name": service.id.replace("proef-", "Proef: "),
            "status": "active",
            "municipalities": [MUNICIPALITY],
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
    token = outside.token("coordinator", COORDINATOR, municipalities)
    await outside.ask("PUT", "matching", f"/v1/organisations/{organisation.id}", token, body)
