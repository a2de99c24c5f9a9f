"""ICEBERG: never more than a tip to be seen, the next one when it is gone, and never across the spread."""

from typing import Any

from algoserver.core.orders import is_open
from algoserver.domain.commands import ReportParent
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, ExecType, OrdType, Strategy, TimeInForce
from tests.core.day import Day


def _iceberg(**more: Any) -> Day:
    day = Day()
    day.quote(venue="XLIT1")
    limit = {"ord_type": OrdType.LIMIT, "price": 200 * PX_ONE}
    day.parent("P1", 5_000, Strategy.ICEBERG, minutes=60, **{**limit, "display_qty": 500, "max_pct_vol": 1_000_000, **more})
    day.trade(1_000_000)
    day.wait(SECOND)
    return day


def test_one_tip_is_shown_and_the_next_when_it_is_gone():
    """Between three fifths and all of DisplayQty in round lots, not always the same, until all is done."""
    day = _iceberg()
    tips = []
    while is_open(day.order().order):
        (child,) = [c for c in day.sent() if is_open(day.child(c).order)]
        assert (child.price, child.time_in_force) == (200 * PX_ONE, TimeInForce.DAY)
        tips.append(child.order_qty)
        day.accept(child)
        if child.order_qty > 100:
            day.fill(child, 100)  # a tip that is bitten is not made up before it is eaten
            day.wait(3 * SECOND)
            day.quote(venue="XLIT1")
            assert [c for c in day.sent() if is_open(day.child(c).order)] == [child]
        day.fill(child, day.child(child).order.order_qty - day.child(child).order.cum_qty)
        day.trade(1_000_000)
        day.quote(venue="XLIT1")
        day.wait(2 * SECOND)
    assert sum(tips) == 5_000
    assert all(300 <= tip <= 500 and tip % 100 == 0 for tip in tips[:-1])
    assert len(set(tips[:-1])) > 1


def test_it_stays_at_the_near_touch_within_its_limit_and_never_crosses():
    """The touch moves away from the limit: the tip stays; an hour passes: it has not crossed; then it is canceled."""
    day = _iceberg()
    (child,) = day.sent()
    day.accept(child)
    for _ in range(70):
        day.quote("200.05", "200.07", venue="XLIT1")
        day.wait(MINUTE)
    assert {c.price for c in day.sent()} == {200 * PX_ONE}
    assert all(c.time_in_force is TimeInForce.DAY for c in day.sent())
    day.canceled(child)
    assert day.reports()[-1].exec_type is ExecType.CANCELED


def test_its_sentence_says_what_is_shown():
    """The plan at accept."""
    (report,) = [r for r in _iceberg().commands if isinstance(r, ReportParent)]
    assert report.text == "ICEBERG: BUY 5000 AAPL 13:30:00 to 14:30:00 UTC, showing at most 500, at most 100 % of volume, then CANCEL."


def test_it_needs_a_limit_and_a_tip():
    """Each is named."""
    day = Day()
    day.quote(venue="XLIT1")
    limit = {"ord_type": OrdType.LIMIT, "price": 200 * PX_ONE}
    texts = []
    for number, more in enumerate(({"display_qty": 100}, limit, {**limit, "display_qty": 100, "urgency": 5})):
        (report,) = day.parent(f"P{number}", 500, Strategy.ICEBERG, **more)
        assert isinstance(report, ReportParent)
        texts.append(report.text)
    assert texts == [
        "missing_price: ICEBERG needs a limit: OrdType (40) 2 and Price (44)",
        "missing_parameter: ICEBERG needs DisplayQty (1138, 210, 111)",
        "contradictory_parameter: Urgency is not for ICEBERG; leave it out",
    ]
