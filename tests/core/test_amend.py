"""Replaces: what may change, what it does to the children, and what a fill, a cancel or an end on the way make of it."""

from typing import Any

import pytest

from algoserver.core.orders import leaves_qty
from algoserver.domain.commands import CancelChild, Command, RaiseAlert, RejectCancel, ReportParent
from algoserver.domain.events import OperatorAmended, ReplaceRequested
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import ClientProfile, SessionHours
from algoserver.domain.types import DAY, MINUTE, PX_ONE, SECOND, ExecType, OrdStatus, OrdType, Side, Strategy, TimeInForce
from tests.core.day import Day, policy_loaded

PENDING, DONE = ExecType.PENDING_REPLACE, ExecType.REPLACED


def amend(day: Day, orig: str = "P1", cl_ord_id: str = "R1", **changes: Any) -> list[Command]:
    """A client's replace; keywords are its fields, those of AlgoParams included."""
    fields = {"symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.MARKET}
    params = {k: v for k, v in changes.items() if k in AlgoParams.__struct_fields__}
    fields |= {k: v for k, v in changes.items() if k not in params}
    return day.feed(
        ReplaceRequested(
            session="CLIENT1", cl_ord_id=cl_ord_id, orig_cl_ord_id=orig, params=AlgoParams(**params), given=tuple(params), **fields
        )
    )


def told(out: list[Command]) -> list[tuple[ExecType, str, str]]:
    """(150, 11, 41) of the reports."""
    return [(c.exec_type, c.cl_ord_id, c.orig_cl_ord_id) for c in out if isinstance(c, ReportParent)]


def refusal(out: list[Command]) -> tuple[int, str]:
    """(102, code) of the one refusal, which answers a replace."""
    (reject,) = [c for c in out if isinstance(c, RejectCancel)]
    assert reject.response_to == "2"
    return reject.cxl_rej_reason, reject.text.partition(":")[0]


def test_an_amended_order_has_a_new_id_and_a_new_plan_in_a_sentence():
    """Pending Replace and Replaced, the arrival's benchmark kept and the amend's beside it."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000)
    arrival_ts = day.order().arrival_ts
    out = amend(day, order_qty=2_000, end_ts=day.now + 20 * MINUTE)
    assert told(out) == [(PENDING, "R1", "P1"), (DONE, "R1", "P1")]
    replaced = day.reports("R1")[-1]
    assert (replaced.order_qty, replaced.leaves_qty, replaced.ord_status) == (2_000, 2_000, OrdStatus.NEW)
    assert replaced.text.startswith("TWAP: BUY 2000 AAPL 13:30:00 to 13:50:00 UTC")
    order = day.order("R1")
    assert (order.arrival_ts, order.amended_ts, order.amended_px) == (arrival_ts, day.now, 200_01 * PX_ONE // 100)


def test_what_a_replace_leaves_out_stays():
    """Quantity, price, end and parameters; a new price alone makes no other change."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, ord_type=OrdType.LIMIT, price=200 * PX_ONE, urgency=5, max_pct_vol=100_000)
    before = day.order()
    end_ts = before.end_ts
    amend(day, ord_type=OrdType.LIMIT, price=201 * PX_ONE)
    after = day.order("R1")
    assert (after.order.order_qty, after.price, after.end_ts) == (1_000, 201 * PX_ONE, end_ts)
    assert (after.params.urgency, after.params.max_pct_vol) == (5, 100_000)
    amend(day, orig="R1", cl_ord_id="R2", ord_type=OrdType.LIMIT, urgency=1)
    assert (after.price, after.params.urgency, after.params.max_pct_vol) == (201 * PX_ONE, 1, 100_000)
    amend(day, orig="R2", cl_ord_id="R3", ord_type=OrdType.MARKET)
    assert (after.ord_type, after.price) == (OrdType.MARKET, 0)


def test_what_may_not_change_is_named():
    """Strategy, side, symbol, time in force; an unknown, stale, used or ended order; a bad wish like that of a new order."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000)
    assert refusal(amend(day, orig="nobody")) == (1, "unknown_order")
    assert refusal(amend(day, cl_ord_id="P1")) == (6, "duplicate_cl_ord_id")
    for change in ({"side": Side.SELL}, {"symbol": "OTHER"}, {"strategy": 1}, {"time_in_force": TimeInForce.IOC.value}):
        assert refusal(amend(day, **change)) == (99, "not_amendable")
    assert refusal(amend(day, end_ts=day.now - MINUTE)) == (99, "end_in_the_past")
    assert refusal(amend(day, order_qty=100_000_000)) == (99, "parent_qty_max")
    assert refusal(amend(day, target_pct_vol=100_000)) == (99, "contradictory_parameter")
    assert refusal(amend(day, ord_type=OrdType.LIMIT)) == (99, "wrong_tick")
    assert told(day.commands) == [(ExecType.NEW, "P1", "")]
    amend(day, order_qty=2_000)
    assert refusal(amend(day, cl_ord_id="R2", order_qty=3_000)) == (99, "stale_orig_cl_ord_id")
    day.cancel("R1")
    assert refusal(amend(day, orig="R1", cl_ord_id="R3")) == (0, "too_late")


def test_no_end_is_moved_beyond_half_a_year():
    """Where the market never closes, as for a new order."""
    day = Day(policy_loaded(hours=SessionHours(0, DAY)))
    day.quote()
    day.parent("P1", 1_000)
    assert refusal(amend(day, end_ts=day.now + 181 * DAY)) == (99, "too_far_ahead")
    assert told(amend(day, end_ts=day.now + 2 * DAY))[-1] == (DONE, "R1", "P1")


def test_a_start_that_has_come_stays_and_one_that_has_not_may_move():
    """Both ways; sent again as it was it is no change."""
    day = Day()
    day.quote()
    later = day.now + 5 * MINUTE
    day.parent("P1", 1_000, start_ts=later, minutes=20)
    amend(day, start_ts=later + MINUTE)
    assert day.order("R1").start_ts == later + MINUTE
    day.wait(7 * MINUTE)
    day.quote()
    assert refusal(amend(day, orig="R1", cl_ord_id="R2", start_ts=later)) == (99, "not_amendable")
    out = amend(day, orig="R1", cl_ord_id="R3", start_ts=later + MINUTE, order_qty=1_500)
    assert told(out)[-1] == (DONE, "R3", "R1")
    assert day.order("R3").start_ts == later + MINUTE


def test_children_that_do_not_fit_go_first():
    """Less: Replaced comes when the child is gone, nothing new leaves before, and then never more than the new quantity."""
    day = Day()
    child = day.resting(1_000)
    day.accept(child)
    out = amend(day, order_qty=400)
    assert told(out) == [(PENDING, "R1", "P1")]
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]
    assert told(day.fill(child, 100)) == [(ExecType.TRADE, "P1", "")]
    day.wait(3 * SECOND)
    assert day.sent() == [child]
    day.quote()
    assert told(day.canceled(child)) == [(DONE, "R1", "P1")]
    assert (day.order("R1").order.order_qty, leaves_qty(day.order("R1").order)) == (400, 300)
    day.trade(100_000)
    day.wait(3 * SECOND)
    assert sum(c.order_qty for c in day.sent()[1:]) == 300


def test_a_stricter_limit_takes_back_what_is_beyond_it_and_a_wider_one_nothing():
    """By price, not by quantity."""
    day = Day()
    child = day.resting(1_000, ord_type=OrdType.LIMIT, price=201 * PX_ONE)
    day.accept(child)
    assert told(amend(day, ord_type=OrdType.LIMIT, price=202 * PX_ONE, end_ts=day.now + 5 * MINUTE))[-1] == (DONE, "R1", "P1")
    assert not [c for c in day.commands if isinstance(c, CancelChild)]
    out = amend(day, orig="R1", cl_ord_id="R2", ord_type=OrdType.LIMIT, price=199 * PX_ONE)
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]
    assert told(day.canceled(child))[-1] == (DONE, "R2", "R1")


def test_a_fill_on_the_way_counts():
    """Below what is done the quantity is what is done (C.3.c); filled before a mere price change, the replace is too late (C.2.a)."""
    day = Day()
    child = day.resting(1_000)
    amend(day, order_qty=300)
    day.fill(child, 500)
    (report,) = [r for r in day.canceled(child) if isinstance(r, ReportParent)]
    assert (report.exec_type, report.ord_status, report.order_qty, report.leaves_qty) == (DONE, OrdStatus.FILLED, 500, 0)
    other = Day()
    child = other.resting(1_000)
    amend(other, ord_type=OrdType.LIMIT, price=190 * PX_ONE)
    assert refusal(other.fill(child, 1_000)) == (0, "too_late")
    assert other.order().order.order_qty == 1_000


def test_a_cancel_ends_a_pending_replace():
    """The replace is refused, the cancel goes on."""
    day = Day()
    child = day.resting(1_000)
    amend(day, order_qty=400)
    out = day.cancel("P1", "C1")
    assert refusal(out) == (99, "superseded")
    assert told(out) == [(ExecType.PENDING_CANCEL, "C1", "P1")]
    assert told(day.canceled(child)) == [(ExecType.CANCELED, "C1", "P1")]


def test_while_the_firm_is_stopped_an_order_may_only_shrink():
    """More or dearer is refused; less is taken, whatever the market."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000)
    day.operator("kill")
    assert refusal(amend(day, order_qty=2_000)) == (99, "killed")
    assert refusal(amend(day, ord_type=OrdType.LIMIT, price=200 * PX_ONE)) == (99, "killed")
    assert told(amend(day, order_qty=500))[-1] == (DONE, "R1", "P1")


def test_an_amended_schedule_begins_anew_with_what_is_left():
    """Half of the time gone and nothing done: the rest is spread over what remains, not caught up at once."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, Strategy.TWAP, ord_type=OrdType.LIMIT, price=150 * PX_ONE, minutes=10)
    day.wait(5 * MINUTE)
    day.quote()
    amend(day, ord_type=OrdType.LIMIT, price=201 * PX_ONE)
    work = day.state.works[day.order("R1").parent_id]
    assert (work.schedule.moments[0], work.schedule.totals) == (day.now, (0, 10_000))
    assert work.base_qty == 0


def test_a_repeated_replace_is_answered_once_and_a_second_one_waits():
    """43=Y of the same says nothing; another while one is pending is 102=3 (D.2.d)."""
    day = Day()
    day.resting(1_000)
    amend(day, order_qty=400)
    assert amend(day, order_qty=400, poss_dup=True) == []
    assert refusal(amend(day, cl_ord_id="R2", order_qty=300)) == (3, "already_pending")


def desk(day: Day, **changes: Any) -> list[Command]:
    """Ann amends P1; keywords are fields of the event, those of AlgoParams included."""
    params = {k: v for k, v in changes.items() if k in AlgoParams.__struct_fields__}
    fields = {k: v for k, v in changes.items() if k not in params}
    return day.feed(OperatorAmended(operator="ann", target=day.order().parent_id, params=AlgoParams(**params), given=tuple(params), **fields))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"order_qty": 800}, 5), ({"order_qty": 800, "is_verbal": True}, 2), ({"order_qty": 2_000}, 4), ({"order_qty": 800, "urgency": 5}, 4),
        ({"price": 201 * PX_ONE}, 4), ({"max_pct_vol": 500_000, "is_verbal": True}, 2),
    ],
)  # fmt: skip
def test_what_the_desk_amends_is_restated_under_the_id_that_the_client_knows(changes, reason):
    """E.1.c, E.1.d: no Pending Replace; 378 says whose will it was, and the plan stands in 58."""
    day = Day()
    child = day.resting()
    out = desk(day, **changes)
    if any(isinstance(c, CancelChild) for c in out):
        out += day.canceled(child)
    (report,) = [c for c in out if isinstance(c, ReportParent)]
    assert (report.exec_type, report.cl_ord_id, report.orig_cl_ord_id) == (ExecType.RESTATED, "P1", "")
    assert report.exec_restatement_reason == reason
    assert report.text.startswith("TWAP: BUY")
    assert report.order_qty == changes.get("order_qty", 1_000)
    assert day.alerts()[:1] == ["amended"]


def test_an_increase_by_the_desk_works_on_at_once():
    """What is out stays out, the rest is sent beside it; the gate knows the new quantity."""
    day = Day()
    day.resting()
    desk(day, order_qty=1_500)
    day.quote()
    day.trade(50_000)
    day.wait(2 * SECOND)
    assert sum(c.order_qty for c in day.sent()) == 1_500


def test_what_a_client_could_not_amend_the_desk_can_not_either():
    """The same refusals, as an alert; nothing changes and the client hears nothing."""
    day = Day()
    child = day.resting()
    for changes, code in (
        ({"order_qty": 2_000_000}, "parent_qty_max"), ({"price": 300 * PX_ONE}, "price_collar"), ({"target_pct_vol": 1}, "contradictory_parameter"),
        ({"start_ts": day.now + MINUTE}, "not_amendable"),
    ):  # fmt: skip
        (alert,) = desk(day, **changes)
        assert isinstance(alert, RaiseAlert)
        assert (alert.code, code in alert.text) == ("amend_refused", True), alert.text
    day.fill(child, 1_000)
    (alert,) = desk(day, order_qty=2_000)
    assert isinstance(alert, RaiseAlert)
    assert "too_late" in alert.text


def test_while_the_desk_amends_a_clients_replace_waits_and_its_cancel_wins():
    """One change at a time; a cancel gives the desk's up with an alert, and no reject of a request that nobody sent."""
    day = Day()
    child = day.resting()
    desk(day, order_qty=800)
    assert refusal(amend(day, order_qty=700)) == (3, "already_pending")
    out = day.cancel()
    assert [c.code for c in out if isinstance(c, RaiseAlert)] == ["amend_given_up"]
    out = day.canceled(child)
    assert told(out) == [(ExecType.CANCELED, "C1", "P1")]
    assert day.order().order.order_qty == 1_000


def test_after_the_desk_a_client_amends_the_id_that_he_knows():
    """Restated has changed no ClOrdID."""
    day = Day()
    day.resting()
    desk(day, order_qty=1_200)
    assert told(amend(day, order_qty=1_300)) == [(PENDING, "R1", "P1"), (DONE, "R1", "P1")]
    (report,) = [c for c in desk(day, order_qty=1_400) if isinstance(c, ReportParent)]
    assert (report.exec_type, report.cl_ord_id, report.orig_cl_ord_id) == (ExecType.RESTATED, "R1", "")


def test_a_fill_that_comes_first_ends_what_the_desk_wanted():
    """Everything but a new quantity is too late for a filled order: an alert, no report."""
    day = Day()
    child = day.resting()
    desk(day, price=199 * PX_ONE)
    out = day.fill(child, 1_000)
    assert [c.code for c in out if isinstance(c, RaiseAlert)] == ["amend_given_up"]
    assert [t for t, *_ in told(out)] == [ExecType.TRADE]


def test_the_desk_is_judged_by_what_the_orders_client_has_agreed_to():
    """His strategies and his venues, not those of a session that is called operator; the rate of requests is the desk's own."""
    day = Day()
    day.resting()
    day.feed(policy_loaded(profiles=(ClientProfile("CLIENT1", algos=(int(Strategy.VWAP),)), ClientProfile("operator", algos=(int(Strategy.TWAP),)))))
    (alert,) = desk(day, order_qty=800)
    assert isinstance(alert, RaiseAlert)
    assert "strategy_not_allowed" in alert.text
    day.feed(policy_loaded(profiles=(ClientProfile("CLIENT1"), ClientProfile("operator", algos=(int(Strategy.VWAP),)))))
    desk(day, order_qty=2_000)
    assert day.order().order.order_qty == 2_000
    assert "parents:operator" in day.state.gate.rates
