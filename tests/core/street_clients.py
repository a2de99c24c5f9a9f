"""A street without manners, its first part: clients who may say anything the wire allows, and a market that moves as it likes.

A new thing that can happen is one more @rule, here, in street_venues or in street_people.
"""

from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from algoserver.core.engine import next_wakeup
from algoserver.core.orders import ParentOrder, is_open
from algoserver.core.state import dump
from algoserver.domain import commands, events
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, OnHalt, OrdType, Side, Strategy, TimeInForce
from tests.core.books import CLIENTS, COPIED, DARK, LIT, SETUPS, SYMBOLS, Books

INDEX = st.integers(0, 1_000)
FEW = st.integers(0, 3)
NUMBERS = st.sampled_from([1, 7, 100, 150, 300, 1_000, 4_000, 25_000])
PRICES = st.integers(-6, 6).map(lambda ticks: 200 * PX_ONE + ticks * PX_ONE // 100)
# Nearly everything is one client's: two who share little would each have a quiet day.
CLIENT = st.sampled_from([*CLIENTS[:1] * 5, CLIENTS[1]])


class Clients(Books):
    """Clients, market and time."""

    def __init__(self) -> None:
        super().__init__()
        self.exec_count = 0
        self.venue_execs: dict[str, list[str]] = {}
        self.asked: list[events.Message] = []

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

    # ---- market, time

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
