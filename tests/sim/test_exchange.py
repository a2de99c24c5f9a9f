"""The life of client orders: rows of FIX 4.4 Appendix D for a venue that decides at once."""

import os
import subprocess
import sys

import pytest

from algoserver.domain.types import SECOND, Side, TimeInForce, px, utc
from algoserver.sim.config import SessionHours
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Canceled, New, Rejected, Report, Trade, TradePrint
from tests.sim.street import ADBE, T0, Street, cancel, new, quiet, replace, scenario, status, told

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def test_a_1_a_filled_order():
    street = Street()
    assert street.ask(new("X", BUY, 10_000, "50")) == ["New/NEW (X) 10000 0/10000"]
    assert street.fill(2_000) == ["Trade/PARTIALLY_FILLED (X) 10000 2000/8000"]
    assert street.fill(1_000) == ["Trade/PARTIALLY_FILLED (X) 10000 3000/7000"]
    assert street.fill(7_000) == ["Trade/FILLED (X) 10000 10000/0"]


def test_b_1_a_cancel_zero_filled():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    assert street.ask(cancel("Y", "X")) == ["Canceled/CANCELED (Y,X) 10000 0/0"]
    assert street.fill(100) == []


def test_b_1_c_cancel_after_the_fill_is_too_late():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(10_000)
    assert street.ask(cancel("Y", "X")) == ["CxlRej/FILLED (Y,X) 0"]


def test_b_1_f_cancel_of_an_unknown_order_does_not_consume_its_cl_ord_id():
    street = Street()
    assert street.ask(cancel("Y", "X")) == ["CxlRej/REJECTED (Y,X) 1"]
    assert street.ask(new("Y", BUY, 10_000, "50")) == ["New/NEW (Y) 10000 0/10000"]


def test_c_1_b_increase_part_filled():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(1_100)
    assert street.ask(replace("Y", "X", 12_000, "50")) == ["Replaced/PARTIALLY_FILLED (Y,X) 12000 1100/10900"]
    assert street.fill(10_900) == ["Trade/FILLED (Y) 12000 12000/0"]


def test_c_1_c_increase_of_a_filled_order_is_too_late():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(10_000)
    assert street.ask(replace("Y", "X", 12_000, "50")) == ["CxlRej/FILLED (Y,X) 0"]


@pytest.mark.parametrize(("filled", "expected"), [(1_600, "PARTIALLY_FILLED (Y,X) 7000 1600/5400"), (7_000, "FILLED (Y,X) 7000 7000/0")])
def test_c_3_a_and_b_decrease(filled, expected):
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(filled)
    assert street.ask(replace("Y", "X", 7_000, "50")) == [f"Replaced/{expected}"]


def test_c_3_c_decrease_below_cum_amends_the_quantity():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(8_000)
    assert street.ask(replace("Y", "X", 7_000, "50")) == ["Replaced/FILLED (Y,X) 8000 8000/0"]
    assert street.fill(100) == []


def test_d_2_a_chained_replaces_and_a_stale_one():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    assert street.ask(replace("Y", "X", 8_000, "50")) == ["Replaced/NEW (Y,X) 8000 0/8000"]
    assert street.ask(replace("Z", "Y", 7_000, "50")) == ["Replaced/NEW (Z,Y) 7000 0/7000"]
    assert street.ask(cancel("C", "X")) == ["CxlRej/NEW (C,X) 2"]


def test_f_1_a_duplicate_cl_ord_id_shows_the_first_order():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    street.fill(1_000)
    assert street.ask(new("X", BUY, 15_000, "50")) == ["Rejected/PARTIALLY_FILLED (X) 10000 1000/9000"]
    assert street.seen[-1].ord_rej_reason == 6


def test_f_1_b_poss_resend():
    street = Street()
    street.ask(new("X", BUY, 10_000, "50"))
    assert street.ask(new("X", BUY, 10_000, "50", is_poss_resend=True)) == ["OrderStatus/NEW (X) 10000 0/10000"]
    assert street.ask(new("Y", BUY, 10_000, "50", is_poss_resend=True)) == ["New/NEW (Y) 10000 0/10000"]


def test_g_1_status_throughout_life():
    street = Street()
    assert street.ask(status("X")) == ["OrderStatus/REJECTED (X) 0 0/0"]
    assert street.seen[-1].ord_rej_reason == 5
    street.ask(new("X", BUY, 10_000, "50"))
    assert street.ask(status("X")) == ["OrderStatus/NEW (X) 10000 0/10000"]
    assert street.seen[-1].text == "Nothing Done"
    street.fill(1_000)
    street.ask(replace("Y", "X", 9_000, "50"))
    assert street.ask(status("X")) == ["OrderStatus/PARTIALLY_FILLED (Y,X) 9000 1000/8000"]


