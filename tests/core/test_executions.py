"""What venues tell, booked: the strange cases one by one."""

import pytest

from algoserver.core.executions import REFUSALS_MAX
from algoserver.core.links import ASK_AGAIN_NS
from algoserver.core.orders import is_open, leaves_qty
from algoserver.domain import events
from algoserver.domain.commands import AskChildStatus, CancelChild, RaiseAlert, RejectCancel, ReportParent
from algoserver.domain.types import PX_ONE, SECOND, ExecType, OrdStatus, OrdType, TimeInForce
from tests.core.day import Day


def _reports(out):
    return [(c.exec_type, c.ord_status, c.last_qty, c.cum_qty, c.leaves_qty) for c in out if isinstance(c, ReportParent)]


def test_a_fill_goes_up_the_tree_with_its_venue_and_price():
    """Child, parent and gate book the fill; the client hears of it one to one with LastMkt and the liquidity flag."""
    day = Day()
    child = day.resting()
    out = day.feed(
        events.ChildFilled(
            session="XLIT1", child_id=child.child_id, exec_id="E1", last_px=child.price, last_qty=300, last_liquidity_ind=1, last_capacity="4",
        )  # fmt: skip
    )
    (report,) = [c for c in out if isinstance(c, ReportParent)]
    assert (report.exec_type, report.ord_status, report.cum_qty, report.leaves_qty) == (
        ExecType.TRADE,
        OrdStatus.PARTIALLY_FILLED,
        300,
        700,
    )
    assert (report.last_qty, report.last_px, report.last_mkt, report.last_liquidity_ind) == (300, child.price, "XLIT1", 1)
    assert report.last_capacity == "4"
    assert leaves_qty(day.child(child).order) == 700


def test_where_a_trade_was_made_is_the_venues_word():
    """LastMkt of a venue that routes on goes up as it is, of the fill as of its correction and its bust; capacity too."""
    day = Day()
    child = day.resting()
    common = {"session": "XLIT1", "child_id": child.child_id, "last_mkt": "XNAS", "last_capacity": "1"}
    priced = {"last_px": child.price, "last_qty": 300, "last_liquidity_ind": 3}
    out = day.feed(events.ChildFilled(**common, **priced, exec_id="E1"))
    out += day.feed(events.FillCorrected(**common, **priced, exec_id="E2", exec_ref_id="E1"))
    out += day.feed(events.FillBusted(**common, exec_id="E3", exec_ref_id="E2"))
    told = [(c.exec_type, c.last_mkt, c.last_capacity, c.last_liquidity_ind) for c in out if isinstance(c, ReportParent)]
    assert told == [(ExecType.TRADE, "XNAS", "1", 3), (ExecType.TRADE_CORRECT, "XNAS", "1", 3), (ExecType.TRADE_CANCEL, "XNAS", "1", 0)]


def test_what_a_venue_does_of_its_own_will_is_told_with_its_reason():
    """E.1.b, E.1.d and E.1.e of a child: the desk hears 378, the quantity that was cut is worked on, the client hears nothing."""
    day = Day()
    child = day.resting()
    common = {"session": "XLIT1", "child_id": child.child_id}
    out = day.feed(events.ChildReplaced(**common, order_qty=400, exec_restatement_reason=5))
    assert [(c.code, "378=5" in c.text) for c in out if isinstance(c, RaiseAlert)] == [("unsolicited_decrease", True)]
    out = day.feed(events.ChildCanceled(**common, ord_status=OrdStatus.CANCELED, exec_restatement_reason=9))
    assert [(c.code, "378=9" in c.text) for c in out if isinstance(c, RaiseAlert)] == [("unsolicited_cancel", True)]
    day.quote()
    day.wait(3 * SECOND)
    assert sum(c.order_qty for c in day.sent()[1:]) == 1_000
    assert [r.exec_type for r in day.reports()] == [ExecType.NEW]


