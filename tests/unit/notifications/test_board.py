"""What the board offers and says: as matching decides it, in both languages, readable, no script from elsewhere."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import get_args

import pytest

from services.intake.api_persons import ReleaseIn
from services.intake.domain.client import Channel, SafeContact
from services.intake.domain.looks import WITHHELD
from services.matching.domain.file import FLAGS
from services.matching.domain.referrals import TRANSITIONS
from services.matching.domain.rules import RULES
from services.matching.domain.texts import TEXTS as RULE_DETAILS
from services.notifications.domain.board import ACTIONS, CODES, CONTACT, RELEASE_REASONS
from services.notifications.domain.rule_texts import OUTCOMES
from services.notifications.domain.texts import TEXTS
from services.notifications.domain.visibility import Role

PAGES = files("services.notifications") / "pages"
ROLES = {"receiver": Role.RECEIVER, "author": Role.SENDER}
ON_BACKGROUND = [
    ("text", "page"),
    ("text", "surface"),
    ("text-quiet", "page"),
    ("text-quiet", "surface"),
    ("action", "surface"),
    ("action-strong", "page"),
    ("on-action", "action"),
    ("on-action", "action-strong"),
    ("good", "good-back"),
    ("good", "surface"),
    ("warning", "warning-back"),
    ("danger", "danger-back"),
    ("danger", "surface"),
]


def test_the_buttons_are_those_that_matching_allows() -> None:
    rows = {(ROLES[t.who], str(t.before), t.action) for t in TRANSITIONS if t.who in ROLES}
    assert rows == {
        (role, status, action)
        for role, statuses in ACTIONS.items()
        for status, actions in statuses.items()
        for action in actions
    }
    due = {t.action: (str(t.due.field), t.due.codes) for t in TRANSITIONS if t.due}
    assert due == dict(CODES)


def test_every_code_and_action_has_a_text() -> None:
    for action, (field, codes) in CODES.items():
        assert action in TEXTS
        assert {f"{field}.{code}" for code in codes} <= set(TEXTS)
    for _, status, action in ((r, s, a) for r, m in ACTIONS.items() for s, each in m.items() for a in each):
        assert {status, action} <= set(TEXTS)
    assert all(text.nl and text.en for text in TEXTS.values())


def test_what_may_be_released_is_what_intake_withholds_and_has_texts() -> None:
    assert {field: frozenset(names) for field, names in CONTACT.items()} == WITHHELD
    assert get_args(ReleaseIn.model_fields["reason"].annotation) == RELEASE_REASONS
    assert {f"release.{each}" for each in (*CONTACT, *RELEASE_REASONS, "referrals", "cases")} <= set(TEXTS)
    assert {name for names in CONTACT.values() for name in names} <= set(TEXTS)


def test_every_flag_of_a_case_is_a_sentence() -> None:
    for key in ("flag", *(f"flag.{flag}" for flag in FLAGS)):
        assert all(sentence.endswith(".") for sentence in TEXTS[key])


def test_every_rule_of_safe_contact_says_what_is_not_allowed() -> None:
    rules = SafeContact(secret_address=True, do_not=list(get_args(Channel))).restrictions()
    assert len(rules) == 5
    for rule in rules:
        text = TEXTS[f"safe-contact.{rule}"]
        assert re.search(r"\b(geen|niet|niemand)\b", text.nl), text
        assert re.search(r"\b(no|not|nobody)\b", text.en), text


@pytest.mark.parametrize("rule", [rule.code for rule in RULES])
def test_every_outcome_of_a_rule_is_a_sentence_in_both_languages(rule: str) -> None:
    details = {detail for known, detail in RULE_DETAILS if known == rule}
    assert details
    for said in (*details, *OUTCOMES):
        text = TEXTS[f"rule.{rule}.{said}"]
        for sentence in text:
            assert re.fullmatch(r"[A-Z][^.]+ [^.]+\.( [A-Z][^.]+\.)?", sentence), sentence
        assert text.nl != text.en
    assert len({TEXTS[f"rule.{rule}.{outcome}"] for outcome in OUTCOMES}) == len(OUTCOMES)


@pytest.mark.parametrize(("front", "back"), ON_BACKGROUND)
def test_text_stands_out_from_its_background_as_wcag_aa_asks(front: str, back: str) -> None:
    css = (PAGES / "board.css").read_text("utf-8")
    tokens = dict(re.findall(r"--colour-([a-z-]+): (#[0-9a-f]{6})", css))
    lighter, darker = sorted((_luminance(tokens[front]), _luminance(tokens[back])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_the_page_has_no_script_or_style_in_it_and_none_from_elsewhere() -> None:
    page = (PAGES / "board.html").read_text("utf-8")
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/board/assets/board.js" defer>']
    assert not re.search(r"<style|\son\w+=|\sstyle=|https?://", page)
    assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|https?://", (PAGES / "board.js").read_text("utf-8"))


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
