"""Seeded background flow of one instrument over all venues: the crowd our clients trade with.

Rule 1: one random generator, drawn only as events run: the same seed and the same client requests at the same
times give the same tape. Floats steer the crowd; every price and quantity that reaches a book is an int.
Rule 2: background market orders follow the recorded day's volume. Their sizes and times are random, and each size
is drawn around what is missing from the path, so a bin ends within about two trades of its target. What clients
take is volume on top.
Rule 3: quotes gather around a reference price that diffuses. It does not know the clients' orders: what they pay
is spread and depth, which the crowd refills; a lasting impact is not shown here.
Rule 4: the crowd never crosses or locks another venue's best price with a new quote; a stale quote may stand for a moment. What had to
stand back from such a price is not heaped up there: a level takes no more of it than PILE times its usual depth.
"""

import random
from bisect import bisect_left
from math import exp, sqrt

from algoserver.domain.types import SECOND, Instrument, TimeInForce, px
from algoserver.sim.auction import AT_ANY_PRICE
from algoserver.sim.book import Book, Level, Match, Order
from algoserver.sim.config import FlowConfig, SessionHours, VenueConfig
from algoserver.sim.source import Crowd
from algoserver.sim.volume import VolumePath, recorded_bins

TRADING_SECONDS = 23_400  # of the recorded day: what sigma_daily is scaled by, however long our session is
CALL_ORDERS = 40  # a side that the crowd sends to a call auction
CALL_AT_MARKET = 0.7  # of them without a limit; the rest stand within some ticks of the reference, so that surplus moves the price
CALL_TICKS = 6.0
CALL_RESPONSE = 0.005  # those who wait for a surplus ask up to this fraction of the price for taking it, evenly spread; together
# they would take as much as the auction trades: a surplus of a fifth moves the price by 10 basis points
CALL_SPREAD = 0.2  # of the log of an auction's volume from day to day
LEVELS = 10  # price levels a side that the crowd quotes
NEAR = 6  # levels of these that are missing are quoted first
REQUOTE = 3  # missing levels one event may fill: a swept book takes a few events to come back
STALE_TICKS = 15  # quotes further than this from the best price are withdrawn
STALE_LOOK = 8  # levels beyond that, the nearest first, that are looked at where a client rests further away than all of them
PILE = 3.0  # above what a level is ever wanted to show: 1.3 of the profile times 1.6 by chance
SWEEP_TICKS = 3  # how far past the best price a background trade goes
CATCH_UP_TRADES = 20  # a gap to the volume path is closed over about this many trades
# Depth by distance from the best price: thin at the touch, as displayed books of liquid shares are.
PROFILE = (0.7, 1.0, 1.2, 1.3, 1.3, 1.2, 1.1, 1.0, 0.9, 0.8)


