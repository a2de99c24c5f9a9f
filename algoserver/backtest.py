"""A trading day on a virtual clock: the same step() that trades, against the simulator's market in the same process.

Rule 1: no thread, no socket, no clock. The same setup, scenario, seed and requests give the same journal, byte for byte.
Rule 2: whatever travels between core and market takes `latency_ns` of market time, in both directions, market data too.
Rule 3: books are told at the scenario's interval, if they changed; every trade is told, or, where `sums_trades`, what traded at a
venue since the last books as one print at its last price. Then the market runs alone until somebody could act: see Exchange.advance.
Rule 4: what is measured is the market's own record at its own times, not what the core believes. The core is shown no
recorded day that is not over when the backtest begins.
"""

from bisect import bisect_right
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from algoserver.core.engine import next_wakeup, step
from algoserver.core.orders import ParentOrder
from algoserver.core.state import State, find
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import FEED_SUFFIX, MINUTE, SECOND, OrdStatus, OrdType, Side, TimeInForce, date_text
from algoserver.forecast import predict
from algoserver.journal import Journal
from algoserver.learn.cost import PUBLISHED_MODEL, CostModel
from algoserver.learn.predict import CurveModel, MedianModel
from algoserver.planner import plan
from algoserver.sim import reports as r
from algoserver.sim.book import Top
from algoserver.sim.codec import AGENT
from algoserver.sim.config import Scenario
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import TradePrint

NOTHING = 0, 0  # price and quantity of an empty side
CLIENT = "CLIENT1"
ALGO = "ALGO"  # who the venues think they trade with
COMMIT_EVERY = 4_096  # a backtest that dies is run again: its journal need not be durable event by event


class Fill(msgspec.Struct, frozen=True):
    """An execution of ours as the venue has it. ts: when it happened there. is_passive: our order was resting."""

    ts: int
    parent_id: str
    child_id: str
    venue: str
    symbol: str
    side: Side
    last_px: int
    last_qty: int
    is_passive: bool


class Share(msgspec.Struct, frozen=True):
    """Our quantity and the market's, ours included, over (since_ts, ts]."""

    since_ts: int
    ts: int
    ours: int
    market: int

    def is_above(self, share_ppm: int) -> bool:
        """Whether ours is more than `share_ppm` of the market's."""
        return self.ours * 1_000_000 > share_ppm * self.market


class Curve:
    """A quantity that grows in time."""

    def __init__(self) -> None:
        self.moments: list[int] = []
        self._totals = [0]

    def add(self, ts: int, quantity: int) -> None:
        """Count `quantity` at `ts`; times never go back."""
        self.moments.append(ts)
        self._totals.append(self._totals[-1] + quantity)

    def at(self, ts: int) -> int:
        """The total at `ts`, what happens at `ts` included."""
        return self._totals[bisect_right(self.moments, ts)]