def test_the_same_exec_id_is_booked_once():
    """A venue that sends a fill again after a gap adds nothing and reports nothing."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")

    assert day.fill(child, 300, "E1") == []
    assert day.order().order.cum_qty == 300


def test_an_exec_id_that_comes_with_another_trade_stops_the_parent():
    """One of both trades is not in our books, and nobody can say which; the same trade again is no news."""
    day = Day()
    child = day.resting()
    day.accept(child)
    day.fill(child, 100, "E1")
    assert day.fill(child, 100, "E1") == []
    day.fill(child, 300, "E1")
    assert day.alerts() == ["reused_exec_id"]
    assert day.order().paused_by == "reused_exec_id"
    assert day.order().order.cum_qty == 100
    assert day.child(child).order.is_cancel_pending


@pytest.mark.parametrize("ends_by", ["refused", "unknown", "unsent"])
@pytest.mark.parametrize("lives_by", ["accepted", "status"])
def test_a_child_that_was_said_not_to_be_and_is_there_after_all_is_asked_for_and_taken_back(ends_by: str, lives_by: str):
    """Nobody else would ever cancel it. Its parent stops, for it may have sent that quantity again."""
    day = Day()
    child = day.resting()
    if ends_by == "refused":
        day.rejected(child)
    elif ends_by == "unknown":
        day.status_of(child, status=OrdStatus.REJECTED, is_known=False)
    else:
        day.feed(events.SendFailed(session=child.venue, msg_type="D", child_id=child.child_id))
    assert not is_open(day.child(child).order)
    out = day.accept(child) if lives_by == "accepted" else day.status_of(child)
    assert [c.code for c in out if isinstance(c, RaiseAlert)] == ["not_over"]
    assert day.order().paused_by == "not_over"
    assert day.order().open_children.get(child.child_id, "missing") is None
    if lives_by == "accepted":
        assert [c.child_id for c in out if isinstance(c, AskChildStatus)] == [child.child_id]
        out = day.status_of(child)
    assert [c.child_id for c in out if isinstance(c, CancelChild) and c.child_id == child.child_id] == [child.child_id]
    day.canceled(child)
    assert child.child_id not in day.order().open_children


def test_a_fill_of_a_parent_that_is_over_is_booked_and_pauses_it():
    """FIX 4.2 D35: Canceled stays Canceled, the quantity counts, a person hears of it."""
    day = Day()
    child = day.resting()
    day.cancel()
    day.canceled(child)

    assert _reports(day.fill(child, 400)) == [(ExecType.TRADE, OrdStatus.CANCELED, 400, 400, 0)]
    assert day.alerts() == ["late_fill"]
    assert day.order().paused_by == "late_fill"


def test_an_overfill_is_booked_and_reported_and_pauses_the_parent():
    """The client hears the true quantity even above what he asked for."""
    day = Day()
    child = day.resting()

    assert _reports(day.fill(child, 1_100)) == [(ExecType.TRADE, OrdStatus.FILLED, 1_100, 1_100, 0)]
    assert day.alerts() == ["overfill"]


def test_a_late_fill_does_not_send_quantity_again():
    """Of 1000, 400 came late from a canceled child: what goes out next is at most 600, and only after a person resumed."""
    day = Day()
    child = day.resting()
    day.operator("pause", day.order().parent_id)
    day.canceled(child)
    day.fill(child, 400)
    day.wait(3 * SECOND)
    assert day.sent() == [child]

    day.operator("resume", day.order().parent_id)
    assert sum(c.order_qty for c in day.sent()[1:]) == 600


def test_a_fill_that_comes_after_its_quantity_was_sent_again_takes_the_new_child_back():
    """A canceled child traded 400 after all, and 1000 are out anew: the parent stops and cancels them."""
    day = Day()
    child = day.resting()
    day.canceled(child)
    (_, again) = day.sent()

    assert CancelChild in [type(c) for c in day.fill(child, 400)]
    assert day.child(again).order.is_cancel_pending
    assert day.order().paused_by == "late_fill"


def test_a_bust_opens_again_what_it_took_back():
    """J.1.a: the venue may trade it again, so the gate counts it as open; the parent waits for a person."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")

    out = day.bust(child, "E1")
    assert _reports(out) == [(ExecType.TRADE_CANCEL, OrdStatus.NEW, 300, 0, 1_000)]
    parent_id = day.order().parent_id
    assert leaves_qty(day.child(child).order) == day.state.gate.parents[parent_id].open == 1_000
    assert day.order().paused_by == "bust"


