"""Dark midpoint venues: orders rest unseen and trade at the middle of the lit venues' best prices.

Rule 1: the price is (best bid + best ask) / 2 over the lit venues. It may lie half a tick between two prices; an int of 1e-8
holds that exactly, because the scenario admits only ticks of an even number of units. Nothing trades while a side is empty or
the lit market is crossed.
Rule 2: first come, first served, among orders whose limit allows that price; a pegged order without a limit always does.
Rule 3: an execution is a trade with one other order and never less than MinQty (110), unless what the order has left is less:
then it is all of that. Orders on the other side that are too small are passed over, they are not added up.
Rule 4: the crowd's hidden orders meet clients only: what the crowd trades with itself is in the recorded volume, which the
lit venues print. When they come, their sides, sizes and patience are drawn from a generator of their own, whatever clients do;
so neither they nor the lit books depend on who rests here, and what a client took of one is gone.
Rule 5: nothing is published but trades. When the mid moves, orders whose limit now allows it meet, buys first.
Rule 6: a replace keeps its place only if it changes nothing but the quantity, downwards.
Rule 7: orders of one client pass each other by, unless the venue lets them meet (ST-5).
"""

import random
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Any

from algoserver.domain.types import SECOND, Instrument, TimeInForce
from algoserver.sim.book import Book, Fill, Level, Match, Order, Top
from algoserver.sim.config import FlowConfig, ReactingConfig, Scenario, SessionHours, VenueConfig
from algoserver.sim.source import FOREVER
from algoserver.sim.volume import VolumePath, recorded_bins

SIZE_MAX = 20.0  # means: no hidden order is larger, so that one draw does not make the day's volume


class Hidden(Order):
    """An order in the dark. px: its limit, 0 for none."""

    __slots__ = ("min_qty",)

    def __init__(self, sign: int, px: int, leaves: int, owner: Any = None, min_qty: int = 0):
        super().__init__(sign, px, leaves, owner)
        self.min_qty = min_qty


class DarkBook:
    """One instrument at one dark venue. mid: tells the price at which it trades now, 0 for none."""

    def __init__(self, mid: Callable[[], int], may_self_trade: bool = True):
        self._mid = mid
        self._may_self_trade = may_self_trade
        self._queues = {1: Level(1, 0), -1: Level(-1, 0)}
        self._met_px = 0  # the mid at which everybody who rests has looked for somebody
        self._clients = 0  # how many of those who rest are clients: most of the time none

    def enter(self, order: Hidden, tif: TimeInForce = TimeInForce.DAY) -> list[Fill]:
        """Trade an arriving order with who rests, and rest what a DAY order has left. Fills are of the others."""
        assert order.leaves > 0
        assert order.level is None
        fills = self._meet(order)
        if order.leaves and tif is TimeInForce.DAY:
            self.rest(order)
        return fills

    def rest(self, order: Hidden) -> None:
        """Let an order wait, without looking for somebody."""
        queue = order.level = self._queues[order.sign]
        queue.orders.append(order)
        queue.qty += order.leaves
        self._clients += order.owner is not None

    def cancel(self, order: Hidden) -> int:
        """Take a resting order out; returns the quantity that was open."""
        leaves = order.leaves
        self._take(order, leaves)
        return leaves

    def replace(self, order: Hidden, px: int, leaves: int, min_qty: int, tif: TimeInForce = TimeInForce.DAY) -> list[Fill]:
        """Change a resting order; fills if it now meets somebody."""
        assert leaves > 0
        if (px, min_qty, tif) == (order.px, order.min_qty, TimeInForce.DAY) and leaves <= order.leaves:
            self._take(order, order.leaves - leaves)
            return []
        self.cancel(order)
        order.px, order.leaves, order.min_qty = px, leaves, min_qty
        return self.enter(order, tif)

    def meet(self) -> list[tuple[Hidden, list[Fill]]]:
        """After the lit market moved: resting orders of clients that now found others, each with its fills."""
        if not self._clients or (px := self._mid()) == self._met_px:
            return []
        self._met_px = px
        found = [(order, self._meet(order)) for order in self.resting() if order.level is not None]
        return [(order, fills) for order, fills in found if fills]

    def mid(self) -> int:
        """The price at which it trades now, 0 for none."""
        return self._mid()

    def against(self, sign: int, client: str) -> int:
        """How much the oldest firm order has with which an order of `client` could trade now; 0 if there is none."""
        px = self._mid()
        others = (o for o in self._queues[-sign].orders if px and _allows(o, px))
        return next((o.leaves for o in others if o.owner is None or o.owner.client != client), 0)

    @property
    def has_clients(self) -> bool:
        """Whether a client rests."""
        return self._clients > 0

    def resting(self) -> list[Hidden]:
        """Clients' open orders, buys first, the oldest first."""
        return [o for queue in self._queues.values() for o in queue.orders if isinstance(o, Hidden) and o.owner is not None]

    def withdraw(self) -> None:
        """Take the crowd out."""
        for queue in self._queues.values():
            for order in [o for o in queue.orders if o.owner is None]:
                self._take(order, order.leaves)

    def top(self, n: int = 5) -> Top:
        """Nothing: what rests here is not shown."""
        return (), ()

    def _meet(self, order: Hidden) -> list[Fill]:
        """Trade `order` with whoever it may, the oldest first; it may rest itself."""
        px = self._mid()
        fills: list[Fill] = []
        others = self._queues[-order.sign].orders
        while order.leaves and px and _allows(order, px):
            # From the front each time: a trade may have brought what is left below MinQty, and then smaller orders fit.
            other = next((o for o in others if isinstance(o, Hidden) and self._fit(order, o, px)), None)
            if other is None:
                break
            qty = min(order.leaves, other.leaves)
            self._take(other, qty)
            if order.level is None:
                order.leaves -= qty
            else:
                self._take(order, qty)
            fills.append(Fill(other, px, qty))
        return fills

    def _fit(self, one: Hidden, other: Hidden, px: int) -> bool:
        qty = min(one.leaves, other.leaves)
        is_enough = all(qty >= min(o.min_qty, o.leaves) for o in (one, other))
        if not is_enough or not _allows(other, px):
            return False
        if one.owner is None or other.owner is None:
            return one.owner is not other.owner  # the crowd does not meet itself
        return self._may_self_trade or one.owner.client != other.owner.client

    def _take(self, order: Order, qty: int) -> None:
        """The only place where a resting quantity is taken off."""
        queue = order.level
        assert queue is not None
        assert 0 <= qty <= order.leaves
        order.leaves -= qty
        queue.qty -= qty
        if order.leaves == 0:
            queue.orders.remove(order)
            order.level = None
            self._clients -= order.owner is not None


