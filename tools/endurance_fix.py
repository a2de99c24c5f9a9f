"""The endurance run over sockets: `algoserver sim` as a process of its own, with the shipped venues and five instruments, and a client that trades.

Each market hour the client asks for the status (H) of every order that lives by its reports: the answer is the venue's book at that point of the
same stream, so it must say what the reports do. At the end a mass cancel (q) tells how many orders a venue had, which the reports must know too.
After midnight a sample of what ended the day before is asked for: it must be unknown.
"""

import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from algoserver.clock import Clock
from algoserver.domain.types import DAY, SECOND, utc, utc_text
from algoserver.processes import free_port
from tools.bench_ack import message, split

ROOT = Path(__file__).resolve().parents[1]
VENUES = ("XLIT1", "XLIT2", "XDARK1")
START = "20190628-12:00:00"  # market time; midnight is in the middle of a run of 24 hours
HOUR = 3_600 * SECOND
PATIENCE_S = 600.0
LIVE = ("0", "1")
COMPARED = ("39", "38", "14", "151", "44")  # OrdStatus, OrderQty, CumQty, LeavesQty, Price
PACE_S = 0.02
AT_ONCE_MAX = 10
GRACE_NS = HOUR  # what ended so long before midnight is forgotten then
SAMPLE = 50


def scenario() -> str:
    """The shipped market with five instruments: two of them again under another name."""
    head, *instruments = re.split(r"(?=^\[\[instruments\]\])", (ROOT / "cfg" / "sim.toml").read_text(), flags=re.MULTILINE)
    again = [re.sub(r'symbol = "(\w+)"', rf'symbol = "\g<1>{n}"', text, count=1) for n, text in ((3, instruments[0]), (4, instruments[1]))]
    return head + "".join([*instruments, *again])


class Venue:
    """A session, and what it has told. live: by OrderID, the last report's fields. ended: (market ts, ClOrdID, symbol, side), the latest last."""

    def __init__(self, name: str, port: int):
        self.name = name
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seq, self._buffer = 1, b""
        self.live: dict[str, dict[str, str]] = {}
        self.ended: deque[tuple[int, str, str, str]] = deque(maxlen=50_000)
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.prices: dict[str, float] = {}
        self._filled: dict[str, int] = {}
        self._asked = 0
        self._strangers: set[str] = set()  # ClOrdIDs that must be unknown
        self.send("35=A|98=0|108=3600|141=Y|")

    def send(self, body: str) -> None:
        self._socket.sendall(message("ALGO", self.name, self._seq, body))
        self._seq += 1

    def read(self) -> None:
        """Take what has come."""
        self._socket.setblocking(False)
        try:
            while more := self._socket.recv(1 << 18):
                self._buffer += more
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(PATIENCE_S)
        texts, self._buffer = split(self._buffer)
        for text in texts:
            self._hear(dict(reversed([pair.split("=", 1) for pair in text.decode().split("\x01")[:-1]])))

    def ask(self, forgotten: list[tuple[int, str, str, str]]) -> None:
        """Compare every order that lives with what its venue says, and hear that of others it knows nothing."""
        asked = [(o["11"], o["55"], o["54"]) for o in self.live.values()] + [entry[1:] for entry in forgotten]
        self._strangers = {entry[1] for entry in forgotten}
        self._asked += len(asked)
        for cl_ord_id, symbol, side in asked:
            self.send(f"35=H|11={cl_ord_id}|55={symbol}|54={side}|")

    def is_answered(self) -> bool:
        return self._asked == 0

    def end(self) -> None:
        """Cancel everything."""
        self._asked += 1
        self.send(f"35=q|11=all{self._seq}|530=7|60={START}|")

    def close(self) -> None:
        self._socket.close()

    def _hear(self, said: dict[str, str]) -> None:
        kind = said["35"]
        if kind == "8" and said["150"] == "I":
            self._compare(said)
        elif kind == "8":
            self._report(said)
        elif kind == "r":
            self._asked -= 1
            if int(said["533"]) != len(self.live):
                self.wrong.append(f"{self.name} cancels {said['533']} orders, by the reports {len(self.live)} live")
        elif kind in ("3", "j"):
            self.wrong.append(f"{self.name} does not understand: {said}")
        self.counts["late"] += kind == "9"

    def _report(self, said: dict[str, str]) -> None:
        order_id = said["37"]
        self.counts[said["150"]] += 1
        if said["150"] == "8":
            return
        if said["150"] == "F":
            self._filled[order_id] = self._filled.get(order_id, 0) + int(said["32"])
            self.prices[said["55"]] = float(said["31"])
        if self._filled.get(order_id, 0) != int(said["14"]):
            self.wrong.append(f"{self.name} {said['17']}: CumQty {said['14']}, its fills sum to {self._filled.get(order_id, 0)}")
        if said["39"] in LIVE:
            self.live[order_id] = said
            return
        self.live.pop(order_id, None)
        self._filled.pop(order_id, None)
        self.ended.append((utc(said["60"]), said["11"], said["55"], said["54"]))

    def _compare(self, said: dict[str, str]) -> None:
        self._asked -= 1
        if said["11"] in self._strangers:
            self.counts["asked again"] += 1
            self.counts["still known"] += said.get("103") != "5"
            return
        mine = self.live.get(said["37"])
        ended = next((e for e in reversed(self.ended) if e[1] == said["11"]), None) if mine is None else None
        # Between question and answer it may have ended: the reports before the answer have told so.
        if mine is None and (ended is None or said["39"] in LIVE or said.get("103") == "5"):
            self.wrong.append(f"{self.name} {said['11']}: the venue says {said}, the reports nothing")
        if mine is not None and any(mine.get(tag) != said.get(tag) for tag in COMPARED):
            self.wrong.append(f"{self.name} {said['11']}: the venue says {said}, the reports {mine}")


