"""A FIX client's session on a plain socket: logon, heartbeats, test requests, resends, numbers, logout.

Rule 1: admin duties are done while read() waits; what was read is returned in any case, for a script to check.
Rule 2: we never send an application message twice: a resend request is answered by a gap fill.
"""

import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import simplefix

Pairs = Sequence[tuple[int, str]]
HEADER = (43, 97, 122)  # PossDupFlag, PossResend, OrigSendingTime
SECRET = (96, 554)  # RawData, Password: on the wire and nowhere else
CONNECT_S_MAX = 5.0


class SessionBroken(Exception):
    """The connection can't go on; the text says why."""


class Message:
    """A message in its order on the wire. get() is the first value of a tag; is_old: its number was used before.

    problems: what it says that its version of FIX does not. lacks: tags that the version does not have. stands_for: values that
    the one of a tag may mean, where the version has a word for several.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = tuple(pairs)
        self.is_old = False
        self.problems: list[str] = []
        self.lacks: frozenset[int] = frozenset()
        self.stands_for: dict[int, tuple[str, ...]] = {}
        self._first: dict[int, str] = {}
        for tag, value in pairs:
            self._first.setdefault(tag, value)

    def get(self, tag: int) -> str:
        return self._first.get(tag, "")

    @property
    def msg_type(self) -> str:
        return self.get(35)

    @property
    def seq(self) -> int:
        return int(self.get(34)) if self.get(34).isdecimal() else 0

    def __str__(self) -> str:
        return "|".join(f"{tag}={value}" for tag, value in self.pairs)


class Session:
    """One initiator. logon: what its version's Logon says besides, and by which name and password.

    sent_seq, heard_seq: numbers of the last message sent and of the last heard in order.
    """

    def __init__(self, host: str, port: int, sender: str, target: str, begin_string: str, logon: Pairs = ()) -> None:
        self._logon = logon
        self._host, self._port = host, port
        self._sender, self._target, self._begin_string = sender, target, begin_string
        self._socket: socket.socket | None = None
        self._parser = simplefix.FixParser()
        self._heartbeat_s = 30.0
        self._sent_at = 0.0
        self._asked_from = 0
        self.sent_seq = self.heard_seq = 0
        self.is_up = False

    def connect(self) -> None:
        """A new connection, the old one is dropped; numbers go on. Raises OSError."""
        self.close()
        self._socket = socket.create_connection((self._host, self._port), timeout=CONNECT_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = simplefix.FixParser()
        self._asked_from = 0

    def close(self) -> None:
        """Drop the connection without a word."""
        self.is_up = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def log_on(self, reset: bool, patience_s: float) -> None:
        """Connect and log on. reset: both numbers begin at 1 (141=Y). Raises SessionBroken or OSError."""
        self.connect()
        self.send("A", [(98, "0"), (108, "30"), *([(141, "Y")] if reset else [])])
        deadline = time.monotonic() + patience_s
        while not self.is_up:
            message = self.read(deadline)
            if message is None:
                raise SessionBroken(f"the Logon was not answered within {patience_s:g} s")

    def send(self, msg_type: str, pairs: Pairs, is_garbled: bool = False) -> Message:
        """Send one message. A MsgSeqNum (34) or SenderCompID (49) among the pairs stands instead of ours."""
        own = dict(pairs)
        if msg_type == "A":
            pairs = [*pairs, *self._logon]
            self._heartbeat_s = float(own.get(108, "30"))
            if own.get(141) == "Y":
                self.sent_seq = self.heard_seq = 0
        seq = int(own.get(34, self.sent_seq + 1))
        if 34 not in own and 49 not in own and not is_garbled:
            self.sent_seq = seq
        message = simplefix.FixMessage()
        head = [(8, self._begin_string), (35, msg_type), (49, own.get(49, self._sender)), (56, self._target), (34, str(seq)), (52, utc_now())]
        for tag, value in head:
            message.append_pair(tag, value, header=True)
        rest = [(tag, value) for tag, value in pairs if tag not in (34, 49)]
        for tag, value in rest:
            message.append_pair(tag, value, header=tag in HEADER)
        text: bytes = message.encode()
        self._write(text[:-4] + (b"999\x01" if text[-4:-1] != b"999" else b"000\x01") if is_garbled else text)
        return Message([(tag, "..." if tag in SECRET else value) for tag, value in (*head, *rest)])

    def skip(self, count: int) -> None:
        """Use up numbers without sending: the peer must notice the gap."""
        self.sent_seq += count

    def read(self, deadline: float) -> Message | None:
        """The next message; None at the deadline (time.monotonic). Raises SessionBroken when the peer has closed."""
        while True:
            if self._socket is None:
                raise SessionBroken("the session is closed")
            parsed = self._parser.get_message()
            if parsed is not None:
                message = Message([(int(tag), value.decode("latin-1")) for tag, value in parsed.pairs])
                self._take(message)
                return message
            now = time.monotonic()
            if now >= deadline:
                return None
            due = self._sent_at + self._heartbeat_s
            if self.is_up and now >= due:
                self.send("0", [])
                continue
            self._socket.settimeout(max(0.001, min(deadline, due if self.is_up else deadline) - now))
            self._receive()

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            chunk = self._socket.recv(65_536)
        except TimeoutError:
            return
        except OSError as error:
            chunk = b""
            reason = str(error)
        else:
            reason = "the server closed the connection"
        if not chunk:
            self.close()
            raise SessionBroken(reason)
        self._parser.append_buffer(chunk)

    def _take(self, message: Message) -> None:
        """Our duties: framing and numbers first, then what the type asks for."""
        _check_frame(message)
        kind, seq = message.msg_type, message.seq
        if kind == "4" and message.get(123) != "Y":
            self.heard_seq = int(message.get(36)) - 1
            return
        if seq <= self.heard_seq:
            message.is_old = True
            if message.get(43) != "Y" and kind != "A":
                raise SessionBroken(f"MsgSeqNum (34) {seq} came again without PossDupFlag (43): {message}")
        elif seq == self.heard_seq + 1:
            self.heard_seq = int(message.get(36)) - 1 if kind == "4" else seq
        elif self._asked_from != self.heard_seq + 1:
            self._asked_from = self.heard_seq + 1
            self.send("2", [(7, str(self._asked_from)), (16, "0")])
        if kind == "A":
            self.is_up = True
        elif kind == "1":
            self.send("0", [(112, message.get(112))])
        elif kind == "2":
            self.send("4", [(34, message.get(7)), (43, "Y"), (122, utc_now()), (123, "Y"), (36, str(self.sent_seq + 1))])
        elif kind == "5":
            self.is_up = False

    def _write(self, text: bytes) -> None:
        if self._socket is None:
            raise SessionBroken("the session is closed")
        try:
            self._socket.settimeout(CONNECT_S_MAX)
            self._socket.sendall(text)
        except OSError as error:
            self.close()
            raise SessionBroken(f"the server took no message: {error}") from error
        self._sent_at = time.monotonic()


def utc_now(seconds: float = 0) -> str:
    """UTC so many seconds from now, with milliseconds."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


def _check_frame(message: Message) -> None:
    """BodyLength (9) and CheckSum (10) are what the bytes say."""
    body = "".join(f"{tag}={value}\x01" for tag, value in message.pairs[2:-1]).encode("latin-1")
    head = "".join(f"{tag}={value}\x01" for tag, value in message.pairs[:2]).encode("latin-1")
    if message.get(9) != str(len(body)) or message.get(10) != f"{sum(head + body) % 256:03d}":
        raise SessionBroken(f"BodyLength (9) or CheckSum (10) is wrong: {message}")