class Crowd:
    """The crowd's hidden orders of one instrument at one dark venue, as they come: no client changes them.

    By recorded volume: `hidden` of it comes in the course of the day, half of it each side. A size is the square of an
    exponential draw: half of the orders are smaller than a quarter of the mean, and a few are many times as large.
    """

    def __init__(self, instrument: Instrument, flow: FlowConfig | ReactingConfig, venue: VenueConfig, hours: SessionHours, seed: int):
        self._rng = random.Random(f"{seed}/{instrument.symbol}/{venue.name}")
        self._hours = hours
        self._venue = venue
        self._mean = venue.hidden_trades * flow.trade_qty
        self._unit = instrument.round_lot if self._mean >= 2 * instrument.round_lot else instrument.lot
        opens, closes = hours.window(0)
        self._path = VolumePath(recorded_bins(flow.recorded, flow.day), closes - opens)
        self._open_ts = self._close_ts = 0
        self._next_ts = FOREVER
        self._is_order = False  # whether an order comes at next_ts, or only another pace

    def start(self, ts: int) -> None:
        """Begin at `ts`."""
        self._open_ts, self._close_ts = self._hours.window(ts)
        self._schedule(max(ts, self._open_ts))

    def next_ts(self) -> int:
        return self._next_ts

    def draw(self) -> tuple[Hidden, int] | None:
        """What comes at next_ts: an order and until when it waits, or None."""
        ts, is_order, rng = self._next_ts, self._is_order, self._rng
        drawn = None
        if is_order:
            units = self._mean * min(rng.expovariate(1.0) ** 2 / 2, SIZE_MAX) / self._unit
            qty = self._unit * (int(units) + (rng.random() < units % 1))
            sign = 1 if rng.random() < 0.5 else -1
            until_ts = ts + 1 + int(rng.expovariate(1.0) * self._venue.hidden_s * SECOND)
            drawn = (Hidden(sign, 0, qty), until_ts) if qty else None
        if ts >= self._close_ts:
            self._open_ts, self._close_ts = self._hours.window(self._close_ts)
            ts = self._open_ts
        self._schedule(ts)
        return drawn

    def _schedule(self, ts: int) -> None:
        elapsed = ts - self._open_ts
        edge = self._open_ts + self._path.edge(self._path.bin_at(elapsed) + 1)
        pace = self._venue.hidden * self._path.rate(elapsed) / self._mean  # orders per second
        wait = int(self._rng.expovariate(pace) * SECOND) if pace else FOREVER
        # Waiting has no memory: an order that would come after the bin's end is drawn again at that bin's pace.
        self._is_order = ts + 1 + wait < edge
        self._next_ts = ts + 1 + wait if self._is_order else max(edge, ts + 1)


