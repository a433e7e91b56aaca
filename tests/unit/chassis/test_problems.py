"""Problems: errors with pointers, and nothing of what was sent."""

from __future__ import annotations

import json
from datetime import date

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from services.chassis.problems import FieldError, Problem, field_errors, pointer


class Client(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    birth_date: date
    postcode: str = Field(pattern=r"^\d{4}[A-Z]{2}$")

    @field_validator("postcode")
    @classmethod
    def _careless(cls, value: str) -> str:
        raise ValueError(f"no postcode: {value}")


class Request(BaseModel):
    clients: list[Client]
    limits: dict[str, int] = Field(default_factory=dict)


def test_pydantic_errors_become_pointers_without_values() -> None:
    sent = {
        "clients": [{"birthDate": "yesterday-ish", "postcode": "9401AB", "Jansen": 1, "123456782": 2, "phone": 3}],
        "limits": {"Lange Straat 1": "many"},
    }
    with pytest.raises(ValidationError) as caught:
        Request.model_validate(sent)
    errors = field_errors(caught.value.errors(), place="body")
    assert [(error.pointer, error.code) for error in errors] == [
        ("/clients/0/birthDate", "date-from-datetime-parsing"),
        ("/clients/0/postcode", "value-error"),
        ("/clients/0", "extra-forbidden"),
        ("/clients/0", "extra-forbidden"),
        ("/clients/0/phone", "extra-forbidden"),
        ("/limits", "int-parsing"),
    ]
    assert errors[1].message == "Not allowed here"
    said = json.dumps(errors)
    for value in ("yesterday", "9401AB", "Jansen", "123456782", "Straat", "many"):
        assert value not in said


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        (("a", 0, "bC"), "/a/0/bC"),
        (("a", "x y", "b"), "/a"),
        (("a/b",), ""),
        (("houseNumber", "line2"), "/houseNumber/line2"),
        (("a", "jan_de_vries"), "/a"),
        (("a", "jan-de-vries", "b"), "/a"),
        (("Jansen",), ""),
        (("a123456782",), ""),
        (("a" * 43,), ""),
    ],
)
def test_a_pointer_names_what_a_contract_could(path: tuple[str | int, ...], expected: str) -> None:
    assert pointer(path) == expected


def test_the_place_comes_with_the_location() -> None:
    (error,) = field_errors([{"loc": ("query", "limit"), "type": "int_parsing", "msg": "no", "input": "many"}])
    assert error == FieldError("/limit", "int-parsing", "no", "query")
    (error,) = field_errors([{"loc": ("path", "case_id"), "type": "missing", "msg": "no", "input": None}])
    assert error == FieldError("/case_id", "missing", "no", "path")


def test_the_answer_has_the_members_of_the_standard_and_its_own() -> None:
    problem = Problem(
        409, "Not from here.", type="transition", extensions={"allowed": ["accept"]}, headers={"X-A": "b"}
    )
    response = problem.response()
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-a"] == "b"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:problem-type:hulpketen:transition",
        "title": "In conflict with what is there",
        "status": 409,
        "detail": "Not from here.",
        "allowed": ["accept"],
    }
