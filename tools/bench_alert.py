"""Event to alert, under twice the peak load: from a venue's message to the log, the webhook's receiver and `algoctl alert ls`.

Peak is what the shipped policy lets happen: venue_messages_per_second_max orders and cancels at each of three venues, each answered by one
execution report; parents_per_second_max orders of a client; and a burst of market data, 1,000 books and prints a second. Twice of each comes in
here, over loopback sockets, at a server in a process of its own with the shipped configuration. The reports are of children that rest at the two
lit venues, so that each gives its order a turn; the dark venue's share goes to them too. Ten times a second a venue reports an order that is not
ours behind all that, which is an alert (unknown_child). The time begins before the report is written to the socket, and ends at the log line's
timestamp, at the receiver's read, and at the answer of a poll that shows it.
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from algoserver.config import load
from algoserver.door import call
from algoserver.processes import free_port
from tools.bench_ack import PATIENCE_S, ROOT, value
from tools.wire import Port, Wire, logged_on, received

SYMBOLS = {"XLIT1": "AAPL", "XLIT2": "GE"}  # each has a market at one venue, so that children rest at both
VENUES = 3
MARKET_DATA_PER_S = 1_000
TICK_S = 0.01
ALERT_EVERY = 10  # ticks
ALERTS_MIN = 2  # on a machine whose ticks take so long that there are hardly any
POLL_S = 0.05
PRICE = "200.00"
STRANGERS = itertools.count(1)


class Street(Port):
    """The venues: they take every order and cancel, and fill none. resting: venue -> the child that came last and is open."""

    def __init__(self) -> None:
        super().__init__()
        self.resting: dict[str, dict[str, str]] = {}

    def report(self, venue: str, child: dict[str, str], exec_type: str, status: str, leaves: str, exec_id: str) -> str:
        """An ExecutionReport about a child."""
        ids = f"35=8|37=V{child['11']}|11={child['11']}|17={exec_id}|150={exec_type}|39={status}|"
        return f"{ids}55={child['55']}|54={child['54']}|38={child['38']}|14=0|151={leaves}|6=0|"

    def answer(self, wire: Wire, me: str, msg_type: str, text: bytes) -> None:
        """Accept, cancel, or show the book."""
        if msg_type == "V":
            if SYMBOLS.get(me) == value(text, 55):
                wire.send(book(value(text, 55)))
        elif msg_type == "D":
            child = {str(tag): value(text, tag) for tag in (11, 55, 54, 38)}
            self.resting[me] = child
            wire.send(self.report(me, child, "0", "0", child["38"], f"N{child['11']}"))
        elif msg_type == "F":
            child = {"11": value(text, 41), **{str(tag): value(text, tag) for tag in (55, 54, 38)}}
            if self.resting.get(me, {}).get("11") == child["11"]:
                del self.resting[me]
            wire.send(self.report(me, child, "4", "4", "0", f"C{child['11']}"))


def book(symbol: str) -> str:
    """A market that stands still."""
    return f"35=W|262={symbol}|55={symbol}|268=2|269=0|270={PRICE}|271=9000|269=1|270=200.02|271=9000|"


def trade(symbol: str) -> str:
    """A print; our cap is a share of these."""
    return f"35=X|268=1|279=0|269=2|55={symbol}|270=200.01|271=500|"


class Receiver:
    """The webhook's. seen: subject -> when it was read."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.seen.setdefault(said["subject"], time.time())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


class Poller(threading.Thread):
    """An operator who looks all the time. seen: subject -> when an answer first showed it."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self._state = state
        self.seen: dict[str, float] = {}
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(POLL_S):
            rows = call(self._state, {"verb": "alert.ls", "target": "fix_desk", "is_open": True}).get("alerts", [])
            now = time.time()
            for row in rows:
                self.seen.setdefault(row["subject"], now)


def await_that(holds: Any, what: str) -> None:
    """Wait for the server."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} within {PATIENCE_S} s")
        time.sleep(0.02)


def ask(state: Path, verb: str, **more: str) -> dict[str, Any]:
    """The server's answer, asked for again while it has too much to do for one."""
    while (answer := call(state, {"verb": verb, **more})).get("error", {}).get("code") == "timeout":
        pass
    if "error" in answer:
        raise SystemExit(f"{verb}: {answer['error']['text']}")
    return answer


def client(port: int) -> Wire:
    """CLIENT1, logged on; what it hears is read and thrown away."""
    wire, connection = logged_on("CLIENT1", port)

    def read() -> None:
        while received(connection):
            pass

    threading.Thread(target=read, daemon=True).start()
    return wire


def order(number: int, qty: int, start_s: int, end_s: int) -> str:
    """A TWAP."""
    start, end, now = (time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + s)) for s in (start_s, end_s, 0))
    when = f"168={start}|" if start_s else ""
    return f"35=D|11=B{number}|21=1|55={'AAPL' if number % 2 else 'GE'}|54=1|38={qty}|40=2|44=200.02|59=0|60={now}|{when}126={end}|847=1001|"


