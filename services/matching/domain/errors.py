"""What a decision can refuse; the text of each type says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NO_TEXT = "Free text is not taken."


class MatchingError(Exception):
    """Base: nothing was changed. `what_to_do` is for the caller and holds no personal data."""

    what_to_do = ""

    def __init__(self, what_to_do: str = "") -> None:
        super().__init__(what_to_do or self.what_to_do)


class NotFound(MatchingError):
    """There is no such case or referral, or it is another's: the two look the same from outside."""

    what_to_do = "Check the id; what another organisation made or received is not shown."


class CaseIsClosed(MatchingError):
    """The case is closed; a later signal opens another."""

    what_to_do = "The case is closed. Take the open case of this person, where there is one."


class ServiceUnknown(MatchingError):
    """The directory has no such service."""

    what_to_do = "The directory does not have this service. Look it up with GET /v1/services."


class ServiceNotOffered(MatchingError):
    """The service is not active, or not offered in this municipality."""

    what_to_do = "This service is closed or not offered in the municipality of the case. Choose another."


class AlreadyReferred(MatchingError):
    """This case has a referral to this service that is not at its end."""

    what_to_do = "A referral of this case to this service is under way. Follow that one, or cancel it first."

    def __init__(self, referral: str) -> None:
        super().__init__()
        self.referral = referral


class NotAllowedNow(MatchingError):
    """The referral is in a status that this action does not start from. `allowed`: what the caller may do now."""

    def __init__(self, status: str, allowed: Sequence[str]) -> None:
        instead = f"You may: {', '.join(allowed)}." if allowed else "Nothing is left for you to do."
        super().__init__(f"The referral is {status}. {instead}")
        self.allowed = tuple(allowed)


class CodeRefused(MatchingError):
    """A reason or outcome is missing, not due here, or not of the list. `wrong`: each such field, with its codes."""

    def __init__(self, wrong: Mapping[str, Sequence[str]]) -> None:
        super().__init__(f"{' '.join(f'{field}: {_due(codes)}' for field, codes in wrong.items())} {_NO_TEXT}")
        self.wrong = {field: f"{_due(codes)} {_NO_TEXT}" for field, codes in wrong.items()}
        self.codes = tuple(code for codes in wrong.values() for code in codes)


def _due(codes: Sequence[str]) -> str:
    return f"Give one of: {', '.join(codes)}." if codes else "None is due here: leave it out."


class NotYourMunicipality(MatchingError):
    """The entry of the directory serves a municipality that the caller does not work for."""

    what_to_do = "The entry serves, or served, a municipality that is not one of yours. Ask a coordinator there."


class OrganisationUnknown(MatchingError):
    """The organisation that offers the service is not in the directory."""

    what_to_do = "The directory does not have this organisation. Add it first with PUT /v1/organisations/{id}."


class ServiceNotFound(MatchingError):
    """The service that was asked for is not in the directory."""

    what_to_do = "The directory does not have this service. Look it up with GET /v1/services."


class OrganisationReserved(MatchingError):
    """The id has the form of a name that the chain gives: the feed of a municipality."""

    what_to_do = "Ids of the form municipality-0000 are for the feeds of municipalities. Choose another."