class Backtest:
    """A server's core and a market, from `start_ts` on. `parent` and `feed` say what happens, `run` lets it happen.

    setup: what the firm has decided; its venues and instruments are part of the scenario. seed: instead of the scenario's.
    latency_ns: one way. model: whose volume curve answers RequestForecast, costs: whose plans RequestPlan. journal: takes all of it, if given.
    """

    def __init__(
        self,
        setup: e.PolicyLoaded,
        scenario: Scenario,
        start_ts: int,
        seed: int | None = None,
        latency_ns: int = 1_000_000,
        model: CurveModel | None = None,
        journal: Journal | None = None,
        sums_trades: bool = False,
        costs: CostModel = PUBLISHED_MODEL,
    ) -> None:
        assert latency_ns > 0, "an answer comes after its question"
        symbols = {i.symbol for i in scenario.instruments}
        self.setup = replace(
            setup, instruments=tuple(_as_of(i, date_text(start_ts)) for i in setup.instruments if i.instrument.symbol in symbols)
        )
        self.exchange = Exchange(scenario, seed)
        self.state = State()
        self.now = start_ts
        self.fills: list[Fill] = []
        self.reports: list[c.ReportParent] = []
        self.alerts: list[c.RaiseAlert] = []
        self.children_sent = 0
        self.prints = {symbol: Curve() for symbol in symbols}
        self.values = {symbol: Curve() for symbol in symbols}  # price times quantity of the same
        self._done: dict[str, Curve] = {}
        self._latency_ns = latency_ns
        self._model, self._costs = model or MedianModel(), costs
        self._journal = journal
        self._sums: dict[tuple[str, str], tuple[int, int]] = {}  # last price and quantity since the books were told
        # Whoever waits for a print waits for each; else only what is about our own orders, or a halt, is news at once.
        self._sums_trades = sums_trades
        self._news: frozenset[type] = frozenset((*get_args(r.AnyReport), r.SecurityStatus, *(() if sums_trades else (TradePrint,))))
        self._living: set[str] = set()  # OrderIDs of ours that are not over
        self._interval_ns = scenario.book_interval_ms * 1_000_000
        self._book_ts = start_ts
        self._told: dict[tuple[str, str], Top | None] = {(v, s): None for v in self.exchange.venues for s in self.exchange.instruments}
        self._to_core: list[tuple[int, int, e.Event]] = []
        self._to_venue: list[tuple[int, int, r.Request]] = []
        self._sent = 0  # orders what is under way with equal times
        self._hear(self.exchange.advance(start_ts))
        for event in (self.setup, *(e.SessionUp(session=v.name) for v in setup.venues), e.SessionUp(session=CLIENT)):
            self.feed(event)

    def feed(self, event: e.Event, ts: int = 0) -> None:
        """Tell the core `event` at `ts`, now if that is over."""
        self._sent += 1
        heappush(self._to_core, (max(ts, self.now), self._sent, event))

    def parent(
        self, cl_ord_id: str, symbol: str, order_qty: int, strategy: int, side: Side = Side.BUY, price: int = 0, ts: int = 0, **params: Any
    ) -> None:
        """A client's order, at `ts` or now; params as AlgoParams names them. price 0: market."""
        event = e.ParentRequested(
            session=CLIENT, cl_ord_id=cl_ord_id, symbol=symbol, side=side, order_qty=order_qty,
            ord_type=OrdType.LIMIT if price else OrdType.MARKET, price=price, time_in_force=TimeInForce.DAY,
            strategy=strategy, params=AlgoParams(**params),
        )  # fmt: skip
        self.feed(event, ts)

    def run(self, until_ts: int) -> None:
        """Let everything happen that is due up to and including `until_ts`."""
        market_ts = self.exchange.next_ts()
        while True:
            due = self._next_ts()
            # The market first: what was due there before a message arrives happened before it. But word of it takes its time: what the
            # core does until then the market need not have seen.
            if market_ts <= due and market_ts <= until_ts and (due > until_ts or not self._is_unseen(due, market_ts)):
                answers = self.exchange.advance(min(due, until_ts), self._news)
                market_ts = self.exchange.next_ts()
                self.now = max(self.now, self.exchange.now())
                self._hear(answers)
                continue
            if due > until_ts:
                break
            self.now = max(self.now, due)
            if self._to_venue and self._to_venue[0][0] <= due:
                self._hear(self.exchange.submit(due, heappop(self._to_venue)[2]))
                market_ts = self.exchange.next_ts()
            elif self._book_ts <= due:
                self._tell_books(due)
            elif self._to_core and self._to_core[0][0] <= due:
                while self._to_core and self._to_core[0][0] <= due:  # nothing that a step sends is due as soon
                    self._step(heappop(self._to_core)[2])
            else:
                self._step(e.Wakeup())
        self.now = max(self.now, until_ts)
        if self._journal is not None:
            self._journal.commit()

    # What came of it.

    def order(self, cl_ord_id: str) -> ParentOrder:
        """The client's order as the core has it."""
        parent = find(self.state, CLIENT, cl_ord_id)
        assert parent is not None, f"no order {cl_ord_id}"
        return parent

    def done(self, cl_ord_id: str) -> Curve:
        """What has been executed of a parent, in market time."""
        return self._done.get(self.order(cl_ord_id).parent_id) or Curve()

    def participation(self, cl_ord_id: str, window_ns: int = 5 * MINUTE) -> Iterator[Share]:
        """Our share over trailing windows, at every fill of the parent and at every second of its life.

        A window that would begin before the parent does is cut: from the start.
        """
        parent = self.order(cl_ord_id)
        done, market = self.done(cl_ord_id), self.prints[parent.symbol]
        last_ts = min(self.now, max(parent.end_ts, done.moments[-1] if done.moments else 0) + window_ns)
        seconds = range(parent.start_ts + SECOND, last_ts + 1, SECOND)
        for ts in sorted({*seconds, *done.moments}):
            since = max(ts - window_ns, parent.start_ts)
            yield Share(since, ts, done.at(ts) - done.at(since), market.at(ts) - market.at(since))

    # The loop.

    def _is_unseen(self, due: int, market_ts: int) -> bool:
        """Whether what is due outside the market is the core's alone, and comes before it can hear of what the market does next."""
        if due >= self._book_ts or (self._to_venue and due >= self._to_venue[0][0]):
            return False
        if due < market_ts + self._latency_ns:
            return True
        # Where no order of ours lives, nothing but a halt can be news that we did not ask for.
        return self._sums_trades and not self._living and due < self.exchange.status_ts()

    def _next_ts(self) -> int:
        """When something happens next outside the market."""
        due = self._book_ts
        if self._to_venue and self._to_venue[0][0] < due:
            due = self._to_venue[0][0]
        if self._to_core and self._to_core[0][0] < due:
            due = self._to_core[0][0]
        wakeup = next_wakeup(self.state)
        return due if wakeup is None or wakeup > due else wakeup

    def _step(self, event: e.Event) -> None:
        state, journal = self.state, self._journal
        event = replace(event, seq=state.seq + 1, ts=max(self.now, state.ts + 1))
        if journal is not None:
            journal.append_input(event)
        commands = step(state, event)
        if commands:
            if journal is not None:
                journal.append_outputs(event.seq, commands)
            for command in commands:
                self._do(command, event.ts)
        if journal is not None and event.seq % COMMIT_EVERY == 0:
            journal.commit()

    def _do(self, command: c.Command, ts: int) -> None:
        if isinstance(command, c.SendChild | c.CancelChild | c.AskChildStatus):
            self.children_sent += isinstance(command, c.SendChild)
            self._sent += 1
            heappush(self._to_venue, (ts + self._latency_ns, self._sent, _request(command)))
        elif isinstance(command, c.RequestForecast):
            self.feed(predict(self._model, command), ts + self._latency_ns)
        elif isinstance(command, c.RequestPlan):
            self.feed(plan(self._costs, command), ts + self._latency_ns)
        elif isinstance(command, c.ReportParent):
            self.reports.append(command)
        elif isinstance(command, c.RaiseAlert):
            self.alerts.append(command)
        # Refusals of a cancel or a message go to a client, who is not here to read them, reports of children to a drop copy.

    def _hear(self, answers: list[r.Answer]) -> None:
        """Note what happened in the market and send word of it to the core."""
        # As the market's FIX face does: reports before the prints of the same moment.
        prints = []
        for answer in answers:
            if isinstance(answer, TradePrint):
                prints.append(answer)
                continue
            if isinstance(answer, r.Report):
                self._note(answer)
            self._tell(answer)
        for one in prints:
            self.prints[one.symbol].add(one.ts, one.qty)
            self.values[one.symbol].add(one.ts, one.px * one.qty)
            if self._sums_trades:
                key = one.venue, one.symbol
                self._sums[key] = one.px, self._sums.get(key, NOTHING)[1] + one.qty
            else:
                self._tell(one)

    def _tell(self, answer: r.Answer) -> None:
        event = _event(answer)
        if event is not None:
            self.feed(event, answer.ts + self._latency_ns)

    def _note(self, report: r.Report) -> None:
        if report.leaves_qty:
            self._living.add(report.order_id)
        else:
            self._living.discard(report.order_id)
        if isinstance(report, r.Trade):
            self._note_trade(report)

    def _note_trade(self, trade: r.Trade) -> None:
        parent_id = trade.cl_ord_id.rpartition(".")[0]
        self._done.setdefault(parent_id, Curve()).add(trade.ts, trade.last_qty)
        is_passive = trade.last_liquidity_ind == 1
        fill = Fill(trade.ts, parent_id, trade.cl_ord_id, trade.venue, trade.symbol, trade.side, trade.last_px, trade.last_qty, is_passive)
        self.fills.append(fill)

    def _tell_books(self, ts: int) -> None:
        self._book_ts = ts + self._interval_ns
        for (venue, symbol), (last_px, qty) in self._sums.items():
            self.feed(e.TradePrinted(venue=venue, symbol=symbol, last_px=last_px, last_qty=qty), ts + self._latency_ns)
        self._sums.clear()
        for key, told in self._told.items():
            venue, symbol = key
            book = self.exchange.book(venue, symbol)
            if book != told:
                self._told[key] = book
                bids, asks = book
                (bid_px, bid_qty), (ask_px, ask_qty) = bids[0] if bids else NOTHING, asks[0] if asks else NOTHING
                quote = e.QuoteUpdated(venue=venue, symbol=symbol, bid_px=bid_px, bid_qty=bid_qty, ask_px=ask_px, ask_qty=ask_qty)
                self.feed(quote, ts + self._latency_ns)


