"""Control 28 on the wire, both sides: our session at a venue breaks, and a client's with us. What is agreed differs by venue and by client."""

from collections.abc import Iterator

import pytest

from algoserver.door import call
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted

# CLIENT1's children rest at XLIT1, CLIENT2's at XLIT2, CLIENT42's at either.
AGREED = '\n[[profiles]]\nclient = "CLIENT1"\nvenues = ["XLIT1"]\n[[profiles]]\nclient = "CLIENT2"\nvenues = ["XLIT2"]\n'
LAYERS = '\n[[clients]]\nname = "CLIENT1"\non_disconnect = "cancel"\n[[clients]]\nname = "CLIENT2"\non_disconnect = "pause"\n'
RESTING = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "DisplayQty"), (960, "100"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """XLIT1's orders are taken back after a break, XLIT2 cancels by agreement."""
    scripted = Scripted(
        tmp_path_factory.mktemp("disconnect") / "street", agreed=AGREED, layers=LAYERS, venues={"XLIT1": "take_back", "XLIT2": "venue_cancels"}
    )
    scripted.venue.quote("200.00", "200.02", 20_000, venue="XLIT2")
    yield scripted
    scripted.server.kill()
    scripted.venue.close()


def resting(street: Scripted, client: RawClient, cl_ord_id: str, price: str = "200.00") -> dict[str, str]:
    """An order of a hundred, of which the only child rests; that child."""
    client.order(cl_ord_id, *RESTING, t38=100, t847=1004, t40=2, t44=price)
    order_id = client.next()["37"]
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
    return [a["subject"] for a in call(street.state, {"verb": "alert.ls"})["alerts"] if a["code"] == code]


def standing(street: Scripted, cl_ord_id: str, wanted: str) -> None:
    """Until an order stands so."""
    for _ in range(int(MESSAGE_S_MAX * 100)):
        if (found := call(street.state, {"verb": "order.show", "target": cl_ord_id})["state"]) == wanted:
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
    shown = call(street.state, {"verb": "order.show", "target": "CLIENT1 rests"})
    assert "CLIENT1 disconnected" in shown["text"]
