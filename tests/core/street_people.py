"""A street without manners, whole: with operators, policies and models, which change at any moment."""

import hashlib
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from algoserver.core.alerts import live
from algoserver.core.orders import is_open
from algoserver.domain import commands, events
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import OverrideTerms, RiskPolicy
from algoserver.domain.types import SECOND, Side, TimeInForce, date_text
from tests.core.books import CLIENTS, LIT, POLICIES, SETUPS, SYMBOLS
from tests.core.day import FLAT_26
from tests.core.street_clients import CLIENT, INDEX, NUMBERS, PRICES
from tests.core.street_venues import Venues

SCOPES = ("firm", "desk:cash", "client:CLIENT1", "client:CLIENT2", "symbol:AAPL", "algo:TWAP", "algo:TWAP@AAPL", "venue:XLIT1", "venue:XDARK1")


def name_of(policy: RiskPolicy) -> str:
    """What a digest is: another one for another policy, and the same for the same."""
    return hashlib.sha256(msgspec.json.encode(policy)).hexdigest()[:12]


class Street(Venues):
    """Clients, venues, operators, market and time, without manners."""

    @rule(verb=st.sampled_from(["resume", "pause", "resume", "cancel", "resume", "release", "kill", "release", "stop"]), index=INDEX)
    def operator_says(self, verb: str, index: int) -> None:
        if verb in ("kill", "stop") and index % 4:
            verb = "release"
        target = "firm"
        if verb not in ("kill", "release", "stop"):
            names = ["P-unknown", *self.state.parents]
            target = names[-1 - index % len(names)]
        known = live(self.state.alerts)
        if verb == "pause" and index % 2 and known:
            verb, target = "ack", known[index % len(known)].alert_id
        self.tell(events.OperatorCommanded(operator="server" if verb == "release" else "ann", verb=verb, target=target, reason="test"))

    @rule(code=st.sampled_from(["disk_short", "disk_enough", ""]))
    def the_machine_warns(self, code: str) -> None:
        drifted = events.ConfigDrifted(file="policy.toml", digest="abc")
        self.tell(events.MachineWarned(code=code, subject="state", text="so many MB") if code else drifted)

    @precondition(lambda self: self.state.parents)
    @rule(index=INDEX, qty=st.one_of(st.just(0), NUMBERS), price=st.one_of(st.just(0), PRICES), end=st.sampled_from([0, 0, 30, 600, -5]))
    def operator_amends(self, index: int, qty: int, price: int, end: int) -> None:
        ids = list(self.state.parents)
        params = AlgoParams(end_ts=self.day.now + end * SECOND if end else 0)
        given = ("end_ts",) if end else ()
        target = ids[-1 - index % len(ids)]
        self.tell(events.OperatorAmended(operator="ann", target=target, order_qty=qty * 10, price=price, params=params, given=given))

    @rule(verb=st.sampled_from(["kill", "release", "release", "release"]), index=INDEX, scope=st.sampled_from(SCOPES))
    def scope_is_stopped_or_released(self, verb: str, index: int, scope: str) -> None:
        stops = [*self.state.gate.stops, scope]
        if verb == "kill":
            self.tell(events.OperatorCommanded(operator="ann", verb=verb, target=scope))
        elif index % 5:
            self.released(stops[index % len(stops)])
        else:  # as no door says it: nothing is opened by it
            self.tell(events.OperatorCommanded(operator="ann", verb="release", target=stops[index % len(stops)]))

    def released(self, scope: str) -> None:
        """By one person, where none is named."""
        self.tell(events.ActionProposed(operator="ann", verb="release", target=scope, is_enough=True))

    @rule(
        index=INDEX, policy=st.sampled_from(POLICIES), verb=st.sampled_from(["release", "policy", "override", "override"]),
        then=st.sampled_from(["", "one is enough", "approve", "approve", "again", "late", "withdraw"]),
    )  # fmt: skip
    def proposes(self, index: int, policy: RiskPolicy, verb: str, then: str) -> None:
        """And another person may approve it at once, or after it was stopped or applied again, or too late."""
        stops = [*self.state.gate.stops, "firm"]
        terms = OverrideTerms(CLIENTS[0], "AAPL", Side.BUY, 25_000, 3_600 * SECOND)
        more: dict[str, Any] = {"policy": {"policy": policy, "digest": name_of(policy)}, "override": {"override": terms}}.get(verb, {})
        target = stops[index % len(stops)] if verb == "release" else verb
        proposal = events.ActionProposed(operator="ann", verb=verb, target=target, reason="test", is_enough=then == "one is enough", **more)
        self.tell(proposal)
        name = "" if proposal.is_enough else list(self.limits.proposals)[-1]
        if then == "again" and verb == "release":
            self.tell(events.OperatorCommanded(operator="carl", verb="kill", target=target))
        elif then == "again" and verb == "policy":
            self.tell(msgspec.structs.replace(proposal, is_enough=True))
        elif then == "late":
            self.day.now += 3_601 * SECOND
        elif then == "withdraw":
            self.tell(events.OperatorCommanded(operator="bob", verb="withdraw", target=name))
        if then in ("approve", "again", "late"):
            self.tell(events.OperatorCommanded(operator="bob", verb="approve", target=name))
            if verb == "override":  # of the two that come now one is meant, where nothing else stops it
                self.all_is_released()
                for _ in range(2):
                    self.asks(CLIENTS[0], 100 + len(self.state.parents), 1001, "AAPL", 25_000, Side.BUY, 0, TimeInForce.DAY, 0, 600, 0, 2)

    @precondition(lambda self: self.limits.proposals)
    @rule(index=INDEX, operator=st.sampled_from(["bob", "bob", "ann"]), verb=st.sampled_from(["approve", "approve", "approve", "withdraw"]))
    def decides(self, index: int, operator: str, verb: str) -> None:
        names = list(self.limits.proposals)
        self.tell(events.OperatorCommanded(operator=operator, verb=verb, target=names[-1 - index % len(names)]))

    @rule()
    def all_is_released(self) -> None:
        """Somebody has looked: what was stopped and paused goes on, and the market trades."""
        for scope in list(self.state.gate.stops):
            self.released(scope)
        self.tell(events.OperatorCommanded(operator="server", verb="release", target="firm"))  # as a start does
        for parent in [p for p in self.state.parents.values() if is_open(p.order)]:
            self.tell(events.OperatorCommanded(operator="ann", verb="resume", target=parent.parent_id))
        for symbol in SYMBOLS:
            self.quoted(LIT[0], symbol, 199_99, 3, 5_000)
        self.time_passes(2 * SECOND)

    @rule(policy=st.sampled_from(POLICIES), cents=st.sampled_from([0, 0, 3]))
    def works_under(self, policy: RiskPolicy, cents: int) -> None:
        """A policy is tightened while orders work, and the market goes on, or goes somewhere else."""
        self.tell(events.ActionProposed(operator="ann", verb="policy", target="policy", policy=policy, digest=name_of(policy), is_enough=True))
        self.asks(CLIENTS[0], 96 - len(self.state.parents), 1001, "AAPL", 150, Side.BUY, 0, TimeInForce.DAY, 0, 600, 0, 2)
        self.all_is_released()
        for venue in LIT:
            self.quoted(venue, "AAPL", 199_99 + cents, 3, 5_000)
        self.trades_a_while()

    @rule(client=CLIENT, is_back=st.booleans(), policy=st.sampled_from(POLICIES[:3]))
    def client_leaves(self, client: str, is_back: bool, policy: RiskPolicy) -> None:
        """His orders go on, pause or end, by the policy."""
        self.tell(events.ActionProposed(operator="ann", verb="policy", target="policy", policy=policy, digest=name_of(policy), is_enough=True))
        self.tell(events.SessionDown(session=client, reason="gone"))
        if is_back:
            self.tell(events.SessionUp(session=client))

    @precondition(lambda self: self.sent)
    @rule(many=st.integers(2, 6))
    def refuses_in_a_row(self, many: int) -> None:
        """As a venue does that has lost its mind."""
        for index in range(1, many + 1):
            self.refuses(index, "D")

    @rule(setup=st.sampled_from([0, 3, 0, 1, 3, 2, 4, 5, 6, 7, 8, 8]))
    def policy_changes(self, setup: int) -> None:
        self.tell(SETUPS[setup])

    @rule(symbol=st.sampled_from(list(SYMBOLS)), is_empty=st.booleans(), model=st.sampled_from(["", "m1", "m2", ""]))
    def forecast_comes(self, symbol: str, is_empty: bool, model: str) -> None:
        """Of the model in force; or another one is wanted, loaded or not, and what an older one says comes late. And a plan by it."""
        date, asked = date_text(self.day.now), self.state.models[-1].name if self.state.models else ""
        if model:
            self.tell(events.ActionProposed(operator="ann", verb="model", target=model, digest=model, is_enough=True))
            self.tell(events.ModelRefused(name="m1", sha256="m1", text="it does not load"))
            self.tell(events.ModelActivated(name=model, sha256=model))
            asked = "m2"
        curve = () if is_empty else FLAT_26
        self.tell(events.ForecastReady(symbol=symbol, date=date, model="m", curve=curve, trained_through="2019-06-27", asked=asked))
        # One whose plan is asked for, where the desk wants its plans optimised.
        self.asks(CLIENTS[0], 92 - len(self.state.parents), 3, symbol, 5_000, Side.BUY, 0, TimeInForce.DAY, 0, 600, 0, 2)
        self.tell(self._plan())

    def _plan(self) -> events.PlanReady:
        """An answer to the latest request for a plan, in time or long out of date."""
        asked = next((c for c in reversed(self.day.commands) if isinstance(c, commands.RequestPlan)), None)
        if asked is None:
            return events.PlanReady(parent_id="nobody", qty=1, model="m", moments=(1, 2), totals=(0, 1))
        totals = tuple(asked.qty * i // (len(asked.moments) - 1) for i in range(len(asked.moments)))
        return events.PlanReady(parent_id=asked.parent_id, qty=asked.qty, model="m", moments=asked.moments, totals=totals)
