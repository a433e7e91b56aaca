"""What every event is: a frozen model that names its type, its topic and its key."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hulpketen_contracts.values import PersonalMarker

_TYPE = re.compile(r"nl\.hulpketen\.[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]?")


class Part(BaseModel):
    """A part of an event's data. Writers: unknown fields are refused. Names are camelCase on the wire."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        revalidate_instances="never",
    )


class Event(Part):
    """The data of an event, and where it goes."""

    TYPE: ClassVar[str] = ""
    """CloudEvents `type`; a change that breaks a reader or writer makes a new version beside it."""
    TOPIC: ClassVar[str] = ""
    """The Kafka topic, or its form: "partners.{organisation}"."""
    KEY: ClassVar[str] = ""
    """The attribute that is the Kafka key; empty: the id of the stream."""
    ACTIVITY: ClassVar[str] = ""
    """Which activity of the register of processing activities this is (AVG, art. 30); empty: none."""
    REFERENCE: ClassVar[bool] = False
    """Of reference data the latest per key counts, so that a gap in a stream's numbers is no loss."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.TYPE and not _TYPE.fullmatch(cls.TYPE):
            raise TypeError(f"{cls.__name__}.TYPE is not nl.hulpketen.<plural>.<past tense>.v<n>")
        if cls.TYPE and cls.KEY and cls.KEY not in cls.model_fields:
            raise TypeError(f"{cls.__name__}.KEY names no field")


@cache
def personal_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The paths of all fields that the model, or a part of it at any depth, marks as `Personal`."""
    return tuple(sorted(_personal(model, (), "")))


def _personal(model: type[BaseModel], inside: tuple[type, ...], path: str) -> set[str]:
    if model in inside:
        return set()
    found: set[str] = set()
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        if any(isinstance(m, PersonalMarker) for m in field.metadata):
            found.add(here)
        found |= _personal_in(field.annotation, (*inside, model), here)
    return found


def _personal_in(annotation: Any, inside: tuple[type, ...], path: str) -> set[str]:
    if isinstance(annotation, PersonalMarker):
        return {path}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _personal(annotation, inside, path)
    marked = [*get_args(annotation), *getattr(annotation, "__metadata__", ())]
    return set().union(*(_personal_in(part, inside, path) for part in marked))
