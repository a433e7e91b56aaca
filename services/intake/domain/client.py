"""Who a signal is about: the client, the contact, and how the person may be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.intake.domain.checks import (
    Addition,
    Body,
    Bsn,
    Email,
    HouseNumber,
    Name,
    PastDate,
    Phone,
    Postcode,
    folded,
)

Channel = Literal["letter", "call", "message", "visit"]
Kind = Literal["bsn", "birth", "surname", "address", "verified"]


class Identifier(NamedTuple):
    """Something that leads to a person; `text` is canonical, to be hashed with a key. `place`: its address, if any."""

    kind: Kind
    text: str
    place: str = ""


class Client(Body):
    """Either a BSN, or an address with what is known of who lives there (DDAS vroegsignalering 1.2)."""

    bsn: Bsn | None = None
    postcode: Postcode | None = None
    house_number: HouseNumber | None = None
    house_number_addition: Addition | None = None
    birth_date: PastDate | None = None
    surname: Name | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        address = (self.postcode, self.house_number)
        others = (*address, self.house_number_addition, self.birth_date, self.surname)
        if self.bsn is None and None in address:
            raise PydanticCustomError("client", "Needs a bsn, or a postcode and houseNumber")
        if self.bsn is not None and any(value is not None for value in others):
            raise PydanticCustomError("client", "A bsn comes without an address, birth date or surname")
        return self

    def identifiers(self) -> tuple[Identifier, ...]:
        """What leads to the person; see `identifiers`."""
        return identifiers(self.known())

    @property
    def is_address(self) -> bool:
        """Whether only an address is known: that is linked to no person."""
        return not (self.bsn or self.birth_date or self.surname)

    def known(self) -> dict[str, Any]:
        """The fields that are filled, for the vault."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Contact(Body):
    """How to reach the person."""

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None

    def known(self) -> dict[str, Any]:
        """The fields that are filled, for the vault."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class SafeContact(Body):
    """A secret address, or ways in which the person must not be reached."""

    secret_address: bool = False
    do_not: list[Channel] = Field(default=[], max_length=4)

    def restrictions(self) -> list[str]:
        """As sorted codes; empty: the person can be reached in every way."""
        return sorted({*self.do_not, *(["secret-address"] if self.secret_address else [])})


def identifiers(known: Mapping[str, Any]) -> tuple[Identifier, ...]:
    """What leads to the person of these fields of a client, strongest first; of an address alone the address."""
    if "bsn" in known:
        return (Identifier("bsn", known["bsn"]),)
    place = address(known["postcode"], known["houseNumber"], known.get("houseNumberAddition"))
    found: list[Identifier] = []
    if "birthDate" in known:
        found.append(Identifier("birth", f"{place}|{known['birthDate']}", place))
    if "surname" in known:
        found.append(Identifier("surname", f"{place}|{folded(known['surname'])}", place))
    return tuple(found) or (Identifier("address", place, place),)


def address(postcode: str, house_number: int, addition: str | None) -> str:
    """One canonical text for an address."""
    return f"{postcode}|{house_number}|{folded(addition or '')}"
