"""A single dealer, each rule under its id: see algoserver/sim/dealer.py."""

import pytest

from algoserver.domain.types import Side, TimeInForce, px
from algoserver.sim.codec import split
from algoserver.sim.config import DealerConfig, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.quotes import Quotes
from algoserver.sim.reports import QuoteRequest, Trade, TradePrint
from tests.sim.street import ONE, Street, cancel, new, quiet, replace, status, told, wish

BUY, SELL, IOC, FOK = Side.BUY, Side.SELL, TimeInForce.IOC, TimeInForce.FOK
MS = 1_000_000
SESSION = "FIX.4.4:XDEAL1->ALGO"


def street(**more) -> Street:
    """A dealer besides a quiet lit venue that stands at 50 to 50.02."""
    dealer = DealerConfig(**{"half_spread_ticks": 1, "quote_qty": 500, "valid_ms": 1_000, "hold_ms": 100, **more})
    s = Street(quiet(venues=[*ONE, VenueConfig(name="XDEAL1", kind="dealer", dealer=dealer)]))
    s.ask(new("b", BUY, 1_000, "50", client="OTHER"))
    s.ask(new("a", SELL, 1_000, "50.02", client="OTHER"))
    return s


def quoted(s, req_id="R1"):
    s.go(0)
    return s.exchange.quote(s.ts, QuoteRequest(venue="XDEAL1", client="ALGO", quote_req_id=req_id, symbol="AAPL"))


def take(quote, name="X", side=BUY, qty=100, **more):
    """An order on a quote."""
    price = quote.offer_px if side is BUY else quote.bid_px
    return wish(name, side, qty, f"{price / 1e8:g}", quote_id=quote.quote_id, **{"venue": "XDEAL1", "tif": FOK, **more})


def test_dlr_1_he_quotes_around_the_mid_rounded_away_from_it():
    s = street()
    quote = quoted(s)
    assert (quote.bid_px, quote.offer_px, quote.qty, quote.until_ts) == (px("50"), px("50.02"), 500, s.ts + 1_000 * MS)
    s.ask(new("c", BUY, 1, "50.01", client="OTHER"))
    assert (quoted(s).bid_px, quoted(s).offer_px) == (px("50"), px("50.03"))
    s.ask(new("d", BUY, 1_000, client="OTHER"))
    assert quoted(s) is None


def test_dlr_2_a_stream_tells_what_changed_and_what_gets_old_and_withdraws():
    """R, then S; the same price again only when half of its time is over; Z when there is none; the client's Z ends it."""
    s = street()
    s.go(0)
    quotes = Quotes(s.exchange, 100 * MS)
    asked = {"131": "R1", "55": "AAPL"}
    [first] = quotes.request(s.ts, SESSION, "XDEAL1", "ALGO", asked)
    assert {t: v for t, v in split(first) if t in ("35", "131", "132", "133", "134")} == {
        "35": "S", "131": "R1", "132": "50", "133": "50.02", "134": "500"
    }  # fmt: skip
    s.go(0.1)
    assert quotes.look(s.ts) == []
    s.go(0.5)
    [(_, renewed)] = quotes.look(s.ts)
    assert dict(split(renewed))["117"] != dict(split(first))["117"]
    s.ask(new("d", BUY, 1_000, client="OTHER"))
    s.go(0.1)
    [(session, gone)] = quotes.look(s.ts)
    assert (session, dict(split(gone))["35"], dict(split(gone))["117"]) == (SESSION, "Z", dict(split(renewed))["117"])
    assert quotes.cancel(SESSION, asked) == ""
    assert "no such stream" in quotes.cancel(SESSION, asked)


@pytest.mark.parametrize(
    ("venue", "fields", "reason"),
    [("XLIT1", {"131": "R", "55": "AAPL"}, "99"), ("XDEAL1", {"131": "R", "55": "NONE"}, "1"), ("XDEAL1", {"55": "AAPL"}, "99")],
)
def test_dlr_2_a_request_that_can_not_be_quoted_says_why(venue, fields, reason):
    s = street()
    s.go(0)
    [body] = Quotes(s.exchange, MS).request(s.ts, SESSION, venue, "ALGO", fields)
    assert (dict(split(body))["35"], dict(split(body))["658"]) == ("AG", reason)


def test_dlr_3_he_looks_before_he_trades_and_meanwhile_nothing_can_be_changed():
    s = street()
    order = take(quoted(s))
    assert s.ask(order) == ["PendingNew/PENDING_NEW (X) 100 0/100"]
    assert s.ask(cancel("C", "X", venue="XDEAL1")) == ["CxlRej/PENDING_NEW (C,X) 99"]
    assert s.ask(replace("G", "X", 50, "50.02", venue="XDEAL1")) == ["CxlRej/PENDING_NEW (G,X) 99"]
    assert s.ask(status("X", venue="XDEAL1")) == ["OrderStatus/PENDING_NEW (X) 100 0/100"]
    assert s.go(0.1) == ["New/NEW (X) 100 0/100", "Trade/FILLED (X) 100 100/0"]


