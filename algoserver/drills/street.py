"""The street of a drill: simulator and server as processes with a state of their own, two clients on real sessions, and three books.

Rule 1: a drill touches nothing but its own folder and ports; what it starts it ends, by its id.
Rule 2: books are read where they are kept: the client's reports, the server's journal and door, the venues' ledger.
Rule 3: waits are for a condition, with a deadline that is generous; times are measured, never assumed.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from algoserver.domain.commands import RaiseAlert, SendChild
from algoserver.domain.events import ChildFilled, Event
from algoserver.domain.types import SECOND, Strategy, px, utc, utc_text
from algoserver.door import Answer, Unreachable, call
from algoserver.drills.clients import Clients
from algoserver.journal import read
from algoserver.processes import ROOT, Failed, Program, free_port, wait_for
from algoserver.sim.ledger import Line
from algoserver.sim.reports import CancelReject, OrderStatus, Trade

SPEED = 20.0
EPOCH = "20190628-14:00:00"
END = "20190628-23:00:00"
AWAY = 0.02  # a share of the price, inside the collar: nothing trades there in a drill
PATIENCE_S = 120.0
MARK = "only-for-a-drill"
"""The file that makes a folder a drill's: a rogue refuses to run anywhere else."""
VENUES = ("XLIT1", "XLIT2", "XDARK1")
CLIENTS = ("CLIENT1", "CLIENT2")
SYMBOLS = ("AAPL", "GE", "ADBE")
QUESTIONS = ("status", "doctor", "venue.ls", "order.ls")  # what a drill asks that changes nothing
# CLIENT2's children rest at XLIT2 alone, CLIENT1's elsewhere: so a drill knows where something rests.
AGREED = """
[[profiles]]
client = "CLIENT1"
venues = ["XLIT1", "XDARK1"]
[[profiles]]
client = "CLIENT2"
venues = ["XLIT2"]
"""


class Tape:
    """The server's journal as it grows: inputs and outputs with their seq, ts of each input. Nothing is stepped: a rogue's can't be."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seq = 0
        self.ts: dict[int, int] = {}
        self.events: list[Event] = []
        self.sent: list[tuple[int, SendChild]] = []
        self.alerts: list[tuple[int, RaiseAlert]] = []

    def follow(self) -> "Tape":
        """Take what is new. An input's outputs are durable with it, in one write; the last input may still wait for its own."""
        events: dict[int, Event] = {}
        outputs: list[tuple[int, Any]] = []
        for record in read(self._directory, self._seq):
            if record.kind == "I" and isinstance(record.payload, Event):
                events[record.seq] = record.payload
            elif record.kind == "O":
                outputs.append((record.seq, record.payload))
        last = max(events, default=0) - 1  # the very last one is taken next time, with all of its outputs
        for seq, event in events.items():
            if seq <= last:
                self.events.append(event)
                self.ts[seq] = event.ts
        for seq, command in outputs:
            if seq > last:
                continue
            if isinstance(command, SendChild):
                self.sent.append((seq, command))
            elif isinstance(command, RaiseAlert):
                self.alerts.append((seq, command))
        self._seq = max(self._seq, last)
        return self

    def alert(self, *codes: str) -> tuple[int, RaiseAlert] | None:
        """The first alert of one of these codes, with its event's seq."""
        return next(((seq, a) for seq, a in self.follow().alerts if a.code in codes), None)

    def filled(self) -> int:
        """Sum of the fills that the server has booked, each ExecID of a child once."""
        fills = {(e.child_id, e.exec_id): e.last_qty for e in self.events if isinstance(e, ChildFilled)}
        return sum(fills.values())


