"""Who may sign in at the embedded stack: the roles, and a sample login for each made-up organisation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import StackError

BOARD_CLIENT, CLI_CLIENT = "hulpketen-board", "hulpketen-cli"
SAMPLE = Path(__file__).parent / "sample"

_PROFESSIONAL = (
    "persons:read persons:write cases:read cases:write referrals:read referrals:write choices:confirm feed:read"
    " directory:read"
)
# Every organisation reads its feed and may look after the trail; who keeps or oversees it vouches for nothing.
_OF_ALL = "trail:read"
_WITNESS = f"{_OF_ALL} trail:vouch"
SCOPES: Mapping[str, str] = {
    "sender": f"signals:write signals:read feed:read {_WITNESS}",
    "professional": f"{_PROFESSIONAL} {_OF_ALL}",
    "coordinator": f"{_PROFESSIONAL} directory:write {_WITNESS}",
    "partner": f"referrals:read referrals:answer persons:read feed:read directory:read {_WITNESS}",
    "operations": f"operations {_OF_ALL}",
    "auditor": f"audit:read processing-log:read {_OF_ALL}",
}
_ROLES_OF_KIND: Mapping[str, Sequence[str]] = {
    "municipality": ("coordinator", "professional", "auditor", "operations"),
    "creditor": ("sender",),
    "school": ("sender",),
    "employer": ("sender",),
    "neighbourhood-team": ("sender", "partner"),
}
_HELPER_ROLES = ("partner",)
_DUTCH: Mapping[str, str] = {
    "sender": "meldt signalen (sender)",
    "professional": "professional (professional)",
    "coordinator": "coördinator (coordinator)",
    "partner": "helpt (partner)",
    "operations": "beheer (operations)",
    "auditor": "toezicht (auditor)",
}


@dataclass(frozen=True, slots=True)
class Login:
    """A made-up employee: a role at an organisation."""

    role: str
    organisation: str
    municipalities: tuple[str, ...]
    label: str

    @property
    def subject(self) -> str:
        """The employee's pseudonym."""
        return f"{self.role}-{self.organisation}"

    @property
    def scope(self) -> str:
        return SCOPES[self.role]


def sample_logins() -> list[Login]:
    """A login for each role at each organisation of the sample."""
    return [
        Login(role, each["id"], tuple(each["municipalities"]), f"{each['name']}: {_DUTCH[role]}")
        for each in sample_organisations()
        for role in _ROLES_OF_KIND.get(each["kind"], _HELPER_ROLES)
    ]


def sample_organisations() -> list[dict[str, Any]]:
    """The organisations of the sample, in the form that the directory has."""
    found: list[dict[str, Any]] = json.loads((SAMPLE / "organisations.json").read_text(encoding="utf-8"))
    return found


def roles_at(organisation: Mapping[str, Any]) -> Sequence[str]:
    """The roles that somebody of this organisation of the directory may have."""
    if organisation["kind"] == "municipality":
        return tuple(SCOPES)
    roles = _ROLES_OF_KIND.get(organisation["kind"], _HELPER_ROLES)
    return ("sender", *roles) if organisation["partnerTypes"] and "sender" not in roles else roles


def check_organisation(role: str, organisation: str, known: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one of the known organisations with this id. Raises: StackError where it has not this role, or is not there.

    A role that there is not is for the issuer to refuse.
    """
    by_id = {str(each["id"]): each for each in known}
    fitting = [id for id, each in by_id.items() if role in roles_at(each)]
    choice = f"choose one of {', '.join(sorted(fitting))}"
    if organisation not in by_id:
        raise StackError(f"there is no organisation '{organisation}': for the role {role} {choice}")
    if organisation not in fitting:
        roles = ", ".join(roles_at(by_id[organisation]))
        raise StackError(f"the role {role} is not for '{organisation}', which has {roles}: {choice}")
    return by_id[organisation]


def login_for(role: str, organisation: str | None, municipalities: Sequence[str] | None) -> Login:
    """The login of a role: at an organisation, known or not, or else the first of the sample. Raises: StackError."""
    if role not in SCOPES:
        raise StackError(f"there is no role '{role}': choose one of {', '.join(SCOPES)}")
    logins = sample_logins()
    known = next((each for each in logins if each.role == role and organisation in (None, each.organisation)), None)
    if known and municipalities is None:
        return known
    organisation = organisation or (known or logins[0]).organisation
    if municipalities is None:
        same = (each.municipalities for each in logins if each.organisation == organisation)
        municipalities = next(same, logins[0].municipalities)
    return Login(role, organisation, tuple(municipalities), f"{organisation}: {_DUTCH[role]}")
