"""24 hours at three venues in five instruments, as fast as it goes, with clients who trade: is memory flat, do books and reports agree?

Clients rest, take, replace and cancel, seeded, in every other market hour: what memory grows by in the hours without them is not theirs. What they
are told is booked apart, from the reports alone; each market hour that is compared with what the venues' books hold: each order that lives by its
reports stands there with what it has left, at its price, and nobody else's. With --days the hours of each day are compared with those of the day
before: venues forget at midnight (days.py). With --fix the simulator is a process of its own (endurance_fix.py).
"""

import argparse
import gc
import json
import os
import random
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from algoserver.domain.types import SECOND, OrdStatus, Side, TimeInForce, utc
from algoserver.sim.config import InstrumentConfig, ReactingConfig, Scenario, SessionHours, VenueConfig, load
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import (
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    Rejected,
    Report,
    Trade,
    TradePrint,
)
from tools import endurance_fix

ROOT = Path(__file__).resolve().parents[1]
HOUR = 3_600 * SECOND
LIVE = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
CLIENTS = ("A", "B", "C")


def scenario(crowd: str) -> Scenario:
    """Three lit venues that never close, and five instruments: the shipped ones, some of them again under another name."""
    shipped = load(ROOT / "cfg" / ("sim.toml" if crowd == "flow" else "sim-reacting.toml"))
    venues = [VenueConfig(name=n, share=s) for n, s in (("XLIT1", 0.5), ("XLIT2", 0.3), ("XLIT3", 0.2))]
    listed = [i for i in shipped.instruments if i.crowd]
    every: list[InstrumentConfig] = []
    for n in range(5):
        i = listed[n % len(listed)]
        i = msgspec.structs.replace(i, symbol=f"{i.symbol}{n}" if n >= len(listed) else i.symbol)
        assert i.crowd is not None
        # Orders in larger units and fewer of them, so that a day takes minutes.
        coarse = {"reacting": msgspec.structs.replace(i.reacting, unit_qty=5 * i.reacting.unit_qty)} if isinstance(i.reacting, ReactingConfig) else {}
        every.append(msgspec.structs.replace(i, **coarse))
    return Scenario(seed=1, venues=venues, instruments=every, book_interval_ms=1_000, session=SessionHours(open="00:00", close="24:00"))


class Told:
    """What reports say: orders by OrderID as the last one had them, what was traded, and how many of each kind came."""

    def __init__(self) -> None:
        self.live: dict[str, Report] = {}
        self.orders = self.fills = self.rejected = 0
        self.bought: dict[str, int] = {}  # by symbol, signed
        self.filled: dict[str, int] = {}  # by OrderID, of those that live
        self.printed: dict[tuple[str, str], int] = {}
        self.wrong: list[str] = []

    def hear(self, answers: list[Any]) -> None:
        for a in answers:
            if isinstance(a, TradePrint):
                self.printed[a.venue, a.symbol] = self.printed.get((a.venue, a.symbol), 0) + a.qty
            elif isinstance(a, Report):
                self._report(a)

    def _report(self, a: Report) -> None:
        self.rejected += isinstance(a, Rejected)
        if isinstance(a, Trade):
            self.fills += 1
            self.bought[a.symbol] = self.bought.get(a.symbol, 0) + a.side.sign * a.last_qty
            self.filled[a.order_id] = self.filled.get(a.order_id, 0) + a.last_qty
        if not isinstance(a, Rejected) and self.filled.get(a.order_id, 0) != a.cum_qty:
            self.wrong.append(f"{a.exec_id}: CumQty {a.cum_qty}, its fills sum to {self.filled.get(a.order_id, 0)}")
        if a.ord_status in LIVE:
            self.live[a.order_id] = a
        else:
            self.live.pop(a.order_id, None)
            self.filled.pop(a.order_id, None)


def drift(exchange: Exchange, told: Told) -> list[str]:
    """Where books and reports differ."""
    found, told.wrong = told.wrong, []
    stands = {}
    for symbol in exchange.instruments:
        for venue, book in exchange.source(symbol).books.items():
            for order in book.live():
                if order.owner is not None:
                    stands[order.owner.order_id] = (venue, symbol, order.px, order.open_qty())
            bids, asks = book.top(1)
            if bids and asks and bids[0][0] >= asks[0][0]:
                found.append(f"{venue} {symbol} is crossed: {bids[0][0]} {asks[0][0]}")
    says = {i: (r.venue, r.symbol, r.px, r.leaves_qty) for i, r in told.live.items()}
    found += [f"{i}: the reports say {says.get(i)}, the book {stands.get(i)}" for i in stands.keys() | says.keys() if stands.get(i) != says.get(i)]
    return found


