"""A scripted street: a raw FIX acceptor that plays both venues to the server, a raw client, and a server between them.

Written on simplefix and sockets, so that it shares no code with what it tests.
"""

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import simplefix

from tests.e2e.street import PATIENCE_S, ROOT, Process, configure, free_port, venues_of

MESSAGE_S_MAX = PATIENCE_S


class Fields(dict[str, str]):
    """A message's fields; parties: (PartyID, PartyRole) of its Parties group, in order."""

    parties: list[tuple[str, str]]


class Peer:
    """One FIX connection from its first Logon on; numbers begin at 1, messages go to `take`."""

    def __init__(self, connection: socket.socket, take) -> None:
        self.connection, self._take = connection, take
        self.us = self.them = ""
        self.begin_string = "FIX.4.4"
        self._seq = 0
        self._kept: dict[int, tuple[tuple[int, object], ...]] = {}  # reports of a drop copy, which are sent again as they were
        self._lock = threading.Lock()

    def go_on_from(self, before: "Peer") -> None:
        """Continue the numbers of an earlier connection."""
        self._seq, self._kept = before._seq, before._kept

    def send(self, msg_type: str, *pairs: tuple[int, object], seq: int = 0) -> None:
        """Send one message, with the next number or with one of its own."""
        with self._lock:
            self._seq += 0 if seq else 1
            if self.them == "ALGODC" and msg_type == "8" and not seq:
                self._kept[self._seq] = pairs
            message = simplefix.FixMessage()
            message.append_pair(8, self.begin_string, header=True)
            message.append_pair(35, msg_type, header=True)
            message.append_pair(34, seq or self._seq, header=True)
            message.append_pair(49, self.us, header=True)
            message.append_utc_timestamp(52, precision=3, header=True)
            message.append_pair(56, self.them, header=True)
            for tag, value in pairs:
                message.append_pair(tag, value, header=tag in (43, 97, 115, 122))  # these belong there
            self.connection.sendall(message.encode())

    def _send_again(self, begin: int) -> None:
        """What was asked for: a gap, but for what is kept."""
        for seq in sorted(n for n in self._kept if n >= begin):
            if seq > begin:
                self.send("4", (43, "Y"), (123, "Y"), (36, seq), seq=begin)
            self.send("8", (43, "Y"), (122, now()), *self._kept[seq], seq=seq)
            begin = seq + 1
        self.send("4", (43, "Y"), (123, "Y"), (36, self._seq + 1), seq=begin)

    def hang_up(self) -> None:
        """End the connection; a close alone would wait for the thread that reads."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def listen(self) -> None:
        """Read until the connection ends."""
        parser = simplefix.FixParser()
        while True:
            try:
                chunk = self.connection.recv(65_536)
            except OSError:
                return
            if not chunk:
                return
            parser.append_buffer(chunk)
            while (message := parser.get_message()) is not None:
                fields = Fields((tag.decode(), value.decode()) for tag, value in message.pairs)
                ids, roles = ([value.decode() for tag, value in message.pairs if tag == wanted] for wanted in (b"448", b"452"))
                fields.parties = list(zip(ids, roles, strict=True))
                if fields["35"] == "1":
                    self.send("0", (112, fields["112"]))
                elif fields["35"] == "2":
                    self._send_again(int(fields["7"]))
                else:
                    self._take(self, fields)


class Venue:
    """Every venue on one port. received: each D, F, G and H that arrived, in order. fills_at_once: a D is done before the next is read."""

    def __init__(self, fills_at_once: bool = False) -> None:
        self.fills_at_once = fills_at_once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.arrived: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self.received: list[dict[str, str]] = []
        self._orders: dict[str, Peer] = {}
        self._feeds: dict[str, Peer] = {}
        self._copies: dict[str, Peer] = {}
        self._copied = threading.Event()
        self._fed = threading.Event()
        self._exec, self._counting = 0, threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def hang_up(self, venue: str, is_copy: bool = False) -> None:
        """The order session of a venue breaks, or that of its drop copy; the server will come again."""
        (self._copies if is_copy else self._orders)[venue].hang_up()

    def await_copy(self, venue: str) -> None:
        """Until our drop copy session there has come, or come again."""
        assert self._copied.wait(MESSAGE_S_MAX), f"the server wants no drop copy of {venue}"
        self._copied.clear()

    def copy(self, order: dict[str, str], last: int, exec_id: str) -> None:
        """A trade of a child, on the drop copy alone."""
        pairs: list[tuple[int, object]] = [(37, "V" + order["11"]), (11, order["11"]), (17, exec_id), (150, "F"), (39, 2), (55, order["55"])]
        pairs += [(54, order["54"]), (38, order["38"]), (14, last), (151, 0), (6, 0), (31, order["44"]), (32, last)]
        self._copies[order["56"]].send("8", (115, "ALGO"), *pairs)

    def await_feed(self) -> None:
        """Until the server has asked, or asked again, for AAPL's market data at XLIT1."""
        assert self._fed.wait(MESSAGE_S_MAX), "the server asked for no market data"
        self._fed.clear()

    def quote(self, bid: str, ask: str, size: int, symbol: str = "AAPL", venue: str = "XLIT1") -> None:
        """A book at XLIT1, or at the other venue."""
        entries = ((269, 0), (270, bid), (271, size), (269, 1), (270, ask), (271, size))
        self._feeds[venue].send("W", (262, symbol), (55, symbol), (268, 2), *entries)

    def trade(self, qty: int, px: str, symbol: str = "AAPL") -> None:
        """A market print at XLIT1."""
        self._feeds["XLIT1"].send("X", (268, 1), (279, 0), (269, 2), (55, symbol), (270, px), (271, qty))

    def halt(self, is_halted: bool, symbol: str = "AAPL") -> None:
        """Both venues say that trading is halted, or goes on (f)."""
        for feed in self._feeds.values():
            feed.send("f", (324, symbol), (55, symbol), (326, 2 if is_halted else 3), (58, "news pending"))

    def next(self, msg_type: str, order_id: str = "") -> dict[str, str]:
        """The next message of this type, about a child of this parent if one is named."""
        while True:
            fields = self.arrived.get(timeout=MESSAGE_S_MAX)
            if fields["35"] == msg_type and fields["11"].startswith(f"{order_id}." if order_id else ""):
                return fields

    def next_or_none(self, msg_type: str, order_id: str) -> dict[str, str]:
        """As next(), but only for half a second; then nothing."""
        try:
            fields = self.arrived.get(timeout=0.5)
        except queue.Empty:
            return {}
        return fields if fields["35"] == msg_type and fields["11"].startswith(f"{order_id}.") else {}

    def report(
        self, order: dict[str, str], exec_type: str, status: str, cum: int, leaves: int, last: int = 0, *more: tuple[int, object],
        exec_id: str = "",
    ) -> None:  # fmt: skip
        """An ExecutionReport on a child."""
        with self._counting:
            self._exec += 1
            number = self._exec
        ids: list[tuple[int, object]] = [(37, "V" + order["11"]), (11, order["11"]), (17, exec_id or f"E{number}")]
        pairs = [*ids, (150, exec_type), (39, status)]
        pairs += [(55, order["55"]), (54, order["54"]), (38, order["38"]), (14, cum), (151, leaves), (6, 0)]
        pairs += [(31, order["44"]), (32, last)] if last else []
        self._orders[order["56"]].send("8", *pairs, *more)

    def close(self) -> None:
        """Stop."""
        self._listener.close()
        for peer in (*self._orders.values(), *self._feeds.values(), *self._copies.values()):
            peer.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Peer(connection, self._take).listen, daemon=True).start()

    def _take(self, peer: Peer, fields: dict[str, str]) -> None:
        msg_type = fields["35"]
        if msg_type == "A":
            peer.us, peer.them = fields["56"], fields["49"]
            ends = {"ALGOMD": self._feeds, "ALGODC": self._copies}.get(peer.them, self._orders)
            if peer.them != "ALGOMD" and peer.us in ends:
                peer.go_on_from(ends[peer.us])
            ends[peer.us] = peer
            peer.send("A", (98, 0), (108, 30))
            if peer.them == "ALGODC":
                self._copied.set()
        elif msg_type == "V":
            if fields["55"] == "AAPL" and peer.us == "XLIT1":
                self._fed.set()
        elif msg_type == "5":
            peer.send("5")
        elif msg_type in "DFGH":
            self.received.append(fields)
            self.arrived.put(fields)
            if msg_type == "D" and self.fills_at_once:
                self.report(fields, "F", "2", int(fields["38"]), 0, int(fields["38"]))


