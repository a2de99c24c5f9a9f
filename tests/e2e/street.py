"""The street of the end-to-end tests: real processes, real sockets, a client that is a QuickFIX engine."""

import contextlib
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
from typing import Any, ClassVar

from algoserver.domain.events import ChildFilled
from algoserver.domain.types import utc_text
from algoserver.door import call
from algoserver.journal import read
from algoserver.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
OPEN = "20190628-14:29:30"
START_ROOM = 5  # starts of one command, for three that do more than import
PATIENCE_S = 120.0  # with a machine that has much else to do, or stands still for a while
# What a test that is not about them must not meet on such a machine: a core that was silent is no failure there, an old price no doubt.
POLICY = {"reference_age_s_max": "86_400"}
SHELL = {"stall_ms": "120_000"}
# No order is over by its end before a test is, at the pace of the slowest machine: at ten times the speed that is half an hour away.
START, END = "20190628-14:30:00", "20190628-19:30:00"


def _start_ns() -> int:
    """What the machine takes just now to start one of our commands and find everything that it imports."""
    begun = time.monotonic_ns()
    subprocess.run([sys.executable, "-c", "import algoserver.server"], cwd=ROOT, check=True)
    return time.monotonic_ns() - begun


def configure(folder: Path, server: str, policy: dict[str, str], shell: dict[str, str]) -> Path:
    """The shipped configuration in a folder of its own, with these keys of the policy and of the server's file changed; the server's file."""
    for name in ("cfg", "sessions"):
        shutil.copytree(ROOT / name, folder / name)
    for name, changes in (("policy.toml", {**POLICY, **policy}), (server, {**SHELL, **shell})):
        path = folder / "cfg" / name
        lines = [f"{key} = {changes[key]}" if (key := line.partition(" ")[0]) in changes else line for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines) + "\n")
    return folder / "cfg" / server


class Process:
    """One of our commands, started and ready; kill() is kill -9."""

    started: ClassVar[list["subprocess.Popen[str]"]] = []

    def __init__(self, *arguments: str, module: str = "algoserver", is_talking: bool = False) -> None:
        self.command = [sys.executable, "-m", module, *arguments]
        self._stdin = subprocess.PIPE if is_talking else subprocess.DEVNULL
        self.start()

    def start(self) -> None:
        """Start, or start again, and wait for the ready line."""
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdin=self._stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.started.append(self.process)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), f"{self.command}: {line!r}, exit {self.process.wait(PATIENCE_S)}"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


class Client:
    """A client on QuickFIX in a process of its own. reports: ExecID -> fields of the first time that it came."""

    def __init__(self, folder: Path, port: int, compid: str = "CLIENT1") -> None:
        self._texts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.reports: dict[str, dict[str, str]] = {}
        self.told_twice: list[str] = []
        self.other: list[dict[str, str]] = []
        self._process = Process(str(folder), str(port), compid, module="tests.e2e.client", is_talking=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, body: str) -> None:
        """Send "35=D|11=..." with | for SOH."""
        stdin = self._process.process.stdin
        assert stdin is not None
        stdin.write(body + "\n")
        stdin.flush()

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
        return next((r for r in self.reports.values() if r["39"] in "2348C" and r["150"] in "F3458C"), None)

    def filled(self) -> int:
        """Sum of LastQty."""
        return sum(int(r["32"]) for r in self.reports.values() if r["150"] == "F")

    def kill(self) -> None:
        """kill -9: the connection ends, its numbers stay on disk."""
        self._process.kill()

    def stop(self) -> None:
        """Log out."""
        assert self._process.process.stdin is not None
        self._process.process.stdin.close()
        assert self._process.process.wait(PATIENCE_S) == 0

    def _listen(self) -> None:
        assert self._process.process.stdout is not None
        for line in self._process.process.stdout:
            self._texts.put(line.rstrip("\n"))

    def _take(self, text: str) -> None:
        fields = dict(pair.split("=", 1) for pair in text.split("\x01") if "=" in pair)
        if fields["35"] != "8":
            self.other.append(fields)
        elif fields["17"] not in self.reports:
            self.reports[fields["17"]] = fields
        elif fields.get("43") != "Y":
            self.told_twice.append(fields["17"])


class Proxy:
    """A wire between server and venues that can be cut: every connection at once."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection; a close alone would wait for the threads that read."""
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
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
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Street:
    """Simulator, server and client on one clock, which runs `speed` times as fast from `opens` on, when they have had time to start.

    is_cuttable: venues behind a Proxy. config: how the names of simulator's and server's begin; shell: keys of the server's with other values.
    """

    def __init__(
        self, folder: Path, speed: int, is_cuttable: bool = False, opens: str = OPEN, server_module: str = "algoserver", config: str = "demo-",
        shell: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        path = configure(folder, f"{config}server.toml", {}, shell or {})
        epoch = utc_text(time.time_ns() + START_ROOM * _start_ns())
        clock = ["--speed", str(speed), "--market-epoch", opens, "--wall-epoch", epoch]
        venue_port, client_port = free_port(), free_port()
        self.sim = Process("sim", "--config", f"cfg/{config}sim.toml", "--state", str(folder / "sim"), "--port", str(venue_port), *clock)
        self.proxy = Proxy(venue_port) if is_cuttable else None
        reached = self.proxy.port if self.proxy else venue_port
        serve = ["serve", "--config", str(path), "--state", str(folder / "server"), "--port", str(client_port)]
        self.server = Process(*serve, "--venue-port", str(reached), *clock, module=server_module)
        self.client = Client(folder / "client", client_port)

    def await_market(self) -> None:
        """Until there are prices to check an order against."""
        deadline = time.monotonic() + PATIENCE_S
        while not (rows := venues_of(self.folder / "server")) or not all(v["quotes"] for v in rows):
            assert time.monotonic() < deadline, "no market data came"
            self.client.read(0.1)

    def order(self, qty: int, max_pct_vol: str = "0.25") -> None:
        """A VWAP over five hours."""
        self.await_market()
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


def venues_of(state: Path, **token: str) -> list[dict[str, Any]]:
    """Rows of `venue ls`."""
    return ask(state, {"verb": "venue.ls", **token})["venues"]


def ask(state: Path, question: dict[str, Any]) -> dict[str, Any]:
    """The answer to what changes nothing, asked again while a server with much to do does not answer in time."""
    deadline = time.monotonic() + PATIENCE_S
    while (answer := call(state, question)).get("error", {}).get("code") == "timeout":
        assert time.monotonic() < deadline, answer
    return answer


def replay(state: Path, hash_seed: str) -> str:
    """Output of `algoserver replay`; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "algoserver", "replay", str(state)], cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE_S,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
