"""Fills that go up together: one report of their sum at their mean price, before anything else that the client could hear."""

from typing import Any

import msgspec

from algoserver.core.engine import step
from algoserver.core.orders import avg_px
from algoserver.core.state import dump, load
from algoserver.domain import events
from algoserver.domain.commands import ReportParent, SendChild
from algoserver.domain.policy import ClientProfile
from algoserver.domain.types import PX_ONE, SECOND, ExecType, OrdStatus
from tests.core.day import Day, policy_loaded

INTERVAL = policy_loaded(profiles=(ClientProfile("CLIENT1", fills_ns=10 * SECOND),))
PX = 200 * PX_ONE


def day_of() -> tuple[Day, SendChild]:
    """A day with 1,000 resting, of a client who hears of his fills every ten seconds."""
    day = Day(INTERVAL)
    return day, day.resting()


def told(out: list[Any]) -> list[tuple[ExecType, OrdStatus, int, int, int]]:
    """150, 39, 32, 14, 38 of the reports."""
    return [(c.exec_type, c.ord_status, c.last_qty, c.cum_qty, c.order_qty) for c in out if isinstance(c, ReportParent)]


def reports(out: list[Any]) -> list[ReportParent]:
    """The reports."""
    return [c for c in out if isinstance(c, ReportParent)]


def test_fills_of_an_interval_are_one_trade_at_their_mean_price():
    """The interval begins with the first fill; the sum goes up when it is over, the mean rounded once, and money stays exact."""
    day, child = day_of()
    assert told(day.fill(child, 100, px=PX)) == []
    day.wait(9 * SECOND)
    assert told(day.fill(child, 200, px=PX + 1)) == []
    (trade,) = reports(day.wait(2 * SECOND))
    assert (trade.exec_type, trade.ord_status, trade.last_qty, trade.cum_qty, trade.leaves_qty) == (
        ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, 300, 300, 700,
    )  # fmt: skip
    assert (trade.last_px, trade.last_mkt) == (PX + 1, child.venue)
    parent = next(iter(day.state.parents.values()))
    assert (parent.order.money, avg_px(parent.order)) == (300 * PX + 200, PX + 1)
    assert told(day.wait(30 * SECOND)) == []


def test_the_fill_that_ends_the_order_waits_for_nothing():
    """Filled goes up at once with what was held."""
    day, child = day_of()
    day.fill(child, 400)
    assert told(day.fill(child, 600)) == [(ExecType.TRADE, OrdStatus.FILLED, 1_000, 1_000, 1_000)]


def test_held_fills_go_before_whatever_changes_the_order():
    """Cancel, replace, status, operator: first the trades as they were, then the news. CumQty never skips, 39 is that of the time."""
    trade = (ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, 100, 100, 1_000)
    day, child = day_of()
    day.fill(child, 100)
    assert told(day.cancel())[:2] == [trade, (ExecType.PENDING_CANCEL, OrdStatus.PENDING_CANCEL, 0, 100, 1_000)]
    day.fill(child, 50)
    assert told(day.canceled(child)) == [
        (ExecType.TRADE, OrdStatus.PENDING_CANCEL, 50, 150, 1_000), (ExecType.CANCELED, OrdStatus.CANCELED, 0, 150, 1_000),
    ]  # fmt: skip

    day, child = day_of()
    day.fill(child, 100)
    parent = next(iter(day.state.parents.values()))
    amended = events.ReplaceRequested(
        session="CLIENT1", cl_ord_id="P2", orig_cl_ord_id="P1", symbol="AAPL", side=parent.side, ord_type=parent.ord_type, order_qty=2_000
    )
    assert told(day.feed(amended)) == [
        trade, (ExecType.PENDING_REPLACE, OrdStatus.PENDING_REPLACE, 0, 100, 1_000), (ExecType.REPLACED, OrdStatus.PARTIALLY_FILLED, 0, 100, 2_000)
    ]  # fmt: skip

    day, child = day_of()
    day.fill(child, 100)
    assert told(day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="P1"))) == [
        trade, (ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED, 0, 100, 1_000)
    ]  # fmt: skip

    day, child = day_of()
    day.fill(child, 100)
    day.operator("cancel", parent.parent_id)
    assert told(day.canceled(child)) == [trade, (ExecType.CANCELED, OrdStatus.CANCELED, 0, 100, 1_000)]


