"""Other people's recordings as tapes (`tape_file.py`): LOBSTER, Binance's trades and aggregated trades, bars of a minute.

LOBSTER (message and order book file) has a book, and the tape is that book. The others have trades or bars only; there the book is made up,
and says so: around each trade five levels a side stand with `depth` units each, `spread` ticks apart, and come back after it.

CNV-1: what a LOBSTER level shows beyond the recorded levels is not known: what leaves their range stands as it was last seen.
CNV-2: a LOBSTER execution of a hidden order (type 5) is a trade that takes nothing shown. Halts (type 7) and crosses (type 6) are counted and
left out.
CNV-3: Binance's trades are numbered: numbers that are left out are counted as missing trades, and numbers that come twice or fall are refused.
CNV-4: a bar trades twelve times, evenly: from its open by its nearer extreme and the other one to its close; nearer is the low where it closes
above its open. Its volume is split evenly, what does not divide goes with the last. A bar whose prices are not between its low and high is refused.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from algoserver.domain.types import MINUTE, SECOND, Instrument, px, px_text, qty, qty_text
from algoserver.sim.tape_file import TS_MAX, BrokenTape, Diff, Event, Print, Repairs, mended, open_text, reading

LOBSTER_UNITS = 10_000  # prices are dollars times this
NOWHERE = -(1 << 62)  # below every key: an empty side
LOBSTER_EMPTY = 9_999_999_999  # where a side has fewer levels than the file
BAR_TRADES = 12
LEVELS = 5  # a side of a book that is made up
MEAN_DEPTH = 5  # mean trades at each of them, unless it is said


class Made(NamedTuple):
    """A book that is made up. spread: ticks between its sides; depth: units at a level, 0: five mean trades."""

    spread: int = 1
    depth: int = 0


class Trade(NamedTuple):
    """sign: 0 where the source does not say."""

    line: int
    ts: int
    sign: int
    px: int
    qty: int


def convert(kind: str, paths: list[Path], instrument: Instrument, made: Made) -> tuple[list[Event], Repairs]:
    """Events of a recording, and what was mended of it. kind: one of KINDS. Raises BrokenTape, OSError."""
    repairs = Repairs()
    try:
        rows = KINDS[kind](paths, instrument, made, repairs)
        return list(mended(rows, instrument, repairs, str(paths[0]))), repairs
    except csv.Error as error:
        raise BrokenTape(f"{paths[0]}: {error}") from error


# LOBSTER.


def lobster(paths: list[Path], instrument: Instrument, made: Made, repairs: Repairs) -> Iterator[tuple[int, Event, bool]]:
    """A message file and its order book file: row n of one is the book after row n of the other."""
    if len(paths) != 2:
        raise BrokenTape("LOBSTER needs two files: messages, then the order book")
    before: dict[int, dict[int, int]] = {1: {}, -1: {}}
    with reading(paths[0]), open_text(paths[0], "r") as messages, reading(paths[1]), open_text(paths[1], "r") as books:
        wide = iter(csv.reader(books))
        line = 0
        for line, message in enumerate(csv.reader(messages), 1):
            where = f"{paths[0]}: line {line}"
            row = next(wide, None)
            if row is None:
                raise BrokenTape(f"{where}: {paths[1].name} has fewer lines")
            try:
                ts, kind, size, price, resting = _ns(message[0]), int(message[1]), int(message[3]), int(message[4]), int(message[5])
                after = _window(row)
            except (ValueError, IndexError) as error:
                raise BrokenTape(f"{where}: {error}") from None
            if kind in (6, 7):
                repairs.halts += 1
            if kind in (4, 5):
                if size <= 0 or price <= 0 or resting not in (1, -1):
                    raise BrokenTape(f"{where}: an execution without size, price or side")
                # The side is the resting order's; hidden ones do not say what they took.
                if line > 1:
                    yield line, Print(ts, -resting, _price(price), str(size)), False
            if line == 1:
                yield line, _diff(ts, {1: {}, -1: {}}, after), True
                before = after
                continue
            change = _diff(ts, {side: _gone(before[side], after[side]) for side in (1, -1)}, after)
            for side in (1, -1):
                worst = min(after[side], default=NOWHERE)
                before[side] = {key: units for key, units in before[side].items() if key < worst} | after[side]
            if change.bids or change.asks:
                yield line, change, False
        if next(wide, None) is not None:
            raise BrokenTape(f"{paths[1]}: line {line + 1}: {paths[0].name} has fewer lines")


def _window(row: list[str]) -> dict[int, dict[int, int]]:
    """A row of the order book file by side: units by key, the best is the largest."""
    found: dict[int, dict[int, int]] = {1: {}, -1: {}}
    if not row or len(row) % 4:
        raise ValueError("the order book's line is no multiple of four columns")
    for i in range(0, len(row), 4):
        for side, price, size in ((-1, int(row[i]), int(row[i + 1])), (1, int(row[i + 2]), int(row[i + 3]))):
            if abs(price) != LOBSTER_EMPTY and size > 0:
                found[side][side * price] = size
    return found


def _gone(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """What of `before` the new window shows, or would show if it were there."""
    worst = min(after, default=NOWHERE)
    return {key: units for key, units in before.items() if key >= worst}


def _diff(ts: int, before: dict[int, dict[int, int]], after: dict[int, dict[int, int]]) -> Diff:
    levels: dict[int, list[list[str]]] = {1: [], -1: []}
    for side in (1, -1):
        for key in sorted(before[side].keys() | after[side].keys(), reverse=True):
            units = after[side].get(key, 0)
            if before[side].get(key) != units:
                levels[side].append([_price(side * key), str(units)])
    return Diff(ts, levels[1], levels[-1])


def _price(units: int) -> str:
    return f"{units // LOBSTER_UNITS}.{units % LOBSTER_UNITS:04d}"


def _ns(seconds: str) -> int:
    """Seconds as decimal text to ns, exactly."""
    whole, _, part = seconds.partition(".")
    if not whole.isdecimal() or len(part) > 9 or (part and not part.isdecimal()):
        raise ValueError(f"{seconds[:40]!r} is no time in seconds")
    if int(whole) * SECOND >= TS_MAX:
        raise ValueError(f"{seconds[:40]!r} is no time of a day")
    return int(whole) * SECOND + int(part.ljust(9, "0"))


# Trades, and a book that is made up around them.


def binance(paths: list[Path], instrument: Instrument, made: Made, repairs: Repairs) -> Iterator[tuple[int, Event, bool]]:
    """Files of `trades` or `aggTrades`, one after the other, told apart by their columns."""
    yield from around(list(_binance_trades(paths, instrument, repairs)), instrument, made, paths[0])


def _binance_trades(paths: list[Path], instrument: Instrument, repairs: Repairs) -> Iterator[Trade]:
    last = -1
    for path in paths:
        with reading(path), open_text(path, "r") as file:
            for line, row in enumerate(csv.reader(file), 1):
                if line == 1 and row and not row[0].isdecimal():
                    continue  # futures' files begin with names
                try:
                    # trades: id, price, qty, quote_qty, time, is_buyer_maker(, is_best_match); aggTrades: id, price, qty, first, last, time, ...
                    is_sum = row[5].strip().isdecimal()
                    first, until = (int(row[3]), int(row[4])) if is_sum else (int(row[0]), int(row[0]))
                    ts, maker = int(row[5 if is_sum else 4]), row[6 if is_sum else 5].strip().lower()
                    price, units = px(row[1]), _units(row[2], instrument)
                    ts *= 1_000 if ts > 10**14 else 1_000_000  # ms, and us since 2025
                    if maker not in ("true", "false") or price <= 0 or units < 0 or first > until or not 0 <= ts < TS_MAX:
                        raise ValueError("price, quantity, time, numbers or side make no sense")
                except (ValueError, IndexError) as error:
                    raise BrokenTape(f"{path}: line {line}: {error}") from None
                if first <= last:
                    raise BrokenTape(f"{path}: line {line}: trade {first} comes after trade {last}")
                repairs.missing += first - last - 1 if last >= 0 else 0
                last = until
                if units:
                    yield Trade(line, ts, -1 if maker == "true" else 1, price, units)


def bars(paths: list[Path], instrument: Instrument, made: Made, repairs: Repairs) -> Iterator[tuple[int, Event, bool]]:
    """Files with a line of names: time, open, high, low, close, volume, in any order. time: epoch s or ms, or ISO text (UTC if it does not say)."""
    yield from around([trade for path in paths for trade in _bar_trades(path, instrument)], instrument, made, paths[0])


def _bar_trades(path: Path, instrument: Instrument) -> Iterator[Trade]:
    tick = instrument.tick
    with reading(path), open_text(path, "r") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
        lacking = {"time", "open", "high", "low", "close", "volume"} - set(reader.fieldnames)
        if lacking:
            raise BrokenTape(f"{path}: line 1: lacks {', '.join(sorted(lacking))}")
        twice = next((name for name in reader.fieldnames if reader.fieldnames.count(name) > 1), "")
        if twice:
            raise BrokenTape(f"{path}: line 1: has {twice!r} twice")
        for line, row in enumerate(reader, 2):
            try:
                if None in row or None in row.values():
                    raise ValueError("has more or fewer cells than the line of names")
                ts = _time(row["time"])
                first, high, low, last = (px(row[name]) for name in ("open", "high", "low", "close"))
                volume = _units(row["volume"], instrument)
                if not 0 < low <= min(first, last) <= max(first, last) <= high or volume < 0:
                    raise ValueError("its open and close are not between its low and high, or its volume is negative")
            except ValueError as error:
                raise BrokenTape(f"{path}: line {line}: {error}") from None
            corners = [first, low, high, last] if last >= first else [first, high, low, last]
            each, before = volume // BAR_TRADES, first
            for n in range(BAR_TRADES):
                at = 3 * n / (BAR_TRADES - 1)
                i = min(int(at), 2)
                price = max(tick, round((corners[i] + (corners[i + 1] - corners[i]) * (at - i)) / tick) * tick)
                units = volume - each * (BAR_TRADES - 1) if n == BAR_TRADES - 1 else each
                if units:
                    yield Trade(line, ts + n * MINUTE // BAR_TRADES, (price > before) - (price < before), price, units)
                before = price


def around(trades: list[Trade], instrument: Instrument, made: Made, path: Path) -> Iterator[tuple[int, Event, bool]]:
    """Trades of `path`, each with the book that is made up for it."""
    if not trades:
        raise BrokenTape(f"{path}: has no trade of a whole unit; quantities have {instrument.qty_decimals} decimals (--decimals)")
    tick, d = instrument.tick, instrument.qty_decimals
    depth = made.depth or max(instrument.lot, MEAN_DEPTH * sum(t.qty for t in trades) // len(trades) // instrument.lot * instrument.lot)
    full = qty_text(depth, d)
    standing: dict[int, dict[int, int]] = {1: {}, -1: {}}
    last_sign, bid = 1, 0
    for n, trade in enumerate(trades):
        sign = trade.sign or last_sign
        last_sign = sign
        # Trades off the tick are inside the spread: the book is the one of the ticks around them.
        touch = trade.px // tick * tick if sign < 0 else -(-trade.px // tick) * tick
        bid = touch if sign < 0 else touch - made.spread * tick
        wanted = {
            side: {side * px_: depth for px_ in (at - side * k * tick for k in range(LEVELS)) if px_ > 0}
            for side, at in ((1, bid), (-1, bid + made.spread * tick))
        }
        levels: dict[int, list[list[str]]] = {}
        for side in (1, -1):
            gone = [[px_text(side * key), "0"] for key in standing[side] if key not in wanted[side]]
            levels[side] = gone + [[px_text(side * key), full] for key in wanted[side] if standing[side].get(key) != depth]
        if n == 0 or levels[1] or levels[-1]:
            yield trade.line, Diff(trade.ts, levels[1], levels[-1]), n == 0
        yield trade.line, Print(trade.ts, sign, px_text(trade.px), qty_text(trade.qty, d)), False
        key = -sign * touch
        wanted[-sign][key] = max(0, depth - trade.qty)  # what it took comes back with the next
        standing = wanted


def _units(text: str, instrument: Instrument) -> int:
    """Whole units; what is below the smallest one is cut."""
    return int(qty(text.strip(), 8)) // int(10 ** (8 - instrument.qty_decimals))


def _time(text: str) -> int:
    """Epoch seconds or ms, or ISO text, to ns."""
    if text.strip().isdecimal():
        number = int(text)
        ts = number * (1_000_000 if number > 10**11 else SECOND)
        if ts >= TS_MAX:
            raise ValueError(f"{text[:40]!r} is no time in seconds or ms")
        return ts
    moment = datetime.fromisoformat(text.strip())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND


Source = Callable[[list[Path], Instrument, Made, Repairs], Iterable[tuple[int, Event, bool]]]
KINDS: dict[str, Source] = {"lobster": lobster, "binance": binance, "bars": bars}
