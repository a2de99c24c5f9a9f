"""The published scenarios through the core: X as a client's parent, and X as our child at a venue."""

import pytest

from algoserver.core.orders import is_open, leaves_qty, ord_status
from algoserver.core.reports import VERBAL_CHANGE
from algoserver.domain import events
from algoserver.domain.commands import Command, RejectCancel, ReportParent, SendChild
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, ExecType, OnHalt, OrdStatus, OrdType, Side, TimeInForce
from tests.core.day import Day
from tests.matrices.scenario import NEW, ON_HALT, Scenario, Step
from tests.matrices.tables import SCENARIOS

# Why a published scenario can't happen to a client's order here. Those that the tables do not have: E.1.a and F.1.c know voice
# orders, H and J.1.c orders that live longer than a day, L stopped orders and cash quantities; nobody sends us such an order.
NOT_OF_A_PARENT = {
    **dict.fromkeys(("A.1.b", "J.1.d"), "a parent ends canceled, not done for the day"),
    **dict.fromkeys(("B.1.a-refused", "B.1.b-refused"), "no cancel of a working parent is refused"),
    **dict.fromkeys(("B.1.d", "B.1.d-no-new", "G.1.c"), "a D is acknowledged before anything else is read"),
    "F.1.c": "there are no voice orders",
    **dict.fromkeys(("C.1.b",), "an increase waits for nothing: it is done in the moment it is asked"),
    "C.1.c": "a filled order is not increased (C.1.c-refused)",
    **dict.fromkeys(("D.1.c", "D.2.c"), "what was found good is not refused afterwards, but for a cancel or a fill"),
    "D.2.b": "a second replace is refused while one is pending (D.2.d)",
    "E.1.e": "what a venue cancels, its parent goes on with elsewhere",
}
# We never send a ClOrdID twice, never ask about one that we did not send, and cancel instead of replacing. A child that its venue
# raises (E.1.c) is taken back at once.
NOT_OF_A_CHILD = {"B.1.f", "E.1.c", "F.1.a", "F.1.b", "G.1.a", *(s for s in SCENARIOS if s[0] in "CD" and s != "D35")}


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS.values() if s.id not in NOT_OF_A_PARENT], ids=lambda s: s.id)
def test_a_client_hears_the_published_reports(scenario: Scenario):
    """The whole list of reports to the client is the table's, ids included; the venue's lines are acts of one child."""
    day = Day()
    day.quote(size=20_000, venue="XLIT1")
    for step in scenario.steps:
        _play_parent(day, step)
    assert _told(day.commands) == [_expected(s) for s in scenario.steps if s.ord_status is not None]


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS.values() if s.id not in NOT_OF_A_CHILD], ids=lambda s: s.id)
def test_our_child_follows_its_venue(scenario: Scenario):
    """After each line our book of the child is what the venue's report says."""
    day = Day()
    day.quote(size=20_000, venue="XLIT1")
    child = _child_of(day, scenario)
    for step in scenario.steps:
        _play_child(day, child, step)
        if step.ord_status is not None:
            order = day.state.children[child.child_id].order
            assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (step.ord_status, step.cum_qty, step.leaves_qty), step.line


def _play_parent(day: Day, step: Step) -> None:
    if step.act in NEW:
        # IWouldPrice makes all of it one child that takes what is shown.
        how = {"time_in_force": NEW[step.act], "on_halt": ON_HALT.get(step.act, OnHalt.WAIT)}
        day.parent("X", step.number, **how, max_pct_vol=1_000_000, i_would_price=300 * PX_ONE)
        day.trade(20_000)
        day.wait(SECOND)
        assert [c.order_qty for c in day.sent()] == [step.number]
    elif step.act in ("again", "resend", "resendY"):
        day.parent("Y" if step.act == "resendY" else "X", step.number, poss_resend=step.act != "again")
    elif step.act == "cancel":
        day.cancel("X", "Y")
    elif step.act in ("status", "statusY"):
        day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="Y" if step.act == "statusY" else "X"))
    elif step.act in ("replace", "misreplace"):
        event = events.ReplaceRequested(
            session="CLIENT1", cl_ord_id=step.cl_ord_id, orig_cl_ord_id=step.orig_cl_ord_id, symbol="AAPL", side=Side.BUY,
            ord_type=OrdType.MARKET, order_qty=step.number, strategy=77 if step.act == "misreplace" else 0,
        )  # fmt: skip
        day.feed(event)
    elif step.act in ("replaced", "restated"):
        if step.act == "restated":
            is_verbal = step.exec_restatement_reason == VERBAL_CHANGE
            day.feed(events.OperatorAmended(operator="ann", target=day.order("X").parent_id, order_qty=step.number, is_verbal=is_verbal))
        if day.order("X").amendment is not None:
            day.canceled(next(c for c in day.sent() if is_open(day.child(c).order)))
        day.trade(20_000)
        day.wait(SECOND)
    elif step.act == "phoned":
        day.operator("cancel", day.order("X").parent_id, is_verbal=True)
    elif step.act in ("halted", "resumed"):
        day.halt(is_halted=step.act == "halted")
    elif step.act == "trade":
        able = [c for c in day.sent() if leaves_qty(day.child(c).order) >= step.number]
        day.fill(able[0] if able else day.sent()[0], step.number)
    elif step.act == "canceled":
        day.canceled(day.sent()[0])
    elif step.act == "bust":
        day.bust(day.sent()[0], next(iter(day.child(day.sent()[0]).order.fills)))
    elif step.act == "correct":
        day.correct(day.sent()[0], next(iter(day.child(day.sent()[0]).order.fills)), step.number)
    else:
        assert step.act == "refuse"  # the fill before it was the answer


