"""The rules of lit books, each under its id: see algoserver/sim/lit.py, counter.py, admission.py and docs/venue-rules.md."""

import random
from functools import partial

import msgspec
import pytest

from algoserver.domain.types import MINUTE, SECOND, OrdType, Side, TimeInForce, px, utc
from algoserver.sim.auction import AT_ANY_PRICE
from algoserver.sim.book import Book, Order, Shaped
from algoserver.sim.codec_reports import report
from algoserver.sim.config import ClientConfig, SessionHours, VenueConfig, load
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import Fault, Script
from algoserver.sim.reports import GOOD_TILL_CANCEL, AnyReport, OrderMassCancelRequest, Restated, Trade
from algoserver.sim.stage import Stage
from tests.sim.fixclient import ROOT
from tests.sim.street import AAPL, ONE, T0, Street, cancel, new, quiet, replace, rewish, scenario, told, wish

BUY, SELL, PEGGED = Side.BUY, Side.SELL, OrdType.PEGGED
FEW = msgspec.structs.replace(AAPL, trade_qty=100_000, book_events_per_s=1.0)  # so that a day takes no time
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def other(street, side, qty, price=None, **more):
    """Another client's order; what ALGO is told about it."""
    return street.ask(wish(f"o{street.ts}", side, qty, price, client="OTHER", **more))


def test_stop_1_a_stop_sleeps_unseen_until_its_venue_trades_there():
    """Nothing of it is in the book; a print at its price wakes it, and it takes what a market order takes."""
    street = Street()
    assert street.ask(wish("X", BUY, 100, stop_px="51")) == ["New/NEW (X) 100 0/100"]
    other(street, SELL, 300, "52")
    assert street.book() == ((), (("52", 300),))
    other(street, SELL, 10, "50.99")
    assert other(street, BUY, 10, "50.99") == []
    other(street, SELL, 10, "51")
    assert other(street, BUY, 10, "51") == ["Restated/NEW (X) 100 0/100", "Trade/FILLED (X) 100 100/0"]
    assert [a.last_px for a in street.seen if isinstance(a, Trade) and a.client == "ALGO"] == [px("52")]


def test_stop_1_a_stop_behind_the_last_print_wakes_at_once():
    street = Street()
    other(street, SELL, 10, "50")
    other(street, BUY, 10, "50")
    assert street.ask(wish("X", SELL, 100, stop_px="50")) == [
        "New/NEW (X) 100 0/100",
        "Restated/NEW (X) 100 0/100",
        "Canceled/CANCELED (X) 100 0/0",
    ]


def test_stop_2_a_stop_limit_rests_at_its_limit_once_awake():
    street = Street()
    street.ask(wish("X", BUY, 100, "50", stop_px="51"))
    other(street, SELL, 10, "51")
    assert other(street, BUY, 10, "51") == ["Restated/NEW (X) 100 0/100"]
    assert street.book() == ((("50", 100),), ())


def test_stop_2_stops_wake_each_other_in_the_order_in_which_they_came():
    """A print wakes two; what the first one trades at wakes a third, which arrives after both."""
    street = Street()
    street.ask(wish("A", BUY, 10, stop_px="51"))
    street.ask(wish("B", BUY, 10, stop_px="51"))
    street.ask(wish("C", BUY, 10, stop_px="52"))
    for price in ("51", "52", "53", "54"):
        other(street, SELL, 10, price)
    other(street, BUY, 10, "51")
    taken = [(a.cl_ord_id, a.last_px) for a in street.seen if isinstance(a, Trade) and a.client == "ALGO"]
    assert taken == [("A", px("52")), ("B", px("53")), ("C", px("54"))]


def test_stop_1_a_sleeping_stop_can_be_changed_and_canceled():
    """A new StopPx sleeps anew; canceled, it never wakes."""
    street = Street()
    stop = wish("X", BUY, 100, stop_px="51")
    street.ask(stop)
    assert street.ask(rewish("Y", "X", stop, terms=msgspec.structs.replace(stop.terms, stop_px=px("53")))) == ["Replaced/NEW (Y,X) 100 0/100"]
    other(street, SELL, 10, "52")
    assert other(street, BUY, 10, "52") == []
    assert street.ask(cancel("C", "Y")) == ["Canceled/CANCELED (C,Y) 100 0/0"]
    other(street, SELL, 10, "53")
    assert other(street, BUY, 10, "53") == []