def test_a_bust_of_a_filled_child_asks_its_venue_whether_it_lives():
    """Until the venue says that the child is over, its quantity is not sent elsewhere."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_000, "E1")
    assert not is_open(day.order().order)

    out = day.bust(child, "E1")
    assert AskChildStatus(child_id=child.child_id, venue="XLIT1", symbol="AAPL", side=child.side) in out
    assert day.child(child).is_unknown
    day.operator("resume", day.order().parent_id)
    assert len(day.sent()) == 1
    day.status_of(child, status=OrdStatus.FILLED)
    assert not is_open(day.child(child).order)
    assert day.state.gate.open_children == 0


def test_a_bust_of_a_fill_that_is_not_booked_is_told_a_person():
    """Our books and the venue's differ: nothing changes but an alert is raised."""
    day = Day()
    child = day.resting()

    (alert,) = [c for c in day.bust(child, "never") if isinstance(c, RaiseAlert)]
    assert alert.code == "unknown_bust"
    assert day.order().order.cum_qty == 0


def test_a_bust_is_news_once():
    """Sent again, and even with the fill that it took back sent again, it changes nothing."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")
    day.bust(child, "E1", "B1")

    assert day.bust(child, "E1", "B1") == []
    assert day.fill(child, 300, "E1") == []
    assert day.order().order.cum_qty == 0


def test_another_change_of_a_fill_that_is_no_more_is_told_a_person():
    """The venue goes on from the first ExecID, we from the last one: books may differ now. The same change again is no news."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")
    day.correct(child, "E1", 200, exec_id="K1")
    assert day.correct(child, "E1", 200, exec_id="K1") == []

    for out, code in ((day.correct(child, "E1", 100, exec_id="K2"), "unknown_correction"), (day.bust(child, "E1", "B1"), "unknown_bust")):
        assert [c.code for c in out if isinstance(c, RaiseAlert)] == [code]
        assert _reports(out) == []
    assert day.order().order.cum_qty == 200


def test_a_correction_replaces_the_fill_and_may_itself_be_corrected():
    """CumQty and AvgPx are recomputed; the second correction refers to the first (19)."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")
    first = day.correct(child, "E1", 200, exec_id="K1")
    second = day.correct(child, "K1", 250, px=child.price + 100, exec_id="K2")

    assert _reports(first) == [(ExecType.TRADE_CORRECT, OrdStatus.PARTIALLY_FILLED, 200, 200, 800)]
    assert _reports(second) == [(ExecType.TRADE_CORRECT, OrdStatus.PARTIALLY_FILLED, 250, 250, 750)]
    refs = [c.exec_ref_id for c in first + second if isinstance(c, ReportParent)]
    fill, corrected = (
        r.exec_id for r in day.reports("P1") if r.exec_type in (ExecType.TRADE, ExecType.TRADE_CORRECT) and r.last_qty != 250
    )
    assert refs == [fill, corrected]
    assert day.order().order.money == 250 * (child.price + 100)


def test_a_correction_of_what_is_not_booked_is_told_a_person():
    """And changes nothing."""
    day = Day()
    child = day.resting()

    assert [c.code for c in day.correct(child, "never", 100) if isinstance(c, RaiseAlert)] == ["unknown_correction"]
    assert day.order().order.cum_qty == 0


def test_an_unsolicited_cancel_is_told_a_person_and_the_quantity_may_go_again():
    """E.1.b on the venue's side: the child's rest is the parent's again."""
    day = Day()
    child = day.resting()
    day.fill(child, 100)

    day.canceled(child)
    assert day.alerts() == ["unsolicited_cancel"]
    assert sum(leaves_qty(day.child(c).order) for c in day.sent()) <= 900


def test_a_raised_child_pauses_its_parent():
    """E.1.c: more than was asked for may trade now; no more is sent."""
    day = Day()
    child = day.resting()
    day.replaced(child, 1_500)

    assert day.order().paused_by == "unsolicited_increase"
    assert day.state.gate.parents[day.order().parent_id].open == 1_500


def test_a_reduced_child_frees_its_quantity():
    """E.1.d: the gate counts what may still trade there, no more."""
    day = Day()
    child = day.resting()
    day.replaced(child, 400)

    assert leaves_qty(day.child(child).order) == 400
    others = sum(leaves_qty(day.child(c).order) for c in day.sent()[1:])
    assert day.state.gate.parents[day.order().parent_id].open == 400 + others <= 1_000


