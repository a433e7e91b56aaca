"""One AsyncAPI 3.0 document for the whole chain, made of the catalogue."""

from __future__ import annotations

import re
from typing import Any

from hulpketen_contracts.catalogue import EVENTS, TOPICS, Topic
from hulpketen_contracts.event import Event
from hulpketen_contracts.schemas import Schema, headers, schema

_LICENCE = {"name": "EUPL-1.2", "url": "https://joinup.ec.europa.eu/collection/eupl/eupl-text-eupl-12"}
_ABOUT = (
    "Events of a chain that helps people with money trouble early. CloudEvents 1.0 in the NL GOV profile, Kafka binary "
    "mode. No event names a person. Within a stream events are numbered; on a partner's topic all are."
)


def asyncapi(version: str) -> Schema:
    """The document. `version`: of the contracts package."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:hulpketen:chain",
        "info": {"title": "Hulpketen", "version": version, "description": _ABOUT, "license": _LICENCE},
        "defaultContentType": "application/json",
        "channels": {_channel_id(topic): _channel(topic) for topic in TOPICS.values()},
        "operations": {name: held for topic in TOPICS.values() for name, held in _operations(topic).items()},
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS},
            "schemas": _component_schemas(),
        },
    }


def _channel_id(topic: Topic) -> str:
    return topic.name.partition(".")[0]


def _events(topic: Topic) -> list[type[Event]]:
    return [event for event in EVENTS if topic.name == event.TOPIC]


def _channel(topic: Topic) -> Schema:
    held: Schema = {
        "address": topic.name,
        "description": topic.description,
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in _events(topic)},
        "x-reference": topic.reference,
    }
    if "{organisation}" in topic.name:
        held["parameters"] = {"organisation": {"description": "The id of the partner, as the directory has it."}}
    return held


def _operations(topic: Topic) -> dict[str, Schema]:
    """What each service does with a topic; who reads a partner's topic is the partner itself."""
    readers = topic.consumers or ("partner",)
    pairs = [(name, "send") for name in topic.producers] + [(name, "receive") for name in readers]
    return {f"{name}.{action}.{_channel_id(topic)}": _operation(name, action, topic) for name, action in pairs}


def _operation(service: str, action: str, topic: Topic) -> Schema:
    channel = f"#/channels/{_channel_id(topic)}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": f"{service} {'writes' if action == 'send' else 'reads'} {topic.name}",
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{event.__name__}"} for event in _events(topic)],
    }


def _message(event: type[Event]) -> Schema:
    held = schema(event)
    key = {"type": "string", "description": f"The event's {held['x-key']}."}
    return {
        "name": event.TYPE,
        "title": re.sub(r"(?<!^)(?=[A-Z])", " ", event.__name__).capitalize(),
        "summary": (event.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "headers": headers(event.TYPE, partner="{" in event.TOPIC),
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
        "x-activity": event.ACTIVITY,
    }


def _component_schemas() -> dict[str, Schema]:
    """The events' schemas and their parts side by side, since `$defs` cannot be reached from the document's root."""
    found: dict[str, Schema] = {}
    for event in EVENTS:
        held = schema(event)
        parts = held.pop("$defs", {})
        kept = {name: part for name, part in held.items() if not name.startswith(("$", "x-"))}
        found |= {name: _moved(part) for name, part in {event.__name__: kept, **parts}.items()}
    return dict(sorted(found.items()))


def _moved(held: Any) -> Any:
    if isinstance(held, list):
        return [_moved(part) for part in held]
    if not isinstance(held, dict):
        return held
    return {
        name: part.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _moved(part)
        for name, part in held.items()
    }
