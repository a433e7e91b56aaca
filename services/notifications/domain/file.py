"""The file of a person in a municipality: the latest of its cases and referrals, and the lines that feeds get of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hulpketen_contracts import (
    Event,
    PartnerCaseChanged,
    PartnerReferralChanged,
    PersonMerged,
    ReferralsProposed,
    ReferralState,
)
from hulpketen_contracts.cases import CaseState

from services.chassis.pipeline.model import Decision, Emit, State
from services.notifications.domain.visibility import (
    CASE,
    REFERRAL_AND_CASE,
    VISIBLE,
    FeedOf,
    Role,
    change_of,
    municipality_feed,
    readers,
)

MOST_CASES, MOST_REFERRALS = 50, 200
OPEN = frozenset({"open", "made", "accepted", "waitlisted", "started"})

View = dict[str, Any]


class Target(NamedTuple):
    """What a line is about: the id of a referral or case, and where who may can ask who that is."""

    subject: str
    dataref: str | None


def decide(state: State | None, event: Event, feed_of: FeedOf, dataref: str | None = None) -> Decision | None:
    """What an event of a file leads to: its state, and a line for each feed that may have one.

    `dataref`: where who may can ask who it is about; each line says so.
    State: {feeds, cases: [view + opened_at], referrals: [view + feeds], merged_into: the person that this one became};
    a view is all that the widest role sees.
    None: nothing changes.
    """
    before = state or _empty()
    if isinstance(event, ReferralState):
        view = {name: getattr(event, name) for name in REFERRAL_AND_CASE}
        feeds = readers(event, feed_of)
        lines = _lines(PartnerReferralChanged, event, view, feeds, Target(event.referral, dataref))
        return Decision(_with(before, feeds, "referrals", "referral", view | {"feeds": list(feeds)}), lines)
    if isinstance(event, CaseState):
        earlier = _find(before["cases"], "case", event.case) or {}
        view = {name: getattr(event, name) for name in CASE} | {"opened_at": event.opened_at}
        proposals = {"proposals": earlier["proposals"]} if "proposals" in earlier else {}
        return _case(before, event, view | proposals, dataref)
    if isinstance(event, ReferralsProposed):
        known = _find(before["cases"], "case", event.case)
        if known is not None:  # a case that operations skipped has nothing to show proposals with
            proposals = event.model_dump(include={"proposals"}, exclude_none=True)
            return _case(before, event, {**known, **proposals}, dataref)
    return None


def merge(state: State | None, event: PersonMerged) -> Decision:
    """The person is another one: its file stays, and goes when that one is erased. Nobody is told a pseudonym."""
    return Decision({**(state or _empty()), "merged_into": event.into})


def gone() -> Decision:
    """Nothing stays but a tombstone, so that no late event brings the person back."""
    return Decision({}, erase=True)


def file_id(person: str) -> str:
    """The aggregate of a person's file: the stream of it in matching."""
    return f"file-{person}"


def _empty() -> State:
    return {"feeds": [], "cases": [], "referrals": []}


def _case(before: State, event: CaseState | ReferralsProposed, view: View, dataref: str | None) -> Decision:
    feeds = {municipality_feed(event.municipality): Role.MUNICIPALITY}
    # As models, proposals need not be validated once more.
    told = view | {"proposals": event.proposals} if isinstance(event, ReferralsProposed) else view
    lines = _lines(PartnerCaseChanged, event, told, feeds, Target(event.case, dataref))
    return Decision(_with(before, feeds, "cases", "case", view), lines)


def _lines(
    model: type[PartnerCaseChanged | PartnerReferralChanged],
    event: Event,
    view: View,
    feeds: Mapping[str, Role],
    about: Target,
) -> list[Emit]:
    """A line for each feed, with the fields that the table gives its role."""
    kind, visible = type(event), VISIBLE[type(event)]
    return [
        Emit(
            model(change=change_of(kind), **{name: view[name] for name in visible[role] if name in view}),
            subject=about.subject,
            dataref=about.dataref,
            topic=f"partners.{feed}",
        )
        for feed, role in feeds.items()
    ]


def _with(before: State, feeds: Iterable[str], kind: str, key: str, view: View) -> State:
    """The state with this view in the place of the one that it had, or at the end."""
    held: list[View] = before[kind]
    if _find(held, key, view[key]) is None:
        held = _bounded([*held, view], MOST_CASES if kind == "cases" else MOST_REFERRALS)
    else:
        held = [view if each[key] == view[key] else each for each in held]
    new = [feed for feed in feeds if feed not in before["feeds"]]
    return {**before, "feeds": [*before["feeds"], *new], kind: held}


def _bounded(views: list[View], most: int) -> list[View]:
    """Beyond `most`, what ended first goes; what is still open never does."""
    if len(views) <= most:
        return views
    oldest = next((i for i, view in enumerate(views) if view["status"] not in OPEN), None)
    return views if oldest is None else views[:oldest] + views[oldest + 1 :]


def _find(views: Sequence[View], key: str, value: str) -> View | None:
    return next((view for view in views if view[key] == value), None)
