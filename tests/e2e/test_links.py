"""Sessions that break or keep silent, on the wire: control 28, ours at a venue and a client's with us; control 30, a venue's drop copy.

What is agreed on a break differs by venue and by client. XLIT1 has a drop copy, and loses a fill on its order session.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from algoserver.ctl import app
from algoserver.journal import read
from tests.e2e.street import ask, replay
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted

# CLIENT1's children rest at XLIT1, CLIENT2's at XLIT2, CLIENT42's at either.
AGREED = '\n[[profiles]]\nclient = "CLIENT1"\nvenues = ["XLIT1"]\n[[profiles]]\nclient = "CLIENT2"\nvenues = ["XLIT2"]\n'
LAYERS = '\n[[clients]]\nname = "CLIENT1"\non_disconnect = "cancel"\n[[clients]]\nname = "CLIENT2"\non_disconnect = "pause"\n'
TOLERANCE_MS = 300
RESTING = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "DisplayQty"), (960, "100"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """XLIT1's orders are taken back after a break, XLIT2 cancels by agreement. XLIT1's drop copy is heard."""
    scripted = Scripted(
        tmp_path_factory.mktemp("links") / "street", agreed=AGREED, layers=LAYERS, venues={"XLIT1": "take_back", "XLIT2": "venue_cancels"},
        drop_copies=("XLIT1",), shell={"copy_tolerance_ms": str(TOLERANCE_MS)},
    )  # fmt: skip
    scripted.venue.await_copy("XLIT1")
    scripted.venue.quote("200.00", "200.02", 20_000, venue="XLIT2")
    yield scripted
    scripted.server.kill()
    scripted.venue.close()


def resting(street: Scripted, client: RawClient, cl_ord_id: str, price: str = "200.00") -> dict[str, str]:
    """An order of a hundred, of which the only child rests; that child."""
    client.order(cl_ord_id, *RESTING, t38=100, t847=1004, t40=2, t44=price)
    while (answer := client.next()).get("11") != cl_ord_id:
        pass  # of an order before it
    order_id = answer["37"]
    street.venue.trade(20_000, "200.01")
    child = street.venue.next("D", order_id)
    street.venue.report(child, "0", "0", 0, 100)
    return child


def canceled(street: Scripted, child: dict[str, str]) -> None:
    """The server wants it canceled, and the venue does that."""
    cancel = street.venue.next("F", child["11"].rpartition(".")[0])
    assert cancel["41"] == child["11"]
    street.venue.report({**child, "11": cancel["11"]}, "4", "4", 0, 0, 0, (41, child["11"]))


def alerts(street: Scripted, code: str) -> list[str]:
    """Subjects of the alerts of a code."""
    return [a["subject"] for a in ask(street.state, {"verb": "alert.ls"})["alerts"] if a["code"] == code]


def standing(street: Scripted, cl_ord_id: str, wanted: str) -> None:
    """Until an order stands so."""
    deadline = time.monotonic() + MESSAGE_S_MAX
    while time.monotonic() < deadline:
        if (found := ask(street.state, {"verb": "order.show", "target": cl_ord_id})["state"]) == wanted:
            return
        street.venue.trade(1, "200.01")  # each look is a question that the server answers, and time goes on
    raise AssertionError(f"{cl_ord_id} is {found}")


def test_control_28_our_session_at_a_venue_breaks_and_each_venue_does_what_is_agreed(street: Scripted):
    """XLIT1 kept the child: F. XLIT2 canceled one, which is no surprise, and kept another that it should not have: an alert, and F."""
    one, two = street.client("CLIENT1"), street.client("CLIENT2")
    kept = resting(street, one, "kept")
    gone, left = resting(street, two, "gone"), resting(street, two, "left", "199.99")
    street.venue.hang_up("XLIT1")
    street.venue.hang_up("XLIT2")
    asked = {street.venue.next("H")["11"] for _ in range(3)}
    assert asked == {kept["11"], gone["11"], left["11"]}
    assert set(alerts(street, "venue_down")) == {"XLIT1", "XLIT2"}
    street.venue.report(gone, "I", "4", 0, 0)
    street.venue.report(left, "I", "0", 0, 100)
    canceled(street, left)
    street.venue.report(kept, "I", "0", 0, 100)
    canceled(street, kept)
    assert alerts(street, "not_canceled") == [left["11"]]
    assert alerts(street, "unsolicited_cancel") == []
    assert street.venue.next("D", kept["11"].rpartition(".")[0])["38"] == "100"  # what was taken back goes again
    one.close()
    two.close()


def test_control_28_a_client_breaks_and_his_orders_end_pause_or_go_on_as_his_layer_says(street: Scripted):
    """CLIENT1's child is canceled and his order over, CLIENT2's is taken back and his order waits, CLIENT42's stays where it is."""
    clients = {name: street.client(name) for name in ("CLIENT1", "CLIENT2", "CLIENT42")}
    children = {name: resting(street, client, f"{name} rests") for name, client in clients.items()}
    for name in ("CLIENT42", "CLIENT1", "CLIENT2"):
        clients[name].close()
        if name != "CLIENT42":
            canceled(street, children[name])
    standing(street, "CLIENT1 rests", "over")
    standing(street, "CLIENT2 rests", "paused")
    standing(street, "CLIENT42 rests", "working")
    taken = {m["41"] for m in street.venue.received if m["35"] == "F"}
    assert children["CLIENT42"]["11"] not in taken
    shown = ask(street.state, {"verb": "order.show", "target": "CLIENT1 rests"})
    assert "CLIENT1 disconnected" in shown["text"]


