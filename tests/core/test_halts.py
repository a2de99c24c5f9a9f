"""Trading halts: what waits, what is taken back, what ends, and how the plan goes on."""

import pytest

from algoserver.core.risk import EXCHANGE_CLOSED
from algoserver.core.state import dump, load
from algoserver.domain import events
from algoserver.domain.commands import CancelChild, ReportParent, SendChild
from algoserver.domain.policy import ClientProfile, Venue
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, ExecType, OnHalt, OrdStatus, OrdType, Side, Strategy, TimeInForce
from tests.core.day import Day, policy_loaded


def test_a_halt_takes_everything_back_and_an_order_without_wishes_goes_on_after_it():
    """No child rests and none leaves until the venue says that the halt is over; the client's order stays New."""
    day = Day()
    child = day.resting()
    assert [type(c) for c in day.halt()].count(CancelChild) == 1
    day.canceled(child)
    for _ in range(10):
        day.quote()
        day.trade(50_000)
        day.wait(30 * SECOND)
    assert day.sent() == [child]
    assert day.order().order.status is OrdStatus.NEW
    day.halt(is_halted=False)
    assert [c.order_qty for c in day.sent()] == [1_000, 1_000]
    assert day.alerts() == ["halted", "halted", "halt_lifted", "halt_lifted"]


def test_what_a_venue_says_twice_is_news_once():
    """Both of its sessions may tell it, and it tells it again when it is asked."""
    day = Day()
    day.halt("XLIT1")
    assert day.halt("XLIT1") == []
    day.halt("XLIT1", is_halted=False)
    assert day.halt("XLIT1", is_halted=False) == []


def test_reinstate_leaves_the_children_in_their_queues():
    """18=J: nothing is canceled; what the venue itself ends goes out anew after the halt and not before."""
    day = Day()
    child = day.resting(on_halt=OnHalt.REINSTATE)
    assert [c for c in day.halt() if isinstance(c, CancelChild)] == []
    day.canceled(child)
    day.wait(5 * SECOND)
    assert day.sent() == [child]
    day.quote()
    day.trade(50_000)
    assert [c.order_qty for c in day.halt(is_halted=False) if isinstance(c, SendChild)] == [1_000]


@pytest.mark.parametrize("minutes_to_start", [0, 5])
def test_cancel_on_halt_ends_the_order_and_says_why(minutes_to_start):
    """18=K: Canceled when no child is open, with 378=6; an order that has not begun is canceled too."""
    day = Day()
    day.quote()
    day.parent("P1", 30_000, on_halt=OnHalt.CANCEL, start_ts=day.now + minutes_to_start * MINUTE, minutes=30)
    day.trade(100_000)
    day.wait(2 * SECOND)
    children = day.sent()
    assert bool(children) == (not minutes_to_start)
    day.halt()
    for child in children:
        day.canceled(child)
    report = day.reports("P1")[-1]
    assert (report.exec_type, report.exec_restatement_reason) == (ExecType.CANCELED, 6)
    assert report.text == "trading in AAPL is halted (18=K)"


def test_where_one_venue_halts_and_another_trades_the_order_goes_on_there():
    """Even 18=K: the symbol is not halted. What rests at the halted venue is taken back, as nothing will trade it there."""
    day = Day()
    child = day.resting(on_halt=OnHalt.CANCEL)
    day.quote()
    assert [c.child_id for c in day.halt("XLIT1") if isinstance(c, CancelChild)] == [child.child_id]
    day.canceled(child)
    assert [c.venue for c in day.sent()] == ["XLIT1", "XLIT2"]
    day.down("XLIT2")
    day.wait(SECOND)
    assert day.order().ended_as is OrdStatus.CANCELED  # no venue that is up trades it


def test_a_venue_that_halts_everything_halts_each_symbol():
    """h instead of f; it is lifted as a whole."""
    day = Day()
    child = day.resting()
    assert [type(c) for c in day.halt(symbol="")].count(CancelChild) == 1
    day.canceled(child)
    day.halt(is_halted=False)
    assert day.sent() == [child]  # AAPL alone was never what was halted
    day.halt(symbol="", is_halted=False)
    assert len(day.sent()) == 2


def _twap_halted(day: Day, minutes: int, **more) -> int:
    """1000 over ten minutes, halted after the second for so long; done at the halt."""
    day.quote()
    day.parent("P1", 1_000, minutes=10, max_pct_vol=1_000_000, **more)
    _play(day, 2 * MINUTE)
    done = day.order().order.cum_qty
    day.halt()
    for child in day.sent():
        if day.child(child).order.status in (OrdStatus.NEW, OrdStatus.PENDING_NEW):
            day.canceled(child)
    day.wait(minutes * MINUTE)
    assert day.order().order.cum_qty == done
    day.halt(is_halted=False)
    return done


