"""The street of the end-to-end tests: real processes, real sockets, and a client that is a QuickFIX engine of its own."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import quickfix as fix

from algoserver.control import call
from algoserver.domain.events import ChildFilled
from algoserver.domain.types import SECOND, utc_text
from algoserver.journal import read

ROOT = Path(__file__).resolve().parents[2]
SPEED = 40
OPEN = "20190628-14:29:30"
START, END = "20190628-14:30:00", "20190628-15:00:00"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One of our commands, started and ready; kill() is kill -9."""

    def __init__(self, *arguments: str, module: str = "algoserver") -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self.start()

    def start(self) -> None:
        """Start, or start again, and wait for the ready line."""
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), f"{self._command}: {line!r}, exit {self.process.wait(10)}"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


class Client(fix.Application):
    """CLIENT1 on QuickFIX, with its numbers on disk. reports: ExecID -> fields of the first time that it came."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        cfg = folder / "client.cfg"
        cfg.write_text(
            "[DEFAULT]\nConnectionType=initiator\nBeginString=FIX.4.4\nSenderCompID=CLIENT1\nTargetCompID=ALGO\n"
            f"SocketConnectHost=127.0.0.1\nSocketConnectPort={port}\nReconnectInterval=1\nSocketNodelay=Y\nNonStopSession=Y\n"
            f"HeartBtInt=30\nUseDataDictionary=Y\nDataDictionary={ROOT / 'sessions' / 'FIX44.xml'}\nFileStorePath={folder}\n"
            "[SESSION]\nResetOnLogon=N\n"
        )
        self._texts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._up = threading.Event()
        self._settings = fix.SessionSettings(str(cfg))
        self._stores = fix.FileStoreFactory(self._settings)
        self._dictionary = fix.DataDictionary(str(ROOT / "sessions" / "FIX44.xml"))
        self._engine = fix.ThreadedSocketInitiator(self, self._stores, self._settings)
        self._session = fix.SessionID("FIX.4.4", "CLIENT1", "ALGO")
        self.reports: dict[str, dict[str, str]] = {}
        self.told_twice: list[str] = []
        self.other: list[dict[str, str]] = []
        self._engine.start()
        assert self._up.wait(20), "the client could not log on"

    def send(self, body: str) -> None:
        """Send "35=D|11=..." with | for SOH."""
        text = f"8=FIX.4.4|9=0|{body}|10=000|".replace("|", "\x01")
        fix.Session.sendToTarget(fix.Message(text, self._dictionary, False), self._session)

    def read(self, seconds: float) -> None:
        """Take what has come, waiting at most so long for the first of it."""
        try:
            self._take(self._texts.get(timeout=seconds))
            while True:
                self._take(self._texts.get_nowait())
        except queue.Empty:
            pass

    def final(self) -> dict[str, str] | None:
        """The report that ended the order, once it is here."""
        return next((r for r in self.reports.values() if r["39"] in "2348C" and r["150"] in "F348C"), None)

    def filled(self) -> int:
        """Sum of LastQty."""
        return sum(int(r["32"]) for r in self.reports.values() if r["150"] == "F")

    def stop(self) -> None:
        """Log out."""
        self._engine.stop()

    def _take(self, text: str) -> None:
        fields = dict(pair.split("=", 1) for pair in text.split("\x01") if "=" in pair)
        if fields["35"] != "8":
            self.other.append(fields)
        elif fields["17"] not in self.reports:
            self.reports[fields["17"]] = fields
        elif fields.get("43") != "Y":
            self.told_twice.append(fields["17"])

    def onCreate(self, session):
        pass

    def onLogon(self, session):
        self._up.set()

    def onLogout(self, session):
        pass

    def toAdmin(self, message, session):
        pass

    def fromAdmin(self, message, session):
        pass

    def toApp(self, message, session):
        pass

    def fromApp(self, message, session):
        self._texts.put(message.toString())


class Proxy:
    """A wire between server and venues that can be cut: every connection at once."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                end.close()

    def close(self) -> None:
        """Stop."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Street:
    """Simulator, server and client on one clock, a recorded half hour in 45 s. is_cuttable: venues behind a Proxy."""

    def __init__(self, folder: Path, is_cuttable: bool = False) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        epoch = utc_text(time.time_ns() + 4 * SECOND)
        clock = ["--speed", str(SPEED), "--market-epoch", OPEN, "--wall-epoch", epoch]
        venue_port, client_port = free_port(), free_port()
        self.sim = Process("sim", "--config", "cfg/demo-sim.toml", "--state", str(folder / "sim"), "--port", str(venue_port), *clock)
        self.proxy = Proxy(venue_port) if is_cuttable else None
        reached = self.proxy.port if self.proxy else venue_port
        serve = ["serve", "--config", "cfg/demo-server.toml", "--state", str(folder / "server"), "--port", str(client_port)]
        self.server = Process(*serve, "--venue-port", str(reached), *clock)
        self.client = Client(folder / "client", client_port)

    def order(self, qty: int, max_pct_vol: str = "0.25") -> None:
        """A VWAP over the half hour, once there are prices to check it against."""
        deadline = time.monotonic() + 20
        while not all(v["quotes"] for v in call(self.folder / "server", {"verb": "venue.ls"})["venues"]):
            assert time.monotonic() < deadline, "no market data came"
            self.client.read(0.1)
        self.client.send(
            f"35=D|11=K1|21=1|55=AAPL|54=1|60={START}|38={qty}|40=1|59=0|847=1|168={START}|126={END}|957=1|958=MaxPctVol|960={max_pct_vol}"
        )

    def close(self) -> list[int]:
        """Stop everything; exit statuses of server and simulator."""
        statuses = [self.server.stop(), self.sim.stop()]
        self.client.stop()
        if self.proxy:
            self.proxy.close()
        return statuses

    def journal_filled(self) -> int:
        """Sum of the fills that the server has booked, each ExecID once."""
        fills = {(e.child_id, e.exec_id): e.last_qty for r in read(self.folder / "server" / "journal") if isinstance(e := r.payload, ChildFilled)}
        return sum(fills.values())

    def venue_reports(self) -> list[dict]:
        """Every report that the venues' ledger holds, in order."""
        lines = (self.folder / "sim" / "ledger.jsonl").read_text().splitlines()
        return [report for line in lines for report in json.loads(line).get("reports", [])]

    def venue_filled(self) -> int:
        """Sum of the venues' trades."""
        return sum({r["exec_id"]: r["last_qty"] for r in self.venue_reports() if r["report"] == "trade"}.values())

    def exposure_max(self) -> int:
        """Most that was filled and open at the venues at any moment."""
        leaves: dict[str, int] = {}
        filled = most = 0
        for r in self.venue_reports():
            if r["report"] == "trade":
                filled += r["last_qty"]
            leaves[r["order_id"]] = r.get("leaves_qty", 0)
            most = max(most, filled + sum(leaves.values()))
        return most


def replay(state: Path, hash_seed: str) -> str:
    """Output of `algoserver replay`; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "algoserver", "replay", str(state)], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
