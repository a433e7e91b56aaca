"""Checks of single values, and their one canonical form. No message repeats the value that it is about."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

OLDEST = date(1900, 1, 1)
# The Netherlands is at most two hours ahead of UTC.
_AHEAD = timedelta(hours=2)
_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_POSTCODE = re.compile(r"([1-9]\d{3}) ?((?!SA|SD|SS)[A-Z]{2})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PHONE = re.compile(r"(\+|00)?[0-9]{9,15}", re.ASCII)
_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")


class Body(BaseModel):
    """What somebody sends: camelCase, no unknown fields, no conversion between types."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )


def today(now: datetime) -> date:
    """The latest date that it can be in the Netherlands at this time (UTC)."""
    return (now.astimezone(UTC) + _AHEAD).date()


def is_bsn(value: str) -> bool:
    """Whether nine digits pass the eleven-test: 9a + 8b + 7c + 6d + 5e + 4f + 3g + 2h - i is a multiple of 11."""
    if len(value) != len(_WEIGHTS) or not (value.isascii() and value.isdigit()) or value == "000000000":
        return False
    return sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, value, strict=True)) % 11 == 0


def _bsn(value: str) -> str:
    if not is_bsn(value):
        raise PydanticCustomError("bsn", "Is not a citizen service number (nine digits that pass the eleven-test)")
    return value


def _postcode(value: str) -> str:
    found = _POSTCODE.fullmatch(value.strip().upper())
    if not found:
        raise PydanticCustomError("postcode", "Is not a Dutch postcode (1234 AB)")
    return found[1] + found[2]


def _text(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("control_character", "Holds a character that is not allowed")
    return value


def _past(value: date, info: ValidationInfo) -> date:
    latest: date = (info.context or {})["today"]
    if not OLDEST <= value <= latest:
        raise PydanticCustomError("date_range", "Must be a date from 1900 up to today")
    return value


def _phone(value: str) -> str:
    digits = re.sub(r"[ ().-]", "", value)
    if not _PHONE.fullmatch(digits):
        raise PydanticCustomError("phone", "Is not a telephone number")
    return digits


def _email(value: str) -> str:
    if len(value) > 254 or not _EMAIL.fullmatch(value):
        raise PydanticCustomError("email", "Is not an e-mail address")
    return value


def _empty_is_none(value: str) -> str | None:
    return value or None


def folded(value: str) -> str:
    """Letters and digits alone, without case and accents: "D'Hondt-Özer" and "dhondt ozer" are the same name."""
    plain = unicodedata.normalize("NFKD", value).casefold()
    return "".join(character for character in plain if character.isalnum())


def _name(value: str) -> str:
    if not any(character.isalnum() for character in value):
        raise PydanticCustomError("name", "Must hold letters")
    return value


def context(now: datetime) -> dict[str, Any]:
    """What the validators need to know of the world."""
    return {"today": today(now)}


Bsn = Annotated[str, AfterValidator(_bsn)]
Postcode = Annotated[str, AfterValidator(_postcode)]
HouseNumber = Annotated[int, Field(ge=1, le=99_999)]
Addition = Annotated[
    str, StringConstraints(max_length=10, strip_whitespace=True), AfterValidator(_text), AfterValidator(_empty_is_none)
]
PastDate = Annotated[date, AfterValidator(_past)]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True),
    AfterValidator(_text),
    AfterValidator(_name),
]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_text)]
Phone = Annotated[str, StringConstraints(max_length=30), AfterValidator(_phone)]
Email = Annotated[str, AfterValidator(_email)]
Municipality = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
