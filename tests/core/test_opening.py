"""The opening auction: what is kept for it, when it leaves, what may take it back, and that what it leaves is traded later."""

from typing import Any

import msgspec
import pytest

from algoserver.core.algos.schedule import planned
from algoserver.core.orders import is_open, leaves_qty
from algoserver.core.state import dump, load
from algoserver.domain import events
from algoserver.domain.commands import AskChildStatus, CancelChild, RejectCancel, ReportParent, SendChild
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import ClientProfile, InstrumentSetup, SessionHours, Venue
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, PX_ONE, SECOND, OnHalt, OrdStatus, OrdType, Side, Strategy, TimeInForce, utc
from tests.core.day import AAPL, ALGO, HOURS, OPEN_TS, POLICY, Day, policy_loaded

CLOSE_TS = utc("20190628-20:00:00")
EXPECTED = AAPL.adv * ALGO.opening_ppm // PPM_ONE
PART = 900  # of 100,000, in lots: the opening's part of the opening and all of the day's volume behind it, 1 of 101


def waiting(qty: int = 100_000, strategy: int = Strategy.VWAP, minutes: int = 10, setup: events.PolicyLoaded | None = None, **more: Any) -> Day:
    """An order that comes some minutes before the open, when no quote has come yet."""
    day = Day(setup, now=OPEN_TS - minutes * MINUTE)
    day.parent("P1", qty, strategy, **{"end_ts": 0, "open_auction": True, **more})
    return day


def at_the_open(day: Day) -> list[SendChild]:
    return [c for c in day.sent() if c.time_in_force is TimeInForce.AT_OPEN]


def cancels(day: Day) -> list[str]:
    return [c.child_id for c in day.commands if isinstance(c, CancelChild)]


def opens(day: Day, *children: SendChild, filled: int = 0) -> None:
    """The call is held: it fills so much of each child, prints, and the rest is over."""
    day.wait(OPEN_TS - day.now)
    day.quote()
    for child in children:
        if filled:
            day.fill(child, filled, px=200 * PX_ONE)
        if leaves_qty(day.child(child).order):
            day.canceled(child, OrdStatus.EXPIRED)
    day.trade(EXPECTED)


