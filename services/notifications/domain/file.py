"""The file of a person in a municipality: the latest of its cases and referrals, and the lines that feeds get of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hulpketen_contracts import Event, PartnerCaseChanged, PartnerReferralChanged, ReferralsProposed, ReferralState
from hulpketen_contracts.cases import CaseState

from services.chassis.pipeline.model import Decision, Emit, State
from services.notifications.domain.visibility import (
    CASE,
    REFERRAL_AND_CASE,
    VISIBLE,
    FeedOf,
    change_of,
    municipality_feed,
    readers,
)

MOST_CASES, MOST_REFERRALS = 50, 200
OPEN = frozenset({"open", "made", "accepted", "waitlisted", "started"})

View = dict[str, Any]


def decide(state: State | None, event: Event, feed_of: FeedOf) -> Decision | None:
    """What an event of a file leads to: its state, and a line for each feed that may have one.

    State: {feeds, cases: [view + opened_at], referrals: [view + feeds]}; a view is all that the widest role sees.
    None: nothing changes.
    """
    before = state or {"feeds": [], "cases": [], "referrals": []}
    if isinstance(event, ReferralState):
        return _referral(before, event, feed_of)
    if isinstance(event, CaseState):
        view = event.model_dump(mode="json", include={*CASE, "opened_at"})
        known = _find(before["cases"], "case", event.case)
        return _case(before, event, view | {"proposals": known.get("proposals") if known else None})
    if isinstance(event, ReferralsProposed):
        known = _find(before["cases"], "case", event.case)
        if known is not None:  # a case that operations skipped has nothing to show proposals with
            return _case(before, event, {**known, **event.model_dump(mode="json", include={"proposals"})})
    return None


def _case(before: State, event: CaseState | ReferralsProposed, view: View) -> Decision:
    lines = [
        Emit(
            PartnerCaseChanged(change=change_of(type(event)), **{f: view[f] for f in fields if f in view}),
            subject=event.case,
            topic=f"partners.{feed}",
        )
        for feed, fields in _addressed(event, lambda _: None)
    ]
    return Decision(_with(before, [municipality_feed(event.municipality)], "cases", "case", view), lines)


def _referral(before: State, event: ReferralState, feed_of: FeedOf) -> Decision:
    view = event.model_dump(mode="json", include=set(REFERRAL_AND_CASE))
    addressed = _addressed(event, feed_of)
    lines = [
        Emit(
            PartnerReferralChanged(change=change_of(type(event)), **{f: view[f] for f in fields}),
            subject=event.referral,
            topic=f"partners.{feed}",
        )
        for feed, fields in addressed
    ]
    feeds = [feed for feed, _ in addressed]
    return Decision(_with(before, feeds, "referrals", "referral", view | {"feeds": feeds}), lines)


def _addressed(event: Event, feed_of: FeedOf) -> list[tuple[str, frozenset[str]]]:
    visible = VISIBLE.get(type(event), {})
    return [(feed, visible[role]) for feed, role in readers(event, feed_of).items()]


def _with(before: State, feeds: Sequence[str], kind: str, key: str, view: View) -> State:
    """The state with this view in the place of the one that it had, or at the end."""
    held: list[View] = before[kind]
    if _find(held, key, view[key]) is None:
        held = _bounded([*held, view], MOST_CASES if kind == "cases" else MOST_REFERRALS)
    else:
        held = [view if each[key] == view[key] else each for each in held]
    return {**before, "feeds": sorted({*before["feeds"], *feeds}), kind: held}


def _bounded(views: list[View], most: int) -> list[View]:
    """Beyond `most`, what ended first goes; what is still open never does."""
    if len(views) <= most:
        return views
    oldest = next((i for i, view in enumerate(views) if view["status"] not in OPEN), None)
    return views if oldest is None else views[:oldest] + views[oldest + 1 :]


def _find(views: Sequence[View], key: str, value: str) -> Mapping[str, Any] | None:
    return next((view for view in views if view[key] == value), None)
