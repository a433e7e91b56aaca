"""From the national exchange model DDAS vroegsignalering (1.2, and the older spelling) to signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# Fields of a signal and where DDAS has them; used for the values and, backwards, for pointers in refusals.
POINTERS = {
    "/reference": "/ID",
    "/municipality": "/gemeentecode",
    "/partnerType": "/signaalpartner/type",
    "/amount": "/bedrag",
    "/arisenOn": "/ontstaansdatum",
    "/signalledOn": "/signaaldatum",
    "/crisis": "/crisissignaal",
    "/warmTransfer": "/warmeOverdracht",
    "/client/bsn": "/client/burgerservicenummer",
    "/client/postcode": "/client/postcode",
    "/client/houseNumber": "/client/huisnummer",
    "/client/houseNumberAddition": "/client/huisnummertoevoeging",
    "/client/birthDate": "/client/geboortedatum",
}
_PLAIN = {
    "bedrag": "amount",
    "ontstaansdatum": "arisenOn",
    "signaaldatum": "signalledOn",
    "crisissignaal": "crisis",
    "warmeOverdracht": "warmTransfer",
}
_CLIENT = {
    "burgerservicenummer": "bsn",
    "postcode": "postcode",
    "huisnummer": "houseNumber",
    "huisnummertoevoeging": "houseNumberAddition",
    "geboortedatum": "birthDate",
}
_KNOWN = {*_PLAIN, "ID", "status", "signaalpartner", "client"}
# Not needed for early help: read over, never stored.
_IGNORED_CLIENT = {"geslachtsaanduiding"}
OPEN = {None, "Nog niet opgepakt", "Opgepakt"}
CLOSED = {
    "Inwoner al bekend bij schuldhulpverlening",
    "Inwoner is overleden",
    "Niet opgepakt: andere reden",
    "Niet opgepakt: herhaalde melding",
    "Niet opgepakt: onterecht signaal",
    "Persoon is geen inwoner (meer) in de gemeente",
}
OLDER_SPELLING = "startdatumMatchtingperiode"


class Mapped(NamedTuple):
    """A record as a signal, with reasons to refuse it (pointer, code, message) and oddities (code, pointer)."""

    signal: dict[str, Any]
    refusals: list[tuple[str, str, str]]
    oddities: list[tuple[str, str]]


def signal_of(record: Mapping[str, Any], municipality: str) -> Mapped:
    """Map one `vroegsignaal` of a delivery for this `gemeentecode`; its ID counts within the municipality."""
    identifier, partner = record.get("ID"), record.get("signaalpartner")
    signal: dict[str, Any] = {name: record[field] for field, name in _PLAIN.items() if record.get(field) is not None}
    client, oddities = _client(record.get("client"))
    signal |= {"municipality": municipality, "client": client}
    if isinstance(identifier, str) and identifier:
        signal["reference"] = f"{municipality}/{identifier}"
    if isinstance(partner, Mapping) and "type" in partner:
        signal["partnerType"] = partner["type"]
    oddities += [("unknown-field", "/vroegsignalen") for field in record if field not in _KNOWN]
    return Mapped(signal, _status(record.get("status")), oddities)


def case_oddities(case: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is odd in a `vroegsignaalzaak`; cases are not taken over, a case begins with its signals."""
    found = [("case-not-imported", "/vroegsignaalzaken")]
    if OLDER_SPELLING in case:
        found.append(("older-spelling", f"/vroegsignaalzaken/{OLDER_SPELLING}"))
    return found


def _client(value: Any) -> tuple[Any, list[tuple[str, str]]]:
    if not isinstance(value, Mapping):
        return value, []
    client: dict[str, Any] = {}
    oddities: list[tuple[str, str]] = []
    for field, content in value.items():
        if content == "":
            oddities.append(("empty-field", f"/vroegsignalen/client/{field}" if field in _CLIENT else "/vroegsignalen"))
        elif field in _CLIENT:
            client[_CLIENT[field]] = content
        elif field not in _IGNORED_CLIENT:
            oddities.append(("unknown-field", "/vroegsignalen/client"))
    client["houseNumber"] = _number(client.get("houseNumber"))
    return {name: content for name, content in client.items() if content is not None}, oddities


def _number(value: Any) -> Any:
    """DDAS writes a house number as text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value


def _status(status: Any) -> list[tuple[str, str, str]]:
    if isinstance(status, str) and status in CLOSED:
        return [("/status", "already-closed", "The municipality has settled this signal already")]
    if status is not None and (not isinstance(status, str) or status not in OPEN):
        return [("/status", "unknown-status", "Is not a status of DDAS vroegsignalering 1.2")]
    return []
