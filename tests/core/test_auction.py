"""The closing auction: what is kept for it, when it leaves, and that no quantity is ever in two places."""

import msgspec
import pytest

from algoserver.core.algos import close
from algoserver.core.algos.schedule import Window, expected_share, planned
from algoserver.core.orders import is_open, leaves_qty
from algoserver.domain import events
from algoserver.domain.commands import CancelChild, RejectCancel, ReportMassCancel, ReportParent, SendChild
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import ClientProfile, SessionHours
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, PX_ONE, SECOND, OrdStatus, OrdType, Strategy, TimeInForce, utc
from tests.core.day import AAPL, ALGO, FLAT_26, HOURS, OPEN_TS, POLICY, Day, policy_loaded

CLOSE_TS = utc("20190628-20:00:00")
KEPT_MOST = AAPL.adv * ALGO.closing_ppm // PPM_ONE * ALGO.max_pct_vol // PPM_ONE


def at_the_close(day: Day) -> list[SendChild]:
    return [c for c in day.sent() if c.time_in_force is TimeInForce.AT_CLOSE]


def ordered(qty: int = 10_000, strategy: int = Strategy.CLOSE, **params) -> Day:
    """An order just after the open."""
    day = Day()
    day.quote()
    day.parent("P1", qty, strategy, end_ts=0, **params)
    return day


def later(day: Day, ts: int) -> None:
    """Nothing happens until `ts` but a quote, so that the reference is fresh."""
    day.now = max(day.now, ts - 2 * SECOND)
    day.quote()
    day.wait(ts - day.now)


def test_a_small_close_order_goes_into_the_auction_whole():
    """It leaves a quarter of an hour before the close, with a limit, to the venue that holds the auction; nothing trades before."""
    day = ordered()
    assert ", 10000 of it in the closing auction" in day.reports()[0].text
    later(day, CLOSE_TS - 15 * MINUTE - SECOND)
    assert day.sent() == []
    later(day, CLOSE_TS - 15 * MINUTE + SECOND)
    [child] = day.sent()
    assert (child.venue, child.order_qty, child.ord_type, child.time_in_force) == ("XLIT1", 10_000, OrdType.LIMIT, TimeInForce.AT_CLOSE)
    assert child.price > 200 * PX_ONE
    day.accept(child)
    day.wait(15 * MINUTE)
    assert [c for c in day.commands if isinstance(c, CancelChild)] == []
    day.fill(child, 10_000, px=201 * PX_ONE)
    assert day.reports()[-1].ord_status is OrdStatus.FILLED


@pytest.mark.parametrize("urgency", [1, 3, 5])
def test_what_the_auction_can_not_bear_is_traded_before_as_late_as_the_pace_allows(urgency):
    """MaxPctVol of the expected auction is kept; the rest begins when the volume to come is just enough, the more urgent the later."""
    day = ordered(KEPT_MOST + 100_000, urgency=urgency)
    work = day.state.works[day.order().parent_id]
    assert work.auction_qty == KEPT_MOST
    begins = close.begins_ts(work.schedule)
    to_come = expected_share(Window(begins, CLOSE_TS, FLAT_26, HOURS)) * AAPL.adv // PPM_ONE
    assert to_come * close.pace(ALGO.max_pct_vol, urgency) // PPM_ONE == pytest.approx(100_000, rel=0.01)
    assert (planned(work.schedule, begins), planned(work.schedule, CLOSE_TS)) == (0, 100_000)


def test_a_close_order_too_large_for_its_pace_begins_at_once():
    """It does not wait for a moment that is over."""
    window = Window(OPEN_TS, CLOSE_TS, FLAT_26, HOURS, needed_ppm=2 * PPM_ONE)
    assert close.plan(1_000, window).moments[0] == OPEN_TS


