"""Whether the broker has the topics that a service needs, lets it use them, and lets it in at all."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from services.chassis.preflight import NotReady

APPLY = "run `hulpketen topics apply`, which makes topics and gives rights"
# Kafka's codes of operations, by the right that a service needs.
READ, WRITE = 3, 4
_NOT_ALLOWED = 29
_UTF8 = String("utf-8")


class _DescribedResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _UTF8), ("port", Int32), ("rack", _UTF8))),
        ("cluster_id", _UTF8),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _UTF8),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _DescribedStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    RESPONSE_TYPE = _DescribedResponse
    SCHEMA = Schema(
        ("topics", Array(_UTF8)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class Described(Request[_DescribedStruct]):  # type: ignore[misc]
    """Kafka's Metadata, version 8: the first to tell what one may do with a topic; aiokafka's own ends at 5."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = sorted(topics)

    def build(self, request_struct_class: type[_DescribedStruct]) -> _DescribedStruct:
        """The request, which makes no topic."""
        return request_struct_class(self._topics, False, False, True)


def check_topics(answer: Any, wanted: Mapping[str, Collection[int]], partitions: int | None, user: str) -> None:
    """`wanted`: the operations that a service needs, by topic; `partitions`: of each topic, None: any number.

    Raises NotReady with the first thing that is wrong.
    """
    found = {topic["topic"]: topic for topic in answer.to_object()["topics"]}
    for name, operations in wanted.items():
        topic = found.get(name)
        refused = topic is not None and topic["error_code"] == _NOT_ALLOWED
        if not refused and (topic is None or topic["error_code"]):
            raise NotReady(f"the topic {name} is missing, or {user} may not see it", APPLY)
        for operation, word in ((READ, "read"), (WRITE, "write")):
            rights = topic["authorized_operations"] if topic and not refused else 0
            # Below 0: a broker that does not tell.
            if operation in operations and not (rights < 0 or rights >> operation & 1):
                raise NotReady(f"{user} may not {word} the topic {name}", APPLY)
        if topic and partitions and len(topic["partitions"]) != partitions:
            raise NotReady(
                f"the topic {name} has {len(topic['partitions'])} partitions, and KAFKA_PARTITIONS says {partitions}",
                "correct the setting, or give the topic more with `hulpketen topics apply`",
            )


async def check_door(connection: Mapping[str, Any]) -> None:
    """Whether the broker lets us in. Raises NotReady where one that answers does not; silent where none answers."""
    settings = {name: value for name, value in connection.items() if name != "bootstrap_servers"}
    user = settings.get("sasl_plain_username")
    for place in connection["bootstrap_servers"]:
        host, _, port = place.rpartition(":")
        try:
            opened = await create_conn(host, int(port), request_timeout_ms=5_000, **settings)
        except (AuthenticationFailedError, SaslAuthenticationFailed) as error:
            raise NotReady(
                f"the broker refuses the name or password of {user}",
                "correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or make the user with `hulpketen topics apply`",
            ) from error
        except (UnsupportedSaslMechanismError, AuthenticationMethodNotSupported) as error:
            raise NotReady(
                f"the broker does not know {settings['sasl_mechanism']}", "correct KAFKA_SASL_MECHANISM"
            ) from error
        except (ssl.SSLError, ConnectionResetError) as error:
            if connection["ssl_context"] is None:
                continue
            raise NotReady(
                f"no TLS with the broker at {place} ({getattr(error, 'reason', None) or 'broken off'})",
                "correct KAFKA_SECURITY_PROTOCOL, or KAFKA_CA_FILE if its certificate is not trusted",
            ) from error
        except (KafkaError, OSError, TimeoutError):
            continue
        opened.close()
        return
