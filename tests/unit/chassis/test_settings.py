"""Settings: all described, and a wrong one names itself and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.chassis import settings_docs
from services.chassis.settings import ChassisSettings, Section, load, sections, variable

GOOD = {
    "KAFKA_BOOTSTRAP": "127.0.0.1:9092,broker:9093",
    "MONGO_URI": "mongodb://user:hunter2@127.0.0.1:27017/?replicaSet=rs0",
    "MONGO_DATABASE": "hulpketen_matching",
    "AUTH_ISSUER": "http://127.0.0.1:8000",
    "AUTH_AUDIENCE": "matching",
    "KEYS_FILE": "/tmp/keys.json",
}


NO_PEM = str(Path(__file__))


class OwnSettings(Section):
    """A service's own."""

    model_config = SettingsConfigDict(env_prefix="OWN_")

    token: SecretStr = Field(description="A secret of its own.", min_length=8)
    days: dict[str, int] = Field(default_factory=dict, description="Either <a> | <b>.")


class Composition(ChassisSettings):
    own: OwnSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_good_settings_are_loaded_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "8102")
    monkeypatch.setenv("OWN_TOKEN", "0123456789")
    loaded = load(Composition)
    assert loaded.http.port == 8102
    assert loaded.own.token.get_secret_value() == "0123456789"
    assert loaded.kafka.idempotent
    assert "hunter2" not in repr(loaded)


def test_a_setting_may_come_from_a_file_and_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own_token").write_text("from-a-file\n")
    (tmp_path / "http_port").write_text("8103")
    monkeypatch.setenv("SECRETS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("HTTP_PORT", "8102")
    loaded = load(Composition)
    assert loaded.own.token.get_secret_value() == "from-a-file"
    assert loaded.http.port == 8102


def test_every_field_of_every_section_is_described() -> None:
    for _, section in sections(ChassisSettings):
        assert section.__doc__
        assert section.model_config.get("env_prefix", "").endswith("_")
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTP_PORT", "99999", "less than or equal to 65535"),
        ("KAFKA_BOOTSTRAP", "no port", "should match pattern"),
        ("KAFKA_HEARTBEAT_INTERVAL_MS", "9000", "at most half of KAFKA_SESSION_TIMEOUT_MS"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "'PLAINTEXT', 'SSL'"),
        ("KAFKA_SASL_PASSWORD", "hunter2", "together with KAFKA_SASL_USERNAME"),
        ("KAFKA_SASL_PASSWORD", "", "must be set, with KAFKA_SASL_USERNAME"),
        ("KAFKA_CA_FILE", "/nowhere/ca.pem", "not point to a file"),
        ("KAFKA_KEY_FILE", NO_PEM, "together with KAFKA_CERT_FILE"),
        ("MONGO_URI", "mongodb://user:hunter2@2@host", "escape @ : / %"),
        ("MONGO_URI", "mongodb://host/?tls=true&tlsCAFile=/nowhere/hunter2.pem", "see that its files exist"),
        ("MONGO_URI", "postgres://user:hunter2@host", "must begin with mongodb://"),
        ("AUTH_ISSUER", "issuer", "should match pattern"),
        ("KEYS_PROVIDER", "hsm", "'file', 'vault' or 'azure'"),
        ("TELEMETRY_EXPORTER", "jaeger", "'none', 'file' or 'otlp'"),
        ("LOG_LEVEL", "loud", "'debug', 'info'"),
    ],
)
def test_a_wrong_setting_names_itself_and_what_is_allowed(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not value:
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        load(ChassisSettings)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"setting {name} is wrong: ")
    assert said in lines[0]
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [("KAFKA_CA_FILE", "KAFKA_CA_FILE holds no certificates"), ("KAFKA_CERT_FILE", "no certificate with its key")],
)
def test_a_file_that_is_no_pem_is_named(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, NO_PEM)
    with pytest.raises(SystemExit):
        load(ChassisSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_all_wrong_settings_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MONGO_URI")
    monkeypatch.setenv("OWN_TOKEN", "short1")
    monkeypatch.setenv("TELEMETRY_EXPORTER", "file")
    with pytest.raises(SystemExit):
        load(Composition)
    said = capsys.readouterr().err
    assert "setting MONGO_URI is missing (Connection string" in said
    assert "setting OWN_TOKEN is wrong" in said
    assert "setting TELEMETRY_DIRECTORY is wrong: must be set when TELEMETRY_EXPORTER is file" in said
    assert "short1" not in said


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "")
    assert load(ChassisSettings).http.port == 8080


def test_the_page_of_settings_names_each_and_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "docs" / "settings.md"
    arguments = [str(page), "services.chassis.settings:ChassisSettings", f"{__name__}:Composition"]
    assert settings_docs.main([*arguments, "--check"]) == 1
    assert settings_docs.main(arguments) == 0
    assert settings_docs.main([*arguments, "--check"]) == 0
    text = page.read_text()
    for _, section in sections(Composition):
        for name in section.model_fields:
            assert text.count(f"| `{variable(section, name)}` |") == 1
    assert "| `OWN_TOKEN` | required | A secret of its own. Secret. |" in text
    assert r"| `OWN_DAYS` | empty | Either \<a> \| \<b>. |" in text
    assert "| `HTTP_PORT` | `8080` | Port to listen on. (at least 1; at most 65535) |" in text
    assert "(one of none, file, otlp)" in text
    page.write_text(text + "more")
    assert settings_docs.main([*arguments, "--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert settings_docs.main(["page.md"]) == 2
