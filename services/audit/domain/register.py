"""The register of processing activities (AVG, article 30): what each activity is, why it is done, and on what basis."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from hulpketen_contracts import ProcessingLogged
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

Language = Literal["nl", "en"]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
FILE = Path(__file__).parent.parent / "register.toml"


class Texts(BaseModel):
    """The same in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nl: Line
    en: Line

    def of(self, language: Language) -> str:
        """In one of them."""
        return self.nl if language == "nl" else self.en


NOT_SET = Texts(
    nl="De gemeente moet nog invullen welke wet dit toestaat.",
    en="The municipality has yet to say which law allows this.",
)


class Activity(BaseModel):
    """A processing activity. `basis`: the law that it rests on. `steps`: what each event of it says more exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Texts
    steps: Mapping[str, Texts] = Field(default_factory=dict)
    why: Texts
    basis: Texts = NOT_SET

    def done(self, event_type: str) -> Texts:
        """What was done by an event of this type."""
        return self.steps.get(_step(event_type), self.what)


# What another version of a service says.
UNKNOWN = Activity(
    what=Texts(nl="Er is iets met uw gegevens gedaan.", en="Something was done with your data."),
    why=Texts(nl="Dat staat hier niet bij. Vraag het uw gemeente.", en="It is not said here. Ask your municipality."),
)


class Change(BaseModel):
    """What a municipality says of an activity; the rest stays. `what` stands for steps that it does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Texts | None = None
    steps: Mapping[str, Texts] | None = None
    why: Texts | None = None
    basis: Texts | None = None


class Register:
    """All activities, by the slug that events and lines of the processing log have."""

    def __init__(self, activities: Mapping[str, Activity], uri: str) -> None:
        self.activities = dict(sorted(activities.items()))
        self._uri = uri

    @classmethod
    def read(cls, uri: str, own: Path | None = None) -> Register:
        """The register of the chain, with what the file `own` says instead. `uri`: what stands before each slug.

        Raises ValueError where the file has another form or names an activity that there is not, OSError.
        """
        activities = TypeAdapter(dict[str, Activity]).validate_python(_tables(FILE))
        for slug, change in TypeAdapter(dict[str, Change]).validate_python(_tables(own) if own else {}).items():
            if slug not in activities:
                raise ValueError(f"{own} names the activity '{slug}', which the chain does not have")
            steps: dict[str, object] = {"steps": {}} if change.what else {}
            own_words = {name: text for name, text in change if text is not None}
            activities[slug] = activities[slug].model_copy(update=steps | own_words)
        return cls(activities, uri)

    def of(self, slug: str | None) -> Activity:
        """The activity; UNKNOWN where there is none."""
        return self.activities.get(slug or "", UNKNOWN)

    @property
    def without_basis(self) -> list[str]:
        """Activities whose legal basis the municipality has yet to set."""
        return [slug for slug, activity in self.activities.items() if activity.basis == NOT_SET]

    def uri(self, slug: str) -> str:
        """`dpl.core.processing_activity_id` of an activity."""
        return self._uri + slug

    def slug(self, uri: str) -> str | None:
        """The activity with this id, None where there is none."""
        slug = uri.removeprefix(self._uri)
        return slug if slug != uri and slug in self.activities else None


def _step(event_type: str) -> str:
    if event_type == ProcessingLogged.TYPE:
        return "looked"
    return event_type.removeprefix("nl.hulpketen.").rpartition(".")[0]


def _tables(path: Path) -> dict[str, object]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
