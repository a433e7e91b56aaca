"""From the columns of a CSV delivery (English or Dutch names) to signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS: dict[str, tuple[str, str]] = {
    # column -> (field, Dutch name of the column)
    "reference": ("reference", "kenmerk"),
    "municipality": ("municipality", "gemeentecode"),
    "partnerType": ("partnerType", "signaalpartner"),
    "amount": ("amount", "bedrag"),
    "arisenOn": ("arisenOn", "ontstaansdatum"),
    "signalledOn": ("signalledOn", "signaaldatum"),
    "crisis": ("crisis", "crisissignaal"),
    "warmTransfer": ("warmTransfer", "warmeOverdracht"),
    "bsn": ("client.bsn", "burgerservicenummer"),
    "postcode": ("client.postcode", "postcode"),
    "houseNumber": ("client.houseNumber", "huisnummer"),
    "houseNumberAddition": ("client.houseNumberAddition", "huisnummertoevoeging"),
    "birthDate": ("client.birthDate", "geboortedatum"),
    "surname": ("client.surname", "achternaam"),
    "name": ("contact.name", "naam"),
    "phone": ("contact.phone", "telefoonnummer"),
    "email": ("contact.email", "e-mail"),
    "secretAddress": ("safeContact.secretAddress", "geheimAdres"),
    "doNot": ("safeContact.doNot", "nietBenaderenVia"),
}
_BY_NAME = {name.casefold(): field for english, (field, dutch) in COLUMNS.items() for name in (english, dutch)}
_NUMBERS = {"amount", "client.houseNumber"}
_BOOLEANS = {"crisis", "warmTransfer", "safeContact.secretAddress"}
_TRUTH = {"true": True, "ja": True, "yes": True, "1": True, "false": False, "nee": False, "no": False, "0": False}
_CHANNELS = {"brief": "letter", "bellen": "call", "bericht": "message", "bezoek": "visit"}


def fields_of(header: Sequence[str]) -> list[str]:
    """The field of each column. Raises ValueError with the numbers of the columns that are not known or come twice."""
    fields = [_BY_NAME.get(name.strip().lstrip("\ufeff").casefold(), "") for name in header]
    wrong = [str(n) for n, field in enumerate(fields, 1) if not field or field in fields[: n - 1]]
    if wrong:
        what = "column {} is not known or comes twice" if len(wrong) == 1 else "columns {} are not known or come twice"
        raise ValueError(what.format(", ".join(wrong[:20])))
    return fields


def signal_of(fields: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """One row as a signal; empty cells are left out. A cell that cannot be read stays text, and is refused later."""
    signal: dict[str, Any] = {}
    for field, cell in zip(fields, cells, strict=True):
        if text := cell.strip():
            group, _, name = field.rpartition(".")
            target = signal.setdefault(group, {}) if group else signal
            target[name] = _value(field, text)
    return {"client": {}} | signal


def _value(field: str, text: str) -> Any:
    if field in _NUMBERS and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 12:
        return int(text)
    if field in _BOOLEANS:
        return _TRUTH.get(text.casefold(), text)
    if field == "safeContact.doNot":
        words = text.replace(",", " ").replace("|", " ").split()
        return [_CHANNELS.get(word.casefold(), word) for word in words]
    return text
