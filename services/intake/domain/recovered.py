"""What the events that intake published tell of its own state: for a database that was restored from a backup.

They hold no personal data, so what they bring back leads to nobody: a sender that delivers the same signal again
fills the vault under the pseudonym that the chain knows.
"""

from __future__ import annotations

from hulpketen_contracts import (
    ChoiceConfirmed,
    Decoded,
    SignalReceived,
    SignalRefused,
    SignalWithdrawn,
)

from services.chassis.pipeline.model import State
from services.intake.domain.choice import CONFIRMED
from services.intake.domain.signal import RECEIVED, REFUSED, WITHDRAWN


def reflect(state: State | None, event: Decoded) -> State | None:
    """The state with what one of our own events says."""
    data, at = event.data, event.envelope.time
    if isinstance(data, SignalReceived):
        told = data.model_dump(mode="json", by_alias=True) | {"status": RECEIVED, "receivedAt": at}
        return {"digest": None, "sealed": None} | told | (state or {}) | {"status": RECEIVED, "person": data.person}
    if isinstance(data, SignalRefused):
        return data.model_dump(mode="json", by_alias=True) | {"status": REFUSED, "receivedAt": at}
    if isinstance(data, SignalWithdrawn) and state is not None:
        return state | {"status": WITHDRAWN, "reason": data.reason}
    if isinstance(data, ChoiceConfirmed):
        fresh = {"digest": "", "codes": 0, "chosenAt": at}
        names = ("test", "municipality", "service", "exit", "crisis", "person")
        told = {name: getattr(data, name) for name in names}
        kept = {name: value for name, value in (state or {}).items() if name not in ("code", "proved")}
        return fresh | kept | told | {"status": CONFIRMED, "confirmedBy": data.confirmed_by}
    return state  # a test does not say whether the situation was threatening: it has to be taken again
