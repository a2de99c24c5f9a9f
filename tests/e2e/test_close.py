"""An order for the closing auction, over sockets: the server dies while it waits there, and the fill comes all the same."""

import time

from tests.e2e.street import Street, ask, replay


def test_a_close_order_is_filled_in_the_auction_though_the_server_dies_before(tmp_path):
    """One child at the close (59=7), one price; filled after a kill -9; all three books agree."""
    street = Street(tmp_path / "street", speed=20, opens="20190628-19:34:00")  # a slow machine too has it there before the close
    street.await_market()
    street.client.send("35=D|11=K1|21=1|55=AAPL|54=1|60=20190628-19:34:00|38=50000|40=1|59=0|847=1002")
    deadline = time.monotonic() + 240
    while not any(r["report"] == "new" for r in street.venue_reports()):
        assert time.monotonic() < deadline, "the order did not reach the venue"
        street.client.read(0.05)
    street.server.kill()
    street.server.start()
    while street.client.final() is None:
        assert time.monotonic() < deadline, ask(street.folder / "server", {"verb": "order.ls"})
        street.client.read(0.05)
    assert street.close() == [0, 0]
    [child] = {(r["cl_ord_id"], r["tif"], r["order_qty"]) for r in street.venue_reports() if r["report"] == "new"}
    assert child[1:] == ("7", 50_000)
    assert (street.client.filled(), street.venue_filled(), street.journal_filled()) == (50_000, 50_000, 50_000)
    assert len({r["31"] for r in street.client.reports.values() if r["150"] == "F"}) == 1
    assert "50000 of it in the closing auction" in next(r["58"] for r in street.client.reports.values() if r["150"] == "0")
    replay(street.folder / "server", "0")
