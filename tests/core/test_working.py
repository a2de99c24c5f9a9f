"""A parent's life, turn by turn."""


import msgspec

from algoserver.core.orders import is_open, leaves_qty
from algoserver.domain.commands import CancelChild, ReportParent, SendChild
from algoserver.domain.types import (
    MINUTE,
    PPM_ONE,
    PX_ONE,
    SECOND,
    ExecType,
    OrdStatus,
    OrdType,
    TimeInForce,
    utc,
)
from tests.core.day import POLICY, Day, policy_loaded

CENT = PX_ONE // 100


def _open(day: Day) -> list[SendChild]:
    return [c for c in day.sent() if is_open(day.child(c).order)]


def _last_report(day: Day) -> ReportParent:
    return day.reports()[-1]


# ---- the end of the window


def test_completion_cancel_ends_with_the_window():
    """Children are canceled at the end, the rest is reported Canceled when they are over, and says what was left."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=2, max_pct_vol=PPM_ONE)
    day.trade(100_000)
    day.wait(MINUTE)
    (resting, *_) = _open(day)
    day.wait(MINUTE)
    for child in _open(day):
        assert day.child(child).order.is_cancel_pending
        day.canceled(child)
    report = _last_report(day)
    assert (report.exec_type, report.ord_status, report.leaves_qty) == (ExecType.CANCELED, OrdStatus.CANCELED, 0)
    assert report.text == "end of the window, 1000 left"
    day.fill(resting, 100)
    assert len(_open(day)) == 0


def test_no_child_is_alive_after_the_end_of_its_parent():
    """A venue that does not answer the cancel is asked again; the client hears Canceled only when it has answered."""
    day = Day()
    child = day.resting()
    day.cancel()
    day.wait(12 * SECOND)
    assert [c.cancel_id for c in day.commands if isinstance(c, CancelChild)] == [f"{child.child_id}.c{n}" for n in (1, 2, 3)]
    assert is_open(day.order().order)
    day.canceled(child)
    assert _last_report(day).ord_status is OrdStatus.CANCELED


def test_completion_soft_goes_on_without_giving_up_price():
    """After the end all that is left joins the near touch and never crosses; the close ends it."""
    day = Day()
    child = day.resting()
    assert child.price == 200 * PX_ONE
    day.wait(10 * MINUTE)
    assert _open(day) == [child]
    day.now = utc("20190628-19:59:59")
    day.wait(3 * SECOND)
    assert day.child(child).order.is_cancel_pending


def test_completion_hard_crosses_the_spread_to_finish():
    """After the end all that is left takes the far touch, after what rests has been taken back."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=1, completion="HARD", max_pct_vol=PPM_ONE)
    day.wait(2 * MINUTE)
    day.quote()
    day.trade(20_000)
    day.wait(2 * SECOND)
    (child,) = _open(day)
    assert (child.order_qty, child.price, child.time_in_force) == (1_000, 20_002 * CENT, TimeInForce.IOC)


def test_the_close_ends_an_order_that_would_go_on():
    """HARD and SOFT hold within the session."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=1, completion="HARD")
    day.now = utc("20190628-20:00:00")
    day.wait(2 * SECOND)
    assert _last_report(day).ord_status is OrdStatus.CANCELED


def test_an_order_past_its_end_does_not_keep_the_machine_awake():
    """It is looked at once a second or so, not as often as time allows."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=1, completion="HARD")
    day.wait(MINUTE)
    before = len(day.fed)
    day.wait(10 * SECOND)
    assert len(day.fed) - before <= 25


# ---- immediate orders


def test_an_ioc_parent_sweeps_what_is_shown_and_is_over():
    """Both venues up to the limit; what they don't fill is canceled, not sent again."""
    day = Day()
    day.quote(size=300)
    day.parent("P1", 1_000, time_in_force=TimeInForce.IOC, ord_type=OrdType.LIMIT, price=20_002 * CENT)
    assert [(c.venue, c.order_qty, c.time_in_force) for c in day.sent()] == [
        ("XLIT1", 300, TimeInForce.IOC),
        ("XLIT2", 300, TimeInForce.IOC),
    ]
    day.fill(day.sent()[0], 300)
    day.canceled(day.sent()[1])
    report = _last_report(day)
    assert (report.ord_status, report.cum_qty, report.leaves_qty) == (OrdStatus.CANCELED, 300, 0)
    day.quote()
    day.wait(MINUTE)
    assert len(day.sent()) == 2


def test_an_ioc_parent_without_a_counterpart_is_canceled_at_once():
    """Nothing within the limit: New, and Canceled."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, time_in_force=TimeInForce.IOC, ord_type=OrdType.LIMIT, price=200 * PX_ONE)
    assert [r.ord_status for r in day.reports()] == [OrdStatus.NEW, OrdStatus.CANCELED]


def test_a_fok_parent_goes_whole_to_one_venue_or_not_at_all():
    """5,000 are shown at each: 5,000 go, 5,001 don't."""
    for quantity, sent in ((5_000, [5_000]), (5_001, [])):
        day = Day()
        day.quote(size=5_000)
        day.parent("P1", quantity, time_in_force=TimeInForce.FOK)
        assert [c.order_qty for c in day.sent()] == sent


