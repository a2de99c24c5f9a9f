"""A recorded market drives one venue's book, and clients trade in it.

The recording: lines of `<receive time ns> <json>` from Binance: trades, depth differences every 100 ms (absolute
quantities per level) and one snapshot, joined by Binance's rule: differences up to the snapshot's lastUpdateId are
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
"""

import gzip
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from algoserver.domain.types import Instrument, TimeInForce, px, qty
from algoserver.recorded import TAPE
from algoserver.sim.book import Book, Fill, Level, Match, Order
from algoserver.sim.config import TapeConfig
from algoserver.sim.source import FOREVER, Source

MS = 1_000_000
RECORDED_DECIMALS = 8


class BrokenTape(Exception):
    """The recording has a gap or no snapshot; the text says where."""


class Diff(NamedTuple):
    """Recorded levels as (price, quantity) texts; quantity zero: the level is gone."""

    ms: int
    bids: list[list[str]]
    asks: list[list[str]]


class Print(NamedTuple):
    """A recorded trade. sign: +1 if the aggressor bought."""

    ms: int
    sign: int
    px: str
    qty: str


class Tape(Source):
    """The book of one instrument at one venue, moved by recorded events."""

    def __init__(self, instrument: Instrument, events: list[Diff | Print], venue: str, repeat: bool = False):
        self.books = {venue: Book()}
        self.is_open = False
        self._venue = venue
        self._book = self.books[venue]
        self._decimals = instrument.qty_decimals
        self._events = events  # the first is the snapshot
        self._repeat = repeat
        self._recorded: dict[tuple[int, int], int] = {}  # by sign and price
        self._origin = 0
        self._at = 0

    @classmethod
    def recorded(cls, instrument: Instrument, config: TapeConfig, venue: str) -> "Tape":
        """The recording that a scenario names. Raises BrokenTape."""
        path = TAPE.parent / config.file
        if path.parent != TAPE.parent or not path.is_file():
            raise BrokenTape(f"no recording {config.file}: there is {TAPE.name}")
        with gzip.open(path) as lines:
            return cls(instrument, read(lines), venue, config.repeat)

    def start(self, ts: int) -> None:
        self._origin = ts

    def next_ts(self) -> int:
        if self._at == len(self._events):
            return FOREVER
        return self._origin + (self._events[self._at].ms - self._events[0].ms) * MS

    def step(self) -> list[Match]:
        ts = self.next_ts()
        event = self._events[self._at]
        if self._at == 0:
            self.is_open = True
            self._withdraw()
        self._at += 1
        out = self._change(event) if isinstance(event, Diff) else [self._trade(event)]
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
                price, recorded = px(price_text), self._units(qty_text)
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
        price, traded = px(trade.px), self._units(trade.qty)
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

    def _units(self, text: str) -> int:
        """Recorded quantity in whole units: a few recorded levels carry dust below the smallest order, which is cut."""
        dust: int = 10 ** (RECORDED_DECIMALS - self._decimals)
        return qty(text, RECORDED_DECIMALS) // dust

    def _withdraw(self) -> None:
        """Take everything recorded out of the book."""
        for sign, price in list(self._recorded):
            self._set(sign, price, 0)


def read(lines: Iterable[bytes]) -> list[Diff | Print]:
    """A recording's snapshot, then its trades and differences in the exchange's order. Raises BrokenTape."""
    snapshot: dict[str, Any] | None = None
    diffs: list[dict[str, Any]] = []
    events: list[Diff | Print] = []
    for line in lines:
        message = msgspec.json.decode(line.partition(b" ")[2])
        if "lastUpdateId" in message:
            snapshot = message
        elif message["data"].get("e") == "depthUpdate":
            diffs.append(message["data"])
        elif message["data"].get("e") == "trade":
            trade = message["data"]
            # m: the buyer was the maker, so the aggressor sold.
            events.append(Print(trade["T"], -1 if trade["m"] else 1, trade["p"], trade["q"]))
    if snapshot is None:
        raise BrokenTape("the recording has no snapshot")
    last = snapshot["lastUpdateId"]
    kept = [d for d in diffs if d["u"] > last]
    if not kept or kept[0]["U"] > last + 1:
        raise BrokenTape(f"no difference continues the snapshot {last}")
    for before, after in pairwise(kept):
        if after["U"] != before["u"] + 1:
            raise BrokenTape(f"gap between differences {before['u']} and {after['U']}")
    start = kept[0]["E"]
    events = [e for e in events if e.ms >= start] + [Diff(d["E"], d["b"], d["a"]) for d in kept]
    # A difference contains the trades of its own millisecond: they come first.
    events.sort(key=lambda e: (e.ms, isinstance(e, Diff)))
    return [Diff(start, snapshot["bids"], snapshot["asks"]), *events]


def _blocks(level: Level) -> list[Order]:
    return [o for o in level.orders if o.leaves and o.owner is None]