def _play(day: Day, ns: int) -> None:
    """A market that fills each child a second after it came."""
    for _ in range(ns // SECOND):
        day.quote()
        day.trade(5_000)
        for child in day.sent():
            if day.child(child).order.status in (OrdStatus.NEW, OrdStatus.PENDING_NEW):
                day.fill(child, child.order_qty)
        day.wait(SECOND)


@pytest.mark.parametrize("strategy", [Strategy.TWAP, Strategy.VWAP, Strategy.IS])
def test_the_pause_is_no_time_of_the_plan(strategy):
    """Two minutes done, four halted: what is left is planned over the four that are left, none of it is late at once."""
    day = Day()
    done = _twap_halted(day, 4, strategy=strategy)
    assert done < 400
    work = day.state.works[day.order().parent_id]
    assert (work.schedule.totals[0], work.schedule.totals[-1]) == (done, 1_000)
    assert day.now - work.schedule.moments[0] < SECOND
    assert work.schedule.moments[-1] == day.order().end_ts
    _play(day, SECOND)
    assert day.order().order.cum_qty - done <= 200  # of 600 to 800 in four minutes, one slice at most
    _play(day, 4 * MINUTE)
    assert day.order().order.cum_qty == 1_000


def test_what_catch_up_n_had_lost_before_stays_lost():
    """The plan after the halt is for what remains without it; the time of the halt itself loses nothing."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=10, max_pct_vol=1_000_000, catch_up=False)
    day.wait(3 * MINUTE)  # without volume nothing may trade
    lost = day.state.works[day.order().parent_id].forgiven
    assert lost > 0
    day.halt()
    day.wait(3 * MINUTE)
    day.halt(is_halted=False)
    assert day.state.works[day.order().parent_id].schedule.totals[-1] == 1_000 - lost


def test_an_order_ends_with_its_window_even_in_a_halt():
    """EndTime is the client's word: it is not moved."""
    day = Day()
    day.quote()
    day.parent("P1", minutes=5)
    day.halt()
    day.wait(5 * MINUTE + SECOND)
    assert day.order().order.status is OrdStatus.CANCELED
    assert day.reports("P1")[-1].exec_restatement_reason == -1


def test_in_a_halt_an_order_waits_and_one_that_may_not_is_refused():
    """Day orders are taken; 18=K, IOC and FOK are refused with 103=2."""
    day = Day()
    day.quote()
    day.halt()
    impatient = {"P1": {"on_halt": OnHalt.CANCEL}, "P2": {"time_in_force": TimeInForce.IOC}, "P3": {"time_in_force": TimeInForce.FOK}}
    for cl_ord_id, more in impatient.items():
        (report,) = day.parent(cl_ord_id, **more)
        assert isinstance(report, ReportParent)
        assert (report.ord_status, report.ord_rej_reason, report.text.split(":")[0]) == (OrdStatus.REJECTED, EXCHANGE_CLOSED, "halted")
    day.parent("P4")
    assert day.reports("P4")[-1].ord_status is OrdStatus.NEW
    day.wait(MINUTE)
    assert day.sent() == []


def test_a_status_request_says_that_it_waits():
    """58 tells the client why nothing happens."""
    day = Day()
    day.resting()
    day.halt()
    (report,) = day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="P1"))
    assert isinstance(report, ReportParent)
    assert report.text == "halted: it goes on when AAPL trades again"


def test_the_gate_lets_nothing_out_to_a_halted_venue():
    """Whatever a room above it believes."""
    from algoserver.core.working import send_child

    day = Day()
    child = day.resting()
    day.halt("XLIT1")
    out = []
    twin = SendChild(**{f: getattr(child, f) for f in child.__struct_fields__} | {"child_id": f"{day.order().parent_id}.99"})
    send_child(day.state, day.order(), twin, day.now, out)
    assert [c.code for c in out] == ["gate_venue_shut"]