def test_a_bust_of_one_fill_corrects_the_report_that_told_it():
    """The report of three becomes one of two, then one of one, then is canceled; each names the one before (19)."""
    day, child = day_of()
    for number, qty in enumerate((100, 200, 300), 1):
        day.fill(child, qty, f"E{number}", PX + number)
    (trade,) = reports(day.wait(11 * SECOND))
    assert (trade.last_qty, trade.cum_qty) == (600, 600)
    (first,) = reports(day.bust(child, "E1", "B1"))
    assert (first.exec_type, first.exec_ref_id, first.last_qty, first.cum_qty) == (ExecType.TRADE_CORRECT, trade.exec_id, 500, 500)
    assert first.last_px == PX + 3  # 2.6, half up
    (second,) = reports(day.correct(child, "E3", 250, PX, "K1"))
    assert (second.exec_type, second.exec_ref_id, second.last_qty, second.cum_qty) == (ExecType.TRADE_CORRECT, first.exec_id, 450, 450)
    (third,) = reports(day.bust(child, "E2", "B2"))
    assert (third.exec_type, third.exec_ref_id, third.last_qty, third.last_px) == (ExecType.TRADE_CORRECT, second.exec_id, 250, PX)
    (last,) = reports(day.bust(child, "K1", "B3"))
    assert (last.exec_type, last.exec_ref_id, last.last_qty, last.cum_qty) == (ExecType.TRADE_CANCEL, third.exec_id, 250, 0)


def test_a_bust_of_a_held_fill_is_told_after_it():
    """The client first hears of the trade, then that it is none."""
    day, child = day_of()
    day.fill(child, 100, "E1")
    trade, bust = reports(day.bust(child, "E1", "B1"))
    assert (trade.exec_type, trade.cum_qty, bust.exec_type, bust.exec_ref_id, bust.cum_qty) == (
        ExecType.TRADE, 100, ExecType.TRADE_CANCEL, trade.exec_id, 0,
    )  # fmt: skip


def test_venues_that_differ_are_not_named():
    """LastMkt (30) and 851 stand only where every fill says the same."""
    day = Day(INTERVAL)
    day.quote()
    day.parent("P1", 100_000, minutes=10, max_pct_vol=1_000_000)
    day.trade(1_000_000)
    day.wait(5 * SECOND)
    children = {c.venue: c for c in day.sent()}
    for child in children.values():
        day.fill(child, 100)
    (trade,) = [c for c in day.wait(11 * SECOND) if isinstance(c, ReportParent)]
    assert (len(children), trade.last_qty, trade.last_mkt) == (2, 200, "")


def test_what_is_held_survives_a_restart():
    """The state keeps it: a machine that was loaded tells it at the same time."""
    day, child = day_of()
    day.fill(child, 100)
    again = load(dump(day.state))
    event = events.Wakeup(seq=again.seq + 1, ts=day.now + 10 * SECOND)
    (trade,) = reports(step(again, event))
    assert (trade.exec_type, trade.last_qty) == (ExecType.TRADE, 100)


def test_an_interval_that_is_taken_away_leaves_nothing_behind():
    """The next fill tells what waited, then itself; a client without an interval hears of each fill at once."""
    day, child = day_of()
    day.fill(child, 100)
    day.feed(msgspec.structs.replace(INTERVAL, profiles=()))
    assert [r.last_qty for r in reports(day.fill(child, 200))] == [100, 200]
    assert [r.last_qty for r in reports(day.fill(child, 300))] == [300]
