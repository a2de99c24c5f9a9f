"""A connection that ends and another that begins in the same moment, on real sockets; and what waits to be closed."""

import os
import queue
import socket
import threading
import time

import pytest

from algoserver.fix import late_close
from algoserver.fix.endpoint import LIBRARY, Endpoint
from tests.sim.fixclient import PATIENCE_S, Client, free_port

CFG = """[DEFAULT]
FileStorePath=store
BeginString=FIX.4.4
SenderCompID=ALGO
NonStopSession=Y
UseDataDictionary=N
HeartBtInt=30
[SESSION]
TargetCompID=GOES
[SESSION]
TargetCompID=COMES
"""
TRIES = 10  # of both threads either may be the quicker


class Slow:
    """An inbox that is told of a logout, and lets the thread that says so wait."""

    def __init__(self):
        self.items: queue.SimpleQueue = queue.SimpleQueue()
        self.go_on = threading.Event()

    def put(self, item):
        self.items.put(item[:2])
        if item[0] == "down":
            assert self.go_on.wait(PATIENCE_S)

    def next(self):
        return self.items.get(timeout=PATIENCE_S)


@pytest.fixture
def acceptor(tmp_path):
    """Two clients' sessions, of which nobody else has heard."""
    cfg, inbox, port = tmp_path / "late.cfg", Slow(), free_port()
    cfg.write_text(CFG)
    endpoint = Endpoint(cfg, tmp_path, "acceptor", inbox, {"SocketAcceptPort": str(port)})
    endpoint.start()
    try:
        yield inbox, port
    finally:
        inbox.go_on.set()
        endpoint.stop()


def client(name: str) -> Client:
    """One that has a socket, and is not connected yet."""
    made = object.__new__(Client)
    made.socket, made.sender, made.target, made.seq, made.buffer = socket.socket(), name, "ALGO", 1, b""
    made.socket.settimeout(PATIENCE_S)
    return made


def plugs() -> list[int]:
    """A descriptor in every hole below the highest, and one above: the next is the only one that the kernel can give, and give again."""
    highest = max(map(int, os.listdir("/proc/self/fd")))
    found = [os.open(os.devnull, os.O_RDONLY)]
    while found[-1] <= highest:
        found.append(os.open(os.devnull, os.O_RDONLY))
    return found


def sockets() -> int:
    """How many this process has."""
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(link) and os.readlink(link).startswith("socket:") for link in links)


def test_who_logs_on_while_another_logs_out_is_heard(acceptor):
    """The one that comes is let in after the engine has closed the other's socket and before it has looked at that once more.

    The kernel gives a number to a connection that is only waited for: what is free then is the next one's, so another has to come between.
    """
    inbox, port = acceptor
    for _ in range(TRIES):
        goes, between, comes = client("GOES"), client(""), client("COMES")
        plugged = plugs()
        goes.socket.connect(("127.0.0.1", port))
        goes.send("35=A|98=0|108=30|141=Y|")
        goes.wait(lambda m: m["35"] == "A")
        assert inbox.next() == ("up", "FIX.4.4:ALGO->GOES")
        inbox.go_on.clear()
        goes.send("35=5|")
        assert inbox.next() == ("down", "FIX.4.4:ALGO->GOES")  # its socket is closed
        for one in (between, comes):
            taken = sockets()
            one.socket.connect(("127.0.0.1", port))
            deadline = time.monotonic() + PATIENCE_S
            while sockets() == taken:
                assert time.monotonic() < deadline, "the engine does not take the connection"
        inbox.go_on.set()
        comes.send("35=A|98=0|108=30|141=Y|")
        comes.wait(lambda m: m["35"] == "A")
        assert inbox.next() == ("up", "FIX.4.4:ALGO->COMES")
        for asked in ("first", "second", "third"):
            comes.send(f"35=1|112={asked}|")
            comes.wait(lambda m, asked=asked: m.get("112") == asked)
        for one in (goes, between, comes):
            one.close()
        for number in plugged:
            os.close(number)
        assert inbox.next() == ("down", "FIX.4.4:ALGO->COMES")


def test_it_is_the_engines_close(acceptor):
    """Found in the library that was built here; a file that is none is left alone."""
    assert late_close.install(LIBRARY)
    assert late_close._offset(b"\x7fELF\x01\x01" + bytes(100), 7) == 0
    assert late_close._offset(b"", 7) == 0


@pytest.fixture
def waiting():
    """What waits, by a clock that the test sets; and what was closed."""
    now, closed = [100.0], []
    return late_close.Waiting(lambda: now[0], closed.append), now, closed


def test_what_is_closed_waits_its_time_and_once(waiting):
    one, now, closed = waiting
    for number in (7, 8, 7):
        assert one.close(number) == 0
    now[0] += late_close.LATE_S
    one.close(9)
    assert closed == [7, 8]
    now[0] += late_close.LATE_S
    one.close(7)  # the number was given again
    assert closed == [7, 8, 9]


def test_a_flood_has_the_oldest_closed_before_their_time(waiting):
    one, _, closed = waiting
    for number in range(late_close.WAITING_MAX + 3):
        one.close(number)
    assert closed == [0, 1, 2]


def test_a_descriptor_that_is_no_more_costs_nothing():
    """Its number is none of this process's: a real one could be another's by now."""
    seconds = iter((0.0, late_close.LATE_S))
    one = late_close.Waiting(lambda: next(seconds))
    assert [one.close(-1), one.close(-2)] == [0, 0]
    assert list(one._due) == [-2]
