"""A street that may do anything the wire allows, told to the core; after every event the books must hold.

HUNT=2000 in the environment tries so many random streets instead of the seeded few; a failing one becomes a test by name.
"""

import os
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from algoserver.core import orders
from algoserver.core.engine import next_wakeup, step
from algoserver.core.orders import ChildOrder, ParentOrder, is_open, leaves_qty, ord_status
from algoserver.core.state import State, dump, load
from algoserver.domain import commands, events
from algoserver.domain.events import Event
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import (
    MINUTE,
    PX_ONE,
    SECOND,
    ExecType,
    Instrument,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    date_text,
)
from tests.core.day import AAPL, FLAT_26, POLICY, Day, policy_loaded

# A coin beside the share: fractions in its quantities, and a lot that is not one unit.
COIN = Instrument(symbol="COIN", tick=PX_ONE // 100, lot=10, round_lot=1_000, qty_decimals=5, adv=3_000_000_000)
SYMBOLS = {"AAPL": AAPL, "COIN": COIN}
BOTH = (InstrumentSetup(AAPL), InstrumentSetup(COIN))
TIGHT = msgspec.structs.replace(POLICY, child_qty_max=300, venue_messages_per_second_max=5, collar_ppm=0)
ONE = (InstrumentSetup(AAPL),)
SETUPS = (policy_loaded(instruments=BOTH), policy_loaded(instruments=BOTH, policy=TIGHT), policy_loaded(instruments=ONE))
VENUES = ("XLIT1", "XLIT2")
ENDS = (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.DONE_FOR_DAY)
INDEX = st.integers(0, 1_000)
FEW = st.integers(0, 3)
NUMBERS = st.sampled_from([1, 7, 100, 150, 300, 1_000, 4_000, 25_000])
PRICES = st.integers(-6, 6).map(lambda ticks: 200 * PX_ONE + ticks * PX_ONE // 100)


class Street(RuleBasedStateMachine):
    """Clients, venues, operators, market and time, without manners."""

    def __init__(self) -> None:
        super().__init__()
        self.day = Day(SETUPS[0])
        self.sent: list[commands.SendChild] = []
        self.exec_ids: set[str] = set()
        self.cum: dict[str, int] = {}
        self.strange: set[str] = set()
        self.exec_count = 0
        self.venue_execs: dict[str, list[str]] = {}
        self.saved: tuple[int, int, bytes] = (len(self.day.fed), len(self.day.commands), dump(self.state))

    @property
    def state(self) -> State:
        return self.day.state

    # ---- what the core is told, and what may come back

    def tell(self, event: Event) -> None:
        was_paused = {p.parent_id for p in self.state.parents.values() if p.paused_by}
        out = self.day.feed(event)
        resumed = event.target if isinstance(event, events.OperatorCommanded) and event.verb == "resume" else ""
        for c in out:
            if isinstance(c, commands.SendChild):
                assert c.child_id.rpartition(".")[0] not in was_paused - {resumed}, "a paused parent sends"
                self.may_leave(c)
            elif isinstance(c, commands.CancelChild):
                assert is_open(self.state.children[c.child_id].order), "a cancel for a child that is over"
            elif isinstance(c, commands.ReportParent):
                self.is_true(c)
        for parent_id in {c.child_id.rpartition(".")[0] for c in out if isinstance(c, commands.SendChild)}:
            parent = self.state.parents[parent_id]
            assert self.exposure(parent) <= parent.order.order_qty, "more out than the client asked for"

    def may_leave(self, child: commands.SendChild) -> None:
        """Everything that must hold of a child at the moment it leaves."""
        parent = self.state.parents[child.child_id.rpartition(".")[0]]
        instrument = SYMBOLS[child.symbol]
        assert not self.state.gate.killed
        assert self.state.setup is not None
        assert child.symbol in {i.instrument.symbol for i in self.state.setup.instruments}
        assert self.state.venues_up[child.venue], "a child to a venue that is down"
        assert is_open(parent.order)
        assert not parent.order.is_cancel_pending
        assert parent.amendment is None, "a child leaves while a replace is pending"
        assert not parent.awaits_status
        assert parent.ended_as in (None, OrdStatus.CANCELED)
        assert self.state.ts >= parent.start_ts
        assert (child.symbol, child.side) == (parent.symbol, parent.side)
        assert child.order_qty > 0
        assert child.order_qty % instrument.lot == 0
        assert child.ord_type is OrdType.LIMIT
        assert child.price > 0
        assert child.price % instrument.tick == 0
        if parent.price:
            assert (child.price - parent.price) * parent.side.sign <= 0, "beyond the client's limit"
        assert child.child_id not in {s.child_id for s in self.sent}
        self.sent.append(child)

    def is_true(self, report: commands.ReportParent) -> None:
        """A report agrees with itself and with the reports before it."""
        assert report.exec_id not in self.exec_ids, "an ExecID twice"
        self.exec_ids.add(report.exec_id)
        if report.ord_status in orders.FINAL:
            assert report.leaves_qty == 0
        else:
            assert report.leaves_qty == max(0, report.order_qty - report.cum_qty)
        if report.order_id == "NONE":
            return
        before = self.cum.get(report.order_id, 0)
        if report.exec_type is ExecType.TRADE:
            assert report.cum_qty == before + report.last_qty
        elif report.exec_type not in (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT):
            assert report.cum_qty == before, "cum moves without a trade"
        self.cum[report.order_id] = report.cum_qty

    def exposure(self, parent: ParentOrder) -> int:
        return parent.order.cum_qty + sum(leaves_qty(self.state.children[c].order) for c in parent.open_children)

    # ---- clients

    @initialize()
    def market_opens(self) -> None:
        for symbol in SYMBOLS:
            for venue in VENUES:
                self.quoted(venue, symbol, 199_99, 3, 5_000)
        for number, side in ((1, Side.BUY), (2, Side.SELL)):
            self.asks(number, 1001, "AAPL", 4_000, side, 0, TimeInForce.DAY, 0, 600, 0, 2)
        self.trades_a_while()

    @rule()
    def trades_a_while(self) -> None:
        for _ in range(3):
            for symbol in SYMBOLS:
                self.traded("XLIT1", symbol, 200 * PX_ONE, 4_000, 20)
            self.time_passes(9 * SECOND)

    @rule(
        number=st.integers(0, 30),
        strategy=st.sampled_from([1001, 1, 2, 1001, 1, 3, 1004] * 3 + [1002, 77]),
        symbol=st.sampled_from(["AAPL", "COIN"] * 9 + ["NONE"]),
        qty=NUMBERS,
        side=st.sampled_from(list(Side)),
        price=st.one_of(st.just(0), PRICES),
        tif=st.sampled_from([*TimeInForce, *[TimeInForce.DAY] * 6]),
        start=st.sampled_from([0, 0, 0, -60, 30]),
        end=st.sampled_from([60, 600, 600, 40, 0, 60, 600, -5]),
        flags=FEW,
        extra=st.integers(0, 8),
    )
    def asks(
        self, number: int, strategy: int, symbol: str, qty: int, side: Side, price: int, tif: TimeInForce, start: int, end: int,
        flags: int, extra: int,
    ) -> None:  # fmt: skip
        now = self.day.now
        more: dict[str, Any] = [
            {}, {}, {"max_pct_vol": 1_000_000}, {"catch_up": False}, {"completion": "HARD"}, {"completion": "SOFT", "max_pct_vol": 900_000},
            {"i_would_price": 200 * PX_ONE, "max_pct_vol": 1_000_000}, {"display_qty": 100}, {"urgency": 5, "min_pct_vol": 100_000},
        ][extra]  # fmt: skip
        params = AlgoParams(
            start_ts=now + start * SECOND if start else 0, end_ts=now + end * SECOND if end else 0,
            target_pct_vol=200_000 if strategy == 2 else 0, **more,
        )  # fmt: skip
        self.tell(
            events.ParentRequested(
                session="CLIENT1",
                cl_ord_id=f"P{number}",
                symbol=symbol,
                side=side,
                order_qty=qty * (10 if symbol == "COIN" else 1),
                ord_type=OrdType.LIMIT if price else OrdType.MARKET,
                price=price,
                time_in_force=tif,
                strategy=strategy,
                params=params,
                poss_dup=flags == 1,
                poss_resend=flags == 2,
            )
        )

    @rule(number=st.integers(0, 9), cancel=st.integers(0, 30), poss_dup=st.booleans())
    def cancels(self, number: int, cancel: int, poss_dup: bool) -> None:
        self.tell(events.CancelRequested(session="CLIENT1", cl_ord_id=f"C{cancel}", orig_cl_ord_id=f"P{number}", poss_dup=poss_dup))

    @rule(number=st.integers(0, 9))
    def asks_status(self, number: int) -> None:
        self.tell(events.StatusRequested(session="CLIENT1", cl_ord_id=f"P{number}"))

    @rule(
        number=st.integers(0, 4), replace=st.integers(0, 30), behind=st.booleans(), qty=st.one_of(st.just(0), NUMBERS),
        price=st.one_of(st.just(0), PRICES), end=st.sampled_from([0, 0, 30, 600, -5]), wrong=st.integers(0, 20), poss_dup=st.booleans(),
    )  # fmt: skip
    def amends(self, number: int, replace: int, behind: bool, qty: int, price: int, end: int, wrong: int, poss_dup: bool) -> None:
        orig = self.last_id(f"P{number}") if behind else f"P{number}"
        known = self.day.order(f"P{number}") if f"CLIENT1 P{number}" in self.state.by_cl_ord_id else None
        self.tell(
            events.ReplaceRequested(
                session="CLIENT1",
                cl_ord_id=f"R{replace}",
                orig_cl_ord_id=orig,
                symbol="COIN" if wrong == 1 else known.symbol if known else "AAPL",
                side=Side.SELL_SHORT if wrong == 2 else known.side if known else Side.BUY,
                ord_type=OrdType.LIMIT if price else OrdType.MARKET,
                order_qty=qty * (10 if known and known.symbol == "COIN" else 1),
                price=price,
                strategy=77 if wrong == 3 else 0,
                params=AlgoParams(end_ts=self.day.now + end * SECOND if end else 0),
                given=("end_ts",) if end else (),
                poss_dup=poss_dup,
            )
        )

    @rule(number=st.integers(0, 5), request_type=st.sampled_from("1177739"), side=st.sampled_from(["", "1", "2"]), is_status=st.booleans())
    def asks_about_many(self, number: int, request_type: str, side: str, is_status: bool) -> None:
        common = {"session": "CLIENT1", "request_type": request_type, "symbol": "AAPL", "side": side}
        if is_status or number:
            self.tell(events.MassStatusRequested(**common, mass_status_req_id="S1"))
        else:
            self.tell(events.MassCancelRequested(**common, cl_ord_id=f"M{number}"))

    def last_id(self, cl_ord_id: str) -> str:
        parent_id = self.state.by_cl_ord_id.get(f"CLIENT1 {cl_ord_id}")
        return self.state.parents[parent_id].cl_ord_id if parent_id else cl_ord_id

    @rule(number=st.integers(0, 9), kind=st.sampled_from("DFGH"))
    def sends_garbage(self, number: int, kind: str) -> None:
        ids = {"cl_ord_id": f"P{number}", "orig_cl_ord_id": f"P{number}"}
        self.tell(events.Garbled(session="CLIENT1", msg_type=kind, code="bad", text="garbage", reject_reason=99, **ids))

    # ---- venues: about any child that ever left, in any order

    def child(self, index: int) -> ChildOrder:
        # The youngest are the likeliest to be alive.
        return self.state.children[self.sent[-1 - index % len(self.sent)].child_id]

    @precondition(lambda self: self.sent)
    @rule(index=INDEX)
    def accepts(self, index: int) -> None:
        c = self.child(index)
        self.tell(events.ChildAccepted(session=c.venue, child_id=c.child_id, order_id="v"))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, share=st.sampled_from([1, 2, 3, 3, 3, 4]))
    def fills(self, index: int, share: int) -> None:
        c = self.child(index)
        left = max(1, leaves_qty(c.order))
        quantity = [0, 1, max(1, left // 2), left, left + 100][share]
        if not is_open(c.order) or quantity > leaves_qty(c.order):
            self.strange.add(c.parent_id)
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        self.venue_execs.setdefault(c.child_id, []).append(exec_id)
        self.tell(events.ChildFilled(session=c.venue, child_id=c.child_id, exec_id=exec_id, last_px=c.price, last_qty=quantity))

    @precondition(lambda self: self.venue_execs)
    @rule(index=INDEX, which=INDEX, kind=st.sampled_from(["again", "bust", "correct", "unknown"]), quantity=NUMBERS)
    def changes_its_mind(self, index: int, which: int, kind: str, quantity: int) -> None:
        child_id = list(self.venue_execs)[index % len(self.venue_execs)]
        c, execs = self.state.children[child_id], self.venue_execs[child_id]
        ref_id = execs[which % len(execs)] if kind != "unknown" else "nowhere"
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        common = {"session": c.venue, "child_id": child_id}
        if kind == "again":
            self.tell(events.ChildFilled(**common, exec_id=ref_id, last_px=c.price, last_qty=quantity))
        elif kind == "correct":
            self.strange.add(c.parent_id)
            execs.append(exec_id)
            self.tell(events.FillCorrected(**common, exec_id=exec_id, exec_ref_id=ref_id, last_px=c.price + 1, last_qty=quantity))
        else:
            # After a bust the venue may trade that quantity again, and the parent may have used its room.
            self.strange.add(c.parent_id)
            self.tell(events.FillBusted(**common, exec_id=exec_id, exec_ref_id=ref_id))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, how=st.sampled_from(ENDS))
    def ends(self, index: int, how: OrdStatus) -> None:
        c = self.child(index)
        self.tell(events.ChildCanceled(session=c.venue, child_id=c.child_id, ord_status=how))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, how=st.sampled_from(["D", "F", "wrong venue", "garbled", "cancel"]))
    def refuses(self, index: int, how: str) -> None:
        c = self.child(index)
        if how == "D":
            self.tell(events.ChildRejected(session=c.venue, child_id=c.child_id, ord_rej_reason=99, text="no"))
        elif how == "wrong venue":
            other = VENUES[c.venue == VENUES[0]]
            self.tell(events.ChildFilled(session=other, child_id=c.child_id, exec_id="E0", last_px=1, last_qty=1))
        elif how == "garbled":
            self.tell(events.Garbled(session=c.venue, msg_type="8", code="bad", text="", reject_reason=0, cl_ord_id=c.child_id))
        else:
            status = OrdStatus.FILLED if how == "F" else OrdStatus.NEW
            self.tell(events.CancelRejected(session=c.venue, child_id=c.child_id, cxl_rej_reason=0, ord_status=status))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, quantity=st.one_of(st.just(0), NUMBERS))
    def restates(self, index: int, quantity: int) -> None:
        c = self.child(index)
        if quantity > c.order.order_qty:
            self.strange.add(c.parent_id)
        self.tell(events.ChildReplaced(session=c.venue, child_id=c.child_id, order_qty=quantity))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, is_honest=st.booleans(), is_known=st.booleans(), status=st.sampled_from(list(OrdStatus)))
    def answers_status(self, index: int, is_honest: bool, is_known: bool, status: OrdStatus) -> None:
        c = self.child(index)
        if is_honest:
            is_known, status, cum_qty = True, ord_status(c.order), c.order.cum_qty
        else:
            cum_qty = c.order.order_qty // 2
        self.tell(
            events.ChildStatusReported(
                session=c.venue, child_id=c.child_id, is_known=is_known, ord_status=status, cum_qty=cum_qty, leaves_qty=0
            )
        )

    @rule(venue=st.sampled_from(VENUES))
    def tells_of_a_stranger(self, venue: str) -> None:
        self.tell(events.ChildFilled(session=venue, child_id="nobody.1", exec_id="E1", last_px=PX_ONE, last_qty=5))

    @rule(name=st.sampled_from([*VENUES, *VENUES, "CLIENT1", "XLIT1.md"]), change=st.sampled_from(["up", "up", "up", "down", "restart"]))
    def session_changes(self, name: str, change: str) -> None:
        if change == "up":
            self.tell(events.SessionUp(session=name))
        else:
            self.tell(events.SessionDown(session=name, is_restart=change == "restart"))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, msg_type=st.sampled_from("DFH"))
    def send_fails(self, index: int, msg_type: str) -> None:
        c = self.child(index)
        self.tell(events.SendFailed(session=c.venue, msg_type=msg_type, child_id=c.child_id))

    # ---- operators, market, time

    @rule(verb=st.sampled_from(["resume", "pause", "resume", "cancel", "resume", "release", "kill", "release"]), index=INDEX)
    def operator_says(self, verb: str, index: int) -> None:
        if verb == "kill" and index % 4:
            verb = "release"
        target = "firm"
        if verb not in ("kill", "release"):
            names = ["P-unknown", *self.state.parents]
            target = names[-1 - index % len(names)]
        self.tell(events.OperatorCommanded(operator="ann", verb=verb, target=target, reason="test"))

    @rule(setup=st.sampled_from([0, 0, 0, 1, 0, 2]))
    def policy_changes(self, setup: int) -> None:
        self.tell(SETUPS[setup])

    @rule(symbol=st.sampled_from(list(SYMBOLS)), is_empty=st.booleans())
    def forecast_comes(self, symbol: str, is_empty: bool) -> None:
        date = date_text(self.day.now)
        self.tell(
            events.ForecastReady(symbol=symbol, date=date, model="m", curve=() if is_empty else FLAT_26, trained_through="2019-06-27")
        )

    @rule(
        venue=st.sampled_from(VENUES), symbol=st.sampled_from(list(SYMBOLS)), bid=st.sampled_from([0, 199_99, 200_00, 200_00, 200_05]),
        spread=st.sampled_from([0, 1, 2, 3, -4, None]), size=NUMBERS,
    )  # fmt: skip
    def quoted(self, venue: str, symbol: str, bid: int, spread: int | None, size: int) -> None:
        bid_px = bid * PX_ONE // 100
        ask_px = 0 if spread is None else (bid or 200_02) * PX_ONE // 100 + spread * PX_ONE // 100
        self.tell(
            events.QuoteUpdated(venue=venue, symbol=symbol, bid_px=bid_px, bid_qty=size if bid_px else 0, ask_px=ask_px, ask_qty=size)
        )

    @rule(
        venue=st.sampled_from(VENUES),
        symbol=st.sampled_from(list(SYMBOLS)),
        price=PRICES,
        quantity=NUMBERS,
        many=st.sampled_from([1, 20, 20]),
    )
    def traded(self, venue: str, symbol: str, price: int, quantity: int, many: int) -> None:
        self.tell(events.TradePrinted(venue=venue, symbol=symbol, last_px=price, last_qty=quantity * many))

    @rule(ns=st.sampled_from([SECOND // 10, SECOND, SECOND, 6 * SECOND, 30 * SECOND, 2 * MINUTE, 7 * 60 * MINUTE]))
    def time_passes(self, ns: int) -> None:
        end = self.day.now + ns
        wakeups = 0
        # A parent may wish to be looked at a few times a second; more would be a loop that burns the machine.
        enough = 5 * (ns // SECOND + 2) * (len(self.state.works) + 1)
        while (wakeup := next_wakeup(self.state)) is not None and wakeup <= end:
            assert wakeups < enough, "the core wakes up for nothing"
            if wakeups == 60:
                break
            self.day.now = max(self.day.now, wakeup)
            self.tell(events.Wakeup())
            wakeups += 1
        self.day.now = max(self.day.now, end)

    @rule()
    def saves(self) -> None:
        self.saved = (len(self.day.fed), len(self.day.commands), dump(self.state))

    # ---- what always holds

    @invariant()
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

    @invariant()
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

    @invariant()
    def exposure_is_at_most_the_order(self) -> None:
        for p in self.state.parents.values():
            assert p.parent_id in self.strange or self.exposure(p) <= p.order.order_qty

    @invariant()
    def no_child_outlives_its_parent_unasked(self) -> None:
        for p in self.state.parents.values():
            # A parent that the gate's own refusals have paused in its turn takes back at its next one, a second later.
            is_paused = p.paused_by and p.paused_by != "refusals"
            is_over = not is_open(p.order) or p.order.is_cancel_pending or p.ended_as or is_paused or self.state.gate.killed
            for child_id in p.open_children if is_over else ():
                c = self.state.children[child_id]
                # An immediate child ends by itself; an unknown one is asked for first.
                assert c.is_unknown or c.time_in_force is not TimeInForce.DAY or c.order.is_cancel_pending or c.cancels, "left resting"

    @invariant()
    def nobody_is_forgotten(self) -> None:
        assert not self.state.touched
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
        """A replay from nothing, and one from the saved state, do and end the same."""
        whole = dump(self.state)
        for events_at, commands_at, state in ((0, 0, State()), (self.saved[0], self.saved[1], load(self.saved[2]))):
            again = [c for e in self.day.fed[events_at:] for c in step(state, e)]
            assert again == self.day.commands[commands_at:]
            assert dump(state) == whole


HUNT = int(os.environ.get("HUNT", "0"))
TestStreet = Street.TestCase
TestStreet.settings = settings(
    max_examples=HUNT or 300, stateful_step_count=60, deadline=None, derandomize=not HUNT, database=None, print_blob=False
)
