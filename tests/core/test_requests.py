"""What clients ask: every refusal with its reason and a text that begins with a code; every answer once."""

from typing import Any

import msgspec
import pytest

from algoserver.core.state import State
from algoserver.domain import events
from algoserver.domain.commands import RejectCancel, RejectMessage, ReportParent
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, ExecType, OrdStatus, OrdType, Side, Strategy
from tests.core.day import OPEN_TS, POLICY, Day, policy_loaded

REFUSALS: list[tuple[str, int, dict[str, Any]]] = [
    ("unknown_symbol", 1, {"symbol": "NONE"}),
    ("unknown_strategy", 11, {"strategy": 77}),
    ("missing_parameter", 99, {"strategy": Strategy.POV}),
    ("contradictory_parameter", 99, {"target_pct_vol": 100_000}),
    ("contradictory_parameter", 99, {"max_pct_vol": 100_000, "min_pct_vol": 100_001}),
    ("contradictory_parameter", 99, {"strategy": Strategy.POV, "target_pct_vol": 100_001, "max_pct_vol": 100_000}),
    ("wrong_lot", 13, {"qty": 0}),
    ("wrong_lot", 13, {"qty": -5}),
    ("wrong_tick", 99, {"ord_type": OrdType.LIMIT, "price": 200 * PX_ONE + 1}),
    ("wrong_tick", 99, {"ord_type": OrdType.LIMIT, "price": 0}),
    ("price_on_market", 99, {"price": 200 * PX_ONE}),
    ("price_collar", 3, {"ord_type": OrdType.LIMIT, "price": 300 * PX_ONE}),
    ("end_before_start", 99, {"start_ts": OPEN_TS + 5 * MINUTE, "end_ts": OPEN_TS + 5 * MINUTE}),
    ("end_in_the_past", 99, {"end_ts": OPEN_TS}),
    ("exchange_closed", 2, {"start_ts": OPEN_TS + 24 * 60 * MINUTE, "end_ts": 0}),
    ("parent_qty_max", 3, {"qty": 1_000_001}),
]


def _refused(out: list[Any]) -> tuple[OrdStatus, int, str, int]:
    (report,) = out
    assert isinstance(report, ReportParent)
    return report.ord_status, report.ord_rej_reason, report.text.split(":")[0], report.leaves_qty


@pytest.mark.parametrize(("code", "reason", "order"), REFUSALS, ids=lambda v: str(v) if not isinstance(v, dict) else "-".join(v))
def test_what_can_not_be_worked_is_rejected_with_a_code(code: str, reason: int, order: dict[str, Any]):
    """Rejected, 103 and a text that a machine and a person can read; nothing else happens."""
    day = Day()
    day.quote()
    order = dict(order)
    out = day.parent("P1", order.pop("qty", 1_000), **order)

    assert _refused(out) == (OrdStatus.REJECTED, reason, code, 0)
    assert day.wait(2 * SECOND) == []


