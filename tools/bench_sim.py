"""The simulator against its peers, in one run on one machine: how fast its market is, and what it makes of an order.

Ours: the reacting kernel alone, a day of 1.7 million events with one VWAP parent and its journal, a venue's core in this process, and an
order to its fill over FIX. Peers, where they can be had: NautilusTrader (quotes, and quotes with its TWAP), hftbacktest (depth events), each
in an environment of its own under the user's cache (made at the first run, from PyPI); and the bare QuickFIX acceptor of `bench_ack.py`.
They do less or other work than ours: docs/simulator.md says what. The bars are ratios within the run, for all figures fall with the machine;
what runs in one process is measured in its CPU time, so that a busy machine slows it less.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from algoserver import study as studies
from algoserver.domain.types import MINUTE, SECOND, Side, TimeInForce, utc
from algoserver.processes import free_port
from algoserver.sim import array_book, flow_kernel
from algoserver.sim.book import Book, Order
from algoserver.sim.config import load
from algoserver.sim.exchange import Exchange
from algoserver.sim.reacting import Reacting
from algoserver.sim.reports import NewOrderSingle, OrderCancelRequest
from algoserver.study_orders import ParentConfig

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.bench_ack import Peer, message, value  # noqa: E402 after its folder is known

PEERS = {"nautilus_trader": "nautilus.py", "hftbacktest": "hft.py"}
DAY, OPEN, CLOSE = "20190628", "13:30:00", "20:00:00"
UNIT_QTY = 1_250  # of AAPL's crowd: what makes its day of some 1.7 million events
NEAR = "near"


class Bar(NamedTuple):
    """What a figure should come to. against: the reference; "" is none, then `ahead` is a figure and no ratio."""

    measure: str
    against: str
    ahead: float
    kind: str = "ahead"


BARS = (
    Bar("kernel_events_per_s", "nautilus_quotes_per_s", 20.0),
    Bar("kernel_events_per_s", "hftbacktest_events_per_s", 0.25, NEAR),
    Bar("day_events_per_s", "nautilus_twap_quotes_per_s", 3.0),
    Bar("day_events_per_s", "kernel_events_per_s", 0.3, NEAR),
    Bar("days_per_minute", "", 20.0),
    Bar("fix_orders_per_s", "bare_orders_per_s", 1.0),
)


# Ours, in this process.


def crowd(unit_qty: int, seed: int = 1) -> Reacting:
    """AAPL of the shipped scenario at its open, its crowd in orders of this size."""
    scenario = load(ROOT / "cfg" / "sim-reacting.toml")
    [one] = [i for i in scenario.instruments if i.symbol == "AAPL"]
    assert one.reacting is not None
    market = Reacting(one.instrument(), msgspec.structs.replace(one.reacting, unit_qty=unit_qty), scenario.session, scenario.lit_venues, seed)
    ts = utc(f"{DAY}-{OPEN}")
    market.start(ts)
    market.run(ts)
    return market


def taken(market: Reacting, ts: int) -> None:
    """A client takes, so that the crowd has something to react to."""
    next(iter(market.books.values())).take(1 - 2 * (ts // (5 * SECOND) % 2), 500)


def events(unit_qty: int, minutes: int) -> int:
    """How many events the crowd has in its first minutes, counted one by one, a client in them."""
    market, count = crowd(unit_qty), 0
    begin = utc(f"{DAY}-{OPEN}")
    for until in range(begin + 5 * SECOND, begin + minutes * MINUTE + 1, 5 * SECOND):
        while market.next_ts() < until:
            due, arrays = market.next_ts(), (market.k, market.x, market.weather, market._chance)
            if flow_kernel.run(market.shelf.arrays, *arrays, due, 0) == flow_kernel.NEEDS_ROOM:
                market._make_room()
            else:
                count += 1
            market.shelf.arrays[array_book.RECORDS] = 0
            market._look_ahead()
        taken(market, until)
    return count


def kernel(minutes: int) -> Callable[[], float]:
    """Events a second of the crowd alone, stopped each 5 market seconds by a client who takes."""
    count = events(400, minutes)

    def rate() -> float:
        market = crowd(400)
        start = market.next_ts()
        begin = time.process_time()
        for until in range(start + 5 * SECOND, start + minutes * MINUTE + 1, 5 * SECOND):
            while market.next_ts() <= until:
                market.run(until)
            taken(market, until)
        return count / (time.process_time() - begin)

    return rate


def day(minutes: int) -> Callable[[], tuple[float, float]]:
    """Days a minute and events a second, end to end: core, market and journal, one VWAP parent of a hundredth of the volume."""
    study = studies.load(ROOT / "cfg" / "backtest.toml")
    begin = utc(f"{DAY}-{OPEN}")
    end = min(begin + minutes * MINUTE, utc(f"{DAY}-{CLOSE}"))
    [instrument] = study.scenario.instruments
    assert instrument.reacting is not None
    coarse = msgspec.structs.replace(instrument, reacting=msgspec.structs.replace(instrument.reacting, unit_qty=UNIT_QTY))
    text = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(end // SECOND))
    parent = ParentConfig(
        cl_ord_id="P1", at=f"{DAY}-13:30:05", symbol="AAPL", side="BUY", order_qty=str(1_000_000 * minutes // 390 // 100 * 100),
        strategy="VWAP", params={"EndTime": text},
    )  # fmt: skip
    config = msgspec.structs.replace(study.config, begin=f"{DAY}-{OPEN}", end=text, parents=[parent])
    study = study._replace(config=config, scenario=msgspec.structs.replace(study.scenario, instruments=[coarse]))
    count = events(UNIT_QTY, minutes)

    def rate() -> tuple[float, float]:
        with tempfile.TemporaryDirectory(prefix="bench-sim-") as name:
            since = time.process_time()
            [outcome] = studies.one(study, 1, Path(name))
            elapsed = time.process_time() - since
        assert outcome.cum_qty == outcome.order_qty, f"the parent was not filled: {outcome}"
        return 60 / elapsed * minutes / 390, count / elapsed

    return rate


def venue(count: int) -> Callable[[], float]:
    """Clients' requests a second in this process: limit orders that rest, cancels, and orders that take."""

    def rate() -> float:
        exchange, rng = Exchange(load(ROOT / "cfg" / "sim.toml"), seed=1), random.Random(5)
        ts = utc(f"{DAY}-14:00:00")
        exchange.advance(ts)
        exchange.advance(ts := ts + 5 * SECOND)
        (bids, asks), tick = exchange.book("XLIT1", "AAPL"), exchange.instruments["AAPL"].tick
        requests: list[Any] = []
        live: list[NewOrderSingle] = []
        for n in range(count):
            kind, side, client = rng.random(), rng.choice((Side.BUY, Side.SELL)), f"C{n % 3}"
            away = rng.randrange(1, 8) if kind < 0.4 or not live else -5
            px = bids[0][0] - away * tick if side is Side.BUY else asks[0][0] + away * tick
            order = NewOrderSingle(venue="XLIT1", client=client, cl_ord_id=f"c{n}", symbol="AAPL", side=side, order_qty=100, px=px)
            if away > 0:
                live.append(order)
                requests.append(order)
            elif kind < 0.7:
                old = live.pop(rng.randrange(len(live)))
                requests.append(
                    OrderCancelRequest(
                        venue="XLIT1", client=old.client, cl_ord_id=f"c{n}", orig_cl_ord_id=old.cl_ord_id, symbol="AAPL", side=old.side
                    )
                )  # fmt: skip
            else:
                requests.append(msgspec.structs.replace(order, tif=TimeInForce.IOC))
        begin = time.process_time()
        reports = [exchange.submit(ts, request) for request in requests]
        elapsed = time.process_time() - begin
        assert all(reports)
        return count / elapsed

    return rate