@pytest.mark.parametrize(
    ("strategy", "params", "kept"),
    [
        (Strategy.VWAP, {}, 10_000 * 80_000 // 1_080_000 // 100 * 100),  # all of the day's volume is to come, and the auction
        (Strategy.TWAP, {}, 700),
        (Strategy.POV, {"target_pct_vol": 100}, AAPL.adv * 80_000 // PPM_ONE * 100 // PPM_ONE // 100 * 100),
        (Strategy.VWAP, {"max_pct_vol": 10}, AAPL.adv * 80_000 // PPM_ONE * 10 // PPM_ONE // 100 * 100),  # the cap binds
    ],
)
def test_the_schedules_keep_the_auctions_part_of_the_volume(strategy, params, kept):
    """POV its target of it; never more than MaxPctVol of what is expected."""
    day = ordered(10_000, strategy, close_auction=True, **params)
    assert day.state.works[day.order().parent_id].auction_qty == kept


@pytest.mark.parametrize(("wish", "least", "most", "auction"), [("201", 10_000, 10_000, []), ("199", 1_000, 9_300, [700])])
def test_the_book_and_the_auction_never_hold_more_than_is_left(wish, least, most, auction):
    """A wish that comes true early leaves nothing to the auction; without one the schedule trades no more than what is not kept."""
    day = ordered(10_000, Strategy.TWAP, close_auction=True, max_pct_vol=PPM_ONE, i_would_price=int(wish) * PX_ONE)
    for minute in range(1, 400, 10):
        later(day, OPEN_TS + minute * MINUTE)
        day.trade(500_000)
        day.wait(2 * SECOND)
        for child in day.sent():
            if is_open(day.child(child).order) and child.time_in_force is not TimeInForce.AT_CLOSE and day.now < CLOSE_TS:
                day.fill(child, leaves_qty(day.child(child).order))
        open_qty = sum(leaves_qty(day.child(c).order) for c in day.sent())
        assert day.order().order.cum_qty + open_qty <= 10_000
    assert least <= day.order().order.cum_qty <= most
    assert [c.order_qty for c in at_the_close(day)] == auction


def test_an_order_at_the_close_can_be_taken_back_until_it_is_answered():
    """A client's cancel, a pause and a kill take it back; the end of the window does not."""
    day = ordered()
    later(day, CLOSE_TS - MINUTE)
    [child] = day.sent()
    day.cancel()
    assert [c.child_id for c in day.commands if isinstance(c, CancelChild)] == [child.child_id]


def test_a_venue_that_does_not_tell_how_the_auction_ended_is_asked():
    """A minute after the close the order is taken back like any other: no child outlives its parent."""
    day = ordered()
    later(day, CLOSE_TS - MINUTE)
    [child] = day.sent()
    later(day, CLOSE_TS + MINUTE - SECOND)
    assert [c for c in day.commands if isinstance(c, CancelChild)] == []
    day.wait(3 * SECOND)
    assert [c.child_id for c in day.commands if isinstance(c, CancelChild)] == [child.child_id]
    day.canceled(child, OrdStatus.EXPIRED)
    assert day.reports()[-1].ord_status is OrdStatus.CANCELED


def test_an_amend_takes_the_auctions_order_back_and_plans_it_anew():
    """Replaced comes when it is out of the way; the new one has the new size."""
    day = ordered()
    later(day, CLOSE_TS - 5 * MINUTE)
    [child] = day.sent()
    day.feed(events.ReplaceRequested(
        session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", symbol="AAPL", side=child.side, order_qty=4_000, ord_type=OrdType.MARKET,
    ))  # fmt: skip
    assert [c.child_id for c in day.commands if isinstance(c, CancelChild)] == [child.child_id]
    day.canceled(child)
    day.wait(2 * SECOND)
    assert [c.order_qty for c in at_the_close(day)] == [10_000, 4_000]


def test_a_limit_holds_in_the_auction_too():
    """The parent's limit where it is the stricter, else the collar's."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, Strategy.CLOSE, end_ts=0, price=20_001 * PX_ONE // 100, ord_type=OrdType.LIMIT)
    later(day, CLOSE_TS - MINUTE)
    [child] = day.sent()
    assert child.price == 20_001 * PX_ONE // 100


def always_open() -> events.PolicyLoaded:
    return policy_loaded(hours=SessionHours(0, DAY))


@pytest.mark.parametrize(
    ("setup", "params", "code"),
    [
        (always_open(), {"strategy": Strategy.CLOSE}, "no_auction"),
        (policy_loaded(algo=msgspec.structs.replace(ALGO, closing_ppm=0)), {"strategy": Strategy.CLOSE}, "no_auction"),
        (policy_loaded(), {"strategy": Strategy.VWAP, "close_auction": True, "end_ts": CLOSE_TS - MINUTE}, "contradictory_parameter"),
        (policy_loaded(), {"strategy": Strategy.CLOSE, "close_auction": True}, "contradictory_parameter"),  # it always does
    ],
)
def test_an_auction_that_can_not_be_had_is_refused(setup, params, code):
    """With what to change."""
    day = Day(setup)
    day.quote()
    day.parent("P1", 1_000, **{"end_ts": 0, **params})
    report = day.reports()[-1]
    assert isinstance(report, ReportParent)
    assert (report.ord_status, report.text.partition(":")[0]) == (OrdStatus.REJECTED, code)


# ---- what venues, symbols and desks do to an order for the auction


def test_a_venue_that_cancels_each_order_for_the_auction_pauses_the_parent():
    """It is not sent again in the same moment, and after some refusals a person decides."""
    day = ordered()
    later(day, CLOSE_TS - 14 * MINUTE)
    day.wait(SECOND // 3)  # between two turns that time gives
    for _ in range(20):
        sent = at_the_close(day)
        if not is_open(day.child(sent[-1]).order):
            break
        day.accept(sent[-1])
        assert not [c for c in day.canceled(sent[-1]) if isinstance(c, SendChild)]
        day.wait(2 * SECOND)
    assert len(at_the_close(day)) <= 5
    assert day.order().paused_by


def test_what_the_message_rate_held_up_leaves_later():
    """Several children, more than the venue may be sent at once: the rest follows, and the whole is never exceeded."""
    policy = msgspec.structs.replace(POLICY, child_qty_max=3_000, venue_messages_per_second_max=2)
    day = Day(policy_loaded(policy=policy))
    day.quote()
    day.parent("P1", 10_000, Strategy.CLOSE, end_ts=0)
    later(day, CLOSE_TS - 15 * MINUTE + SECOND)
    for _ in range(5):
        day.wait(2 * SECOND)
        day.quote()
    assert sorted(c.order_qty for c in at_the_close(day)) == [1_000, 3_000, 3_000, 3_000]


def test_what_a_call_shows_to_nobody_is_not_cut_by_display_qty():
    """DisplayQty is for books."""
    day = ordered(20_000, Strategy.TWAP, close_auction=True, display_qty=100)
    later(day, CLOSE_TS - 10 * MINUTE)
    assert [c.order_qty for c in at_the_close(day)] == [1_400]


def test_an_amend_may_not_ask_for_an_auction_that_a_new_order_may_not():
    """CloseAuction=Y on an order that ends before the close is refused, alone or with an end."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, Strategy.TWAP, minutes=60)
    out = day.feed(events.ReplaceRequested(
        session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", symbol="AAPL", side=day.order().side, ord_type=OrdType.MARKET,
        params=AlgoParams(close_auction=True), given=("close_auction",),
    ))  # fmt: skip
    [refused] = [c for c in out if isinstance(c, RejectCancel)]
    assert refused.text.startswith("contradictory_parameter")


def test_a_client_whose_venues_hold_no_auction_is_told_so():
    """Accepted, it would wait for nothing all day."""
    day = Day(policy_loaded(profiles=(ClientProfile("CLIENT1", venues=("XLIT2",)),)))
    day.quote()
    day.parent("P1", 10_000, Strategy.CLOSE, end_ts=0)
    assert day.reports()[-1].text.startswith("no_auction")


@pytest.mark.parametrize("strategy", [Strategy.VWAP, Strategy.IS, Strategy.CLOSE])
def test_a_bust_of_a_symbol_that_is_gone_is_booked(strategy):
    """The order is open again, paused, and plans nothing that needs the instrument."""
    day = Day()
    day.quote()
    day.parent("P1", 100, strategy, end_ts=0, time_in_force=TimeInForce.IOC)
    [child] = day.sent()
    day.fill(child, 100, exec_id="E1")
    day.feed(policy_loaded(instruments=()))
    day.bust(child, "E1")
    assert (day.order().order.cum_qty, day.order().paused_by) == (0, "bust")


def test_a_replace_of_a_symbol_that_is_gone_is_given_up():
    """Its child's end must not plan it anew."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, Strategy.VWAP, minutes=30, max_pct_vol=PPM_ONE)
    day.trade(200_000)
    day.wait(5 * SECOND)
    child = day.sent()[-1]
    day.feed(events.ReplaceRequested(
        session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", symbol="AAPL", side=child.side, ord_type=OrdType.LIMIT, price=195 * PX_ONE,
    ))  # fmt: skip
    day.feed(policy_loaded(instruments=()))
    day.canceled(child)
    assert [c.text.partition(":")[0] for c in day.commands if isinstance(c, RejectCancel)] == ["symbol_removed"]


# ---- the minute in which the auction's answer is awaited


def answered_late() -> tuple[Day, SendChild]:
    """A CLOSE order half a minute after the close: its child is still out, and nobody has taken it back."""
    day = ordered()
    later(day, CLOSE_TS - MINUTE)
    [child] = day.sent()
    day.accept(child)
    later(day, CLOSE_TS + MINUTE // 2)
    assert [c for c in day.commands if isinstance(c, CancelChild)] == []
    return day, child


def test_a_mass_cancel_after_the_close_reaches_what_waits_for_the_auctions_answer():
    """It is listed, taken back, and Canceled when the child is over, with what the auction did; a second one lists it no more."""
    day, child = answered_late()
    report, *rest = day.feed(events.MassCancelRequested(session="CLIENT1", cl_ord_id="M1", request_type="7"))
    assert isinstance(report, ReportMassCancel)
    assert [a[0] for a in report.affected] == ["P1"]
    assert [c.child_id for c in rest if isinstance(c, CancelChild)] == [child.child_id]
    again, *_ = day.feed(events.MassCancelRequested(session="CLIENT1", cl_ord_id="M2", request_type="7"))
    assert isinstance(again, ReportMassCancel)
    assert again.affected == ()
    day.fill(child, 4_000)
    day.canceled(child)
    end = day.reports()[-1]
    assert (end.ord_status, end.cum_qty, end.text) == (OrdStatus.CANCELED, 4_000, "canceled by mass cancel M1")


def test_an_operators_cancel_after_the_close_reaches_what_waits_for_the_auctions_answer():
    """As before the close."""
    day, child = answered_late()
    out = day.operator("cancel", day.order().parent_id)
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]
    day.canceled(child)
    assert (day.reports()[-1].ord_status, day.reports()[-1].exec_restatement_reason) == (OrdStatus.CANCELED, 4)