def test_ice_1_an_iceberg_shows_its_tip_and_a_new_tip_stands_behind_the_queue():
    """300 with a display of 100: a sweep of 250 takes tip, neighbour, tip; the book shows no more than a tip."""
    street = Street()
    street.ask(wish("X", BUY, 300, "50", display_qty=100))
    other(street, BUY, 100, "50")
    assert street.book() == ((("50", 200),), ())
    assert other(street, SELL, 250, "50") == ["Trade/PARTIALLY_FILLED (X) 300 100/200", "Trade/PARTIALLY_FILLED (X) 300 150/150"]
    assert street.book() == ((("50", 50),), ())
    assert other(street, SELL, 150, "50") == ["Trade/PARTIALLY_FILLED (X) 300 200/100", "Trade/FILLED (X) 300 300/0"]
    assert street.book() == ((), ())


def test_ice_1_less_quantity_is_taken_from_the_reserve_and_keeps_the_place():
    street = Street()
    ice = wish("X", BUY, 300, "50", display_qty=100)
    street.ask(ice)
    other(street, BUY, 100, "50")
    street.ask(rewish("Y", "X", ice, order_qty=120))
    assert street.book() == ((("50", 200),), ())
    assert other(street, SELL, 100, "50") == ["Trade/PARTIALLY_FILLED (Y) 120 100/20"]
    assert street.book() == ((("50", 120),), ())


def test_ice_2_seed_1_tips_are_drawn_around_the_display_by_the_seed():
    """Two markets of one seed draw the same tips, within the jitter, in whole lots, and not all alike."""
    jittery = [VenueConfig(name="XLIT1", share=1.0, iceberg_jitter=0.3)]
    tips = []
    for _ in range(2):
        street = Street(quiet(venues=jittery))
        street.ask(wish("X", BUY, 2_000, "50", display_qty=100))
        shown = []
        while street.book()[0]:
            shown.append(street.book()[0][0][1])
            other(street, SELL, shown[-1], "50")
        tips.append(shown)
    assert tips[0] == tips[1]
    assert tips[0][0] == 100
    assert sum(tips[0]) == 2_000
    assert all(70 <= t <= 130 for t in tips[0][:-1])
    assert len(set(tips[0])) > 5


def test_hid_1_a_hidden_order_is_not_published_and_trades_after_what_is_shown():
    street = Street()
    street.ask(wish("X", SELL, 100, "50", display_qty=0))
    other(street, SELL, 100, "50")
    assert street.book() == ((), (("50", 100),))
    assert other(street, BUY, 150, "50") == ["Trade/PARTIALLY_FILLED (X) 100 50/50"]
    assert street.book() == ((), ())
    assert other(street, BUY, 50, "51") == ["Trade/FILLED (X) 100 100/0"]
    assert street.prints() == [("50", 150), ("50", 50)]


def test_hid_1_a_better_hidden_price_trades_first():
    street = Street()
    street.ask(wish("X", SELL, 100, "49.99", display_qty=0))
    other(street, SELL, 100, "50")
    assert other(street, BUY, 100, "50") == ["Trade/FILLED (X) 100 100/0"]
    assert street.prints() == [("49.99", 100)]


def test_minq_1_an_order_trades_that_much_at_once_or_nothing():
    """IOC with MinQty 80 against 50, then against 90; a hidden one passes a smaller order by."""
    street = Street()
    other(street, SELL, 50, "50")
    assert street.ask(wish("A", BUY, 100, "50", tif=IOC, min_qty=80))[1:] == ["Canceled/CANCELED (A) 100 0/0"]
    other(street, SELL, 40, "50")
    assert street.ask(wish("B", BUY, 100, "50", tif=IOC, min_qty=80))[1:] == [
        "Trade/PARTIALLY_FILLED (B) 100 50/50", "Trade/PARTIALLY_FILLED (B) 100 90/10", "Canceled/CANCELED (B) 100 90/0"
    ]  # fmt: skip
    street.ask(wish("H", BUY, 100, "49", min_qty=60, display_qty=0))
    assert other(street, SELL, 59, "49", tif=IOC) == []
    assert other(street, SELL, 60, "49", tif=IOC) == ["Trade/PARTIALLY_FILLED (H) 100 60/40"]
    assert other(street, SELL, 39, "49", tif=IOC) == []
    assert other(street, SELL, 40, "49", tif=IOC) == ["Trade/FILLED (H) 100 100/0"]


