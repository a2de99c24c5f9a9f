"""Twice the peak, from clients and venues at once, with every limit of the shipped policy on: is anything lost, and do the books agree?

The peak that is stated is what the policy lets happen in a second: `parents_per_second_max` orders of each of two clients, and at each of three
venues `venue_messages_per_second_max` messages, each a trade; and 1,000 books and prints of market data. Each has an option. `--times` of it
comes in for `--seconds`, over loopback sockets, at a server in a process of its own. What the policy does not let pass is refused: that is an
answer too. The venues take every order, trade what rests in parts at the stated rate, and report states where nothing is left to trade. Now and
then one of them reports an order that is not ours, which is an alert. Then the load ends, the firm is killed at the door, and what every side
has is compared: what was sent with what arrived, and the books of clients, server and venues.

Thirty symbols, so that `repeats_max` of an algo in a symbol does not end it. Memory is the process's resident size, queues are its own metrics.
Times are measured; none decides but the five seconds of an alert, and --untimed leaves that out.
"""

import argparse
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from algoserver.config import load
from algoserver.domain.commands import ReportParent, SendChild
from algoserver.domain.events import ChildFilled, Event, ParentRequested
from algoserver.domain.types import SECOND, ExecType
from algoserver.door import call
from algoserver.drills.report import Report, show
from algoserver.journal import read
from algoserver.processes import free_port
from tools.bench_ack import ROOT
from tools.bench_alert import Poller, Receiver, ask, book, logged, trade
from tools.stress_ends import LIT, SYMBOLS, VENUES, Client, Venues

CLIENTS = ("CLIENT1", "CLIENT2")
INSTRUMENT = '[[instruments]]\nsymbol = "{}"\ntick = "0.01"\nlot = "1"\nround_lot = "100"\nqty_decimals = 0\nadv = 30_000_000\n'
MARKET_DATA_PER_S = 1_000
TICK_S = 0.02
ALERT_EVERY = 10  # ticks
ALERT_S_MAX = 5.0
WATCH_S = 0.25
TRADES_MIN = 10
PATIENCE_S = 300


class Watch(threading.Thread):
    """Looks at the server now and then: the longest queues, the largest size."""

    def __init__(self, pid: int, metrics_port: int) -> None:
        super().__init__(daemon=True)
        self._status, self._url = Path(f"/proc/{pid}/status"), f"http://127.0.0.1:{metrics_port}/metrics"
        self.most: Counter[str] = Counter()
        self.is_over = threading.Event()

    def rss_mb(self) -> int:
        """Resident size now."""
        found = re.search(r"VmRSS:\s+(\d+) kB", self._status.read_text())
        return int(found[1]) // 1024 if found else 0

    def run(self) -> None:
        while not self.is_over.wait(WATCH_S):
            try:
                with urllib.request.urlopen(self._url, timeout=60) as page:
                    text = page.read().decode()
            except OSError:
                return  # the server is being ended
            for name in ("inbox_length", "webhook_waiting", "children_open", "parents_open"):
                found = re.search(rf"^algoserver_{name} (\S+)", text, re.MULTILINE)
                self.most[name] = max(self.most[name], int(float(found[1])) if found else 0)
            self.most["rss_mb"] = max(self.most["rss_mb"], self.rss_mb())