def test_dlr_3_without_a_quote_an_order_takes_what_he_would_quote_within_its_limit():
    s = street()
    s.ask(new("X", SELL, 100, "50", IOC, venue="XDEAL1"))
    assert s.go(0.1)[-1] == "Trade/FILLED (X) 100 100/0"
    s.ask(new("Y", SELL, 100, "50.01", IOC, venue="XDEAL1"))
    assert s.go(0.1) == ["Rejected/REJECTED (Y) 100 0/0"]


def test_dlr_4_he_refuses_when_the_market_moved_against_him_and_not_when_it_moved_for_him():
    """The bid goes up by two ticks while he looks at a buyer and a seller: the buyer is refused, the seller is not."""
    s = street()
    s.ask(take(quoted(s, "R1"), "B"))
    s.ask(take(quoted(s, "R2"), "S", SELL))
    s.ask(new("a2", BUY, 1_000, "50.02", client="OTHER"))
    s.ask(new("a3", SELL, 1_000, "50.05", client="OTHER"))
    assert s.go(0.2) == ["Rejected/REJECTED (B) 100 0/0", "New/NEW (S) 100 0/100", "Trade/FILLED (S) 100 100/0"]
    rejected = next(a for a in s.seen if getattr(a, "cl_ord_id", "") == "B" and a.ord_status.name == "REJECTED")
    assert (rejected.ord_rej_reason, rejected.text) == (99, "last look: the market has moved")


def test_dlr_4_a_move_within_the_tolerance_is_his():
    s = street(tolerance_ticks=1)
    s.ask(take(quoted(s)))
    s.ask(new("c", BUY, 1, "50.01", client="OTHER"))
    assert s.go(0.2)[-1] == "Trade/FILLED (X) 100 100/0"
    (fill,) = [a for a in s.seen if isinstance(a, Trade) and a.client == "ALGO"]
    assert fill.last_px == px("50.02")


def test_dlr_4_stale_replaced_foreign_and_too_large_orders_are_refused_at_once():
    s = street()
    old = quoted(s)
    assert s.ask(take(old, "O", client="OTHER")) == []
    assert s.seen[-1].ord_rej_reason == 8
    newer = quoted(s)
    assert s.ask(take(old, "A")) == ["Rejected/REJECTED (A) 100 0/0"]
    assert s.ask(take(newer, "B", qty=501)) == ["Rejected/REJECTED (B) 501 0/0"]
    assert s.seen[-1].ord_rej_reason == 13
    assert s.ask(wish("P", BUY, 100, "50.01", venue="XDEAL1", tif=FOK, quote_id=newer.quote_id)) == ["Rejected/REJECTED (P) 100 0/0"]
    s.go(1)
    assert s.ask(take(newer, "C")) == ["Rejected/REJECTED (C) 100 0/0"]
    assert s.seen[-1].ord_rej_reason == 8


@pytest.mark.parametrize("more", [{"tif": TimeInForce.DAY}, {"min_qty": 10, "tif": IOC}, {"display_qty": 10, "tif": IOC}])
def test_adm_1_a_dealer_takes_no_order_that_rests_or_has_conditions(more):
    s = street()
    assert s.ask(wish("X", BUY, 100, "50.02", venue="XDEAL1", **more)) == ["Rejected/REJECTED (X) 100 0/0"]
    assert s.seen[-1].ord_rej_reason == 11


def test_dlr_5_he_is_the_other_side_and_what_he_does_is_not_printed():
    s = street()
    s.ask(new("X", BUY, 700, "50.02", IOC, venue="XDEAL1"))
    assert s.go(0.1) == ["New/NEW (X) 700 0/700", "Trade/PARTIALLY_FILLED (X) 700 500/200", "Canceled/CANCELED (X) 700 500/0"]
    (fill,) = [a for a in s.seen if isinstance(a, Trade) and a.client == "ALGO"]
    assert (fill.last_capacity, fill.last_liquidity_ind) == ("4", 2)
    assert not [a for a in s.seen if isinstance(a, TradePrint) and a.venue == "XDEAL1"]
    assert s.exchange.book("XDEAL1", "AAPL") == ((), ())


def test_dlr_6_what_he_was_asked_before_a_restart_is_canceled():
    s = street()
    s.ask(take(quoted(s)))
    after = Exchange(s.exchange.config, sources={"AAPL": quiet().source("AAPL")})
    ended = after.restore(s.ts, [a for a in s.seen if hasattr(a, "exec_id")])
    assert told(ended) == ["Canceled/CANCELED (X) 100 0/0"]
