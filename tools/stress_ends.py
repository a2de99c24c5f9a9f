"""Both ends of a street under load, over loopback sockets: clients who send orders, and venues that take them, trade them and remember."""

import itertools
import threading
import time
from collections import Counter, deque

from tools.bench_ack import split, value
from tools.bench_alert import book
from tools.wire import Port, Wire, logged_on, received

VENUES = ("XLIT1", "XLIT2", "XDARK1")
LIT = VENUES[:2]
SYMBOLS = tuple(f"S{n:02d}" for n in range(30))
TRADES_A_CHILD = 3


class Child:
    """A child at its venue. leaves: what may still trade."""

    def __init__(self, text: bytes) -> None:
        self.cl_ord_id, self.symbol, self.side, self.price = (value(text, tag) for tag in (11, 55, 54, 44))
        self.parent = self.cl_ord_id.rpartition(".")[0]
        self.order_qty = self.leaves = int(value(text, 38))


class Venues(Port):
    """Three venues. sent: ClOrdIDs of orders that came; traded: ExecID -> quantity; at: (parent, CumQty) -> when that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, dict[str, Child]] = {venue: {} for venue in VENUES}
        self.sent: list[str] = []
        self.canceled = 0
        self.traded: dict[str, int] = {}
        self.at: dict[tuple[str, int], float] = {}
        self.reports = 0
        self._turn: dict[str, deque[str]] = {venue: deque() for venue in VENUES}
        self._cum: Counter[str] = Counter()
        self._lock = threading.Lock()

    def press(self, venue: str, count: int) -> list[str]:
        """So many reports of a venue: trades, as long as something rests there, then states."""
        bodies: list[str] = []
        with self._lock:
            turn, resting = self._turn[venue], self.open[venue]
            while len(bodies) < count and turn:
                child = resting.get(turn[0])
                if child is None:
                    turn.popleft()
                    continue
                qty = min(child.leaves, max(1, child.order_qty // TRADES_A_CHILD))
                child.leaves -= qty
                exec_id = f"T{len(self.traded) + 1}"
                self.traded[exec_id] = qty
                self._cum[child.parent] += qty
                self.at[child.parent, self._cum[child.parent]] = time.time()
                bodies.append(self._report(child, "F", "1" if child.leaves else "2", exec_id) + f"31={child.price}|32={qty}|")
                turn.rotate(-1)
                if not child.leaves:
                    del resting[child.cl_ord_id]
            some = next(iter(resting.values()), None)
            if some is not None:
                bodies += [self._report(some, "I", "1", "0") for _ in range(count - len(bodies))]
            self.reports += len(bodies)
            if bodies:
                self.orders[venue].send(*bodies)  # under the lock: a cancel's answer must not overtake a trade
        return bodies

    def _report(self, child: Child, exec_type: str, status: str, exec_id: str) -> str:
        ids = f"35=8|37=V{child.cl_ord_id}|11={child.cl_ord_id}|17={exec_id}|150={exec_type}|39={status}|"
        done = child.order_qty - child.leaves
        leaves = 0 if status in "48" else child.leaves
        return f"{ids}55={child.symbol}|54={child.side}|38={child.order_qty}|14={done}|151={leaves}|6=0|"

    def answer(self, wire: Wire, me: str, msg_type: str, text: bytes) -> None:
        """Accept, cancel, or show the book."""
        if msg_type == "V" and me in LIT and value(text, 55) in SYMBOLS:
            wire.send(book(value(text, 55)))
        if msg_type not in "DF" or self.orders.get(me) is not wire:
            return
        with self._lock:
            self.reports += 1
            if msg_type == "D":
                child = Child(text)
                self.sent.append(child.cl_ord_id)
                self.open[me][child.cl_ord_id] = child
                self._turn[me].append(child.cl_ord_id)
                wire.send(self._report(child, "0", "0", f"N{child.cl_ord_id}"))
                return
            self.canceled += 1
            known = self.open[me].pop(value(text, 41), None)
            if known is not None:
                wire.send(self._report(known, "4", "4", f"C{known.cl_ord_id}"))
            else:
                wire.send(f"35=9|37=V|11={value(text, 11)}|41={value(text, 41)}|39=2|434=1|102=0|")


class Client:
    """A client's session. asked: ClOrdID -> when it was sent. answers: ClOrdID -> seconds, first ExecType. filled: ExecID -> LastQty."""

    def __init__(self, name: str, port: int, venues: Venues) -> None:
        self.name, self._venues = name, venues
        self.wire, self._connection = logged_on(name, port)
        self.asked: dict[str, float] = {}
        self.answers: dict[str, tuple[float, str]] = {}
        self.filled: dict[str, int] = {}
        self.exec_ids: Counter[str] = Counter()
        self.trade_s: list[float] = []
        self._numbers = itertools.count(1)
        threading.Thread(target=self._read, daemon=True).start()

    def order(self, count: int) -> None:
        """So many orders of a moment: an iceberg that shows itself all, at the far touch of its symbol, no two alike within seconds."""
        now, end = (time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + s)) for s in (0, 3_600))
        bodies, names = [], []
        for n in itertools.islice(self._numbers, count):
            qty = 100 + n % 900
            names.append(f"{self.name}-{n}")
            kind = f"40=2|44=200.0{n // 900 % 3}|59=0|60={now}|126={end}|847=1004|957=2|958=MaxPctVol|960=1|958=DisplayQty|960={qty}|"
            bodies.append(f"35=D|11={names[-1]}|21=1|55={SYMBOLS[n % len(SYMBOLS)]}|54=1|38={qty}|{kind}")
        if bodies:
            begun = time.time()
            self.asked.update(dict.fromkeys(names, begun))
            self.wire.send(*bodies)

    def _read(self) -> None:
        buffer = b""
        while data := received(self._connection):
            texts, buffer = split(buffer + data)
            now = time.time()
            for text in texts:
                self.wire.heard(text)
                msg_type = value(text, 35)
                if msg_type == "1":
                    self.wire.send(f"35=0|112={value(text, 112)}|")
                if msg_type != "8":
                    continue
                name, exec_type, exec_id = value(text, 11), value(text, 150), value(text, 17)
                self.exec_ids[exec_id] += 1
                if name not in self.answers:
                    self.answers[name] = now - self.asked[name], exec_type
                if exec_type == "F":
                    self.filled[exec_id] = int(value(text, 32))
                    written = self._venues.at.get((value(text, 37), int(value(text, 14))))
                    if written is not None:
                        self.trade_s.append(now - written)