class Clients:
    """They want something about once a second in each instrument."""

    def __init__(self, exchange: Exchange, told: Told, seed: int):
        self._exchange, self._told, self._rng = exchange, told, random.Random(seed)
        self._symbols = list(exchange.instruments)
        self._sent = 0
        self._mine: list[str] = []  # OrderIDs that may live

    def act(self, ts: int) -> list[Any]:
        rng, exchange = self._rng, self._exchange
        symbol, venue = rng.choice(self._symbols), rng.choice(exchange.venues)
        bids, asks = exchange.book(venue, symbol, 1)
        if not bids or not asks:
            return []
        self._sent += 1
        self._told.orders += 1
        draw, side, number = rng.random(), rng.choice((Side.BUY, Side.SELL)), f"c{self._sent}"
        tick, lot = exchange.instruments[symbol].tick, exchange.instruments[symbol].round_lot
        if draw < 0.45 and self._mine:
            n = rng.randrange(len(self._mine))
            self._mine[n], order_id = self._mine[-1], self._mine[n]
            self._mine.pop()
            old = self._told.live.get(order_id)
            if old is None:
                return []
            about: dict[str, Any] = {"venue": old.venue, "client": old.client, "cl_ord_id": number, "orig_cl_ord_id": old.cl_ord_id}
            about |= {"symbol": old.symbol, "side": old.side}
            if draw < 0.35:
                return exchange.submit(ts, OrderCancelRequest(**about))
            self._mine.append(order_id)
            moved = old.px - old.side.sign * tick
            return exchange.submit(ts, OrderCancelReplaceRequest(**about, order_qty=old.order_qty + lot, px=moved))
        touch = bids[0][0] if side is Side.BUY else asks[0][0]
        takes = draw > 0.85
        px = touch + side.sign * tick * (8 if takes else -rng.randrange(0, 4))
        order = NewOrderSingle(
            venue=venue, client=rng.choice(CLIENTS), cl_ord_id=number, symbol=symbol, side=side, order_qty=lot * rng.randrange(1, 5), px=px,
            tif=TimeInForce.IOC if takes else TimeInForce.DAY,
        )  # fmt: skip
        answers = exchange.submit(ts, order)
        self._mine += [a.order_id for a in answers if isinstance(a, Report) and a.cl_ord_id == number][:1]
        if len(self._mine) > 2 * len(self._told.live) + 100:  # what is over must not crowd out what lives, nor count as memory
            self._mine = [i for i in self._mine if i in self._told.live]
        return answers


def rss_kb() -> int:
    """Resident memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def run(crowd: str, hours: float, per_s: float, seed: int) -> dict[str, Any]:
    """Hour by hour: memory, what was told, and what differed."""
    exchange, told, start = Exchange(scenario(crowd), seed), Told(), utc("20190628-00:00:00")
    clients = Clients(exchange, told, seed)
    told.hear(exchange.advance(start))
    begin, table, differences, step = time.perf_counter(), [], 0, int(SECOND / per_s)
    parts = max(2, round(hours))
    for n in range(parts):
        until = start + int((n + 1) * hours * HOUR / parts)
        ts, is_busy = start + int(n * hours * HOUR / parts), n % 2 == 0
        while ts < until:
            ts = min(ts + (step if is_busy else 60 * SECOND), until)
            told.hear(exchange.advance(ts))
            if is_busy and ts < until:
                told.hear(clients.act(ts))
        found = drift(exchange, told)
        differences += len(found)
        for text in found[:5]:
            print(f"hour {n + 1}: {text}", file=sys.stderr)
        hour = {"hour": n + 1, "rss_kb": rss_kb(), "orders": told.orders, "fills": told.fills, "live": len(told.live)}
        table.append({**hour, "known": len(exchange.counter.blotter.every()), "differences": len(found)})
        print(f"{crowd} {json.dumps(table[-1])}", file=sys.stderr, flush=True)
    wall = time.perf_counter() - begin
    # At midnight the next day is drawn, and what is over is forgotten; its memory is kept for the next day's orders, whose hours tell nothing.
    first = [row for row in table if row["hour"] < 24]
    rests = [b["rss_kb"] - a["rss_kb"] for a, b in pairwise(first) if a["orders"] == b["orders"]]
    works = [(b["rss_kb"] - a["rss_kb"], b["orders"] - a["orders"]) for a, b in pairwise(first) if a["orders"] < b["orders"]]
    most = [max(row["rss_kb"] for row in table[n : n + 24]) for n in range(0, len(table), 24)]
    return {
        "crowd": crowd, "market_hours": hours, "wall_s": round(wall, 1), "market_s_per_wall_s": round(hours * 3_600 / wall), "orders": told.orders,
        "fills": told.fills, "rejected": told.rejected, "printed": sum(told.printed.values()), "net_bought": sum(told.bought.values()),
        "differences": differences, "kb_per_quiet_hour": round(sum(rests[1:]) / max(len(rests) - 1, 1), 1),
        "bytes_per_request": round(1_024 * sum(kb for kb, _ in works) / max(sum(n for _, n in works), 1)),
        "rss_kb_max_of_each_day": most, "orders_known_after_each_midnight": [row["known"] for row in table[23::24]], "hours": table,
    }  # fmt: skip


def main() -> int:
    """Exit 1 if books and reports ever differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="of market time")
    parser.add_argument("--days", type=int, help="instead of hours")
    parser.add_argument("--crowd", choices=("flow", "reacting"), default="flow")
    parser.add_argument("--requests-per-s", type=float, default=2.0, help="clients' requests per market second, in their hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fix", action="store_true", help="over sockets: the simulator as a process of its own, with the crowd `flow`")
    parser.add_argument("--speed", type=float, default=150.0, help="with --fix: market seconds per wall second")
    parser.add_argument("--json", action="store_true", help="print one JSON object, on the last line")
    args = parser.parse_args()
    hours = 24.0 * args.days if args.days else args.hours
    if args.fix:
        result = endurance_fix.run(hours, args.requests_per_s, args.speed, args.seed)
    else:
        result = run(args.crowd, hours, args.requests_per_s, args.seed)
    print("\n".join(f"{name:20} {value}" for name, value in result.items() if name != "hours"))
    if args.json:
        print(json.dumps(result))
    return 1 if result["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