def test_i_1_a_and_b_fok_and_ioc():
    street = Street()
    street.ask(new("S", SELL, 1_000, "50", client="OTHER"))
    assert street.ask(new("X", BUY, 10_000, "50", FOK)) == ["New/NEW (X) 10000 0/10000", "Canceled/CANCELED (X) 10000 0/0"]
    assert street.ask(new("Y", BUY, 10_000, "50", IOC)) == [
        "New/NEW (Y) 10000 0/10000",
        "Trade/PARTIALLY_FILLED (Y) 10000 1000/9000",
        "Canceled/CANCELED (Y) 10000 1000/0",
    ]


def test_a_market_order_takes_what_is_there_and_never_rests():
    street = Street()
    street.ask(new("S", SELL, 1_000, "50", client="OTHER"))
    assert street.ask(new("X", BUY, 1_500))[1:] == ["Trade/PARTIALLY_FILLED (X) 1500 1000/500", "Canceled/CANCELED (X) 1500 1000/0"]


REFUSED = [
    (new("X", BUY, 100, "50", symbol="NONE"), 1),
    (new("X", BUY, 0, "50"), 13),
    (new("X", BUY, -5, "50"), 13),
    (new("X", BUY, 100, "50.001"), 11),
    (new("X", BUY, 100, "-50"), 11),
]


@pytest.mark.parametrize(("request_", "reason"), REFUSED)
def test_a_refused_order_says_why_and_is_remembered(request_, reason):
    street = Street()
    assert street.ask(request_)[0].startswith("Rejected/REJECTED (X)")
    assert street.seen[-1].ord_rej_reason == reason
    assert street.seen[-1].text
    assert street.ask(status("X"))[0].startswith("OrderStatus/REJECTED (X)")


def test_a_replace_off_the_tick_is_refused_and_the_order_stands():
    street = Street()
    street.ask(new("X", BUY, 100, "50"))
    assert street.ask(replace("Y", "X", 100, "50.001")) == ["CxlRej/NEW (Y,X) 99"]
    assert street.fill(100) == ["Trade/FILLED (X) 100 100/0"]


def test_average_price_and_prints_of_a_sweep():
    """AvgPx is rounded once; the sweep prints each price once, and both sides are told of every fill."""
    street = Street()
    street.ask(new("S1", SELL, 100, "50", client="OTHER"))
    street.ask(new("S2", SELL, 100, "50", client="OTHER"))
    street.ask(new("S3", SELL, 100, "50.01", client="OTHER"))
    street.seen.clear()
    street.ask(new("X", BUY, 300, "50.01"))
    trades = [a for a in street.seen if isinstance(a, Trade)]
    assert [(t.last_qty, t.last_px, t.last_liquidity_ind) for t in trades if t.client == "ALGO"] == [
        (100, px("50"), 2), (100, px("50"), 2), (100, px("50.01"), 2)
    ]  # fmt: skip
    assert [t.cl_ord_id for t in trades if t.client == "OTHER"] == ["S1", "S2", "S3"]
    assert [t.avg_px for t in trades if t.client == "ALGO"][-1] == px("50.00333333")
    assert [(p.px, p.qty, p.side) for p in street.seen if isinstance(p, TradePrint)] == [(px("50"), 200, BUY), (px("50.01"), 100, BUY)]


def test_day_orders_expire_at_the_close_and_a_closed_market_refuses():
    """150=C at the close, 103=2 before the open and after the close, and the next day opens by itself."""
    exchange = Exchange(scenario(ADBE, SessionHours(open="13:30", close="13:31")))
    assert told(exchange.submit(T0 - SECOND, new("A", BUY, 1, "290", symbol="ADBE"))) == ["Rejected/REJECTED (A) 1 0/0"]
    exchange.submit(T0, new("B", BUY, 10, "290", symbol="ADBE"))
    answers = exchange.advance(T0 + 61 * SECOND)
    assert told(answers) == ["Expired/EXPIRED (B) 10 0/0"]
    assert exchange.book("XLIT1", "ADBE") == ((), ())
    assert exchange.submit(T0 + 62 * SECOND, new("C", BUY, 1, "290", symbol="ADBE"))[0].ord_rej_reason == 2
    assert told(exchange.submit(T0 + 62 * SECOND, cancel("D", "B", symbol="ADBE"))) == ["CxlRej/EXPIRED (D,B) 0"]
    assert isinstance(exchange.submit(T0 + 86_400 * SECOND, new("E", BUY, 1, "290", symbol="ADBE"))[0], New)


def test_always_open_rolls_over_at_midnight():
    """00:00 to 24:00: the day ends and begins in one moment; DAY orders expire, new ones are accepted at once."""
    exchange = Exchange(scenario(ADBE, SessionHours()))
    midnight = utc("20190629-00:00:00")
    exchange.submit(midnight - SECOND, new("A", BUY, 10, "290", symbol="ADBE"))
    assert told(exchange.submit(midnight, new("B", BUY, 10, "290", symbol="ADBE"))) == ["Expired/EXPIRED (A) 10 0/0", "New/NEW (B) 10 0/10"]


