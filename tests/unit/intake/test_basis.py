"""Who may send what: a test for each row of the table, and for the municipality's own grants."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest
from hulpketen_contracts.values import PartnerType

from services.intake.domain.basis import REFUSALS, TABLE, Sender, parse_grants, refusals

ON = date(2026, 3, 1)
LAW = {"Energie", "Huur", "Water", "Zorg"}
EXPERIMENT = {"Belastingdienst", "CAK Eigen bijdrage", "CAK Zorgverzekeringen", "Dienst Toeslagen", "DUO", "Hypotheek"}
OWN = {"School", "Werkgever", "Wijkteam"}


def sender(*types: str, kind: str = "creditor", municipalities: tuple[str, ...] = ("0106",)) -> Sender:
    return Sender("voorbeeld", kind, frozenset(municipalities), frozenset(types))


@pytest.mark.parametrize("partner_type", get_args(PartnerType))
def test_each_row(partner_type: PartnerType) -> None:
    assert TABLE[partner_type].source
    alone = refusals(sender(partner_type), partner_type, "0106", on=ON, grants=())
    assert alone == ([] if partner_type in LAW else ["no-legal-basis"])
    if partner_type in EXPERIMENT | OWN:
        grants = parse_grants(f"0106:{partner_type}=Besluit")
        assert refusals(sender(partner_type), partner_type, "0106", on=ON, grants=grants) == []
    elif partner_type not in LAW:
        with pytest.raises(ValueError, match="entry 1"):
            parse_grants(f"0106:{partner_type}=Besluit")


def test_the_table_has_no_other_rows() -> None:
    assert set(TABLE) == set(get_args(PartnerType))


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [
        ("0106:DUO=Stcrt. 2021, 45719", True),
        ("0106:DUO=Stcrt. 2021, 45719|2026-01-01/2026-12-31", True),
        ("0106:DUO=Stcrt. 2021, 45719|2026-03-01/2026-03-01", True),
        ("0106:DUO=Stcrt. 2021, 45719|2026-03-02/", False),
        ("0106:DUO=Stcrt. 2021, 45719|2025-01-01/2026-02-28", False),
        ("0106:DUO=Stcrt. 2021, 45719|2026-01-01/|ander,voorbeeld", True),
        ("0106:DUO=Stcrt. 2021, 45719|ander", False),
        ("9901:DUO=Stcrt. 2021, 45719; 0106:School=Verordening", False),
    ],
)
def test_a_grant_has_its_place_time_and_senders(grant: str, allowed: bool) -> None:
    found = refusals(sender("DUO"), "DUO", "0106", on=ON, grants=parse_grants(grant))
    assert found == ([] if allowed else ["no-legal-basis"])


@pytest.mark.parametrize("text", ["x", "0106:DUO", "0106:Huur=Wgs", "106:DUO=x", "0106:DUO=x|2026-13-01/"])
def test_a_grant_that_cannot_be_read_names_its_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry 2|month"):
        parse_grants(f"0106:DUO=x; {text}")


def test_all_reasons_at_once() -> None:
    found = refusals(sender("Huur"), "DUO", "9901", on=ON, grants=())
    assert found == ["municipality-not-allowed", "partner-type-not-allowed", "no-legal-basis"]
    assert refusals(None, "Huur", "0106", on=ON, grants=()) == ["unknown-sender"]
    assert set(found) | {"unknown-sender"} == set(REFUSALS)


def test_a_municipality_sends_on_what_it_received() -> None:
    municipality = sender(kind="municipality")
    assert refusals(municipality, "Huur", "0106", on=ON, grants=()) == []
    assert refusals(municipality, "School", "0106", on=ON, grants=()) == ["no-legal-basis"]
