"""Random lives of a file: whatever is tried in whatever order, the rules of referrals and cases hold."""

from __future__ import annotations

from typing import Any, get_args

from hulpketen_contracts import CaseState, ReferralState
from hulpketen_contracts.values import CaseResult
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.matching.domain import cases, referrals
from services.matching.domain.errors import AlreadyReferred, CaseIsClosed, CodeRefused, NotAllowedNow, NotFound
from services.matching.domain.referrals import AT_AN_END, TRANSITIONS, Actor, Step, Wanted
from tests.unit.matching.made_up import FIKKS, GKB, LOCAL, MAATJES, Played, choice, later, signal, withdrawal, world

ORGANISATIONS = ["gemeente-assen", "gkb-voorbeeld", "maatjes-voorbeeld", "fikks-voorbeeld"]
CODES = sorted({code for row in TRANSITIONS if row.due for code in row.due.codes})
SERVICES = st.sampled_from([GKB, MAATJES, FIKKS])
ACTORS = st.none() | st.builds(Actor, st.sampled_from(ORGANISATIONS), st.booleans(), st.booleans())
STEPS = {(row.before, row.action): row for row in TRANSITIONS}


class Life(RuleBasedStateMachine):
    """What may happen to a file, tried at random."""

    def __init__(self) -> None:
        super().__init__()
        self.played = Played()
        self.n = 0
        self.signals: list[Any] = []

    @rule(
        type=st.sampled_from(["Huur", "Energie", "School"]),
        amount=st.none() | st.integers(0, 3),
        day=st.integers(0, 60),
    )
    def receive(self, type: str, amount: int | None, day: int) -> None:
        given = signal(partner_type=type, amount=amount, signalled_on=later(day), crisis=amount == 3)
        self.signals.append(given)
        self.played.take(given)

    @precondition(lambda self: self.signals)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.played.take(withdrawal(data.draw(st.sampled_from(self.signals))))

    @rule(service=SERVICES | st.just("unknown"), crisis=st.booleans())
    def choose(self, service: str, crisis: bool) -> None:
        self.played.take(choice(service=service, crisis=crisis, exit=LOCAL))

    @precondition(lambda self: self.played.state)
    @rule(service=SERVICES, organisation=st.sampled_from(ORGANISATIONS))
    def refer(self, service: str, organisation: str) -> None:
        wanted = Wanted(service, "professional", organisation)
        self._try(lambda: referrals.make(self.played.state, self.played.case["id"], wanted, self._world()))

    @precondition(lambda self: self.played.state and self.played.state.get("referrals"))
    @rule(
        data=st.data(),
        action=st.sampled_from(sorted({row.action for row in TRANSITIONS})),
        actor=ACTORS,
        reason=st.none() | st.sampled_from(CODES),
        outcome=st.none() | st.sampled_from(CODES),
    )
    def act(
        self, data: st.DataObject, action: str, actor: Actor | None, reason: str | None, outcome: str | None
    ) -> None:
        assert self.played.state
        before = data.draw(st.sampled_from(self.played.state["referrals"]))
        step = Step(before["referral"], action, actor, reason, outcome)
        if self._try(lambda: referrals.act(self.played.state, step, self._world())):
            row = STEPS[before["status"], action]
            after = next(r for r in self.played.state["referrals"] if r["referral"] == before["referral"])
            assert (after["status"], after["version"]) == (row.after, before["version"] + 1)
            sides = {"receiver": before["to_organisation"], "author": before["from_organisation"], "clock": None}
            assert sides[row.who] == (actor.organisation if actor else None)

    @precondition(lambda self: self.played.state)
    @rule(result=st.sampled_from(get_args(CaseResult)))
    def close(self, result: CaseResult) -> None:
        self._try(lambda: cases.close(self.played.state, self.played.case["id"], result, "assen", self._world()))

    @invariant()
    def one_case_is_open_at_most_and_it_is_the_last(self) -> None:
        if self.played.state:
            statuses = [case["status"] for case in self.played.state["cases"]]
            assert "open" not in statuses[:-1]
            assert self.played.state["status"] == statuses[-1]

    @invariant()
    def one_referral_of_a_case_to_a_service_is_under_way_at_most(self) -> None:
        running = [
            (r["case"], r["service"])
            for r in (self.played.state or {}).get("referrals", ())
            if r["status"] not in AT_AN_END
        ]
        assert len(running) == len(set(running))

    @invariant()
    def the_events_tell_the_state(self) -> None:
        """Versions count 1, 2, 3 …, and the last event of each referral and case is how it now is."""
        last: dict[str, ReferralState | CaseState] = {}
        for event in self.played.told:
            if isinstance(event, ReferralState | CaseState):
                id = event.referral if isinstance(event, ReferralState) else event.case
                assert event.version == (last[id].version if id in last else 0) + 1
                last[id] = event
        state = self.played.state or {"cases": []}
        now = {c["id"]: (c["status"], c["version"]) for c in state["cases"]}
        now |= {r["referral"]: (r["status"], r["version"]) for r in state.get("referrals", ())}
        assert now == {id: (event.status, event.version) for id, event in last.items()}

    @invariant()
    def no_program_refers(self) -> None:
        for event in self.played.told:
            if isinstance(event, ReferralState) and event.status == "made":
                assert event.decided_by in ("resident", "professional")

    def _world(self) -> cases.World:
        self.n += 1
        return world(f"command-{self.n}")

    def _try(self, decide: Any) -> bool:
        try:
            self.played.accept(decide())
        except (AlreadyReferred, CaseIsClosed, CodeRefused, NotAllowedNow, NotFound):
            return False
        return True


Life.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
