"""A recorded market as a file of its own format, whoever recorded it; `tape_convert.py` makes such files.

Text, gzipped if the name ends in .gz. The first line is `algoserver-tape,1`; then a line an event, `ts,kind,side,px,qty`:

    ts     ns of any epoch; only differences count
    kind   S  a snapshot begins: every level is gone (side, px, qty empty)
           L  a level of `side` (B bid, S offer) shows `qty` now; 0: it is gone. Lines of one ts in a row are one change
           T  a trade; `side` is who came to trade: B, S, or empty where the recording does not say
    px, qty   decimal text

A recording is what somebody saw, and may be wrong. What is done about it, and `Repairs` counts it:

TPF-1: a line that is up to a second older than the one before is told at the time of that one; more than a second is refused.
TPF-2: a level that would lock or cross the other side is believed, and what it crosses there is gone. More than one change in twenty is refused.
TPF-3: a trade without a side belongs to the side whose best price it is nearer to; in the middle, to that of the trade before.
TPF-4: a minute without a line is a gap: it is counted, and the book stands through it as it was. Nothing is made up.
TPF-5: what is no line of the format, a price that is not positive, a level that is no multiple of the tick, a quantity below zero, and a file
without a level before its first trade are refused, with the number of the line. Nothing else is mended.
"""

import gzip
import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from algoserver.domain.types import SECOND, Instrument, px, px_text, qty

MARK = "algoserver-tape,1"
LATE_NS = SECOND
GAP_NS = 60 * SECOND
TS_MAX = 1 << 62  # ns of a year that nobody has recorded, and room to shift it
CROSSED_MAX = 0.05  # of all changes: more is not a recording of one book