def book(count: int) -> Callable[[], float]:
    """Operations a second of the venue's book: joins, cancels, and takes."""

    def rate() -> float:
        rng, one, live = random.Random(5), Book(), []
        drawn = [(rng.random(), rng.choice((1, -1)), rng.randrange(1, 9), rng.random()) for _ in range(count)]
        begin = time.process_time()
        for kind, sign, away, place in drawn:
            if kind < 0.5:
                order = Order(sign, 10_000 - sign * away, 100)
                one.enter(order)
                live.append(order)
            elif kind < 0.9 and live:
                n = int(place * len(live))
                live[n], order = live[-1], live[n]
                live.pop()
                if order.level is not None:
                    one.cancel(order)
            else:
                one.take(sign, 100)
        return count / (time.process_time() - begin)

    return rate


# Over FIX.


class Venue(Peer):
    """The simulator, and a client of it. An order is for one share, at any price of the day, and is filled at once (two reports)."""

    def order(self) -> bytes:
        self.orders += 1
        side, px = (1, 250) if self.orders % 2 else (2, 150)
        now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        return self._message(f"35=D|11=B{self.orders}|55=AAPL|54={side}|38=1|40=2|44={px}|59=3|60={now}|")

    def wait_until_it_trades(self) -> None:
        """A market that is always open trades at once."""

    def _acknowledged(self) -> int:
        reports = [t for t in self._receive() if b"\x0135=8\x01" in t]
        refused = [t for t in reports if value(t, 150) not in ("0", "F")]
        if refused:
            raise SystemExit(f"{self.name} did not fill an order: {value(refused[0], 58)}")
        return sum(value(t, 150) == "F" for t in reports)

    def _message(self, body: str) -> bytes:
        self.seq += 1
        return message("ALGO", "XLIT1", self.seq - 1, body)


