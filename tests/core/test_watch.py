"""What a person hears of a market that can't be believed and of an end that can't be kept; and what is not done meanwhile."""

import msgspec
import pytest

from algoserver.core.orders import is_open
from algoserver.domain.commands import CancelChild, RaiseAlert
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, Strategy
from tests.core.day import POLICY, Day, policy_loaded


def worked(policy: RiskPolicy = POLICY, **params) -> Day:
    """A TWAP with a child that rests, in a market that trades every second."""
    day = Day(policy_loaded(policy=policy))
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


# ---- control 23: a price that has moved too far

WITHIN_1_PCT = msgspec.structs.replace(POLICY, price_move_ppm_max=10_000)


def moves(day: Day, bid: str, ask: str) -> None:
    """The market goes there and trades there, and two seconds pass."""
    day.quote(bid, ask)
    day.trade(1_000, ask)
    day.wait(2 * SECOND)


@pytest.mark.parametrize(
    ("at", "beyond"), [(("202.00", "202.0202"), ("202.02", "202.04")), (("198.00", "198.0198"), ("197.99", "198.00"))], ids=["against us", "for us"]
)
def test_control_23_a_price_that_moves_beyond_the_bound_pauses_the_order(at, beyond):
    """Either way. At the bound it works on; beyond it everything is taken back, once, and nothing leaves."""
    day = worked(WITHIN_1_PCT)
    moves(day, *at)
    assert not day.order().paused_by
    moves(day, *beyond)
    assert day.order().paused_by == "price_moved"
    resting = [day.child(c).order for c in day.sent() if is_open(day.child(c).order)]
    assert resting
    assert all(order.is_cancel_pending for order in resting)
    before = len(day.sent())
    moves(day, *beyond)
    assert len(day.sent()) == before
    [alert] = alerts(day, "price_moved")
    assert alert.text.startswith("AAPL was 200.01 when it came, ")
    assert "beyond price_move_max 0.01 of policy test; resume" in alert.text


def test_control_23_after_a_resume_the_bound_counts_from_there():
    """It goes on at the price at which a person let it, and as far from there as before from the arrival."""
    day = worked(WITHIN_1_PCT)
    moves(day, "203.00", "203.02")
    day.operator("resume", day.order().parent_id)
    before = len(day.sent())
    for _ in range(30):
        moves(day, "204.00", "204.02")
    assert not day.order().paused_by
    assert len(day.sent()) > before
    moves(day, "205.20", "205.22")
    assert day.order().paused_by == "price_moved"


def test_control_23_a_price_that_is_not_believed_pauses_nothing():
    """A quote far from all that trades is a doubt about the market, not a move."""
    day = worked(WITHIN_1_PCT)
    day.quote("230.00", "230.02")
    day.wait(5 * SECOND)
    assert not day.order().paused_by
    assert len(alerts(day, "market_in_doubt")) == 1


def test_control_24_a_market_of_zeros_and_one_that_is_stale_let_nothing_out():
    """An empty book and no trade for a minute: no new child, an alert, and no error."""
    day = worked()
    for venue in ("XLIT1", "XLIT2"):
        day.quote("0", "0", venue=venue)
    before = len(day.sent())
    day.wait(59 * SECOND)
    assert day.state.markets["AAPL"].doubt == ""
    day.wait(3 * SECOND)
    silent = len(day.sent())
    day.wait(2 * MINUTE)
    assert len(day.sent()) == silent >= before
    [alert] = alerts(day, "market_in_doubt")
    assert "nothing was heard of AAPL for more than 60 s" in alert.text
