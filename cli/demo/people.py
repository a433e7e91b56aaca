"""Made-up people. Each value that could tell who somebody is carries a mark by which it can be found again anywhere."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Literal

MARK = "kwyxzol"
"""Stands in every name, e-mail address and reference of a sender."""

BSN_MARK, PHONE_MARK, POSTCODE_MARK = "9876", "9735", "999"
Known = Literal["bsn", "birth", "address"]
_FIRST_NAMES = ("Aaf", "Bram", "Cato", "Dirk", "Else", "Fenna", "Gijs", "Hille", "Ids", "Jelle", "Katrijn", "Lubbe")
_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_MOST = 8_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, and how signals name them: by BSN, by address with birth date, or by the address alone."""

    name: str
    surname: str
    bsn: str
    birth_date: date
    postcode: str
    house_number: int
    phone: str
    email: str
    known_by: Known

    @property
    def client(self) -> dict[str, Any]:
        """As a signal says who it is about."""
        if self.known_by == "bsn":
            return {"bsn": self.bsn}
        address: dict[str, Any] = {"postcode": self.postcode, "houseNumber": self.house_number}
        if self.known_by == "address":
            return address
        return address | {"birthDate": self.birth_date.isoformat(), "surname": self.surname}

    @property
    def contact(self) -> dict[str, Any]:
        return {"name": self.name, "phone": self.phone, "email": self.email}

    def planted(self) -> Iterator[str]:
        """The values of this person that must never be found."""
        yield from (self.name, self.surname, self.bsn, self.postcode, self.phone, self.email)
        yield self.birth_date.isoformat()


def people(count: int, dice: Random, known_by: Known | None = None, first: int = 0) -> list[Person]:
    """So many people, each with values of their own; numbered from `first`, so that two lists do not overlap."""
    if first + count > _MOST:
        raise ValueError(f"at most {_MOST} people can be told apart")
    bsns = _bsns()
    for _ in range(first):
        next(bsns)
    return [_person(number, next(bsns), dice, known_by) for number in range(first, first + count)]


def reference(number: int) -> str:
    """A sender's customer number: personal, like a name."""
    return f"{MARK}-{number:06d}"


def is_bsn(digits: str) -> bool:
    """The eleven-test."""
    return sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11 == 0


def _person(number: int, bsn: str, dice: Random, known_by: Known | None) -> Person:
    surname = MARK.capitalize() + _letters(number)
    place, house = divmod(number, 40)
    return Person(
        name=f"{dice.choice(_FIRST_NAMES)} {surname}",
        surname=surname,
        bsn=bsn,
        birth_date=date(1931, 1, 1) + timedelta(days=3 * number + dice.randrange(3)),
        postcode=f"{POSTCODE_MARK}{place % 10}Q{string.ascii_uppercase[place // 10 % 26]}",
        house_number=house + 1,
        phone=f"06{PHONE_MARK}{number:04d}",
        email=f"{surname.lower()}@example.org",
        known_by=known_by or dice.choices(("bsn", "birth", "address"), (6, 3, 1))[0],
    )


def _letters(number: int) -> str:
    return "".join(string.ascii_lowercase[number // place % 26] for place in (676, 26, 1))


def _bsns() -> Iterator[str]:
    return (bsn for rest in range(100_000) if is_bsn(bsn := f"{BSN_MARK}{rest:05d}"))
