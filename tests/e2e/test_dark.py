"""LIQUIDITY over sockets: client, server and simulator as processes, on a clock that runs faster."""

import re
import time

from algoserver.domain.types import MINUTE, SECOND, utc, utc_text
from tests.e2e.street import START, Street, ask, replay, venues_of

SECONDS_MAX = 400
MINUTES = 8
QTY = 90_000  # more than the dark has in so many minutes


def test_a_liquidity_order_trades_in_the_dark_and_in_the_light(tmp_path):
    """Both kinds of venues fill it, none in the dark by less than MinExecQty while more is left; every book says the same; it replays."""
    street = Street(tmp_path / "street", speed=10)
    street.await_market()
    group = "957=2|958=MaxPctVol|960=0.3|958=Urgency|960=4"
    begin = max(utc(ask(street.folder / "server", {"verb": "status"})["market_time"]), utc(START))
    end = utc_text(begin // SECOND * SECOND + MINUTES * MINUTE)
    street.client.send(f"35=D|11=L1|21=1|55=AAPL|54=1|60={START}|38={QTY}|40=1|59=0|847=1003|110=500|168={START}|126={end}|{group}")
    deadline = time.monotonic() + SECONDS_MAX
    while street.client.final() is None and time.monotonic() < deadline:
        street.client.read(0.05)
    final = street.client.final()
    assert final is not None
    street.client.read(1)
    new = next(r for r in street.client.reports.values() if r["150"] == "0")
    assert re.search(r"up to 100 % of the remainder in the dark by 500 at least, lit from 14:\d\d", new["58"]), new["58"]
    quoted = {v["venue"]: v["quotes"] for v in venues_of(street.folder / "server")}
    assert {(q["bid_qty"], q["ask_qty"]) for q in quoted["XDARK1"]} == {("0", "0")}
    assert street.close() == [0, 0]
    fills = [r for r in street.client.reports.values() if r["150"] == "F"]
    assert {r["30"] for r in fills} >= {"XDARK1", "XLIT1"}
    assert (final["39"], final["14"]) == ("2", str(QTY))
    assert street.client.filled() == street.venue_filled() == street.journal_filled() == QTY
    assert street.exposure_max() <= QTY
    trades = [r for r in street.venue_reports() if r["report"] == "trade" and r["venue"] == "XDARK1"]
    assert all(r["last_qty"] >= 500 or r.get("leaves_qty", 0) == 0 for r in trades)
    assert "all equal" in replay(street.folder / "server", "1")
