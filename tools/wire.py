"""FIX over loopback, as benches play a server's peers: one connection, the port of all venues, and a client's logon."""

import socket
import threading
import time
from abc import ABC, abstractmethod

from tools.bench_ack import PATIENCE_S, message, split, value


class Wire:
    """A connection with numbers from 1. gaps: times that the peer's MsgSeqNum did not go up by one."""

    def __init__(self, connection: socket.socket, us: str, them: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection, self._us, self._them = connection, us, them
        self._lock = threading.Lock()
        self._seq = self._heard = 0
        self.gaps = 0

    def send(self, *bodies: str) -> float:
        """Write messages in one piece; when that began."""
        with self._lock:
            first, self._seq = self._seq + 1, self._seq + len(bodies)
            text = b"".join(message(self._us, self._them, first + n, body) for n, body in enumerate(bodies))
            begun = time.time()
            self._connection.sendall(text)
        return begun

    def heard(self, text: bytes) -> None:
        """Count a message that came."""
        seq = int(value(text, 34))
        self.gaps += seq != self._heard + 1
        self._heard = seq


class Port(threading.Thread, ABC):
    """Where a server finds its venues. orders, feeds: its sessions by venue. Logons, heartbeats and logouts are answered here."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.orders: dict[str, Wire] = {}
        self.feeds: dict[str, Wire] = {}

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @abstractmethod
    def answer(self, wire: Wire, me: str, msg_type: str, text: bytes) -> None:
        """Do what a venue does about another message."""

    def _serve(self, connection: socket.socket) -> None:
        buffer, wire, me = b"", None, ""
        while data := received(connection):
            texts, buffer = split(buffer + data)
            for text in texts:
                msg_type = value(text, 35)
                if msg_type == "A":
                    me, peer = value(text, 56), value(text, 49)
                    wire = Wire(connection, me, peer)
                    (self.feeds if peer == "ALGOMD" else self.orders)[me] = wire
                    wire.send(f"35=A|98=0|108={value(text, 108)}|{'141=Y|' if value(text, 141) == 'Y' else ''}")
                assert wire is not None
                wire.heard(text)
                if msg_type == "1":
                    wire.send(f"35=0|112={value(text, 112)}|")
                elif msg_type == "5":
                    wire.send("35=5|")
                elif msg_type != "A":
                    self.answer(wire, me, msg_type, text)


def received(connection: socket.socket) -> bytes:
    """What has come; nothing when the peer is gone."""
    try:
        return connection.recv(262_144)
    except OSError:
        return b""


def logged_on(name: str, port: int) -> tuple[Wire, socket.socket]:
    """A client's connection, of which the Logon is sent."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    connection.settimeout(None)
    wire = Wire(connection, name, "ALGO")
    wire.send("35=A|98=0|108=3600|")
    return wire, connection
