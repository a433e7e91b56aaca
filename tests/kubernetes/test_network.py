"""Who reaches whom, by the network policies alone: what the settings point at, and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kubernetes.manifests import SERVICES, Rendered, Resource

Labels = Mapping[str, str]
NAMESPACE = "kubernetes.io/metadata.name"
# Addresses of these settings are for others to use: browsers, and who follows a reference in an event.
FOR_OTHERS = {"MATCHING_INTAKE_URL", "NOTIFICATIONS_PUBLIC_URL", "AUDIT_PAGE_PUBLIC_URL"}
ELSEWHERE = {
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "collector": ("observability", {"app.kubernetes.io/name": "collector"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "ingress": ("ingress", {"app.kubernetes.io/name": "traefik"}),
    "stranger": ("default", {"app.kubernetes.io/name": "intake", "app.kubernetes.io/component": "service"}),
}
OPERATED = {
    "broker": {"strimzi.io/cluster": "hulpketen", "strimzi.io/broker-role": "true"},
    "controller": {"strimzi.io/cluster": "hulpketen", "strimzi.io/broker-role": "false"},
    "mongodb": {"app": "hulpketen-mongodb-svc"},
}
PORTS = (53, 443, 4318, 6443, 8080, 9090, 9091, 9093, 27017)


class World:
    """The pods that there are, and what the policies let through."""

    def __init__(self, rendered: Rendered) -> None:
        self.rendered = rendered
        self.here = rendered.of("Namespace")[0]["metadata"]["name"]
        self.pods: dict[str, tuple[str, Labels]] = {name: (self.here, labels) for name, labels in OPERATED.items()}
        self.pods |= {name: (self.here, template["metadata"]["labels"]) for name, template in rendered.pods()}
        self.pods |= ELSEWHERE
        self.policies = [each["spec"] for each in rendered.of("NetworkPolicy")]

    def reaches(self, source: str) -> set[tuple[str, int]]:
        """The pods and ports that this pod reaches."""
        found = {(other, port) for other in self.pods for port in PORTS if self.may(source, other, port)}
        return found - {(source, port) for port in PORTS}

    def may(self, source: str, target: str, port: int) -> bool:
        """Whether both ends let it through."""
        return self._lets(source, target, port, "egress", "to") and self._lets(target, source, port, "ingress", "from")

    def addresses(self, source: str) -> list[ipaddress.IPv4Network]:
        """The addresses outside that this pod reaches, at port 443."""
        rules = [rule for rule in self._rules(source, "egress") if {"port": 443} in rule["ports"]]
        blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"]]
        assert not [block for block in blocks if "except" in block]
        return [ipaddress.IPv4Network(block["cidr"]) for block in blocks]

    def _lets(self, pod: str, peer: str, port: int, way: str, end: str) -> bool:
        namespace, labels = self.pods[pod]
        if namespace != self.here:
            return True  # its own policies are not ours
        if not any(
            way.title() in each["policyTypes"] for each in self.policies if selects(each["podSelector"], labels)
        ):
            return True  # whom no policy is about, anybody reaches
        return any(
            any(each["port"] == port for each in rule["ports"])
            and any(self._is_peer(selector, peer) for selector in rule.get(end, []))
            for rule in self._rules(pod, way)
        )

    def _rules(self, pod: str, way: str) -> list[Resource]:
        _, labels = self.pods[pod]
        rules: list[Resource] = [
            rule for each in self.policies if selects(each["podSelector"], labels) for rule in each.get(way, [])
        ]
        return rules + (self._of_strimzi() if way == "ingress" and pod == "broker" else [])

    def _of_strimzi(self) -> list[Resource]:
        """What Strimzi writes for the listeners."""
        listeners = self.rendered.named("Kafka", "hulpketen")["spec"]["kafka"]["listeners"]
        return [{"from": each["networkPolicyPeers"], "ports": [{"port": each["port"]}]} for each in listeners]

    def _is_peer(self, selector: Mapping[str, Any], peer: str) -> bool:
        namespace, labels = self.pods[peer]
        if "ipBlock" in selector:
            return False
        if "namespaceSelector" in selector:
            there = selects(selector["namespaceSelector"], {NAMESPACE: namespace})
        else:
            there = namespace == self.here
        return there and selects(selector.get("podSelector", {}), labels)


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions: Iterable[Mapping[str, Any]] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


@pytest.fixture
def world(rendered: Rendered) -> World:
    return World(rendered)


def pointed_at(world: World, service: str) -> tuple[set[tuple[str, int]], set[str]]:
    """By the service's settings: pods with their ports, and hosts outside."""
    template = world.rendered.named("Deployment", service)["spec"]["template"]
    environment = world.rendered.environment(template)
    cluster = world.rendered.named("Kafka", "hulpketen")["metadata"]["name"]
    host, _, port = environment["KAFKA_BOOTSTRAP"].partition(":")
    assert host == f"{cluster}-kafka-bootstrap"
    pods, outside = {("broker", int(port)), ("mongodb", 27017), ("dns", 53)}, set()
    for name, value in environment.items():
        url = urlsplit(value)
        if not url.hostname or name in FOR_OTHERS:
            continue
        if url.hostname.endswith(".example.nl"):
            assert (url.scheme, url.port) == ("https", None), name
            outside.add(url.hostname)
        else:
            pods.add((url.hostname.partition(".")[0], url.port or 80))
    return pods, outside


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_what_its_settings_point_at_and_nothing_else(world: World, service: str) -> None:
    pods, outside = pointed_at(world, service)
    assert world.reaches(service) == pods
    addresses = world.addresses(service)
    assert len(addresses) == len(set(addresses)) == len(outside)
    assert all(network.prefixlen >= 24 for network in addresses)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_reached_by_the_proxy_by_prometheus_and_by_the_board(world: World, service: str) -> None:
    callers = {name for name in world.pods if world.may(name, service, 8080)}
    board = {"notifications"} if service in ("audit", "intake", "matching") else set()
    assert callers - {service} == {"ingress", "prometheus"} | board


def test_a_migration_reaches_the_database_alone(world: World) -> None:
    for service in SERVICES:
        assert world.reaches(f"migrate-{service}") == {("mongodb", 27017), ("dns", 53)}
        assert world.addresses(f"migrate-{service}") == []


def test_a_stranger_reaches_nobody(world: World) -> None:
    """Nor does a pod of the namespace that no policy names."""
    world.pods["other"] = (world.here, {"app": "other"})
    assert {target for target, _ in world.reaches("stranger")} <= ELSEWHERE.keys()
    assert world.reaches("other") == {("dns", 53)}
    assert [name for name in world.pods if world.may(name, "other", 8080)] == []


def test_each_policy_is_about_a_pod_that_there_is(world: World) -> None:
    """A label that is misspelt lets through nothing, or everything."""
    entity_operator = {"strimzi.io/cluster": "hulpketen", "strimzi.io/name": "hulpketen-entity-operator"}
    labels = [*(labels for _, labels in world.pods.values()), entity_operator]
    for policy in world.policies:
        assert any(selects(policy["podSelector"], each) for each in labels)
