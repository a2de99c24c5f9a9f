"""When auctions are held, who takes part, and what is published before.

AUC-1: the opening call holds orders at the open, the crowd's, and what rested at the venue over night; the closing call orders at the close
and the crowd's (auction.py, rule 3). At-the-open and at-the-close orders that are left are expired.
AUC-2: after a halt or pause a venue with auctions reopens with one: all that rests there takes part, and the crowd. What is left rests
again in its place, an iceberg behind its tip; then the crowd quotes, and the other venues trade on.
AUC-3: what sleeps or is pegged takes no part.
IMB-1: from imbalance_s before an auction on, what it would come to is published every five seconds: price, paired quantity, surplus. The
crowd's orders come at that moment and stay; without publication they come when it is held.
"""

from algoserver.domain.types import SECOND, OrdType, Side, TimeInForce
from algoserver.sim.auction import Call, Uncross, clearing_price
from algoserver.sim.blotter import LIVE, ClientOrder
from algoserver.sim.book import Order
from algoserver.sim.config import Scenario
from algoserver.sim.counter import Counter
from algoserver.sim.fees import NEITHER
from algoserver.sim.phases import Phases
from algoserver.sim.reports import Answer, Expired, Imbalance, TradePrint
from algoserver.sim.source import FOREVER, Source

EVERY_NS = 5 * SECOND
AT_OPEN, AT_CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE


class Auctions:
    """Every auction of a market. reopen_ts: by symbol, when a reopening is due, kept by the market."""

    def __init__(self, config: Scenario, counter: Counter, sources: dict[str, Source], phases: Phases):
        self._hours = config.session
        self._before_ns = config.imbalance_s * SECOND
        self._reopening = sorted(v.name for v in config.venues if v.auctions)
        self._counter = counter
        self._sources = sources
        self._phases = phases
        self._crowds: dict[tuple[str, str], list[Order]] = {}  # of the auction that is next, where it came before it
        self._next_ts = FOREVER
        self.reopen_ts: dict[str, int] = {}

    def start(self, ts: int) -> None:
        """Begin at `ts`."""
        if self._before_ns and self._reopening:
            self._next_ts = ts - ts % EVERY_NS + EVERY_NS

    def next_ts(self) -> int:
        """When to ask `publish` next."""
        return self._next_ts

    def publish(self, ts: int, out: list[Answer]) -> None:
        """Tell what the auctions that are near would come to."""
        self._next_ts = ts + EVERY_NS
        tif, held_ts = self._counter.calls.next_call(self._hours, ts)
        for symbol, source in self._sources.items():
            if self._phases.is_halted(symbol):
                if 0 < self.reopen_ts.get(symbol, FOREVER) - ts <= self._before_ns and source.is_open:
                    for venue in self._reopening:
                        self._tell(ts, venue, symbol, self._resting(venue, symbol), AT_OPEN, False, out)
            elif held_ts - ts <= self._before_ns:
                for venue in self._counter.calls.venues:
                    waiting = self._counter.calls.waiting(venue, symbol, tif)
                    resting = self._resting(venue, symbol) if tif is AT_OPEN else []
                    self._tell(ts, venue, symbol, [*resting, *waiting], tif, tif is AT_CLOSE, out)

    def hold(self, ts: int, venue: str, symbol: str, tif: TimeInForce, out: list[Answer]) -> None:
        """Hold an opening or closing auction: fills to the clients, one print, and what is left of its own orders is over."""
        call = self._counter.calls.take(venue, symbol, tif)
        waiting: list[ClientOrder] = [o.owner for o in call.orders]
        crowd = self._crowd(venue, symbol, tif)
        if not self._phases.is_halted(symbol):
            if tif is AT_OPEN:
                call.orders = [*self._resting(venue, symbol), *call.orders]
            self._uncross(ts, venue, symbol, call, crowd, out)
        for order in waiting:
            order.resting = None
            if order.status in LIVE:
                out.append(self._counter.blotter.end(Expired, order, ts, text="the auction is over"))

    def reopen(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """Hold the reopening auctions of an instrument whose halt is over."""
        self.reopen_ts.pop(symbol, None)
        for venue in self._reopening if self._sources[symbol].is_open else ():
            call = Call()
            call.orders = self._resting(venue, symbol)
            self._uncross(ts, venue, symbol, call, self._crowd(venue, symbol, AT_OPEN), out)

    def _uncross(self, ts: int, venue: str, symbol: str, call: Call, crowd: list[Order], out: list[Answer]) -> None:
        done: Uncross = call.uncross(crowd, self._sources[symbol].reference_px())
        for fill in done.fills:
            owner: ClientOrder | None = fill.order.owner
            if owner is not None:
                out.append(self._counter.blotter.fill(owner, ts, fill, NEITHER))
                if not owner.tif.is_auction:
                    self._counter.lit.keep(owner)
        if done.volume:
            side = Side.BUY if done.surplus > 0 else Side.SELL
            out.append(TradePrint(venue=venue, symbol=symbol, ts=ts, px=done.px, qty=done.volume, side=side))
            self._counter.lit.printed(venue, symbol, done.px)

    def _tell(self, ts: int, venue: str, symbol: str, orders: list[Order], tif: TimeInForce, is_close: bool, out: list[Answer]) -> None:
        crowd = self._crowds.setdefault((venue, symbol), []) or self._sources[symbol].crowd(tif)
        self._crowds[venue, symbol] = crowd
        px, volume, surplus = clearing_price([*orders, *crowd], self._sources[symbol].reference_px())
        out.append(Imbalance(venue=venue, symbol=symbol, ts=ts, px=px, volume=volume, surplus=surplus, is_close=is_close))

    def _crowd(self, venue: str, symbol: str, tif: TimeInForce) -> list[Order]:
        return self._crowds.pop((venue, symbol), None) or self._sources[symbol].crowd(tif)

    def _resting(self, venue: str, symbol: str) -> list[Order]:
        """Clients' orders in a venue's book, each with all that it has open."""
        found = [o for o in self._counter.lit.orders(symbol) if o.venue == venue and o.ord_type is OrdType.LIMIT and o.resting is not None]
        return [Order(o.side.sign, o.resting.px, o.leaves_qty(), o) for o in found]
