"""HTTP in: the processing log, as the read API of the Logboek Dataverwerkingen has it, and the register behind it.

A reading is itself a line of the log, before its answer goes out.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from services.audit.api import bounded
from services.audit.contents import Contents
from services.audit.domain.entry import Document
from services.audit.domain.lines import (
    ACTIVITY_ID,
    PSEUDONYM,
    SUBJECT_ID,
    SUBJECT_TYPE,
    LogLine,
    line_of,
    types_of,
)
from services.audit.domain.register import Register, Texts
from services.audit.domain.search import EARLIEST, LATEST, LinesAsked
from services.audit.doors import who_may
from services.audit.store import TrailStore
from services.audit.subject_ids import SubjectIds
from services.chassis.auth import Principal
from services.chassis.keys import Sealer
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks

ACTIVITY = "read-processing-log"
MAX_LINES = 1_000
_TRACE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LATEST_MS = 253_402_300_799_000  # the last second of the year 9999

Moment = (
    Annotated[int, Field(ge=0, le=_LATEST_MS, strict=True)] | Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
)
Reader = Annotated[Principal, Depends(who_may("processing log"))]
Anybody = Annotated[Principal, Depends(who_may("register"))]


class Asked(BaseModel):
    """Which lines: all that is given must fit, and something must be given.

    `traceId`: a UUID, or 32 hex digits. `startTime`, `endTime`: within which the line was written, after RFC 3339, or
    as milliseconds since 1970-01-01T00:00Z (as earlier versions of the standard have it).
    `dpl.core.data_subject_id`: as an earlier answer gave it to the same organisation.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    trace_id: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    activity: str | None = Field(None, alias=ACTIVITY_ID, max_length=500)
    subject: str | None = Field(None, alias=SUBJECT_ID, max_length=500)
    subject_type: str | None = Field(None, alias=SUBJECT_TYPE, max_length=100)

    @field_validator("trace_id")
    @classmethod
    def _is_a_trace(cls, value: str | None) -> str | None:
        if value is not None and not _TRACE.fullmatch(value):
            raise PydanticCustomError("trace_id", "a trace id is a UUID, or 32 hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Asked:
        if not self.model_fields_set or all(getattr(self, name) is None for name in self.model_fields_set):
            raise PydanticCustomError("nothing_asked", "give traceId, startTime, endTime or a dpl.core attribute")
        since, until = _moment(self.start_time), _moment(self.end_time)
        if since and until and until < since:
            raise PydanticCustomError("ends_before_it_starts", "the period ends before it starts")
        return self


class Answer(BaseModel):
    """The lines, in the order of time."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    processing_activities: list[LogLine]


class ActivityView(BaseModel):
    """An activity of the register: what is done, why, and on what legal basis."""

    id: str
    name: str
    what: Texts
    why: Texts
    basis: Texts


class ActivitiesView(BaseModel):
    """The register."""

    items: list[ActivityView]


class ProcessingLogReader:
    """Answers questions to the processing log, for one reader at a time."""

    def __init__(self, store: TrailStore, contents: Contents, register: Register, sealer: Sealer) -> None:
        self._store = store
        self._contents = contents
        self._register = register
        self._sealer = sealer

    async def lines(self, asked: Asked, organisation: str) -> tuple[list[LogLine], list[str]]:
        """What fits, for this organisation, and the pseudonyms that it is about. Raises Problem 400."""
        ids = SubjectIds(self._sealer, organisation)
        question = await self._question(asked, ids)
        if question is None:
            return [], []
        with bounded("/endTime", "body"):
            entries = await self._store.lines(question, types_of(question.activity), MAX_LINES + 1)
        if len(entries) > MAX_LINES:
            detail = f"More than {MAX_LINES} lines fit: ask for a shorter period."
            raise Problem(400, detail, type="too-many", errors=[FieldError("/endTime", "too-many", detail)])
        contents = await self._contents.open(entries)
        lines = [
            line_of(entry, content.data if content else None, self._register, ids.encrypt)
            for entry, content in zip(entries, contents, strict=True)
        ]
        return lines, _persons(entries)

    async def _question(self, asked: Asked, ids: SubjectIds) -> LinesAsked | None:
        """None where nothing can fit."""
        activity = self._register.slug(asked.activity) if asked.activity else None
        if (asked.activity and activity is None) or asked.subject_type not in (None, PSEUDONYM):
            return None
        persons: frozenset[str] = frozenset()
        if asked.subject:
            persons = frozenset(await self._store.with_aliases({_subject(asked.subject, ids)}))
        trace = uuid.UUID(asked.trace_id).bytes if asked.trace_id else None
        return LinesAsked(activity, trace, persons, _moment(asked.start_time), _moment(asked.end_time))


def routes(reader: ProcessingLogReader, register: Register, looks: Looks) -> APIRouter:
    """The routes of the processing log."""
    router = APIRouter(tags=["processing log"])

    @router.post(
        "/lezenapi/v1/processing-activities", summary="Read the processing log", response_model_exclude_none=True
    )
    async def read(by: Reader, asked: Asked) -> Answer:
        started = looks.clock()
        lines, persons = await reader.lines(asked, by.organisation)
        # A period is about the log; a trace or a subject is about persons.
        about = persons if asked.trace_id or asked.subject else []
        await looks.record(ACTIVITY, by, about, started=started)
        return Answer(processing_activities=lines)

    @router.get("/v1/processing-activities", summary="The register of processing activities")
    async def activities(_: Anybody) -> ActivitiesView:
        return ActivitiesView(
            items=[
                ActivityView(id=register.uri(slug), name=slug, what=each.what, why=each.why, basis=each.basis)
                for slug, each in register.activities.items()
            ]
        )

    return router


def _persons(entries: list[Document]) -> list[str]:
    return sorted({entry["about"]["person"] for entry in entries if "person" in entry.get("about", {})})


def _subject(text: str, ids: SubjectIds) -> str:
    try:
        return ids.decrypt(text)
    except ValueError as error:
        detail = "The subject's id was not given to your organisation: take it from an earlier answer."
        wrong = FieldError(f"/{SUBJECT_ID}", "unknown-subject", detail)
        raise Problem(400, detail, type="invalid", errors=[wrong]) from error


def _moment(given: int | datetime | None) -> datetime | None:
    return datetime.fromtimestamp(given / 1000, UTC) if isinstance(given, int) else given
