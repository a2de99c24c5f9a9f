"""A market that reacts: the crowd of one instrument at every venue, which sees what clients trade and remembers it.

Rule 1: a day's weather (`weather.py`) is drawn at its open, whatever clients do; the rest of chance is drawn as events run
(`flow_kernel.py`). The same seed and the same requests at the same times give the same tape, compiled or not.
Rule 2: what clients trade, aggressively or not, moves the price that the crowd gathers around: concave in size, decaying in
time. And it takes what rests: spread and depth are the book's own.
Rule 3: `run` stops at a fill of a client, so that the market may go on alone until somebody could act.
"""

import random
from math import expm1, floor, log, sqrt
from zlib import crc32

import numpy as np

from algoserver.domain.types import DAY, SECOND, Instrument, TimeInForce, px
from algoserver.sim import array_book as a
from algoserver.sim import flow_kernel as kernel
from algoserver.sim.book import Book, Match, Order
from algoserver.sim.compiled import floats, ints
from algoserver.sim.config import ReactingConfig, SessionHours, VenueConfig
from algoserver.sim.fast_book import FastBook, Shelf
from algoserver.sim.flow import call_orders
from algoserver.sim.source import FOREVER, Crowd, Moment
from algoserver.sim.volume import UnknownRecording, recorded_bins
from algoserver.sim.weather import TRADING_SECONDS, day_level, weather

CHANCE = 1 << 15  # uniform numbers drawn at a time
REACH_TICKS, REACH_SECONDS = 20, 10  # quotes further than this from the reference, in ticks and sigmas of a second, are nobody's market
MET = 0.97  # of what takers want they find
EVENTS = 9  # the generator of the events' chance, beside those of the weather
MEMORY_POWER = -0.25  # how the memory of clients' flow falls with its time: an exponential's weight is its seconds to this power


