"""What each outcome of a rule means, in Dutch and English, for who reads a proposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Text(NamedTuple):
    """The same in two languages."""

    nl: str
    en: str


TEXTS: Mapping[tuple[str, str], Text] = {
    ("municipality", "offered-here"): Text(
        "Deze hulp is er in de gemeente.", "This help is offered in the municipality."
    ),
    ("municipality", "not-offered-here"): Text(
        "Deze hulp is er niet in de gemeente.", "This help is not offered in the municipality."
    ),
    ("status", "active"): Text("De hulp is open.", "The service is open."),
    ("status", "inactive"): Text("De hulp is nu niet open.", "The service is not open now."),
    ("status", "defunct"): Text("De hulp bestaat niet meer.", "The service has ended."),
    ("status", "temporarily-closed"): Text("De hulp is tijdelijk gesloten.", "The service is closed for a time."),
    ("capacity", "has-capacity"): Text("Er is plaats.", "There is room."),
    ("capacity", "has-waiting-list"): Text("Er is een wachtlijst.", "There is a waiting list."),
    ("capacity", "assessment-needed"): Text(
        "Of er plaats is, blijkt na een eigen beoordeling.", "An assessment of their own shows whether there is room."
    ),
    ("capacity", "no-capacity"): Text("Er is geen plaats.", "There is no room."),
    ("capacity", "capacity-unknown"): Text("Of er plaats is, is niet bekend.", "Whether there is room is not known."),
    ("exit", "best-exit"): Text("Past het best bij de situatie.", "Fits the situation best."),
    ("exit", "possible-exit"): Text(
        "Kan passen, al ligt andere hulp meer voor de hand.", "May fit, though other help fits better."
    ),
    ("exit", "other-exit"): Text("Is bedoeld voor een andere situatie.", "Is meant for another situation."),
    ("exit", "exits-unknown"): Text(
        "Voor welke situatie deze hulp is, is niet ingevuld.", "For which situation this is has not been filled in."
    ),
    ("need", "fits-need"): Text("Helpt bij wat er is gemeld.", "Helps with what was signalled."),
    ("need", "other-need"): Text("Helpt bij iets anders dan er is gemeld.", "Helps with something else."),
    ("need", "kind-unknown"): Text("Waarbij deze hulp helpt, is niet bekend.", "What this helps with is not known."),
    ("crisis", "no-crisis"): Text("Er is geen bedreigende situatie.", "The situation is not threatening."),
    ("crisis", "goes-first"): Text(
        "Bij een bedreigende situatie gaat de gemeentelijke schuldhulpverlening voor.",
        "In a threatening situation the municipality's debt help goes first.",
    ),
    ("crisis", "beside-municipal-help"): Text(
        "Bij een bedreigende situatie alleen naast de gemeentelijke schuldhulpverlening.",
        "In a threatening situation only beside the municipality's debt help.",
    ),
    ("age", "no-age-limit"): Text("Voor elke leeftijd.", "For every age."),
    ("age", "age-unknown"): Text(
        "Er geldt een leeftijdsgrens. De leeftijd is hier niet bekend: kijk dat na.",
        "There is a limit of age. The age is not known here: check it.",
    ),
    ("conditions", "no-conditions"): Text("Er zijn geen voorwaarden.", "There are no conditions."),
    ("conditions", "conditions-to-check"): Text(
        "Er zijn voorwaarden, bijvoorbeeld aan het inkomen: kijk die na.",
        "There are conditions, on income for example: check them.",
    ),
}
"""By rule and detail."""
