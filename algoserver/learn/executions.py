"""What orders cost, as journals have it: a server's or those of `algoserver backtest`.

Rule 1: an order's terms are those that were known when it came: quotes, the newest forecast, the window and the plan of its algo.
Rule 2: its cost is against the mid at its arrival, of what was filled; where the mid stood afterwards is noted only where no other order of ours was
at work in the symbol then.
Rule 3: a simulated market knows what its price would have done without us (`reference.json` of a study): that is kept beside the cost, never in it.
Rule 4: an order that was amended, canceled, or not filled to nine tenths says nothing of the plan that was costed; it is left out and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from algoserver.core.algos import ALGOS
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import DAY, MINUTE, SECOND, ExecType, OrdStatus, Side, TimeInForce, date_text
from algoserver.journal import JournalCorrupt, read
from algoserver.learn.cost import Terms
from algoserver.learn.terms import Scene, Wanted, terms_of, window_volume

AFTER_NS = (5 * MINUTE, 10 * MINUTE, 20 * MINUTE)
FILLED_MIN = 0.9


@dataclass(frozen=True)
class Execution:
    """One order. cost: fraction of the arrival price, positive is against us. after: (days' volume since the window's end, how far the mid
    stands from arrival, the same way). day: of its journal, what bootstraps and folds keep together. filled: of order_qty.

    drift: of the cost, what the price would have done without us, and drifts, of each of `after`; None where nobody knows it, as of a real market.
    """

    day: str
    symbol: str
    strategy: int
    terms: Terms
    cost: float
    filled: float
    after: tuple[tuple[float, float], ...] = ()
    drift: float | None = None
    drifts: tuple[float, ...] = ()


@dataclass
class Executions:
    """Orders, and how many were left out and why."""

    found: list[Execution] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1


@dataclass
class _Order:
    wanted: Wanted
    scene: Scene
    arrival_px: int
    value: int = 0
    cum_qty: int = 0
    after: dict[int, int] = field(default_factory=dict)
    why_not: str = ""
    own: float = 0.0  # sum over fills of what the price would have been, times quantity

    @property
    def looks(self) -> Iterator[int]:
        return (self.wanted.end_ts + length for length in AFTER_NS)


def read_executions(directory: Path) -> Executions:
    """All orders of every journal below `directory`. ValueError: there is none, or one is damaged."""
    journals = sorted(path for path in directory.rglob("journal") if path.is_dir())
    if not journals:
        raise ValueError(f"{directory}: no journal below it; give the state directory of a server, or the --out of `algoserver backtest`")
    found = Executions()
    for path in journals:
        try:
            _Reader(str(path.relative_to(directory)), found, _references(path)).run(path)
        except JournalCorrupt as damaged:
            raise ValueError(str(damaged)) from damaged
    return found


class _Reference(msgspec.Struct, frozen=True):
    """What a simulated price would have been without us: each second from since_ts on."""

    since_ts: int
    px: tuple[int, ...]

    def at(self, ts: int) -> float:
        return float(self.px[min(len(self.px) - 1, max(0, (ts - self.since_ts) // SECOND))])


def _references(journal: Path) -> dict[str, _Reference]:
    """By symbol; of a server's journal none."""
    path = journal.with_name("reference.json")
    return msgspec.json.decode(path.read_bytes(), type=dict[str, _Reference]) if path.exists() else {}


