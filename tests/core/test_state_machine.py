"""A street that may do anything the wire allows, told to the core; after every event the books must hold (tests/core/books.py).

HUNT=2000 in the environment tries so many random streets instead of the seeded few, of 60 steps each; `--hypothesis-seed=7` names
them. A failing one becomes a test by name. A new thing that can happen is one more @rule.
"""

import hashlib
import os
import time
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from algoserver.core.alerts import live
from algoserver.core.engine import next_wakeup
from algoserver.core.orders import FINAL, ChildOrder, ParentOrder, is_open, leaves_qty, ord_status
from algoserver.core.state import dump, load
from algoserver.domain import commands, events
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import OverrideTerms, RiskPolicy
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, ExecType, OnHalt, OrdStatus, OrdType, Side, Strategy, TimeInForce, date_text
from tests.core.books import CLIENTS, COPIED, DARK, HAPPENED, LIT, POLICIES, SETUPS, SYMBOLS, Books
from tests.core.day import FLAT_26
from tests.core.limits_book import RELEASED

ENDS = (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.DONE_FOR_DAY)
def name_of(policy: RiskPolicy) -> str:
    """What a digest is: another one for another policy, and the same for the same."""
    return hashlib.sha256(msgspec.json.encode(policy)).hexdigest()[:12]


