"""The engine's end of a session, on a real socket: what a thread keeps, and what is sent."""

import queue
import threading
import weakref
from pathlib import Path

import pytest

from algoserver.fix.endpoint import Endpoint
from tests.sim.fixclient import PATIENCE_S, Client, free_port

SESSION = "FIX.4.4:ALGO->CLIENT2"


class Mark:
    """Something that lives as long as its thread's Python state."""


class Inbox:
    """Notes of every item how many this thread has put before it; knows when a thread's state is gone."""

    def __init__(self):
        self.items: queue.SimpleQueue = queue.SimpleQueue()
        self.own = threading.local()
        self.gone: queue.SimpleQueue = queue.SimpleQueue()

    def put(self, item):
        if not hasattr(self.own, "count"):
            self.own.count, self.own.mark = 0, Mark()
            weakref.finalize(self.own.mark, self.gone.put, item[0])
        self.items.put((item[0], self.own.count))
        self.own.count += 1

    def next(self):
        return self.items.get(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def acceptor(tmp_path_factory):
    """One for all: a process can't have a session twice."""
    inbox, port = Inbox(), free_port()
    cfg = Path(__file__).resolve().parents[2] / "sessions" / "clients.cfg"
    endpoint = Endpoint(cfg, tmp_path_factory.mktemp("endpoint"), "acceptor", inbox, {"SocketAcceptPort": str(port)})
    endpoint.start()
    try:
        yield endpoint, inbox, port
    finally:
        endpoint.stop()


def order(cl_ord_id):
    return f"35=D|11={cl_ord_id}|21=1|55=AAPL|54=1|60=20190628-14:00:00|38=100|40=1|59=0|847=1001|"


def test_a_message_has_nothing_of_the_one_before_it_and_a_group_is_whole(acceptor):
    endpoint, inbox, port = acceptor
    client = Client(port, "CLIENT2", "ALGO")
    assert inbox.next()[0] == "up"
    bodies = [
        "35=j|45=2|372=D|380=0|58=a text that the next one does not have|",
        "35=r|11=C1|37=M1|530=7|531=7|533=2|60=20190628-14:00:00.000|534=2|41=A|535=P1|41=B|535=P2|",
        "35=j|45=3|372=F|380=0|",
    ]
    for body in bodies:
        assert endpoint.send(SESSION, body.replace("|", "\x01"), grouped=body.startswith("35=r"))
    first, mass, last = (client.wait(lambda m: m["35"] in "jr") for _ in bodies)
    assert (first["372"], first["58"]) == ("D", "a text that the next one does not have")
    assert (mass["34"], mass["534"], mass["41"], mass["535"]) == ("3", "2", "A", "P1")
    assert "\x0141=B\x01535=P2\x01" in (endpoint.store_dir / "FIX.4.4-ALGO-CLIENT2.body").read_text()
    assert {t: last[t] for t in last if t not in ("9", "10", "52")} == {
        "8": "FIX.4.4", "35": "j", "34": "4", "49": "ALGO", "56": "CLIENT2", "45": "3", "372": "F", "380": "0",
    }  # fmt: skip
    client.close()
    assert (inbox.next()[0], inbox.gone.get(timeout=PATIENCE_S)) == ("down", "up")


def test_an_engines_thread_keeps_its_python_state_from_logon_to_logout(acceptor):
    """One state for all callbacks of a connection, freed when it ends, without a Logout or by one."""
    _, inbox, port = acceptor
    for seq, says_goodbye in ((1, False), (4, True)):
        client = Client(port, "CLIENT1", "ALGO", seq=seq)
        client.send(order(f"A{seq}"))
        client.send(order(f"B{seq}"))
        assert [inbox.next() for _ in range(3)] == [("up", 0), ("app", 1), ("app", 2)]
        if says_goodbye:
            client.send("35=5|")
            client.wait(lambda m: m["35"] == "5")
        client.close()
        assert inbox.next() == ("down", 3)
        assert inbox.gone.get(timeout=PATIENCE_S) == "up"
