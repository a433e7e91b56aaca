"""Our own rules for what is deployed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hulpketen_contracts import TOPICS

from services.chassis.settings import KafkaSettings
from tests.kubernetes.manifests import SERVICES, Rendered, Resource

DOCUMENTED = re.compile(r"^\| `[A-Z]+ (/[^`]*)`", re.MULTILINE)
ROUTES = Path(__file__).parents[2] / "docs/routes.md"
# Volumes that restricted pod security allows, and that keep nothing; beside them what a service has to keep.
VOLUMES = {"projected", "emptyDir"}
KEPT = {"audit": ("persistentVolumeClaim", "AUDIT_PLACE")}


def test_no_secret_and_no_blank_is_left_in_what_is_applied(rendered: Rendered) -> None:
    assert rendered.of("Secret") == []
    assert not re.search(r"\.invalid|192\.0\.2\.|NAMESPACE|PRIVATE KEY", rendered.text)


def test_all_is_in_the_namespace_and_that_is_restricted(rendered: Rendered) -> None:
    (namespace,) = rendered.of("Namespace")
    modes = {name: value for name, value in namespace["metadata"]["labels"].items() if "pod-security" in name}
    assert set(modes.values()) == {"restricted"}
    assert len(modes) == 3
    others = [each for each in rendered.resources if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in others} == {namespace["metadata"]["name"]}


def test_no_pod_has_privileges(rendered: Rendered) -> None:
    """By the profile `restricted`, and beyond: no token of the cluster, nothing that may be written but /tmp, and the
    second place of the trail."""
    pods = dict(rendered.pods())
    assert len(pods) == 2 * len(SERVICES)
    for name, template in pods.items():
        spec = template["spec"]
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec.keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC", "initContainers"}), name
        volume, setting = KEPT.get(name, ("", ""))
        assert {key for each in spec["volumes"] for key in each.keys() - {"name"}} <= VOLUMES | {volume}, name
        kept = [rendered.environment(template)[setting]] if setting else []
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert not context["allowPrivilegeEscalation"], name
        assert context["readOnlyRootFilesystem"], name
        writable = [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")]
        assert sorted(writable) == sorted(["/tmp", *kept]), name


def test_each_has_an_account_of_its_own_without_rights(rendered: Rendered) -> None:
    accounts = {name: template["spec"]["serviceAccountName"] for name, template in rendered.pods()}
    assert accounts == {prefix + name: name for name in SERVICES for prefix in ("", "migrate-")}
    bound = {subject["name"] for binding in rendered.of("RoleBinding") for subject in binding["subjects"]}
    assert bound.isdisjoint(SERVICES)


def test_an_image_has_a_version(rendered: Rendered) -> None:
    images = {template["spec"]["containers"][0]["image"] for _, template in rendered.pods()}
    (image,) = images
    assert re.fullmatch(r"registry\.[a-z.]+/hulpketen:\d+\.\d+\.\d+", image)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_goes_on_while_a_machine_is_emptied(rendered: Rendered, service: str) -> None:
    deployment = rendered.named("Deployment", service)
    replicas, least = deployment["spec"].get("replicas"), autoscaled(rendered).get(service, {}).get("minReplicas")
    # One of the two says how many, or the one would undo what the other did.
    assert (replicas is None) != (least is None)
    assert int(replicas or least or 0) >= 2
    budget = rendered.named("PodDisruptionBudget", service)["spec"]
    assert budget["maxUnavailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_no_more_processes_than_partitions_and_one_standby_for_the_trail(rendered: Rendered) -> None:
    scaled = autoscaled(rendered)
    assert "audit" not in scaled
    assert all(spec["maxReplicas"] <= partitions(rendered) for spec in scaled.values())
    assert rendered.named("Deployment", "audit")["spec"]["replicas"] == 2


def partitions(rendered: Rendered) -> int:
    """As many as the services expect."""
    settings = rendered.environment(rendered.named("Deployment", "matching")["spec"]["template"])
    return int(settings.get("KAFKA_PARTITIONS", KafkaSettings.model_fields["partitions"].default))


def autoscaled(rendered: Rendered) -> dict[str, Resource]:
    return {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in rendered.of("HorizontalPodAutoscaler")}


@pytest.mark.parametrize("service", SERVICES)
def test_from_outside_all_routes_are_reached_but_those_of_operators(rendered: Rendered, service: str) -> None:
    (ingress,) = rendered.of("Ingress")
    paths = [
        path
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
        if path["backend"]["service"]["name"] == service
    ]

    def is_reached(route: str) -> bool:
        return any(
            route == path["path"] or (path["pathType"] == "Prefix" and route.startswith(f"{path['path']}/"))
            for path in paths
        )

    sections = re.split(r"^## ", ROUTES.read_text(), flags=re.MULTILINE)
    own, operators = (
        DOCUMENTED.findall(next(text for text in sections if text.startswith(f"{name}\n")))
        for name in (service, "every service")
    )
    assert own
    assert "/metrics" in operators
    assert [route for route in own if not is_reached(route)] == []
    assert [route for route in operators if is_reached(route)] == []


def test_addresses_that_others_are_given_are_the_proxys(rendered: Rendered) -> None:
    (ingress,) = rendered.of("Ingress")
    hosts = {rule["http"]["paths"][0]["backend"]["service"]["name"]: rule["host"] for rule in ingress["spec"]["rules"]}
    (tls,) = ingress["spec"]["tls"]
    assert sorted(tls["hosts"]) == sorted(hosts.values())
    settings = {name: rendered.environment(rendered.named("Deployment", name)["spec"]["template"]) for name in SERVICES}
    assert settings["matching"]["MATCHING_INTAKE_URL"] == f"https://{hosts['intake']}"
    assert settings["notifications"]["NOTIFICATIONS_PUBLIC_URL"] == f"https://{hosts['notifications']}"


def test_broker_and_database_lose_nothing_with_one_of_three(rendered: Rendered) -> None:
    config = rendered.named("Kafka", "hulpketen")["spec"]["kafka"]["config"]
    assert {pool["spec"]["replicas"] for pool in rendered.of("KafkaNodePool")} == {3}
    assert config["default.replication.factor"] == 3
    assert config["min.insync.replicas"] == 2
    assert not config["auto.create.topics.enable"]
    assert {topic["spec"]["replicas"] for topic in rendered.of("KafkaTopic")} == {3}
    database = rendered.named("MongoDBCommunity", "hulpketen-mongodb")["spec"]
    assert database["members"] == 3
    assert database["security"]["tls"]["enabled"]


def test_topics_and_users_are_those_that_the_services_expect(rendered: Rendered) -> None:
    expected = {name for name in TOPICS if "{" not in name}
    topics = {topic["metadata"]["name"]: topic["spec"] for topic in rendered.of("KafkaTopic")}
    assert topics.keys() == expected
    assert {user["metadata"]["name"] for user in rendered.of("KafkaUser")} == set(SERVICES)
    assert {topic["partitions"] for topic in topics.values()} == {partitions(rendered)}
    cluster = rendered.of("Kafka")[0]["metadata"]["name"]
    of_a_cluster = [*rendered.of("KafkaTopic"), *rendered.of("KafkaUser"), *rendered.of("KafkaNodePool")]
    assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in of_a_cluster} == {cluster}
