"""Deliveries: NDJSON, CSV and DDAS, as they stream in; each line taken or refused."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import OrganisationChanged

from tests.conftest import Infrastructure
from tests.integration.intake import BSNS, Intake, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
NDJSON, CSV, DDAS = "application/x-ndjson", "text/csv", "application/json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def intake(stack_infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    limits = {"delivery_max_lines": 5_000, "delivery_line_bytes": 2_048}
    async with running(stack_infra, tmp_path_factory.mktemp("intake"), **limits) as intake:
        for name, kind, types in (("huur-voorbeeld", "creditor", ["Huur"]), ("gemeente-voorbeeld", "municipality", [])):
            event = OrganisationChanged.model_validate(
                {
                    "organisation": name,
                    "name": name,
                    "kind": kind,
                    "municipalities": ["0106", "0344", "0363"],
                    "partnerTypes": types,
                }
            )
            await intake.publish(event, f"organisation-{name}")
            await intake.until(f"organisation-{name}")
        yield intake


async def deliver(
    intake: Intake,
    content: Any,
    content_type: str,
    *,
    key: str | None = None,
    organisation: str = "huur-voorbeeld",
    municipalities: tuple[str, ...] = ("0106",),
) -> Any:
    headers = intake.token("sender", organisation, *municipalities) | {"Content-Type": content_type}
    if key:
        headers["Idempotency-Key"] = key
    return await intake.client.post("/v1/deliveries", content=content, headers=headers)


def line(reference: str, **changes: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "municipality": "0106",
        "partnerType": "Huur",
        "amount": 900,
        "arisenOn": "2026-01-01",
        "signalledOn": "2026-02-15",
        "client": {"bsn": BSNS[0]},
    } | changes


def ndjson(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


async def taken(intake: Intake) -> int:
    return int(await intake.service.database["aggregates"].count_documents({"state.status": "received"}))


async def test_each_line_is_taken_or_refused_with_all_its_reasons(intake: Intake) -> None:
    content = (
        ndjson(line("nd-1"), line("nd-2", amount=-1, client={"bsn": "111111111"}))
        + b"\n"
        + b"{broken\n"
        + b'{"reference": "nd-long", "x": "'
        + b"y" * 3_000
        + b'"}\n'
        + ndjson(line("nd-3", partnerType="Water"), line("nd-1", amount=1), line("nd-1"))
        + json.dumps(line("nd-4")).encode()
    )
    before = await taken(intake)
    answer = await deliver(intake, content, NDJSON)
    assert answer.status_code == 200
    body = answer.json()
    assert body["lines"] == 8
    assert body["taken"] == 3
    assert await taken(intake) == before + 2
    found = {
        (each["line"], each["reference"]): [(reason["code"], reason["pointer"]) for reason in each["reasons"]]
        for each in body["refused"]
    }
    assert found == {
        (2, "nd-2"): [("greater-than-equal", "/amount"), ("bsn", "/client/bsn")],
        (4, None): [("json-invalid", "")],
        (5, None): [("too-long", "")],
        (6, "nd-3"): [("partner-type-not-allowed", "/partnerType")],
        (7, "nd-1"): [("reference-reused", "/reference")],
    }
    assert "111111111" not in answer.text


async def test_a_row_of_csv_may_have_dutch_columns_and_line_ends(intake: Intake) -> None:
    content = (
        "\ufeffkenmerk;gemeentecode;signaalpartner;bedrag;ontstaansdatum;signaaldatum;crisissignaal;postcode;"
        "huisnummer;huisnummertoevoeging;geboortedatum;achternaam;naam;nietBenaderenVia\r\n"
        'csv-1;0106;Huur;450;2026-01-01;2026-02-15;nee;9401 ZZ;12;bis;1990-05-06;Jansen;"Jan\nJansen";\r\n'
        "csv-2;0106;Huur;450;2026-01-01;2026-02-15;ja;9401 ZZ;12;;1990-05-06;Jansen;;brief, bellen\r\n"
        ";;;;;;;;;;;;;\r\n"
        "csv-3;0106;Huur;veel;2026-13-01;2026-02-15;misschien;9401;twaalf;;1990-05-06;Jansen;;\r\n"
        "csv-4;0106;Huur\r\n"
    )
    answer = await deliver(intake, content.encode(), CSV)
    body = answer.json()
    assert (body["lines"], body["taken"]) == (4, 1), body
    found = {
        (each["line"], each["reference"]): {(reason["code"], reason["pointer"]) for reason in each["reasons"]}
        for each in body["refused"]
    }
    assert found == {
        (2, "csv-1"): {("control-character", "/naam")},
        (6, "csv-3"): {
            ("int-type", "/bedrag"),
            ("date-parsing", "/ontstaansdatum"),
            ("bool-type", "/crisissignaal"),
            ("postcode", "/postcode"),
            ("int-type", "/huisnummer"),
        },
        (7, None): {("columns", "")},
    }
    assert "misschien" not in answer.text


async def test_a_header_that_is_none_refuses_the_delivery(intake: Intake) -> None:
    answer = await deliver(intake, b"reference,geheim\na,b\n", CSV)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem-type:hulpketen:csv-header")
    assert "geheim" not in answer.text


def published_example() -> dict[str, Any]:
    """In the form of the model's own example, with its oddities; all numbers in it are made up."""

    def signal(identifier: str, partner: str, status: str, **client: str) -> dict[str, Any]:
        return {
            "ID": identifier,
            "crisissignaal": False,
            "warmeOverdracht": False,
            "bedrag": 350,
            "ontstaansdatum": "2024-12-20",
            "signaaldatum": "2025-01-06",
            "status": status,
            "signaalpartner": {"type": partner},
            "client": client,
        }

    home = {"geslachtsaanduiding": "Onbekend", "geboortedatum": "1976-09-29", "postcode": "5678CD", "huisnummer": "18"}
    return {
        "codeGegevensleverancier": "LEVERANCIER",
        "leveringen": [
            {
                "teller": 1,
                "gemeentecode": "0344",
                "aanleverendeOrganisatie": {"naam": "Gemeente Voorbeeldstad"},
                "vroegsignalen": [
                    signal("VS-1", "Energie", "Nog niet opgepakt", burgerservicenummer="111111111"),
                    signal("VS-2", "Water", "Nog niet opgepakt", burgerservicenummer=BSNS[2]),
                ],
                "vroegsignaalzaken": [{"startdatumMatchtingperiode": "2025-01-01", "vroegsignalen": [{"ID": "VS-2"}]}],
            },
            {
                "teller": 2,
                "vroegsignalen": [
                    signal("VS-3", "Huur", "Niet opgepakt: herhaalde melding", **home),
                    signal("VS-4", "Zorg", "Opgepakt", huisnummertoevoeging="", **home),
                ],
                "gemeentecode": "0363",
            },
        ],
    }


