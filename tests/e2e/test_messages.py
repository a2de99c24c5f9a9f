"""Messages about many orders over sockets: what leaves the engine is well formed and complete."""

from collections.abc import Iterator

import pytest

from tests.e2e.street import ask
from tests.e2e.venue import RawClient, Scripted, now


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[tuple[Scripted, RawClient]]:
    """One server; a client whose orders start in ten minutes."""
    scripted = Scripted(tmp_path_factory.mktemp("messages") / "street")
    client = scripted.client()
    yield scripted, client
    client.close()
    assert scripted.close() == 0


def _orders(client: RawClient, *names: str) -> list[str]:
    """New orders that wait; their OrderIDs."""
    ids = []
    for name in names:
        client.order(name, t168=now(600), t126=now(1200))
        report = client.next()
        assert (report["150"], report["11"]) == ("0", name), report
        ids.append(report["37"])
    return ids


def test_mass_status_mass_cancel_and_a_disputed_trade(street):
    """AF: one 8 each, numbered; q: an r with them all, then each Canceled; a q that can't be: an r that says why; Q: an alert."""
    scripted, client = street
    ids = _orders(client, "A1", "A2", "A3")
    client.peer.send("AF", (584, "S1"), (585, 7))
    told = [client.next() for _ in ids]
    assert [(t["35"], t["150"], t["37"], t["584"], t["911"], t["912"]) for t in told] == [
        ("8", "I", order_id, "S1", "3", "Y" if order_id == ids[-1] else "N") for order_id in ids
    ]
    client.peer.send("q", (11, "M0"), (530, 1), (55, "NONE"), (60, now()))
    refused = client.next()
    assert (refused["35"], refused["531"], refused["532"], refused["58"].partition(":")[0]) == ("r", "0", "1", "unknown_symbol")
    client.peer.send("q", (11, "M1"), (530, 1), (55, "AAPL"), (60, now()))
    report = client.next()
    assert (report["35"], report["11"], report["530"], report["531"], report["533"], report["535"]) == ("r", "M1", "1", "1", "3", ids[-1])
    assert [(t["150"], t["37"], t["151"]) for t in (client.next() for _ in ids)] == [("4", order_id, "0") for order_id in ids]
    client.peer.send("Q", (37, ids[0]), (17, "E1"), (127, "D"), (55, "AAPL"), (54, 1), (38, 100))
    client.peer.send("AF", (584, "S2"), (585, 7))
    nothing = client.next()
    assert (nothing["39"], nothing["37"], nothing["912"]) == ("8", "NONE", "Y")
    assert ask(scripted.state, {"verb": "status"})["alerts"] >= 1
