"""A session breaks, or the process: what nobody knows counts as open until its venue has told."""

import msgspec
import pytest

from algoserver.core.links import ASK_AGAIN_NS
from algoserver.core.orders import is_open
from algoserver.domain.commands import AskChildStatus, CancelChild, EndAlert, RaiseAlert, SendChild
from algoserver.domain.policy import Permits, Venue
from algoserver.domain.types import SECOND
from tests.core.day import POLICY, Day, policy_loaded


def test_a_lost_session_leaves_children_unknown_and_their_quantity_is_not_routed_elsewhere():
    """XLIT1 is gone with 1000 open there: XLIT2 gets nothing of it until XLIT1 has told."""
    day = Day()
    child = day.resting()
    day.down("XLIT1")
    assert day.child(child).is_unknown
    day.quote(venue="XLIT2")
    day.wait(30 * SECOND)
    assert len(day.sent()) == 1

    out = day.up("XLIT1")
    assert [c for c in out if not isinstance(c, EndAlert)] == [AskChildStatus(child_id=child.child_id, venue="XLIT1", symbol="AAPL", side=child.side)]
    day.status_of(child, is_known=False)
    day.wait(2 * SECOND)
    assert sum(c.order_qty for c in day.sent()[1:]) == 1_000


def test_a_venue_that_does_not_say_how_a_child_stands_is_asked_again():
    """Every five seconds while its session is up."""
    day = Day()
    day.resting()
    day.down("XLIT1")
    day.up("XLIT1")
    before = len(day.commands)
    day.wait(3 * ASK_AGAIN_NS + SECOND)
    assert len([c for c in day.commands[before:] if isinstance(c, AskChildStatus)]) == 3


def test_after_a_restart_a_parent_trades_only_when_its_children_are_known():
    """Replay can't know what happened while we were dead; the venue does."""
    day = Day()
    child = day.resting(qty=1_000)
    day.replaced(child, 400)
    sent = len(day.sent())
    day.down("XLIT1", is_restart=True)
    day.up("XLIT2")
    day.wait(10 * SECOND)
    assert len(day.sent()) == sent
    assert day.order().awaits_status

    day.up("XLIT1")
    for c in day.sent():
        if is_open(day.child(c).order):
            day.status_of(c)
    assert not day.order().awaits_status


@pytest.mark.parametrize("ends_by", ["fill", "cancel", "reject"])
def test_after_a_restart_a_child_that_ends_by_itself_is_waited_for_no_longer(ends_by: str):
    """The venue tells of the end instead of answering: the parent goes on and is not stuck for ever."""
    day = Day()
    child = day.resting()
    day.down("XLIT1", is_restart=True)
    day.up("XLIT1")
    if ends_by == "fill":
        day.fill(child, 1_000)
    else:
        (day.canceled if ends_by == "cancel" else day.rejected)(child)
    assert not day.order().awaits_status


def test_a_status_that_disagrees_with_our_fills_stops_the_parent():
    """The venue has 300 done and we have none: nothing is traded until a person has compared."""
    day = Day()
    child = day.resting()
    day.status_of(child, cum=300)
    assert day.order().paused_by == "unequal_books"


def test_a_child_that_the_venue_forgot_is_lost_and_said_so():
    """It had accepted the child: an alert, and its quantity is free."""
    day = Day()
    child = day.resting()
    day.accept(child)
    day.status_of(child, is_known=False)
    assert day.alerts() == ["lost_child"]
    assert not is_open(day.child(child).order)


