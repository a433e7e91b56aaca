"""Quotas of users: confluent-kafka has no call for them, so these are Kafka's own requests, sent by aiokafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from services.chassis.kafka_connection import connection
from services.chassis.settings import KafkaSettings

_TEXT = String("utf-8")
_ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))
_ANY_NAMED = 2
Quota = Mapping[str, float]


class _AlteredResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 49, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), ("entity", _ENTITY))),
    )


class _AlterStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 49, 0
    RESPONSE_TYPE = _AlteredResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(("entity", _ENTITY), ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class _Alter(Request[_AlterStruct]):  # type: ignore[misc]
    """Kafka's AlterClientQuotas, which aiokafka does not have."""

    API_KEY = 49

    def __init__(self, user: str, ops: Sequence[tuple[str, float, bool]]) -> None:
        self._entries = [([("user", user)], list(ops))]

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class(self._entries, False)


async def read_quotas(settings: KafkaSettings) -> dict[str, dict[str, float]]:
    """The quotas of each user who has any of their own. Raises KafkaError."""
    answer = (await _ask(settings, DescribeClientQuotasRequest([("user", _ANY_NAMED, None)], True))).to_object()
    if answer["error_code"]:
        raise for_code(answer["error_code"])(answer["error_message"])
    return {
        entry["entity"][0]["entity_name"]: {value["name"]: value["value"] for value in entry["values"]}
        for entry in answer["entries"] or ()
        if entry["entity"][0]["entity_name"]
    }


async def write_quota(settings: KafkaSettings, user: str, quota: Quota, before: Quota) -> None:
    """Give a user this quota, and take from it what of `before` is not in it. Raises KafkaError."""
    ops = [(name, value, False) for name, value in quota.items()]
    ops += [(name, 0.0, True) for name in before.keys() - quota.keys()]
    answer = (await _ask(settings, _Alter(user, ops))).to_object()
    for entry in answer["entries"]:
        if entry["error_code"]:
            raise for_code(entry["error_code"])(entry["error_message"])


async def _ask(settings: KafkaSettings, request: Any) -> Any:
    client = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=settings.request_timeout_ms)
    await client.start()
    try:
        return await client._send_request(request)
    finally:
        await client.close()
