"""Who may send a signal that names a person: one table, each row with its source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from hulpketen_contracts.values import PartnerType

Ground = Literal["law", "experiment", "municipality", "never"]


class Row(NamedTuple):
    """`law`: everywhere. `experiment`, `municipality`: where a grant says so. `never`: not as a signal."""

    ground: Ground
    source: str


_WGS = "Wgs and Bgs (Stb. 2020, 240)"
_EXPERIMENT = "Experiment under the Bgs (Stcrt. 2021, 45719; 2025, 17636), by municipality, creditor and date"
_OWN = "The Wgs gives no basis for personal data in prevention; off until the municipality sets its own"

TABLE: dict[PartnerType, Row] = {
    "Energie": Row("law", _WGS),
    "Huur": Row("law", _WGS),
    "Water": Row("law", _WGS),
    "Zorg": Row("law", _WGS),
    "Belastingdienst": Row("experiment", _EXPERIMENT),
    "CAK Eigen bijdrage": Row("experiment", _EXPERIMENT),
    "CAK Zorgverzekeringen": Row("experiment", _EXPERIMENT),
    "Dienst Toeslagen": Row("experiment", _EXPERIMENT),
    "DUO": Row("experiment", _EXPERIMENT),
    "Hypotheek": Row("experiment", _EXPERIMENT),
    "School": Row("municipality", _OWN),
    "Werkgever": Row("municipality", _OWN),
    "Wijkteam": Row("municipality", _OWN),
    "Overige": Row("never", "No law names the sender"),
    "Inwoner": Row("never", "A resident chooses help through the financial test"),
}

_GRANT = re.compile(
    r"(?P<municipality>\d{4}):(?P<type>[^=|;]+)=(?P<source>[^|;]+)"
    r"(\|(?P<first>\d{4}-\d\d-\d\d)/(?P<last>\d{4}-\d\d-\d\d)?)?"
    r"(\|(?P<organisations>[a-z0-9,-]+))?"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A municipality's own basis, or its part in an experiment: for whom, and from when to when (both included)."""

    municipality: str
    partner_type: str
    source: str
    first: date = date.min
    last: date = date.max
    organisations: frozenset[str] = frozenset()

    def covers(self, municipality: str, partner_type: str, sender: str, on: date) -> bool:
        """Whether this grant lets the sender send that, on that day."""
        return (
            (self.municipality, self.partner_type) == (municipality, partner_type)
            and self.first <= on <= self.last
            and (not self.organisations or sender in self.organisations)
        )


def parse_grants(text: str) -> tuple[Grant, ...]:
    """Grants in the form `0106:School=Verordening 2026|2026-01-01/2027-12-31|school-a,school-b; 0106:DUO=…`.

    Dates and organisations may be left out. Raises ValueError, which names the entry's number.
    """
    entries = [entry.strip() for entry in text.split(";") if entry.strip()]
    return tuple(_grant(number, entry) for number, entry in enumerate(entries, 1))


def _grant(number: int, entry: str) -> Grant:
    found = _GRANT.fullmatch(entry)
    if not found:
        raise ValueError(f"entry {number} is not <municipality>:<type>=<source>[|<from>/<to>][|<organisations>]")
    partner_type = found["type"].strip()
    if partner_type not in [name for name, row in TABLE.items() if row.ground in ("experiment", "municipality")]:
        raise ValueError(f"entry {number} names a partner type that no municipality can allow")
    return Grant(
        municipality=found["municipality"],
        partner_type=partner_type,
        source=found["source"].strip(),
        first=date.fromisoformat(found["first"]) if found["first"] else date.min,
        last=date.fromisoformat(found["last"]) if found["last"] else date.max,
        organisations=frozenset((found["organisations"] or "").split(",")) - {""},
    )


@dataclass(frozen=True, slots=True)
class Sender:
    """An organisation as intake knows it from the directory."""

    organisation: str
    kind: str
    municipalities: frozenset[str]
    partner_types: frozenset[str]


def refusals(
    sender: Sender | None, partner_type: PartnerType, municipality: str, *, on: date, grants: Sequence[Grant]
) -> list[str]:
    """Codes of all reasons why this signal may not be sent; empty: it may. A municipality sends what it received."""
    if sender is None:
        return ["unknown-sender"]
    found: list[str] = []
    if municipality not in sender.municipalities:
        found.append("municipality-not-allowed")
    if sender.kind != "municipality" and partner_type not in sender.partner_types:
        found.append("partner-type-not-allowed")
    by_grant = any(grant.covers(municipality, partner_type, sender.organisation, on) for grant in grants)
    if TABLE[partner_type].ground != "law" and not by_grant:
        found.append("no-legal-basis")
    return found


REFUSALS: dict[str, tuple[str, str]] = {
    "unknown-sender": ("", "The directory does not know the sender"),
    "municipality-not-allowed": ("/municipality", "The sender is not of this municipality"),
    "partner-type-not-allowed": ("/partnerType", "The sender may not send signals of this type"),
    "no-legal-basis": ("/partnerType", "No law, experiment or municipal basis allows this signal here and now"),
}