def test_a_child_that_is_over_may_be_forgotten_by_its_venue():
    """Filled before, and asked for all the same: that the venue has none of it now is no difference between the books."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_000)
    day.status_of(child, is_known=False)
    assert (day.alerts(), day.order().paused_by, day.child(child).order.cum_qty) == ([], "", 1_000)


def test_an_open_child_with_fills_that_its_venue_forgot_stops_the_parent():
    """It is over here as well, but how much the venue has done nobody knows."""
    day = Day()
    child = day.resting()
    day.fill(child, 300)
    day.status_of(child, is_known=False)
    assert not is_open(day.child(child).order)
    assert (sorted(day.alerts()), day.order().paused_by) == (["lost_child", "unequal_books"], "unequal_books")


def test_a_status_asked_before_a_cancel_does_not_cancel_twice():
    """The answer crosses our cancel: the cancel is still on its way."""
    day = Day()
    child = day.resting()
    day.down("XLIT1")
    day.up("XLIT1")
    day.status_of(child)
    day.cancel()
    assert [c for c in day.status_of(child) if isinstance(c, CancelChild)] == []


def test_a_feed_that_is_gone_takes_its_prices_along():
    """Old prices are no prices: with both feeds gone there is nothing to join."""
    day = Day()
    day.quote()
    day.down("XLIT1.md")
    assert list(day.state.markets["AAPL"].quotes) == ["XLIT2"]


def left_over(mode: str) -> tuple[Day, SendChild]:
    """A child rests at a venue with which this is agreed, and the session there breaks."""
    day = Day(policy_loaded(venues=(Venue("XLIT1", on_disconnect=mode), Venue("XLIT2"))))
    child = day.resting()
    day.accept(child)
    day.down("XLIT1")
    return day, child


def taken_back(day: Day) -> list[str]:
    """Children that cancels were sent for."""
    return [c.child_id for c in day.commands if isinstance(c, CancelChild)]


@pytest.mark.parametrize(("mode", "is_alerted", "is_canceled"), [("keep", False, False), ("take_back", False, True), ("venue_cancels", True, True)])
def test_control_28_what_survives_its_venues_session_is_dealt_with_as_agreed(mode: str, is_alerted: bool, is_canceled: bool):
    """Until the venue has told it counts as open, whatever is agreed: nothing is canceled blindly, and nothing is sent in its place."""
    day, child = left_over(mode)
    day.quote(venue="XLIT2")
    day.wait(5 * SECOND)
    assert (day.sent(), taken_back(day)) == ([child], [])
    day.up("XLIT1")
    assert (day.sent(), taken_back(day)) == ([child], [])
    day.status_of(child)
    assert ("not_canceled" in day.alerts(), taken_back(day)) == (is_alerted, [child.child_id] if is_canceled else [])
    if is_canceled:
        day.canceled(child)
        day.quote()
        day.wait(2 * SECOND)
        assert sum(c.order_qty for c in day.sent()[1:]) == 1_000
        assert day.state.stale == {}


@pytest.mark.parametrize("mode", ["keep", "venue_cancels"])
def test_control_28_a_cancel_that_is_agreed_is_no_surprise(mode: str):
    """Told when the session is back, in place of an answer; where it is not agreed a person is told."""
    day, child = left_over(mode)
    day.up("XLIT1")
    day.canceled(child)
    assert ("unsolicited_cancel" in day.alerts()) == (mode == "keep")
    day.quote()
    day.wait(2 * SECOND)
    assert [c.order_qty for c in day.sent()] == [1_000, 1_000]


def test_a_venue_that_never_comes_is_missed_a_minute_after_the_start():
    """A first start, too; the alert is over when it comes. One that came and broke is down, and not missing."""
    day = Day(policy_loaded(venues=(Venue("XLIT1"), Venue("XLIT2"), Venue("XLATE"))))
    day.down("XLIT2")
    day.wait(61 * SECOND)
    assert [c.subject for c in day.commands if isinstance(c, RaiseAlert) and c.code == "venue_missing"] == ["XLATE"]
    assert [c.code for c in day.up("XLATE") if isinstance(c, EndAlert)] == ["venue_missing"]


@pytest.mark.parametrize("is_back", [True, False])
def test_control_28_a_client_who_does_not_come_back_after_a_restart_is_gone(is_back: bool):
    """The policy says cancel: his orders live as long as he may come, and no longer."""
    policy = msgspec.structs.replace(POLICY, permits=Permits(on_disconnect="cancel"))
    day = Day(policy_loaded(policy=policy))
    day.up("CLIENT1")
    child = day.resting()
    day.accept(child)
    day.feed(policy_loaded(policy=policy))
    day.down("CLIENT1", is_restart=True)
    day.wait(30 * SECOND)
    if is_back:
        day.up("CLIENT1")
    assert day.order().end_text == ""
    day.wait(31 * SECOND)
    assert day.order().end_text == ("" if is_back else "canceled because CLIENT1 disconnected")
    assert child.child_id in taken_back(day) or is_back
