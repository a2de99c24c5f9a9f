"""Parent order to acknowledgement, over a loopback socket: the server against a bare QuickFIX acceptor in Python.

The server decodes, checks limits, journals, makes durable and then acknowledges. The bare acceptor reads five fields and
answers from within QuickFIX's callback, with QuickFIX's file store and our dictionary: what a FIX program in Python costs at
least. It comes in two forms: "bare" sets the report's fields one by one, as QuickFIX's examples do; "bare text" hands over the
report as one string, the fastest way that we know. All run as processes of their own, in turns (A B C C B A ...), and get the
same bytes from a raw socket. Parents start in the future, so that no children go out; a venue made of a thread gives the
server the prices without which it admits nothing.
"""

import argparse
import json
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from algoserver.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
SYMBOL = "AAPL"
IN_FLIGHT = 64
GAP_S = 0.002  # between two orders at low load
PATIENCE_S = 120
TRAILER = b"\x0110="


def message(sender: str, target: str, seq: int, body: str) -> bytes:
    """A FIX 4.4 message; body begins with MsgType ("35=D|11=...|")."""
    msg_type, _, rest = body.partition("|")
    now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    inner = f"{msg_type}|49={sender}|56={target}|34={seq}|52={now}.000|{rest}".replace("|", "\x01").encode()
    text = b"8=FIX.4.4\x019=%d\x01" % len(inner) + inner
    return text + b"10=%03d\x01" % (sum(text) % 256)