def test_post_1_an_order_that_would_take_is_refused_and_so_is_its_replace():
    """With a hidden one too; a refused replace leaves the order as it was."""
    street = Street()
    other(street, SELL, 100, "50")
    assert street.ask(wish("A", BUY, 100, "50", is_post_only=True)) == ["Rejected/REJECTED (A) 100 0/0"]
    assert street.seen[-1].text == "the post-only order (18=6) would trade at once"
    post = wish("B", BUY, 100, "49", is_post_only=True)
    assert street.ask(post) == ["New/NEW (B) 100 0/100"]
    assert street.ask(rewish("C", "B", post, px=px("50"))) == ["CxlRej/NEW (C,B) 99"]
    assert street.book() == ((("49", 100),), (("50", 100),))


def pair(street):
    """A market of 50 to 50.10 by others."""
    other(street, BUY, 500, "50")
    other(street, SELL, 500, "50.10")


def test_peg_1_to_its_own_side_and_to_the_mid_with_offset_and_limit():
    """R joins the bid, M stands between, an offset moves it, a limit holds it; rounded away from the other side."""
    street = Street()
    pair(street)
    street.ask(wish("R", BUY, 10, ord_type=PEGGED, peg="R"))
    street.ask(wish("M", BUY, 20, ord_type=PEGGED))
    street.ask(wish("O", SELL, 30, ord_type=PEGGED, peg="R", peg_offset="0.02"))
    street.ask(wish("L", BUY, 40, "50.03", ord_type=PEGGED))
    assert street.book() == ((("50.05", 20), ("50.03", 40), ("50", 510)), (("50.1", 500), ("50.12", 30)))
    other(street, SELL, 1, "50.09")
    assert street.book()[0][0] == ("50.04", 20)


def test_peg_2_it_never_takes_and_waits_while_a_side_is_empty():
    """An offset past the other side stops a tick before it; without a reference it is in no book, and still alive."""
    street = Street()
    pair(street)
    street.ask(wish("X", BUY, 10, ord_type=PEGGED, peg="R", peg_offset="5"))
    assert street.book()[0][0] == ("50.09", 10)
    street.ask(wish("Y", SELL, 10, ord_type=PEGGED))
    assert street.book()[1][0] == ("50.1", 510)
    assert other(street, BUY, 510, "50.10") == ["Trade/FILLED (Y) 10 10/0"]
    assert street.book() == ((("50", 500),), ())
    assert street.ask(new("Z", BUY, 1, "1", client="OTHER")) == []
    other(street, SELL, 5, "50.20")
    assert street.book()[0][0] == ("50.19", 10)
    assert street.ask(cancel("C", "X")) == ["Canceled/CANCELED (C,X) 10 0/0"]


def test_peg_3_it_follows_and_stands_behind_those_who_are_there():
    street = Street()
    pair(street)
    street.ask(wish("R", BUY, 10, ord_type=PEGGED, peg="R"))
    other(street, BUY, 100, "50.01")
    assert street.book()[0] == (("50.01", 110), ("50", 500))
    assert other(street, SELL, 100, "50.01") == []
    assert street.book()[0] == (("50", 510),)
    assert other(street, SELL, 500, "50") == []
    assert street.exchange.book("XLIT1", "AAPL")[0] == ()


def test_gtd_1_an_order_good_till_a_date_expires_then_and_not_with_the_day():
    """It lives over the close, takes part in the next opening, and is over before anything trades at its last moment."""
    hours = SessionHours(open="13:30", close="13:31")
    exchange = Exchange(scenario(FEW, hours, ONE))
    until = utc("20190629-13:30:30")
    exchange.submit(T0, wish("G", BUY, 100, "150", expire_ts=until))
    exchange.submit(T0, new("D", BUY, 100, "150"))
    assert told(exchange.advance(T0 + MINUTE)) == ["Expired/EXPIRED (D) 100 0/0"]
    assert exchange.book("XLIT1", "AAPL")[0] == ((px("150"), 100),)
    assert told(exchange.advance(until - 1)) == []
    out = exchange.submit(until, new("S", SELL, 100, "1", client="OTHER"))
    assert told(out) == ["Expired/EXPIRED (G) 100 0/0"]


