"""What a venue promises its clients, where the crowd reacts: terms, halts and faults as with any crowd, or a refusal in words."""

import random

import msgspec
import pytest

from algoserver.domain.types import MINUTE, SECOND, OrdType, Side, TimeInForce, px, px_text
from algoserver.settings import BadConfig
from algoserver.sim.book import Book, Order
from algoserver.sim.config import InstrumentConfig, LuldConfig, Scenario, VenueConfig, load
from algoserver.sim.exchange import Exchange
from algoserver.sim.fast_book import FastBook, Shelf
from algoserver.sim.faults import Fault, Script
from algoserver.sim.fees import NEITHER
from algoserver.sim.reports import GOOD_TILL_CANCEL, Canceled, Rejected, Trade, TradePrint
from algoserver.sim.selftrade import Screen
from algoserver.sim.stage import Stage
from tests.sim.street import OPEN, T0, new, rewish, told, wish
from tests.sim.test_reacting import NOON, ROOT, middle, scenario, started

BUY, SELL = Side.BUY, Side.SELL
AAPL = {"symbol": "AAPL"}


def thinner(**crowd: object) -> Scenario:
    """A twentieth of the events, so that it is quick event by event too."""
    return scenario(unit_qty=8_000, **crowd)


def at(exchange: Exchange, side: int, venue: str = "XLIT1") -> int:
    return exchange.book(venue, "AAPL")[side][0][0]


@pytest.mark.parametrize("more", [{"display_qty": 400}, {"display_qty": 0}, {"display_qty": 0, "min_qty": 400}])
def test_rct_1_what_would_hide_is_refused_in_words(more):
    """Icebergs, hidden orders, and MinQty of what rests, which is hidden; new or by a replace, where the first order stands."""
    exchange = started(thinner())
    [said] = [a for a in exchange.submit(NOON, wish("A", BUY, 8_000, "100", **more)) if isinstance(a, Rejected)]
    assert (said.ord_rej_reason, said.text[:10]) == (11, "DisplayQty")
    shown = wish("B", BUY, 8_000, "100")
    assert told(exchange.submit(NOON, shown)) == ["New/NEW (B) 8000 0/8000"]
    hidden = wish("x", BUY, 8_000, "100", **more)
    changed = rewish("C", "B", shown, terms=hidden.terms, min_qty=hidden.min_qty)
    assert told(exchange.submit(NOON, changed)) == ["CxlRej/NEW (C,B) 99"]


def test_rct_1_a_price_band_is_refused_by_the_scenario(tmp_path):
    text = (ROOT / "cfg" / "sim-reacting.toml").read_text()
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace("[instruments.reacting]", "luld = {band = 0.05}\n[instruments.reacting]", 1))
    with pytest.raises(BadConfig, match=r"wrong\.toml: instruments 'GE'.*`luld` needs `flow`"):
        load(path)
    crowd = scenario().instruments[0].reacting
    with pytest.raises(ValueError, match="`luld` needs `flow`"):
        InstrumentConfig(symbol="AAPL", tick="0.01", reacting=crowd, luld=LuldConfig(band=0.05))


def test_a_stop_wakes_at_the_print_that_meets_it():
    """The market runs alone no further than that: the stop trades at the time of the venue's first print there."""
    exchange = started(thinner())
    stop_px = at(exchange, 0) - px("0.10")
    exchange.submit(NOON, wish("S", SELL, 8_000, stop_px=px_text(stop_px)))
    answers = exchange.advance(NOON + 60 * MINUTE)
    [met, *_] = [a.ts for a in answers if isinstance(a, TradePrint) and a.venue == "XLIT1" and a.px <= stop_px]
    assert {a.ts for a in answers if getattr(a, "client", "") == "ALGO"} == {met}
    assert told(answers)[0] == "Restated/NEW (S) 8000 0/8000"
    assert told(answers)[-1].startswith(("Trade/FILLED", "Canceled/"))


@pytest.mark.parametrize("peg", ["R", "M"])
def test_peg_3_a_peg_follows_every_move_of_what_others_show(peg):
    """After each event it stands where its price is, also when a part of it is filled."""
    exchange = started(thinner())
    exchange.submit(NOON, wish("P", BUY, 80_000, ord_type=OrdType.PEGGED, peg=peg, peg_offset="-0.01"))
    [order] = exchange.counter.lit.pegged["AAPL"]
    books, seen = exchange.source("AAPL").books, set()
    while order.leaves_qty() and exchange.now() < NOON + MINUTE:
        exchange.advance(exchange.next_ts())
        bids, asks = ([p for b in books.values() if (p := b.best_px(sign)) is not None] for sign in (1, -1))
        if bids and asks:
            base = max(bids) if peg == "R" else (max(bids) + min(asks)) // 2
            assert order.resting.px == (base - px("0.01")) // px("0.01") * px("0.01")
            seen.add(order.resting.px)
    assert len(seen) > 2


