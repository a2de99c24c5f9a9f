"""A recorded market drives one venue's book, and clients trade in it.

A recording is a file of `tape_file.py`'s format, or the one that ships: lines of `<receive time ns> <json>` from Binance, trades, depth
differences every 100 ms (absolute quantities per level) and one snapshot, joined by Binance's rule: differences up to the snapshot's lastUpdateId are
dropped, the first one kept must contain lastUpdateId + 1, and each next one must begin where the last ended.

Rule 1: time is the recorded exchange's own (T of trades, E of differences), shifted so that the first kept
difference falls on `start`. The receive time is not used: differences overtake the trades that they contain.
Rule 2: the recorded quantity of a level stands in the queue in blocks. More of it joins behind everyone there;
less of it leaves from the end of the queue; recorded trades take from the front. So a client who joins waits
behind what was displayed, and moves up by trades and by what leaves ahead of him when nothing stands behind.
Rule 3: what clients take is gone: a level shows min(what is left, what the recording says) when the recording
lowers the level, and is raised by exactly what the recording adds. It never shows more than was recorded.
Rule 4: a recorded trade fills clients' orders at better prices first, then its own price in order of the queue. It
is printed with its full quantity even if clients have taken part of what it once met. A recorded quote that
would cross a client's order trades with it.
Rule 5: at its end the recording begins again (`repeat`), or the market closes.
Rule 6: with `impact`, what clients have traded moves all that is recorded after it (`overlay.py`): at most ten times a second, when the
next recorded event comes, everything recorded moves by whole ticks, and with it the prices of what follows. Each level keeps what is left
of it; its queue stands behind clients at its new price, and meets those that it crosses.
"""

import gzip
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import msgspec

from algoserver.domain.types import SECOND, Instrument, TimeInForce, px, qty
from algoserver.recorded import TAPE
from algoserver.sim.book import Book, Fill, Level, Match, Order, Screen
from algoserver.sim.config import TapeConfig
from algoserver.sim.overlay import STEP_NS, Overlay
from algoserver.sim.source import FOREVER, Source
from algoserver.sim.tape_file import BrokenTape, Diff, Event, Print, Repairs
from algoserver.sim.tape_file import read as read_file

MS = 1_000_000
RECORDED_DECIMALS = 8


class TapedBook(Book):
    """A book that tells what its clients take of it: signed units. What they trade while they rest its tape sees itself."""

    __slots__ = ("_told",)

    def __init__(self, told: Callable[[int], None]):
        super().__init__()
        self._told = told

    def enter(self, order: Order, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False, screen: Screen | None = None) -> list[Fill]:
        fills = super().enter(order, tif, is_market, screen)
        if fills and order.owner is not None:
            self._told(order.sign * sum(f.qty for f in fills if f.order.owner is None))
        return fills


