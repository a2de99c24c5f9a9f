"""Orders at a venue that we did not send: what stops, for how long, and what nothing of it touches."""

import pytest

from algoserver.core.foreign import is_open, key
from algoserver.core.state import dump, load
from algoserver.domain.commands import AskChildStatus, CancelChild, RaiseAlert, ReportParent
from algoserver.domain.events import CancelRejected, ForeignOrderReported
from algoserver.domain.types import MINUTE, SECOND, OrdStatus, Side
from tests.core.day import Day

NAME = key("XLIT1", "WHO1")


def foreign(day: Day, status: OrdStatus = OrdStatus.NEW, cum: int = 0, symbol: str = "AAPL", child_id: str = "WHO1", side: str = "1"):
    """XLIT1 reports on an order of 500 that we never sent."""
    event = ForeignOrderReported(session="XLIT1", child_id=child_id, ord_status=status, symbol=symbol, side=side, order_qty=500, cum_qty=cum)
    return day.feed(event)


def test_a_foreign_order_stops_its_symbol_at_its_venue_and_no_more():
    """What rests there is taken back; the order goes on at the other venue."""
    day = Day()
    child = day.resting()
    assert [type(c) for c in foreign(day)].count(CancelChild) == 1
    assert day.alerts() == ["foreign_order"]
    day.canceled(child)
    day.quote()
    day.trade(50_000)
    day.wait(SECOND)
    assert [c.venue for c in day.sent()] == ["XLIT1", "XLIT2"]


@pytest.mark.parametrize(("symbol", "stops"), [("GE", False), ("", True)])
def test_another_symbol_goes_on_but_one_that_is_not_said_stops_all(symbol, stops):
    """A venue that does not say what it is about is not to be trusted with anything."""
    day = Day()
    child = day.resting()
    assert (CancelChild in [type(c) for c in foreign(day, symbol=symbol)]) is stops
    assert day.child(child).order.is_cancel_pending is stops


def test_only_a_person_ends_it():
    """Neither time, nor the end of the order, nor a venue that breaks and comes back: adopt does."""
    day = Day()
    child = day.resting()
    day.down("XLIT2")
    foreign(day)
    day.canceled(child)
    foreign(day, OrdStatus.FILLED, 500)
    day.down("XLIT1")
    day.up("XLIT1")
    day.quote()
    day.trade(50_000)
    day.wait(30 * SECOND)
    assert day.sent() == [child]
    day.quote()
    day.operator("adopt", NAME, "the desk's own")
    assert [c.venue for c in day.sent()] == ["XLIT1", "XLIT1"]
    assert "foreign_adopted" in day.alerts()


def test_a_cancel_is_done_when_the_venue_says_so():
    """The F names it by its ClOrdID, under an id of our own; what it traded meanwhile is said, and trading goes on."""
    day = Day()
    child = day.resting()
    foreign(day)
    day.canceled(child)
    (cancel,) = [c for c in day.operator("cancel_foreign", NAME) if isinstance(c, CancelChild)]
    assert (cancel.child_id, cancel.venue, cancel.symbol, cancel.side, cancel.order_qty) == ("WHO1", "XLIT1", "AAPL", Side.BUY, 500)
    assert cancel.cancel_id.startswith(day.state.run)
    day.quote(venue="XLIT1")
    foreign(day, OrdStatus.PARTIALLY_FILLED, 200)
    assert [c.venue for c in day.sent()[1:]] == ["XLIT2"] * len(day.sent()[1:])
    foreign(day, OrdStatus.CANCELED, 200)
    assert day.alerts()[-2:] == ["foreign_trade", "foreign_settled"]
    assert day.state.foreign[NAME].released_by == "ann"