def test_an_immediate_parent_waits_for_its_start():
    """StartTime in five minutes is five minutes, for an IOC as well."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, time_in_force=TimeInForce.IOC, start_ts=day.now + 5 * MINUTE)
    assert day.sent() == []
    day.wait(5 * MINUTE - SECOND)
    day.quote()
    day.wait(2 * SECOND)
    assert [c.order_qty for c in day.sent()] == [1_000]


# ---- client's wishes


def test_i_would_completes_the_order_at_its_price_whatever_the_plan():
    """An hour's order, and the far touch comes to IWouldPrice: all that the cap allows is taken."""
    day = Day()
    day.quote()
    day.parent("P1", 6_000, minutes=60, max_pct_vol=500_000, i_would_price=200 * PX_ONE)
    day.trade(8_000)
    day.wait(SECOND)
    for child in _open(day):
        day.canceled(child)
    day.quote(bid="199.98", ask="200.00", size=50_000)
    day.wait(2 * SECOND)
    for child in _open(day):
        if child.time_in_force is TimeInForce.DAY:
            day.canceled(child)
    day.wait(2 * SECOND)
    assert [(c.order_qty, c.price) for c in _open(day)] == [(4_000, 200 * PX_ONE)]


def test_i_would_takes_its_share_of_the_remainder_once():
    """Half of 10,000 and then no more, however often the price is looked at; the rest is the plan's."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, minutes=60, max_pct_vol=PPM_ONE, i_would_price=201 * PX_ONE, i_would_pct=500_000)
    day.trade(50_000)
    for _ in range(30):
        day.wait(SECOND)
        day.quote(size=50_000)
        for child in _open(day):
            day.fill(child, child.order_qty)
    crossed = sum(c.order_qty for c in day.sent() if c.time_in_force is TimeInForce.IOC)
    assert crossed == 5_000


def test_display_qty_bounds_what_a_child_shows():
    """No child is larger."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, minutes=1, max_pct_vol=PPM_ONE, display_qty=200)
    day.trade(100_000)
    day.wait(5 * SECOND)
    assert day.sent()
    assert all(c.order_qty <= 200 for c in day.sent())


def test_the_limit_is_never_given_up():
    """However late and urgent: HARD, urgency 5, and a market that runs away."""
    day = Day()
    day.quote()
    limit = 20_001 * CENT
    day.parent("P1", 1_000, minutes=1, completion="HARD", urgency=5, ord_type=OrdType.LIMIT, price=limit, max_pct_vol=PPM_ONE)
    for tick in range(60):
        day.trade(5_000)
        day.quote(bid=f"{200 + tick / 100:.2f}", ask=f"{200.02 + tick / 100:.2f}")
        day.wait(2 * SECOND)
    assert day.sent()
    assert all(c.price <= limit for c in day.sent())


def test_an_order_before_its_start_does_nothing():
    """And begins at its start."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, start_ts=day.now + MINUTE, max_pct_vol=PPM_ONE)
    day.trade(100_000)
    day.wait(MINUTE - SECOND)
    assert day.sent() == []
    day.quote()
    day.trade(100_000)
    day.wait(5 * SECOND)
    day.trade(100_000)
    day.wait(5 * SECOND)
    assert day.sent()


# ---- the firm changes its mind


def test_a_symbol_that_leaves_the_policy_stops_its_parents():
    """A new policy without AAPL: children are taken back, a person hears of it, and the machine goes on."""
    day = Day()
    child = day.resting()
    day.feed(policy_loaded(instruments=()))
    day.wait(2 * SECOND)
    assert day.child(child).order.is_cancel_pending
    assert day.alerts() == ["symbol_removed"]
    day.operator("resume", day.order().parent_id)
    assert day.order().paused_by == "symbol_removed"
    day.feed(policy_loaded())
    day.canceled(child)
    day.operator("resume", day.order().parent_id)
    assert len(day.sent()) == 2


def test_a_tighter_policy_holds_for_what_leaves_next():
    """Limits are read at the gate, not at accept."""
    day = Day()
    child = day.resting()
    day.feed(policy_loaded(policy=msgspec.structs.replace(POLICY, child_qty_max=200)))
    day.canceled(child)
    assert all(c.order_qty <= 200 for c in day.sent()[1:])


def test_a_full_venue_makes_parents_wait_and_not_pause():
    """Thirty orders at five messages a second: each waits for its turn, none for a person."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, venue_messages_per_second_max=5)))
    day.quote()
    for n in range(30):
        day.parent(f"P{n}", 10_000 + n, max_pct_vol=PPM_ONE)
    day.trade(10**6)
    for _ in range(10):
        day.quote()
        day.wait(SECOND)
    assert "gate_message_rate" in day.alerts()
    assert {p.paused_by for p in day.state.parents.values()} == {""}


def test_a_gap_in_the_market_data_stops_an_order_only_while_it_lasts():
    """Two minutes without a quote: nothing leaves; with the next quote it goes on by itself."""
    day = Day()
    child = day.resting()
    day.canceled(child)
    day.canceled(day.sent()[-1])
    day.wait(2 * MINUTE)
    for c in day.sent():
        day.canceled(c)
    before = len(day.sent())
    day.wait(30 * SECOND)
    assert len(day.sent()) == before
    assert day.alerts().count("market_in_doubt") == 1
    day.quote()
    day.wait(2 * SECOND)
    assert len(day.sent()) > before


# ---- a bust after the end


def test_an_order_that_a_bust_opened_again_trades_it_after_resume_or_ends():
    """Filled, 300 taken back, the venue's child over, the window too: what is left is reported Canceled."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=1, max_pct_vol=PPM_ONE)
    day.trade(100_000)
    for _ in range(70):
        day.wait(SECOND)
        for child in _open(day):
            day.fill(child, leaves_qty(day.child(child).order))
        day.quote()
    assert _last_report(day).ord_status is OrdStatus.FILLED
    first = day.sent()[0]
    day.bust(first, next(iter(day.child(first).order.fills)))
    day.status_of(first, status=OrdStatus.FILLED)
    report = _last_report(day)
    assert (report.ord_status, report.cum_qty, report.leaves_qty) == (OrdStatus.CANCELED, 1_000 - first.order_qty, 0)