def split(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages in a buffer, and what is left."""
    found, start = [], 0
    while (end := buffer.find(TRAILER, start)) >= 0 and len(buffer) >= end + 8:
        found.append(buffer[start : end + 8])
        start = end + 8
    return found, buffer[start:]


def value(text: bytes, tag: int) -> str:
    """A field's text; "" if it is not there."""
    start = text.find(b"\x01%d=" % tag)
    return text[text.find(b"=", start) + 1 : text.find(b"\x01", start + 1)].decode() if start >= 0 else ""


class Venue(threading.Thread):
    """Answers Logon, one book per MarketDataRequest, TestRequests; sends heartbeats. Takes no orders."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer, seq, me, peer = b"", 1, "", ""
        connection.settimeout(10)
        while True:
            replies = []
            try:
                data = connection.recv(65_536)
                if not data:
                    return
                texts, buffer = split(buffer + data)
            except TimeoutError:
                texts, replies = [], ["35=0|"]
            except OSError:
                return
            for text in texts:
                msg_type, me, peer = value(text, 35), value(text, 56), value(text, 49)
                if msg_type == "A":
                    reset = "141=Y|" if value(text, 141) == "Y" else ""
                    replies.append(f"35=A|98=0|108={value(text, 108)}|{reset}")
                elif msg_type == "1":
                    replies.append(f"35=0|112={value(text, 112)}|")
                elif msg_type == "V":
                    book = "268=2|269=0|270=200|271=1000|269=1|270=200.01|271=1000|"
                    replies.append(f"35=W|262={value(text, 262)}|55={value(text, 55)}|{book}")
                elif msg_type == "5":
                    replies.append("35=5|")
            for body in replies:
                connection.sendall(message(me, peer, seq, body))
                seq += 1


class Peer:
    """A process that acknowledges orders, and our session with it."""

    def __init__(self, name: str, command: list[str], port: int) -> None:
        self.name = name
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            raise SystemExit(f"{name} did not start: {line}")
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seq, self.orders, self.buffer = 1, 0, b""
        self.rates: list[float] = []
        self.latencies: list[float] = []
        self.cpu_us: list[float] = []
        self.socket.sendall(self._message("35=A|98=0|108=3600|"))
        while not any(value(t, 35) == "A" for t in self._receive()):
            pass

    def wait_until_it_trades(self) -> None:
        """Send orders until one is accepted: the server has prices."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.socket.sendall(self.order())
            reports: list[bytes] = []
            while not reports:
                reports = [t for t in self._receive() if value(t, 35) == "8"]
            if value(reports[0], 150) == "0":
                return
            time.sleep(0.1)
        raise SystemExit(f"{self.name} accepts no order: {value(reports[0], 58)}")

    def burst(self, count: int) -> None:
        """Throughput and CPU: `count` orders, always IN_FLIGHT on their way."""
        texts = [self.order() for _ in range(count)]
        cpu = self._cpu_s()
        begin = time.perf_counter()
        self.socket.sendall(b"".join(texts[:IN_FLIGHT]))
        sent, done = min(IN_FLIGHT, count), 0
        while done < count:
            acknowledged = self._acknowledged()
            done += acknowledged
            if sent < count and acknowledged:
                self.socket.sendall(b"".join(texts[sent : sent + acknowledged]))
                sent += acknowledged
        self.rates.append(count / (time.perf_counter() - begin))
        self.cpu_us.append((self._cpu_s() - cpu) / count * 1e6)

    def one_by_one(self, count: int) -> None:
        """Latency at low load: the next order leaves a moment after the last one's acknowledgement."""
        for text in [self.order() for _ in range(count)]:
            begin = time.perf_counter()
            self.socket.sendall(text)
            while not self._acknowledged():
                pass
            self.latencies.append((time.perf_counter() - begin) * 1e6)
            time.sleep(GAP_S)

    def order(self) -> bytes:
        """The next parent: a TWAP that starts in two hours."""
        self.orders += 1
        start, end, now = (time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + s)) for s in (7_200, 10_800, 0))
        return self._message(
            f"35=D|11=B{self.orders}|21=1|55={SYMBOL}|54=1|38={100 * (self.orders % 50 + 1)}|40=1|59=0|60={now}|168={start}|126={end}|847=1001|"
        )

    def stop(self) -> None:
        """End the process."""
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _acknowledged(self) -> int:
        count = 0
        for text in self._receive():
            if b"\x0135=8\x01" in text:
                if b"\x01150=0\x01" not in text:
                    raise SystemExit(f"{self.name} refused an order: {value(text, 58)}")
                count += 1
        return count

    def _receive(self) -> list[bytes]:
        if not select.select([self.socket], [], [], PATIENCE_S)[0]:
            raise SystemExit(f"{self.name} is silent")
        data = self.socket.recv(262_144)
        if not data:
            raise SystemExit(f"{self.name} hung up")
        texts, self.buffer = split(self.buffer + data)
        return texts

    def _message(self, body: str) -> bytes:
        self.seq += 1
        return message("CLIENT1", "ALGO", self.seq - 1, body)

    def _cpu_s(self) -> float:
        # By thread and in ns; the process's own counter has ticks of 10 ms, which a small run does not reach.
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def bare_acceptor(form: str, port: int, state: Path) -> None:
    """Be the reference: a QuickFIX acceptor that answers in its callback. form: "fields" or "text"."""
    import quickfix as fix

    class Application(fix.Application):  # type: ignore[misc]  # QuickFIX has no types
        count = 0

        def onCreate(self, session_id: object) -> None: ...
        def onLogon(self, session_id: object) -> None: ...
        def onLogout(self, session_id: object) -> None: ...
        def toAdmin(self, order: object, session_id: object) -> None: ...
        def fromAdmin(self, order: object, session_id: object) -> None: ...
        def toApp(self, order: object, session_id: object) -> None: ...

        def fromApp(self, order: "fix.Message", session_id: "fix.SessionID") -> None:
            self.count += 1
            cl_ord_id, symbol, side, qty = (order.getField(tag) for tag in (11, 55, 54, 38))
            strategy, now = order.getField(847), time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
            fields = {
                37: f"O{self.count}", 11: cl_ord_id, 17: f"E{self.count}", 150: "0", 39: "0", 55: symbol, 54: side, 38: qty, 14: "0",
                151: qty, 6: "0", 60: now, 58: f"strategy {strategy}",
            }  # fmt: skip
            if form == "text":
                text = "".join([f"{tag}={value}\x01" for tag, value in fields.items()])
                report = fix.Message(f"8=FIX.4.4\x019=0\x0135=8\x01{text}10=000\x01", False)
            else:
                report = fix.Message()
                report.getHeader().setField(35, "8")
                for tag, text in fields.items():
                    report.setField(tag, text)
            fix.Session.sendToTarget(report, session_id)

    cfg = state / "bare.cfg"
    cfg.write_text(
        "[DEFAULT]\nConnectionType=acceptor\nBeginString=FIX.4.4\nSenderCompID=ALGO\nSocketReuseAddress=Y\nSocketNodelay=Y\n"
        f"NonStopSession=Y\nHeartBtInt=30\nUseDataDictionary=Y\nDataDictionary={ROOT / 'sessions' / 'FIX44.xml'}\n"
        f"SocketAcceptPort={port}\nFileStorePath={state / 'fix'}\n[SESSION]\nTargetCompID=CLIENT1\n"
    )
    settings = fix.SessionSettings(str(cfg))
    application, stores = Application(), fix.FileStoreFactory(settings)
    acceptor = fix.ThreadedSocketAcceptor(application, stores, settings)
    acceptor.start()
    print("ready", flush=True)
    threading.Event().wait()