class _Reader:
    """One journal."""

    def __init__(self, name: str, into: Executions, references: dict[str, "_Reference"]) -> None:
        self._references = references
        self._name = name
        self._into = into
        self._setup: e.PolicyLoaded | None = None
        self._instruments: dict[str, InstrumentSetup] = {}
        self._forecasts: dict[str, e.ForecastReady] = {}
        self._quotes: dict[str, dict[str, tuple[int, int]]] = {}
        self._asked: dict[tuple[str, str], e.ParentRequested] = {}
        self._orders: dict[str, _Order] = {}
        self._names: dict[str, tuple[str, str]] = {}
        self._looks: list[tuple[int, str]] = []

    def run(self, path: Path) -> None:
        for record in read(path):
            if record.kind == "I":
                self._event(record.payload)
            elif record.kind == "O" and isinstance(record.payload, c.ReportParent):
                self._report(record.payload)
        for parent_id, order in self._orders.items():
            self._done(parent_id, order)

    def _event(self, event: Any) -> None:
        if isinstance(event, e.QuoteUpdated):
            self._look(event.ts)  # by the quotes before this one
            self._quotes.setdefault(event.symbol, {})[event.venue] = event.bid_px, event.ask_px
        elif isinstance(event, e.ChildFilled):
            order = self._orders.get(event.child_id.rpartition(".")[0])
            if order is not None:
                order.value += event.last_px * event.last_qty
                order.cum_qty += event.last_qty
                reference = self._references.get(order.wanted.symbol)
                order.own += reference.at(event.ts) * event.last_qty if reference else 0.0
        elif isinstance(event, e.ParentRequested):
            self._asked[event.session, event.cl_ord_id] = event
        elif isinstance(event, e.ForecastReady):
            if event.curve or not event.now_bin:
                self._forecasts[event.symbol] = event
        elif isinstance(event, e.PolicyLoaded):
            self._setup, self._instruments = event, {i.instrument.symbol: i for i in event.instruments}
        elif isinstance(event, e.FillBusted | e.FillCorrected | e.ReplaceRequested | e.OperatorAmended):
            self._blame(event)

    def _blame(self, event: Any) -> None:
        if isinstance(event, e.ReplaceRequested):
            for order_id, order in self._orders.items():
                if self._names[order_id] == (event.session, event.orig_cl_ord_id):
                    order.why_not = "amended"
            return
        parent_id = event.target if isinstance(event, e.OperatorAmended) else event.child_id.rpartition(".")[0]
        if parent_id in self._orders:
            self._orders[parent_id].why_not = "amended" if isinstance(event, e.OperatorAmended) else "busted or corrected"

    def _report(self, report: c.ReportParent) -> None:
        if report.exec_type is ExecType.NEW:
            asked = self._asked.pop((report.session, report.cl_ord_id), None)
            if asked is not None:
                self._names[report.order_id] = report.session, report.cl_ord_id
                self._begin(report.order_id, asked)
        elif report.exec_type is ExecType.REJECTED:
            self._asked.pop((report.session, report.cl_ord_id), None)
        elif report.exec_type is ExecType.CANCELED and report.ord_status is OrdStatus.CANCELED and report.order_id in self._orders:
            order = self._orders[report.order_id]
            order.why_not = order.why_not or ("canceled" if report.orig_cl_ord_id else "")

    def _begin(self, parent_id: str, asked: e.ParentRequested) -> None:
        setup, known = self._setup, self._instruments.get(asked.symbol)
        mid, spread = self._mid(asked.symbol)
        if setup is None or known is None or asked.strategy not in ALGOS or asked.time_in_force is not TimeInForce.DAY:
            return self._into.skip("not an algo's")
        if not mid:
            return self._into.skip("no quote at arrival")
        p, hours = asked.params, setup.hours
        midnight = asked.ts // DAY * DAY
        start_ts = max(p.start_ts, asked.ts, midnight + hours.open_ns)
        end_ts = min(p.end_ts or midnight + hours.close_ns, midnight + hours.close_ns)
        if end_ts <= start_ts or start_ts > asked.ts + MINUTE:
            return self._into.skip("did not begin at once")
        forecast = self._forecasts.get(asked.symbol)
        if forecast is None or not forecast.curve or forecast.date != date_text(asked.ts):
            scene = Scene(known.instrument, setup.algo, hours, setup.algo.static_curve, mid, spread // 2)
        else:
            scene = Scene(known.instrument, setup.algo, hours, forecast.curve, mid, spread // 2, forecast.volume)
        wanted = Wanted(
            asked.symbol, asked.side, asked.order_qty, asked.strategy, start_ts, end_ts, p.urgency, p.max_pct_vol, p.target_pct_vol
        )
        for other in self._orders.values():
            if other.wanted.symbol == asked.symbol:
                other.after = {ts: px for ts, px in other.after.items() if ts < asked.ts}
        self._orders[parent_id] = order = _Order(wanted, scene, mid)
        self._looks = sorted([*self._looks, *((ts, parent_id) for ts in order.looks)])
        return None

    def _mid(self, symbol: str) -> tuple[int, int]:
        """Consolidated mid and spread; 0 while a side is empty or the market is crossed."""
        quotes = self._quotes.get(symbol, {}).values()
        bids, asks = [b for b, _ in quotes if b], [a for _, a in quotes if a]
        if not bids or not asks or max(bids) > min(asks):
            return 0, 0
        return (max(bids) + min(asks)) // 2, min(asks) - max(bids)

    def _look(self, ts: int) -> None:
        while self._looks and self._looks[0][0] <= ts:
            at_ts, parent_id = self._looks.pop(0)
            mine = self._orders[parent_id]
            mid, _ = self._mid(mine.wanted.symbol)
            others = (o.wanted for i, o in self._orders.items() if i != parent_id and o.wanted.symbol == mine.wanted.symbol)
            if mid and not any(w.start_ts < at_ts and w.end_ts > mine.wanted.start_ts for w in others):
                mine.after[at_ts] = mid

    def _done(self, parent_id: str, order: _Order) -> None:
        wanted, scene = order.wanted, order.scene
        filled = order.cum_qty / wanted.order_qty
        if order.why_not:
            return self._into.skip(order.why_not)
        if filled < FILLED_MIN:
            return self._into.skip("less than nine tenths filled")
        try:
            terms = terms_of(wanted, scene)
        except ValueError:
            return self._into.skip("no volume expected in its window")
        sign = Side(wanted.side).sign
        cost = sign * (order.value / order.cum_qty / order.arrival_px - 1)
        adv = scene.instrument.adv
        after = tuple(
            (window_volume(scene, wanted.end_ts, ts) / adv, sign * (px / order.arrival_px - 1))
            for ts, px in sorted(order.after.items())
        )
        drift: float | None = None
        drifts: tuple[float, ...] = ()
        reference = self._references.get(wanted.symbol)
        if reference is not None:
            arrived = reference.at(wanted.start_ts)
            drift = sign * (order.own / order.cum_qty - arrived) / order.arrival_px
            drifts = tuple(sign * (reference.at(ts) - arrived) / order.arrival_px for ts in sorted(order.after))
        self._into.found.append(Execution(self._name, wanted.symbol, wanted.strategy, terms, cost, min(1.0, filled), after, drift, drifts))
        return None