def fix(rounds: int, burst: int, single: int) -> dict[str, float]:
    """Order to fill over a socket, and the bare QuickFIX acceptor's order to acknowledgement, in turns."""
    found: dict[str, float] = {}
    peers: list[Peer] = []
    with tempfile.TemporaryDirectory(prefix="bench-sim-") as name:
        scratch = Path(name)
        scenario = (ROOT / "cfg" / "sim.toml").read_text().replace("depth_qty = 900", "depth_qty = 1_000_000")
        (scratch / "sim.toml").write_text(scenario)
        try:
            port = free_port()
            command = [sys.executable, "-m", "algoserver", "sim", "--config", str(scratch / "sim.toml"), "--state", str(scratch / "sim")]
            peers.append(Venue("fix", [*command, "--port", str(port)], port))
            for label, form in (("bare", "fields"), ("bare_text", "text")):
                (scratch / form).mkdir()
                port = free_port()
                bare = [sys.executable, str(ROOT / "tools" / "bench_ack.py"), "--bare", form, str(port), str(scratch / form)]
                peers.append(Peer(label, bare, port))
            for peer in peers:
                peer.wait_until_it_trades()
                peer.burst(min(500, burst))  # warm
                peer.rates.clear()
                peer.cpu_us.clear()
            for n in range(rounds):
                for peer in peers if n % 2 == 0 else peers[::-1]:
                    peer.burst(burst)
                    peer.one_by_one(single)
        finally:
            for peer in peers:
                peer.stop()
    for peer in peers:
        p = statistics.quantiles(peer.latencies, n=100)
        found |= {f"{peer.name}_orders_per_s": statistics.median(peer.rates), f"{peer.name}_p50_us": p[49], f"{peer.name}_p99_us": p[98]}
        found[f"{peer.name}_cpu_us_per_order"] = statistics.median(peer.cpu_us)
    return found


# Peers.