def test_a_venue_that_refuses_everything_pauses_the_parent():
    """After five refusals in a row a person decides; the venue does not set our pace."""
    day = Day()
    child = day.resting()
    for _ in range(REFUSALS_MAX):
        day.rejected(child)
        day.wait(2 * SECOND)
        child = day.sent()[-1]

    assert day.order().paused_by == "refusals"
    assert len(day.sent()) == REFUSALS_MAX


def test_a_parent_that_refusals_have_paused_takes_back_what_rests():
    """One child rests at XLIT2 while XLIT1 refuses and refuses: with the pause it is canceled, not left."""
    day = Day()
    child = day.resting(venue="XLIT2")
    day.replaced(child, 400)
    day.down("XLIT2")
    day.up("XLIT2")
    day.status_of(child)
    day.quote(venue="XLIT1", bid="200.00")
    out = []
    while not day.order().paused_by:
        other = day.sent()[-1]
        if other is not child and is_open(day.child(other).order):
            out = day.rejected(other)
        else:
            day.wait(SECOND)
    assert child.child_id in [c.child_id for c in out if isinstance(c, CancelChild)]


def test_an_acceptance_ends_the_row_of_refusals():
    """Four refusals, an acceptance, four refusals: the parent goes on."""
    day = Day()
    day.resting()
    for _ in range(2):
        for _ in range(REFUSALS_MAX - 1):
            day.rejected(day.sent()[-1])
            day.wait(2 * SECOND)
        day.accept(day.sent()[-1])
    assert day.order().paused_by == ""


def test_a_message_that_did_not_leave_is_not_sent_again_at_once():
    """A send that fails frees the quantity for the next turn: sent again in the same step it would only fail again, for ever."""
    day = Day()
    child = day.resting()
    assert day.feed(events.SendFailed(session="XLIT1", msg_type="D", child_id=child.child_id)) == []
    assert not is_open(day.child(child).order)

    day.wait(2 * SECOND)
    assert len(day.sent()) >= 2


def test_a_cancel_that_did_not_leave_is_repeated_when_the_venue_is_back():
    """First the venue says how the child stands, then it is canceled again, under a new id."""
    day = Day()
    child = day.resting()
    day.cancel()
    day.feed(events.SendFailed(session="XLIT1", msg_type="F", child_id=child.child_id))
    day.down("XLIT1")
    day.up("XLIT1")
    out = day.status_of(child)
    assert [c.cancel_id for c in out if isinstance(c, CancelChild)] == [f"{child.child_id}.c2"]


def test_a_venue_that_refuses_every_cancel_does_not_set_our_pace():
    """Refuse, say that it lives, refuse: within a second we cancel and ask a few times, not once per refusal."""
    day = Day()
    child = day.resting()
    day.cancel()
    before = len(day.commands)
    for _ in range(100):
        day.cancel_rejected(child)
        day.status_of(child)
    assert len([c for c in day.commands[before:] if isinstance(c, (CancelChild, AskChildStatus))]) < 10


def test_a_child_whose_venue_does_not_say_how_it_stands_can_still_be_killed():
    """Its cancel was refused, and nobody answers how it stands: after two questions in vain it is canceled again, every five seconds."""
    day = Day()
    child = day.resting()
    day.accept(child)
    day.cancel()
    day.cancel_rejected(child)
    day.operator("kill")
    out = day.wait(21 * SECOND)
    cancels = [c.cancel_id.rpartition(".")[2] for c in out if isinstance(c, CancelChild)]
    assert cancels == ["c2", "c3", "c4", "c5"]
    assert day.child(child).is_unknown
    day.canceled(child)
    assert day.alerts()[-1] == "kill_verified"
    assert day.order().order.status is OrdStatus.CANCELED


def test_a_venue_that_is_down_gets_no_cancel_however_long_it_has_not_answered():
    """What would not leave is not sent; when the venue is back it is asked first."""
    day = Day()
    child = day.resting()
    day.cancel_rejected(child)
    day.wait(11 * SECOND)
    day.down("XLIT1")
    day.cancel()
    assert not [c for c in day.wait(30 * SECOND) if isinstance(c, CancelChild)]
    assert [type(c).__name__ for c in day.up("XLIT1")] == ["EndAlert", "AskChildStatus"]