def shown(street: Scripted) -> tuple[dict[str, Any], list[str]]:
    """XLIT1's line of `algoctl risk reconcile`, and who told each discrepancy."""
    said = ask(street.state, {"verb": "risk.reconcile"})
    return said["venues"][0], [d["told_by"] for d in said["discrepancies"]]


def until(street: Scripted, key: str, value: int) -> dict[str, Any]:
    """XLIT1's line, once it says so. Each look is a question that the server answers, and time goes on."""
    deadline = time.monotonic() + MESSAGE_S_MAX
    while time.monotonic() < deadline:
        row, _ = shown(street)
        if row[key] == value:
            return row
    raise AssertionError(f"{key} is not {value}: {row}")


def codes(street: Scripted, state: str = "open") -> list[str]:
    """Alerts of the comparison that stand so."""
    return [a["code"] for a in ask(street.state, {"verb": "alert.ls"})["alerts"] if a["state"] == state and a["code"].startswith(("fill_", "copy_"))]


def test_control_30_a_fill_that_is_lost_on_the_order_session_is_found_by_the_venues_drop_copy(street: Scripted):
    """Told by both it is matched. By the copy alone: an alert, the order is paused, the venue is asked, and algoctl shows what we do not have.
    The order session brings it after all: booked once, matched, over. One that the copy does not tell, and one that it tells otherwise: alerts."""
    venue, client = street.venue, street.client("CLIENT1")
    one = resting(street, client, "one")
    venue.report(one, "F", "2", 100, 0, 100, exec_id="X1")
    venue.copy(one, 100, "X1")
    assert until(street, "matched", 1)["bought"] == "20000"

    lost = resting(street, client, "lost")
    venue.copy(lost, 100, "X2")
    assert venue.next("H", lost["11"].rpartition(".")[0])["11"] == lost["11"]
    row, told_by = shown(street)
    assert (row["not_heard"], row["bought"], row["bought_by_copy"], told_by) == (1, "20000", "40000", ["its drop copy"])
    assert codes(street) == ["fill_not_heard"]
    assert ask(street.state, {"verb": "order.show", "target": "lost"})["state"] == "paused"
    venue.report(lost, "F", "2", 100, 0, 100, exec_id="X2")
    row = until(street, "matched", 2)
    assert (row["not_heard"], row["bought"], row["bought_by_copy"], codes(street)) == (0, "40000", "40000", [])

    alone = resting(street, client, "alone")
    venue.report(alone, "F", "2", 100, 0, 100, exec_id="X3")
    row = until(street, "not_copied", 1)
    assert (row["bought"], row["bought_by_copy"], codes(street)) == ("60000", "40000", ["fill_not_copied"])
    other = resting(street, client, "other")
    venue.report(other, "F", "2", 100, 0, 100, exec_id="X4")
    venue.copy({**other, "44": "199.99"}, 100, "X4")
    until(street, "differing", 1)
    assert set(codes(street)) == {"fill_not_copied", "copy_differs"}
    done = CliRunner().invoke(app, ["--state", str(street.state), "risk", "reconcile"])
    printed, said = json.loads(done.stdout), ask(street.state, {"verb": "risk.reconcile"})
    for discrepancy in (*printed["discrepancies"], *said["discrepancies"]):
        assert discrepancy.pop("age_s") >= 0  # a second may be over in between
    assert printed == said, done.stderr
    client.close()


def test_control_30_what_a_copy_told_before_a_kill_9_is_not_lost_and_not_told_twice(street: Scripted):
    """A fill is booked and the copy is down; the server is killed and started again, and the copy tells it then."""
    client = street.client()
    late = resting(street, client, "late")
    street.venue.hang_up("XLIT1", is_copy=True)
    street.venue.report(late, "F", "2", 100, 0, 100, exec_id="X5")
    while ask(street.state, {"verb": "order.show", "target": "late"})["cum_qty"] != "100":
        street.venue.trade(1, "200.01")
    client.close()
    before, _ = shown(street)
    street.venue.await_copy("XLIT1")  # it came back, and has nothing to tell
    street.server.kill()
    street.server.start()
    street.venue.await_copy("XLIT1")
    street.venue.copy(late, 100, "X5")
    row = until(street, "matched", before["matched"] + 1)
    assert (row["not_copied"], row["differing"], row["bought"]) == (1, 1, "100000")
    street.server.kill()
    events = [type(r.payload).__name__ for r in read(street.state / "journal")]
    assert events.count("CopyReported") == 4
    assert "all equal" in replay(street.state, "0")