class Reacting(Crowd):
    """The books of one instrument at every venue, and the crowd in them. Raises UnknownRecording."""

    def __init__(self, instrument: Instrument, config: ReactingConfig, hours: SessionHours, venues: list[VenueConfig], seed: int):
        self.is_open = False
        self.is_halted = False
        self.runs_alone = True
        self.level = 1.0  # of today's volume, over the mean of all days
        self._name = instrument.symbol
        self._tick = instrument.tick
        self._config = config
        self._hours = hours
        self._seed = seed
        self._call_rng = random.Random(f"{seed}/{instrument.symbol}/auctions")
        self.shelf = Shelf([v.name for v in venues], instrument.tick, self._remember)
        self.books: dict[str, Book] = {v.name: FastBook(self.shelf, i) for i, v in enumerate(venues)}
        self._bins = recorded_bins(config.recorded, config.day)
        if min(self._bins) <= 0:  # a pace of zero has no next event
            raise UnknownRecording(f"{config.recorded} {config.day}: a part of the day without volume; a crowd that reacts is never away")
        opens, closes = hours.window(0)
        self._seconds = (closes - opens) // SECOND
        self._ref = px(config.price) / instrument.tick
        self.sigma = config.sigma_daily * self._ref / sqrt(TRADING_SECONDS)  # ticks per sqrt(second)
        self.rate = sum(self._bins) / self._seconds  # units of quantity per second
        self._goes_on = False  # where another market stood: its price is the first, at whatever time this one begins
        self._open_ts = self._close_ts = 0
        self.k = ints(kernel.K_LENGTH)
        self.k[kernel.VENUES] = len(venues)
        self.x = floats([0.0] * kernel.UNIT + self._parameters(len(venues)) + np.cumsum([v.share for v in venues]).tolist())
        self.x[kernel.REF] = self._ref
        self._usual = {i: float(self.x[i]) for i in (kernel.LIMIT, kernel.INNER)}
        for i, weight in enumerate(np.power(kernel.SECONDS_PER_DECAY, MEMORY_POWER)):
            self.x[kernel.WEIGHTS + i] = float(weight) / sum(s**MEMORY_POWER for s in kernel.SECONDS_PER_DECAY)
        self.weather = floats([])
        self._chance = floats([])
        self._rng = np.random.default_rng(0)
        self._next_ts = 0  # kept: it is asked for many times an event, and to read it from the kernel's array takes its time

    def start(self, ts: int) -> None:
        self._open_ts, self._close_ts = self._hours.window(ts)
        stood = self._ref
        self._begin_day()
        self.k[kernel.NEXT] = max(ts, self._open_ts)
        if self._goes_on and ts > self._open_ts:
            kernel.pass_time(self.k, self.x, self.weather, ts)
            self._move(stood - float(self.x[kernel.REF]))
        self._look_ahead()

    def next_ts(self) -> int:
        return self._next_ts

    @property
    def is_watched(self) -> bool:
        return self.shelf.has_clients()

    def step(self) -> list[Match]:
        """Run the event that is due at `next_ts`."""
        return [match for _, matches in self.run(self.next_ts()) for match in matches]

    def run(self, until_ts: int, on_trade: bool = False, on_move: bool = False) -> list[Moment]:
        moments = self._run(until_ts, (kernel.ON_TRADE if on_trade else 0) | (kernel.ON_MOVE if on_move else 0))
        self._look_ahead()
        return moments

    def _run(self, until_ts: int, watch: int) -> list[Moment]:
        ts = self._next_ts
        if not self.is_open:
            self.is_open = True
            if self.is_halted:
                return [(ts, [])]
            self._fill_up(ts)
            return [(ts, [])]
        if ts >= self._close_ts:
            self._close()
            return [(ts, [])]
        moments: list[Moment] = []
        until_ts = min(until_ts, self._close_ts - 1)
        while True:
            why = kernel.run(self.shelf.arrays, self.k, self.x, self.weather, self._chance, until_ts, watch)
            moments += self.shelf.heard()
            if why != kernel.NEEDS_ROOM:
                break
            self._make_room()
        last = int(self.k[kernel.LAST])
        # The market has been there: what has moved since the last trade is told with that moment.
        return moments if moments and moments[-1][0] == last else [*moments, (last, [])]

    def halt(self) -> None:
        """The crowd leaves and waits; the day goes on, and may end meanwhile."""
        self.is_halted = True
        self._withdraw()
        self._look_ahead()

    def resume(self, ts: int) -> list[Match]:
        """The crowd is back."""
        self.is_halted = False
        if self.is_open:
            self._fill_up(ts)
        self._look_ahead()
        return []

    def shift(self, factor: float) -> None:
        if not self._open_ts:
            self._ref *= factor
            self._goes_on = True
            self.x[kernel.REF] = self._ref
            return
        self._move(float(self.x[kernel.REF]) * (factor - 1))

    def thin(self, share: float) -> None:
        for i, usual in self._usual.items():
            self.x[i] = usual * share
        for book in self.books.values() if share < 1 else ():
            for order in [o for o in book.live() if o.owner is None and int(o.leaves * share) < o.leaves]:
                book.reduce(order, order.leaves - int(order.leaves * share))

    def reference_px(self) -> int:
        return max(1, floor(float(self.x[kernel.REF]) + 0.5)) * self._tick

    def reference_path(self) -> tuple[int, list[float]]:
        """The day's own reference without its clients, from its open on: when that was, and ticks each second."""
        steps = int(self.k[kernel.STEPS])
        return int(self.k[kernel.OPEN]), [float(t) for t in self.weather[steps : 2 * steps : SECOND // kernel.GRID_NS]]

    def crowd(self, tif: TimeInForce) -> list[Order]:
        share = self._config.opening_share if tif is TimeInForce.AT_OPEN else self._config.closing_share
        expected = share * sum(self._bins) * self.level
        return call_orders(self._call_rng, expected, float(self.x[kernel.REF]), self._config.unit_qty, self._tick)

    def _move(self, ticks: float) -> None:
        """Let the reference be so much higher from now on."""
        steps = int(self.k[kernel.STEPS])
        for i in range(steps + int(self.k[kernel.STEP]), 2 * steps):
            self.weather[i] += ticks
        kernel.feel(self.k, self.x, self.weather)

    def _begin_day(self) -> None:
        """The weather of the day that opens next; the price begins where the last one ended."""
        config, day = self._config, self._open_ts // DAY
        drawn = weather(config, self._bins, self._seed, self._name, day, self._seconds, self.sigma)
        self.level = 1.0 if config.day else day_level(config, self._seed, self._name, day)
        self.weather = floats(np.concatenate([drawn.activity * self.level, self._ref + drawn.reference, drawn.herding]))
        self._rng = np.random.default_rng([self._seed % (1 << 64), crc32(self._name.encode()), day, EVENTS])
        self._chance = floats([])
        k, x = self.k, self.x
        k[kernel.OPEN], k[kernel.STEP], k[kernel.STEPS] = self._open_ts, 0, len(drawn.activity)
        k[kernel.NEXT], k[kernel.ARRIVES], k[kernel.WAITING], k[kernel.DRAWN] = self._open_ts, FOREVER, 0, 0
        for i in (kernel.IMPACT, kernel.EXCITED, *range(kernel.FLOWS, kernel.FLOWS + kernel.DECAYS)):
            x[i] = 0.0
        x[kernel.REF] = self.weather[len(drawn.activity)]

    def _fill_up(self, ts: int) -> None:
        self._make_room()
        self.shelf.make_room(2_048)
        kernel.fill_up(self.shelf.arrays, self.k, self.x, self.weather, self._chance, ts)

    def _make_room(self) -> None:
        self.shelf.make_room()
        used = int(self.k[kernel.DRAWN])
        if used + CHANCE // 2 > len(self._chance):
            self._chance = floats(np.concatenate([self._chance[used:], self._rng.random(CHANCE)]))
            self.k[kernel.DRAWN] = 0

    def _close(self) -> None:
        """The crowd leaves. Clients' orders are not ours to touch: the exchange expires them."""
        self.is_open = False
        self._withdraw()
        self._ref = float(self.weather[2 * int(self.k[kernel.STEPS]) - 1])
        self._open_ts, self._close_ts = self._hours.window(self._close_ts)
        self._begin_day()

    def _withdraw(self) -> None:
        b = self.shelf.arrays
        for side, place in ((0, a.BUYS), (1, a.SELLS)):
            while b[place]:
                a.drop(b, int(b[b[a.CROWD] + side * b[a.ROOM] + b[place] - 1]))
        self.k[kernel.WAITING], self.k[kernel.ARRIVES] = 0, FOREVER

    def _look_ahead(self) -> None:
        if self.is_halted and self.is_open:
            self._next_ts = self._close_ts
        else:
            self._next_ts = min(int(self.k[kernel.NEXT]), int(self.k[kernel.ARRIVES]), self._close_ts if self.is_open else FOREVER)

    def _remember(self, qty: int, is_resting: bool) -> None:
        kernel.remember(self.k, self.x, self.weather, qty * (self._config.impact_resting if is_resting else 1.0))

    def _parameters(self, venues: int) -> list[float]:
        """What the kernel reads, in the order of its names."""
        c, r = self._config, self._config.rates
        taken = 1 + (1 / expm1(1 / r.take_size) if r.take_size else 0.0)  # mean units of a taker's order
        # Each taker calls `excitement` others, so that there are 1 / (1 - excitement) times as many.
        pace = self.rate / (2 * r.market * taken * MET * c.unit_qty) * (1 - r.excitement)
        typical = max(0.5 * r.limit * r.deeper / r.cancel / venues, 1.0)
        return [
            c.unit_qty, pace, r.market, r.limit, r.cancel, r.inner, r.signal, r.tilt, r.tilt_max, r.snipe, r.band, log(1 - r.deeper), r.take_size,
            r.quote_size, r.inner_size, r.sweep_ticks, r.excitement / (2 * r.market * pace * r.excitement_seconds),
            1 / (r.excitement_seconds * SECOND / kernel.GRID_NS), c.impact * self.sigma, c.impact_power, 1 / self.rate, c.jitter_ms * 1e6,
            typical, r.pull, c.impact_resting, REACH_TICKS + REACH_SECONDS * self.sigma,
        ]  # fmt: skip


