"""Self-trade prevention, each mode under its id: see algoserver/sim/selftrade.py."""

import random

import msgspec
import pytest

from algoserver.domain.types import MINUTE, OrdType, Side, TimeInForce
from algoserver.sim.config import SessionHours, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Report, Trade
from tests.sim.street import ONE, T0, Street, new, quiet, scenario, told, wish

BUY, SELL = Side.BUY, Side.SELL
DARK = [*ONE, VenueConfig(name="XDARK1", kind="dark", self_trade="cancel_newest")]


def street(mode):
    return Street(quiet(venues=[VenueConfig(name="XLIT1", share=1.0, self_trade=mode)]))


def met(mode, qty=150):
    """A sale of 100 by OTHER, one of 100 by ALGO, one of 100 by OTHER, all at 50; then ALGO buys `qty` there."""
    s = street(mode)
    s.ask(new("o1", SELL, 100, "50", client="OTHER"))
    s.ask(new("R", SELL, 100, "50"))
    s.ask(new("o2", SELL, 100, "50", client="OTHER"))
    return s, s.ask(new("X", BUY, qty, "50"))


def test_st_1_cancel_newest_ends_the_arriving_order():
    s, said = met("cancel_newest")
    assert said == ["New/NEW (X) 150 0/150", "Trade/PARTIALLY_FILLED (X) 150 100/50", "Canceled/CANCELED (X) 150 100/0"]
    assert s.seen[-1].text == "self-trade prevention"
    assert s.book() == ((), (("50", 200),))


def test_st_2_cancel_oldest_ends_what_rests_and_goes_on():
    s, said = met("cancel_oldest")
    assert said == [
        "New/NEW (X) 150 0/150", "Trade/PARTIALLY_FILLED (X) 150 100/50", "Trade/FILLED (X) 150 150/0", "Canceled/CANCELED (R) 100 0/0"
    ]  # fmt: skip
    assert s.book() == ((), (("50", 50),))


def test_st_3_cancel_both():
    s, said = met("cancel_both")
    assert said[2:] == ["Canceled/CANCELED (R) 100 0/0", "Canceled/CANCELED (X) 150 100/0"]
    assert s.book() == ((), (("50", 100),))


def test_st_4_decrement_takes_the_smaller_off_both():
    """An arriving 300: 100 trade, 100 are lost against the own 100, 100 trade."""
    s, said = met("decrement", 300)
    assert said == [
        "New/NEW (X) 300 0/300", "Trade/PARTIALLY_FILLED (X) 300 100/200", "Trade/PARTIALLY_FILLED (X) 300 200/100",
        "Canceled/CANCELED (R) 100 0/0", "Canceled/CANCELED (X) 300 200/0",
    ]  # fmt: skip
    s, said = met("decrement", 150)
    assert said[1:] == ["Trade/PARTIALLY_FILLED (X) 150 100/50", "Restated/NEW (R) 50 0/50", "Canceled/CANCELED (X) 150 100/0"]
    assert s.book() == ((), (("50", 150),))
    s = street("decrement")
    s.ask(new("R", SELL, 100, "50"))
    assert s.ask(new("X", BUY, 300, "50")) == [
        "New/NEW (X) 300 0/300", "Canceled/CANCELED (R) 100 0/0", "Restated/NEW (X) 200 0/200"
    ]  # fmt: skip
    assert s.seen[-1].exec_restatement_reason == 5
    assert s.book() == ((("50", 200),), ())


def test_st_4_an_own_icebergs_reserve_is_lost_before_its_tip():
    s = street("decrement")
    s.ask(wish("R", SELL, 300, "50", display_qty=100))
    assert s.ask(new("X", BUY, 250, "50"))[1:] == ["Restated/NEW (R) 50 0/50", "Canceled/CANCELED (X) 250 0/0"]
    assert s.book() == ((), (("50", 50),))


def test_allow_lets_a_client_trade_with_himself():
    _, said = met("allow")
    assert said == [
        "New/NEW (X) 150 0/150", "Trade/PARTIALLY_FILLED (X) 150 100/50", "Trade/FILLED (X) 150 150/0", "Trade/PARTIALLY_FILLED (R) 100 50/50"
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "fills"), [("cancel_newest", False), ("cancel_oldest", True), ("decrement", False)])
def test_a_fill_or_kill_does_not_count_on_its_own_client(mode, fills):
    """200 with an own 100 in between: only where the own order gives way can all of it trade."""
    s = street(mode)
    for name, client in (("o1", "OTHER"), ("R", "ALGO"), ("o2", "OTHER")):
        s.ask(new(name, SELL, 100, "50", client=client))
    said = s.ask(new("X", BUY, 200, "50", TimeInForce.FOK))
    assert ("Trade/FILLED (X) 200 200/0" in said) is fills
    assert fills or said == ["New/NEW (X) 200 0/200", "Canceled/CANCELED (X) 200 0/0"]


def test_st_5_in_the_dark_orders_of_one_client_pass_each_other_by():
    """The venue's own mode decides; another client behind is met."""
    s = Street(quiet(venues=DARK))
    s.ask(new("b", BUY, 500, "50", client="OTHER"))
    s.ask(new("a", SELL, 500, "50.02", client="OTHER"))
    for name, client in (("R", "ALGO"), ("o", "OTHER")):
        s.ask(wish(name, SELL, 100, ord_type=OrdType.PEGGED, venue="XDARK1", client=client))
    assert s.ask(wish("X", BUY, 100, ord_type=OrdType.PEGGED, venue="XDARK1")) == ["New/NEW (X) 100 0/100", "Trade/FILLED (X) 100 100/0"]


def test_st_5_in_an_auction_they_may_meet():
    """A call has no newest order."""
    venues = [VenueConfig(name="XLIT1", share=1.0, auctions=True, self_trade="cancel_newest")]
    exchange = Exchange(scenario(hours=SessionHours(open="13:30", close="13:31"), venues=venues))
    for name, side in (("A", BUY), ("B", SELL)):
        exchange.submit(T0 - MINUTE, new(name, side, 100, tif=TimeInForce.AT_OPEN))
    assert {line for line in told(exchange.advance(T0)) if line.startswith("Trade")} == {"Trade/FILLED (A) 100 100/0", "Trade/FILLED (B) 100 100/0"}


@pytest.mark.parametrize("mode", ["cancel_newest", "cancel_oldest", "cancel_both", "decrement"])
def test_seed_9_nobody_trades_with_himself_and_the_books_balance(mode):
    """Two clients at random: no print has one client on both sides, and what is open in reports is what stands in the book."""
    rng, s = random.Random(9), street(mode)
    for n in range(300):
        client, side = rng.choice(["ALGO", "OTHER"]), rng.choice([BUY, SELL])
        order = new(f"x{n}", side, rng.randint(1, 300), f"{50 + rng.randint(-2, 2)}", client=client)
        if rng.random() < 0.3:
            order = msgspec.structs.replace(order, terms=wish("_", BUY, 1, "1", display_qty=1 + order.order_qty // 3).terms)
        before = len(s.seen)
        s.ask(order)
        trades = [a for a in s.seen[before:] if isinstance(a, Trade)]
        bought = sum(t.last_qty for t in trades if t.client == "ALGO" and t.side == BUY)
        sold = sum(t.last_qty for t in trades if t.client == "ALGO" and t.side == SELL)
        assert not (bought and sold)
    last = {r.order_id: r for r in s.seen if isinstance(r, Report)}
    book = s.exchange.source("AAPL").books["XLIT1"]
    assert sum(r.leaves_qty for r in last.values()) == sum(o.open_qty() for o in book.live())
