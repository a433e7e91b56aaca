"""All events and all topics of the chain."""

from __future__ import annotations

from typing import NamedTuple

from hulpketen_contracts.cases import CaseClosed, CaseOpened, CaseUpdated
from hulpketen_contracts.checkpoints import CheckpointPublished
from hulpketen_contracts.deadlines import DeadlineApproaching, DeadlinePassed
from hulpketen_contracts.directory import OrganisationChanged, ServiceChanged
from hulpketen_contracts.event import Event
from hulpketen_contracts.help import HelpEnded, HelpStarted
from hulpketen_contracts.partners import PartnerCaseChanged, PartnerCheckpointPublished, PartnerReferralChanged
from hulpketen_contracts.persons import PersonErased, PersonMerged
from hulpketen_contracts.processing import AccessLogged, ProcessingLogged
from hulpketen_contracts.referrals import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralsProposed,
    ReferralWaitlisted,
)
from hulpketen_contracts.signals import SignalReceived, SignalRefused, SignalWithdrawn
from hulpketen_contracts.tests import ChoiceConfirmed, TestCompleted

EVENTS: tuple[type[Event], ...] = (
    SignalReceived,
    SignalRefused,
    SignalWithdrawn,
    TestCompleted,
    ChoiceConfirmed,
    PersonMerged,
    PersonErased,
    CaseOpened,
    CaseUpdated,
    CaseClosed,
    ReferralsProposed,
    ReferralMade,
    ReferralAccepted,
    ReferralDeclined,
    ReferralWaitlisted,
    ReferralCancelled,
    ReferralExpired,
    HelpStarted,
    HelpEnded,
    DeadlineApproaching,
    DeadlinePassed,
    ServiceChanged,
    OrganisationChanged,
    ProcessingLogged,
    AccessLogged,
    CheckpointPublished,
    PartnerReferralChanged,
    PartnerCaseChanged,
    PartnerCheckpointPublished,
)

CATALOGUE: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}
"""Every event by its CloudEvents `type`."""


class Topic(NamedTuple):
    """A topic: who writes and who reads it. `key`: the attributes that are Kafka keys on it."""

    name: str
    key: tuple[str, ...]
    reference: bool
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    description: str


def _topic(name: str, producers: tuple[str, ...], consumers: tuple[str, ...], description: str) -> Topic:
    events = [event for event in EVENTS if name == event.TOPIC]
    keys = dict.fromkeys(event.KEY or "stream" for event in events)
    return Topic(name, tuple(keys), all(e.REFERENCE for e in events), producers, consumers, description)


_ALL = ("intake", "matching", "notifications", "audit")

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        _topic("signals", ("intake",), ("matching", "notifications", "audit"), "Signals, tests, choices and persons."),
        _topic("cases", ("matching",), ("intake", "notifications", "audit"), "Cases, referrals, help and deadlines."),
        _topic("directory", ("matching",), ("intake", "notifications", "audit"), "Help on offer, and who offers it."),
        _topic("processing-log", _ALL, ("audit",), "Looks at personal data, and who looked."),
        _topic("checkpoints", ("audit",), ("notifications",), "How far the audit's trail is signed."),
        _topic("partners.{organisation}", ("notifications",), (), "What one partner may see, numbered 1, 2, 3 …"),
    )
}
"""Every topic by its name; `partners.{organisation}` stands for one topic for each partner that chose Kafka."""


def own_topics(service: str) -> list[str]:
    """The topics with the streams of this service's aggregates, reference data first, as others build on it.

    Who was restored from a backup reads there what it said since.
    """
    found = [t for t in TOPICS.values() if service in t.producers and len(t.producers) == 1 and "{" not in t.name]
    return [topic.name for topic in sorted(found, key=lambda topic: not topic.reference)]
