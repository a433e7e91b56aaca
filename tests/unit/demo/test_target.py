"""The description of a stack that runs: what may be in it, and what is said of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.demo.target import described
from cli.demo.world import World
from deploy.local.errors import StackError

ADDRESSES = {name: f"http://127.0.0.1:1/{name}" for name in ("issuer", "intake", "matching", "notifications", "audit")}


def written(folder: Path, **more: Any) -> str:
    """The path of a stack.json."""
    (folder / "keys").mkdir()
    (folder / "keys" / "hulpketen-cli.secret").write_text("secret\n")
    (folder / "password").write_text("of kafka\n")
    file = folder / "stack.json"
    file.write_text(json.dumps(ADDRESSES | more))
    return str(file)


def test_what_a_stack_does_not_say_is_left_out(tmp_path: Path) -> None:
    target = described(written(tmp_path, pids={"intake": 1}))
    assert dict(target.addresses) == ADDRESSES
    assert target.kafka is None
    assert target.left_out(broker=False) == ["broker", "traces", "logs"]


def test_the_broker_and_the_folders_that_it_names_are_looked_at(tmp_path: Path) -> None:
    door = {"bootstrap": "k:9093", "securityProtocol": "SASL_PLAINTEXT", "username": "u", "passwordFile": "password"}
    target = described(written(tmp_path, kafka=door, traces="traces", logs="logs"))
    assert target.kafka == {
        "bootstrap_servers": "k:9093",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "of kafka",
    }
    assert target.files == {"traces": tmp_path / "traces", "logs": tmp_path / "logs"}
    assert target.left_out(broker=True) == []


def test_each_run_has_a_world_of_its_own(tmp_path: Path) -> None:
    file = written(tmp_path)
    first, second = described(file).world, described(file).world
    assert not {each.id for each in (*first.creditors, *first.helpers)} & {each.id for each in second.helpers}
    assert first.coordinator != second.coordinator != World().coordinator
    assert not any(helper.kafka for helper in first.helpers)
    assert first.municipality.startswith("9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "stack.json"),
        ('{"issuer": "http://127.0.0.1:1"}', "intake: field required"),
    ],
)
def test_a_description_that_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(text)
    with pytest.raises(StackError, match=said) as refused:
        described(str(file))
    assert "\n" not in str(refused.value)


def test_a_file_or_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nothing\.json cannot be read"):
        described(str(tmp_path / "nothing.json"))
    with pytest.raises(StackError, match=r"elsewhere\.secret cannot be read"):
        described(written(tmp_path, clientSecretFile="elsewhere.secret"))