class Dark:
    """Every dark venue of a market. books: by symbol, the lit venues'. halted: symbols that nothing trades in now, kept by the market."""

    def __init__(self, config: Scenario, books: dict[str, dict[str, Book]], seed: int, halted: list[str]):
        self.venues = [v.name for v in config.venues if v.kind == "dark"]
        self._books: dict[tuple[str, str], DarkBook] = {}
        self._of: dict[str, list[tuple[str, DarkBook]]] = {}
        self._crowds: dict[tuple[str, str], Crowd] = {}
        self._leaving: list[tuple[int, int, str, str, Hidden]] = []
        self._came = 0
        self._next_ts = FOREVER
        self._mids = {symbol: partial(_trading_mid, symbol, halted, list(lit.values())) for symbol, lit in books.items()}
        for venue in config.venues:
            for entry in config.instruments if venue.kind == "dark" else ():
                book = DarkBook(self._mids[entry.symbol], venue.self_trade == "allow")
                self._books[venue.name, entry.symbol] = book
                self._of.setdefault(entry.symbol, []).append((venue.name, book))
                if entry.crowd is not None and venue.hidden > 0:
                    crowd = Crowd(entry.instrument(), entry.crowd, venue, config.session, seed)
                    self._crowds[venue.name, entry.symbol] = crowd

    def start(self, ts: int) -> None:
        """Begin at `ts`."""
        for crowd in self._crowds.values():
            crowd.start(ts)
        self._look_ahead()

    def book(self, venue: str, symbol: str) -> DarkBook | None:
        return self._books.get((venue, symbol))

    def mid(self, symbol: str) -> int:
        """Consolidated mid of the lit venues, 0 while nothing trades."""
        return self._mids[symbol]()

    def of(self, symbol: str) -> list[tuple[str, DarkBook]]:
        """Venue and book of an instrument."""
        return self._of.get(symbol, [])

    def is_watching(self, symbol: str) -> bool:
        """Whether a client rests in the dark, and meets somebody when the lit prices change."""
        return any(book.has_clients for _, book in self.of(symbol))

    def is_watched(self) -> bool:
        """Whether a client rests in the dark of any instrument."""
        return any(book.has_clients for book in self._books.values())

    def next_ts(self) -> int:
        """When somebody of the crowd comes or goes next."""
        return self._next_ts

    def step(self) -> tuple[str, Match]:
        """Let the one who is due at next_ts come or go: the symbol, and what clients traded with him."""
        step = self._step()
        self._look_ahead()
        return step

    def _step(self) -> tuple[str, Match]:
        due = self._next_ts
        if self._leaving and self._leaving[0][0] == due:
            _, _, venue, symbol, order = heappop(self._leaving)
            if order.level is not None:
                self._books[venue, symbol].cancel(order)
            return symbol, Match(venue, order.sign, [])
        venue, symbol = next(key for key, crowd in self._crowds.items() if crowd.next_ts() == due)
        drawn = self._crowds[venue, symbol].draw()
        if drawn is None:
            return symbol, Match(venue, 1, [])
        order, until_ts = drawn
        self._came += 1
        heappush(self._leaving, (until_ts, self._came, venue, symbol, order))
        return symbol, Match(venue, order.sign, self._books[venue, symbol].enter(order))

    def _look_ahead(self) -> None:
        due = [crowd.next_ts() for crowd in self._crowds.values()]
        self._next_ts = min(due + [entry[0] for entry in self._leaving[:1]], default=FOREVER)


def _trading_mid(symbol: str, halted: list[str], books: list[Book]) -> int:
    return 0 if symbol in halted else mid(books)


def mid(books: list[Book]) -> int:
    """Consolidated mid of lit books; 0 while a side is empty or they are crossed."""
    bids = [px for book in books if (px := book.bids.best_px()) is not None]
    asks = [px for book in books if (px := book.asks.best_px()) is not None]
    if not bids or not asks or max(bids) > min(asks):
        return 0
    return (max(bids) + min(asks)) // 2


def _allows(order: Order, px: int) -> bool:
    return not order.px or (px - order.px) * order.sign <= 0
