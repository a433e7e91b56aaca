"""What creditors have to say: signals about made-up people, some of which the chain must refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from cli.demo import people
from cli.demo.people import Person
from cli.demo.world import Organisation, World

_REFUSED = 0.04
_PERSONS = 0.55
_CSV = ("kenmerk", "gemeentecode", "signaalpartner", "bedrag", "signaaldatum", "crisissignaal", "burgerservicenummer")
_CSV_ADDRESS = ("postcode", "huisnummer", "geboortedatum", "achternaam", "naam", "telefoonnummer", "e-mail")


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal of a sender; `good`: whether the chain has to take it."""

    sender: Organisation
    person: Person
    body: dict[str, Any]
    good: bool = True

    @property
    def reference(self) -> str:
        return str(self.body["reference"])


def make(count: int, persons: Sequence[Person], day: date, dice: Random, world: World) -> list[Signal]:
    """So many signals about these people: the first ones about each, so that nobody is left out, then at random."""
    made = []
    for number in range(count):
        person = persons[number] if number < len(persons) else dice.choice(persons)
        made.append(_signal(number, person, day, dice, world))
    # The first ones about each stay good: a person whom nothing is known of opens no case.
    for number in dice.sample(range(len(persons), count), min(int(count * _REFUSED), count - len(persons))):
        made[number] = _spoilt(made[number], number % len(_SPOILERS), day)
    dice.shuffle(made)
    return made


def how_many_people(signals: int) -> int:
    """About whom so many signals tell: to many belong two or more."""
    return max(1, int(signals * _PERSONS))


def as_ndjson(signals: Sequence[Signal]) -> bytes:
    """A delivery of a signal a line."""
    return b"".join(json.dumps(signal.body).encode() + b"\n" for signal in signals)


def as_csv(signals: Sequence[Signal]) -> bytes:
    """A delivery with Dutch column names and semicolons, as spreadsheets save it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(_CSV + _CSV_ADDRESS)
    for signal in signals:
        body, client, contact = signal.body, signal.body["client"], signal.body.get("contact", {})
        about = ("reference", "municipality", "partnerType", "amount", "signalledOn")
        cells = [*(body.get(name, "") for name in about), "ja" if body["crisis"] else "nee", client.get("bsn", "")]
        cells += [client.get(name, "") for name in ("postcode", "houseNumber", "birthDate", "surname")]
        cells += [contact.get(name, "") for name in ("name", "phone", "email")]
        writer.writerow(cells)
    return text.getvalue().encode()


def _signal(number: int, person: Person, day: date, dice: Random, world: World) -> Signal:
    sender = dice.choice(world.creditors)
    body: dict[str, Any] = {
        "reference": people.reference(number),
        "municipality": world.municipality,
        "partnerType": sender.signals[0],
        "amount": dice.randrange(50, 4_000),
        "signalledOn": (day - timedelta(days=dice.randrange(20))).isoformat(),
        "crisis": dice.random() < 0.1,
        "client": person.client,
    }
    if person.known_by != "address":
        body["contact"] = person.contact
    return Signal(sender, person, body)


def _spoilt(signal: Signal, way: int, day: date) -> Signal:
    body, changes = signal.body, _SPOILERS[way]
    later = {"signalledOn": (day + timedelta(days=400)).isoformat()} if "signalledOn" in changes else {}
    return Signal(signal.sender, signal.person, body | changes | later, good=False)


_SPOILERS: tuple[dict[str, Any], ...] = (
    {"client": {"bsn": f"{people.BSN_MARK}00001"}},
    {"client": {"postcode": f"0{people.MARK}", "houseNumber": 1}},
    {"signalledOn": ""},
    {"amount": -1},
    {"municipality": "0106"},
    {"partnerType": "Hypotheek"},
)
assert not people.is_bsn(f"{people.BSN_MARK}00001")