class Tape(Source):
    """The book of one instrument at one venue, moved by recorded events."""

    def __init__(self, instrument: Instrument, events: list[Event], venue: str, config: TapeConfig, repairs: Repairs | None = None):
        self._book = TapedBook(self._taken)
        self.books: dict[str, Book] = {venue: self._book}
        self.is_open = False
        trades = sum(isinstance(event, Print) for event in events)
        self.repairs = repairs or Repairs(changes=len(events) - trades, trades=trades)
        self._venue = venue
        self._tick = instrument.tick
        self._decimals = instrument.qty_decimals
        self._events = events  # the first is the snapshot
        self._repeat = config.repeat
        self._recorded: dict[tuple[int, int], int] = {}  # by sign and price, as the book has it: moved
        self._origin = 0
        self._at = 0
        self._overlay = Overlay(config, *measured(events, instrument)) if config.impact else None
        self._moved = 0  # price units that everything recorded is moved by
        self._moved_ts = 0

    @classmethod
    def recorded(cls, instrument: Instrument, config: TapeConfig, venue: str) -> "Tape":
        """The recording that a scenario names. Raises BrokenTape."""
        path = TAPE.parent / config.file
        if path.parent == TAPE.parent and path.is_file():
            with gzip.open(path) as lines:
                return cls(instrument, read(lines), venue, config)
        if not Path(config.file).is_file():
            raise BrokenTape(f"no recording {config.file}: there is {TAPE.name}, and whatever file of yours has the format")
        events, repairs = read_file(Path(config.file), instrument)
        return cls(instrument, events, venue, config, repairs)

    def start(self, ts: int) -> None:
        self._origin = ts

    def next_ts(self) -> int:
        if self._at == len(self._events):
            return FOREVER
        return self._origin + self._events[self._at].ts - self._events[0].ts

    def step(self) -> list[Match]:
        ts = self.next_ts()
        event = self._events[self._at]
        if self._at == 0:
            self.is_open = True
            self._withdraw()
        self._at += 1
        out = self._move(ts) if self._overlay is not None and ts - self._moved_ts >= STEP_NS else []
        out += self._change(event) if isinstance(event, Diff) else [self._trade(event)]
        if self._overlay is not None:
            for fill in [f for match in out for f in match.fills if f.order.owner is not None]:
                self._overlay.remember(ts, fill.order.sign * fill.qty, is_resting=True)
        if self._at == len(self._events):
            if self._repeat:
                self._at, self._origin = 0, ts + MS
            else:
                self.is_open = False
                self._withdraw()
        return out

    def reference_px(self) -> int:
        """No reference: a recorded market has no auctions."""
        return 0

    def crowd(self, tif: TimeInForce) -> list[Order]:
        """Nobody."""
        return []

    def _change(self, diff: Diff) -> list[Match]:
        """Set recorded levels: first all that shrink, so that the recording never crosses itself on the way."""
        grown: list[tuple[int, int, int]] = []
        for sign, levels in ((1, diff.bids), (-1, diff.asks)):
            for price_text, qty_text in levels:
                price, recorded = px(price_text) + self._moved, self._units(qty_text)
                if price <= 0:
                    continue
                was = self._recorded.get((sign, price), 0)
                if recorded > was:
                    grown.append((sign, price, recorded - was))
                self._set(sign, price, recorded)
        out = []
        for sign, price, more in grown:
            out += self._grow(sign, price, more)
        return out

    def _set(self, sign: int, price: int, recorded: int) -> None:
        """Remember what the recording says, and show no more than that."""
        if recorded:
            self._recorded[sign, price] = recorded
        else:
            self._recorded.pop((sign, price), None)
        level = self._book.side(sign).at(price)
        if level is None:
            return
        blocks = _blocks(level)
        excess = sum(b.leaves for b in blocks) - recorded
        for block in reversed(blocks):
            if excess <= 0:
                break
            less = min(excess, block.leaves)
            self._book.reduce(block, less)
            excess -= less

    def _grow(self, sign: int, price: int, more: int) -> list[Match]:
        """A recorded level gained `more`: it trades with clients it crosses, and the rest joins the queue's end."""
        self._clear(-sign, price)
        level = self._book.side(sign).at(price)
        if level is not None and (last := level.orders[-1]).owner is None and last.leaves:
            self._book.grow(last, more)
            return []
        fills = self._book.enter(Order(sign, price, more))
        return [Match(self._venue, sign, fills)] if fills else []

    def _trade(self, trade: Print) -> Match:
        price, traded = max(px(trade.px) + self._moved, self._tick), self._units(trade.qty)
        self._clear(-trade.sign, price, beyond=True)
        fills = self._book.take(trade.sign, traded, price)
        missing = traded - sum(f.qty for f in fills)
        if missing:
            fills.append(Fill(Order(-trade.sign, price, 0), price, missing))
        # The first of the recording's own changes to this level: the next difference contains it and repeats it.
        self._set(-trade.sign, price, max(self._recorded.get((-trade.sign, price), 0) - traded, 0))
        return Match(self._venue, trade.sign, fills)

    def _clear(self, sign: int, price: int, beyond: bool = False) -> None:
        """The recording has shown that nothing of its own stands on side `sign` at `price` or better (`beyond`: better only)."""
        ladder = self._book.side(sign)
        edge = price * sign + (1 if beyond else 0)
        for key in [k for k in ladder.keys[-1:-51:-1] if k >= edge]:
            self._set(sign, key * sign, 0)

    def _move(self, ts: int) -> list[Match]:
        """Move what is recorded to where clients have driven the price; it trades with those that it crosses now."""
        assert self._overlay is not None
        self._moved_ts = ts
        by = self._overlay.ticks(ts) * self._tick - self._moved
        if not by:
            return []
        standing: list[tuple[int, int, int, int]] = []  # sign, price, recorded, left
        for (sign, price), recorded in self._recorded.items():
            level = self._book.side(sign).at(price)
            standing.append((sign, price, recorded, sum(b.leaves for b in _blocks(level)) if level is not None else 0))
        self._withdraw()
        self._moved += by
        out: list[Match] = []
        # The best first, as they would have come; the side that the price leaves before the side that it comes to.
        for sign, price, recorded, left in sorted(standing, key=lambda s: (s[0] * by > 0, -s[0] * s[1])):
            if price + by > 0:
                self._recorded[sign, price + by] = recorded
                out += self._grow(sign, price + by, left) if left else []
        return out

    def _taken(self, qty: int) -> None:
        if self._overlay is not None and qty:
            self._overlay.remember(self._now(), qty, is_resting=False)

    def _now(self) -> int:
        """Of the last recorded event: clients trade between two of them."""
        return self._origin + self._events[max(self._at - 1, 0)].ts - self._events[0].ts

    def _units(self, text: str) -> int:
        """Recorded quantity in whole units: a few recorded levels carry dust below the smallest order, which is cut."""
        dust: int = 10 ** (RECORDED_DECIMALS - self._decimals)
        return qty(text, RECORDED_DECIMALS) // dust

    def _withdraw(self) -> None:
        """Take everything recorded out of the book."""
        for sign, price in list(self._recorded):
            self._set(sign, price, 0)