class Wishes:
    """What the client wants next."""

    def __init__(self, venues: list[Venue], symbols: list[str], seed: int):
        self._venues, self._symbols, self._rng = venues, symbols, random.Random(seed)
        self.sent = 0

    def act(self, ts: int) -> None:
        """Rest, take, replace or cancel."""
        rng, venue, symbol = self._rng, self._rng.choice(self._venues), self._rng.choice(self._symbols)
        draw, self.sent, now = rng.random(), self.sent + 1, utc_text(ts)
        px = next((v.prices[symbol] for v in self._venues if symbol in v.prices), 0.0)
        side, qty = rng.choice("12"), 100 * rng.randrange(1, 5)
        if draw < 0.45 and venue.live:
            old = rng.choice(list(venue.live.values()))
            about = f"11=c{self.sent}|41={old['11']}|55={old['55']}|54={old['54']}|60={now}|"
            if draw < 0.35 or "44" not in old:
                venue.send(f"35=F|{about}")
            else:
                away = -0.01 if old["54"] == "1" else 0.01
                venue.send(f"35=G|{about}38={int(old['38']) + 100}|40=2|44={float(old['44']) + away:.2f}|59=0|")
        elif not px or draw > 0.85:
            lit = venue if venue.name != "XDARK1" else self._venues[0]
            lit.send(f"35=D|11=c{self.sent}|55={symbol}|54={side}|60={now}|38={qty}|40=1|59=3|")
        else:
            px += rng.randrange(0, 5) * (-0.01 if side == "1" else 0.01)
            venue.send(f"35=D|11=c{self.sent}|55={symbol}|54={side}|60={now}|38={qty}|40=2|44={px:.2f}|59=0|")


def kb(process: subprocess.Popen[str], state: Path) -> dict[str, int]:
    """Of the simulator: its memory, its ledger, and what its FIX engine keeps to send again."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    store = sum(f.stat().st_size for f in (state / "fix").iterdir())
    return {
        "rss_kb": pages * os.sysconf("SC_PAGE_SIZE") // 1024, "ledger_kb": (state / "ledger.jsonl").stat().st_size // 1024, "store_kb": store // 1024
    }  # fmt: skip


def run(hours: float, per_s: float, speed: float, seed: int) -> dict[str, Any]:
    """Hour by hour: what the process holds, and what differed."""
    start_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="endurance-") as folder:
        state, config, port = Path(folder) / "state", Path(folder) / "sim.toml", free_port()
        config.write_text(scenario())
        wall_ts = time.time_ns() // SECOND * SECOND
        clock = Clock(speed, utc(START), wall_ts)
        command = [sys.executable, "-m", "algoserver", "sim", "--config", str(config), "--state", str(state), "--port", str(port)]
        command += ["--speed", str(speed), "--market-epoch", START, "--wall-epoch", utc_text(wall_ts)[:17]]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready.startswith("ready"):
                raise SystemExit(f"the simulator did not start: {ready}")
            symbols = ready.rpartition("; ")[2].strip().split(",")
            venues = [Venue(name, port) for name in VENUES]
            table = list(_hours(venues, Wishes(venues, symbols, seed), lambda: kb(process, state), clock, hours, per_s))
            for venue in venues:
                venue.end()
            _await(venues)
            found = [text for venue in venues for text in venue.wrong]
            for venue in venues:
                venue.close()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    counts = sum((v.counts for v in venues), Counter[str]())
    return {
        "crowd": "flow, over FIX", "market_hours": hours, "speed": speed, "wall_s": round(time.perf_counter() - start_s, 1),
        "requests": table[-1]["requests"], "fills": counts["F"],
        "rejected": counts["8"], "too_late": counts["late"], "differences": sum(row["differences"] for row in table) + len(found),
        "asked_of_yesterday": counts["asked again"], "still_known": counts["still known"], "hours": table,
    }  # fmt: skip


def _hours(venues: list[Venue], wishes: Wishes, measured: Any, clock: Clock, hours: float, per_s: float) -> Iterator[dict[str, Any]]:
    start, parts = clock.now(), max(2, round(hours))
    midnight = start - start % DAY + DAY
    for n in range(parts):
        due, until = clock.now(), start + int((n + 1) * hours * HOUR / parts)
        while (now := clock.now()) < until or (n % 2 == 0 and due < until):
            # What is due is done though the machine stood still; a few at a time, so that answers come in between.
            for _ in range(AT_ONCE_MAX):
                if n % 2 == 0 and due < min(now, until):
                    due += int(SECOND / per_s)
                    wishes.act(now)
            for venue in venues:
                venue.read()
            time.sleep(PACE_S)
        is_next_day = midnight <= now - HOUR < midnight + HOUR
        for venue in venues:
            past = [e for e in venue.ended if e[0] < midnight - GRACE_NS] if is_next_day else []
            venue.ask(past[-SAMPLE:])
        _await(venues)
        found = [text for venue in venues for text in venue.wrong]
        for text in found[:5]:
            print(f"hour {n + 1}: {text}", file=sys.stderr)
        for venue in venues:
            venue.wrong = []
        row = {"hour": n + 1, **measured(), "requests": wishes.sent, "live": sum(len(v.live) for v in venues), "differences": len(found)}
        print(row, file=sys.stderr, flush=True)
        yield row


def _await(venues: list[Venue]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(v.is_answered() for v in venues):
        if time.monotonic() > deadline:
            raise SystemExit(f"no answer within {PATIENCE_S:g} s from {', '.join(v.name for v in venues if not v.is_answered())}")
        time.sleep(0.01)
        for venue in venues:
            venue.read()
