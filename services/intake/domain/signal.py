"""A signal: what a sender says, and the decisions about it. The state holds no personal data but what is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from hulpketen_contracts.signals import SignalReceived, SignalRefused, SignalWithdrawn
from hulpketen_contracts.values import PartnerType
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from services.chassis.pipeline.model import Context, Decide, Decision, Emit, State
from services.intake.domain.checks import Body, Municipality, PastDate, Reference, today
from services.intake.domain.client import Client, Contact, SafeContact

WithdrawReason = Literal["paid", "arrangement", "sent-in-error", "other"]
RECEIVED, CONFLICT, REFUSED, WITHDRAWN = "received", "identity-conflict", "refused", "withdrawn"


class ContentDiffers(Exception):
    """The sender used this reference before, for another content. Trying again cannot help."""


class NotPossible(Exception):
    """The signal's status does not allow this. `status` is what it is."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def _not_before_arisen(value: date | None, info: ValidationInfo) -> date | None:
    arisen = info.data.get("arisen_on")
    if value and arisen and value < arisen:
        raise PydanticCustomError("date_order", "Must not be before arisenOn")
    return value


class SignalIn(Body):
    """A signal as a sender gives it; `reference` is the sender's own and names it for ever."""

    reference: Reference
    municipality: Municipality
    partner_type: PartnerType
    amount: Annotated[int, Field(ge=0, le=99_999_999)] | None = None
    arisen_on: PastDate | None = None
    signalled_on: Annotated[PastDate | None, AfterValidator(_not_before_arisen)] = None
    crisis: bool = False
    warm_transfer: bool = False
    client: Client
    contact: Contact | None = None
    safe_contact: SafeContact | None = None

    def personal(self) -> dict[str, Any]:
        """What goes into the vault, by kind."""
        values: dict[str, Any] = {"identity": self.client.known()}
        if self.contact and (known := self.contact.known()):
            values["contact"] = known
        if self.safe_contact and (restrictions := self.safe_contact.restrictions()):
            values["safe-contact"] = restrictions
        return values


@dataclass(frozen=True, slots=True)
class Taking:
    """A signal that is to be taken: its content and whom it is about. `sealed`: the reference, under that key."""

    signal: str
    sender: str
    content: SignalIn
    digest: str
    person: str
    sealed: bytes
    candidates: tuple[str, ...] = ()


def receive(taking: Taking) -> Decide:
    """Take a signal; the same again changes nothing, another content raises ContentDiffers."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state and state["status"] != REFUSED:
            if state["digest"] is None:  # known from its event alone: the database is that of a backup
                return Decision(state | {"digest": taking.digest, "sealed": taking.sealed})
            if state["digest"] != taking.digest:
                raise ContentDiffers
            return None
        new = _new_state(taking, context)
        if taking.candidates:
            return Decision(new | {"status": CONFLICT, "candidates": list(taking.candidates)})
        return Decision(new, [Emit(_received(new), subject=new["signal"])])

    return decide


def refuse(signal: str, sender: str, municipality: str, reasons: Sequence[str]) -> Decide:
    """Refuse a well-formed signal by rule; the same refusal again makes no second event."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state and (state["status"] != REFUSED or state["reasons"] == list(reasons)):
            return None
        new = {
            "signal": signal,
            "status": REFUSED,
            "sender": sender,
            "municipality": municipality,
            "reasons": list(reasons),
            "receivedAt": context.now,
        }
        event = SignalRefused(signal=signal, municipality=municipality, sender=sender, reasons=list(reasons))
        return Decision(new, [Emit(event, subject=signal)])

    return decide


def withdraw(reason: WithdrawReason) -> Decide:
    """The sender takes a signal back. One that waits for a human was never told to anybody, so no event tells of it."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is None or state["status"] == REFUSED:
            raise NotPossible(state["status"] if state else "unknown")
        if state["status"] == WITHDRAWN:
            return None
        new = state | {"status": WITHDRAWN, "reason": reason}
        if state["status"] == CONFLICT:
            return Decision(new)
        event = SignalWithdrawn(
            signal=state["signal"],
            person=state["person"],
            municipality=state["municipality"],
            sender=state["sender"],
            reason=reason,
        )
        return Decision(new, [Emit(event, subject=state["signal"])])

    return decide


def settle(person: str, choice: str, sealed: bytes) -> Decide:
    """A human said whom a signal in conflict is about: it is published for that person. The same again is harmless."""

    def decide(state: State | None, _: Context) -> Decision | None:
        if state is None or (state["status"] != CONFLICT and state.get("choice") != choice):
            raise NotPossible(state["status"] if state else "unknown")
        if state["status"] != CONFLICT:
            return None
        new = state | {
            "status": RECEIVED,
            "apart": state["person"],
            "person": person,
            "choice": choice,
            "sealed": sealed,
        }
        return Decision(new, [Emit(_received(new), subject=new["signal"])])

    return decide


def _new_state(taking: Taking, context: Context) -> State:
    content = taking.content
    signalled = content.signalled_on or today(context.now)
    return {
        "signal": taking.signal,
        "status": RECEIVED,
        "sender": taking.sender,
        "municipality": content.municipality,
        "person": taking.person,
        "subjectKind": "address" if content.client.is_address else "person",
        "partnerType": content.partner_type,
        "amount": content.amount,
        "arisenOn": content.arisen_on.isoformat() if content.arisen_on else None,
        "signalledOn": signalled.isoformat(),
        "crisis": content.crisis,
        "warmTransfer": content.warm_transfer,
        "digest": taking.digest,
        "sealed": taking.sealed,
        "receivedAt": context.now,
    }


def _received(state: State) -> SignalReceived:
    return SignalReceived(
        signal=state["signal"],
        person=state["person"],
        subject_kind=state["subjectKind"],
        municipality=state["municipality"],
        sender=state["sender"],
        partner_type=state["partnerType"],
        amount=state["amount"],
        arisen_on=date.fromisoformat(state["arisenOn"]) if state["arisenOn"] else None,
        signalled_on=date.fromisoformat(state["signalledOn"]),
        crisis=state["crisis"],
        warm_transfer=state["warmTransfer"],
    )