def measured(events: list[Event], instrument: Instrument) -> tuple[float, float]:
    """Of a recording: ticks that its trades' price moves per root of a second, looked at every ten seconds, and units traded per second."""
    prices: dict[int, int] = {}
    volume = 0
    for event in events:
        if isinstance(event, Print):
            prices[event.ts // (10 * SECOND)] = px(event.px)
            volume += qty(event.qty, RECORDED_DECIMALS) // 10 ** (RECORDED_DECIMALS - instrument.qty_decimals)
    seconds = (events[-1].ts - events[0].ts) / SECOND
    if seconds <= 0 or len(prices) < 2:
        return 0.0, 0.0
    moves = [(t1 - t0, (p1 - p0) / instrument.tick) for (t0, p0), (t1, p1) in pairwise(prices.items())]
    return sqrt(sum(move * move for _, move in moves) / (10 * sum(steps for steps, _ in moves))), volume / seconds


def read(lines: Iterable[bytes]) -> list[Event]:
    """A recording's snapshot, then its trades and differences in the exchange's order. Raises BrokenTape."""
    snapshot: dict[str, Any] | None = None
    diffs: list[dict[str, Any]] = []
    events: list[Event] = []
    for line in lines:
        message = msgspec.json.decode(line.partition(b" ")[2])
        if "lastUpdateId" in message:
            snapshot = message
        elif message["data"].get("e") == "depthUpdate":
            diffs.append(message["data"])
        elif message["data"].get("e") == "trade":
            trade = message["data"]
            # m: the buyer was the maker, so the aggressor sold.
            events.append(Print(trade["T"] * MS, -1 if trade["m"] else 1, trade["p"], trade["q"]))
    if snapshot is None:
        raise BrokenTape("the recording has no snapshot")
    last = snapshot["lastUpdateId"]
    kept = [d for d in diffs if d["u"] > last]
    if not kept or kept[0]["U"] > last + 1:
        raise BrokenTape(f"no difference continues the snapshot {last}")
    for before, after in pairwise(kept):
        if after["U"] != before["u"] + 1:
            raise BrokenTape(f"gap between differences {before['u']} and {after['U']}")
    start = kept[0]["E"] * MS
    events = [e for e in events if e.ts >= start] + [Diff(d["E"] * MS, d["b"], d["a"]) for d in kept]
    # A difference contains the trades of its own millisecond: they come first.
    events.sort(key=lambda e: (e.ts, isinstance(e, Diff)))
    return [Diff(start, snapshot["bids"], snapshot["asks"]), *events]


def _blocks(level: Level) -> list[Order]:
    return [o for o in level.orders if o.leaves and o.owner is None]
