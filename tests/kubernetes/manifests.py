"""What `deploy/kubernetes` says, as the cluster would be given it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

ROOT = Path(__file__).parents[2] / "deploy/kubernetes"
OVERLAYS = ("test", "production")
SERVICES = ("intake", "matching", "notifications", "audit")
CRDS = Path(sys.prefix) / "share/kubernetes"
Resource = Mapping[str, Any]


def lacking(what: str) -> NoReturn:
    """Skip the test, or fail it where REQUIRE_KUBERNETES says that all must be there."""
    words = f"{what}: `make check-kubernetes` brings it"
    if os.environ.get("REQUIRE_KUBERNETES") == "1":
        pytest.fail(words)
    pytest.skip(words)


def program(name: str) -> str:
    """Where that program is: in .venv, or else where the shell finds it."""
    folders = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])
    return shutil.which(name, path=folders) or lacking(f"no {name} here")


def render(overlay: str) -> str:
    """The overlay as kustomize puts it together, as YAML."""
    return _build(program("kustomize"), overlay)


@cache
def _build(kustomize: str, overlay: str) -> str:
    command = [kustomize, "build", str(ROOT / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def parsed(text: str) -> Sequence[Resource]:
    """The documents in it; by the faster of the two loaders where it is there."""
    return tuple(filter(None, yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))


class Rendered:
    """The resources of one overlay."""

    def __init__(self, overlay: str) -> None:
        self.overlay = overlay
        self.text = render(overlay)
        self.resources = parsed(self.text)

    def of(self, kind: str) -> list[Resource]:
        """All of that kind."""
        return [each for each in self.resources if each["kind"] == kind]

    def named(self, kind: str, name: str) -> Resource:
        """The one of that kind and name."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self) -> Iterator[tuple[str, Resource]]:
        """The template of each pod of ours, with the name of what makes it."""
        for each in (*self.of("Deployment"), *self.of("Job")):
            yield each["metadata"]["name"], each["spec"]["template"]

    def environment(self, template: Resource) -> dict[str, str]:
        """What the pod's container gets from the ConfigMaps that it names; the later ones count."""
        (container,) = template["spec"]["containers"]
        names = [each["configMapRef"]["name"] for each in container["envFrom"]]
        return {key: value for name in names for key, value in self.named("ConfigMap", name)["data"].items()}


def projected(template: Resource, volume: str) -> dict[str, str]:
    """The files of a projected volume: path to `secret/key`."""
    (found,) = (each for each in template["spec"]["volumes"] if each["name"] == volume)
    secrets = [source["secret"] for source in found["projected"]["sources"]]
    return {item["path"]: f"{secret['name']}/{item['key']}" for secret in secrets for item in secret["items"]}
