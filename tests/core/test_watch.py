"""What a person hears of a market that can't be believed and of an end that can't be kept; and what is not done meanwhile."""

import pytest

from algoserver.core.orders import is_open
from algoserver.domain.commands import CancelChild, RaiseAlert
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, Strategy
from tests.core.day import Day


def worked(**params) -> Day:
    """A TWAP with a child that rests, in a market that trades every second."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, Strategy.TWAP, max_pct_vol=PPM_ONE, **params)
    for _ in range(20):
        day.trade(1_000)
        day.wait(SECOND)
    assert any(is_open(day.child(c).order) for c in day.sent())
    return day


def alerts(day: Day, code: str) -> list[RaiseAlert]:
    return [c for c in day.commands if isinstance(c, RaiseAlert) and c.code == code]


@pytest.mark.parametrize(
    ("bid", "ask", "why"),
    [("230.00", "230.02", "is quoted around 230.01, and traded last at 200.01"), ("212.00", "195.00", "is crossed: bid 212, ask 195")],
)
def test_a_suspicious_market_freezes_what_is_new_and_keeps_what_rests(bid, ask, why):
    """One alert for the symbol; not even IWouldPrice is believed; when prices are in order again the order goes on."""
    day = worked(i_would_price=196 * PX_ONE)
    before, resting = len(day.sent()), [c for c in day.sent() if is_open(day.child(c).order)]
    day.quote(bid, ask)
    day.wait(50 * SECOND)
    assert len(day.sent()) == before
    assert [c for c in day.commands if isinstance(c, CancelChild) and c.child_id in {r.child_id for r in resting}] == []
    [alert] = alerts(day, "market_in_doubt")
    assert (alert.subject, why in alert.text) == ("AAPL", True)
    day.quote()
    day.trade(20_000)
    day.wait(2 * MINUTE)
    assert len(day.sent()) > before or any(isinstance(c, CancelChild) for c in day.commands)


def test_an_order_that_can_not_complete_says_so_once_and_before_its_end():
    """A cap of a thousandth lets far less through than is ordered, by the volume that the curve expects."""
    day = Day()
    day.quote()
    day.parent("P1", 100_000, Strategy.VWAP, minutes=30, max_pct_vol=1_000)
    for _ in range(10):
        day.wait(MINUTE)
        day.quote()
    [alert] = alerts(day, "can_not_complete")
    assert "100000 are left" in alert.text
    assert "raise MaxPctVol" in alert.text


def test_an_order_in_time_and_one_that_promises_no_end_say_nothing():
    """POV follows the volume; a small VWAP has room."""
    for strategy, params in ((Strategy.POV, {"target_pct_vol": 1_000}), (Strategy.VWAP, {})):
        day = Day()
        day.quote()
        day.parent("P1", 10_000, strategy, minutes=30, **params)
        day.wait(50 * SECOND)
        assert alerts(day, "can_not_complete") == []