@pytest.mark.parametrize(("reason", "is_done"), [(0, True), (1, True), (99, False)])
def test_a_refused_cancel_is_done_only_if_nothing_is_left(reason, is_done):
    """Too late or unknown there: over. Refused for another reason: it lives, and stops us."""
    day = Day()
    foreign(day)
    day.operator("cancel_foreign", NAME)
    day.feed(CancelRejected(session="XLIT1", child_id="WHO1", cxl_rej_reason=reason, ord_status=OrdStatus.NEW))
    assert bool(day.state.foreign[NAME].released_by) is is_done
    assert day.alerts()[-1] == ("foreign_settled" if is_done else "foreign_cancel_refused")


def test_its_trades_are_told_to_the_desk_and_to_no_client():
    """Once for each change, and once a minute at most; the same report again is no news."""
    day = Day()
    day.resting()
    foreign(day)
    told = [*foreign(day, OrdStatus.PARTIALLY_FILLED, 100), *foreign(day, OrdStatus.PARTIALLY_FILLED, 100), *foreign(day, OrdStatus.FILLED, 500)]
    assert [c for c in told if isinstance(c, ReportParent)] == []
    day.wait(MINUTE)
    told = [(c.code, c.times, c.text.partition(" of WHO")[0]) for c in day.commands if isinstance(c, RaiseAlert) and c.code == "foreign_trade"]
    assert told == [("foreign_trade", 1, "100 of 500 done"), ("foreign_trade", 2, "500 of 500 done")]
    assert day.order().order.cum_qty == 0


@pytest.mark.parametrize("status", [OrdStatus.REJECTED, OrdStatus.CANCELED])
def test_one_that_is_over_and_did_nothing_is_an_alert_and_stops_nothing(status):
    """Nothing of it is in the market."""
    day = Day()
    child = day.resting()
    foreign(day, status)
    assert day.alerts() == ["unknown_child"]
    assert not day.child(child).order.is_cancel_pending


def test_a_venue_that_is_back_is_asked_about_those_that_may_still_trade():
    """By their ClOrdID; an order without one can't be asked about, and can't be canceled from here."""
    day = Day()
    foreign(day)
    foreign(day, child_id="#V7")
    foreign(day, child_id="WHO2", status=OrdStatus.FILLED, cum=500)
    day.down("XLIT1")
    assert [c.child_id for c in day.up("XLIT1") if isinstance(c, AskChildStatus)] == ["WHO1"]
    foreign(day, OrdStatus.REJECTED)  # the venue's answer: it does not know it
    assert not is_open(day.state.foreign[NAME])
    assert [c for c in day.operator("cancel_foreign", key("XLIT1", "#V7")) if isinstance(c, CancelChild)] == []


def test_it_outlives_a_restart():
    """The stop stands in the state, and so in every snapshot and replay."""
    day = Day()
    child = day.resting()
    day.down("XLIT2")
    foreign(day)
    day.canceled(child)
    day.state = load(dump(day.state))
    for venue in ("XLIT1", "XLIT2"):
        day.down(venue, is_restart=True)
    day.up("XLIT1")
    day.quote()
    day.trade(50_000)
    day.wait(5 * SECOND)
    assert day.sent() == [child]


def test_a_word_about_an_order_that_nobody_knows_is_said_to_be_nothing():
    """As of a parent."""
    day = Day()
    day.operator("adopt", "XLIT1 NOBODY")
    assert day.alerts() == ["no_such_order"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"child_id": "#37"}, "ClOrdID (11)"), ({"symbol": ""}, "symbol (55)"), ({"side": ""}, "side (54)"),
        ({"status": OrdStatus.CANCELED, "cum": 100}, "is CANCELED"),
    ],
)  # fmt: skip
def test_a_cancel_that_no_message_can_ask_for_is_said_aloud(more, said):
    """Or is not needed any more; the operator does not wait for an answer that nobody was asked for."""
    day = Day()
    foreign(day, **more)
    out = day.operator("cancel_foreign", key("XLIT1", more.get("child_id", "WHO1")))
    assert [type(c) for c in out] == [RaiseAlert]
    assert (day.alerts()[-1], said in out[0].text) == ("foreign_not_canceled", True), out[0].text
    assert not next(iter(day.state.foreign.values())).canceled_by
