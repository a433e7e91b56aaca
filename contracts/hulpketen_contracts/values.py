"""The values that events are made of: ids, codes, enumerations, text. None of them can hold a person's data."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)


class PersonalMarker:
    """The type of `Personal`: see there."""

    def __repr__(self) -> str:
        return "Personal"


Personal: Final = PersonalMarker()
"""Marks a field as personal data: `name: Annotated[str, Personal]`. `encode` refuses an event with such a field."""


def parse_time(value: object) -> datetime:
    """A time in UTC, cut to milliseconds, from a datetime or from RFC 3339 text. Raises ValueError; the zone is due."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("not a date and time with a zone in the form of RFC 3339")
    if value.tzinfo is UTC and not value.microsecond % 1000:
        return value
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("not between the years 1 and 9999 in UTC") from None
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A UUID as text, lower case: of a signal, test, case, referral; a person's pseudonym within one municipality."""

OrganisationId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
ServiceId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Municipality = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
"""The four digits of the municipality's code at Statistics Netherlands (CBS): "0106" is Assen."""

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
"""A code of a list that the sender keeps; never text that somebody typed."""

ShortText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
LongText = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""Text about an organisation or its help, public by nature; never about a person."""

Url = Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")]
Euros = Annotated[int, Field(ge=0, le=99_999_999)]
Age = Annotated[int, Field(ge=0, le=150)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Version = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""Of a case or referral: 1, 2, 3 …; of two events about one, the higher is the later."""

Millis = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""Milliseconds since 1970 in UTC, as the Logboek Dataverwerkingen has them."""

Day = date
Time = Annotated[AwareDatetime, BeforeValidator(parse_time)]
"""RFC 3339 with a zone; held in UTC, cut to milliseconds."""

SubjectKind = Literal["person", "address"]

PartnerType = Literal[
    "Belastingdienst",
    "CAK Eigen bijdrage",
    "CAK Zorgverzekeringen",
    "Dienst Toeslagen",
    "DUO",
    "Energie",
    "Huur",
    "Hypotheek",
    "Overige",
    "Water",
    "Zorg",
    "School",
    "Werkgever",
    "Wijkteam",
    "Inwoner",
]
"""DDAS vroegsignalering 1.2 `signaalpartner`, as published, and four of the chain's own."""

CaseResult = Literal[
    "(Budget)advies en/of quick fix",
    "Definitief geen contact kunnen krijgen",
    "Geen reactie na eerder contact",
    "Inwoner al bekend bij schuldhulpverlening",
    "Inwoner heeft al een ander lopend traject",
    "Inwoner heeft zelf al betaald/betalingsregeling getroffen",
    "Inwoner is overleden",
    "Inwoner regelt het zelf/hoeft geen hulp vanuit vroegsignalering",
    "Niet opgepakt: andere reden",
    "Niet opgepakt: herhaalde melding",
    "Niet opgepakt: onterecht signaal",
    "Persoon is geen inwoner (meer) in de gemeente",
    "Vervolghulp en/of verwijzing",
    "Vervolghulp en/of verwijzing financieel",
    "Vervolghulp en/of verwijzing niet financieel",
    "Verwijzing zonder tussenkomst inwoner",
]
"""DDAS vroegsignalering 1.2 `eindresultaat`, as published."""

Exit = Literal[
    "zelfhulp",
    "digitale-vrijwilliger",
    "lokale-vrijwilliger-of-professional",
    "gemeentelijke-schuldhulpverlening",
]
"""The four exits of the Nederlandse Schuldhulproute's test."""

CaseStatus = Literal["open", "closed"]
CaseKind = Literal["single", "multiple"]
ReferralStatus = Literal["made", "accepted", "declined", "waitlisted", "started", "ended", "cancelled", "expired"]
DecidedBy = Literal["resident", "professional", "coordinator", "partner"]
ConfirmedBy = Literal["resident", "professional"]
ServiceStatus = Literal["active", "inactive", "defunct", "temporarily closed"]
"""Open Referral HSDS 3.0 `service.status`."""

Capacity = Literal["capacity", "no-capacity", "waitlist", "additional-assessment-required"]
"""Of FHIR's SDOH Clinical Care."""

OrganisationKind = Literal[
    "municipality",
    "creditor",
    "debt-counselling",
    "volunteers",
    "fund",
    "food-bank",
    "school",
    "employer",
    "neighbourhood-team",
    "digital",
    "self-help",
]
LineStatus = Literal["Unset", "Ok", "Error"]
"""Logboek Dataverwerkingen: `Error` for technical failure alone; wrong input, rightly refused, is `Unset`."""