def test_a_child_that_lives_again_is_asked_for_before_it_is_canceled():
    """Questions that were in vain in its first life do not count in its second."""
    day = Day()
    child = day.resting()
    day.accept(child)
    day.cancel_rejected(child)
    day.wait(6 * SECOND)
    day.fill(child, 1_000, "E1")
    day.wait(6 * SECOND)
    out = day.bust(child, "E1")
    assert [type(c).__name__ for c in out if isinstance(c, AskChildStatus | CancelChild)] == ["AskChildStatus"]


def test_a_venue_that_never_answers_an_immediate_order_gets_its_cancel():
    """It should have ended by itself: an order of the client (59=3) after five seconds, with or without his wish."""
    day = Day()
    day.quote()
    day.parent("P1", 300, time_in_force=TimeInForce.IOC, ord_type=OrdType.LIMIT, price=200 * PX_ONE + 2 * PX_ONE // 100)
    (child,) = day.sent()
    out = day.wait(4 * SECOND) + day.cancel()
    assert not [c for c in out if isinstance(c, CancelChild)]
    out = day.wait(7 * SECOND)
    assert [c.cancel_id for c in out if isinstance(c, CancelChild)] == [f"{child.child_id}.c1", f"{child.child_id}.c2"]
    day.canceled(child)
    assert day.order().order.status is OrdStatus.CANCELED


def test_an_immediate_child_of_a_plan_that_is_never_answered_is_taken_back():
    """Its quantity would be out for ever, and the plan behind by it."""
    day = Day()
    day.quote()
    day.trade(1_000_000)
    day.parent("P1", 300, i_would_price=201 * PX_ONE, max_pct_vol=1_000_000)
    day.trade(1_000_000)
    day.wait(2 * SECOND)
    (child,) = day.sent()
    assert child.time_in_force is TimeInForce.IOC
    day.accept(child)
    day.quote("199.00", "202.00")
    out = day.wait(6 * SECOND)
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]


def test_a_venue_whose_answers_cannot_be_read_does_not_set_our_pace():
    """A garbled answer to a status request asks again, but not at once."""
    day = Day()
    child = day.resting()
    garbled = events.Garbled(session="XLIT1", msg_type="8", code="unreadable_message", text="", reject_reason=0, cl_ord_id=child.child_id)
    asked = [c for _ in range(100) for c in day.feed(garbled) if isinstance(c, AskChildStatus)]
    assert len(asked) == 1
    day.wait(ASK_AGAIN_NS + SECOND)
    assert len([c for c in day.commands if isinstance(c, AskChildStatus)]) == 2


def test_a_report_from_another_venue_is_not_about_our_child():
    """A venue may speak of its own children only."""
    day = Day()
    child = day.resting()
    out = day.feed(events.ChildFilled(session="XLIT2", child_id=child.child_id, exec_id="E1", last_px=1, last_qty=1))
    assert [c.code for c in out if isinstance(c, RaiseAlert)] == ["unknown_child"]
    assert day.order().order.cum_qty == 0


def test_a_fill_that_crosses_the_cancel_of_a_parent_answers_it_too_late():
    """B.1.c: the fill, and then the cancel reject with Filled."""
    day = Day()
    child = day.resting()
    day.cancel()
    out = day.fill(child, 1_000)
    assert _reports(out) == [(ExecType.TRADE, OrdStatus.PENDING_CANCEL, 1_000, 1_000, 0)]
    (reject,) = [c for c in out if isinstance(c, RejectCancel)]
    assert (reject.ord_status, reject.cxl_rej_reason, reject.cl_ord_id) == (OrdStatus.FILLED, 0, "C1")


@pytest.mark.parametrize("seed", range(4))
def test_partial_fills_count_in_sizing(seed: int):
    """However the fills are cut, what is filled and open never exceeds the order."""
    day = Day()
    child = day.resting()
    for part in ((1, 999), (400, 300, 300), (250,) * 4, (100,) * 5)[seed]:
        day.fill(child, part)
        day.wait(SECOND)
        open_qty = sum(leaves_qty(day.child(c).order) for c in day.sent())
        assert day.order().order.cum_qty + open_qty <= 1_000