@pytest.mark.parametrize(
    ("code", "limits"),
    [
        ("parent_value_max", {"parent_value_max": 1}),
        ("parent_adv_max", {"parent_adv_ppm_max": 1}),
        ("message_rate", {"parents_per_second_max": 0}),
    ],
)
def test_what_is_too_large_is_rejected_as_exceeding_a_limit(code: str, limits: dict[str, int]):
    """103=3, and the text names the limit, the usage and the policy."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, **limits)))
    day.quote()
    assert _refused(day.parent("P1", 1_000)) == (OrdStatus.REJECTED, 3, code, 0)


def test_the_side_of_a_report_is_the_orders():
    """A short sale stays one."""
    day = Day()
    day.quote()
    (report, *_) = [c for c in day.parent("P1", side=Side.SELL_SHORT) if isinstance(c, ReportParent)]
    assert report.side == "5"


def test_without_policy_nothing_is_accepted():
    """The first event of a state can be an order."""
    day = Day()
    day.state = State()
    assert _refused(day.parent("P1"))[:3] == (OrdStatus.REJECTED, 99, "no_policy")


def test_without_a_price_nothing_is_accepted():
    """No quote, no trade: fail closed."""
    assert _refused(Day().parent("P1"))[:3] == (OrdStatus.REJECTED, 99, "no_reference")


def test_an_accepted_order_hears_its_plan():
    """New, with what will be done in the text."""
    day = Day()
    day.quote()
    (report, *_) = [c for c in day.parent("P1", 1_000, Strategy.TWAP) if isinstance(c, ReportParent)]
    assert (report.exec_type, report.ord_status, report.leaves_qty) == (ExecType.NEW, OrdStatus.NEW, 1_000)
    assert report.text == "TWAP: BUY 1000 AAPL 13:30:00 to 13:40:00 UTC, 10 slices of 60 s, at most 25 % of volume, then CANCEL."


def test_a_cl_ord_id_belongs_to_one_order_for_good():
    """Used by a working order, by a rejected one, by a cancel: never again, and each session has its own."""
    day = Day()
    day.quote()
    day.parent("P1")
    day.parent("P2", 0)
    day.cancel("P1", "C1")
    for cl_ord_id in ("P1", "P2", "C1"):
        (report,) = day.parent(cl_ord_id)
        assert isinstance(report, ReportParent)
        assert (report.exec_type, report.ord_rej_reason, report.cl_ord_id) == (ExecType.REJECTED, 6, cl_ord_id)
        assert report.text.startswith("duplicate_cl_ord_id: ")
    (report, *_) = day.parent("P1", session="CLIENT2")
    assert isinstance(report, ReportParent)
    assert report.exec_type is ExecType.NEW


def test_a_message_sent_again_by_the_session_is_answered_once():
    """PossDup=Y of what we know is silence; of what we never saw it is an order."""
    day = Day()
    day.quote()
    assert day.parent("P1", poss_dup=True) != []
    assert day.parent("P1", poss_dup=True) == []
    day.cancel("P1", "C1")
    cancel = events.CancelRequested(session="CLIENT1", cl_ord_id="C1", orig_cl_ord_id="P1", poss_dup=True)
    assert day.feed(cancel) == []


def test_a_cancel_is_refused_for_each_reason_by_its_number():
    """Unknown 1, duplicate 6, already pending 3, too late 0; texts begin with a code."""
    day = Day()
    child = day.resting()
    told = [day.cancel("nobody", "C1"), day.cancel("P1", "P1")]
    day.cancel("P1", "C2")
    told.append(day.cancel("P1", "C3"))
    day.canceled(child)
    told.append(day.cancel("P1", "C4"))
    rejects = [c for out in told for c in out]
    assert all(isinstance(c, RejectCancel) for c in rejects)
    assert [(c.cxl_rej_reason, c.ord_status.name, c.text.split(":")[0]) for c in rejects if isinstance(c, RejectCancel)] == [
        (1, "REJECTED", "unknown_order"),
        (6, "PARTIALLY_FILLED" if day.order().order.cum_qty else "NEW", "duplicate_cl_ord_id"),
        (3, "PENDING_CANCEL", "already_pending"),
        (0, "CANCELED", "too_late"),
    ]


def test_a_client_can_not_cancel_or_see_the_order_of_another():
    """ClOrdIDs belong to a session."""
    day = Day()
    day.quote()
    day.parent("P1")
    (reject,) = day.feed(events.CancelRequested(session="CLIENT2", cl_ord_id="C1", orig_cl_ord_id="P1"))
    assert isinstance(reject, RejectCancel)
    assert reject.cxl_rej_reason == 1
    (report,) = day.feed(events.StatusRequested(session="CLIENT2", cl_ord_id="P1"))
    assert isinstance(report, ReportParent)
    assert report.ord_rej_reason == 5


def test_garbage_is_answered_by_what_it_wanted_to_be():
    """A D by Rejected, F and G by a cancel reject, anything else by a business reject."""
    day = Day()

    def garbled(msg_type: str) -> Any:
        (answer,) = day.feed(
            events.Garbled(
                session="CLIENT1", msg_seq=7, msg_type=msg_type, code="bad", text="x", reject_reason=3, cl_ord_id="Q", orig_cl_ord_id="P"
            )
        )
        return answer

    report = garbled("D")
    assert (report.ord_status, report.cl_ord_id, report.ord_rej_reason, report.text) == (OrdStatus.REJECTED, "Q", 3, "bad: x")
    assert [garbled(t).response_to for t in "FG"] == ["1", "2"]
    assert garbled("E") == RejectMessage(session="CLIENT1", ref_seq_num=7, ref_msg_type="E", business_reject_reason=0, text="bad: x")


def test_garbage_with_the_id_of_a_working_order_does_not_say_that_the_order_is_gone():
    """F.1.a: refused, with the first order's state and quantities."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000)
    (report,) = day.feed(events.Garbled(session="CLIENT1", msg_type="D", code="bad", text="x", reject_reason=99, cl_ord_id="P1"))
    assert isinstance(report, ReportParent)
    assert (report.exec_type, report.ord_status, report.order_qty, report.leaves_qty) == (ExecType.REJECTED, OrdStatus.NEW, 1_000, 1_000)


def test_status_says_why_an_order_does_not_trade():
    """Nothing done, and what the plan wants by now; paused; how it ended."""
    day = Day()
    child = day.resting()

    def text() -> str:
        (report,) = day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="P1", ord_status_req_id="S1"))
        assert isinstance(report, ReportParent)
        assert report.ord_status_req_id == "S1"
        return report.text

    assert text() == "nothing done, planned by now 1000 of 1000"
    day.fill(child, 300)
    assert text() == "working, planned by now 1000 of 1000"
    day.operator("pause", day.order().parent_id)
    assert text() == "paused by the desk"


def test_every_exec_id_is_given_once():
    """Over orders, rejects, status answers and garbage of one state."""
    day = Day()
    child = day.resting()
    day.fill(child, 100)
    for _ in range(2):
        day.parent("P1")
        day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="nobody"))
        day.feed(events.Garbled(session="CLIENT1", msg_type="D", code="bad", text="x", reject_reason=99))
    ids = [r.exec_id for r in day.reports()]
    assert len(ids) == len(set(ids))


def test_a_cancel_that_names_no_order_is_refused_by_no_name():
    """FIX 5.0 SP2 lets 41 out of an F; an empty field in the answer would be no FIX."""
    day = Day()
    (refused,) = day.feed(events.Garbled(session="CLIENT1", msg_type="F", code="missing_field", text="41", reject_reason=99, cl_ord_id="C1"))
    assert isinstance(refused, RejectCancel)
    assert (refused.order_id, refused.cl_ord_id, refused.orig_cl_ord_id) == ("NONE", "C1", "NONE")
