"""The books that must hold after every event, whatever clients, venues, operators and time do. Their rules: street_*.py.

Each limit is computed here from what was sent and told, not asked of the gate that is under test.
"""

from collections import Counter, deque

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant

from algoserver.core.alerts import COMEBACKS_MAX, live
from algoserver.core.engine import look_ts, step
from algoserver.core.orders import ParentOrder, is_known, is_open, leaves_qty
from algoserver.core.state import State, dump, load
from algoserver.domain import commands, events
from algoserver.domain.alerts import ALERTS, is_told_only, kind
from algoserver.domain.events import Event
from algoserver.domain.limits import Limits
from algoserver.domain.policy import ClientProfile, DropCopy, InstrumentSetup, Layer, Permits, Venue
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, Instrument, OrdStatus, OrdType, Strategy, TimeInForce
from tests.core.client_book import ENDS, ClientBook
from tests.core.day import AAPL, ALGO, POLICY, Day, policy_loaded
from tests.core.limits_book import LimitBook

# A coin beside the share: fractions in its quantities, and a lot that is not one unit.
COIN = Instrument(symbol="COIN", tick=PX_ONE // 100, lot=10, round_lot=1_000, qty_decimals=5, adv=3_000_000_000)
SYMBOLS = {"AAPL": AAPL, "COIN": COIN}
BOTH = (InstrumentSetup(AAPL), InstrumentSetup(COIN))
CLIENTS = ("CLIENT1", "CLIENT2")
LIT, DARK = ("XLIT1", "XLIT2"), "XDARK1"
TIGHT = msgspec.structs.replace(
    POLICY, child_qty_max=300, child_value_max=50_000 * PX_ONE, venue_messages_per_second_max=5, collar_ppm=0, children_open_max=4
)
ONE = (InstrumentSetup(AAPL),)
COPIED = LIT[1]  # whose drop copy is heard
KINDS = (*(Venue(name, has_copy=name == COPIED) for name in LIT), Venue(DARK, "dark"))
# A client whose fills of seven seconds go up as one report, and who may use one venue alone.
BUNDLED = (ClientProfile(CLIENTS[0], fills_ns=7 * SECOND),)
ONE_VENUE = (ClientProfile(CLIENTS[0], fills_ns=SECOND, venues=("XLIT1",)),)
# Limits so low that they bind: sums by each layer, what stops by itself, and what watches the market.
DESK = Layer(kind="desk", name="cash", clients=CLIENTS, limits=Limits(children_open_max=5, open_value_max=200_000 * PX_ONE))
SUMMED = msgspec.structs.replace(
    POLICY, parent_qty_max=5_000, child_qty_max=5_000, children_open_max=6, net_value_max=40_000 * PX_ONE, layers=(
        DESK, Layer(kind="client", name=CLIENTS[0], limits=Limits(children_open_max=3, open_value_max=100_000 * PX_ONE)),
        Layer(kind="symbol", name="AAPL", limits=Limits(position_max=120)),
        Layer(kind="algo", name="LIQUIDITY", limits=Limits(children_open_max=1)),
    ), permits=Permits(on_disconnect="pause"),
)  # fmt: skip
STOPPING = msgspec.structs.replace(
    POLICY, parent_qty_max=5_000, child_qty_max=5_000, rejects_max=4, order_to_trade_max=3, order_to_trade_min=4, layers=(
        DESK, Layer(kind="client", name=CLIENTS[0], limits=Limits(gross_value_max=30_000 * PX_ONE)),
        Layer(kind="venue", name=LIT[0], limits=Limits(rejects_max=2, order_to_trade_max=1)),
    ), permits=Permits(on_disconnect="cancel"),
)  # fmt: skip
RATED = msgspec.structs.replace(
    POLICY, parent_qty_max=5_000, child_qty_max=5_000, repeats_max=2, children_per_second_max=1, price_move_ppm_max=100,
    permits=Permits(on_disconnect="cancel"),
    layers=(DESK, Layer(kind="algo", name="TWAP", limits=Limits(repeats_max=1))),
)  # fmt: skip
WATCHED = msgspec.structs.replace(
    POLICY, parent_qty_max=5_000, child_qty_max=5_000, price_move_ppm_max=50, traded_ppm_max=1_000, traded_free_ppm=3, children_open_max=8,
)  # fmt: skip
OPTIMISED = msgspec.structs.replace(ALGO, is_optimised=True, is_banded=True)
SETUPS = tuple(
    policy_loaded(clients=CLIENTS, venues=KINDS, algo=OPTIMISED, **given)
    for given in (
        {"instruments": BOTH}, {"instruments": BOTH, "policy": TIGHT, "profiles": BUNDLED}, {"instruments": ONE},
        {"instruments": BOTH, "profiles": BUNDLED, "drop_copies": (DropCopy("DROP1", has_children=True),)},
        {"instruments": BOTH, "profiles": ONE_VENUE}, {"instruments": BOTH, "policy": SUMMED}, {"instruments": BOTH, "policy": STOPPING},
        {"instruments": BOTH, "policy": WATCHED}, {"instruments": BOTH, "policy": RATED},
    )
)
# Those that a person may want applied while orders work.
POLICIES = (POLICY, SUMMED, STOPPING, WATCHED, RATED)
# How often each thing happened in all machines of this process: a rule that never gets its turn proves nothing.
HAPPENED: Counter[str] = Counter()


class Books(RuleBasedStateMachine):
    """Tells the core, and checks all that it then does and has."""

    def __init__(self) -> None:
        super().__init__()
        self.day = Day(SETUPS[0])
        self.sent: list[commands.SendChild] = []
        self.clients = ClientBook()
        self.limits = LimitBook(HAPPENED)
        self.limits.hear(self.state, self.day.fed[0], [])
        # Parents to which a venue has done what breaks any bound: too much, too late, or trades taken back.
        self.strange: set[str] = set()
        # Children of before a restart whose venue has not been heard on since.
        self.unheard: set[str] = set()
        # How often a venue was asked about a child since it told.
        self.asked_in_vain: Counter[str] = Counter()
        self.volume = dict.fromkeys(SYMBOLS, 0)
        self.volume_before: dict[str, int] = {}
        self.left_at: dict[str, deque[int]] = {}
        # What a listener believes to be open, and when he was told last.
        self.open_alerts: dict[str, tuple[str, str]] = {}
        self.told_at: dict[str, list[int]] = {}
        self.saved: tuple[int, int, bytes] = (len(self.day.fed), len(self.day.commands), dump(self.state))

    @property
    def state(self) -> State:
        return self.day.state

    def tell(self, event: Event) -> list[commands.Command]:
        """One event in, and everything that it made the core say is looked at."""
        HAPPENED[type(event).__name__] += 1
        was_paused = {p.parent_id for p in self.state.parents.values() if p.paused_by}
        resumed = event.target if isinstance(event, events.OperatorCommanded) and event.verb == "resume" else ""
        if isinstance(event, events.TradePrinted):
            self.volume[event.symbol] += event.last_qty
        elif isinstance(event, events.PolicyLoaded):
            self.left_at.clear()
        elif isinstance(event, events.SessionDown):
            for child_id in [c for c in self.asked_in_vain if c in self.state.children and self.state.children[c].venue == event.session]:
                del self.asked_in_vain[child_id]
        elif isinstance(event, events.ChildMessage):
            self.unheard.discard(event.child_id)
            if isinstance(event, events.ChildStatusReported):
                self.asked_in_vain.pop(event.child_id, None)
        self.limits.before(self.state, event)
        is_leaving = isinstance(event, events.SessionDown) and not event.is_restart
        deserted = [p for p in self.state.parents.values() if is_leaving and p.session == event.session and is_open(p.order)]
        out = self.day.feed(event)
        if isinstance(event, events.ParentRequested):
            self.volume_before.setdefault(next(reversed(self.state.parents)), self.volume.get(event.symbol, 0))
        self.clients.hear(event, out)
        self.limits.hear(self.state, event, out)
        for p in deserted:
            self._is_left_as_agreed(p)
        for c in out:
            HAPPENED[f"{type(c).__name__} {c.exec_type.name}" if isinstance(c, commands.ReportParent) else type(c).__name__] += 1
            if isinstance(c, commands.SendChild):
                assert c.child_id.rpartition(".")[0] not in was_paused - {resumed}, "a paused parent sends"
                self._may_leave(c)
            elif isinstance(c, commands.CancelChild) and c.child_id.startswith("WHO"):
                assert f"{c.venue} {c.child_id}" in self.state.foreign, "a cancel for an order that nobody knows"
            elif isinstance(c, commands.CancelChild):
                assert is_open(self.state.children[c.child_id].order), "a cancel for a child that is over"
                is_heard = not self.state.children[c.child_id].is_unknown or self.asked_in_vain[c.child_id] >= 2
                assert is_heard, "a cancel before the venue has told how the child stands, or was asked in vain"
                assert self.state.venues_up[c.venue] or not self.state.children[c.child_id].is_unknown, "a cancel to a venue that is down"
            elif isinstance(c, commands.AskChildStatus):
                self.asked_in_vain[c.child_id] += 1
            elif isinstance(c, commands.ReportChild):
                assert c.report.exec_id not in self.clients.exec_ids, "an ExecID twice"
                self.clients.exec_ids.add(c.report.exec_id)
            elif isinstance(c, commands.RaiseAlert):
                self._is_an_alert(c)
            elif isinstance(c, commands.EndAlert):
                assert self.open_alerts.pop(c.alert_id) == (c.code, c.subject), "the end of an alert that nobody was told of"
            elif isinstance(c, commands.ReportParent) and c.exec_type in ENDS:
                assert not self.state.parents[c.order_id].open_children, "a child outlives its parent"
        for parent_id in {c.child_id.rpartition(".")[0] for c in out if isinstance(c, commands.SendChild)}:
            self._is_within(self.state.parents[parent_id])
        return out

    def _is_left_as_agreed(self, p: ParentOrder) -> None:
        """What became of an order whose client is gone."""
        assert self.limits.policy is not None
        wanted = self.limits.policy.permits.on_disconnect
        HAPPENED[f"on_disconnect {wanted}"] += 1
        is_ending = p.ended_as or p.order.is_cancel_pending or not is_open(p.order)
        assert not wanted or is_ending or (wanted == "pause" and p.paused_by), "it works on for nobody"

    def exposure(self, parent: ParentOrder) -> int:
        """What is done and what may still trade."""
        return parent.order.cum_qty + sum(leaves_qty(self.state.children[c].order) for c in parent.open_children)

    def _is_an_alert(self, c: commands.RaiseAlert) -> None:
        """Declared; true; not told again within its minute; and in the book with what it says."""
        of, name = kind(c.code), (c.code, c.subject)
        assert c.code in ALERTS, f"{c.code} is declared nowhere"
        assert c.code != "gate_conservation" or c.subject in self.strange, "the gate had to stop a quantity that was not there"
        if is_told_only(of):
            return
        lately = [ts for ts in self.told_at.get(c.alert_id, ()) if self.state.ts - ts < MINUTE]
        assert not lately or c.alert_id not in self.open_alerts, f"{name} was told twice in a minute, though it was open"
        assert len(lately) < COMEBACKS_MAX, f"{name} was told more often than three times in a minute"
        assert name not in [n for i, n in self.open_alerts.items() if i != c.alert_id], f"{name} is open twice"
        self.open_alerts[c.alert_id], self.told_at[c.alert_id] = name, [*lately, self.state.ts]

    def _may_leave(self, child: commands.SendChild) -> None:
        """Everything that must hold of a child at the moment it leaves."""
        parent = self.state.parents[child.child_id.rpartition(".")[0]]
        assert self.state.venues_up[child.venue], "a child to a venue that is down"
        assert not {"", child.symbol} & set(self.state.halts.get(child.venue, ())), "a child into a halt"
        strangers = [f for f in self.state.foreign.values() if f.venue == child.venue and f.symbol in ("", child.symbol)]
        assert all(f.released_by for f in strangers), "a child where an order is not ours"
        profile = self.state.profiles.get(parent.session)
        assert profile is None or not profile.venues or child.venue in profile.venues, "a child to a venue that was not agreed"
        assert is_open(parent.order)
        assert not parent.order.is_cancel_pending
        assert parent.amendment is None, "a child leaves while a replace is pending"
        assert not self.unheard.intersection(parent.open_children), "it trades before all that it had out is known"
        assert parent.ended_as in (None, OrdStatus.CANCELED)
        assert self.state.ts >= parent.start_ts
        assert (child.symbol, child.side) == (parent.symbol, parent.side)
        if parent.price:
            assert (child.price - parent.price) * parent.side.sign <= 0, "beyond the client's limit"
        assert child.child_id not in {s.child_id for s in self.sent}
        self._keeps_the_policy(child, SYMBOLS[child.symbol])
        if child.venue == DARK:
            self._may_hide(parent, child, SYMBOLS[child.symbol])
        self.sent.append(child)

    def _keeps_the_policy(self, child: commands.SendChild, instrument: Instrument) -> None:
        setup, unit = self.state.setup, 10**instrument.qty_decimals
        assert setup is not None
        policy = setup.policy
        assert child.symbol in {i.instrument.symbol for i in setup.instruments}
        assert (child.ord_type, child.exec_inst) == ((OrdType.PEGGED, "M") if child.venue == DARK else (OrdType.LIMIT, ""))
        assert child.order_qty > 0
        assert child.order_qty % instrument.lot == 0
        assert child.order_qty <= policy.child_qty_max * unit
        assert child.price > 0
        assert child.price % instrument.tick == 0
        assert child.price * child.order_qty <= policy.child_value_max * unit
        quotes = self.state.markets[child.symbol].quotes.values()
        bids, asks = [q.bid_px for q in quotes if q.bid_px], [q.ask_px for q in quotes if q.ask_px]
        reference = (max(bids) + min(asks)) // 2 if bids and asks else self.state.markets[child.symbol].last_px
        collar = max(reference * policy.collar_ppm // PPM_ONE, policy.collar_ticks * instrument.tick)
        assert (child.price - reference) * child.side.sign <= collar, "beyond the collar"
        assert sum(leaves_qty(c.order) > 0 for c in self.state.children.values()) <= policy.children_open_max
        # A bucket of one second's messages: full at the window's begin, it lets out twice as many at most.
        left_at = self.left_at.setdefault(child.venue, deque())
        left_at.append(self.state.ts)
        while left_at[0] <= self.state.ts - SECOND:
            left_at.popleft()
        assert len(left_at) <= 2 * policy.venue_messages_per_second_max, "more messages than the venue may have"

    def _may_hide(self, parent: ParentOrder, child: commands.SendChild, instrument: Instrument) -> None:
        """A dark child keeps DarkPct of the remainder and MinExecQty, when it leaves."""
        share = parent.params.dark_pct if parent.params.dark_pct >= 0 else PPM_ONE * (parent.strategy == Strategy.LIQUIDITY)
        hidden = sum(leaves_qty(c.order) for i in parent.open_children if (c := self.state.children[i]).is_dark)
        assert hidden * PPM_ONE <= leaves_qty(parent.order) * share, "more in the dark than DarkPct of the remainder"
        least = parent.params.min_exec_qty - parent.params.min_exec_qty % instrument.lot
        assert child.min_qty == min(least, child.order_qty)
        assert child.order_qty >= least or child.order_qty == leaves_qty(parent.order)

    def _is_within(self, parent: ParentOrder) -> None:
        """What is done and out is no more than the client, and the share of the market's volume since the order came, allow."""
        exposure = self.exposure(parent)
        assert exposure <= parent.order.order_qty, "more out than the client asked for"
        if parent.parent_id in self.strange or parent.time_in_force is not TimeInForce.DAY:
            return
        assert self.state.setup is not None
        share = parent.params.max_pct_vol or self.state.setup.algo.max_pct_vol
        since = self.volume[parent.symbol] - self.volume_before.get(parent.parent_id, 0)
        assert exposure <= share * since // PPM_ONE, "more than MaxPctVol of the market"
        if parent.params.display_qty:
            resting = [c for c in map(self.state.children.__getitem__, parent.open_children) if c.time_in_force is TimeInForce.DAY and not c.is_dark]
            assert sum(leaves_qty(c.order) for c in resting) <= parent.params.display_qty, "it shows more than DisplayQty"

    # ---- what always holds

    @invariant()
    def the_books_hold(self) -> None:
        """Runs once after each rule."""
        HAPPENED["step"] += 1
        self.a_parent_is_the_sum_of_its_children()
        self.the_clients_have_heard_all()
        self.the_gates_books_are_the_childrens()
        self.exposure_is_at_most_the_order()
        self.what_only_one_has_told_is_counted()
        self.no_child_outlives_its_parent_unasked()
        self.nobody_is_forgotten()

    def a_parent_is_the_sum_of_its_children(self) -> None:
        cum: dict[str, int] = dict.fromkeys(self.state.parents, 0)
        money = dict(cum)
        open_children: dict[str, set[str]] = {p: set() for p in cum}
        for c in self.state.children.values():
            cum[c.parent_id] += c.order.cum_qty
            money[c.parent_id] += c.order.money
            assert c.order.cum_qty == sum(q for _, q in c.order.fills.values())
            if is_open(c.order):
                open_children[c.parent_id].add(c.child_id)
        for p in self.state.parents.values():
            assert (p.order.cum_qty, p.order.money) == (cum[p.parent_id], money[p.parent_id])
            assert p.order.cum_qty == sum(q for _, q in p.order.fills.values())
            assert set(p.open_children) == open_children[p.parent_id], "a child is open in one book and over in the other"

    def the_clients_have_heard_all(self) -> None:
        """Their books, kept from reports alone, are ours; what they were told is pending is what we still owe an answer."""
        assert set(self.clients.orders) == set(self.state.parents)
        for p in self.state.parents.values():
            heard = self.clients.orders[p.parent_id]
            assert (heard.cl_ord_id, heard.order_qty) == (p.cl_ord_id, p.order.order_qty)
            held = [p.order.fills[fill.exec_id] for fill in p.held]
            assert not held or (p.tell_ts, p.parent_id) in self.state.due
            assert not held or is_open(p.order), "an order is over, and its client does not know"
            assert heard.cum_qty == p.order.cum_qty - sum(qty for _, qty in held)
            # What went up as a sum has its mean rounded: half a unit of price for each unit of quantity.
            most = heard.cum_qty if p.session == CLIENTS[0] else 0
            assert abs(heard.money + sum(px * qty for px, qty in held) - p.order.money) <= most
            owed = {p.amendment.cl_ord_id} if p.amendment and p.amendment.exec_restatement_reason < 0 else set()
            assert set(heard.pending) == owed | ({p.cancel_cl_ord_id} if p.order.is_cancel_pending else set())
            assert (heard.status in ("3", "4", "8", "C", "2")) == (not is_open(p.order)) or heard.pending

    def the_gates_books_are_the_childrens(self) -> None:
        gate = self.state.gate
        for c in self.state.children.values():
            assert gate.children[c.child_id].leaves == leaves_qty(c.order)
        for parent_id, gated in gate.parents.items():
            mine = [c for c in self.state.children.values() if c.parent_id == parent_id]
            assert gated.filled == sum(c.order.cum_qty for c in mine)
            assert gated.open == sum(leaves_qty(c.order) for c in mine)
            parent = self.state.parents[parent_id]
            assert (gated.order_qty, gated.price) == (parent.order.order_qty, parent.price)
        assert gate.open_children == sum(leaves_qty(c.order) > 0 for c in self.state.children.values())

    def what_only_one_has_told_is_counted(self) -> None:
        told = [one for one in self.state.half_told.values() if one.is_alerted]
        found = self.state.copied[COPIED]
        assert list(found.ahead) == [key for key, one in self.state.half_told.items() if not one.is_booked and one.venue == COPIED]
        assert (found.not_copied, found.not_heard) == (sum(one.is_booked for one in told), sum(not one.is_booked for one in told))
        assert all(is_known(self.state.children[one.child_id].order, one.exec_id) for one in self.state.half_told.values() if one.is_booked)

    def exposure_is_at_most_the_order(self) -> None:
        for p in self.state.parents.values():
            assert p.parent_id in self.strange or self.exposure(p) <= p.order.order_qty
            for c in map(self.state.children.__getitem__, p.open_children) if p.price and p.parent_id not in self.strange else ():
                assert (c.price - p.price) * p.side.sign <= 0, "out beyond the limit that was agreed"

    def no_child_outlives_its_parent_unasked(self) -> None:
        for p in self.state.parents.values():
            # A parent that the gate's own refusals have paused in its turn takes back at its next one, a second later.
            is_paused = p.paused_by and p.paused_by != "refusals"
            is_over = not is_open(p.order) or p.order.is_cancel_pending or p.ended_as or is_paused or self.state.gate.killed
            for child_id in p.open_children if is_over else ():
                c = self.state.children[child_id]
                # An immediate child ends by itself; an unknown one is asked for first.
                assert c.is_unknown or c.time_in_force is not TimeInForce.DAY or c.order.is_cancel_pending or c.cancels, "left resting"

    def nobody_is_forgotten(self) -> None:
        assert not self.state.touched
        # What only shows the market ends a step before anybody looks: it must leave nothing to look at.
        assert look_ts(self.state) == self.state.look_ts > self.state.ts
        for p in self.state.parents.values():
            is_alive = is_open(p.order) or bool(p.open_children)
            assert p.parent_id in self.state.works or not is_alive
            if p.parent_id in self.state.works:
                due_ts = self.state.works[p.parent_id].due_ts
                assert due_ts > self.state.ts
                assert (due_ts, p.parent_id) in self.state.due
            if not is_open(p.order):
                assert leaves_qty(p.order) == 0
            if p.awaits_status:
                assert any(self.state.children[c].is_unknown for c in p.open_children), "waits for a status that nobody owes"

    def teardown(self) -> None:
        """A replay from nothing, and one from the saved state, do and end the same. Who heard the alerts believes what their book says."""
        assert {a.alert_id for a in live(self.state.alerts) if a.is_told} == set(self.open_alerts)
        whole = dump(self.state)
        for events_at, commands_at, state in ((0, 0, State()), (self.saved[0], self.saved[1], load(self.saved[2]))):
            again = [c for e in self.day.fed[events_at:] for c in step(state, e)]
            assert again == self.day.commands[commands_at:]
            assert dump(state) == whole