async def ddas(intake: Intake, content: bytes, *municipalities: str, organisation: str = "gemeente-voorbeeld") -> Any:
    return await deliver(intake, content, DDAS, organisation=organisation, municipalities=municipalities)


async def test_the_national_model_with_its_oddities(intake: Intake) -> None:
    content = json.dumps(published_example()).encode()
    body = (await ddas(intake, content, "0344", "0363")).json()
    assert (body["lines"], body["taken"]) == (4, 2)
    reasons = {each["reference"]: [r["code"] for r in each["reasons"]] for each in body["refused"]}
    assert reasons == {"0344/VS-1": ["bsn"], "0363/VS-3": ["already-closed"]}
    assert body["refused"][0]["reasons"][0]["pointer"] == "/client/burgerservicenummer"
    assert {warning["code"] for warning in body["warnings"]} == {"case-not-imported", "older-spelling", "empty-field"}
    again = (await ddas(intake, content, "0344")).json()
    reasons = {each["reference"]: [r["code"] for r in each["reasons"]] for each in again["refused"]}
    assert reasons["0363/VS-4"] == ["municipality-not-allowed"]
    assert again["taken"] + len(again["refused"]) == again["lines"] == 4


async def test_what_is_no_delivery_of_a_municipality(intake: Intake) -> None:
    content = json.dumps(published_example()).encode()
    assert (await ddas(intake, content, "0106", organisation="huur-voorbeeld")).status_code == 403
    for broken, status in ((content[:-9], 400), (b"[]", 400), (b"[" * 5_000, 400), (b'{"a": "' + b"x" * 99_000, 413)):
        assert (await ddas(intake, broken, "0344")).status_code == status
    assert (await deliver(intake, b"x", "application/xml")).status_code == 415


