"""Feeds a DDAS delivery (VNG Realisatie, vroegsignalering 1.2) to a chain of its own, as its municipalities would."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cli.demo.outside import Outside
from cli.demo.scan import Scanner
from cli.demo.world import Organisation, World, put_organisation
from deploy.local.errors import StackError
from deploy.local.stack import LocalStack

_CODE = re.compile(r"[0-9]{4}", re.ASCII)
# Delivers what names no municipality; intake refuses it.
_NOBODY = "0000"
_ATTEMPT_S = 600


class Part(NamedTuple):
    """What one municipality delivers: its leveringen, and where its records stand in the whole file, from 1."""

    municipality: str
    delivery: dict[str, Any]
    records: list[int]


def read(file: Path) -> dict[str, Any]:
    """The delivery in a file. Raises: StackError where there is none in it."""
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StackError(f"{file} is not JSON: {type(error).__name__}") from error
    if not isinstance(found, dict) or not isinstance(found.get("leveringen"), list):
        raise StackError(f"{file} is no DDAS delivery: it has no list 'leveringen'")
    return found


def split(delivery: dict[str, Any]) -> list[Part]:
    """What each municipality delivers, by its code; each with all other fields of the file."""
    parts: dict[str, Part] = {}
    number = 0
    for levering in delivery["leveringen"]:
        code = levering.get("gemeentecode") if isinstance(levering, dict) else None
        code = code if isinstance(code, str) and _CODE.fullmatch(code) else _NOBODY
        part = parts.setdefault(code, Part(code, delivery | {"leveringen": []}, []))
        part.delivery["leveringen"].append(levering)
        for _ in _records(levering):
            number += 1
            part.records.append(number)
    return list(parts.values())


async def feed(delivery: dict[str, Any], name: str) -> dict[str, Any]:
    """{"records", "taken", "refused", "reasons"}: of each refused record where it stands, and why.

    Raises: StackError, also where the numbers do not add up to the records of the file called `name`.
    """
    figures: dict[str, Any] = {"records": 0, "taken": 0, "refused": 0, "reasons": []}
    with tempfile.TemporaryDirectory(prefix="hulpketen-ddas-") as folder:
        async with (
            LocalStack(Path(folder), run=("intake", "matching")) as stack,
            Outside(stack.addresses, stack.token, Scanner(()), World(_NOBODY), _ATTEMPT_S) as outside,
        ):
            for part in split(delivery):
                await _deliver(outside, part, figures)
    figures["reasons"].sort(key=lambda each: each["record"])
    if figures["taken"] + figures["refused"] != figures["records"]:
        raise StackError(f"the numbers of {name} do not add up: {figures}")
    return figures


async def _deliver(outside: Outside, part: Part, figures: dict[str, Any]) -> None:
    organisation = Organisation(f"gemeente-{part.municipality}", "municipality")
    await put_organisation(outside, organisation, [part.municipality])
    token = outside.token("sender", organisation.id, [part.municipality])
    content = json.dumps(part.delivery).encode()
    # A municipality that joined a moment ago is not known at the door yet: 403.
    answer = (await outside.ask("POST", "intake", "/v1/deliveries", token, content=content, again=(403,))).body
    figures["records"] += len(part.records)
    figures["taken"] += answer["taken"]
    figures["refused"] += len(answer["refused"])
    for line in answer["refused"]:
        where = {"record": part.records[line["line"] - 1], "municipality": part.municipality}
        figures["reasons"].append(where | {"reference": line["reference"], "reasons": line["reasons"]})


def _records(levering: Any) -> Iterator[Any]:
    records = levering.get("vroegsignalen") if isinstance(levering, dict) else None
    yield from records if isinstance(records, list) else ()
