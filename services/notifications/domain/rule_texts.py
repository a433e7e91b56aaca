"""What each outcome of a rule says of the help that is proposed, to the employee who has to decide."""

from __future__ import annotations

from collections.abc import Mapping

OUTCOMES = ("met", "not-met", "unknown")

BY_DETAIL: Mapping[tuple[str, str], tuple[str, str]] = {
    ("municipality", "offered-here"): (
        "Deze hulp is er voor uw gemeente.",
        "This help is there for your municipality.",
    ),
    ("municipality", "not-offered-here"): (
        "Deze hulp is er niet voor uw gemeente.",
        "This help is not there for your municipality.",
    ),
    ("status", "active"): ("Deze hulp is open.", "This help is open."),
    ("status", "inactive"): ("Deze hulp is nu niet open.", "This help is not open now."),
    ("status", "defunct"): ("Deze hulp bestaat niet meer.", "This help has ended."),
    ("status", "temporarily-closed"): ("Deze hulp is tijdelijk gesloten.", "This help is closed for a time."),
    ("capacity", "has-capacity"): ("Er is nog plaats.", "There is still room."),
    ("capacity", "has-waiting-list"): ("Er is een wachtlijst.", "There is a waiting list."),
    ("capacity", "assessment-needed"): (
        "Of er plaats is, blijkt pas na een beoordeling door de hulpverlener.",
        "Whether there is room shows only once the helper has assessed it.",
    ),
    ("capacity", "no-capacity"): ("Er is geen plaats.", "There is no room."),
    ("capacity", "capacity-unknown"): ("Of er plaats is, is niet bekend.", "Whether there is room is not known."),
    ("exit", "best-exit"): ("Past het best bij deze situatie.", "Fits this situation best."),
    ("exit", "possible-exit"): (
        "Kan passen, maar andere hulp past beter bij deze situatie.",
        "May fit, but other help fits this situation better.",
    ),
    ("exit", "other-exit"): ("Is bedoeld voor een andere situatie.", "Is meant for another situation."),
    ("exit", "exits-unknown"): (
        "Voor welke situatie deze hulp is, is niet ingevuld.",
        "For which situation this help is has not been filled in.",
    ),
    ("need", "fits-need"): ("Helpt bij wat er is gemeld.", "Helps with what was signalled."),
    ("need", "other-need"): (
        "Helpt bij iets anders dan er is gemeld.",
        "Helps with something else than was signalled.",
    ),
    ("need", "kind-unknown"): ("Waarbij deze hulp helpt, is niet bekend.", "What this helps with is not known."),
    ("crisis", "no-crisis"): ("Er is geen dreigende situatie.", "There is no threatening situation."),
    ("crisis", "goes-first"): (
        "Past bij een dreigende situatie: deze hulp gaat dan voor.",
        "Fits a threatening situation: this help goes first then.",
    ),
    ("crisis", "beside-municipal-help"): (
        "Er is een dreigende situatie: alleen naast de schuldhulp van de gemeente.",
        "There is a threatening situation: only beside the municipality's debt help.",
    ),
    ("age", "no-age-limit"): ("Is er voor elke leeftijd.", "Is there for every age."),
    ("age", "age-unknown"): (
        "Er geldt een leeftijdsgrens. De leeftijd is hier niet bekend: kijk die na.",
        "There is a limit of age. The age is not known here: check it.",
    ),
    ("conditions", "no-conditions"): ("Er zijn geen voorwaarden.", "There are no conditions."),
    ("conditions", "conditions-to-check"): (
        "Er zijn voorwaarden, bijvoorbeeld aan het inkomen: kijk die na.",
        "There are conditions, on income for example: check them.",
    ),
}
"""By rule and detail, in Dutch and English."""

# For a detail that this service does not know (yet), and where there is none.
BY_OUTCOME: Mapping[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "municipality": (
        BY_DETAIL["municipality", "offered-here"],
        BY_DETAIL["municipality", "not-offered-here"],
        (
            "Of deze hulp er is voor uw gemeente, is niet bekend.",
            "Whether this help is there for your municipality is not known.",
        ),
    ),
    "status": (
        BY_DETAIL["status", "active"],
        BY_DETAIL["status", "inactive"],
        ("Of deze hulp open is, is niet bekend.", "Whether this help is open is not known."),
    ),
    "capacity": (
        ("Er is plaats of een wachtlijst.", "There is room or a waiting list."),
        BY_DETAIL["capacity", "no-capacity"],
        BY_DETAIL["capacity", "capacity-unknown"],
    ),
    "exit": (
        ("Past bij deze situatie.", "Fits this situation."),
        BY_DETAIL["exit", "other-exit"],
        BY_DETAIL["exit", "exits-unknown"],
    ),
    "need": (
        BY_DETAIL["need", "fits-need"],
        BY_DETAIL["need", "other-need"],
        BY_DETAIL["need", "kind-unknown"],
    ),
    "crisis": (
        (
            "Past, ook gelet op of de situatie dreigend is.",
            "Fits, also as to whether the situation is threatening.",
        ),
        ("Past niet bij een dreigende situatie.", "Does not fit a threatening situation."),
        (
            "Of dit past bij een dreigende situatie, is niet bekend.",
            "Whether this fits a threatening situation is not known.",
        ),
    ),
    "age": (
        ("De leeftijd past.", "The age fits."),
        ("De leeftijd past niet.", "The age does not fit."),
        ("Of de leeftijd past, is niet bekend.", "Whether the age fits is not known."),
    ),
    "conditions": (
        ("Voldoet aan de voorwaarden.", "Meets the conditions."),
        ("Voldoet niet aan de voorwaarden.", "Does not meet the conditions."),
        (
            "Of aan de voorwaarden is voldaan, is niet bekend.",
            "Whether the conditions are met is not known.",
        ),
    ),
}
"""By rule, for each of OUTCOMES."""


def rule_texts() -> dict[str, tuple[str, str]]:
    """All of them by the key under which the page finds them: rule.<rule>.<detail or outcome>."""
    by_detail = {f"rule.{rule}.{detail}": text for (rule, detail), text in BY_DETAIL.items()}
    by_outcome = {
        f"rule.{rule}.{outcome}": text
        for rule, texts in BY_OUTCOME.items()
        for outcome, text in zip(OUTCOMES, texts, strict=True)
    }
    return by_detail | by_outcome
