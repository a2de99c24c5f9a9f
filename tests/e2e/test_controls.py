"""The controls that end at the wire, each proven on the bytes that arrive at a venue: hostile algos, clients, operators and venues.

One server with low limits for all that only refuses, another one for what stops.
"""

import time
from collections.abc import Iterator

import pytest

from algoserver.door import call
from tests.e2e.street import ask
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted

LAYERS = """
[[desks]]
name = "cash"
clients = ["CLIENT1"]
[[clients]]
name = "CLIENT1"
allow_venue_kinds = ["lit"]
[[clients]]
name = "CLIENT2"
children_open_max = 3
restricted = ["GE"]
[[algos]]
name = "POV"
repeats_max = 4
"""
LOW = {"rejects_max": "1000000", "child_qty_max": "2000", "child_value_max": "300000", "parent_qty_max": "100000"}
STOPPING = {"rejects_max": "12", "venue_messages_per_second_max": "100000", "children_per_second_max": "100000"}
# Crimes after which nothing has left, and what the gate said of each child.
NOTHING = {
    "collar": "price_collar", "limit": "beyond_limit", "qty": "child_qty_max", "value": "child_value_max", "lot": "wrong_lot", "tick": "wrong_tick",
    "market": "no_limit_price", "symbol": "not_the_parents", "side": "not_the_parents", "nowhere": "venue_unusable", "dark": "venue_denied",
    "stranger": "no_parent",
}  # fmt: skip


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """A server with a rogue algo and low limits."""
    scripted = Scripted(tmp_path_factory.mktemp("controls") / "street", launcher="tests.e2e.rogue", policy=LOW, layers=LAYERS)
    yield scripted
    scripted.server.kill()  # its venue answers no cancel: to stop in order would wait for it in vain
    scripted.venue.close()


@pytest.fixture
def client(street: Scripted) -> Iterator[RawClient]:
    """CLIENT1, logged on."""
    raw = street.client()
    yield raw
    raw.close()


def commits(scripted: Scripted, client: RawClient, crime: str, qty: int = 1_000, **changes: object) -> list[dict[str, str]]:
    """The order of that name is taken; every D of it, once the server has answered what was asked after it and all that it calls sent is there."""
    scripted.venue.quote("200.00", "200.02", 20_000)  # a price of a minute ago is none, and a slow machine takes that long for some tests
    client.order(crime, t38=qty, **changes)
    f = client.next()
    assert f["150"] == "0", f
    order_id = f["37"]
    settled(client, crime, str(changes.get("t55", "AAPL")))
    deadline = time.monotonic() + MESSAGE_S_MAX
    while True:
        sent = [m for m in scripted.venue.received if m["35"] == "D" and m["11"].startswith(f"{order_id}.")]
        missing = {c["child_id"] for c in ask(scripted.state, {"verb": "order.show", "target": order_id})["children"]} - {m["11"] for m in sent}
        if not missing:
            return sent
        assert time.monotonic() < deadline, missing


def settled(client: RawClient, cl_ord_id: str, symbol: str = "AAPL") -> None:
    """All that was decided before this question is out: its answer comes behind it, and posts wait for each other."""
    client.peer.send("H", (11, cl_ord_id), (55, symbol), (54, 1))
    while client.next()["150"] != "I":
        pass


@pytest.mark.parametrize("crime", NOTHING)
def test_a_rogue_algos_wrong_child_never_reaches_the_venue(street: Scripted, client: RawClient, crime: str):
    """Controls 1, 2, 3, 9, 13, 15, 16: twenty tries, no byte."""
    price = {"t40": 2, "t44": "200.01"} if crime == "limit" else {}
    assert commits(street, client, crime, 2_500, **price) == []
    order_id = ask(street.state, {"verb": "order.show", "target": crime})["order_id"]
    said = {a["code"]: a["times"] for a in ask(street.state, {"verb": "alert.ls"})["alerts"] if a["subject"] == order_id}
    assert {code: times for code, times in said.items() if code.startswith("gate_")} == {f"gate_{NOTHING[crime]}": 20}


def test_control_15_a_rogue_algo_gets_no_more_out_than_was_ordered(street: Scripted, client: RawClient):
    """5,000 tries of a hundred, of an order of 1,000: ten."""
    assert [m["38"] for m in commits(street, client, "conservation")] == ["100"] * 10