def _child_of(day: Day, scenario: Scenario) -> SendChild:
    """A parent that has just sent one child of the scenario's quantity."""
    tif = NEW[scenario.act]
    how = {"time_in_force": tif, "on_halt": ON_HALT.get(scenario.act, OnHalt.WAIT)}
    day.parent("P1", scenario.order_qty, minutes=1, completion="SOFT", max_pct_vol=1_000_000, **how)
    if tif is TimeInForce.DAY:
        # Without volume the cap lets nothing out; past the end, SOFT joins with the whole. An IOC or FOK is out already.
        day.wait(2 * MINUTE)
        day.trade(20_000)
        day.quote(size=20_000, venue="XLIT1")
        day.wait(2 * SECOND)
    (child,) = day.sent()
    assert (child.order_qty, child.time_in_force) == (scenario.order_qty, tif)
    return child


def _play_child(day: Day, child: SendChild, step: Step) -> None:
    common = {"session": child.venue, "child_id": child.child_id}
    if step.act in (*NEW, "accept"):
        if step.ord_status is OrdStatus.REJECTED:
            day.feed(events.ChildRejected(**common, ord_rej_reason=7, text="submitted by voice"))
        elif step.ord_status is not None:
            day.accept(child)
    elif step.act == "cancel":
        day.cancel("P1", "C1")
    elif step.act == "trade":
        day.fill(child, step.number)
    elif step.act == "canceled":
        day.canceled(child)
    elif step.act == "done":
        day.canceled(child, OrdStatus.DONE_FOR_DAY)
    elif step.act == "restated":
        day.replaced(child, step.number)
    elif step.act == "bust":
        day.bust(child, next(iter(day.child(child).order.fills)))
    elif step.act == "correct":
        day.correct(child, next(iter(day.child(child).order.fills)), step.number)
    elif step.act == "phoned":
        day.operator("cancel", day.order().parent_id)
    elif step.act in ("halted", "resumed"):
        day.halt(is_halted=step.act == "halted")
    elif step.act == "refuse":
        assert step.ord_status is not None
        day.feed(events.CancelRejected(**common, cxl_rej_reason=0, ord_status=step.ord_status))
    elif step.ord_status is not None:
        numbers = {"cum_qty": step.cum_qty, "leaves_qty": step.leaves_qty}
        status = step.ord_status
        # A status answer makes an unacknowledged child acknowledged: only the report itself may say pending.
        if status is not OrdStatus.PENDING_NEW:
            day.feed(events.ChildStatusReported(**common, is_known=True, ord_status=status, **numbers))


def _told(out: list[Command]) -> list[tuple[ExecType | None, OrdStatus, int, int, str, str, int]]:
    told = []
    for c in out:
        if isinstance(c, ReportParent):
            told.append((c.exec_type, c.ord_status, c.cum_qty, c.leaves_qty, c.cl_ord_id, c.orig_cl_ord_id, c.exec_restatement_reason))
        elif isinstance(c, RejectCancel):
            told.append((None, c.ord_status, 0, 0, c.cl_ord_id, c.orig_cl_ord_id, -1))
    return told


def _expected(step: Step) -> tuple[ExecType | None, OrdStatus, int, int, str, str, int]:
    assert step.ord_status is not None
    cum, leaves = (0, 0) if step.is_cancel_reject else (step.cum_qty, step.leaves_qty)
    return step.exec_type, step.ord_status, cum, leaves, step.cl_ord_id, step.orig_cl_ord_id, step.exec_restatement_reason
