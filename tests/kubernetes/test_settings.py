"""What the services are told in the cluster is what they ask for, and fits what stands beside them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

import certifi
import pytest
from pydantic import BaseModel, SecretStr

from services.chassis.section import FOLDER
from services.chassis.settings import ChassisSettings, load, sections, variable
from tests.kubernetes.manifests import SERVICES, Rendered, Resource, projected

# What an operator or somebody from outside puts into a secret; the KMS's token is a file that a setting names.
SECRET = {"mongo_uri": "mongodb://intake:made-up@localhost/admin", "kms-token": "made-up"}


def composition(service: str) -> type[ChassisSettings]:
    found: type[ChassisSettings] = importlib.import_module(f"services.{service}.settings").Settings
    return found


def variables(of: type[BaseModel]) -> dict[str, object]:
    """Each variable that the composition reads, with the type of its value."""
    return {
        variable(section, name): field.annotation
        for _, section in sections(of)
        for name, field in section.model_fields.items()
    }


def is_secret(kind: object) -> bool:
    return kind is SecretStr or (get_origin(kind) is UnionType and SecretStr in get_args(kind))


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def template(rendered: Rendered, service: str) -> Resource:
    found: Resource = rendered.named("Deployment", service)["spec"]["template"]
    return found


def test_every_setting_is_one_of_the_service_and_no_secret_is_among_them(
    rendered: Rendered, service: str, template: Resource
) -> None:
    known = variables(composition(service))
    # A service passes over what is another's, and no variable is read by nobody.
    own = rendered.environment(template).keys() - {FOLDER}
    assert own <= known.keys()
    assert [name for name in own if is_secret(known[name])] == []


def test_the_settings_load(
    rendered: Rendered, service: str, template: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables(composition(service)):
        monkeypatch.delenv(name, raising=False)
    for name, value in rendered.environment(template).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("KAFKA_CA_FILE", certifi.where())  # that it is mounted is a test of its own
    for path in projected(template, "secrets"):
        (tmp_path / path).write_text(SECRET.get(path, "made-up"))

    settings = load(composition(service))

    assert settings.auth.audience == service
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert settings.telemetry.exporter == "otlp"
    assert not settings.kafka.make_topics
    assert not settings.mongo.migrate  # the jobs do


def test_each_secret_file_is_a_setting_or_named_by_one(rendered: Rendered, service: str, template: Resource) -> None:
    known = variables(composition(service))
    environment = rendered.environment(template)
    folder = environment[FOLDER]
    for path in projected(template, "secrets"):
        setting = known.get(path.upper())
        assert is_secret(setting) if setting else f"{folder}/{path}" in environment.values(), path


def test_files_are_where_the_settings_say(rendered: Rendered, service: str, template: Resource) -> None:
    (container,) = template["spec"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    there = {
        f"{mounts[volume]}/{path}" for volume in ("secrets", "authorities") for path in projected(template, volume)
    }
    environment = rendered.environment(template)
    database = rendered.named("MongoDBCommunity", "hulpketen-mongodb")["spec"]["additionalConnectionStringConfig"]

    assert environment[FOLDER] == mounts["secrets"]
    named = {value for key, value in environment.items() if key.endswith("_FILE")} | {database["tlsCAFile"]}
    assert named <= there
    assert environment["HTTP_PORT"] == str(container["ports"][0]["containerPort"])


def test_a_service_has_the_users_secrets_that_are_its_own(rendered: Rendered, service: str, template: Resource) -> None:
    """And of secrets that hold keys of others, the certificate alone."""
    own = projected(template, "secrets")
    users = rendered.named("MongoDBCommunity", "hulpketen-mongodb")["spec"]["users"]
    (user,) = (each for each in users if each["name"] == service)
    environment = rendered.environment(template)

    assert own["kafka_sasl_password"] == f"{environment['KAFKA_SASL_USERNAME']}/password" == f"{service}/password"
    assert own["mongo_uri"] == f"{user['connectionStringSecretName']}/connectionString.standard"
    assert user["roles"] == [{"name": "readWrite", "db": environment["MONGO_DATABASE"]}]
    assert all(secret.partition("/")[0] in (service, *others(service)) for secret in own.values())
    assert {secret.partition("/")[2] for secret in projected(template, "authorities").values()} == {"ca.crt"}
    assert not [each for each in template["spec"]["containers"][0].get("env", []) if "valueFrom" in each]


def others(service: str) -> tuple[str, ...]:
    """Names of secrets beside the Kafka user's, all of this service."""
    return tuple(f"{service}-{what}" for what in ("mongodb", "kms", "client"))


def test_a_migration_gets_the_connection_of_its_own_database_alone(rendered: Rendered, service: str) -> None:
    job = rendered.named("Job", f"migrate-{service}")["spec"]["template"]
    assert projected(job, "secrets") == {"mongo_uri": f"{service}-mongodb/connectionString.standard"}
    assert rendered.environment(job) == rendered.environment(rendered.named("Deployment", service)["spec"]["template"])
    assert job["spec"]["containers"][0]["command"][-1] == service


def test_a_stop_has_time_to_end_what_is_under_way(rendered: Rendered, template: Resource) -> None:
    (container,) = template["spec"]["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    shutdown = int(rendered.environment(template)["HTTP_SHUTDOWN_S"])
    last_request_s = 10  # KAFKA_REQUEST_TIMEOUT_MS, and more than MONGO_TIMEOUT_MS
    assert pause + shutdown + last_request_s <= template["spec"]["terminationGracePeriodSeconds"]
