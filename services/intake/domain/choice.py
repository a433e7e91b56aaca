"""A resident chooses help after the test. It counts once the contact is proved by a code, or a professional confirms.

Until then nobody is referred, so that nobody can refer a neighbour: what was filled in stays under a pseudonym of
its own, linked to no person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from hulpketen_contracts.tests import ChoiceConfirmed, TestCompleted
from pydantic import Field, StringConstraints

from services.chassis.pipeline.model import Context, Decide, Decision, Emit, State
from services.intake.domain.checks import Addition, Body, Email, HouseNumber, Name, PastDate, Phone, Postcode
from services.intake.domain.client import Client, SafeContact
from services.intake.domain.questionnaire import Outcome

WAITING, CONFIRMED, LAPSED = "waiting", "confirmed", "lapsed"
MOST_CODES = 3
# Digits of a Dutch telephone number behind its prefix.
_SUBSCRIBER = 9
_MISSED_AFTER = timedelta(minutes=1)
By = Literal["resident", "professional"]


class ChoiceContact(Body):
    """Who the resident says to be, and how to be reached: by telephone or e-mail, or both."""

    name: Name
    phone: Phone | None = None
    email: Email | None = None
    birth_date: PastDate
    postcode: Postcode
    house_number: HouseNumber
    house_number_addition: Addition | None = None

    def client(self) -> Client:
        """What leads to the person, once a professional has seen who it is."""
        return Client.model_construct(
            postcode=self.postcode,
            house_number=self.house_number,
            house_number_addition=self.house_number_addition,
            birth_date=self.birth_date,
        )

    @property
    def channel(self) -> tuple[Literal["sms", "email"], str]:
        """Where a code goes."""
        return ("sms", self.phone) if self.phone else ("email", self.email or "")

    @property
    def reach(self) -> str:
        """The telephone or mailbox that a code goes to, however it is written: +31 6 and 06, name+tag and name."""
        channel, to = self.channel
        if channel == "sms":
            return to[-_SUBSCRIBER:]
        name, _, host = to.casefold().partition("@")
        return f"{name.partition('+')[0]}@{host}"

    def personal(self) -> dict[str, Any]:
        """What goes into the vault, by kind."""
        contact = {"name": self.name, "phone": self.phone, "email": self.email}
        return {"identity": self.client().known(), "contact": {k: v for k, v in contact.items() if v is not None}}


class ChoiceIn(Body):
    """The choice. `consent` must be given: without it nothing is stored."""

    service: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    contact: ChoiceContact
    consent: Literal[True]
    safe_contact: SafeContact | None = None

    def personal(self) -> dict[str, Any]:
        """What goes into the vault, by kind."""
        restrictions = self.safe_contact.restrictions() if self.safe_contact else []
        return self.contact.personal() | ({"safe-contact": restrictions} if restrictions else {})


def unreachable(sent: Any) -> list[tuple[str, str, str]]:
    """What is wrong with a choice beyond the form of its fields: (pointer, code, message). `sent` is any JSON."""
    contact = sent.get("contact") if isinstance(sent, dict) else None
    if not isinstance(contact, dict) or contact.get("phone") is not None or contact.get("email") is not None:
        return []
    return [("/contact", "contact", "Needs a phone or an email")]


class CodeIn(Body):
    """The code that came by message."""

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class NotNow(Exception):
    """The choice cannot be confirmed in this way now. `code` says why; trying again with the same does not help."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CodeRules:
    """How long a code holds, how often it may be tried, and how many go to one telephone or mailbox in a day."""

    valid: timedelta
    attempts: int
    each_day: int = 10


