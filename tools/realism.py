"""What the reacting market looks like, against what markets look like: a table of gates, measured over stated seeds.

Every seed is a day of its own. Impact is paired: the same seed with and without a client who buys for twenty minutes, so that
what the price did anyway is taken off. An interval is the 95 % bootstrap over seeds, and a gate is passed if all of it is inside the target.
Where the targets come from: docs/simulator.md.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from algoserver.domain.types import DAY, MINUTE, SECOND, utc
from algoserver.sim import array_book as a
from algoserver.sim import flow_kernel as kernel
from algoserver.sim.book import Order
from algoserver.sim.config import InstrumentConfig, Scenario, load
from algoserver.sim.reacting import Reacting
from algoserver.sim.volume import recorded_bins

ROOT = Path(__file__).resolve().parents[1]
DATE = "20190628"
SHARES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # of the background volume that the client buys, in twenty minutes
QUICK_SHARES = (0.02, 0.08, 0.32)
BUYING, AFTER = 20, 60  # minutes
EVERY = 5  # seconds between two of his orders
MARKOUT_S = 10  # seconds after a fill at which the mid is looked at again
DAYS = 30  # in a row, for the memory of a day's volume
COARSE = 100  # how much larger the crowd's orders are then
LAGS = (1, 10, 50)
HORIZONS = (1, 10, 60, 300)
RESAMPLES = 1_000
PARTS = ["impact", "day", "markouts", "days"]
Array = NDArray[np.float64]


class Gate(msgspec.Struct, frozen=True):
    """A line of the table. interval: of the mean over seeds; empty where there is nothing to average."""

    name: str
    target: str
    measured: float
    interval: tuple[float, float] | None
    passed: bool


class Market(NamedTuple):
    """One instrument of a scenario, as a market of its own."""

    scenario: Scenario
    instrument: InstrumentConfig

    def start(self, seed: int, ts: int) -> Reacting:
        """Open at `ts`."""
        assert self.instrument.reacting is not None
        lit = self.scenario.lit_venues
        made = Reacting(self.instrument.instrument(), self.instrument.reacting, self.scenario.session, lit, seed)
        made.start(ts)
        made.run(ts)
        return made

    def open_ts(self) -> int:
        return self.scenario.session.window(utc(f"{DATE}-00:00:00"))[0]


def until(market: Reacting, ts: int) -> list[tuple[int, int, int]]:
    """Run to `ts`; (time, sign, quantity) of each trade. Fills of a client do not end it."""
    trades = []
    while market.next_ts() <= ts:
        trades += [(at, match.sign, sum(f.qty for f in match.fills)) for at, matches in market.run(ts) for match in matches]
    return trades


def mid(market: Reacting) -> float:
    """Consolidated, in ticks."""
    kernel.look(market.shelf.arrays, market.k, market.x)
    return (int(market.k[kernel.BID]) + int(market.k[kernel.ASK])) / 2


def imbalance(market: Reacting) -> float:
    """Of the best queues of all venues, -1 to 1."""
    b, quantities = market.shelf.arrays, [0, 0]
    kernel.look(b, market.k, market.x)
    for side, key in ((0, int(market.k[kernel.BID])), (1, -int(market.k[kernel.ASK]))):
        quantities[side] = sum(a.best_qty(b, s) for s in range(side, int(b[a.SIDES]), 2) if a.best(b, s) == key)
    return (quantities[0] - quantities[1]) / max(sum(quantities), 1)


# One seed.


def impact(market: Market, seed: int, shares: tuple[float, ...]) -> dict[str, Any]:
    """Mid with the client less mid without him, in ticks: by share at the end of the buying; of the largest also 20 and 60 minutes after it."""
    begin = market.open_ts() + 150 * MINUTE

    def walk(share: float) -> list[float]:
        world = market.start(seed, begin)
        until(world, begin + MINUTE)
        books = list(world.books.values())
        debt = bought = 0.0
        seen = []
        for second in range(0, (BUYING + AFTER) * 60, EVERY):
            if second < BUYING * 60 and share:
                debt += share * world.rate * EVERY
                qty = int(debt)
                for book in sorted(books, key=lambda b: b.asks.best_px() or 1 << 60):
                    fills = book.take(1, qty) if qty > 0 else []
                    done = sum(f.qty for f in fills)
                    debt -= done
                    bought += done
                    qty -= done
            until(world, begin + MINUTE + (second + EVERY) * SECOND)
            minutes = (second + EVERY) / 60
            if minutes in (BUYING, BUYING + 20, BUYING + AFTER):
                seen.append(mid(world))
        return seen

    without = walk(0.0)
    paths = {share: [m - w for m, w in zip(walk(share), without, strict=True)] for share in shares}
    return {"end": [paths[s][0] for s in shares], "after20": [paths[s][1] for s in shares], "after60": [paths[s][2] for s in shares]}


def day(market: Market, seed: int, minutes: int) -> dict[str, Any]:
    """The first `minutes` of a day second by second, and a client who rests one small order at a time at the best bid or offer."""
    begin = market.open_ts()
    world = market.start(seed, begin)
    seconds = minutes * 60 - 1
    mids, tilts, volume, signs, empty = np.zeros(seconds), np.zeros(seconds), np.zeros(seconds), [], 0
    for s in range(seconds):
        for _, sign, qty in until(world, begin + (s + 1) * SECOND):
            signs.append(sign)
            volume[s] += qty
        mids[s], tilts[s] = mid(world), imbalance(world)
        empty += any(side.best_px() is None for book in world.books.values() for side in (book.bids, book.asks))
    moves = mids[5:] - mids[:-5]
    signed = np.asarray(signs, np.float64)
    return {
        "auc": auc(tilts[:-5][moves > 0], tilts[:-5][moves < 0]),
        "signal": float(np.corrcoef(tilts[:-5], moves)[0, 1]),
        "kurtosis": [kurtosis(returns(mids, h)) for h in HORIZONS],
        "memory": [correlation(signed, lag) for lag in LAGS],
        "returns": [correlation(returns(mids, h), 1) for h in (10, 30, 60)],
        "moving": 60 * float(np.mean(returns(mids, 1) != 0)),
        "empty": 100 * empty / seconds,
        "quarters": [float(volume[at : at + 900].sum()) for at in range(0, seconds, 900)],
        "volume": float(volume.sum() / (world.rate * np.mean(world.weather[: seconds * 10]) * seconds)),
        "signature": [float(np.mean(returns(mids, h) ** 2) / h) for h in (1, 2, 5, 10, 30, 60, 300)],
    }


def markouts(market: Market, seed: int, minutes: int) -> list[float]:
    """A client rests the crowd's smallest order at the best price, buying and selling in turn, for a minute at most. How far the mid
    moved his way from just before each fill to some seconds after it, in ticks."""
    ts = market.open_ts() + 60 * MINUTE
    end, sign, found = ts + minutes * MINUTE, 1, []
    world = market.start(seed, ts)
    assert market.instrument.reacting is not None
    book = next(iter(world.books.values()))
    while ts < end:
        best = book.side(sign).best_px()
        until(world, ts := ts + SECOND)
        if best is None or best != book.side(sign).best_px():
            continue
        order = Order(sign, best, market.instrument.reacting.unit_qty, owner="client")
        book.enter(order)
        for _ in range(120):
            before = mid(world)
            until(world, ts := ts + SECOND // 2)
            if not order.leaves:
                until(world, ts := ts + MARKOUT_S * SECOND)
                found.append(sign * (mid(world) - before))
                break
        else:
            book.cancel(order)
        sign = -sign
    return found


def days(market: Market, seed: int, count: int = DAYS) -> list[list[float]]:
    """Volume of days in a row, by quarters of an hour. So many days are run in larger orders and fewer of them, which need a calmer price.

    The correlation of a day with the next comes out low by about (1 + 3 rho) / days where the days' own mean is taken off: 0.09 of thirty at
    0.6. That is left in: it makes the gate harder, and what a study of some weeks sees is that.
    """
    opens = market.open_ts()
    crowd = market.instrument.reacting
    assert crowd is not None
    coarse = msgspec.structs.replace(crowd, unit_qty=COARSE * crowd.unit_qty, sigma_daily=crowd.sigma_daily / COARSE)
    world = market._replace(instrument=msgspec.structs.replace(market.instrument, reacting=coarse)).start(seed, opens)
    found = []
    for n in range(count):
        quarters = [0.0] * 26
        for ts, _, qty in until(world, opens + n * DAY + 391 * MINUTE):
            quarters[min((ts - opens - n * DAY) // (15 * MINUTE), 25)] += qty
        found.append(quarters)
    return found


def tape(market: Market, seed: int, minutes: int = 2) -> str:
    """Hash of every trade of the first minutes, with a client in them."""
    begin = market.open_ts()
    world = market.start(seed, begin)
    digest = hashlib.sha256()
    book = next(iter(world.books.values()))
    for second in range(0, minutes * 60, 10):
        digest.update(repr(until(world, begin + second * SECOND)).encode())
        digest.update(repr([(f.px, f.qty) for f in book.take(1 - 2 * (second // 10 % 2), 500)]).encode())
        digest.update(repr([b.top(10) for b in world.books.values()]).encode())
    return digest.hexdigest()


# Numbers.


def returns(mids: Array, horizon: int) -> Array:
    """Moves over `horizon` seconds, one after the other."""
    return np.diff(mids[::horizon])


def kurtosis(values: Array) -> float:
    away = values - values.mean()
    return float((away**4).mean() / max((away**2).mean() ** 2, 1e-12))


def correlation(values: Array, lag: int) -> float:
    """With itself, `lag` later."""
    away = values - values.mean()
    return float((away[lag:] * away[:-lag]).mean() / max((away**2).mean(), 1e-12))


def auc(ups: Array, downs: Array) -> float:
    """Chance that one of `ups` is larger than one of `downs`, a tie counts half."""
    _, place, count = np.unique(np.concatenate([ups, downs]), return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[: len(ups)].sum() - len(ups) * (len(ups) + 1) / 2) / max(len(ups) * len(downs), 1))


def exponent(ends: Array) -> float:
    """Slope of the log of mean impact over the log of size. ends: rows are seeds, columns shares."""
    shares = SHARES if ends.shape[1] == len(SHARES) else QUICK_SHARES
    return float(np.polyfit(np.log(shares), np.log(np.maximum(ends.mean(axis=0), 1e-3)), 1)[0])


def bootstrap(rows: Array, figure: Callable[[Array], float]) -> tuple[float, tuple[float, float]]:
    """The figure of all rows, and its 95 % interval over resampled rows."""
    rng = np.random.default_rng(1)
    drawn = [figure(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return figure(rows), (float(low), float(high))


# All of it.


def measure(task: tuple[Market, int, bool, list[str]]) -> dict[str, Any]:
    """The wanted parts of one seed."""
    market, seed, is_quick, parts = task
    found: dict[str, Any] = {}
    if "impact" in parts:
        found |= impact(market, seed, QUICK_SHARES if is_quick else SHARES)
    if "day" in parts:
        found |= day(market, seed, 60 if is_quick else 390)
    if "markouts" in parts:
        found["markouts"] = markouts(market, seed, 40 if is_quick else 120)
    if "days" in parts:
        found["days"] = days(market, seed, 20 if is_quick else DAYS)
    return found


def edges(quarters: Array) -> tuple[float, float]:
    """Mean volume of a quarter of the first and of the last hour, over one around midday. quarters: a row a day."""
    midday = quarters[:, 9:17].mean()
    return float(quarters[:, :4].mean() / midday), float(quarters[:, -4:].mean() / midday)


def gates(rows: list[dict[str, Any]], hashes: list[str], is_quick: bool, shape: Array) -> list[Gate]:
    """The table. shape: the recorded days' volumes by quarters of an hour, one row."""

    def mean(values: Array) -> float:
        return float(values.mean())

    def column(name: str, *path: int) -> Array:
        return np.asarray([row[name][path[0]] if path else row[name] for row in rows], np.float64)

    out: list[Gate] = []

    def gate(name: str, low: float, high: float, values: Array, figure: Callable[[Array], float] = mean) -> None:
        measured, interval = bootstrap(values, figure)
        target = f"{low:g} to {high:g}" if np.isfinite(high) and np.isfinite(low) else f"above {low:g}" if np.isfinite(low) else f"below {high:g}"
        target = target if np.isfinite(low) or np.isfinite(high) else "none"
        passed = interval[1] >= low and interval[0] <= high if is_quick else low <= interval[0] and interval[1] <= high
        out.append(Gate(name, target, measured, interval, passed))

    inf = float("inf")
    if "end" in rows[0]:
        ends, later, last = (np.asarray([row[key] for row in rows]) for key in ("end", "after20", "after60"))
        gate("impact: exponent of size", 0.4, 0.7, ends, exponent)
        both = np.stack([large[:, -2:].sum(axis=1) for large in (ends, later, last)], axis=1)
        gate("impact: left after 20 minutes", 0.4, 0.8, both, lambda b: float(b[:, 1].mean() / b[:, 0].mean()))
        gate("impact: left after 60 minutes, of that after 20", 0.0, 0.9, both, lambda b: float(b[:, 2].mean() / b[:, 1].mean()))
    # Larger orders flatten the day by a thirtieth: where whole days of the crowd as it is were measured, its hours are theirs.
    hours = [row["quarters"] for row in rows if not is_quick] if "auc" in rows[0] else []
    if is_quick and "days" in rows[0]:
        hours = [np.mean(row["days"], axis=0) for row in rows]
    if hours:
        gate("volume: first and last hour over midday", 1.5, 3.0, np.asarray(hours), lambda q: sum(edges(q)) / 2)
        # Hour by hour the market is held to the days that it is shaped by: some of them have more in their first than a market at large.
        opening, closing = edges(shape)
        gate("volume: first hour over midday, by the recorded", 0.9, 1.1, np.asarray(hours), lambda q: edges(q)[0] / opening)
        gate("volume: last hour over midday, by the recorded", 0.9, 1.1, np.asarray(hours), lambda q: edges(q)[1] / closing)
    if "days" in rows[0]:
        logs = np.log(np.asarray([row["days"] for row in rows]).sum(axis=2))
        gate("volume: of a day with the next, logs", 0.3, 1.0, logs, lambda d: float(np.mean([correlation(x, 1) for x in d])))
    if "auc" in rows[0]:
        gate("volume: measured over configured", 0.8, 1.25, column("volume"))
        gate("imbalance: AUC of the next 5 s", 0.55, 0.7, column("auc"))
        gate("imbalance: correlation with the next 5 s", 0.1, 0.3, column("signal"))
        tails = np.asarray([row["kurtosis"] for row in rows])
        gate("returns: kurtosis at 1 s", 4.0, inf, tails[:, 0], lambda k: float(np.median(k)))
        for i in range(1, len(HORIZONS)):
            name = f"returns: kurtosis at {HORIZONS[i]} s less that at {HORIZONS[i - 1]} s"
            gate(name, -inf, 0.0, tails[:, i - 1 : i + 1], lambda k: float(np.median(k[:, 1] - k[:, 0])))
        for i, horizon in enumerate((10, 30, 60)):
            gate(f"returns: correlation with the next, {horizon} s", -0.1, 0.1, column("returns", i))
        walk = np.asarray([row["signature"] for row in rows])
        for i, horizon in ((0, 1), (2, 5)):
            gate(f"returns: variance a second, {horizon} s by 60 s", -inf, inf, walk[:, [i, 5]], lambda v: float(v[:, 0].mean() / v[:, 1].mean()))
        gate("mid: seconds of a minute in which it moves", -inf, inf, column("moving"))
        gate("books: % of seconds that end with an empty side", -inf, inf, column("empty"))
        for i, lag in enumerate(LAGS):
            gate(f"signs of trades: correlation at lag {lag}", 0.02, 1.0, column("memory", i))
    if "markouts" in rows[0]:
        away = np.asarray([[sum(row["markouts"]), len(row["markouts"])] for row in rows], np.float64)
        gate(f"passive fills: move of the mid in {MARKOUT_S} s, ticks", -inf, 0.0, away, lambda m: float(m[:, 0].sum() / max(m[:, 1].sum(), 1)))
    kinds = len(set(hashes))
    out.append(Gate("the same seed: tapes, compiled and not", "1", kinds, None, kinds == 1))
    return out


