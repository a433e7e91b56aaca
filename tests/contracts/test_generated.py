"""The generated files: up to date, valid, complete; and the commands that make and compare them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hulpketen_contracts
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from hulpketen_contracts import CATALOGUE, EVENTS, TOPICS
from hulpketen_contracts.export import VERSION, breaks, stale, write
from hulpketen_contracts.schemas import schemas
from jsonschema import Draft7Validator, Draft202012Validator
from typer.testing import CliRunner

from cli.contracts import app

CONTRACTS = Path(hulpketen_contracts.__file__).parent.parent
DOCUMENT = json.loads((CONTRACTS / "asyncapi.json").read_text(encoding="utf-8"))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("schemas", "baseline"):
        shutil.copytree(CONTRACTS / name, tmp_path / name)
    shutil.copy(CONTRACTS / "asyncapi.json", tmp_path)
    return tmp_path


class TestFiles:
    def test_what_is_committed_is_what_the_models_say(self) -> None:
        assert stale(CONTRACTS) == []

    def test_nothing_breaks_the_released_baseline(self) -> None:
        assert breaks(CONTRACTS) == []

    def test_the_version_is_the_packages(self) -> None:
        project = tomllib.loads((CONTRACTS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["version"] == VERSION
        assert [re.split(r"\W", name)[0] for name in project["dependencies"]] == ["pydantic"]

    def test_stale_missing_and_left_over_files_are_named_and_mended(self, copied: Path) -> None:
        assert stale(copied) == []
        (copied / "schemas/headers.chain.json").unlink()
        (copied / "schemas/nl.hulpketen.old.made.v1.json").write_text("{}")
        (copied / "asyncapi.json").write_text("{}")
        names = ["asyncapi.json", "schemas/headers.chain.json", "schemas/nl.hulpketen.old.made.v1.json"]
        assert stale(copied) == names
        assert write(copied) == names
        assert stale(copied) == []

    @pytest.mark.parametrize("name", schemas())
    def test_each_schema_is_json_schema_2020_12(self, name: str) -> None:
        held = json.loads((CONTRACTS / f"schemas/{name}.json").read_text(encoding="utf-8"))
        assert held["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(held)

    def test_no_schema_holds_text_without_a_limit(self) -> None:
        """Free text could hold anything: every string has a pattern, a list of values, or a date's form."""
        for held in _objects(schemas()):
            if held.get("type") == "string":
                assert held.keys() & {"pattern", "enum", "const", "format"} or held.get("description") == "The event."


class TestAsyncApi:
    def test_it_is_an_asyncapi_3_document(self) -> None:
        assert DOCUMENT["asyncapi"] == "3.0.0"
        ApplicationSchema.model_validate(DOCUMENT)

    def test_each_reference_leads_somewhere(self) -> None:
        references = [held["$ref"] for held in _objects(DOCUMENT) if "$ref" in held]
        assert len(references) > 100
        for reference in references:
            assert isinstance(_follow(reference), dict), reference

    def test_each_event_is_a_message_with_headers_and_payload(self) -> None:
        messages = DOCUMENT["components"]["messages"]
        assert {held["name"] for held in messages.values()} == set(CATALOGUE)
        for event in EVENTS:
            held = messages[event.__name__]
            assert held["headers"]["properties"]["ce_type"] == {"const": event.TYPE}
            assert {"ce_id", "ce_source", "ce_time", "content-type"} <= set(held["headers"]["required"])
            assert _follow(held["payload"]["$ref"])["required"]
            assert held["summary"]
            assert held["bindings"]["kafka"]["key"]["type"] == "string"

    def test_payloads_and_headers_keep_to_what_asyncapi_reads(self) -> None:
        """AsyncAPI's own schema object is a superset of JSON Schema draft 7."""
        for held in DOCUMENT["components"]["schemas"].values():
            Draft7Validator.check_schema(held)
            assert not any("$defs" in part or "$schema" in part for part in _objects(held))
        for message in DOCUMENT["components"]["messages"].values():
            Draft7Validator.check_schema(message["headers"])

    def test_each_topic_is_a_channel_with_its_events(self) -> None:
        channels = {held["address"]: held for held in DOCUMENT["channels"].values()}
        assert set(channels) == set(TOPICS)
        for name, held in channels.items():
            assert set(held["messages"]) == {event.__name__ for event in EVENTS if name == event.TOPIC}
            assert set(held.get("parameters", {})) == set(re.findall(r"{(\w+)}", name))

    def test_each_service_has_its_operations(self) -> None:
        found = {
            (held["tags"][0]["name"], held["action"], _follow(held["channel"]["$ref"])["address"])
            for held in DOCUMENT["operations"].values()
        }
        sends = {(name, "send", topic.name) for topic in TOPICS.values() for name in topic.producers}
        receives = {(name, "receive", topic.name) for topic in TOPICS.values() for name in topic.consumers}
        assert found == sends | receives | {("partner", "receive", "partners.{organisation}")}

    def test_each_operations_messages_are_of_its_channel(self) -> None:
        for held in DOCUMENT["operations"].values():
            assert held["messages"]
            for message in held["messages"]:
                assert message["$ref"].startswith(held["channel"]["$ref"] + "/messages/")