def test_control_26_a_child_is_its_owners_whatever_the_algo_says(street: Scripted, client: RawClient):
    """Client, algo and desk on the wire are those of the order, and so is ClOrdLinkID (583)."""
    (m,) = commits(street, client, "liar")
    assert (m["583"], m["453"]) == (m["11"].rpartition(".")[0], "3")
    assert m.parties == [("CLIENT1", "3"), ("TWAP", "12"), ("cash", "36")]


def test_control_17_each_layer_counts_its_own(street: Scripted):
    """CLIENT2 may have three open children, of whatever order."""
    other = street.client("CLIENT2")
    assert len(commits(street, other, "open one")) == 3
    assert commits(street, other, "open two") == []
    other.order("restricted", t55="GE")
    assert other.next()["58"].startswith("restricted: ")
    other.close()


def test_control_20_a_child_never_meets_another_of_ours(street: Scripted, client: RawClient):
    """One client's sale rests at 200.02; another's purchase at 200.02 stays here."""
    assert len(commits(street, client, "resting", t54=2)) == 1
    assert commits(street, client, "cross") == []


def test_control_6_an_algo_that_repeats_itself_is_off_until_it_is_released(street: Scripted, client: RawClient):
    """Four children of POV in AAPL, then the algo is stopped there, for later orders too; TWAP is not meant."""
    assert len(commits(street, client, "repeats one", t847=2, t849="0.1")) == 4
    client.order("repeats two", t847=2, t849="0.1")
    assert client.next()["58"].startswith("killed: algo:POV@AAPL is stopped; send the order again ")
    assert len(commits(street, client, "conservation again", 100)) == 1


def test_control_25_a_scoped_kill_takes_back_its_scope_and_shuts_it(street: Scripted, client: RawClient):
    """F for each open child of the client; his next order is refused, and another client's is not."""
    call(street.state, {"verb": "kill", "target": "client:CLIENT2", "reason": "test"})
    theirs = {m["11"] for m in street.venue.received if m["35"] == "D" and m.parties[0] == ("CLIENT2", "3")}
    assert len(theirs) == 3
    while not theirs <= {m["41"] for m in street.venue.received if m["35"] == "F"}:
        street.venue.next("F")
    other = street.client("CLIENT2")
    other.order("open three")
    assert other.next()["58"] == "killed: client:CLIENT2 is stopped; send the order again after release"  # not by whom, nor why
    other.close()
    assert len(commits(street, client, "conservation after", 100)) == 1


@pytest.fixture(scope="module")
def stopping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """A server with a rogue algo, hardly any limit in market time, and 40 orders a wall second."""
    scripted = Scripted(
        tmp_path_factory.mktemp("stopping") / "street", launcher="tests.e2e.rogue", policy=STOPPING, shell={"orders_per_second_max": "40"}
    )
    yield scripted
    scripted.server.kill()  # its venue answers no cancel: to stop in order would wait for it in vain
    scripted.venue.close()


def test_control_4_the_wall_clock_bounds_what_the_core_lets_out(stopping: Scripted):
    """Of 1,000 children of one moment 40 leave; the rest never was, and the order has what it had."""
    client = stopping.client()
    begun = time.monotonic()
    sent = commits(stopping, client, "wall")
    seconds = time.monotonic() - begun  # in which as many more may leave, bit by bit; hardly any, unless the machine stood still
    assert 40 <= len(sent) <= 40 * (1 + seconds)
    shown = ask(stopping.state, {"verb": "order.show", "target": "wall"})
    assert len(shown["children"]) == len(sent), shown
    client.close()


def test_control_21_a_venue_that_refuses_everything_is_stopped(stopping: Scripted):
    """Twelve refusals in a row: the venue and the algo are off, and nothing more goes there."""
    client = stopping.client()
    for m in [m for m in stopping.venue.received if m["35"] == "D"][:12]:
        stopping.venue.report(m, "8", "8", 0, 0)
    settled(client, "wall")
    client.order("rejected")
    assert client.next()["58"].startswith("killed: algo:TWAP is stopped; send the order again ")
    client.close()
