"""Mass cancel, mass status and disputed trades: whose orders are meant, what is answered, what happens to them."""

from algoserver.domain.commands import CancelChild, Command, RaiseAlert, RejectCancel, ReportMassCancel, ReportParent
from algoserver.domain.events import MassCancelRequested, MassStatusRequested, TradeDisputed
from algoserver.domain.types import MINUTE, ExecType, OrdStatus, Side
from tests.core.day import Day


def _day() -> Day:
    """P1 and P2 buy and sell AAPL for CLIENT1, P1 buys for CLIENT2; P0 is over."""
    day = Day()
    day.quote()
    day.parent("P0")
    day.cancel("P0", "C0")
    day.parent("P1", 1_000)
    day.parent("P2", 2_000, side=Side.SELL)
    day.parent("P1", 3_000, session="CLIENT2")
    return day


def _cancel(day: Day, request_type: str = "7", **more: str) -> tuple[ReportMassCancel, list[Command]]:
    report, *rest = day.feed(MassCancelRequested(session="CLIENT1", cl_ord_id="M1", request_type=request_type, **more))
    assert isinstance(report, ReportMassCancel)
    return report, rest


def test_all_of_a_clients_orders_and_nobody_elses():
    """Named in the report with their OrderIDs; each then says Canceled and by what."""
    day = _day()
    report, rest = _cancel(day)
    assert (report.response, report.reject_reason, [a[0] for a in report.affected]) == ("7", -1, ["P1", "P2"])
    assert [a[1] for a in report.affected] == [day.order("P1").parent_id, day.order("P2").parent_id]
    ended = [(r.cl_ord_id, r.exec_type, r.text) for r in rest if isinstance(r, ReportParent)]
    assert ended == [(p, ExecType.CANCELED, "canceled by mass cancel M1") for p in ("P1", "P2")]
    (other,) = [p for p in day.state.parents.values() if p.session == "CLIENT2"]
    assert other.parent_id in day.state.works
    again = MassCancelRequested(session="CLIENT1", cl_ord_id="M2", request_type="7")
    (empty,) = day.feed(again)
    assert isinstance(empty, ReportMassCancel)
    assert (empty.response, empty.affected) == ("7", ())


def test_by_security_and_by_side():
    """Only those; a symbol that is missing or unknown, and another type, are refused with what to send."""
    assert [a[0] for a in _cancel(_day(), "1", symbol="AAPL")[0].affected] == ["P1", "P2"]
    assert [a[0] for a in _cancel(_day(), "7", side="2")[0].affected] == ["P2"]
    for request_type, symbol, reason, code in (("1", "", 1, "unknown_symbol"), ("1", "X", 1, "unknown_symbol"), ("3", "", 0, "unsupported_type")):
        report, rest = _cancel(_day(), request_type, symbol=symbol)
        assert (report.response, report.reject_reason, report.text.partition(":")[0], rest) == ("0", reason, code, [])


def test_a_mass_cancel_that_comes_again_spares_the_orders_after_it():
    """As PossDup it is answered already; otherwise its ClOrdID is used up, for an order too."""
    day = Day()
    day.quote()
    _cancel(day)
    day.parent("P1")
    assert day.feed(MassCancelRequested(session="CLIENT1", cl_ord_id="M1", request_type="7", poss_dup=True)) == []
    report, rest = _cancel(day)
    assert (report.response, report.reject_reason, report.text.partition(":")[0], rest) == ("0", 99, "duplicate_cl_ord_id", [])
    assert day.order("P1").parent_id in day.state.works
    (refused,) = day.parent("M1")
    assert isinstance(refused, ReportParent)
    assert (refused.order_id, refused.ord_status, refused.ord_rej_reason, refused.order_qty) == ("NONE", OrdStatus.REJECTED, 6, 1_000)
    (refused,) = day.cancel("P1", "M1")
    assert isinstance(refused, RejectCancel)
    assert refused.cxl_rej_reason == 6


def test_children_are_taken_back_before_an_order_is_canceled():
    """The report comes at once, Canceled when the child is over, with what it had filled."""
    day = Day()
    child = day.resting(1_000)
    day.accept(child)
    report, rest = _cancel(day)
    assert [a[0] for a in report.affected] == ["P1"]
    assert [type(c) for c in rest] == [CancelChild]
    day.fill(child, 300)
    (end,) = [c for c in day.canceled(child) if isinstance(c, ReportParent)]
    assert (end.exec_type, end.cl_ord_id, end.cum_qty, end.leaves_qty) == (ExecType.CANCELED, "P1", 300, 0)
    day.wait(MINUTE)
    assert len(day.sent()) == 1


def test_mass_status_is_a_report_for_each_working_order():
    """Numbered, the last one marked; one rejected report where there is none."""
    day = _day()
    out = day.feed(MassStatusRequested(session="CLIENT1", mass_status_req_id="S1", request_type="7"))
    told = [(c.cl_ord_id, c.exec_type, c.mass_status_req_id, c.tot_num_reports, c.is_last_report) for c in out if isinstance(c, ReportParent)]
    assert told == [("P1", ExecType.ORDER_STATUS, "S1", 2, False), ("P2", ExecType.ORDER_STATUS, "S1", 2, True)]
    for request in (("1", "X", "nothing_open"), ("9", "", "unsupported_type")):
        (none,) = day.feed(MassStatusRequested(session="CLIENT1", mass_status_req_id="S2", request_type=request[0], symbol=request[1]))
        assert isinstance(none, ReportParent)
        assert (none.ord_status, none.order_id, none.tot_num_reports, none.is_last_report) == (OrdStatus.REJECTED, "NONE", 0, True)
        assert none.text.startswith(request[2])


def test_a_disputed_trade_is_a_persons_affair():
    """An alert about the order; the books stay. Somebody else's order is not named."""
    day = _day()
    before = day.order("P1").order.cum_qty
    order_id = day.order("P1").parent_id
    for session, subject in (("CLIENT1", order_id), ("CLIENT2", "CLIENT2")):
        (alert,) = day.feed(TradeDisputed(session=session, order_id=order_id, exec_id="E9", dk_reason="D", text="no such order"))
        assert isinstance(alert, RaiseAlert)
        assert (alert.code, alert.subject) == ("trade_disputed", subject)
        assert "E9 (127=D): no such order" in alert.text
    assert day.order("P1").order.cum_qty == before