END = "end"  # instead of a MsgType, when a connection is over
BEGIN_STRINGS = {"42": "FIX.4.2", "50": "FIXT.1.1"}  # by how the name ends


class RawClient:
    """A client over a bare socket, in the version of its name, numbers from 1. logon: what its Logon says besides."""

    def __init__(self, port: int, name: str = "CLIENT1", *logon: tuple[int, object]) -> None:
        """Log on, again where the server has not noticed yet that the session's last connection is over: then it ends this one."""
        deadline = time.monotonic() + MESSAGE_S_MAX
        while True:
            self.heard: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
            connection = socket.create_connection(("127.0.0.1", port), timeout=MESSAGE_S_MAX)
            connection.settimeout(None)
            self.peer = Peer(connection, lambda _, fields, heard=self.heard: heard.put(fields))
            self.peer.us, self.peer.them = name, "ALGO"
            self.peer.begin_string = BEGIN_STRINGS.get(name[-2:], "FIX.4.4")
            threading.Thread(target=self._listen, args=(self.peer, self.heard), daemon=True).start()
            with contextlib.suppress(OSError):
                self.peer.send("A", *hello(self.peer.begin_string), *logon)
            if (said := self.next()["35"]) != END:
                assert said == "A", said
                return
            self.close()
            assert time.monotonic() < deadline, f"the server does not let go of {name}"

    @staticmethod
    def _listen(peer: Peer, heard: "queue.SimpleQueue[dict[str, str]]") -> None:
        peer.listen()
        heard.put({"35": END})

    def next(self) -> dict[str, str]:
        """The next message but heartbeats."""
        while True:
            fields = self.heard.get(timeout=MESSAGE_S_MAX)
            if fields["35"] != "0":
                return fields

    def order(self, cl_ord_id: str, *more: tuple[int, object], without: tuple[int, ...] = (), **changes: object) -> None:
        """A D that would be accepted: TWAP of 1,000 AAPL at the market over ten minutes. changes: t55="X" replaces 55."""
        pairs: dict[int, object] = {11: cl_ord_id, 21: 1, 55: "AAPL", 54: 1, 60: now(), 38: 1_000, 40: 1, 59: 0, 847: 1001, 126: now(600)}
        pairs |= {int(name[1:]): value for name, value in changes.items()}
        self.peer.send("D", *((t, v) for t, v in pairs.items() if t not in without), *more)

    def close(self) -> None:
        """Hang up."""
        self.peer.hang_up()