def environment(package: str) -> tuple[Path | None, str]:
    """Python of an environment that has the package, made if need be; else None and why."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache") / "algoserver" / "peers" / package
    python, mark = cache / "bin" / "python", cache / "complete"
    if mark.exists() and python.exists():
        return python, ""
    shutil.rmtree(cache, ignore_errors=True)
    local = ROOT / ".uv" / "bin" / "uv"
    uv = shutil.which("uv") or (str(local) if local.exists() else "")
    make = [uv, "venv", "--quiet", "--python", sys.executable, str(cache)] if uv else [sys.executable, "-m", "venv", str(cache)]
    install = [uv, "pip", "install", "--quiet", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "--quiet", "--retries", "1"]
    print(f"installing {package} into {cache}", file=sys.stderr, flush=True)
    for command in (make, [*install, package]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, str(error)
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["no word"])[-1]
    mark.touch()
    return python, ""


def peer(package: str, count: int) -> tuple[dict[str, Any] | None, str]:
    """What a peer measured of itself; else None and why."""
    python, why = environment(package)
    if python is None:
        return None, why
    script = ROOT / "tools" / "peers" / PEERS[package]
    done = subprocess.run([str(python), str(script), str(count)], capture_output=True, text=True, timeout=900, cwd=tempfile.gettempdir(), check=False)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["no word"])[-1]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, ""


def references(quotes: int, depth: int) -> tuple[dict[str, float], dict[str, str]]:
    """Figures of the peers, and of which there are none, and why."""
    figures: dict[str, float] = {}
    notes: dict[str, str] = {}
    for package, count in (("nautilus_trader", quotes), ("hftbacktest", depth)):
        found, why = peer(package, count)
        if found is None:
            notes[package] = f"reference not available: {why}"
        else:
            notes[package] = f"version {found['version']}"
            prefix = package.removesuffix("_trader")
            figures |= {f"{prefix}_{name}": rate for name, rate in found.items() if name.endswith("_per_s")}
    return figures, notes


# All of it.


def judged(figures: dict[str, float]) -> list[dict[str, Any]]:
    """Each bar with what was reached; None where there is no reference."""
    out = []
    for bar in BARS:
        ours, theirs = figures.get(bar.measure), figures.get(bar.against) if bar.against else 1.0
        reached = ours / theirs if ours and theirs else None
        out.append(
            {"measure": bar.measure, "against": bar.against, "bar": bar.ahead, "kind": bar.kind, "reached": reached,
             "passed": None if reached is None else reached >= bar.ahead}
        )  # fmt: skip
    return out


def main() -> int:
    """Print figures and bars; the exit status is 0 whatever they are: a bench measures, it does not test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each measure of ours; the median counts")
    parser.add_argument("--minutes", type=int, default=390, help="market minutes of the day with a parent; 390 is all of it")
    parser.add_argument("--quick", action="store_true", help="small runs, to see that it works: the figures mean nothing")
    parser.add_argument("--no-peers", action="store_true", help="neither install nor run what others made")
    parser.add_argument("--json", action="store_true", help="print one JSON object, on the last line")
    args = parser.parse_args()
    minutes, rounds = (3, 1) if args.quick else (args.minutes, args.rounds)
    figures: dict[str, float] = {}
    days = day(minutes)
    measures = {
        "kernel_events_per_s": kernel(1 if args.quick else 60), "venue_requests_per_s": venue(2_000 if args.quick else 40_000),
        "book_operations_per_s": book(5_000 if args.quick else 200_000),
    }  # fmt: skip
    seen: dict[str, list[float]] = {}
    notes: dict[str, str] = {}
    for _ in range(rounds):  # ours and theirs in turns: what slows the machine slows both
        for name, rate in measures.items():
            seen.setdefault(name, []).append(rate())
        per_minute, per_s = days()
        seen.setdefault("days_per_minute", []).append(per_minute)
        seen.setdefault("day_events_per_s", []).append(per_s)
        if not args.no_peers:
            found, notes = references(20_000 if args.quick else 200_000, 200_000 if args.quick else 5_000_000)
            for name, per_s in found.items():
                seen.setdefault(name, []).append(per_s)
    figures |= {name: statistics.median(rates) for name, rates in seen.items()}
    figures |= fix(rounds, 200 if args.quick else 3_000, 20 if args.quick else 300)
    bars = judged(figures)
    for name, figure in figures.items():
        print(f"{name:30} {figure:14,.1f}")
    for package, note in notes.items():
        print(f"{package}: {note}")
    for b in bars:
        against = f"of {b['against']}" if b["against"] else ""
        reached = "no reference" if b["reached"] is None else f"{b['reached']:.2f} {'yes' if b['passed'] else 'NO'}"
        print(f"{b['kind']:5} {b['measure']:22} {against:32} bar {b['bar']:5g}  reached {reached:>12}")
    if args.json:
        print(json.dumps({"figures": figures, "notes": notes, "bars": bars, "minutes": minutes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