def test_post_only_min_qty_and_good_till_cancel_hold():
    exchange = started(thinner())
    offer, held = at(exchange, 1), exchange.book("XLIT1", "AAPL")[1][0][1]
    crossing = msgspec.structs.replace(wish("A", BUY, 8_000, "1", is_post_only=True), px=offer)
    assert told(exchange.submit(NOON, crossing)) == ["Rejected/REJECTED (A) 8000 0/0"]
    wanted = msgspec.structs.replace(wish("B", BUY, held + 8_000, "1", tif=TimeInForce.IOC, min_qty=held + 1), px=offer)
    assert told(exchange.submit(NOON, wanted))[1:] == [f"Canceled/CANCELED (B) {held + 8000} 0/0"]
    enough = msgspec.structs.replace(wish("C", BUY, held + 8_000, "1", tif=TimeInForce.IOC, min_qty=held), px=offer)
    assert told(exchange.submit(NOON, enough))[-1] == f"Canceled/CANCELED (C) {held + 8000} {held}/0"
    exchange.submit(NOON, wish("D", BUY, 8_000, "100", expire_ts=GOOD_TILL_CANCEL))
    _, closes = exchange.config.session.window(NOON)
    assert told(exchange.advance(closes + SECOND)) == []
    assert exchange.book("XLIT1", "AAPL") == (((px("100"), 8_000),), ())


@pytest.mark.parametrize("mode", ["cancel_newest", "cancel_oldest", "cancel_both", "decrement"])
def test_both_books_prevent_self_trades_alike_seed_4(mode):
    """The same arrivals of four clients: fills, what was prevented and lost, and all queues."""
    rng, made = random.Random(4), []
    books = (Book(), FastBook(Shelf(["V"], 100, lambda qty, is_resting: None), 0))

    class Owner:
        def __init__(self, client: str):
            self.client = client

    lost = 0
    for name in range(1_500):
        sign, price, qty, owner = rng.choice((1, -1)), rng.randint(95, 105) * 100, rng.randint(1, 60), Owner(rng.choice("abcd"))
        tif = rng.choice((TimeInForce.DAY, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK))
        found = []
        for book in books:
            screen = Screen(mode, owner.client, book)
            fills = book.enter(Order(sign, price, qty, owner), tif, screen=screen)
            found.append(([(f.order.owner, f.px, f.qty) for f in fills], [(o.owner, n) for o, n in screen.prevented], screen.lost))
        assert found[0] == found[1], (mode, name)
        lost += bool(found[0][1] or found[0][2])
        made.append(owner)
        queues = [[(o.owner, o.px, o.leaves) for o in book.live()] for book in books]
        assert queues[0] == queues[1], (mode, name)
    assert lost > 50


def test_a_halt_that_an_operator_orders_ends_and_what_rests_stays():
    exchange = started(thinner())
    exchange.submit(NOON, new("A", BUY, 8_000, "100"))
    exchange.halt(NOON + SECOND, "AAPL", 30)
    answers = exchange.advance(NOON + 30 * SECOND)
    assert not [a for a in answers if isinstance(a, TradePrint)]
    assert exchange.book("XLIT1", "AAPL") == (((px("100"), 8_000),), ())
    assert [a for a in exchange.advance(NOON + 3 * MINUTE) if isinstance(a, TradePrint)]


def test_a_pause_takes_orders_and_reopens_by_auction():
    """A buyer and a seller of the pause meet at one price, before the crowd quotes again."""
    exchange = started(thinner())
    exchange.pause(NOON + SECOND, "AAPL", 30)
    exchange.submit(NOON + 2 * SECOND, new("B", BUY, 8_000, "250"))
    exchange.submit(NOON + 3 * SECOND, new("S", SELL, 8_000, "150", client="OTHER"))
    answers = exchange.advance(NOON + 32 * SECOND)
    [bought] = [a for a in answers if isinstance(a, Trade) and a.client == "ALGO"]
    assert (bought.ts, bought.last_qty, bought.last_liquidity_ind) == (NOON + 31 * SECOND, 8_000, NEITHER)
    assert not [o for o in exchange.counter.working("AAPL") if o.leaves_qty()]


