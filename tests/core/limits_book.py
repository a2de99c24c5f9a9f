"""What a risk officer can know: each scope's use of its limits, counted from events, commands and the orders' own fills.

Rule: it asks nothing of the gate, whose books are under test. What may still trade, and what did, is what the children's orders say.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator

from algoserver.core.orders import is_known, is_open, leaves_qty
from algoserver.core.state import State
from algoserver.domain import commands, events
from algoserver.domain.events import Event
from algoserver.domain.limits import UNSET, Limits
from algoserver.domain.policy import OverrideTerms, RiskPolicy
from algoserver.domain.types import DAY, PPM_ONE, SECOND, ExecType, OrdStatus, OrdType, Side, Strategy, TimeInForce

HOUR = 3_600 * SECOND
RELEASED = "SendChild after a release"


class LimitBook:
    """hear() after each event; it asserts that what left might leave. happened: how often a limit bound, by the alert's code."""

    def __init__(self, happened: Counter[str]) -> None:
        self.happened = happened
        self.policy: RiskPolicy | None = None
        self.stops: dict[str, int] = {}
        self.is_stopping = self.is_shut_by_server = False
        self.released: set[str] = set()
        self.sent: dict[str, commands.SendChild] = {}
        self.one: dict[str, int] = {}
        self.parents: dict[str, events.ParentRequested] = {}
        self.arrival_px: dict[str, int] = {}
        self.base_px: dict[str, int] = {}
        self._news = ""
        self.proposals: dict[str, events.ActionProposed] = {}
        self.overrides: list[tuple[OverrideTerms, int]] = []
        self._asked_ts: dict[str, int] = {}
        self._asked_under: dict[str, RiskPolicy | None] = {}
        self._fills: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._done: dict[str, tuple[int, int]] = {}  # child -> day, value traded on it
        self._own: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
        self._market: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
        self._sent_at: dict[str, deque[int]] = defaultdict(deque)
        self._traffic: dict[str, list[int]] = {}  # scope -> day, messages, fills
        self._refused: Counter[str] = Counter()

    def before(self, state: State, event: Event) -> None:
        """What a venue's message is news of can be seen before it is booked."""
        self._news = ""
        if not isinstance(event, events.ChildMessage) or event.child_id not in self.sent:
            return
        child = state.children[event.child_id]
        if child.venue != event.session:
            return
        if isinstance(event, events.ChildFilled) and not is_known(child.order, event.exec_id):
            self._news = "fill"
        elif isinstance(event, events.ChildAccepted) and child.order.status is OrdStatus.PENDING_NEW:
            self._news = "accepted"
        elif isinstance(event, events.ChildRejected) and is_open(child.order):
            self._news = "refused"

    def hear(self, state: State, event: Event, out: list[commands.Command]) -> None:
        """All that one event did."""
        if isinstance(event, events.TradePrinted):
            self._market[event.symbol].append((state.ts, event.last_qty))
        self._book_fills(state, event)
        self._told(state, event)
        self._operators(state, event, out)
        self._admitted(state, event, out)
        left: list[commands.SendChild] = []
        for command in out:
            if isinstance(command, commands.RaiseAlert):
                self.happened[command.code] += 1
                if command.code == "stopped_by_limit":
                    assert command.subject not in self.stops, "stopped twice"
                    self.stops[command.subject] = state.ts
            elif isinstance(command, commands.SendChild):
                self._may_leave(state, command)
                left.append(command)
            if isinstance(command, commands.SendChild | commands.CancelChild) and command.child_id in self.sent:
                self._traffic_of(state, self.sent[command.child_id], command, out)
        if left:
            self._sums_hold(state, left)
        if isinstance(event, events.ChildRejected) and self._news and self.policy is not None:
            for scope in (f"algo:{self.sent[event.child_id].algo}", f"venue:{self.sent[event.child_id].venue}"):
                most = self._tightest("rejects_max", (scope,))
                assert most == UNSET or self._refused[scope] < most or scope in self.stops, f"{scope} refuses on and on"

    def _told(self, state: State, event: Event) -> None:
        if not self._news or not isinstance(event, events.ChildMessage):
            return
        child = self.sent[event.child_id]
        for scope in (f"algo:{child.algo}", f"venue:{child.venue}"):
            self._count(scope, state.ts, fills=self._news == "fill")
            self._refused[scope] = self._refused[scope] + 1 if self._news == "refused" else 0

    # ---- what persons do

    def _operators(self, state: State, event: Event, out: list[commands.Command]) -> None:
        if isinstance(event, events.PolicyLoaded):
            self._apply(event.policy)
            self.is_stopping = False
        elif isinstance(event, events.ActionProposed):
            wanted = [c.subject for c in out if isinstance(c, commands.RaiseAlert) and c.code == "approval_wanted"]
            assert len(wanted) == (not event.is_enough)
            if event.is_enough:
                self._do(state, event)
            else:
                self.proposals[wanted[0]], self._asked_ts[wanted[0]] = event, state.ts
                self._asked_under[wanted[0]] = self.policy
        elif isinstance(event, events.OperatorCommanded):
            if event.verb == "kill" or (event.verb == "stop" and "firm" not in self.stops):
                self.stops[event.target] = state.ts
            if event.verb == "kill" and event.target == "firm":
                self.is_shut_by_server = False
            elif event.verb == "stop":
                self.is_stopping, self.is_shut_by_server = True, self.is_shut_by_server or self.stops["firm"] == state.ts
            elif event.verb == "release" and (event.operator, event.target) == ("server", "firm") and self.is_shut_by_server:
                self.is_stopping = self.is_shut_by_server = False
                self._release(state, "firm")
            elif event.verb == "withdraw":
                self.proposals.pop(event.target, None)
            elif event.verb == "approve" and not [c for c in out if isinstance(c, commands.RaiseAlert) and c.code == "approval_refused"]:
                proposal = self.proposals.pop(event.target)
                assert proposal.operator != event.operator, "approved by who proposed it"
                asked_ts = self._asked_ts[event.target]
                assert state.ts - asked_ts <= HOUR, "approved after it lapsed"
                assert self.stops.get(proposal.target, 0) <= asked_ts or proposal.verb != "release", "a stop that was not looked at"
                # One that was applied again is the one that was compared.
                is_same = self.policy == self._asked_under[event.target]
                assert is_same or proposal.verb != "policy", "another policy was applied since"
                self._do(state, proposal)
            elif event.verb == "resume" and event.target in self.parents:
                self.base_px[event.target] = mid(state, self.parents[event.target].symbol) or self.arrival_px[event.target]

    def _do(self, state: State, proposal: events.ActionProposed) -> None:
        self.happened[f"{proposal.verb} by {'one' if proposal.is_enough else 'two'}"] += 1
        if proposal.verb == "release":
            self._release(state, proposal.target)
        elif proposal.verb == "policy" and proposal.policy is not None:
            self._apply(proposal.policy)
        elif proposal.override is not None:
            self.overrides.append((proposal.override, state.ts + proposal.override.lasts_ns))

    def _apply(self, policy: RiskPolicy) -> None:
        self.policy = policy
        self._sent_at.clear()

    def _release(self, state: State, scope: str) -> None:
        if self.stops.pop(scope, None) is not None:
            self.released.add(scope)
        self._traffic.pop(scope, None)
        self._refused[scope] = 0
        self._sent_at.pop(f"repeats {scope}", None)
        if scope == "firm" and self.is_stopping:  # the kill is lifted, and the gate stays shut until the next start
            self.stops[scope], self.is_shut_by_server = state.ts, True

    # ---- what is admitted

    def _admitted(self, state: State, event: Event, out: list[commands.Command]) -> None:
        """Beyond the largest order only with an override of two persons, each for one order."""
        if not isinstance(event, events.ParentRequested) or self.policy is None:
            return
        new = [c for c in out if isinstance(c, commands.ReportParent) and c.exec_type is ExecType.NEW]
        for report in new:
            self.parents[report.order_id] = event
            self.arrival_px[report.order_id] = self.base_px[report.order_id] = mid(state, event.symbol)
            assert not self._stopped(self._scopes(event.session, event.symbol, algo_of(event)), before_ts=state.ts), "admitted where it is stopped"
            most = self._tightest("parent_qty_max", self._scopes(event.session, event.symbol, algo_of(event)))
            if event.order_qty > most * 10 ** state.instruments[event.symbol].qty_decimals:
                fit = [
                    (terms, until_ts) for terms, until_ts in self.overrides
                    if (terms.client, terms.symbol, terms.side) == (event.session, event.symbol, event.side)
                    and event.order_qty <= terms.order_qty and state.ts <= until_ts
                ]  # fmt: skip
                assert fit, "an order beyond the limit, and nobody let it pass"
                self.overrides.remove(fit[0])
                self.happened["overridden"] += 1

    # ---- what leaves

    def _may_leave(self, state: State, child: commands.SendChild) -> None:
        assert self.policy is not None
        parent_id = child.child_id.rpartition(".")[0]
        parent = self.parents[parent_id]
        desk = self.policy.desk_of(parent.session)
        assert (child.client, child.desk, child.algo) == (parent.session, desk.name if desk else "", algo_of(parent)), "whose is it?"
        scopes = (*self._scopes(child.client, child.symbol, child.algo), f"venue:{child.venue}")
        assert not self._stopped(scopes), "a child leaves where it is stopped"
        self.happened[RELEASED] += bool(self.released.intersection(scopes))
        self.one[child.child_id] = 10 ** state.instruments[child.symbol].qty_decimals
        for other_id, other in self.sent.items():
            is_resting = other.time_in_force is TimeInForce.DAY and leaves_qty(state.children[other_id].order) > 0
            if is_resting and (other.venue, other.symbol) == (child.venue, child.symbol) and (other.side is Side.BUY) != (child.side is Side.BUY):
                assert child.time_in_force.is_auction or (child.price - other.price) * child.side.sign < 0, "it meets our own"
        self.sent[child.child_id] = child
        moved = self._tightest("price_move_ppm_max", scopes)
        if moved != UNSET and parent.time_in_force is TimeInForce.DAY:
            since = self.base_px[parent_id]
            assert abs(mid(state, child.symbol) - since) * PPM_ONE <= since * moved, "the price has moved too far"
        self._rates_hold(state, child, scopes)
        if child.ord_type is not OrdType.PEGGED and not child.time_in_force.is_auction and parent.time_in_force is TimeInForce.DAY:
            self._share_holds(state, child, scopes)

    def _rates_hold(self, state: State, child: commands.SendChild, scopes: tuple[str, ...]) -> None:
        """A bucket of one second lets out twice as many in a second at most, a window that is running the same."""
        for scope, limits in self._layers(scopes):
            most = limits.children_per_second_max
            if most != UNSET:
                assert self._since(scope, SECOND, state.ts) <= 2 * most, f"more children a second than {scope} may have"
        most, pair = self._tightest("repeats_max", scopes), f"algo:{child.algo}@{child.symbol}"
        if most != UNSET and self.policy is not None:
            assert self._since(f"repeats {pair}", self.policy.repeats_window_ns, state.ts) <= most, "it repeats itself without end"

    def _share_holds(self, state: State, child: commands.SendChild, scopes: tuple[str, ...]) -> None:
        most = self._tightest("traded_ppm_max", scopes)
        if most == UNSET or self.policy is None:
            return
        since_ts = state.ts - self.policy.traded_window_ns
        ours, all_of_it = (sum(q for ts, q in tape[child.symbol] if ts > since_ts) for tape in (self._own, self._market))
        # Later ones of this step are not sent yet; each finds itself here in its turn.
        shown = [c for i, c in self.sent.items() if c.symbol == child.symbol and c.ord_type is not OrdType.PEGGED and not c.time_in_force.is_auction]
        ours += sum(leaves_qty(state.children[c.child_id].order) for c in shown)
        free = state.instruments[child.symbol].adv * self.policy.traded_free_ppm // PPM_ONE
        assert ours <= all_of_it * most // PPM_ONE + free, "more of the market than all of us may have"

    def _sums_hold(self, state: State, left: list[commands.SendChild]) -> None:
        """After a step in which something left: while it sends, nothing that is summed grows less."""
        assert self.policy is not None
        for child in left:
            scopes = self._scopes(child.client, child.symbol, child.algo)
            for scope, limits in self._layers(scopes):
                self._layer_holds(state, scope, limits, child)

    def _layer_holds(self, state: State, scope: str, limits: Limits, child: commands.SendChild) -> None:
        mine = [c for c in self.sent.values() if self._is_of(scope, c)]
        leaves = {c.child_id: leaves_qty(state.children[c.child_id].order) for c in mine}
        assert limits.children_open_max == UNSET or sum(q > 0 for q in leaves.values()) <= limits.children_open_max, f"children_open_max of {scope}"
        today = state.ts // DAY
        open_, done = [0, 0], [0, 0]  # buys, sells
        for c in mine:
            side = c.side is not Side.BUY
            open_[side] += leaves[c.child_id] * c.price // self.one[c.child_id]
            day, value = self._done.get(c.child_id, (0, 0))
            done[side] += value if day == today else 0
        assert limits.open_value_max == UNSET or sum(open_) <= limits.open_value_max, f"open_value_max of {scope}"
        assert limits.gross_value_max == UNSET or sum(open_) + sum(done) <= limits.gross_value_max, f"gross_value_max of {scope}"
        side = child.side is not Side.BUY
        assert limits.net_value_max == UNSET or done[side] + open_[side] - done[not side] <= limits.net_value_max, f"net_value_max of {scope}"
        if limits.position_max != UNSET:
            position = sum(c.side.sign * state.children[c.child_id].order.cum_qty for c in mine) * child.side.sign
            out = sum(leaves[c.child_id] for c in mine if (c.side is Side.BUY) == (child.side is Side.BUY))
            assert position + out <= limits.position_max * self.one[child.child_id], f"position_max of {scope}"

    # ---- what is counted

    def _book_fills(self, state: State, event: Event) -> None:
        if not isinstance(event, events.ChildMessage) or event.child_id not in self.sent:
            return
        child, one = self.sent[event.child_id], self.one[event.child_id]
        before, now = self._fills[event.child_id], state.children[event.child_id].order.fills
        gone, come = [f for i, f in before.items() if i not in now], [f for i, f in now.items() if i not in before]
        if gone != come:
            day, done = self._done.get(event.child_id, (0, 0))
            done = done if day == state.ts // DAY else 0
            for px, qty in gone:
                done -= min(done, px * qty // one)
            for px, qty in come:
                done += px * qty // one
                self._own[child.symbol].append((state.ts, qty))
            self._done[event.child_id] = state.ts // DAY, done
        self._fills[event.child_id] = dict(now)

    def _traffic_of(self, state: State, child: commands.SendChild, command: commands.Command, out: list[commands.Command]) -> None:
        policy = self.policy
        assert policy is not None
        for scope in (f"algo:{child.algo}", f"venue:{child.venue}"):
            seen = self._count(scope, state.ts, messages=1)
            most = self._tightest("order_to_trade_max", (scope,))
            if most != UNSET and seen[1] > policy.order_to_trade_min and seen[1] > 2 * most * max(1, seen[2]):
                # The word comes right behind the message.
                said = [c for c in out if isinstance(c, commands.RaiseAlert) and c.code == "stopped_by_limit" and c.subject == scope]
                assert said or scope in self.stops, f"{scope} talks and talks"

    def _count(self, scope: str, ts: int, messages: int = 0, fills: int = 0) -> list[int]:
        seen = self._traffic.get(scope)
        if seen is None or seen[0] != ts // DAY:
            seen = self._traffic[scope] = [ts // DAY, 0, 0]
        seen[1] += messages
        seen[2] += fills
        return seen

    def _since(self, key: str, window_ns: int, ts: int) -> int:
        times = self._sent_at[key]
        times.append(ts)
        while times[0] <= ts - window_ns:
            times.popleft()
        return len(times)

    def _layers(self, scopes: tuple[str, ...]) -> Iterator[tuple[str, Limits]]:
        assert self.policy is not None
        yield "firm", self.policy
        yield from ((x.scope, x.limits) for x in self.policy.layers if x.scope in scopes)

    def _tightest(self, field: str, scopes: tuple[str, ...]) -> int:
        values = [v for _, limits in self._layers(scopes) if (v := getattr(limits, field)) != UNSET]
        return min(values, default=UNSET)

    def _scopes(self, client: str, symbol: str, algo: str) -> tuple[str, ...]:
        assert self.policy is not None
        desk = self.policy.desk_of(client)
        return ("firm", *((desk.scope,) if desk else ()), f"client:{client}", f"symbol:{symbol}", f"algo:{algo}", f"algo:{algo}@{symbol}")

    def _is_of(self, scope: str, child: commands.SendChild) -> bool:
        return scope in self._scopes(child.client, child.symbol, child.algo)

    def _stopped(self, scopes: tuple[str, ...], before_ts: int = 0) -> list[str]:
        return [s for s in scopes if s in self.stops and (not before_ts or self.stops[s] < before_ts)]


def mid(state: State, symbol: str) -> int:
    """Of the best prices at all venues; the last trade where a side is empty."""
    quotes = state.markets[symbol].quotes.values()
    bids, asks = [q.bid_px for q in quotes if q.bid_px], [q.ask_px for q in quotes if q.ask_px]
    return (max(bids) + min(asks)) // 2 if bids and asks else state.markets[symbol].last_px


def algo_of(parent: events.ParentRequested) -> str:
    """The name of its strategy."""
    return Strategy(parent.strategy).name