def test_gtd_2_good_till_cancel_outlives_the_day():
    exchange = Exchange(scenario(FEW, SessionHours(open="13:30", close="13:31"), ONE))
    exchange.submit(T0, wish("G", BUY, 100, "150", expire_ts=GOOD_TILL_CANCEL))
    assert told(exchange.advance(T0 + 3 * 86_400 * SECOND)) == []
    assert told(exchange.submit(T0 + 3 * 86_400 * SECOND, cancel("C", "G"))) == ["Canceled/CANCELED (C,G) 100 0/0"]


WRONG = [
    (wish("X", BUY, 100, "50", stop_px="50.001"), 11),
    (wish("X", BUY, 100, "50", display_qty=101), 13),
    (wish("X", BUY, 100, display_qty=10), 11),
    (wish("X", BUY, 100, "50", tif=IOC, display_qty=10), 11),
    (wish("X", BUY, 100, "50", min_qty=10), 11),
    (wish("X", BUY, 100, "50", tif=IOC, is_post_only=True), 11),
    (wish("X", BUY, 100, is_post_only=True), 11),
    (wish("X", BUY, 100, ord_type=PEGGED, tif=IOC), 11),
    (wish("X", BUY, 100, ord_type=PEGGED, peg_offset="0.001"), 11),
    (wish("X", BUY, 100, ord_type=PEGGED, stop_px="50"), 11),
    (wish("X", BUY, 100, "50", expire_ts=T0), 99),
    (wish("X", BUY, 100, expire_ts=GOOD_TILL_CANCEL), 11),
    (wish("X", BUY, 100, "50", quote_id="Q"), 11),
    (wish("X", BUY, 100, ord_type=PEGGED, ioi_id="I"), 11),
]


@pytest.mark.parametrize(("request_", "reason"), WRONG)
def test_adm_2_terms_that_contradict_each_other_are_refused(request_, reason):
    street = Street()
    assert street.ask(request_) == ["Rejected/REJECTED (X) 100 0/0"]
    assert (street.seen[-1].ord_rej_reason, bool(street.seen[-1].text)) == (reason, True)


def test_rule_3_only_less_quantity_keeps_the_place():
    """Two at a price: the first is reduced and stays first; a changed display or more quantity makes it second."""
    for changed, first in (({"order_qty": 50}, "Y"), ({"order_qty": 150}, "o"), ({"terms": wish("_", BUY, 1, "1", display_qty=10).terms}, "o")):
        street = Street()
        order = wish("X", BUY, 100, "50")
        street.ask(order)
        other(street, BUY, 100, "50")
        street.ask(rewish("Y", "X", order, **changed))
        street.seen.clear()
        street.ask(new("S", SELL, 10, "50", client="THIRD"))
        assert next(a for a in street.seen if isinstance(a, Trade) and a.side == BUY).cl_ord_id[0] == first


def test_mass_cancel_takes_back_what_was_asked_for_wherever_it_waits():
    """Sleeping, pegged without a price, hidden and shown; by side, by instrument; another client's stay."""
    street = Street()
    for request in (
        wish("A", BUY, 100, stop_px="60"), wish("B", BUY, 100, ord_type=PEGGED), wish("C", BUY, 100, "50", display_qty=0),
        new("D", BUY, 100, "49"), new("E", SELL, 100, "70"), new("O", BUY, 100, "49", client="OTHER"),
    ):  # fmt: skip
        street.ask(request)
    ask = {"venue": "XLIT1", "client": "ALGO"}
    assert street.ask(OrderMassCancelRequest(cl_ord_id="Q0", kind="1", symbol="NONE", **ask)) == ["MassCancel/0 (Q0) 0"]
    canceled = street.ask(OrderMassCancelRequest(cl_ord_id="Q1", kind="1", symbol="AAPL", side=BUY, **ask))
    assert canceled[0] == "MassCancel/1 (Q1) 4"
    assert {line.split()[1] for line in canceled[1:]} == {"(A)", "(B)", "(C)", "(D)"}
    assert street.ask(OrderMassCancelRequest(cl_ord_id="Q2", kind="7", **ask)) == ["MassCancel/7 (Q2) 1", "Canceled/CANCELED (E) 100 0/0"]
    assert street.book() == ((("49", 100),), ())