def complete(test: str, municipality: str, questionnaire: str, outcome: Outcome) -> Decide:
    """A test was taken; the state holds its outcome, and no answers."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is not None:  # its key was forgotten meanwhile
            return Decision(state, answer=state)
        new = {
            "test": test,
            "municipality": municipality,
            "questionnaire": questionnaire,
            "exit": outcome.exit,
            "reasons": list(outcome.reasons),
            "crisis": outcome.crisis,
        }
        event = TestCompleted(
            test=test,
            municipality=municipality,
            questionnaire=questionnaire,
            exit=outcome.exit,
            reasons=list(outcome.reasons),
        )
        return Decision(new, [Emit(event, subject=test)], answer=new)

    return decide


def choose(test: Mapping[str, Any], service: str, person: str, digest: str) -> Decide:
    """The resident chose; `person` is a pseudonym of this choice alone. Another choice replaces one that waits."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state and state["status"] == CONFIRMED:
            raise NotNow("already-confirmed")
        if state and state["digest"] == digest:
            return None
        new = {
            "test": test["test"],
            "municipality": test["municipality"],
            "exit": test["exit"],
            "crisis": test["crisis"],
            "service": service,
            "person": person,
            "digest": digest,
            "status": WAITING,
            "codes": state["codes"] if state else 0,
            "chosenAt": context.now,
        }
        return Decision(new)

    return decide


def leave(_state: State | None, _context: Context) -> Decision | None:
    """Nothing changes: asked under an idempotency key, it shows whether that stands for another request."""
    return None


def issue_code(hashed: str, rules: CodeRules) -> Decide:
    """A new code; the old one is void. Answers whether it may be sent."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state is None or state["status"] != WAITING or state["codes"] >= MOST_CODES:
            return None
        code = {"hash": hashed, "until": context.now + rules.valid, "tries": 0, "sent": False, "at": context.now}
        return Decision(state | {"code": code, "codes": state["codes"] + 1}, answer=True)

    return decide


def code_sent(hashed: str) -> Decide:
    """The gateway took this code."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is None or state.get("code", {}).get("hash") != hashed:
            return None
        return Decision(state | {"code": state["code"] | {"sent": True}})

    return decide


def has_code(state: Mapping[str, Any], now: datetime, rules: CodeRules) -> bool:
    """Whether a code is on its way that can still be entered."""
    code = state.get("code")
    return bool(code and code["sent"] and code["until"] > now and code["tries"] < rules.attempts)


def wants_code(state: Mapping[str, Any], now: datetime, rules: CodeRules) -> bool:
    """Whether a new code is due: none can be entered, or the one that was sent may have been missed."""
    return not has_code(state, now, rules) or bool(state["code"]["at"] + _MISSED_AFTER <= now)


def try_code(hashed: str, rules: CodeRules) -> Decide:
    """The resident enters a code: answers "right" or "wrong", and counts. Raises NotNow where none can be entered."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state and state["status"] == CONFIRMED:
            raise NotNow("already-confirmed")
        if state is None or not has_code(state, context.now, rules):
            raise NotNow("no-code")
        code = state["code"]
        if code["hash"] == hashed:
            return Decision(state | {"proved": True}, answer="right")
        return Decision(state | {"code": code | {"tries": code["tries"] + 1}}, answer="wrong")

    return decide


def confirm(person: str, by: By, organisation: str | None) -> Decide:
    """The choice counts, for this person. Again is harmless. Raises NotNow where there is none."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is None or state["status"] == LAPSED:
            raise NotNow("no-choice")
        if state["status"] == CONFIRMED:
            return None
        if by == "resident" and not state.get("proved"):
            raise NotNow("no-code")
        new = {key: value for key, value in state.items() if key not in ("code", "proved")}
        new |= {"status": CONFIRMED, "person": person, "confirmedBy": by}
        event = ChoiceConfirmed(
            test=state["test"],
            person=person,
            municipality=state["municipality"],
            service=state["service"],
            exit=state["exit"],
            crisis=state["crisis"],
            confirmed_by=by,
            confirmed_by_organisation=organisation,
        )
        return Decision(new, [Emit(event, subject=state["test"])])

    return decide


def lapse(before: datetime) -> Decide:
    """Nobody confirmed the choice that was made before this time: what leads to the contact details goes."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is None or state["status"] != WAITING or state["chosenAt"] >= before:
            return None
        kept = {name: state[name] for name in ("test", "municipality", "exit", "crisis", "service", "chosenAt")}
        return Decision(kept | {"status": LAPSED, "person": "", "digest": "", "codes": 0})

    return decide