def test_an_order_that_joins_the_crowd_is_filled_passively():
    """Seed 7: an order at the best bid is filled by background sellers, and its fills are printed trades."""
    exchange = Exchange(scenario(seed=7))
    exchange.advance(T0)
    best = exchange.book("XLIT1", "AAPL")[0][0][0]
    order = new("P", BUY, 500, "1")
    exchange.submit(T0, type(order)(**{**{f: getattr(order, f) for f in order.__struct_fields__}, "px": best}))
    answers = exchange.advance(T0 + 120 * SECOND)
    mine = [a for a in answers if isinstance(a, Trade)]
    assert sum(t.last_qty for t in mine) == 500
    assert {(t.last_liquidity_ind, t.last_px) for t in mine} == {(1, best)}


def test_a_restored_market_cancels_what_was_live_and_goes_on_counting():
    """The reports alone bring back every order: final states, old ClOrdIDs, and ExecIDs that do not repeat."""
    street = Street()
    for request in (new("A", BUY, 100, "50"), new("B", BUY, 100, "49"), replace("B2", "B", 50, "49"), new("C", BUY, -1, "49")):
        street.ask(request)
    street.fill(100)
    past = [a for a in street.seen if not isinstance(a, TradePrint)]
    after = quiet(on_restart="cancel")
    canceled = after.restore(T0 + SECOND, past)
    assert told(canceled) == ["Canceled/CANCELED (B2) 50 0/0"]
    assert canceled[0].text == "venue restarted"
    requests = [status("A"), status("B"), *(new(name, BUY, 1, "1") for name in "ACD")]
    answers = [after.submit(T0 + SECOND, r)[0] for r in requests]
    assert told(answers) == [
        "OrderStatus/FILLED (A) 100 100/0",
        "OrderStatus/CANCELED (B2,B) 50 0/0",
        "Rejected/FILLED (A) 100 100/0",
        "Rejected/REJECTED (C) -1 0/0",
        "New/NEW (D) 1 0/1",
    ]
    exec_ids = [r.exec_id for r in past + canceled + answers if isinstance(r, Report)]
    assert len(exec_ids) == len(set(exec_ids))
    assert len({r.order_id for r in past if isinstance(r, New | Rejected)} | {answers[-1].order_id}) == 5


SCRIPT = """
import hashlib, msgspec
from algoserver.domain.types import SECOND, Side
from algoserver.sim.exchange import Exchange
from tests.sim.street import T0, new, cancel, scenario
exchange = Exchange(scenario(seed=11))
out = exchange.submit(T0, new("A", Side.BUY, 20_000, "197.80"))
out += exchange.submit(T0 + 7 * SECOND, new("B", Side.SELL, 3_000))
out += exchange.submit(T0 + 9 * SECOND, cancel("C", "A"))
out += exchange.advance(T0 + 30 * SECOND)
print(len(out), hashlib.sha256(msgspec.json.encode(out)).hexdigest())
"""


def test_seed_11_gives_the_same_tape_in_two_processes():
    """Neither the process nor PYTHONHASHSEED shows in the tape."""
    tapes = []
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT]
        tapes.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert tapes[0] == tapes[1]
    assert int(tapes[0].split()[0]) > 100


def test_advancing_in_one_step_or_in_many_is_the_same():
    """Seed 3: how often the caller looks does not change the market."""
    once, often = Exchange(scenario(seed=3)), Exchange(scenario(seed=3))
    assert once.advance(T0) == often.advance(T0)
    expected = once.advance(T0 + 20 * SECOND)
    got = []
    while often.next_ts() <= T0 + 20 * SECOND:
        got += often.advance(often.next_ts())
    assert got == expected
    assert not [a for a in got if isinstance(a, Canceled)]


def test_what_a_client_has_at_a_venue_ends_at_once_and_nothing_else_does():
    """His orders at another venue stay, and another client's; it is over for a cancel that comes later."""
    market = Exchange(scenario())
    for venue, client in (("XLIT1", "ALGO"), ("XLIT2", "ALGO"), ("XLIT1", "OTHER")):
        market.submit(T0, new("o1", Side.BUY, 100, "150", venue=venue, client=client))
    gone = market.end_client(T0, "XLIT1", "ALGO", "cancel on disconnect")
    assert [(a.venue, a.client, a.text) for a in gone] == [("XLIT1", "ALGO", "cancel on disconnect")]
    rests = (("XLIT1", "ALGO"), ("XLIT2", "ALGO"), ("XLIT1", "OTHER"))
    late = [told(market.submit(T0, cancel("c1", "o1", venue=v, client=c)), c)[0] for v, c in rests]
    assert [text.partition(" ")[0] for text in late] == ["CxlRej/CANCELED", "Canceled/CANCELED", "Canceled/CANCELED"]
    assert market.end_client(T0, "XLIT1", "ALGO", "cancel on disconnect") == []
