"""Who may have a token: a role at an organisation that is there and fits it."""

from __future__ import annotations

import re

import pytest

from deploy.local.access import SCOPES, check_organisation, roles_at, sample_logins, sample_organisations
from deploy.local.errors import StackError

HELPER = {"id": "helpt", "kind": "volunteers", "partnerTypes": [], "municipalities": ["0106"]}
BOTH = {"id": "beide", "kind": "debt-counselling", "partnerTypes": ["Huur"], "municipalities": ["0106"]}
SENDER = {"id": "meldt", "kind": "creditor", "partnerTypes": ["Energie"], "municipalities": ["0106"]}
TOWN = {"id": "gemeente", "kind": "municipality", "partnerTypes": [], "municipalities": ["0106"]}
KNOWN = [HELPER, BOTH, SENDER, TOWN]


def test_an_organisation_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(StackError, match=r"^there is no organisation 'nobody'.*choose one of beide, gemeente, helpt$"):
        check_organisation("partner", "nobody", KNOWN)


def test_a_role_that_an_organisation_has_not_is_answered_with_its_roles_and_with_who_has_it() -> None:
    expected = "the role sender is not for 'helpt', which has partner: choose one of beide, gemeente, meldt"
    with pytest.raises(StackError, match=f"^{re.escape(expected)}$"):
        check_organisation("sender", "helpt", KNOWN)


@pytest.mark.parametrize(
    ("organisation", "roles"),
    [(HELPER, {"partner"}), (BOTH, {"partner", "sender"}), (SENDER, {"sender"}), (TOWN, set(SCOPES))],
)
def test_roles_follow_from_what_an_organisation_is_and_may_signal(
    organisation: dict[str, object], roles: set[str]
) -> None:
    assert set(roles_at(organisation)) == roles
    for role in roles:
        assert check_organisation(role, str(organisation["id"]), KNOWN) == organisation


def test_every_sample_login_is_one_that_a_token_may_be_asked_for() -> None:
    for login in sample_logins():
        check_organisation(login.role, login.organisation, sample_organisations())
