"""A venue reports an order that we did not send: trading there stops, over a kill -9 too, until an operator cancels it."""

import time

from algoserver.door import call
from algoserver.journal import read
from tests.e2e.street import ask, replay
from tests.e2e.venue import MESSAGE_S_MAX, Scripted

STRANGER = {"11": "WHO1", "55": "AAPL", "54": "1", "38": "500", "44": "199", "56": "XLIT1"}
GROUP = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))


def wait_for_foreign(scripted: Scripted, stopped: list[str], cum_qty: str) -> None:
    """Until XLIT1 is up, has these symbols stopped, and so much of the stranger is done."""
    deadline = time.monotonic() + MESSAGE_S_MAX
    while True:
        venue = next(v for v in ask(scripted.state, {"verb": "venue.ls"})["venues"] if v["venue"] == "XLIT1")
        done = [f["cum_qty"] for f in ask(scripted.state, {"verb": "venue.foreign"})["foreign"]]
        if (venue["state"], venue["stopped"], done) == ("up", stopped, [cum_qty]):
            return
        assert time.monotonic() < deadline, (venue, done)


def test_an_order_that_we_did_not_send_stops_its_venue_until_it_is_canceled(tmp_path):
    """The child goes to the other venue; after the cancel is confirmed to this one. The journal has who did it, and replays."""
    scripted = Scripted(tmp_path)
    client = scripted.client()
    scripted.venue.report(STRANGER, "0", "0", 0, 500)
    wait_for_foreign(scripted, ["AAPL"], "0")
    scripted.venue.quote("200.00", "200.02", 20_000, venue="XLIT2")
    client.order("A", *GROUP, t38=100)
    order_id = client.next()["37"]
    scripted.venue.trade(20_000, "200.01")
    first = scripted.venue.next("D", order_id)
    assert first["56"] == "XLIT2"
    scripted.venue.report(first, "0", "0", 0, 100)
    scripted.venue.report(first, "F", "2", 100, 0, 100)
    assert client.next()["39"] == "2"
    scripted.venue.report(STRANGER, "F", "1", 200, 300, 200)
    wait_for_foreign(scripted, ["AAPL"], "200")

    scripted.server.kill()
    client.close()
    scripted.server.start()
    scripted.venue.await_feed()
    wait_for_foreign(scripted, ["AAPL"], "200")
    assert scripted.venue.next("H")["11"] == "WHO1"
    done = call(scripted.state, {"verb": "venue.cancel", "venue": "XLIT1", "target": "WHO1", "reason": "not ours"})
    assert done["target"] == "XLIT1 WHO1", done
    cancel = scripted.venue.next("F")
    assert (cancel["41"], cancel["56"], cancel["55"], cancel["54"]) == ("WHO1", "XLIT1", "AAPL", "1")
    scripted.venue.report({**STRANGER, "11": cancel["11"]}, "4", "4", 200, 0, 0, (41, "WHO1"))
    wait_for_foreign(scripted, [], "200")

    scripted.venue.quote("200.00", "200.02", 20_000)
    client = scripted.client()
    client.order("B", *GROUP, t38=100)
    order_id = client.next()["37"]
    scripted.venue.trade(20_000, "200.01")
    second = scripted.venue.next("D", order_id)
    assert second["56"] == "XLIT1"
    scripted.venue.report(second, "F", "2", 100, 0, 100, (29, 4), (30, "XNAS"), (851, 3))
    filled = client.next()
    assert (filled["39"], filled["29"], filled["30"], filled["851"]) == ("2", "4", "XNAS", "3")  # as the venue says it
    client.close()
    assert scripted.close() == 0
    operated = [r.payload for r in read(scripted.state / "journal") if type(r.payload).__name__ == "OperatorCommanded"]
    assert ("cancel_foreign", "XLIT1 WHO1", "not ours") in [(e.verb, e.target, e.reason) for e in operated]
    assert "all equal" in replay(scripted.state, "1")