def press(street: Street, orders: Wire, reports_per_s: float, parents_per_s: float, quotes_per_s: float, seconds: float) -> dict[str, float]:
    """Load for so long, and an alert every now and then; subject -> when its cause was written."""
    caused: dict[str, float] = {}
    begun, tick, sent = time.monotonic(), 0, [0.0, 0.0, 0.0]
    while (elapsed := time.monotonic() - begun) < seconds or len(caused) < ALERTS_MIN:
        tick += 1
        due = [rate * elapsed for rate in (reports_per_s, parents_per_s, quotes_per_s)]
        reports, parents, quotes = (int(now - before) for now, before in zip(due, sent, strict=True))
        sent = [before + n for before, n in zip(sent, (reports, parents, quotes), strict=True)]
        for venue, symbol in SYMBOLS.items():
            child = street.resting.get(venue)
            bodies = [street.report(venue, child, "I", "0", child["38"], "0") for _ in range(reports // 2)] if child else []
            if symbol == "AAPL" and tick % ALERT_EVERY == 0:
                name = f"WHO{next(STRANGERS)}"
                stranger = {"11": name, "55": "AAPL", "54": "1", "38": "100"}
                caused[name] = street.orders[venue].send(*bodies, street.report(venue, stranger, "8", "8", "0", f"W{name}"))
            elif bodies:
                street.orders[venue].send(*bodies)
            street.feeds[venue].send(*[(book if n % 2 else trade)(symbol) for n in range(quotes // 2)])
        if parents:
            numbers = range(int(sent[1]) - parents + 1, int(sent[1]) + 1)
            orders.send(*[order(1_000 + n, 100 * (n % 50 + 1), 7_200, 10_800) for n in numbers])
        time.sleep(max(0.0, begun + tick * TICK_S - time.monotonic()))
    return caused


def logged(state: Path) -> dict[str, float]:
    """Subject -> timestamp of its line."""
    from datetime import datetime

    found: dict[str, float] = {}
    for line in (state / "log" / "server.jsonl").read_text().splitlines():
        said = json.loads(line)
        if said["event"] == "alert":
            found.setdefault(said["subject"], datetime.fromisoformat(said["timestamp"]).timestamp())
    return found


def main() -> None:
    """Print a table, with --json a JSON line after it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of load")
    parser.add_argument("--times", type=float, default=2, help="the peak")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    policy = load(ROOT / "cfg" / "server.toml").setup.policy
    reports_per_s = args.times * VENUES * policy.venue_messages_per_second_max
    parents_per_s, quotes_per_s = args.times * policy.parents_per_second_max, args.times * MARKET_DATA_PER_S
    street, receiver = Street(), Receiver()
    street.start()
    with tempfile.TemporaryDirectory(prefix="bench-alert-") as name:
        scratch, port = Path(name), free_port()
        shutil.copytree(ROOT / "cfg", scratch / "cfg")
        shutil.copytree(ROOT / "sessions", scratch / "sessions")
        config, state = scratch / "cfg" / "server.toml", scratch / "server"
        text, count = re.subn(r'(?m)^webhook = ""', f'webhook = "http://127.0.0.1:{receiver.port}/"', config.read_text())
        assert count == 1, f"{config} has no webhook"
        config.write_text(text)
        serve = [sys.executable, "-m", "algoserver", "serve", "--config", str(config), "--state", str(state), "--port", str(port)]
        server = subprocess.Popen([*serve, "--venue-port", str(street.port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        poller = Poller(state)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line.startswith("ready"):
                raise SystemExit(f"the server did not start: {line}")
            await_that(lambda: len(street.feeds) == len(street.orders) == VENUES, "logon of the server")
            orders = client(port)
            for venue, symbol in SYMBOLS.items():
                street.feeds[venue].send(book(symbol), trade(symbol))
            await_that(lambda: len([v for v in ask(state, "venue.ls")["venues"] if v["quotes"]]) == 2, "market data")
            for n in range(20):
                orders.send(order(n, 10_000 + n, 0, 3_600))
            # Prints are the volume under whose cap children go out.
            while set(street.resting) < set(SYMBOLS):
                press(street, orders, 0, 0, quotes_per_s, 0.5)
            poller.start()
            before, begun = ask(state, "status")["seq"], time.monotonic()
            caused = press(street, orders, reports_per_s, parents_per_s, quotes_per_s, args.seconds)
            pressed_s, status = time.monotonic() - begun, ask(state, "status")
            await_that(lambda: not caused.keys() - receiver.seen.keys() and not caused.keys() - poller.seen.keys(), "alert everywhere")
            drained_s = time.monotonic() - begun - pressed_s
        finally:
            poller.is_over.set()
            server.kill()
            server.wait(30)
        places = {"log": logged(state), "webhook": receiver.seen, "algoctl alert ls": poller.seen}
    events_per_s = (status["seq"] - before) / pressed_s
    print(f"{args.times:g} times the peak for {args.seconds:g} s: {reports_per_s:,.0f} execution reports, {parents_per_s:,.0f} orders and")
    print(f"{quotes_per_s:,.0f} books and prints a second; {events_per_s:,.0f} events a second were decided; {len(caused)} alerts, none lost;")
    print(f"after the load the last alert was everywhere within {drained_s:.2f} s")
    print(f"{'milliseconds':18} {'p50':>8} {'p99':>8} {'max':>8}")
    result: dict[str, float] = {"alerts": len(caused), "events_per_s": round(events_per_s), "drained_s": round(drained_s, 3)}
    for place, seen in places.items():
        took = sorted((seen[subject] - at) * 1e3 for subject, at in caused.items())
        p = statistics.quantiles(took, n=100, method="inclusive")
        print(f"{place:18} {p[49]:8.1f} {p[98]:8.1f} {took[-1]:8.1f}")
        for key, number in (("p50_ms", p[49]), ("p99_ms", p[98]), ("max_ms", took[-1])):
            result[f"{place.split()[-1]}_{key}"] = round(number, 1)
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