class Street:
    """Three venues, a server and two clients on a market that is always open and runs SPEED times as fast.

    is_rogue: the server is the one of drills.rogue. limits: lines of the policy's file that are other than the firm's.
    """

    def __init__(self, folder: Path, speed: float = SPEED, is_rogue: bool = False, limits: dict[str, str] | None = None) -> None:
        if (folder / "server").exists():
            raise Failed(f"{folder} holds an earlier drill; give an empty directory")
        self.folder, self.speed, self.state_dir = folder, speed, folder / "server"
        config = _configure(folder, limits or {})
        self._wall_epoch_ts = time.time_ns() // SECOND * SECOND
        clock = ["--speed", str(speed), "--market-epoch", EPOCH, "--wall-epoch", utc_text(self._wall_epoch_ts)]
        venue_port, client_port = free_port(), free_port()
        sim = ["algoserver", "sim", "--config", str(config / "sim.toml"), "--state", str(folder / "sim"), "--port", str(venue_port), *clock]
        serve = ["serve", "--config", str(config / "server.toml"), "--state", str(self.state_dir), "--port", str(client_port)]
        module = "algoserver.drills.rogue" if is_rogue else "algoserver"
        self.sim = Program("simulator", sim)
        self.server = Program("server", [module, *serve, "--venue-port", str(venue_port), *clock])
        self._client_port = client_port
        self.tape = Tape(self.state_dir / "journal")
        self._orders = 0
        self._ledger_number = 0  # of the file (inode), once it was read

    def __enter__(self) -> "Street":
        self.sim.start()
        self.server.start()
        try:
            self.sim.await_ready()
            self.server.await_ready()
            self.clients = Clients(CLIENTS, self._client_port)
            wait_for(self.clients.are_up, "the clients did not log on", PATIENCE_S)
            wait_for(self._has_market, "no market data came", PATIENCE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for program in (self.server, self.sim):
            program.kill()
        if hasattr(self, "clients"):
            self.clients.stop()

    def ask(self, verb: str, **more: Any) -> Answer:
        """The server's answer at its door; a question is asked again while a busy one has none. Raises Failed where it refuses or is not there."""
        deadline = time.monotonic() + PATIENCE_S
        try:
            while (answer := call(self.state_dir, {"verb": verb, **more})).get("error", {}).get("code") == "timeout" and verb in QUESTIONS:
                if time.monotonic() > deadline:
                    break
        except Unreachable as error:
            raise Failed(str(error)) from error
        if "error" in answer:
            raise Failed(f"{verb}: {answer['error']['text']}")
        return answer

    def rest(self, count: int) -> None:
        """Parents of one child each that rest far from the market and trade nothing, so many at each venue."""
        rows = [q for v in self.ask("venue.ls")["venues"] for q in v["quotes"] if q["symbol"] == "AAPL" and px(q["bid_px"])]
        highest = int(float(rows[0]["bid_px"]) * 100 * (1 - AWAY))
        for n in range(count):
            # Each has a price of its own: a twin would be refused.
            lit, dark = f"{(highest - 2 * n) / 100:.2f}", f"{(highest - 2 * n - 1) / 100:.2f}"
            for client in CLIENTS:
                self.order(client, "AAPL", 100, Strategy.ICEBERG, price=lit, MaxPctVol="1", DisplayQty="100")
            self.order("CLIENT1", "AAPL", 100, Strategy.LIQUIDITY, price=dark, MaxPctVol="1")

    def work(self, qty: int = 960_000, minutes: int = 240) -> list[str]:
        """Parents that trade all the time, one of each client, and for longer than any drill; their ClOrdIDs."""
        return [self.order(c, "AAPL", qty, Strategy.TWAP, minutes=minutes, MaxPctVol="0.4", Urgency="5") for c in CLIENTS]

    def order(self, client: str, symbol: str, qty: int, strategy: Strategy, price: str = "", minutes: int = 0, **params: str) -> str:
        """Send a buy, for so many market minutes or the day; its ClOrdID."""
        self._orders += 1
        cl_ord_id = f"D{self._orders}"
        now_ts = self.market_ts() // SECOND * SECOND
        end = utc_text(now_ts + minutes * 60 * SECOND) if minutes else END
        pairs = [(11, cl_ord_id), (21, "1"), (55, symbol), (54, "1"), (60, utc_text(now_ts)), (38, str(qty))]
        pairs += [(40, "2"), (44, price)] if price else [(40, "1")]
        pairs += [(59, "0"), (847, str(int(strategy))), (126, end)]
        pairs += [(957, str(len(params)))] if params else []
        pairs += [pair for name, value in params.items() for pair in ((958, name), (960, value))]
        self.clients.send(client, pairs)
        return cl_ord_id

    def await_open(self, count: int, venues: tuple[str, ...] = VENUES) -> dict[str, int]:
        """Until so many of our children rest at each venue, by its own ledger; how many do."""

        def found() -> dict[str, int] | None:
            rests = self.open_at_venues()
            return rests if all(rests.get(v, 0) >= count for v in venues) else None

        return wait_for(found, f"not {count} children rest at each of {', '.join(venues)}, but {self.open_at_venues()}", PATIENCE_S)

    def open_at_venues(self) -> dict[str, int]:
        """Orders that may trade, by venue, from the ledger: the last report is the order."""
        last = {(r.venue, r.order_id): r.leaves_qty for r in self.venue_reports()}
        found: dict[str, int] = {}
        for (venue, _), leaves in last.items():
            found[venue] = found.get(venue, 0) + (leaves > 0)
        return {venue: count for venue, count in found.items() if count}

    def venue_reports(self) -> list[Any]:
        """Every report about an order that the venues have written, in order."""
        return self.venue_reports_from(0)[0]

    def venue_reports_from(self, offset: int) -> tuple[list[Any], int]:
        """Those that the ledger holds from a byte on, and where the next one will begin. Raises Failed when yesterday's are gone from it."""
        with (self.folder / "sim" / "ledger.jsonl").open("rb") as file:
            number = os.fstat(file.fileno()).st_ino
            self._ledger_number = self._ledger_number or number
            # Written anew at the turn of a day, it has no longer all that was traded: books made of it would be wrong.
            if number != self._ledger_number:
                raise Failed("the venues' trading day has turned and they forgot what was over; a drill ends on the day on which it began")
            file.seek(offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        reports = [r for line in whole.splitlines() for r in LINE.decode(line).reports if not isinstance(r, CancelReject | OrderStatus)]
        return reports, offset + len(whole)

    def venue_filled(self) -> int:
        """Sum of the venues' trades with us."""
        return sum({r.exec_id: r.last_qty for r in self.venue_reports() if isinstance(r, Trade)}.values())

    def books(self) -> tuple[int, int, int]:
        """Quantity traded by the books of client, server and venue."""
        return self.clients.filled(), self.tape.follow().filled(), self.venue_filled()

    def await_agreement(self) -> tuple[int, int, int]:
        """The books when they have come to rest; equal, if they ever become so in time."""
        with contextlib.suppress(Failed):  # that they differ is what the drill reports
            wait_for(lambda: len(set(self.books())) == 1, "the books do not agree", PATIENCE_S)
        return self.books()

    def market_ts(self) -> int:
        """Market time now."""
        return utc(EPOCH) + int((time.time_ns() - self._wall_epoch_ts) * self.speed)

    def wall_s(self, market_ts: int) -> float:
        """Wall time of a moment of the market, as time.time()."""
        return ((market_ts - utc(EPOCH)) / self.speed + self._wall_epoch_ts) / SECOND

    def _has_market(self) -> bool:
        rows = {v["venue"]: {q["symbol"] for q in v["quotes"]} for v in self.ask("venue.ls")["venues"]}
        return all(set(SYMBOLS) <= rows.get(v, set()) for v in VENUES[:2])


LINE = msgspec.json.Decoder(Line)


def _configure(folder: Path, limits: dict[str, str]) -> Path:
    """The shipped configuration, in the drill's own folder, with what the drill changes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    for name in ("cfg", "sessions"):
        shutil.copytree(ROOT / name, folder / name)
    server, policy = folder / "cfg" / "server.toml", folder / "cfg" / "policy.toml"
    # The static curve: a drill is not about forecasts, and a model takes its time to load.
    server.write_text(server.read_text().replace('model = "median20" ', 'model = ""         ') + AGREED)
    lines = policy.read_text().splitlines()
    unknown = set(limits) - {line.partition(" ")[0] for line in lines}
    assert not unknown, f"the policy has no {', '.join(unknown)}"
    policy.write_text("\n".join(f"{key} = {limits[key]}" if (key := line.partition(" ")[0]) in limits else line for line in lines) + "\n")
    return folder / "cfg"