def await_that(holds: Callable[[], bool], what: str) -> None:
    """Wait for the server, which may have to work off a backlog."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} within {PATIENCE_S} s")
        time.sleep(0.02)


def press(venues: Venues, clients: list[Client], rates: dict[str, float], seconds: float) -> tuple[dict[str, float], Counter[str]]:
    """Load for so long. Subject of each alert -> when its cause was written; how much was sent."""
    caused: dict[str, float] = {}
    sent: Counter[str] = Counter()
    begun = time.monotonic()
    for tick in itertools.count(1):
        elapsed = time.monotonic() - begun
        if elapsed >= seconds and caused:
            return caused, sent
        due = {what: int(rate * elapsed) - sent[what] for what, rate in rates.items()}
        for number, client in enumerate(clients):
            client.order((due["orders"] + number) // len(clients))
        sent["orders"] += due["orders"]
        for number, venue in enumerate(LIT):  # where children rest; the dark venue's share is theirs
            venues.press(venue, (due["reports"] + number) // len(LIT))
            count = (due["market_data"] + number) // len(LIT)
            venues.feeds[venue].send(*[(book if n % 2 else trade)(SYMBOLS[(tick + n) % len(SYMBOLS)]) for n in range(count)])
        sent["reports"] += due["reports"]
        sent["market_data"] += due["market_data"]
        if tick % ALERT_EVERY == 0:
            name = f"WHO{tick}"
            caused[name] = venues.orders["XLIT1"].send(f"35=8|37=V|11={name}|17=W{name}|150=8|39=8|55=AAPL|54=1|38=100|14=0|151=0|6=0|")
        time.sleep(max(0.0, begun + tick * TICK_S - time.monotonic()))
    raise AssertionError


def has_traded(venues: Venues) -> bool:
    """Whether there is something to measure; if not, what rests now trades."""
    if len(venues.traded) < TRADES_MIN:
        for venue in LIT:
            venues.press(venue, TRADES_MIN)
    return len(venues.traded) >= TRADES_MIN


def stress(folder: Path, seconds: float, times: float, peak: dict[str, int], is_timed: bool = True) -> Report:
    """The whole run, in a folder of its own."""
    rates = {name: times * rate for name, rate in peak.items()}
    story = "from two clients and three venues at once, under the shipped policy."
    report = Report("stress", f"{times:g} times the stated peak for {seconds:g} s, {story}")
    venues, receiver, port, metrics_port = Venues(), Receiver(), free_port(), free_port()
    venues.start()
    for name in ("cfg", "sessions"):
        shutil.copytree(ROOT / name, folder / name)
    config, state, instruments = folder / "cfg" / "server.toml", folder / "server", folder / "cfg" / "instruments.toml"
    instruments.write_text(instruments.read_text() + "".join(INSTRUMENT.format(symbol) for symbol in SYMBOLS))
    text = config.read_text().replace('webhook = ""', f'webhook = "http://127.0.0.1:{receiver.port}/"')
    config.write_text(text.replace("[metrics]\nport = 0", f"[metrics]\nport = {metrics_port}").replace('model = "median20"', 'model = ""'))
    serve = [sys.executable, "-m", "algoserver", "serve", "--config", str(config), "--state", str(state), "--port", str(port)]
    server = subprocess.Popen([*serve, "--venue-port", str(venues.port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watch, poller = Watch(server.pid, metrics_port), Poller(state)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith("ready"):
            raise SystemExit(f"the server did not start: {line}")
        await_that(lambda: len(venues.feeds) == len(venues.orders) == len(VENUES), "logon of the server")
        clients = [Client(name, port, venues) for name in CLIENTS]
        for venue, symbol in itertools.product(LIT, SYMBOLS):
            venues.feeds[venue].send(book(symbol), *[trade(symbol)] * 200)
        await_that(lambda: sum(len(v["quotes"]) for v in ask(state, "venue.ls")["venues"]) >= len(LIT) * len(SYMBOLS), "market data")
        rss_before_mb = watch.rss_mb()
        watch.start()
        poller.start()
        begun = time.monotonic()
        caused, sent = press(venues, clients, rates, seconds)
        pressed_s = time.monotonic() - begun
        # A machine that stood still in the meantime has its first children only now.
        await_that(lambda: has_traded(venues), "trade")
        await_that(lambda: all(len(c.answers) == len(c.asked) for c in clients), "answer to every order")
        await_that(lambda: not caused.keys() - receiver.seen.keys() and not caused.keys() - poller.seen.keys(), "alert everywhere")
        await_that(lambda: sum(len(c.filled) for c in clients) == len(venues.traded), "report of every trade")
        report.measured["drained_s"] = round(time.monotonic() - begun - pressed_s, 2)
        children_open, begun = sum(map(len, venues.open.values())), time.monotonic()
        call(state, {"verb": "kill", "target": "firm", "reason": "end of the stress"})
        await_that(lambda: ask(state, "status")["kill_verified"], "verified kill")
        report.measured["kill_verified_s"] = round(time.monotonic() - begun, 2)
        await_that(lambda: not any(venues.open.values()), "cancel of every child")
        stops = [stop["scope"] for stop in ask(state, "status")["stops"]]
    finally:
        watch.is_over.set()
        poller.is_over.set()
        for thread in (watch, poller):
            if thread.is_alive():
                thread.join(10)  # a question that is cut off would say so
        server.kill()
        server.wait(60)
    _judge(report, state, venues, clients, stops, load(config).setup.policy.parents_per_second_max)
    places = {"log": logged(state), "webhook": receiver.seen, "algoctl": poller.seen}
    worst = {place: max((seen[subject] - at for subject, at in caused.items()), default=0.0) for place, seen in places.items()}
    lost = [subject for seen in places.values() for subject in caused if subject not in seen]
    report.check("every alert is in log, webhook and algoctl", bool(caused) and not lost, f"{len(caused)} alerts, {len(lost)} lost")
    if is_timed:
        offered = ", ".join(f"{name} {count / seconds:,.0f} a second" for name, count in sent.items())
        report.check("so much was offered", all(sent[name] >= 0.95 * rate * seconds for name, rate in rates.items()), offered)
        report.check(f"each within {ALERT_S_MAX:g} s", max(worst.values()) <= ALERT_S_MAX, ", ".join(f"{k} {v:.2f} s" for k, v in worst.items()))
    answers = [s for c in clients for s, _ in c.answers.values()]
    for name, took in (("order_to_answer_ms", answers), ("trade_to_client_ms", [s for c in clients for s in c.trade_s])):
        p = statistics.quantiles(took, n=100, method="inclusive")
        report.measured |= {f"{name}_p50": round(1e3 * p[49], 1), f"{name}_p99": round(1e3 * p[98], 1), f"{name}_max": round(1e3 * max(took), 1)}
    report.measured |= {
        **{f"alert_{place}_ms_max": round(1e3 * s) for place, s in worst.items()},
        **{f"{name}_per_s": round(count / pressed_s) for name, count in sent.items()}, "trades_per_s": round(len(venues.traded) / pressed_s),
        "children_per_s": round(len(venues.sent) / pressed_s), "shares_traded": sum(venues.traded.values()), "children_open_at_kill": children_open,
        **{f"{name}_max": most for name, most in watch.most.items()}, "rss_mb_before": rss_before_mb,
    }  # fmt: skip
    return report


def _judge(
    report: Report, state: Path, venues: Venues, clients: list[Client], stops: list[str], parents_max: int
) -> None:
    """What every side has, by its own book."""
    asked = {name for c in clients for name in c.asked}
    journaled: Counter[str] = Counter()
    children: list[str] = []
    fills: dict[tuple[str, str], int] = {}
    told: Counter[str] = Counter()
    accepted: dict[str, list[int]] = {name: [] for name in CLIENTS}
    ts = 0
    for record in read(state / "journal"):
        x = record.payload
        ts = x.ts if isinstance(x, Event) else ts
        if isinstance(x, ParentRequested):
            journaled[x.cl_ord_id] += 1
        elif isinstance(x, ChildFilled):
            fills[x.child_id, x.exec_id] = x.last_qty
        elif isinstance(x, SendChild):
            children.append(x.child_id)
        elif isinstance(x, ReportParent):
            told[x.exec_id] += 1
            if x.exec_type is ExecType.NEW:
                accepted[x.session].append(ts)
    first = Counter("accepted" if kind == "0" else "refused" for c in clients for _, kind in c.answers.values())
    report.check("every order has one answer", sum(first.values()) == len(asked), f"{len(asked):,} orders, {dict(first)}")
    # A bucket of a second's orders that runs out at the rate: twice of it in any second at most.
    most = max((bisect_left(times, ts + SECOND) - n for times in accepted.values() for n, ts in enumerate(times)), default=0)
    text = f"at most {most} orders of a client in a second, {parents_max} and a burst of as many allowed"
    report.check("the rate of orders was limited", 0 < most <= 2 * parents_max, text)
    report.check("no order is lost, none is there twice", set(journaled) == asked and max(journaled.values()) == 1, f"{len(journaled):,} journaled")
    arrived = Counter(venues.sent)
    there = f"{len(children):,} sent, {len(venues.sent):,} there"
    report.check("every child that was sent arrived, once", arrived == Counter(children) and bool(arrived), there)
    heard = sum((c.exec_ids for c in clients), Counter())
    report.check("every report reached its client, once", heard == told, f"{sum(told.values()):,} in the journal, {sum(heard.values()):,} heard")
    ends = [*venues.orders.values(), *venues.feeds.values(), *(c.wire for c in clients)]
    report.check("no session has a gap", not sum(end.gaps for end in ends), f"{sum(end.gaps for end in ends)} gaps in {len(ends)} sessions")
    report.books(sum(q for c in clients for q in c.filled.values()), sum(fills.values()), sum(venues.traded.values()))
    report.check("every trade is booked, once", len(fills) == len(venues.traded), f"{len(venues.traded):,} trades")
    report.check("no limit stopped anything: the load was the stated one", stops == ["firm"], ", ".join(stops))


def main() -> None:
    """Print the report, with --json as one JSON line at the end; exit status 1 where something did not hold."""
    policy = load(ROOT / "cfg" / "server.toml").setup.policy
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of load")
    parser.add_argument("--times", type=float, default=2, help="the peak")
    parser.add_argument("--orders", type=int, default=len(CLIENTS) * policy.parents_per_second_max, help="of the peak, a second, all clients")
    parser.add_argument("--reports", type=int, default=len(VENUES) * policy.venue_messages_per_second_max, help="of the peak, a second, all venues")
    parser.add_argument("--market-data", type=int, default=MARKET_DATA_PER_S, help="books and prints of the peak, a second")
    parser.add_argument("--keep", type=Path, help="keep state and logs here; default: a temporary directory")
    parser.add_argument("--untimed", action="store_true", help="judge no times")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    peak = {"orders": args.orders, "reports": args.reports, "market_data": args.market_data}
    with tempfile.TemporaryDirectory(prefix="bench-stress-") as name:
        begun = time.monotonic()
        folder = args.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        report = stress(folder, args.seconds, args.times, peak, not args.untimed)
        report.wall_s = round(time.monotonic() - begun, 1)
    status = show(report, is_json=False)
    if args.json:
        import msgspec

        print(json.dumps({"is_passed": report.is_passed, "peak": peak, **msgspec.to_builtins(report)}))  # one line, as the other benches
    raise SystemExit(status)


if __name__ == "__main__":
    main()