def test_fok_counts_reserves_and_hidden_orders():
    """What is there to trade with counts, shown or not; a hidden order with a MinQty does not."""
    street = Street()
    other(street, SELL, 300, "50", display_qty=100)
    other(street, SELL, 100, "50", display_qty=0)
    assert street.ask(new("A", BUY, 401, "50", FOK))[1:] == ["Canceled/CANCELED (A) 401 0/0"]
    assert street.ask(new("B", BUY, 400, "50", FOK))[-1] == "Trade/FILLED (B) 400 400/0"
    other(street, SELL, 100, "50", display_qty=0, min_qty=100)
    assert street.ask(new("C", BUY, 100, "50", FOK))[1:] == ["Canceled/CANCELED (C) 100 0/0"]


def test_one_liquidity_is_never_given_twice():
    """Seed 4: whatever sweeps a level of plain, iceberg and hidden orders, what is taken is what they had, each once."""
    rng = random.Random(4)
    for _ in range(300):
        book, rested = Book(), []
        for _ in range(rng.randint(1, 12)):
            qty = rng.randint(1, 50)
            kind = rng.choice(["plain", "ice", "hidden"])
            tip = partial(min, qty, rng.randint(1, qty)) if kind == "ice" else None
            order = Order(-1, 100, qty) if kind == "plain" else Shaped(-1, 100, qty, tip=tip, is_hidden=kind == "hidden")
            rested.append((order, qty))
            book.enter(order)
        for order, _ in rng.sample(rested, k=len(rested) // 4):
            book.cancel(order)
        there = sum(o.open_qty() for o, _ in rested)
        wanted = rng.randint(1, 400)
        fills = book.take(1, wanted, AT_ANY_PRICE[1])
        assert sum(f.qty for f in fills) == min(wanted, there)
        assert there - sum(o.open_qty() for o, _ in rested) == sum(f.qty for f in fills)
        assert all(o.open_qty() >= 0 for o, _ in rested)
        assert sum(o.leaves for o in book.live()) == sum(level.qty for ladder in (book.asks, book.unseen[-1]) for level in ladder.levels.values())


def test_a_cancel_leaves_the_rest_of_the_queue():
    """Three at a price: the one in the middle goes, the others trade in their order."""
    street = Street()
    for name in "ABC":
        street.ask(new(name, BUY, 100, "50"))
    street.ask(cancel("B2", "B"))
    assert street.fill(200) == ["Trade/FILLED (A) 100 100/0", "Trade/FILLED (C) 100 100/0"]


def test_a_triggered_stop_stays_awake_through_a_replace():
    """Its StopPx unchanged, it is not put to sleep again."""
    street = Street()
    stop = wish("X", BUY, 100, "50", stop_px="51")
    street.ask(stop)
    other(street, SELL, 10, "51")
    other(street, BUY, 10, "51")
    assert any(isinstance(a, Restated) for a in street.seen)
    assert street.ask(rewish("Y", "X", stop, px=px("49"))) == ["Replaced/NEW (Y,X) 100 0/100"]
    assert street.book() == ((("49", 100),), ())
    assert street.ask(replace("Z", "Y", 100, "48")) == ["Replaced/NEW (Z,Y) 100 0/100"]


def test_a_market_that_goes_on_puts_orders_back_where_they_stood():
    """From its reports alone: queue order, icebergs, hidden, sleeping and pegged orders, dates; what was filled stays filled."""
    street = Street()
    asked = [
        new("A", BUY, 100, "50"), wish("I", BUY, 300, "50", display_qty=100), new("B", BUY, 100, "50"), wish("H", BUY, 100, "50", display_qty=0),
        wish("S", BUY, 100, stop_px="60"), wish("P", BUY, 10, ord_type=PEGGED, peg="R"), wish("G", BUY, 5, "40", expire_ts=GOOD_TILL_CANCEL),
        replace("A2", "A", 200, "50"), replace("B2", "B", 60, "50"),
        new("O", SELL, 50, "50", client="OTHER"), new("X", SELL, 100, "51", client="OTHER"),
    ]  # fmt: skip
    for request in asked:
        street.ask(request)
    after = Street(quiet(), ts=street.ts)
    assert after.exchange.restore(street.ts, [a for a in street.seen if hasattr(a, "exec_id")]) == []
    after.go(0)
    assert (street.book()[0][0], after.book()[0][0]) == (("50", 320), ("50", 370))  # the iceberg shows a new tip
    assert (street.book()[0][1:], street.book()[1]) == (after.book()[0][1:], after.book()[1])
    swept = after.ask(new("T", SELL, 10_000, "50", IOC, client="OTHER"))
    assert [line.split()[1] for line in swept if line.startswith("Trade")][:3] == ["(I)", "(B2)", "(A2)"]
    done = {a.cl_ord_id: a.cum_qty for a in after.seen if isinstance(a, Trade) and a.client == "ALGO"}
    assert done == {"I": 300, "B2": 60, "A2": 200, "H": 100, "P": 10}
    after.ask(new("U", BUY, 100, client="OTHER"))
    after.ask(new("V", BUY, 10, "60", client="OTHER"))
    after.ask(new("W", SELL, 10, "60", client="OTHER"))
    assert [a.cl_ord_id for a in after.seen if isinstance(a, Restated)] == ["S"]
    assert after.ask(cancel("C", "G")) == ["Canceled/CANCELED (C,G) 5 0/0"]


def test_a_market_that_goes_on_after_the_day_expires_its_day_orders():
    """What is good till a date stays; the rest is told as expired."""
    hours = SessionHours(open="13:30", close="13:31")
    first = Exchange(scenario(FEW, hours, ONE))
    seen = [*first.submit(T0, new("D", BUY, 100, "150")), *first.submit(T0, wish("G", BUY, 100, "150", expire_ts=GOOD_TILL_CANCEL))]
    after = Exchange(scenario(FEW, hours, ONE))
    assert told(after.restore(T0 + 2 * MINUTE, [a for a in seen if hasattr(a, "exec_id")])) == ["Expired/EXPIRED (D) 100 0/0"]
    assert told(after.submit(T0 + 2 * MINUTE, cancel("C", "G"))) == ["Canceled/CANCELED (C,G) 100 0/0"]


def test_the_same_seed_gives_the_same_fix_tape_with_every_rule_on():
    """Two markets of cfg/sim-venues.toml, one script of orders, cancels and faults: every message alike; another seed, another tape."""

    def tape(seed):
        exchange = Exchange(load(ROOT / "cfg" / "sim-venues.toml"), seed)
        stage, out = Stage(exchange), exchange.advance(T0)
        stage.run(T0, Script(faults=[Fault(kind="flash_crash", symbol="AAPL", share=0.06, seconds=20, at_s=5), Fault(kind="bust", at_s=9)]))
        rng = random.Random(8)
        for n in range(60):
            ts = T0 + n * SECOND // 2
            out += stage.advance(ts)
            side, px_ = rng.choice([BUY, SELL]), f"{197 + rng.randint(-300, 300) / 100:g}"
            out += exchange.submit(ts, wish(f"X{n}", side, 400, px_, display_qty=rng.choice([-1, 0, 100]), venue=rng.choice(["XLIT1", "XLIT2"])))
        return [report(a, exchange.instruments) if isinstance(a, AnyReport) else repr(a) for a in out]

    assert tape(7) == tape(7)
    assert tape(7) != tape(8)


def test_cod_1_a_market_that_died_has_broken_every_session():
    """Who wants his orders canceled on disconnect finds them canceled; another's stand."""
    street = Street(quiet(clients=[ClientConfig(name="ALGO", cancel_on_disconnect=True)]))
    street.ask(new("A", BUY, 100, "50"))
    street.ask(new("O", BUY, 100, "50", client="OTHER"))
    after = Exchange(street.exchange.config, sources={"AAPL": quiet().source("AAPL")})
    assert told(after.restore(street.ts, [a for a in street.seen if hasattr(a, "exec_id")])) == ["Canceled/CANCELED (A) 100 0/0"]
    after.advance(street.ts)
    assert after.book("XLIT1", "AAPL")[0] == ((px("50"), 100),)