class TestCatalogue:
    @pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
    def test_each_event_has_its_place(self, event: Any) -> None:
        assert event.TOPIC in TOPICS
        assert event.__doc__
        assert TOPICS[event.TOPIC].reference == event.REFERENCE

    def test_no_type_stands_there_twice(self) -> None:
        assert len(CATALOGUE) == len(EVENTS)

    def test_a_type_or_key_of_another_form_is_refused(self) -> None:
        base: Any = EVENTS[0]
        for wrong in ({"TYPE": "org.example.made.v1"}, {"TYPE": base.TYPE, "KEY": "nothing"}):
            with pytest.raises(TypeError):
                type("Wrong", (base,), {**wrong, "__module__": __name__})


class TestCommands:
    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    def test_export_writes_and_then_has_nothing_to_do(self, copied: Path) -> None:
        (copied / "asyncapi.json").unlink()
        assert self.run("export", "--directory", str(copied)) == (0, "asyncapi.json\n")
        assert self.run("export", "--check", "--directory", str(copied)) == (0, "")

    def test_export_check_names_what_is_stale_and_writes_nothing(self, copied: Path) -> None:
        (copied / "asyncapi.json").write_text("{}")
        code, output = self.run("export", "--check", "--directory", str(copied))
        assert code == 1
        assert "asyncapi.json\n" in output
        assert (copied / "asyncapi.json").read_text() == "{}"

    def test_check_is_content_with_the_baseline(self) -> None:
        assert self.run("check")[0] == 0

    def test_check_names_each_change_that_breaks(self, copied: Path) -> None:
        path = copied / "baseline/nl.hulpketen.persons.merged.v1.json"
        held = json.loads(path.read_text(encoding="utf-8"))
        held["properties"]["from"] = {"type": "string"}
        path.write_text(json.dumps(held))
        code, output = self.run("check", "--directory", str(copied))
        assert code == 1
        assert "nl.hulpketen.persons.merged.v1 /from: the field was removed or renamed (breaks a reader)\n" in output

    def test_check_without_a_baseline_says_so(self, tmp_path: Path) -> None:
        code, output = self.run("check", "--directory", str(tmp_path))
        assert code == 1
        assert "no released schemas" in output

    def test_check_of_a_baseline_that_is_no_json_says_so(self, copied: Path) -> None:
        (copied / "baseline/headers.chain.json").write_text("[]")
        assert self.run("check", "--directory", str(copied))[0] == 1


ALONE = """
import importlib, pkgutil, sys
its_own = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
trail = {"cryptography", "_cffi_backend", "cffi"} if "trail" in sys.argv else set()
allowed = {"pydantic", "hulpketen_contracts"} | its_own | trail
class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if not (top in allowed | sys.stdlib_module_names or top.startswith("_sysconfigdata")):
            raise ModuleNotFoundError(f"{name} is not a dependency of the package", name=name)
sys.meta_path.insert(0, Only())
import hulpketen_contracts
names = [found.name for found in pkgutil.walk_packages(hulpketen_contracts.__path__, "hulpketen_contracts.")]
wanted = [name for name in names if trail or ".trail" not in name]
for name in wanted:
    importlib.import_module(name)
print(len(wanted))
"""


@pytest.mark.parametrize(("extra", "modules"), [("", 20), ("trail", 30)])
def test_the_package_needs_pydantic_alone_and_with_the_extra_trail_cryptography(
    tmp_path: Path, extra: str, modules: int
) -> None:
    shutil.copytree(CONTRACTS / "hulpketen_contracts", tmp_path / "hulpketen_contracts")
    command = [sys.executable, "-c", ALONE, extra]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= modules


def _objects(held: Any) -> Iterator[dict[str, Any]]:
    if isinstance(held, dict):
        yield held
        for part in held.values():
            yield from _objects(part)
    elif isinstance(held, list):
        for part in held:
            yield from _objects(part)


def _follow(reference: str) -> Any:
    held: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        held = held[name]
    return held
