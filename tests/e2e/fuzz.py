"""Messages that nobody should send, as bytes; a client that sends them and looks hard at every answer.

Written on sockets alone, and on the dictionaries for what an answer must have: it shares no code with what it tests.
"""

import re
import socket
import time
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from tests.e2e.venue import now

SESSIONS = Path(__file__).resolve().parents[2] / "sessions"
SOH = b"\x01"
ANSWER_S_MAX = 120.0
# Then we ask again: an answer that comes later is taken all the same.
SILENCE_S = 0.1
HEADER_FIELDS = 5
ADMIN = ("A", "0", "1", "2", "3", "4", "5")
APPLICATION = ("D", "F", "G", "H", "q", "AF", "Q")

Pairs = list[tuple[bytes, bytes]]


class Dialect(NamedTuple):
    """A client's session in one version of FIX. dictionaries: of the session's messages, of the orders'."""

    session: str
    begin_string: str
    dictionaries: tuple[str, str]
    logon: tuple[tuple[int, object], ...] = ()


DIALECTS = (
    Dialect("CLIENT42", "FIX.4.2", ("FIX42.xml", "FIX42.xml")),
    Dialect("CLIENT1", "FIX.4.4", ("FIX44.xml", "FIX44.xml")),
    Dialect("CLIENT50", "FIXT.1.1", ("FIXT11.xml", "FIX50SP2.xml"), ((1137, 9),)),
)


# ---- what is sent


def valid(msg_type: str, cl_ord_id: str, known: str) -> Pairs:
    """The body of a message that would be understood, about the order `known`."""
    order = [(55, "AAPL"), (54, 1), (60, now()), (38, 1_000), (40, 1)]
    group = [(957, 2), (958, "MaxPctVol"), (959, 11), (960, "0.1"), (958, "Urgency"), (959, 1), (960, 4)]
    bodies: dict[str, list[tuple[int, object]]] = {
        "D": [(11, cl_ord_id), (21, 1), *order, (59, 0), (847, 1), (168, now(600)), (126, now(1200)), *group],
        "F": [(11, cl_ord_id), (41, known), *order[:4]],
        "G": [(11, cl_ord_id), (41, known), (21, 1), *order, (126, now(1500)), *group],
        "H": [(11, known), (55, "AAPL"), (54, 1)],
        "q": [(11, cl_ord_id), (530, 7), (60, now())],
        "AF": [(584, cl_ord_id), (585, 7)],
        "Q": [(37, known), (17, "E1"), (127, "D"), (55, "AAPL"), (54, 1), (38, 100)],
        "A": [(98, 0), (108, 30)],
        "0": [],
        "1": [(112, "fuzz")],
        "2": [(7, 1), (16, 0)],
        "3": [(45, 2), (58, "no")],
        "4": [(123, "N"), (36, 1_000_000)],
        "5": [(58, "bye")],
    }
    return [(str(tag).encode(), str(value).encode()) for tag, value in bodies[msg_type]]