class BrokenTape(Exception):
    """The recording can't be used; the text says what is wrong, and where."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What keeps a file from being read, garbage and broken compression among it, ends in BrokenTape with its name."""
    try:
        yield
    except OSError as error:
        raise BrokenTape(f"{path}: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BrokenTape(f"{path}: {error}") from error


class Diff(NamedTuple):
    """Recorded levels as (price, quantity) texts; quantity zero: the level is gone."""

    ts: int
    bids: list[list[str]]
    asks: list[list[str]]


class Print(NamedTuple):
    """A recorded trade. sign: +1 if the aggressor bought."""

    ts: int
    sign: int
    px: str
    qty: str


Event = Diff | Print


class Repairs(msgspec.Struct):
    """What a recording had, and what was mended. gap_s: the longest; missing: trades whose numbers were left out, as the source counts them."""

    changes: int = 0
    trades: int = 0
    late: int = 0
    crossed: int = 0
    unsided: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    missing: int = 0
    halts: int = 0

    def text(self) -> str:
        """For people: one line."""
        told = [f"{self.changes} changes of the book", f"{self.trades} trades"]
        for count, words in (
            (self.late, "lines out of order, put at the time of the line before"), (self.crossed, "levels crossed by a newer one, taken out"),
            (self.unsided, "trades without a side, given one by the nearer price"), (self.missing, "trades missing by their numbers"),
            (self.halts, "halts, which are not replayed"),
        ):  # fmt: skip
            told += [f"{count} {words}"] if count else []
        if self.gaps:
            told.append(f"{self.gaps} gaps of a minute or more, the longest {self.gap_s:.0f} s, through which the book stands")
        return "; ".join(told)


class Sorted:
    """Prices of one side of the recorded book, and how many units stand at each; keys as in `book.py`: the best is the largest."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.texts: dict[int, str] = {}

    def set(self, key: int, text: str, is_gone: bool) -> None:
        if is_gone:
            if key in self.texts:
                del self.texts[key]
                del self.keys[bisect_left(self.keys, key)]
        else:
            if key not in self.texts:
                insort(self.keys, key)
            self.texts[key] = text


def open_text(path: Path, mode: str) -> IO[str]:
    """A text file, gzipped by its name."""
    if path.name.endswith(".gz"):
        return gzip.open(path, f"{mode}t", newline="")  # type: ignore[return-value]  # its types do not read the mode: with t it is text
    return path.open(mode, newline="")


def write(path: Path, events: Iterable[Event]) -> None:
    """Write events in the format; the first must hold the book as it stands."""
    with open_text(path, "w") as file:
        file.write(MARK + "\n")
        for n, event in enumerate(events):
            if isinstance(event, Print):
                file.write(f"{event.ts},T,{'B' if event.sign > 0 else 'S' if event.sign < 0 else ''},{event.px},{event.qty}\n")
                continue
            if n == 0:
                file.write(f"{event.ts},S,,,\n")
            for side, levels in (("B", event.bids), ("S", event.asks)):
                for price, quantity in levels:
                    file.write(f"{event.ts},L,{side},{price},{quantity}\n")


def read(path: Path, instrument: Instrument) -> tuple[list[Event], Repairs]:
    """Events in order, the first the whole book, and what was mended. Raises BrokenTape."""
    with reading(path), open_text(path, "r") as file:
        if file.readline(len(MARK) + 2).strip() != MARK:
            raise BrokenTape(f"{path}: line 1: is not {MARK!r}")
        repairs = Repairs()
        events = list(mended(_lines(path, file), instrument, repairs, str(path)))
    return events, repairs


def mended(lines: Iterable[tuple[int, Event, bool]], instrument: Instrument, repairs: Repairs, name: str) -> Iterator[Event]:
    """The events of (line, event, is_snapshot), repaired and counted. Raises BrokenTape."""
    if instrument.tick <= 0:
        raise BrokenTape(f"{name}: a tick of {px_text(instrument.tick)} is not above 0")
    book = {1: Sorted(), -1: Sorted()}
    last_ts, last_sign, tick, is_first = None, 1, instrument.tick, True
    for line, event, is_snapshot in lines:
        if last_ts is not None and event.ts < last_ts:
            if event.ts < last_ts - LATE_NS:
                raise BrokenTape(f"{name}: line {line}: is {(last_ts - event.ts) / SECOND:.3f} s older than the one before")
            repairs.late += 1
            event = event._replace(ts=last_ts)
        if last_ts is not None and event.ts - last_ts >= GAP_NS:
            repairs.gaps += 1
            repairs.gap_s = max(repairs.gap_s, (event.ts - last_ts) / SECOND)
        last_ts = event.ts
        if isinstance(event, Print):
            if is_first:
                raise BrokenTape(f"{name}: line {line}: a trade before any level of the book")
            repairs.trades += 1
            if not event.sign:
                repairs.unsided += 1
                event = event._replace(sign=_side(px(event.px), book) or last_sign)
            last_sign = event.sign
            yield event
            continue
        repairs.changes += 1
        changed = _changed(event, is_snapshot, book, tick, repairs, f"{name}: line {line}")
        is_first = is_first and not (book[1].keys or book[-1].keys)
        yield changed
    if is_first:
        raise BrokenTape(f"{name}: has no level of a book")
    if repairs.crossed > max(10, CROSSED_MAX * repairs.changes):
        raise BrokenTape(f"{name}: {repairs.crossed} levels were crossed in {repairs.changes} changes: these are not the changes of one book")


def _changed(event: Diff, is_snapshot: bool, book: dict[int, Sorted], tick: int, repairs: Repairs, where: str) -> Diff:
    """The change as the book takes it: less first, so that it does not cross itself on the way."""
    out: dict[int, list[list[str]]] = {1: [], -1: []}
    wanted: list[tuple[int, int, list[str]]] = []
    said: set[tuple[int, int]] = set()
    for sign, levels in ((1, event.bids), (-1, event.asks)):
        for level in levels:
            price = px(level[0])
            if price <= 0 or price % tick:
                raise BrokenTape(f"{where}: {level[0]} is not a positive multiple of the tick")
            wanted.append((sign, price * sign, level))
            said.add((sign, price * sign))
    if is_snapshot:
        wanted += [(sign, key, [book[sign].texts[key], "0"]) for sign in (1, -1) for key in book[sign].keys if (sign, key) not in said]
    for is_gone in (True, False):
        for sign, key, level in wanted:
            if (qty(level[1], 8) == 0) is not is_gone:
                continue
            book[sign].set(key, level[0], is_gone)
            out[sign].append(level)
            other = book[-sign]
            while not is_gone and other.keys and other.keys[-1] >= -key:
                gone = other.keys[-1]
                out[-sign] = [lv for lv in out[-sign] if lv[0] != other.texts[gone]] + [[other.texts[gone], "0"]]
                other.set(gone, "", True)
                repairs.crossed += 1
    return Diff(event.ts, out[1], out[-1])


def _side(price: int, book: dict[int, Sorted]) -> int:
    """Who traded at a price: +1 a buyer, -1 a seller, 0 nobody knows."""
    bids, asks = book[1].keys, book[-1].keys
    if not bids or not asks:
        return 0
    twice = bids[-1] - asks[-1]
    return (2 * price > twice) - (2 * price < twice)


def _lines(path: Path, file: Iterable[str]) -> Iterator[tuple[int, Event, bool]]:
    """Events of a file's lines after the first: (line, event, is_snapshot). Raises BrokenTape."""
    change: Diff | None = None
    begun, is_snapshot = 0, False
    for number, raw in enumerate(file, 2):
        text = raw.strip()
        if not text:
            continue
        try:
            stamp, kind, side, price, quantity = text.split(",")
            ts = int(stamp)
            if not -TS_MAX < ts < TS_MAX:
                raise ValueError("its time is no time in nanoseconds")
            if kind == "S":
                if (side, price, quantity) != ("", "", ""):
                    raise ValueError("a snapshot's line has no more than its time")
            elif kind not in ("L", "T") or side not in ("B", "S", *([""] if kind == "T" else [])):
                raise ValueError("kind is not S, L or T, or the side not B or S")
            elif px(price) <= 0 or (open_qty := qty(quantity, 8)) < 0 or (kind == "T" and open_qty == 0):
                raise ValueError("price and quantity must be positive")
        except ValueError as error:
            raise BrokenTape(f"{path}: line {number}: {text[:60]!r}: {error}") from None
        if change is not None and (kind != "L" or ts != change.ts):
            yield begun, change, is_snapshot
            change = None
        if kind == "T":
            yield number, Print(ts, {"B": 1, "S": -1}.get(side, 0), price, quantity), False
            continue
        if change is None:
            change, begun, is_snapshot = Diff(ts, [], []), number, kind == "S"
        if kind == "L":
            (change.bids if side == "B" else change.asks).append([price, quantity])
    if change is not None:
        yield begun, change, is_snapshot