def hello(begin_string: str) -> tuple[tuple[int, object], ...]:
    """The fields of a Logon that begins its numbers anew."""
    return ((98, 0), (108, 30), (141, "Y"), *(((1137, 9),) if begin_string == "FIXT.1.1" else ()))


def refusal(port: int, name: str, *logon: tuple[int, object]) -> str:
    """Text of the Logout by which a Logon is refused; empty where there is none. The connection must end."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=MESSAGE_S_MAX)
    peer = Peer(connection, lambda *_: None)
    peer.us, peer.them, peer.begin_string = name, "ALGO", BEGIN_STRINGS.get(name[-2:], "FIX.4.4")
    received = b""
    with contextlib.suppress(ConnectionError):
        peer.send("A", *hello(peer.begin_string), *logon)
        while chunk := connection.recv(65_536):
            received += chunk
    connection.close()
    parser = simplefix.FixParser()
    parser.append_buffer(received)
    messages = iter(parser.get_message, None)
    said = [{tag.decode(): value.decode() for tag, value in m.pairs} for m in messages]
    assert [m["35"] for m in said] == ["5"][: len(said)], said
    return said[0].get("58", "") if said else ""


INSTRUMENT = '[[instruments]]\nsymbol = "{}"\ntick = "0.01"\nlot = "1"\nround_lot = "100"\nqty_decimals = 0\nadv = 30_000_000\n'


class Scripted:
    """A server on a scripted Venue, with generous limits, in real time. launcher: a module that runs the server's main.

    agreed: what cfg/server.toml says besides, as entries of clients. sessions: the same of sessions/clients.cfg. layers: the same of
    cfg/policy.toml. shell: keys of cfg/server.toml with other values. symbols: instruments besides. fills_at_once: of the Venue.
    venues: on_disconnect of some; drop_copies: those whose drop copy is heard. operators: cfg/operators.toml, where one who may look has this token.
    """

    def __init__(
        self, folder: Path, launcher: str = "algoserver", policy: dict[str, str] | None = None, agreed: str = "", sessions: str = "",
        layers: str = "", shell: dict[str, str] | None = None, symbols: tuple[str, ...] = (), fills_at_once: bool = False,
        operators: str = "", token: str = "", venues: dict[str, str] | None = None, drop_copies: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        path = configure(folder, "server.toml", {"duplicate_window_s": "0", "parents_per_second_max": "10000", **(policy or {})}, shell or {})
        limits = folder / "cfg" / "policy.toml"
        limits.write_text(limits.read_text() + layers)
        for venue, word in (venues or {}).items():
            head, _, rest = path.read_text().partition(f'name = "{venue}"')
            lines = [line for line in rest.partition("[[")[0].splitlines() if not line.startswith("on_disconnect")]
            path.write_text("\n".join([f'{head}name = "{venue}"', f'on_disconnect = "{word}"', *lines, ""]) + "".join(rest.partition("[[")[1:]))
        for venue in drop_copies:
            head, _, rest = path.read_text().partition(f'name = "{venue}"')
            lines = [line for line in rest.partition("[[")[0].splitlines() if not line.startswith("drop_copy")]
            copy = f'drop_copy = "../sessions/{venue}-copy.cfg"'
            path.write_text("\n".join([f'{head}name = "{venue}"', copy, *lines, ""]) + "".join(rest.partition("[[")[1:]))
        for path, text in ((folder / "cfg" / "server.toml", agreed), (folder / "sessions" / "clients.cfg", sessions)):
            path.write_text(path.read_text() + text)
        self._token = {"token": token} if token else {}
        if operators:
            (folder / "cfg" / "operators.toml").write_text(operators)
        path = folder / "cfg" / "instruments.toml"
        path.write_text(path.read_text() + "".join(INSTRUMENT.format(symbol) for symbol in symbols))
        self.venue, self.port, self.state = Venue(fills_at_once), free_port(), folder / "server"
        ports = ["--port", str(self.port), "--venue-port", str(self.venue.port)]
        self.server = Process("serve", "--config", str(folder / "cfg" / "server.toml"), "--state", str(self.state), *ports, module=launcher)
        self.venue.await_feed()
        self.venue.quote("200.00", "200.02", 20_000)

    def client(self, name: str = "CLIENT1") -> RawClient:
        """A client that is logged on, with prices known to the server."""
        deadline = time.monotonic() + MESSAGE_S_MAX
        while not any(v["quotes"] for v in venues_of(self.state, **self._token)):
            assert time.monotonic() < deadline, "no market data arrived"
        return RawClient(self.port, name)

    def halt(self, is_halted: bool) -> None:
        """A trading halt of AAPL begins or ends, and the server knows it."""
        self.venue.halt(is_halted)
        deadline = time.monotonic() + MESSAGE_S_MAX
        while not (rows := venues_of(self.state, **self._token)) or any(("AAPL" in v["halted"]) != is_halted for v in rows):
            assert time.monotonic() < deadline, "the server took no notice"

    def close(self) -> int:
        """Stop; the server's exit status."""
        status = self.server.stop()
        self.venue.close()
        return status


def now(seconds: int = 0) -> str:
    """UTCTimestamp, so many seconds from now."""
    return time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + seconds))


def refused_start(*arguments: str) -> str:
    """What `algoserver` says on stderr when it does not start: exit status 2."""
    done = subprocess.run([sys.executable, "-m", "algoserver", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=MESSAGE_S_MAX)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    return done.stderr