NASTY = (
    *(b"", b" ", b"-1", b"0", b"00", b"1e9", b"NaN", b"inf", b"0.000000001", b"-0.5", b"+1", b"1.", b".", b"1,000", b"0x10"),
    *(b"9" * 12, b"9" * 30, b"9" * 5_000, b"-9223372036854775809", b"4294967297", b"2147483648", b"18446744073709551616"),
    *(b"\x00", b"a\x00b", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x92\xb0", b"\n", b"%s%n", b"=", b"==", b"10=000", b"8=FIX.4.4"),
    *(b"Y", b"N", b"\x7f", b"A" * 65, b"A" * 70_000, b"20260230-25:61:61", b"00000000-00:00:00", b"99991231-23:59:60.999999999999", b"20260101"),
)
FIELDS = (
    *((b"957", b"3"), (b"957", b"0"), (b"957", b"-1"), (b"957", b"99999999"), (b"958", b"Urgency"), (b"960", b"1"), (b"78", b"2"), (b"453", b"1")),
    *((b"95", b"1000000"), (b"95", b"-5"), (b"96", b"a\x01b"), (b"354", b"3"), (b"355", b"\x01\x01\x01"), (b"90", b"7"), (b"91", b"x")),
    *((b"43", b"Y"), (b"97", b"Y"), (b"34", b"1"), (b"34", b"999999999"), (b"34", b"-7"), (b"52", b"20000101-00:00:00"), (b"122", b"x")),
    *((b"49", b"CLIENT2"), (b"56", b"NOBODY"), (b"50", b"x"), (b"115", b"CLIENT2"), (b"35", b"D"), (b"35", b"zz"), (b"8", b"FIX.9.9"), (b"9", b"5")),
    *((b"141", b"Y"), (b"123", b"Y"), (b"0", b"1"), (b"-3", b"1"), (b"99999", b"1"), (b"x", b"1"), (b"", b""), (b"1128", b"9"), (b"789", b"1")),
)  # fmt: skip
BROKEN_LENGTHS = (b"0", b"-1", b"1", b"x", b"", b"99999999999999999999", b"100000", b"2147483648")

SPOT = st.integers(0, 999)
DAMAGE = st.one_of(
    st.tuples(st.sampled_from(["delete", "repeat", "swap", "no equals sign"]), SPOT, SPOT),
    st.tuples(st.just("value"), SPOT, st.sampled_from(NASTY)),
    st.tuples(st.just("put in"), SPOT, st.sampled_from(FIELDS)),
    st.tuples(st.just("noise"), SPOT, st.binary(max_size=6)),
)
FRAMING = st.one_of(
    *[st.just(("right", b""))] * 5,
    st.tuples(st.just("length"), st.sampled_from(BROKEN_LENGTHS)),
    st.tuples(st.just("checksum"), st.sampled_from([b"000", b"999", b"", b"x", b"1", b"-01", b"0000"])),
    st.tuples(st.just("flip"), st.binary(min_size=2, max_size=2)),
    st.tuples(st.just("cut"), st.binary(min_size=1, max_size=1)),
)


class Bad(NamedTuple):
    """A message to be: of a type, with some damage to its fields and then to its frame."""

    msg_type: str
    damage: list[tuple]
    framing: tuple[str, bytes]

    def raw(self, header: Pairs, body: Pairs) -> bytes:
        """As bytes: "8=" and "9=" in front and "10=" behind, right or not."""
        pairs = [*header, *body]
        texts = [tag + b"=" + value for tag, value in pairs[1:]]
        for how, spot, what in self.damage:
            # Mostly behind the header: what is wrong there ends the session at once.
            first = HEADER_FIELDS if spot % 5 and len(texts) > HEADER_FIELDS else 0
            at = first + spot % (len(texts) - first) if texts else 0
            if how == "put in" or not texts:
                texts.insert(at, b"=".join(what) if how == "put in" else b"58=x")
            elif how == "delete":
                del texts[at]
            elif how == "repeat":
                texts.insert(what % (len(texts) + 1), texts[at])
            elif how == "swap":
                other = what % len(texts)
                texts[at], texts[other] = texts[other], texts[at]
            elif how == "value":
                texts[at] = texts[at].partition(b"=")[0] + b"=" + what
            elif how == "noise":
                middle = len(texts[at]) // 2
                texts[at] = texts[at][:middle] + what + texts[at][middle:]
            else:
                texts[at] = texts[at].replace(b"=", b"")
        raw = framed(pairs[0][1], b"".join(t + SOH for t in texts))
        how, how_so = self.framing
        if how == "length":
            return re.sub(rb"\x019=\d+\x01", b"\x019=" + how_so + SOH, raw, count=1)
        if how == "checksum":
            return raw[:-4] + how_so + SOH
        if how == "flip":
            at = how_so[0] * len(raw) // 256
            return raw[:at] + bytes([raw[at] ^ (1 << how_so[1] % 8)]) + raw[at + 1 :]
        return raw[: -1 - how_so[0] % len(raw)] if how == "cut" else raw


Damage = tuple[list[tuple], tuple[str, bytes]]
damages: st.SearchStrategy[Damage] = st.tuples(st.lists(DAMAGE, max_size=2), FRAMING)


def framed(begin_string: bytes, body: bytes) -> bytes:
    """With its length and checksum."""
    text = b"8=" + begin_string + SOH + b"9=%d" % len(body) + SOH + body
    return text + b"10=%03d" % (sum(text) % 256) + SOH


def is_greedy(raw: bytes) -> bool:
    """Whether it claims to be longer than it is: who believes it waits for the rest, and for ever."""
    found = re.search(rb"\x019=(\d+)\x01", raw)
    return bool(found) and int(found[1]) > len(raw) - found.end()


# ---- what comes back


@cache
def required(dictionary: str, msg_type: str) -> frozenset[str]:
    """Tags without which a message of this type, or with type "header" its frame, is not one."""
    root = ElementTree.parse(SESSIONS / dictionary).getroot()
    numbers = {f.attrib["name"]: f.attrib["number"] for f in root.iterfind("fields/field")}
    place = root.find("header") if msg_type == "header" else root.find(f"messages/message[@msgtype='{msg_type}']")
    assert place is not None, f"{dictionary} has no message {msg_type}"
    return frozenset(numbers[f.attrib["name"]] for f in place.iterfind("field") if f.attrib["required"] == "Y")


class Wire:
    """One client's connections, one after the other. heard: how often each type of answer came; answers are checked as they come.

    missing: numbers that were left out and must come, when asked for, as PossDup.
    """

    def __init__(self, port: int, dialect: Dialect) -> None:
        self.port, self.dialect = port, dialect
        self.heard: dict[str, int] = {}
        self.number = 0
        self.knocks = 0
        self.said: list[bytes] = []
        self.socket: socket.socket | None = None
        self.log_on()

    def header(self, msg_type: str, number: int) -> Pairs:
        """What stands before the body."""
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        d = self.dialect
        pairs = [(8, d.begin_string), (35, msg_type), (34, number), (49, d.session), (52, stamp), (56, "ALGO")]
        return [(str(tag).encode(), str(value).encode()) for tag, value in pairs]

    def good(self, msg_type: str, number: int, *body: tuple[int, object]) -> bytes:
        """A message as it should be."""
        pairs = [*self.header(msg_type, number)[1:], *((str(tag).encode(), str(value).encode()) for tag, value in body)]
        return framed(self.dialect.begin_string.encode(), b"".join(tag + b"=" + value + SOH for tag, value in pairs))

    def connect(self) -> None:
        """A new connection that has said nothing yet."""
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.expected, self.missing = b"", 0, set()

    def log_on_again(self) -> None:
        """Where the connection has ended since."""
        if self.socket is None:
            self.log_on()

    def log_on(self) -> None:
        """With numbers from 1. Refused while the server has not noticed the end of the last connection."""
        deadline = time.monotonic() + ANSWER_S_MAX
        while True:
            self.connect()
            self.number = 1
            self.send(self.good("A", 1, (98, 0), (108, 30), (141, "Y"), *self.dialect.logon))
            if self.until("A"):
                return
            assert time.monotonic() < deadline, f"{self.dialect.session} can't log on"

    def send(self, raw: bytes) -> None:
        """If somebody listens still."""
        if self.socket is not None:
            self.said = [*self.said[-8:], raw]
            try:
                self.socket.sendall(raw)
            except OSError:
                self._closed()

    def set_number(self) -> None:
        """Whatever the server has counted until now, it expects the next number from here on. Said twice: half a message that came
        before takes the first of what follows with it."""
        self.number += 10
        self.send(2 * self.good("4", self.number, (123, "N"), (36, self.number)))

    def is_answered(self) -> bool:
        """Whether a TestRequest gets its Heartbeat, now or when asked again; False if the server has closed."""
        deadline = time.monotonic() + ANSWER_S_MAX
        while self.socket is not None:
            self.knocks += 1
            self.set_number()
            self.send(self.good("1", self.number, (112, f"K{self.knocks}")))
            if self.until("0", "K", SILENCE_S) and not self.missing:
                return True
            assert time.monotonic() < deadline, f"the session hangs: {[r[:300] for r in self.said]}"
        return False

    def until(self, msg_type: str, knock: str = "", seconds: float = ANSWER_S_MAX) -> bool:
        """Read until this comes; False if nothing does, or the connection ends."""
        while self.socket is not None:
            while (message := self._next()) is not None:
                if message["35"] == msg_type and message.get("112", "").startswith(knock):
                    return True
            if self.socket is None:  # it closed while we asked for what was missing
                return False
            self.socket.settimeout(seconds)
            try:
                chunk = self.socket.recv(65_536)
            except TimeoutError:
                return False
            except OSError:
                chunk = b""
            if chunk:
                self.buffer += chunk
            else:
                assert not self.buffer, f"half an answer: {self.buffer!r}"
                self._closed()
        return False

    def hang_up(self) -> None:
        """End the connection, and wait until the server has noticed."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self._closed()
            self.until("nothing")
            assert self.socket is None, "the server keeps the connection"

    def leave(self) -> None:
        """Close at once, whatever the server may still have to say."""
        self._closed()

    def _closed(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _next(self) -> dict[str, str] | None:
        """The next whole message of the buffer, with right length and checksum."""
        head = re.match(rb"8=([^\x01]+)\x019=(\d+)\x01", self.buffer)
        if head is None:
            assert len(self.buffer) < 40, f"no message: {self.buffer[:80]!r}"
            return None
        end = head.end() + int(head[2])
        if len(self.buffer) < end + 7:
            return None
        raw, self.buffer = self.buffer[: end + 7], self.buffer[end + 7 :]
        assert head[1] == self.dialect.begin_string.encode()
        assert raw[end:] == b"10=%03d" % (sum(raw[:end]) % 256) + SOH, raw
        assert raw[end - 1 : end] == SOH, raw
        self._check(raw)
        return {tag: value for tag, _, value in (pair.partition("=") for pair in raw.decode("latin-1").split("\x01")[:-1])}

    def _check(self, raw: bytes) -> None:
        """Every field is a tag and a value, none of the frame's is missing, and numbers go up by one."""
        pairs = [pair.partition("=") for pair in raw.decode("latin-1").split("\x01")[:-1]]
        fields = {tag: value for tag, _, value in pairs}
        assert all(tag.isdecimal() and value for tag, _, value in pairs), raw
        msg_type = fields["35"]
        session, orders = self.dialect.dictionaries
        assert required(session, "header") <= fields.keys(), raw
        # The engine's reject of a message that has no number can't say which.
        without = {"45"} if msg_type == "3" else set()
        assert required(session if msg_type in ADMIN else orders, msg_type) - without <= fields.keys(), raw
        assert (fields["49"], fields["56"]) == ("ALGO", self.dialect.session)
        self.heard[msg_type] = self.heard.get(msg_type, 0) + 1
        number = int(fields["34"])
        if fields.get("43") == "Y":
            self.missing -= set(range(number, int(fields["36"]) if msg_type == "4" else number + 1))
            return
        if msg_type == "A":
            self.expected = number
        assert number >= self.expected, f"{number} instead of {self.expected}: {raw!r}"
        if number > self.expected:
            # What the server said to the last connection's requests while we logged on; it has kept it for us.
            self.missing |= set(range(self.expected, number))
            self.set_number()
            self.send(self.good("2", self.number, (7, self.expected), (16, number - 1)))
            self.number += 1
        self.expected = number + 1