async def test_the_same_delivery_again_takes_nothing_twice(intake: Intake) -> None:
    lines = [line(f"key-{n}") for n in range(50)]
    first = await deliver(intake, ndjson(*lines), NDJSON, key="delivery-1")
    before = await taken(intake)
    again = await deliver(intake, ndjson(*lines), NDJSON, key="delivery-1")
    assert first.json() == again.json() == {"lines": 50, "taken": 50, "refused": [], "warnings": []}
    assert await taken(intake) == before


async def test_another_content_under_the_key_of_a_delivery_is_refused_before_it_is_taken(intake: Intake) -> None:
    lines = [line(f"other-{n}") for n in range(50)]
    assert (await deliver(intake, ndjson(*lines), NDJSON, key="delivery-2")).status_code == 200
    before = await taken(intake)
    longer = ndjson(*lines, line("other-new"))
    changed = ndjson(*lines[:30], line("other-changed"), *lines[31:])
    shorter = ndjson(*lines[:20])
    for content in (longer, changed, shorter):
        answer = await deliver(intake, content, NDJSON, key="delivery-2")
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:problem-type:hulpketen:key-reused"
    assert await taken(intake) == before


async def test_a_row_that_is_not_utf_8_is_reported_with_its_line_and_reference(intake: Intake) -> None:
    header = "kenmerk;gemeentecode;signaalpartner;burgerservicenummer;naam\n"
    rows = "".join(f"latijn-{n};0106;Huur;{BSNS[0]};{name}\n" for n, name in enumerate(("Jansen", "José", "Smit")))
    report = (await deliver(intake, (header + rows).encode("latin-1"), CSV)).json()
    assert (report["lines"], report["taken"]) == (3, 2)
    (refused,) = report["refused"]
    assert (refused["line"], refused["reference"], refused["reasons"][0]["code"]) == (3, "latijn-1", "not-utf-8")


async def test_the_key_of_a_delivery_is_stored_hidden(intake: Intake) -> None:
    answer = await deliver(intake, ndjson(line("hidden-1")), NDJSON, key="Anna.Sleutelwoord")
    assert answer.json()["taken"] == 1
    names = [each["_id"] for each in await intake.service.database["deliveries"].find().to_list(None)]
    assert names
    assert not any("Sleutelwoord" in name for name in names)


async def test_a_delivery_that_was_broken_off_is_completed_under_its_key(intake: Intake) -> None:
    lines = [line(f"half-{n}") for n in range(50)]

    async def broken_off() -> AsyncIterator[bytes]:
        yield ndjson(*lines[:45])
        raise ConnectionError

    assert (await deliver(intake, broken_off(), NDJSON, key="delivery-3")).is_error
    assert (await deliver(intake, ndjson(*lines), NDJSON, key="delivery-3")).json()["taken"] == 50


async def test_lines_beyond_the_limit(intake: Intake) -> None:
    content = ndjson(line("limit")) * 5_001
    answer = await deliver(intake, content, NDJSON)
    assert answer.status_code == 413
    assert (answer.json()["lines"], answer.json()["taken"]) == (5_000, 5_000)


async def test_memory_does_not_grow_with_the_delivery(intake: Intake) -> None:
    output = io.StringIO()
    columns = ["reference", "municipality", "partnerType", "bsn"]
    csv.writer(output).writerows([columns, *([f"m-{n}", "0106", "Huur", "111111111"] for n in range(5_000))])
    content = output.getvalue().encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 16_384):
            yield content[start : start + 16_384]

    tracemalloc.start()
    answer = await deliver(intake, pieces(), CSV)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answer.json()["refused"]) == 5_000
    # 5,000 refused lines: the answer twice, a few batches, and the client's copy.
    assert peak < 15_000_000