INDEX = st.integers(0, 1_000)
FEW = st.integers(0, 3)
SCOPES = ("firm", "desk:cash", "client:CLIENT1", "client:CLIENT2", "symbol:AAPL", "algo:TWAP", "algo:TWAP@AAPL", "venue:XLIT1", "venue:XDARK1")
NUMBERS = st.sampled_from([1, 7, 100, 150, 300, 1_000, 4_000, 25_000])
PRICES = st.integers(-6, 6).map(lambda ticks: 200 * PX_ONE + ticks * PX_ONE // 100)
# Nearly everything is one client's: two who share little would each have a quiet day.
CLIENT = st.sampled_from([*CLIENTS[:1] * 5, CLIENTS[1]])


class Street(Books):
    """Clients, venues, operators, market and time, without manners."""

    def __init__(self) -> None:
        super().__init__()
        self.exec_count = 0
        self.venue_execs: dict[str, list[str]] = {}
        self.asked: list[events.Message] = []

    # ---- clients

    @initialize(setup=st.sampled_from([0, 3, 0, 3, 5, 6, 7, 8]))
    def market_opens(self, setup: int) -> None:
        self.tell(SETUPS[setup])
        self.tell(events.SessionUp(session=DARK))
        self.tell(events.SessionUp(session=f"{COPIED}.dc"))
        for symbol in SYMBOLS:
            for venue in LIT:
                self.quoted(venue, symbol, 199_99, 3, 5_000)
        for number, strategy, side, extra in ((1, 1001, Side.BUY, 2), (2, 1003, Side.SELL, 2), (3, 1001, Side.BUY, 12)):
            self.asks(CLIENTS[0], number, strategy, "COIN" if setup and number == 2 else "AAPL", 4_000, side, 0, TimeInForce.DAY, 0, 600, 0, extra)
        self.trades_a_while()

    @rule()
    def trades_a_while(self) -> None:
        for _ in range(3):
            for symbol in SYMBOLS:
                self.traded("XLIT1", symbol, 200 * PX_ONE, 4_000, 20)
            self.time_passes(9 * SECOND)

    def says(self, message: events.Message) -> list[commands.Command]:
        """A client's message; its session may send it again."""
        self.asked.append(message)
        return self.tell(message)

    @rule(
        session=CLIENT,
        number=st.integers(0, 99),
        strategy=st.sampled_from([1001, 1, 2, 1001, 1, 3, 1004, 1003, 1003] * 3 + [1002, 77]),
        symbol=st.sampled_from(["AAPL", "COIN"] * 9 + ["NONE"]),
        qty=NUMBERS,
        side=st.sampled_from(list(Side)),
        price=st.one_of(st.just(0), PRICES),
        tif=st.sampled_from([TimeInForce.IOC, TimeInForce.FOK, *[TimeInForce.DAY] * 7]),
        start=st.sampled_from([0, 0, 0, -60, 30]),
        end=st.sampled_from([60, 600, 600, 40, 0, 60, 600, -5]),
        flags=FEW,
        extra=st.integers(0, 14),
    )
    def asks(
        self, session: str, number: int, strategy: int, symbol: str, qty: int, side: Side, price: int, tif: TimeInForce, start: int,
        end: int, flags: int, extra: int,
    ) -> None:  # fmt: skip
        now = self.day.now
        qty = max(qty, 1_000) if strategy == Strategy.IS else qty  # with fewer lots nobody asks for a plan
        more: dict[str, Any] = [
            {}, {}, {"max_pct_vol": 1_000_000}, {"catch_up": False}, {"completion": "HARD"}, {"completion": "SOFT", "max_pct_vol": 900_000},
            {"i_would_price": 200 * PX_ONE, "max_pct_vol": 1_000_000}, {"display_qty": 100}, {"urgency": 5, "min_pct_vol": 100_000},
            {"max_pct_vol": 10_000}, {"i_would_price": 200 * PX_ONE, "max_pct_vol": 20_000},
            {"dark_pct": 500_000}, {"dark_pct": 1_000_000, "max_pct_vol": 1_000_000, "min_exec_qty": 255},
            {"dark_pct": 300_000, "completion": "HARD", "max_pct_vol": 900_000},
            {"dark_pct": 800_000, "i_would_price": 200 * PX_ONE, "i_would_pct": 500_000, "max_pct_vol": 1_000_000},
        ][extra]  # fmt: skip
        params = AlgoParams(
            start_ts=now + start * SECOND if start else 0, end_ts=now + end * SECOND if end else 0,
            target_pct_vol=200_000 if strategy == 2 else 0, **more,
        )  # fmt: skip
        self.says(
            events.ParentRequested(
                session=session,
                cl_ord_id=f"P{number}",
                symbol=symbol,
                side=side,
                order_qty=qty * (10 if symbol == "COIN" else 1),
                ord_type=OrdType.LIMIT if price else OrdType.MARKET,
                price=price,
                time_in_force=tif,
                strategy=strategy,
                params=params,
                on_halt=list(OnHalt)[number % 3],
                poss_dup=flags == 1,
                poss_resend=flags == 2,
            )
        )

    def any_id(self, session: str, index: int) -> str:
        """ClOrdID of one of the client's orders, the living before the others; or one that it has never used."""
        mine = [p for p in self.state.parents.values() if p.session == session]
        known = ([p.cl_ord_id for p in mine if is_open(p.order)] if index % 4 else []) or ["P-unknown", *(p.cl_ord_id for p in mine)]
        return known[index % len(known)]

    @rule(session=CLIENT, index=INDEX, cancel=st.integers(0, 60), poss_dup=st.booleans())
    def cancels(self, session: str, index: int, cancel: int, poss_dup: bool) -> None:
        orig = self.any_id(session, index)
        self.says(events.CancelRequested(session=session, cl_ord_id=f"C{cancel}", orig_cl_ord_id=orig, poss_dup=poss_dup))

    @rule(session=CLIENT, index=INDEX)
    def asks_status(self, session: str, index: int) -> None:
        self.says(events.StatusRequested(session=session, cl_ord_id=self.any_id(session, index)))

    @rule(
        session=CLIENT, index=INDEX, replace=st.integers(0, 60), is_stale=st.booleans(), qty=st.one_of(st.just(0), NUMBERS),
        price=st.one_of(st.just(0), PRICES), end=st.sampled_from([0, 0, 30, 600, -5]), wrong=st.integers(0, 20), poss_dup=st.booleans(),
        dark=st.sampled_from([{}, {}, {"dark_pct": 0}, {"dark_pct": 700_000}, {"min_exec_qty": 150}, {"min_exec_qty": 0}]),
    )  # fmt: skip
    def amends(
        self, session: str, index: int, replace: int, is_stale: bool, qty: int, price: int, end: int, wrong: int, poss_dup: bool,
        dark: dict[str, int],
    ) -> None:  # fmt: skip
        cl_ord_id = self.any_id(session, index)
        known = self.find(session, cl_ord_id)
        self.says(
            events.ReplaceRequested(
                session=session,
                cl_ord_id=f"R{replace}",
                orig_cl_ord_id=known.orig_cl_ord_id or cl_ord_id if known and is_stale else cl_ord_id,
                symbol="COIN" if wrong == 1 else known.symbol if known else "AAPL",
                side=Side.SELL_SHORT if wrong == 2 else known.side if known else Side.BUY,
                ord_type=OrdType.LIMIT if price else OrdType.MARKET,
                order_qty=qty * (10 if known and known.symbol == "COIN" else 1),
                price=price,
                strategy=77 if wrong == 3 else 0,
                params=AlgoParams(end_ts=self.day.now + end * SECOND if end else 0, **dark),
                given=(("end_ts",) if end else ()) + tuple(dark),
                poss_dup=poss_dup,
            )
        )

    @rule(session=CLIENT, request_type=st.sampled_from("1177739"), symbol=st.sampled_from(["AAPL", "NONE"]), side=st.sampled_from(["", "1", "2"]))
    def asks_about_many(self, session: str, request_type: str, symbol: str, side: str) -> None:
        self.says(events.MassStatusRequested(session=session, request_type=request_type, symbol=symbol, side=side, mass_status_req_id="S1"))

    @rule(
        session=CLIENT, number=st.integers(0, 9), request_type=st.sampled_from("1119"), symbol=st.sampled_from(["AAPL", "COIN", "COIN", "NONE"]),
        side=st.sampled_from(["", "1", "2", "2"]), all_of_it=st.integers(0, 5), poss_dup=st.booleans(),
    )  # fmt: skip
    def cancels_many(self, session: str, number: int, request_type: str, symbol: str, side: str, all_of_it: int, poss_dup: bool) -> None:
        kind = "7" if all_of_it == 1 else request_type
        ids = {"session": session, "cl_ord_id": f"M{number}", "poss_dup": poss_dup}
        before = [p for p in self.state.parents.values() if p.session == session and is_open(p.order) and not p.end_text]
        out = self.says(events.MassCancelRequested(**ids, request_type=kind, symbol=symbol, side=side))
        for answer in out:
            if isinstance(answer, commands.ReportMassCancel) and answer.response != "0":
                meant = [p for p in before if (kind == "7" or p.symbol == symbol) and side in ("", p.side)]
                assert sorted(order_id for _, order_id in answer.affected) == sorted(p.parent_id for p in meant)
                assert all(p.ended_as or not is_open(p.order) for p in meant)

    @rule(session=CLIENT, index=INDEX)
    def disputes(self, session: str, index: int) -> None:
        orders = ["nothing", *self.state.parents]
        self.tell(events.TradeDisputed(session=session, order_id=orders[-1 - index % len(orders)], exec_id="E1", dk_reason="A"))

    @precondition(lambda self: self.asked)
    @rule(index=INDEX)
    def sends_again(self, index: int) -> None:
        """Its session repeats a message as PossDup. What was answered by a promise is not promised, nor done, twice."""
        message = self.asked[-1 - index % len(self.asked)]
        if hasattr(message, "poss_dup"):
            message = msgspec.structs.replace(message, poss_dup=True)
        self.tell(message)

    def find(self, session: str, cl_ord_id: str) -> ParentOrder | None:
        parent_id = self.state.by_cl_ord_id.get(f"{session} {cl_ord_id}")
        return self.state.parents[parent_id] if parent_id else None

    @rule(index=INDEX, kind=st.sampled_from("DFGH"))
    def sends_garbage(self, index: int, kind: str) -> None:
        cl_ord_id = self.any_id("CLIENT1", index)
        ids = {"cl_ord_id": cl_ord_id, "orig_cl_ord_id": cl_ord_id}
        self.tell(events.Garbled(session="CLIENT1", msg_type=kind, code="bad", text="garbage", reject_reason=99, **ids))

    # ---- venues: about any child that ever left, in any order

    def child(self, index: int) -> ChildOrder:
        # The living first, the youngest before the others: of those that are over there are ever more.
        living = [c for p in self.state.parents.values() for c in p.open_children] if index % 4 else []
        known = living or [c.child_id for c in self.sent]
        return self.state.children[known[-1 - index % len(known)]]

    @precondition(lambda self: self.sent)
    @rule(index=INDEX)
    def accepts(self, index: int) -> None:
        c = self.child(index)
        if c.order.status is OrdStatus.REJECTED:
            self.strange.add(c.parent_id)  # it is there after all
        self.tell(events.ChildAccepted(session=c.venue, child_id=c.child_id, order_id="v"))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, share=st.sampled_from([1, 2, 3, 3, 3, 4]))
    def fills(self, index: int, share: int) -> None:
        self.fill(self.child(index), share)

    def fill(self, c: ChildOrder, share: int) -> None:
        """A single unit, half, all or more of what is left."""
        left = max(1, leaves_qty(c.order))
        quantity = [0, 1, max(1, left // 2), left, left + 100][share]
        if not is_open(c.order) or quantity > leaves_qty(c.order):
            self.strange.add(c.parent_id)
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        self.venue_execs.setdefault(c.child_id, []).append(exec_id)
        filled = events.ChildFilled(session=c.venue, child_id=c.child_id, exec_id=exec_id, last_px=c.price, last_qty=quantity)
        copy = events.CopyReported(
            session=f"{c.venue}.dc", child_id=c.child_id, exec_id=exec_id, exec_type="F", symbol=c.symbol, side=c.side, last_px=c.price,
            last_qty=quantity,
        )  # fmt: skip
        # A drop copy is first, second, silent, or wrong; and it knows of what the order session does not tell.
        told = {0: (copy, filled), 1: (filled,), 2: (filled, msgspec.structs.replace(copy, last_px=1)), 3: (filled, copy, copy)}
        alone = msgspec.structs.replace(copy, exec_id=f"{exec_id}.alone")
        for event in (*told[self.exec_count % 4], *((alone,) if self.exec_count % 8 == 3 else ())) if c.venue == COPIED else (filled,):
            self.tell(event)

    @precondition(lambda self: self.sent)
    @rule(many=st.integers(1, 4))
    def trades_well(self, many: int) -> None:
        """As on a good day: the youngest children are accepted, and traded in two parts."""
        for index in range(1, many + 1):
            self.accepts(index)
            self.fills(index, 2)
            self.fills(index, 3)

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, cancel=st.integers(0, 60), qty=NUMBERS, price=st.one_of(st.just(0), PRICES), is_amend=st.booleans(), share=FEW)
    def crosses(self, index: int, cancel: int, qty: int, price: int, is_amend: bool, share: int) -> None:
        """A cancel or a replace that meets a fill on its way."""
        c = self.child(index)
        parent = self.state.parents[c.parent_id]
        ids = {"session": parent.session, "cl_ord_id": f"C{cancel}", "orig_cl_ord_id": parent.cl_ord_id}
        if is_amend:
            same = {"symbol": parent.symbol, "side": parent.side, "ord_type": OrdType.LIMIT if price else OrdType.MARKET}
            self.says(events.ReplaceRequested(**ids, **same, order_qty=qty * (10 if parent.symbol == "COIN" else 1), price=price))
        else:
            self.says(events.CancelRequested(**ids))
        self.fill(c, share + 1)

    @precondition(lambda self: self.venue_execs)
    @rule(index=INDEX, which=INDEX, kind=st.sampled_from(["bust", "correct", "bust", "correct", "again", "unknown"]), quantity=NUMBERS)
    def changes_its_mind(self, index: int, which: int, kind: str, quantity: int) -> None:
        child_id = list(self.venue_execs)[index % len(self.venue_execs)]
        c, execs = self.state.children[child_id], self.venue_execs[child_id]
        ref_id = execs[which % len(execs)] if kind != "unknown" else "nowhere"
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        common = {"session": c.venue, "child_id": child_id}
        if kind == "again":
            if ref_id not in c.order.fills and ref_id not in c.order.seen:
                return  # a correction of what was taken back: as a trade it would be a new one
            parent = self.state.parents[c.parent_id]
            done = parent.order.cum_qty
            out = self.tell(events.ChildFilled(**common, exec_id=ref_id, last_px=c.price, last_qty=quantity))
            # The moment may have come to tell of fills that were collected before.
            told = [r for r in out if isinstance(r, commands.ReportParent) and r.order_id == c.parent_id and r.exec_type is ExecType.TRADE]
            assert parent.order.cum_qty == done, "a trade twice"
            assert all(r.cum_qty <= done for r in told), "a trade told twice"
        elif kind == "correct":
            self.strange.add(c.parent_id)
            self.tell(events.FillCorrected(**common, exec_id=exec_id, exec_ref_id=ref_id, last_px=c.price + 1, last_qty=quantity))
            if exec_id in c.order.fills:
                execs.append(exec_id)
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
            other = LIT[c.venue == LIT[0]]
            self.tell(events.ChildFilled(session=other, child_id=c.child_id, exec_id="E0", last_px=1, last_qty=1))
        elif how == "garbled":
            self.tell(events.Garbled(session=c.venue, msg_type="8", code="unreadable_message", text="", reject_reason=0, cl_ord_id=c.child_id))
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
        if c.order.status is OrdStatus.REJECTED and is_known and status not in FINAL:
            self.strange.add(c.parent_id)
        self.tell(
            events.ChildStatusReported(session=c.venue, child_id=c.child_id, is_known=is_known, ord_status=status, cum_qty=cum_qty, leaves_qty=0)
        )

    @rule(
        venue=st.sampled_from(LIT), number=FEW, symbol=st.sampled_from(["AAPL", "COIN", "GE", ""]), side=st.sampled_from(["1", ""]),
        status=st.sampled_from(list(OrdStatus)), cum=NUMBERS, what=st.sampled_from(["report", "adopt", "cancel_foreign", "refuse"]),
    )  # fmt: skip
    def has_a_foreign_order(self, venue: str, number: int, symbol: str, side: str, status: OrdStatus, cum: int, what: str) -> None:
        name = f"WHO{number}"
        if what == "report" and number < 2:  # rarely, or nothing would ever trade
            common = {"session": venue, "child_id": name, "symbol": symbol, "side": side}
            self.tell(events.ForeignOrderReported(**common, ord_status=status, order_qty=25_000, cum_qty=cum))
        elif what == "refuse":
            self.tell(events.CancelRejected(session=venue, child_id=name, cxl_rej_reason=number, ord_status=status))
        else:
            verb = "adopt" if what == "report" else what
            self.tell(events.OperatorCommanded(operator="ann", verb=verb, target=f"{venue} WHO{number % 2}", reason="test"))

    @rule(venue=st.sampled_from([*LIT, DARK]), symbol=st.sampled_from(["AAPL", "COIN", ""]), is_halted=st.sampled_from([True, False, False]))
    def halts(self, venue: str, symbol: str, is_halted: bool) -> None:
        self.tell(events.StatusChanged(session=f"{venue}.md", venue=venue, symbol=symbol, is_halted=is_halted))

    @rule(is_halted=st.sampled_from([True, False, False]))
    def everybody_halts(self, is_halted: bool) -> None:
        for venue in (*LIT, DARK):
            self.halts(venue, "AAPL", is_halted)

    @rule(venue=st.sampled_from(LIT))
    def tells_of_a_stranger(self, venue: str) -> None:
        self.tell(events.ChildFilled(session=venue, child_id="nobody.1", exec_id="E1", last_px=PX_ONE, last_qty=5))

    @rule(name=st.sampled_from([*LIT, *LIT, DARK, *CLIENTS, "XLIT1.md"]), change=st.sampled_from(["up", "up", "up", "down", "restart"]))
    def session_changes(self, name: str, change: str) -> None:
        if change == "up":
            self.tell(events.SessionUp(session=name))
        else:
            self.tell(events.SessionDown(session=name, is_restart=change == "restart"))

    @rule(venue=st.sampled_from([*LIT, DARK]), is_late=st.booleans())
    def venue_comes_back(self, venue: str, is_late: bool) -> None:
        """Gone and back: it is asked about every child that it may hold, and answers truly."""
        self.tell(events.SessionDown(session=venue, reason="cut"))
        if is_late:
            self.time_passes(6 * SECOND)
        held = [c.child_id for p in self.state.parents.values() for c in map(self.state.children.__getitem__, p.open_children) if c.venue == venue]
        out = self.tell(events.SessionUp(session=venue))
        # Elsewhere one may be asked again for its own reasons.
        asked = [c.child_id for c in out if isinstance(c, commands.AskChildStatus) and c.venue == venue and c.child_id in self.state.children]
        assert sorted(asked) == sorted(held), "the sweep leaves somebody out"
        self.sweep(asked)

    @rule(is_heard=st.booleans())
    def server_restarts(self, is_heard: bool) -> None:
        """A new process on the old state: every session was up and is not; nobody trades before all his children are known."""
        self.day.state = load(dump(self.state))
        self.tell(msgspec.structs.replace(self.state.setup))
        for name in (*LIT, DARK, *CLIENTS):
            if self.state.sessions.get(name) or name in self.state.venues_up:  # as opening.first_events: of a venue that was gone before as well
                self.tell(events.SessionDown(session=name, reason="restart", is_restart=True))
        asked = []
        for name in (*LIT, DARK):
            out = self.tell(events.SessionUp(session=name))
            # Foreign orders are asked about too.
            asked += [c.child_id for c in out if isinstance(c, commands.AskChildStatus) and c.child_id in self.state.children]
        self.unheard = {c for p in self.state.parents.values() for c in p.open_children}
        assert set(asked) == self.unheard
        if is_heard:
            self.sweep(asked)

    def sweep(self, asked: list[str]) -> None:
        """True answers; what is told may end an order and so others of the asked."""
        for child_id in asked:
            c = self.state.children[child_id]
            self.tell(
                events.ChildStatusReported(
                    session=c.venue,
                    child_id=child_id,
                    is_known=True,
                    ord_status=ord_status(c.order),
                    cum_qty=c.order.cum_qty,
                    leaves_qty=leaves_qty(c.order),
                )  # fmt: skip
            )
            assert not c.is_unknown

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, msg_type=st.sampled_from("DFH"))
    def send_fails(self, index: int, msg_type: str) -> None:
        c = self.child(index)
        self.tell(events.SendFailed(session=c.venue, msg_type=msg_type, child_id=c.child_id))

    # ---- operators, market, time

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

    @rule(
        venue=st.sampled_from(LIT), symbol=st.sampled_from(list(SYMBOLS)), bid=st.sampled_from([0, 199_99, 200_00, 200_00, 200_05]),
        spread=st.sampled_from([0, 1, 2, 3, -4, None]), size=NUMBERS,
    )  # fmt: skip
    def quoted(self, venue: str, symbol: str, bid: int, spread: int | None, size: int) -> None:
        bid_px = bid * PX_ONE // 100
        ask_px = 0 if spread is None else (bid or 200_02) * PX_ONE // 100 + spread * PX_ONE // 100
        self.tell(events.QuoteUpdated(venue=venue, symbol=symbol, bid_px=bid_px, bid_qty=size if bid_px else 0, ask_px=ask_px, ask_qty=size))

    @rule(
        venue=st.sampled_from(LIT),
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
        # A parent may wish to be looked at a few times a second; more would be a loop that burns the machine. Wishes that were
        # replaced by later ones come due as well, once each.
        enough = 5 * (ns // SECOND + 2) * (len(self.state.works) + 1) + len(self.state.due)
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


HUNT = int(os.environ.get("HUNT", "0"))
STEPS_A_STREET = 60
STREETS = HUNT or 380
STEPS_MIN = HUNT * STEPS_A_STREET * 9 // 10 or 20_000
# All that can be told and asked for, and each report that a client may get, happens this often in the seeded streets at least.
TIMES_MIN = 20
REPORTS = [f"ReportParent {name}" for name in (
    "NEW", "REJECTED", "TRADE", "TRADE_CANCEL", "TRADE_CORRECT", "PENDING_CANCEL", "CANCELED", "PENDING_REPLACE", "REPLACED", "ORDER_STATUS",
)]  # fmt: skip
EVENTS = [kind.__name__ for kind in get_args(events.ANY)]
# Limits that must have bound, and what persons must have done: a limit that is never met proves nothing.
BOUND_MIN = 1
BOUND = (
    "fill_not_heard", "fill_not_copied", "copy_differs", "gate_children_open_max", "gate_open_value_max", "gate_net_value_max",
    "gate_position_max", "gate_gross_value_max", "gate_repeats_max",
    "gate_traded_max", "gate_self_match", "gate_message_rate", "stopped_by_limit", "price_moved", "order_to_trade", "killed", "kill_verified",
    "released", "release by two", "policy by one", "policy by two", "override by two", "overridden", "approval_refused", "withdrawn",
    "on_disconnect pause", "on_disconnect cancel", RELEASED,
)  # fmt: skip
COMMANDS = [kind.__name__ for kind in get_args(commands.ANY) if kind is not commands.ReportParent]


@pytest.mark.timeout(0 if HUNT else 600)  # a failing street is made shorter for up to five minutes
def test_whatever_the_street_does_the_books_hold(monkeypatch):
    """At least 20,000 steps, in which everything that can happen has happened."""
    if not HUNT:  # else hypothesis draws numbers of the modules that are loaded too: other streets with other tests before this one
        monkeypatch.setattr(HypothesisProvider, "_maybe_draw_constant", lambda self, choice_type, constraints, **chance: None)
    began = time.monotonic()
    run_state_machine_as_test(
        Street,
        settings=settings(
            max_examples=STREETS, stateful_step_count=STEPS_A_STREET, deadline=None, derandomize=not HUNT, database=None, print_blob=False
        ),
    )
    print(f"{HAPPENED['step']} steps in {STREETS} streets, {time.monotonic() - began:.0f} s: {dict(HAPPENED)}")
    assert HAPPENED["step"] >= STEPS_MIN
    assert HUNT or [what for what in (*EVENTS, *COMMANDS, *REPORTS) if HAPPENED[what] < TIMES_MIN] == []
    assert HUNT or [what for what in BOUND if HAPPENED[what] < BOUND_MIN] == []
