"""A plain FIX 4.4 client on a raw socket, sharing no code with the server, and the simulator as a process."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from algoserver.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


class Simulator:
    """`python -m algoserver sim` on a port of its own; ready when the constructor returns."""

    def __init__(self, state: Path, config: str = "cfg/sim.toml"):
        self.state = state
        self.config = config
        self.port = free_port()
        self.start()

    def start(self):
        command = [sys.executable, "-m", "algoserver", "sim", "--config", self.config, "--state", str(self.state), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready"), line

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.stdout.close()


class Client:
    """One FIX session. seq: the next number to send."""

    def __init__(self, port: int, sender: str = "ALGO", target: str = "XLIT1", seq: int = 1, reset: bool = False):
        """Log on, again where the end of this session's last connection was not noticed yet: then this one is closed."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
            self.sender, self.target, self.seq = sender, target, seq
            self.buffer = b""
            try:
                self.send("35=A|98=0|108=30|" + ("141=Y|" if reset else ""))
                self.logon = self.wait(lambda m: m["35"] == "A")
                return
            except (AssertionError, OSError):
                self.socket.close()
                assert time.monotonic() < deadline, "the other side does not let go of the session"

    def send(self, body: str, seq: int | None = None, header: str = ""):
        """Send `body` ("35=D|11=..|"); header: more header fields, for instance 43=Y."""
        msg_type, _, rest = body.partition("|")
        now = datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S")
        number = self.seq if seq is None else seq
        self.seq += seq is None
        inner = f"{msg_type}|49={self.sender}|56={self.target}|34={number}|52={now}|{header}{rest}".replace("|", "\x01").encode()
        text = b"8=FIX.4.4\x019=%d\x01" % len(inner) + inner
        self.socket.sendall(text + b"10=%03d\x01" % (sum(text) % 256))

    def wait(self, wanted) -> dict:
        """The next message that `wanted` accepts, as fields, each tag once; others are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            end = self.buffer.find(b"\x0110=")
            if end >= 0 and len(self.buffer) >= end + 8:
                text, self.buffer = self.buffer[: end + 8].decode(), self.buffer[end + 8 :]
                fields = dict(reversed([f.split("=", 1) for f in text.split("\x01") if f]))
                if wanted(fields):
                    return fields
                continue
            more = self.socket.recv(65_536)
            assert more, "the simulator closed the connection"
            self.buffer += more
        raise AssertionError("no such message came")

    def report(self, **fields) -> dict:
        """The next ExecutionReport or OrderCancelReject, which must have these fields (_39="0")."""
        got = self.wait(lambda m: m["35"] in "89jY")
        assert {t: got.get(t[1:]) for t in fields} == fields, got
        return got

    def logout(self):
        """Leave in good order: the session can be logged on again at once."""
        self.send("35=5|")
        self.wait(lambda m: m["35"] == "5")
        while self.socket.recv(65_536):
            pass  # the simulator closes the connection
        self.close()

    def close(self):
        self.socket.close()


def order(cl_ord_id, price, qty=100, side=1, head="35=D|", symbol="AAPL"):
    return f"{head}11={cl_ord_id}|55={symbol}|54={side}|60=20190628-14:00:00|38={qty}|40=2|44={price}|59=0|"


def cancel(cl_ord_id, orig):
    return f"35=F|11={cl_ord_id}|41={orig}|55=AAPL|54=1|60=20190628-14:00:00|"