def table(found: list[Gate]) -> str:
    """For a terminal."""
    lines = [f"{'metric':52} {'target':>12} {'measured':>9}  {'interval':18} passed"]
    for g in found:
        interval = f"{g.interval[0]:8.3f} {g.interval[1]:8.3f}" if g.interval else ""
        lines.append(f"{g.name:52} {g.target:>12} {g.measured:9.3f}  {interval:18} {'yes' if g.passed else 'NO'}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and say by the exit status whether all gates passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "cfg" / "sim-reacting.toml", help="a scenario")
    parser.add_argument("--symbol", default="AAPL", help="an instrument of it with a reacting crowd")
    parser.add_argument("--seeds", default="1:101", help="A:B, the last is not taken")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="shorter days; then a gate passes unless all of its interval is outside")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--tape", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    first, last = (int(x) for x in args.seeds.split(":"))
    scenario = load(args.config)
    [instrument] = [i for i in scenario.instruments if i.symbol == args.symbol and i.reacting]
    assert instrument.reacting is not None
    market, shape = Market(scenario, instrument), np.asarray([recorded_bins(instrument.reacting.recorded, instrument.reacting.day)], np.float64)
    if args.tape:
        print(tape(market, first))
        return 0
    with ProcessPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(measure, [(market, seed, args.quick, args.only or PARTS) for seed in range(first, last)]))
    again = [sys.executable, __file__, "--tape", "--config", str(args.config), "--symbol", args.symbol, "--seeds", args.seeds]
    plain = subprocess.run(again, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True)
    found = gates(rows, [tape(market, first), tape(market, first), plain.stdout.strip()], args.quick, shape)
    if args.json:
        print(json.dumps({"symbol": args.symbol, "seeds": args.seeds, "gates": msgspec.to_builtins(found)}))
    else:
        print(table(found))
    return 0 if all(g.passed for g in found) else 1


if __name__ == "__main__":
    sys.exit(main())
