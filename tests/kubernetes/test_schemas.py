"""Every resource is one that the cluster, or the operator that it is for, takes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.kubernetes.manifests import CRDS, ROOT, Rendered, Resource, lacking, parsed, program

# The oldest that has all that is used, and the newest that there is a schema of.
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())
CUSTOM = (".strimzi.io/", "mongodbcommunity.", "cert-manager.", "external-secrets.", "monitoring.coreos.")
SOURCES = [ROOT / name for name in ("base", "kafka", "mongodb")]


def is_custom(resource: Resource) -> bool:
    return any(part in resource["apiVersion"] for part in CUSTOM)


def sources() -> Iterator[Path]:
    """The files of whole resources; a patch is part of one."""
    for folder in SOURCES:
        yield from (folder / name for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"])


@pytest.mark.parametrize("source", list(sources()), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_source_is_of_resources_that_the_cluster_takes(source: Path) -> None:
    """Also where kustomize is not; what a patch adds is looked at in the overlays."""
    resources = parsed(source.read_text())
    assert resources
    for resource in resources:
        if not is_custom(resource):
            kubernetes_validate.validate(resource, VERSIONS[0], strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_overlay_is_what_the_cluster_takes(rendered: Rendered, version: str) -> None:
    plain = [resource for resource in rendered.resources if not is_custom(resource)]
    assert len(plain) > 30
    for resource in plain:
        kubernetes_validate.validate(resource, version, strict=True)


def test_an_overlay_is_what_its_operators_take(rendered: Rendered) -> None:
    wrong = []
    for resource in filter(is_custom, rendered.resources):
        group, _, version = resource["apiVersion"].partition("/")
        schema = schemas().get((group, version, resource["kind"])) or lacking(f"no schema of {resource['kind']} here")
        name = f"{resource['kind']} {resource['metadata']['name']}"
        errors = jsonschema.Draft202012Validator(schema).iter_errors(resource)
        wrong += [f"{name} {error.json_path}: {error.message}" for error in errors]
    assert not wrong


def test_a_field_that_an_operator_does_not_know_is_found() -> None:
    """The cluster would drop it without a word."""
    schema = schemas().get(("kafka.strimzi.io", "v1", "KafkaTopic")) or lacking("no schema of KafkaTopic here")
    topic = {"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic", "metadata": {}, "spec": {"partition": 3}}
    (error,) = jsonschema.Draft202012Validator(schema).iter_errors(topic)
    assert "partition" in error.message


def test_kube_score_finds_nothing(rendered: Rendered) -> None:
    """Exceptions are annotations, with their reason beside them."""
    command = [program("kube-score"), "score", "--output-format", "ci", "--kubernetes-version", "v1.30", "-"]
    done = subprocess.run(command, input=rendered.text, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) > 100
    assert [line for line in lines if not line.startswith(("[OK]", "[SKIPPED]"))] == []


@cache
def schemas() -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Of every custom resource that the operators' packages define, by group, version and kind."""
    found = {}
    for path in sorted(CRDS.glob("*/*.yaml")):
        for definition in parsed(path.read_text()):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
                found[spec["group"], version["name"], spec["names"]["kind"]] = schema
    return found


def strict(schema: Any) -> Any:
    """As JSON Schema, in which a field that is not named is wrong, unless the resource keeps those."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    changed = {key: strict(value) for key, value in schema.items() if key not in ("default", "enum", "example")}
    changed |= {"enum": schema["enum"]} if isinstance(schema.get("enum"), list) else {}
    if isinstance(properties := schema.get("properties"), dict) and schema.get("type") == "object":
        changed["properties"] = {name: strict(each) for name, each in properties.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            changed.setdefault("additionalProperties", False)
    return changed