def amend(day: Day, **wanted: Any) -> list[Any]:
    event = {"symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.MARKET, **wanted}
    return day.feed(events.ReplaceRequested(session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", **event))


# ---- what leaves, and when


def test_a_part_of_it_leaves_before_the_open_with_a_limit_around_the_previous_close():
    """No quote has come: the previous close and the collar bound it; nothing else leaves."""
    day = waiting(minutes=60)
    assert ", 900 of it in the opening auction, " in day.reports()[0].text
    assert day.order().arrival_px == AAPL.previous_close
    day.wait(45 * MINUTE - 2 * SECOND)
    assert day.sent() == []
    day.wait(4 * SECOND)
    [child] = day.sent()
    bound = AAPL.previous_close * 105 // 100
    assert (child.venue, child.order_qty, child.ord_type, child.time_in_force) == ("XLIT1", 900, OrdType.LIMIT, TimeInForce.AT_OPEN)
    assert child.price == bound - bound % AAPL.tick
    day.accept(child)
    day.wait(15 * MINUTE - 5 * SECOND)
    assert (day.sent(), cancels(day)) == ([child], [])


def test_the_limit_of_the_order_holds_where_it_is_the_stricter():
    """And a fresh quote before the open is a better reference than yesterday's close."""
    assert waiting(price=198 * PX_ONE, ord_type=OrdType.LIMIT).sent()[0].price == 198 * PX_ONE
    day = Day(now=OPEN_TS - 10 * MINUTE)
    day.quote("210.00", "210.02")
    day.parent("P1", 100_000, Strategy.VWAP, end_ts=0, open_auction=True)
    assert day.sent()[0].price == 22051 * PX_ONE // 100


@pytest.mark.parametrize(
    ("strategy", "params", "kept"),
    [
        (Strategy.VWAP, {}, PART),
        (Strategy.TWAP, {}, PART),
        (Strategy.IS, {}, PART),
        (Strategy.POV, {"target_pct_vol": 10_000}, EXPECTED // 100),
        (Strategy.POV, {"target_pct_vol": 900_000}, EXPECTED // 4),  # the cap binds
        (Strategy.POV, {"target_pct_vol": 900_000, "max_pct_vol": PPM_ONE}, 100_000),  # there is no more
        (Strategy.VWAP, {"max_pct_vol": 2_000}, 600),
        (Strategy.VWAP, {"max_pct_vol": 10}, 0),  # less than a lot
    ],
)
def test_the_schedules_keep_the_openings_part_of_the_volume(strategy, params, kept):
    """POV its target of it; never more than MaxPctVol of what is expected."""
    day = waiting(100_000, strategy, **params)
    assert day.state.works[day.order().parent_id].opening_qty == kept
    assert sum(c.order_qty for c in at_the_open(day)) == kept


def test_both_auctions_share_with_the_day_between():
    """Each has its part of the volume that is to come; the schedule has the rest, and the plan says so."""
    day = waiting(100_000, Strategy.VWAP, close_auction=True)
    work = day.state.works[day.order().parent_id]
    assert (work.opening_qty, work.auction_qty) == (900, 7_300)  # 1 and 8 of 109 parts, in lots
    assert planned(work.schedule, CLOSE_TS) == 100_000 - 900 - 7_300
    assert ", 900 of it in the opening auction, 7300 of it in the closing auction, " in day.reports()[0].text


def test_a_large_part_leaves_as_several_children_even_where_the_message_rate_holds_some_up():
    """child_qty_max bounds each, and the whole is never exceeded."""
    policy = msgspec.structs.replace(POLICY, child_qty_max=300, venue_messages_per_second_max=2)
    day = waiting(setup=policy_loaded(policy=policy))
    day.wait(10 * SECOND)
    assert [c.order_qty for c in at_the_open(day)] == [300, 300, 300]


# ---- what the auction left is the plan's again


@pytest.mark.parametrize("filled", [0, 400, 900])
@pytest.mark.parametrize("close_auction", [False, True])
def test_what_did_not_trade_in_the_call_returns_to_the_plan(filled, close_auction):
    """All, some or nothing of it: the schedule is for what is left, from the open on."""
    day = waiting(close_auction=close_auction)
    [child] = day.sent()
    opens(day, child, filled=filled)
    day.wait(2 * SECOND)
    order, work = day.order(), day.state.works[day.order().parent_id]
    assert (order.order.cum_qty, work.opening_qty) == (filled, 0)
    assert planned(work.schedule, CLOSE_TS) == 100_000 - work.auction_qty
    assert (work.auction_qty > 0) == close_auction
    assert work.schedule.totals[0] == filled
    assert at_the_open(day) == [child]


def test_the_openings_volume_counts_as_what_was_done_there_does():
    """For POV's target and for the cap: no volume is counted whose trades are not, and the other way round."""
    day = waiting(10_000, Strategy.POV, target_pct_vol=10_000)
    [child] = day.sent()
    opens(day, child, filled=1_000)
    work = day.state.works[day.order().parent_id]
    day.wait(30 * SECOND)
    assert (work.base_qty, day.state.markets["AAPL"].volume.total - work.base_volume) == (0, EXPECTED)
    due = EXPECTED * 10_000 // PPM_ONE
    open_qty = sum(leaves_qty(day.child(c).order) for c in day.sent())
    assert day.order().order.cum_qty + open_qty == due - due % 100


def test_a_venue_that_does_not_tell_how_the_opening_ended_is_asked():
    """For a minute it is waited for, while the plan goes on with the rest; then it is taken back, and the plan has all."""
    day = waiting(order_qty := 100_000, Strategy.TWAP)
    [child] = day.sent()
    opens(day)
    day.wait(58 * SECOND)
    assert child.child_id not in cancels(day)
    day.quote()
    day.wait(5 * SECOND)
    assert cancels(day).count(child.child_id) >= 1
    day.canceled(child)
    day.wait(SECOND)
    assert planned(day.state.works[day.order().parent_id].schedule, CLOSE_TS) == order_qty


def test_no_quantity_is_in_two_places_all_day():
    """The opening's children, the book's and what is done are never more than the order, however late the auction answers."""
    day = waiting(10_000, Strategy.POV, target_pct_vol=500_000, max_pct_vol=PPM_ONE)
    waits = at_the_open(day)
    opens(day)
    for _ in range(30):
        day.quote()
        day.trade(50_000)
        day.wait(3 * SECOND)
        for child in day.sent():
            if is_open(day.child(child).order) and child not in waits:
                day.fill(child, leaves_qty(day.child(child).order))
        assert day.order().order.cum_qty + sum(leaves_qty(day.child(c).order) for c in day.sent()) <= 10_000


# ---- what venues do to it


def test_a_venue_that_refuses_an_order_at_the_open_is_not_asked_again():
    """One alert, no pause: the plan has it at the open."""
    day = waiting(setup=policy_loaded(policy=msgspec.structs.replace(POLICY, child_qty_max=100)))
    children = at_the_open(day)
    assert len(children) == 9
    for child in children:
        day.rejected(child, "too late for the open")
    day.wait(9 * MINUTE)
    assert (at_the_open(day), day.order().paused_by, day.alerts().count("auction_missed")) == (children, "", 1)
    opens(day)
    day.wait(SECOND)
    assert planned(day.state.works[day.order().parent_id].schedule, CLOSE_TS) == 100_000


def test_a_venue_that_cancels_an_order_at_the_open_is_not_asked_again():
    """As if it had refused it."""
    day = waiting()
    [child] = day.sent()
    day.accept(child)
    day.canceled(child)
    day.wait(2 * MINUTE)
    assert (day.sent(), day.order().paused_by) == ([child], "")
    assert {"auction_missed", "unsolicited_cancel"} <= set(day.alerts())


def test_a_venue_whose_clock_is_ahead_is_believed():
    """A fill a moment before our open is the auction's: that quantity does not leave again."""
    day = waiting()
    [child] = day.sent()
    day.wait(10 * MINUTE - SECOND // 100 - (day.now - (OPEN_TS - 10 * MINUTE)))
    day.fill(child, 900, px=200 * PX_ONE)
    opens(day)
    assert (at_the_open(day), day.order().order.cum_qty) == ([child], 900)


def test_a_venue_that_is_away_gets_it_when_it_is_back():
    """Up to the open."""
    day = Day(now=OPEN_TS - 10 * MINUTE)
    day.down("XLIT1")
    day.parent("P1", 100_000, Strategy.VWAP, end_ts=0, open_auction=True)
    day.wait(MINUTE)
    assert day.sent() == []
    day.up("XLIT1")
    day.wait(2 * SECOND)
    assert [c.order_qty for c in at_the_open(day)] == [900]


# ---- what takes it back before the open


def test_a_client_cancels_it():
    """The child is taken back, then the order is Canceled; nothing leaves any more."""
    day = waiting()
    [child] = day.sent()
    day.cancel()
    assert cancels(day) == [child.child_id]
    day.canceled(child)
    assert day.reports()[-1].ord_status is OrdStatus.CANCELED
    opens(day)
    assert day.sent() == [child]


@pytest.mark.parametrize(("stop", "go"), [(("pause", "P"), ("resume", "P")), (("kill", "firm"), ("release", "firm"))])
def test_a_pause_and_a_kill_take_it_back_and_its_end_sends_it_anew(stop, go):
    """While there is time."""
    day = waiting()
    [child] = day.sent()
    day.operator(stop[0], day.order().parent_id if stop[1] == "P" else "firm")
    assert cancels(day) == [child.child_id]
    day.canceled(child)
    day.wait(MINUTE)
    assert day.sent() == [child]
    day.operator(go[0], day.order().parent_id if go[1] == "P" else "firm")
    assert [c.order_qty for c in at_the_open(day)] == [900, 900]


def test_a_cancel_that_is_not_answered_is_sent_again_before_the_open():
    """An order that waits for its start has nothing to look after, one at the open has."""
    day = waiting()
    day.operator("pause", day.order().parent_id)
    day.wait(20 * SECOND)
    assert len(cancels(day)) > 1


@pytest.mark.parametrize(("wanted", "kept"), [({"order_qty": 200_000}, [900, 1_900]), ({"params": AlgoParams(), "given": ("open_auction",)}, [900])])
def test_an_amend_takes_it_back_and_plans_it_anew(wanted, kept):
    """Replaced comes when it is out of the way; OpenAuction=N sends none."""
    day = waiting()
    [child] = day.sent()
    amend(day, **wanted)
    assert cancels(day) == [child.child_id]
    day.canceled(child)
    day.wait(2 * SECOND)
    assert [c.order_qty for c in at_the_open(day)] == kept
    assert day.reports()[-1].exec_type == "5"


def test_a_halt_takes_it_back_and_its_end_sends_it_anew():
    """A halt that lasts beyond the open leaves it to the plan; with 18=J the order stays, with 18=K it is over."""
    day = waiting()
    [child] = day.sent()
    day.halt()
    assert cancels(day) == [child.child_id]
    day.canceled(child)
    day.halt(is_halted=False)
    day.wait(2 * SECOND)
    [_, again] = at_the_open(day)
    day.halt()
    day.canceled(again)
    opens(day)
    day.wait(MINUTE)
    day.halt(is_halted=False)
    day.quote()
    day.wait(2 * SECOND)
    work = day.state.works[day.order().parent_id]
    assert (len(at_the_open(day)), work.opening_qty, planned(work.schedule, CLOSE_TS)) == (2, 0, 100_000)
    stays = waiting(on_halt=OnHalt.REINSTATE)
    stays.halt()
    assert cancels(stays) == []
    over = waiting(on_halt=OnHalt.CANCEL)
    over.halt()
    over.canceled(over.sent()[0])
    assert over.reports()[-1].ord_status is OrdStatus.CANCELED


def test_a_restart_before_the_open_sends_nothing_twice():
    """The state that was saved asks the venue; its answer is enough, and what is unknown there leaves anew."""
    day = waiting()
    [child] = day.sent()
    day.accept(child)
    day.state = load(dump(day.state))
    day.down("XLIT1", is_restart=True)
    day.wait(MINUTE)
    day.up("XLIT1")
    assert [c.child_id for c in day.commands if isinstance(c, AskChildStatus)] == [child.child_id]
    day.status_of(child)
    day.wait(MINUTE)
    assert day.sent() == [child]
    day.down("XLIT1", is_restart=True)
    day.up("XLIT1")
    day.status_of(child, is_known=False)
    day.wait(2 * SECOND)
    assert [c.order_qty for c in at_the_open(day)] == [900, 900]


# ---- what is refused

ALWAYS_OPEN = policy_loaded(hours=SessionHours(0, DAY))
NO_SHARE = policy_loaded(algo=msgspec.structs.replace(ALGO, opening_ppm=0))
NO_VENUE = policy_loaded(venues=(Venue("XLIT1"), Venue("XLIT2")))
NOT_AGREED = policy_loaded(profiles=(ClientProfile("CLIENT1", venues=("XLIT2",)),))
LATER = {"start_ts": OPEN_TS + MINUTE}


@pytest.mark.parametrize(
    ("setup", "minutes", "params", "code", "text"),
    [
        (ALWAYS_OPEN, 10, {}, "no_auction", "this market never closes; leave it out"),
        (NO_SHARE, 10, {}, "no_auction", "no venue that is open to you holds one"),
        (NO_VENUE, 10, {}, "no_auction", "no venue that is open to you holds one"),
        (NOT_AGREED, 10, {}, "no_auction", "no venue that is open to you holds one"),
        (None, 10, LATER, "contradictory_parameter", "needs the start at the open, 13:30:00 UTC; leave StartTime (168) out"),
        (None, 0, {}, "auction_over", "that was at 13:30:00 UTC; leave it out"),
        (None, -60, {}, "auction_over", "that was at 13:30:00 UTC; leave it out"),
        (None, 10, {"time_in_force": TimeInForce.IOC}, "contradictory_parameter", "needs TimeInForce (59) 0"),
        (None, 10, {"strategy": Strategy.CLOSE}, "contradictory_parameter", "is not for CLOSE; leave it out"),
        (None, 10, {"strategy": Strategy.LIQUIDITY}, "contradictory_parameter", "is not for LIQUIDITY; leave it out"),
    ],
)
def test_an_opening_that_can_not_be_had_is_refused(setup, minutes, params, code, text):
    """With what to change."""
    day = Day(setup, now=OPEN_TS - minutes * MINUTE)
    day.quote()
    day.parent("P1", 10_000, **{"strategy": Strategy.VWAP, "end_ts": 0, "open_auction": True, **params})
    report = day.reports()[-1]
    assert isinstance(report, ReportParent)
    assert (report.ord_status, report.text.partition(":")[0], text in report.text) == (OrdStatus.REJECTED, code, True), report.text


def test_an_amend_may_not_ask_for_an_opening_that_is_over_and_one_that_had_it_may_change():
    """Asking for it late is refused; what it was is no reason to refuse a new quantity, end or limit, sent with the parameter or without."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, end_ts=0)
    [refused] = [c for c in amend(day, params=AlgoParams(open_auction=True), given=("open_auction",)) if isinstance(c, RejectCancel)]
    assert refused.text.startswith("auction_over: ")
    for given in (("end_ts",), ("end_ts", "open_auction")):
        day = waiting(close_auction=False)
        opens(day, day.sent()[0])
        out = amend(day, params=AlgoParams(end_ts=CLOSE_TS - MINUTE, open_auction=True), given=given, order_qty=90_000)
        assert not [c.text for c in out if isinstance(c, RejectCancel)]
        assert not [c for c in day.sent()[1:] if c.time_in_force is TimeInForce.AT_OPEN]


# ---- the reference before the open


@pytest.mark.parametrize(
    ("minutes", "previous_close", "quoted", "status"),
    [
        (10, 199 * PX_ONE, False, OrdStatus.NEW),
        (10, 0, False, OrdStatus.REJECTED),  # nobody has said it
        (0, 199 * PX_ONE, False, OrdStatus.REJECTED),  # the day has begun: only quotes count
        (-600, 199 * PX_ONE, False, OrdStatus.REJECTED),
        (10, 0, True, OrdStatus.NEW),
    ],
)
def test_the_previous_close_is_a_reference_before_the_open_alone(minutes, previous_close, quoted, status):
    """For any parent at the door; what is worth too much or beyond the collar of it is refused as ever."""
    instrument = msgspec.structs.replace(AAPL, previous_close=previous_close)
    day = Day(policy_loaded(instruments=(InstrumentSetup(instrument),)), now=OPEN_TS - minutes * MINUTE)
    if quoted:
        day.quote()
    day.parent("P1", 1_000, end_ts=0)
    assert day.reports()[-1].ord_status is status


def test_the_previous_close_bounds_value_and_price():
    """At the collar's edge it passes, a tick beyond it does not."""
    codes = []
    for price in (20895, 20896):
        day = Day(now=OPEN_TS - 10 * MINUTE)
        day.parent("P1", 1_000, end_ts=0, price=price * PX_ONE // 100, ord_type=OrdType.LIMIT)
        codes.append(day.reports()[-1].text.partition(":")[0])
    assert codes == ["TWAP", "price_collar"]


def test_without_a_reference_nothing_but_an_order_at_the_open_leaves():
    """Past the open the market must speak first: the plan waits for its quotes."""
    day = waiting(10_000, Strategy.TWAP, max_pct_vol=PPM_ONE)
    day.wait(10 * MINUTE + 5 * MINUTE)
    assert {c.time_in_force for c in day.sent()} <= {TimeInForce.AT_OPEN}
    assert HOURS.open_ns == OPEN_TS % DAY