def bench_config(scratch: Path) -> Path:
    """The default configuration with limits that a load test does not meet; returns the server's file."""
    shutil.copytree(ROOT / "cfg", scratch / "cfg")
    shutil.copytree(ROOT / "sessions", scratch / "sessions")
    policy = scratch / "cfg" / "policy.toml"
    text = policy.read_text()
    limits = {"duplicate_window_s": 0, "parents_per_second_max": 1_000_000, "reference_age_s_max": 86_400}
    for key, limit in limits.items():
        text, found = re.subn(rf"(?m)^{key} *=.*$", f"{key} = {limit}", text)
        assert found == 1, f"{policy} has no {key}"
    policy.write_text(text)
    return scratch / "cfg" / "server.toml"


def main() -> None:
    """Print a table, with --json a JSON line after it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--burst", type=int, default=3_000, help="orders of a burst")
    parser.add_argument("--single", type=int, default=300, help="orders of a round at low load")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bare", nargs=3, metavar=("FORM", "PORT", "DIR"), help="be the bare acceptor; used by the bench itself")
    args = parser.parse_args()
    if args.bare:
        bare_acceptor(args.bare[0], int(args.bare[1]), Path(args.bare[2]))
        return
    peers: list[Peer] = []
    with tempfile.TemporaryDirectory(prefix="bench-ack-") as name:
        scratch = Path(name)
        config = bench_config(scratch)
        venue = Venue()
        venue.start()
        try:
            port = free_port()
            serve = [sys.executable, "-m", "algoserver", "serve", "--config", str(config), "--state", str(scratch / "server")]
            peers.append(Peer("server", [*serve, "--port", str(port), "--venue-port", str(venue.port)], port))
            for peer_name, form in (("bare", "fields"), ("bare text", "text")):
                port = free_port()
                (scratch / form).mkdir()
                peers.append(Peer(peer_name, [sys.executable, __file__, "--bare", form, str(port), str(scratch / form)], port))
            for peer in peers:
                peer.wait_until_it_trades()
                peer.burst(500)  # warm
                peer.rates.clear()
                peer.cpu_us.clear()
            for n in range(args.rounds):
                for peer in peers if n % 2 == 0 else peers[::-1]:
                    peer.burst(args.burst)
                    peer.one_by_one(args.single)
        finally:
            for peer in peers:
                peer.stop()
    result: dict[str, float] = {"rounds": args.rounds, "burst": args.burst, "in_flight": IN_FLIGHT}
    print(f"{'':18} {'orders/s':>9} {'p50 us':>8} {'p99 us':>8} {'CPU us/order':>13}")
    found = {}
    for peer in peers:
        p = statistics.quantiles(peer.latencies, n=100)
        numbers = statistics.median(peer.rates), p[49], p[98], statistics.median(peer.cpu_us)
        found[peer.name] = numbers
        print(f"{peer.name:18} {numbers[0]:9,.0f} {numbers[1]:8,.0f} {numbers[2]:8,.0f} {numbers[3]:13,.0f}")
        for key, number in zip(("orders_per_s", "p50_us", "p99_us", "cpu_us_per_order"), numbers, strict=True):
            result[f"{peer.name.replace(' ', '_')}_{key}"] = round(number, 1)
    for other, suffix in (("bare", ""), ("bare text", "_text")):
        ratios = [ours / theirs for ours, theirs in zip(found["server"], found[other], strict=True)]
        print(f"{'server/' + other:18} {ratios[0]:9.2f} {ratios[1]:8.2f} {ratios[2]:8.2f} {ratios[3]:13.2f}")
        for key, ratio in zip(("throughput_ratio", "p50_ratio", "p99_ratio", "cpu_ratio"), ratios, strict=True):
            result[key + suffix] = round(ratio, 3)
    result["cpu_us_per_order"] = result["server_cpu_us_per_order"]
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
