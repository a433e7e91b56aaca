"""The sample: made-up people only, and internally consistent."""

from __future__ import annotations

from datetime import date

from hulpketen_contracts import OrganisationChanged, ServiceChanged

from deploy.local.sample import read, signals

DAY = date(2026, 11, 20)


def eleven_test(bsn: str) -> bool:
    return sum(w * int(d) for w, d in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), bsn, strict=True)) % 11 == 0


def test_people_have_numbers_from_the_test_range_that_pass_the_eleven_test() -> None:
    numbers = [bsn for _, signal in signals(DAY) if (bsn := signal["client"].get("bsn"))]
    assert numbers
    assert all(bsn.startswith("9999") and eleven_test(bsn) for bsn in numbers)


def test_senders_may_send_what_they_send_where_they_send_it() -> None:
    organisations = {each["id"]: each for each in read("organisations")}
    for sender, signal in signals(DAY):
        assert signal["partnerType"] in organisations[sender]["partnerTypes"]
        assert signal["municipality"] in organisations[sender]["municipalities"]


def test_services_are_of_organisations_that_help_where_the_service_is() -> None:
    organisations = {each["id"]: each for each in read("organisations")}
    for service in read("services"):
        assert set(service["municipalities"]) <= set(organisations[service["organisation"]]["municipalities"])


def test_the_directory_is_as_the_contracts_have_it() -> None:
    for organisation in read("organisations"):
        OrganisationChanged.model_validate({"organisation": organisation.pop("id")} | organisation)
    for service in read("services"):
        ServiceChanged.model_validate({"service": service.pop("id")} | service)


def test_references_are_used_once() -> None:
    references = [(sender, signal["reference"]) for sender, signal in signals(DAY)]
    assert len(set(references)) == len(references)


def test_dates_count_back_from_the_day() -> None:
    _, first = next(iter(signals(DAY)))
    assert first["arisenOn"] == "2026-09-06"
    assert first["signalledOn"] == "2026-11-20"