def test_a_replace_may_repeat_but_not_change_what_a_halt_does():
    """18 stays: J of an order that waits is not amendable."""
    day = Day()
    day.resting(on_halt=OnHalt.CANCEL)
    common = {"session": "CLIENT1", "orig_cl_ord_id": "P1", "symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.LIMIT, "price": 201 * PX_ONE}
    (refused,) = day.feed(events.ReplaceRequested(cl_ord_id="G1", on_halt=OnHalt.REINSTATE, **common))
    assert "not_amendable" in refused.text
    assert day.feed(events.ReplaceRequested(cl_ord_id="G2", on_halt=OnHalt.CANCEL, **common))[0].exec_type is ExecType.PENDING_REPLACE


def test_a_halt_outlives_a_restart():
    """The state that is read back is the one that was written, and nothing leaves after the venues are up again."""
    day = Day(policy_loaded())
    child = day.resting()
    day.halt()
    day.canceled(child)
    day.state = load(dump(day.state))
    for venue in ("XLIT1", "XLIT2"):
        day.down(venue, is_restart=True)
        day.up(venue)
    day.quote()
    day.trade(50_000)
    day.wait(5 * SECOND)
    assert day.sent() == [child]


def test_a_halt_takes_back_what_fits_a_pending_replace_too():
    """While one child's cancel is unanswered, the other must not rest into the reopening auction."""
    day = Day()
    day.quote()
    day.parent("P1", 100_000, 1001, minutes=60, max_pct_vol=1_000_000)
    day.trade(500_000)
    day.wait(10 * SECOND)
    resting = [c for c in day.sent() if c.child_id in day.order().open_children]
    assert len(resting) == 2
    day.feed(events.ReplaceRequested(
        session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", symbol="AAPL", side=resting[0].side, ord_type=OrdType.MARKET,
        order_qty=sum(c.order_qty for c in resting) - 100,
    ))  # fmt: skip
    for venue in ("XLIT1", "XLIT2"):
        day.feed(events.StatusChanged(session=venue, venue=venue, symbol="AAPL", is_halted=True))
    day.wait(2 * SECOND)
    assert {c.child_id for c in day.commands if isinstance(c, CancelChild)} == {c.child_id for c in resting}


# ---- whose halt it is


def halted_at_xlit1(client: str, profile: ClientProfile, **more) -> Day:
    """An order of `client` that works when XLIT1, and it alone, halts. XDARK1 is there too."""
    venues = (Venue("XLIT1"), Venue("XLIT2"), Venue("XDARK1", "dark"))
    day = Day(policy_loaded(clients=("CLIENT1", "CLIENT2"), venues=venues, profiles=(profile,)))
    day.up("XDARK1")
    day.quote()
    day.parent("P1", 10_000, minutes=30, session=client, **more)
    day.wait(MINUTE)
    day.quote()
    day.halt("XLIT1")
    return day


@pytest.mark.parametrize(
    ("client", "agreed", "is_over"),
    [
        ("CLIENT1", ("XLIT1",), True),
        ("CLIENT1", ("XLIT1", "XDARK1"), True),  # what has no lit price to trade at is no market
        ("CLIENT1", ("XLIT1", "XLIT2"), False),
        ("CLIENT1", ("XDARK1",), False),  # XLIT2 makes the mid
        ("CLIENT1", (), False),
        ("CLIENT2", ("XLIT1",), False),  # another one's profile
    ],
)
def test_a_halt_is_of_the_venues_that_the_client_has_agreed_to(client, agreed, is_over):
    """With 18=K the order ends where the client has no lit venue left that trades, and nowhere else."""
    day = halted_at_xlit1(client, ClientProfile("CLIENT1", venues=agreed), on_halt=OnHalt.CANCEL)
    assert [r.exec_restatement_reason for r in day.reports() if r.ord_status is OrdStatus.CANCELED] == [6] * is_over


def test_a_client_whose_only_venue_is_halted_waits_and_is_refused_what_can_not_wait():
    """A status says so; an IOC of his is refused, another client's is not."""
    day = halted_at_xlit1("CLIENT1", ClientProfile("CLIENT1", venues=("XLIT1",)))
    day.feed(events.StatusRequested(session="CLIENT1", cl_ord_id="P1"))
    assert day.reports()[-1].text == "halted: it goes on when AAPL trades again"
    day.parent("P2", 100, time_in_force=TimeInForce.IOC)
    assert day.reports("P2")[-1].text.startswith("halted: ")
    day.parent("P3", 100, time_in_force=TimeInForce.IOC, session="CLIENT2")
    assert day.reports("P3")[0].ord_status is OrdStatus.NEW


@pytest.mark.parametrize(("on_halt", "is_taken_back"), [(OnHalt.WAIT, True), (OnHalt.REINSTATE, False)])
def test_what_rests_in_the_dark_does_not_trade_through_a_halt_of_all_lit_venues(on_halt, is_taken_back):
    """The dark venue itself has halted nothing; only 18=J leaves it there."""
    day = Day(policy_loaded(venues=(Venue("XLIT1"), Venue("XLIT2"), Venue("XDARK1", "dark"))))
    day.up("XDARK1")
    day.quote()
    day.parent("P1", 10_000, Strategy.LIQUIDITY, minutes=30, max_pct_vol=1_000_000, on_halt=on_halt)
    day.trade(100_000)
    day.wait(2 * SECOND)
    hidden = [c.child_id for c in day.sent() if c.venue == "XDARK1"]
    day.halt()
    assert len(hidden) == 1
    assert [c.child_id for c in day.commands if isinstance(c, CancelChild) and c.venue == "XDARK1"] == hidden * is_taken_back