class Flow(Crowd):
    """The books of one instrument at every venue, and the crowd in them. Events run one at a time by `step`."""

    def __init__(self, instrument: Instrument, config: FlowConfig, hours: SessionHours, venues: list[VenueConfig], seed: int):
        self.books = {v.name: Book() for v in venues}
        self.is_open = False
        self.is_halted = False
        self.traded: dict[str, int] = {v.name: 0 for v in venues}  # background volume of the day, by venue
        self._tick = instrument.tick
        self._config = config
        self._hours = hours
        self._rng = random.Random(f"{seed}/{instrument.symbol}")
        # Its own generator: who is there at the close must not change the next day.
        self._call_rng = random.Random(f"{seed}/{instrument.symbol}/auctions")
        self._names = [v.name for v in venues]
        self._shares = [v.share for v in venues]
        # Small prints come in single units, larger ones in round lots.
        self._unit = instrument.round_lot if config.trade_qty >= 2 * instrument.round_lot else instrument.lot
        self._quote_unit = instrument.round_lot if config.depth_qty >= 3 * instrument.round_lot else instrument.lot
        self._ref = px(config.price) / self._tick  # in ticks
        self._sigma = config.sigma_daily * self._ref / sqrt(TRADING_SECONDS)  # ticks per sqrt(second)
        self._bid = 0  # where the crowd wants its best bid, in ticks; its best ask is spread_ticks above
        self._depth = 1.0  # share of the usual depth that is shown
        self._done = 0.0
        self._busy = 1.0  # how much more than on average happens now, and how much larger it is
        self._ts = self._next_ts = self._open_ts = self._close_ts = 0
        opens, closes = hours.window(0)
        self._path = VolumePath(recorded_bins(config.recorded, config.day), closes - opens)
        self._mean_rate = self._path.total * SECOND / self._path.length

    def start(self, ts: int) -> None:
        """Begin at `ts`, mid-session if it is one: the volume path is joined where it stands."""
        self._open_ts, self._close_ts = self._hours.window(ts)
        self._ts = ts
        self._next_ts = max(ts, self._open_ts)

    def next_ts(self) -> int:
        """When the next event is due."""
        return self._next_ts

    def halt(self) -> None:
        """The crowd leaves and waits; the day goes on, and may end meanwhile."""
        self.is_halted = True
        self._withdraw_all()
        self._next_ts = self._close_ts if self.is_open else self._next_ts

    def resume(self, ts: int) -> list[Match]:
        """The crowd is back; its quotes may meet orders of clients that stayed. The volume of the pause is not made up."""
        self.is_halted = False
        return self._begin(ts) if self.is_open else []

    def step(self) -> list[Match]:
        """Run the event that is due at `next_ts`."""
        ts = self._next_ts
        if not self.is_open:
            return self._open(ts)
        if ts >= self._close_ts:
            self._close()
            return []
        self._diffuse(ts)
        trades, quotes = self._rates(ts)
        rng = self._rng
        if rng.random() * (trades + quotes) < trades:
            matches = self._trade(ts, trades)
        else:
            matches = self._quote(self._names[int(rng.random() * len(self._names))], 1 if rng.random() < 0.5 else -1)
        for match in matches:
            traded = sum(f.qty for f in match.fills)
            self.traded[match.venue] += traded
            self._done += traded
        self._schedule(ts)
        return matches

    def reference_px(self) -> int:
        """The reference price, to the nearest tick."""
        return max(1, round(self._ref)) * self._tick

    def shift(self, factor: float) -> None:
        """Move the reference price to `factor` times itself; the crowd follows as it quotes."""
        self._ref *= factor

    def thin(self, share: float) -> None:
        """Show only this share of the usual depth from now on; 1: as ever."""
        self._depth = share
        for book in self.books.values() if share < 1 else ():
            for order in [o for o in book.live() if o.owner is None and int(o.leaves * share) < o.leaves]:
                book.reduce(order, order.leaves - int(order.leaves * share))

    def crowd(self, tif: TimeInForce) -> list[Order]:
        """What the crowd sends to the next call auction, buyers and sellers alike in size but for chance."""
        share = self._config.opening_share if tif is TimeInForce.AT_OPEN else self._config.closing_share
        return call_orders(self._call_rng, share * self._path.total, self._ref, self._unit, self._tick)

    def _open(self, ts: int) -> list[Match]:
        self.is_open = True
        self.traded = dict.fromkeys(self.traded, 0)
        if self.is_halted:
            self._next_ts = self._close_ts
            return []
        return self._begin(ts)

    def _begin(self, ts: int) -> list[Match]:
        """The crowd's first quotes, with its volume path joined where it stands."""
        self._ts = ts
        self._done = self._path.cumulated(ts - self._open_ts)
        matches = []
        self._bid = round(self._ref - self._config.spread_ticks / 2)
        for name, book in self.books.items():
            for sign in (1, -1):
                for k in range(LEVELS):
                    for _ in range(2):
                        matches += self._join(name, book, sign, self._best(sign) - sign * k)
        self._schedule(ts)
        return matches

    def _close(self) -> None:
        """Withdraw the crowd. Clients' orders are not ours to touch: the exchange expires them."""
        self.is_open = False
        self._withdraw_all()
        self._open_ts, self._close_ts = self._hours.window(self._close_ts)
        self._next_ts = self._open_ts

    def _withdraw_all(self) -> None:
        for book in self.books.values():
            for ladder in (book.bids, book.asks):
                for level in list(ladder.levels.values()):
                    for order in _background(level):
                        book.cancel(order)

    def _schedule(self, ts: int) -> None:
        wait = self._rng.expovariate(sum(self._rates(ts)))
        self._next_ts = min(ts + 1 + int(wait * SECOND), self._close_ts)

    def _rates(self, ts: int) -> tuple[float, float]:
        """Trades and quote events per second. A busy bin has both more and larger ones, each with the root of its volume."""
        self._busy = sqrt(self._path.rate(ts - self._open_ts) / self._mean_rate)
        return self._busy * self._mean_rate / self._config.trade_qty, self._busy * self._config.book_events_per_s

    def _diffuse(self, ts: int) -> None:
        self._ref += self._rng.gauss(0.0, self._sigma * sqrt((ts - self._ts) / SECOND))
        self._ref = max(self._ref, float(2 * STALE_TICKS))  # the quotes below it need prices above zero
        self._ts = ts
        centre = self._bid + self._config.spread_ticks / 2
        # Quotes move only when the reference has left them by three quarters of a tick: no flicker at a boundary.
        if abs(self._ref - centre) > 0.75:
            self._bid = round(self._ref - self._config.spread_ticks / 2)

    def _trade(self, ts: int, trades: float) -> list[Match]:
        """A market order, sized by what the volume path lacks, towards the reference more often than away from it."""
        rng = self._rng
        elapsed = ts - self._open_ts
        left = (self._path.edge(self._path.bin_at(elapsed) + 1) - elapsed) / SECOND
        horizon = max(min(CATCH_UP_TRADES / trades, left), 2 / trades)
        missing = self._path.cumulated(elapsed + int(horizon * SECOND)) - self._done
        lean = 0.3 * (self._ref - self._bid - self._config.spread_ticks / 2)
        sign = 1 if rng.random() < min(max(0.5 + lean, 0.1), 0.9) else -1
        units = missing / (trades * horizon) * min(rng.expovariate(1.0), 4.0) / self._unit
        qty = self._unit * (int(units) + (rng.random() < units % 1))
        if missing <= 0 or qty == 0:
            return []
        name = rng.choices(self._names, self._shares)[0]
        best = self.books[name].side(-sign).best_px()
        if best is None:
            return []
        # It does not sweep the book, nor trade far from the reference: what these ticks don't hold, a later trade makes up for.
        limits = (best + sign * SWEEP_TICKS * self._tick, (self._best(-sign) + sign * 2 * SWEEP_TICKS) * self._tick)
        fills = self.books[name].take(sign, qty, min(limits) if sign > 0 else max(limits))
        return [Match(name, sign, fills)] if fills else []

    def _quote(self, name: str, sign: int) -> list[Match]:
        """One limit order or cancel: withdraw what the reference left behind, else fill up or thin out a level."""
        rng = self._rng
        book = self.books[name]
        ladder = book.side(sign)
        best = self._best(sign)
        self._withdraw(book, sign, best)
        near = [k for k in range(NEAR) if ladder.at((best - sign * k) * self._tick) is None][:REQUOTE]
        if near:
            return [m for k in near for m in self._join(name, book, sign, best - sign * k)]
        k = min(int(rng.expovariate(0.45)), LEVELS - 1)
        level = ladder.at((best - sign * k) * self._tick)
        want = self._depth * self._busy * self._config.depth_qty * PROFILE[k] * (0.4 + 1.2 * rng.random())
        if level is None or level.qty < want:
            return self._join(name, book, sign, best - sign * k)
        mine = _background(level)
        if mine:
            book.cancel(mine[int(rng.random() * len(mine))])
        return []

    def _withdraw(self, book: Book, sign: int, best: int) -> None:
        """Cancel the oldest quotes better than the crowd now wants, and all that are far away."""
        ladder = book.side(sign)
        if not ladder.keys:
            return
        if ladder.keys[-1] > sign * best * self._tick:
            for order in _background(ladder.levels[ladder.keys[-1]])[:3]:
                book.cancel(order)
        edge = sign * (best - sign * STALE_TICKS) * self._tick
        if ladder.keys and ladder.keys[0] < edge:
            far = ladder.keys[:1]
            if not _background(ladder.levels[far[0]]):  # a client's alone: what is stale stands before it, and was left by the price last
                at = bisect_left(ladder.keys, edge)
                far = ladder.keys[max(0, at - STALE_LOOK) : at][::-1]
            for order in next(filter(None, (_background(ladder.levels[key]) for key in far)), []):
                book.cancel(order)

    def _join(self, name: str, book: Book, sign: int, ticks: int) -> list[Match]:
        """Add a limit order at `ticks`, or behind it if it would lock another venue. It may meet a client's better order."""
        usual = self._depth * self._busy * self._config.depth_qty
        qty = self._quote_unit * max(1, round(usual / 2 / self._quote_unit * self._rng.expovariate(1.0)))
        price = ticks * self._tick
        for other in self._names:
            if other != name:
                opposite = self.books[other].side(-sign).best_px()
                if opposite is not None and (price - opposite) * sign >= 0:
                    price = opposite - sign * self._tick
        self._yield(book, sign, price)
        if price <= 0:
            return []
        level = book.side(sign).at(price) if price != ticks * self._tick else None
        if level is not None and level.qty >= PILE * usual:
            return []
        fills = book.enter(Order(sign, price, qty), TimeInForce.DAY)
        return [Match(name, sign, fills)] if fills else []

    def _yield(self, book: Book, sign: int, price: int) -> None:
        """Withdraw the crowd's quotes that a new one would meet: the crowd does not trade with itself by quoting."""
        ladder = book.side(-sign)
        while ladder.keys and (price - (opposite := ladder.levels[ladder.keys[-1]]).px) * sign >= 0:
            for order in _background(opposite):
                book.cancel(order)
            if opposite.qty:
                break  # a client's order: the new quote trades with it

    def _best(self, sign: int) -> int:
        return self._bid if sign > 0 else self._bid + self._config.spread_ticks


def call_orders(rng: random.Random, expected: float, ref: float, unit: int, tick: int) -> list[Order]:
    """What a crowd sends to a call auction of about `expected` volume. ref: in ticks."""
    volume = expected * exp(rng.gauss(0.0, CALL_SPREAD))
    # Of the limits about half are beyond the price: what is sent is more than what trades.
    mean = volume / CALL_ORDERS / (CALL_AT_MARKET + (1 - CALL_AT_MARKET) / 2)
    orders = []
    for sign in (1, -1) * CALL_ORDERS:
        qty = unit * round(mean * rng.expovariate(1.0) / unit)
        px = AT_ANY_PRICE[sign]
        if rng.random() >= CALL_AT_MARKET:
            px = max(1, round(ref + rng.gauss(0.0, CALL_TICKS))) * tick
        if qty:
            orders.append(Order(sign, px, qty))
        away = ref * (1 - sign * CALL_RESPONSE * rng.random())
        orders.append(Order(sign, max(1, round(away)) * tick, unit * max(1, round(volume / CALL_ORDERS / unit))))
    return orders


def _background(level: Level) -> list[Order]:
    return [o for o in level.orders if o.leaves and o.owner is None]