def _as_of(setup: InstrumentSetup, date: str) -> InstrumentSetup:
    """The instrument with the recorded days before `date`."""
    known = sum(d < date for d in setup.history_dates)
    return replace(setup, history_dates=setup.history_dates[:known], history=setup.history[:known])


def _request(command: c.SendChild | c.CancelChild | c.AskChildStatus) -> r.Request:
    venue, symbol, side = command.venue, command.symbol, command.side
    if isinstance(command, c.SendChild):
        return r.NewOrderSingle(
            venue=venue, client=ALGO, cl_ord_id=command.child_id, symbol=symbol, side=side, order_qty=command.order_qty,
            ord_type=command.ord_type, px=command.price, tif=command.time_in_force, min_qty=command.min_qty,
        )  # fmt: skip
    if isinstance(command, c.CancelChild):
        return r.OrderCancelRequest(venue=venue, client=ALGO, cl_ord_id=command.cancel_id, orig_cl_ord_id=command.child_id, symbol=symbol, side=side)
    return r.OrderStatusRequest(venue=venue, client=ALGO, cl_ord_id=command.child_id, symbol=symbol, side=side)


def _event(answer: r.Answer) -> e.Event | None:
    """What the core hears of it: as the FIX codec would read it. None for an answer to what we never ask."""
    if isinstance(answer, TradePrint):
        return e.TradePrinted(venue=answer.venue, symbol=answer.symbol, last_px=answer.px, last_qty=answer.qty)
    if isinstance(answer, r.Imbalance | r.MassCancelReport | r.Invitation) or (isinstance(answer, r.SecurityStatus) and answer.is_halted is None):
        return None
    if isinstance(answer, r.SecurityStatus):
        session = f"{answer.venue}{FEED_SUFFIX}"
        return e.StatusChanged(session=session, venue=answer.venue, symbol=answer.symbol, is_halted=bool(answer.is_halted))
    venue, child_id = answer.venue, answer.orig_cl_ord_id or answer.cl_ord_id
    if isinstance(answer, r.CancelReject):
        return e.CancelRejected(
            session=venue, child_id=child_id, cxl_rej_reason=answer.cxl_rej_reason, ord_status=answer.ord_status, text=answer.text
        )
    if isinstance(answer, r.New):
        return e.ChildAccepted(session=venue, child_id=child_id, order_id=answer.order_id)
    if isinstance(answer, r.Trade):
        return e.ChildFilled(
            session=venue, child_id=child_id, exec_id=answer.exec_id, last_px=answer.last_px, last_qty=answer.last_qty,
            last_liquidity_ind=answer.last_liquidity_ind, last_mkt=venue, last_capacity=AGENT,
        )  # fmt: skip
    if isinstance(answer, r.Canceled | r.Expired):
        reason = answer.exec_restatement_reason if isinstance(answer, r.Canceled) else None
        return e.ChildCanceled(
            session=venue, child_id=child_id, ord_status=answer.ord_status, text=answer.text,
            exec_restatement_reason=-1 if reason is None else reason,
        )  # fmt: skip
    if isinstance(answer, r.Rejected):
        return e.ChildRejected(session=venue, child_id=child_id, ord_rej_reason=answer.ord_rej_reason, text=answer.text)
    if isinstance(answer, r.OrderStatus):
        is_known = answer.ord_status is not OrdStatus.REJECTED
        return e.ChildStatusReported(
            session=venue, child_id=child_id, is_known=is_known, ord_status=answer.ord_status, cum_qty=answer.cum_qty,
            leaves_qty=answer.leaves_qty,
        )  # fmt: skip
    return None