def test_a_crash_and_a_drought_end_in_a_market_that_reacts():
    """The price falls by a fiftieth and comes back, the traded one too; the depth goes to a tenth and comes back."""
    exchange = started(scenario())
    stage = Stage(exchange)
    before, shown = middle(exchange), depth(exchange)
    stage.inject(NOON, Fault(kind="drought", seconds=20, share=0.1, **AAPL))
    assert 0 < depth(exchange) < 0.2 * shown
    stage.run(NOON, Script(faults=[Fault(kind="flash_crash", seconds=20, share=0.02, **AAPL)]))
    stage.advance(NOON + 15 * SECOND)
    exchange.advance(NOON + 15 * SECOND)
    assert middle(exchange) < 0.985 * before
    assert depth(exchange) < 0.4 * shown
    stage.advance(NOON + 30 * SECOND)
    exchange.advance(NOON + 5 * MINUTE)
    assert 0.99 * before < middle(exchange) < 1.01 * before
    assert depth(exchange) > 0.5 * shown


def depth(exchange: Exchange) -> int:
    return sum(q for v in ("XLIT1", "XLIT2") for side in exchange.book(v, "AAPL", 10) for _, q in side)


def test_a_crossed_book_is_crossed_and_the_crowd_ends_it():
    exchange = started(scenario())
    Stage(exchange).inject(NOON, Fault(kind="crossed_book", venue="XLIT1", **AAPL))
    assert at(exchange, 0) > at(exchange, 1, "XLIT2")
    exchange.advance(NOON + MINUTE)
    assert at(exchange, 0) < at(exchange, 1, "XLIT2")


@pytest.mark.parametrize("ts", [T0 - MINUTE, NOON])
def test_a_market_that_goes_on_begins_where_the_last_stood(ts):
    """Before the open and in the middle of a day; a client's order stands again, one that the book has no place for is canceled."""
    exchange = started(thinner(), ts)
    exchange.source("AAPL").shift(1.1)
    answers = exchange.submit(ts, wish("A", BUY, 8_000, "100", expire_ts=GOOD_TILL_CANCEL)) if ts == NOON else []
    after = Exchange(exchange.config, 2)
    ended = after.restore(ts, [a for a in answers if getattr(a, "client", "")])
    after.remember(exchange.mark(), ts)
    after.advance(ts)
    assert ended == []
    assert abs(after.source("AAPL").reference_px() - exchange.source("AAPL").reference_px()) <= px("0.02")
    if ts == NOON:
        assert after.book("XLIT1", "AAPL", 100)[0][-1] == (px("100"), 8_000)


def test_an_order_that_the_book_has_no_place_for_is_canceled_at_a_restart():
    """The scenario was changed meanwhile: what was an iceberg in another crowd's book is none here."""
    flow = load(ROOT / "cfg" / "sim.toml")
    [one] = [i for i in flow.instruments if i.symbol == "AAPL"]
    one = msgspec.structs.replace(one, luld=None)
    before = Exchange(Scenario(seed=1, session=OPEN, venues=[VenueConfig(name="XLIT1", share=1.0)], instruments=[one]))
    before.advance(T0)
    answers = before.submit(T0, wish("A", BUY, 800, "100", display_qty=100))
    after = Exchange(scenario())
    assert [type(a) for a in after.restore(T0 + SECOND, [a for a in answers if getattr(a, "client", "")])] == [Canceled]


def test_two_instruments_that_run_alone_are_told_in_order_seed_1():
    """The shipped market in one go and event by event, clients in the lit books, the dark and asleep: the same answers, in the order of time."""
    shipped = load(ROOT / "cfg" / "sim-reacting.toml")
    slow = [msgspec.structs.replace(i, reacting=msgspec.structs.replace(i.reacting, unit_qty=20 * i.reacting.unit_qty)) for i in shipped.instruments]
    config, until, found = msgspec.structs.replace(shipped, instruments=slow, session=OPEN), NOON + 10 * MINUTE, []
    for is_alone in (True, False):
        exchange = started(config)
        for symbol in ("GE", "AAPL"):
            bid, ask = (side[0][0] for side in exchange.book("XLIT1", symbol))
            exchange.submit(NOON, wish(f"R{symbol}", BUY, 8_000, px_text(bid), symbol=symbol))
            exchange.submit(NOON, wish(f"S{symbol}", BUY, 8_000, stop_px=px_text(ask + px("0.01")), symbol=symbol))
            exchange.submit(NOON, wish(f"D{symbol}", SELL, 80_000, ord_type=OrdType.PEGGED, peg="M", symbol=symbol, venue="XDARK1"))
        answers = []
        while exchange.now() < until:
            answers += exchange.advance(until if is_alone else min(exchange.next_ts(), until))
        assert [a.ts for a in answers] == sorted(a.ts for a in answers)
        assert len({a.cl_ord_id for a in answers if isinstance(a, Trade)}) >= 5
        found.append(sorted(msgspec.json.encode(a if isinstance(a, TradePrint) else msgspec.structs.replace(a, exec_id="")) for a in answers))
    assert found[0] == found[1]
