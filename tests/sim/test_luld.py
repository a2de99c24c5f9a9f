"""Price bands, pauses, reopening auctions and published imbalances: see algoserver/sim/luld.py and auctions.py."""

import msgspec

from algoserver.domain.types import MINUTE, SECOND, OrdType, Side, TimeInForce, px
from algoserver.sim.book import Book, Order
from algoserver.sim.codec import split
from algoserver.sim.config import HaltConfig, LuldConfig, SessionHours, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.luld import Luld
from algoserver.sim.marketdata import MarketData
from algoserver.sim.reports import Imbalance, SecurityStatus, Trade, TradePrint
from algoserver.sim.source import FOREVER
from tests.sim.street import AAPL, ONE, T0, cancel, new, scenario, told, wish

BUY, SELL = Side.BUY, Side.SELL
AUCTION = [VenueConfig(name="XLIT1", share=1.0, auctions=True)]
BOTH = [VenueConfig(name="XLIT1", share=0.6, auctions=True), VenueConfig(name="XLIT2", share=0.4)]
FEW = {"trade_qty": 50_000, "book_events_per_s": 2.0, "opening_share": 0.01, "closing_share": 0.02}  # so that a day takes no time
SELDOM = msgspec.structs.replace(AAPL, **FEW)
CALLED = msgspec.structs.replace(AAPL, opening_share=0.01, closing_share=0.02)


def bound(band=0.02, venues=AUCTION, imbalance_s=0, **more) -> Exchange:
    """A crowd in AAPL with a price band."""
    made = scenario(CALLED, venues=venues)
    entry = msgspec.structs.replace(made.instruments[0], luld=LuldConfig(band=band, limit_s=5, pause_s=30, **more))
    return Exchange(msgspec.structs.replace(made, instruments=[entry], imbalance_s=imbalance_s))


def test_luld_1_the_reference_is_the_mean_of_trades_and_moves_by_a_hundredth():
    """A window of 10 s; a band of 10 % to whole ticks inwards."""
    book = Book()
    luld = Luld(LuldConfig(band=0.1, window_s=10), 10, [book])
    assert luld.traded(0, 1_000) == (900, 1_100) == book.band
    assert luld.traded(SECOND, 1_018) is None
    assert luld.traded(2 * SECOND, 1_100) == (940, 1_140)
    assert luld.traded(13 * SECOND, 1_205) == (1_090, 1_320)
    luld.clear()
    assert (book.band, luld.next_ts()) == (None, FOREVER)


def test_luld_2_nothing_trades_outside_the_band_and_an_order_beyond_rests_at_its_edge():
    book = Book()
    book.band = (90, 110)
    for price in (105, 111):
        book.rest(Order(-1, price, 100))
    high = Order(1, 120, 150)
    fills = book.enter(high)
    assert [(f.px, f.qty) for f in fills] == [(105, 100)]
    assert (high.px, high.leaves) == (110, 50)
    assert book.take(1, 10) == []
    low = Order(-1, 80, 10)
    assert [f.px for f in book.enter(low)] == [110]
    book.confine((80, 100))
    assert (high.px, book.top()) == (100, (((100, 40),), ((111, 100),)))


def test_luld_3_luld_4_a_limit_state_that_lasts_pauses_and_reopens_by_auction():
    """A buyer without end takes the price to the upper edge: pause after 5 s; who may wait is taken; the auction trades after 30 s."""
    exchange = bound()
    exchange.advance(T0 + SECOND)
    high = exchange.source("AAPL").books["XLIT1"].band[1]
    out = exchange.submit(T0 + SECOND, new("B", BUY, 10_000_000, "400"))
    bought = [a for a in out if isinstance(a, Trade)]
    assert bought
    assert all(t.last_px <= high for t in bought)
    assert exchange.book("XLIT1", "AAPL")[0][0][0] == high
    out = exchange.advance(T0 + 7 * SECOND)
    (paused,) = [a for a in out if isinstance(a, SecurityStatus) and a.is_halted]
    assert (paused.ts, paused.text) == (T0 + 6 * SECOND, "LULD pause")
    assert told(exchange.submit(T0 + 8 * SECOND, new("M", BUY, 100))) == ["Rejected/REJECTED (M) 100 0/0"]
    assert told(exchange.submit(T0 + 8 * SECOND, new("S", SELL, 5_000, "190"))) == ["New/NEW (S) 5000 0/5000"]
    assert exchange.phases.name("AAPL") == "paused"
    out = exchange.advance(T0 + 36 * SECOND)
    sold = [a for a in out if isinstance(a, Trade) and a.cl_ord_id == "S"]
    assert [(t.ts, t.ord_status.name, t.last_liquidity_ind) for t in sold] == [(T0 + 36 * SECOND, "FILLED", 0)]
    assert exchange.phases.name("AAPL") == "continuous"


def test_luld_3_who_comes_back_into_the_band_is_not_paused():
    exchange = bound()
    exchange.advance(T0 + SECOND)
    exchange.submit(T0 + SECOND, new("B", BUY, 10_000_000, "400"))
    exchange.submit(T0 + 4 * SECOND, new("S", SELL, 20_000_000, "1", client="OTHER", tif=TimeInForce.IOC))
    assert not [a for a in exchange.advance(T0 + 8 * SECOND) if isinstance(a, SecurityStatus) and a.is_halted]


def test_luld_5_bands_and_pauses_are_told_to_who_asks():
    exchange = bound()
    out = exchange.advance(T0 + SECOND)
    data = MarketData(exchange, SECOND)
    data.watch(T0 + SECOND, "S", "XLIT1", split("324=s\x0155=AAPL\x01263=1\x01"))
    [(_, body)] = data.statuses([a for a in out if isinstance(a, SecurityStatus)])
    fields = dict(split(body))
    assert (fields["326"], px(fields["333"]) < px("197.9") < px(fields["332"])) == ("6", True)
    exchange.submit(T0 + SECOND, new("B", BUY, 10_000_000, "400"))
    said = [dict(split(b)) for _, b in data.statuses([a for a in exchange.advance(T0 + 7 * SECOND) if isinstance(a, SecurityStatus)])]
    assert ("2", "LULD pause") in [(f["326"], f.get("58")) for f in said]


def test_auc_2_ownership_icebergs_and_gtd_hold_in_a_reopening():
    """What rests takes part with all it has and goes back behind its tip, an iceberg good till a date as one."""
    made = scenario(CALLED, venues=AUCTION)
    exchange = Exchange(msgspec.structs.replace(made, halts=[HaltConfig(symbol="AAPL", begin="13:31:00", seconds=30)]))
    exchange.advance(T0)
    until = T0 + 92 * SECOND
    exchange.submit(T0, wish("I", BUY, 5_000_000, "190", display_qty=100, expire_ts=until))
    exchange.submit(T0, new("B", BUY, 1_000, "180"))
    exchange.advance(T0 + MINUTE)
    # With the price far below, the reopening trades with them.
    exchange.source("AAPL").shift(0.9)
    out = exchange.advance(T0 + 90 * SECOND)
    traded = {a.cl_ord_id: a for a in out if isinstance(a, Trade) and a.last_liquidity_ind == 0}
    assert traded["I"].client == "ALGO"
    assert 0 < traded["I"].last_qty < 5_000_000
    (uncrossed,) = {a.last_px for a in traded.values()}
    assert uncrossed <= px("190")
    (first,) = [a for a in out if isinstance(a, TradePrint) and a.px == uncrossed and a.ts == T0 + 90 * SECOND][:1]
    assert first.qty >= sum(t.last_qty for t in traded.values())
    order = exchange.counter.blotter.find("XLIT1", "ALGO", "I")
    assert order.cum_qty == sum(a.last_qty for a in out if isinstance(a, Trade) and a.cl_ord_id == "I")
    assert order.leaves_qty() == order.resting.open_qty()
    assert order.resting.leaves <= 100
    assert [line for line in told(exchange.advance(until)) if line.startswith("Expired") and "(I)" in line]


def test_auc_1_what_rested_over_night_is_in_the_opening_call_with_its_owner():
    hours = SessionHours(open="13:30", close="13:31")
    exchange = Exchange(scenario(SELDOM, hours, AUCTION))
    day = 86_400 * SECOND
    exchange.submit(T0, wish("G", SELL, 1_000, "250", expire_ts=T0 + 3 * day, display_qty=100))
    exchange.advance(T0 + day - MINUTE)
    exchange.source("AAPL").shift(1.4)
    out = exchange.advance(T0 + day)
    (fill,) = [a for a in out if isinstance(a, Trade) and a.last_liquidity_ind == 0]
    assert (fill.client, fill.cl_ord_id, fill.last_qty, fill.ord_status.name) == ("ALGO", "G", 1_000, "FILLED")


def test_auc_3_what_sleeps_or_is_pegged_takes_no_part_in_a_reopening():
    """A stop and a peg that would trade at any price of the auction, and do not."""
    made = scenario(CALLED, venues=AUCTION)
    exchange = Exchange(msgspec.structs.replace(made, halts=[HaltConfig(symbol="AAPL", begin="13:31:00", seconds=30)]))
    exchange.advance(T0)
    exchange.submit(T0, wish("S", BUY, 1_000, "400", stop_px="399"))
    exchange.submit(T0, wish("P", BUY, 1_000, "150", ord_type=OrdType.PEGGED, peg="R"))
    out = exchange.advance(T0 + 90 * SECOND)
    assert [a for a in out if isinstance(a, TradePrint) and a.ts == T0 + 90 * SECOND]
    assert not [a for a in out if isinstance(a, Trade)]
    assert told(exchange.submit(T0 + 91 * SECOND, cancel("C", "S"))) == ["Canceled/CANCELED (C,S) 1000 0/0"]


def test_imb_1_what_an_auction_would_come_to_is_published_before_it():
    """The last word before the close is its result, when nothing came after; buyers and sellers of a surplus are told apart."""
    exchange = Exchange(msgspec.structs.replace(scenario(SELDOM, SessionHours(open="13:30", close="13:31"), AUCTION), imbalance_s=20))
    exchange.advance(T0)
    exchange.submit(T0, new("C", BUY, 90_000, tif=TimeInForce.AT_CLOSE))
    out = exchange.advance(T0 + MINUTE)
    published = [a for a in out if isinstance(a, Imbalance)]
    assert [a.ts - T0 for a in published] == [s * SECOND for s in (40, 45, 50, 55)]
    assert all(a.is_close for a in published)
    held = [a for a in out if isinstance(a, TradePrint)][-1]
    assert (held.px, held.qty) == (published[-1].px, published[-1].volume)
    data = MarketData(exchange, SECOND)
    data.request(T0 + MINUTE, "S", "XLIT1", split("262=m\x01263=1\x01264=1\x01265=0\x01267=1\x01269=A\x01146=1\x0155=AAPL\x01"))
    data.watch(T0 + MINUTE, "S", "XLIT1", split("324=s\x0155=AAPL\x01263=1\x01"))
    update, status = (split(body) for _, body in data.imbalances(published[:1]))
    assert [v for t, v in update if t == "269"] == ["A", "B"]
    assert dict(status)["326"] == ("9" if published[0].surplus > 0 else "10")


def test_imb_1_a_pause_publishes_too():
    exchange = bound(imbalance_s=10)
    exchange.advance(T0 + SECOND)
    exchange.submit(T0 + SECOND, new("B", BUY, 10_000_000, "400"))
    published = [a for a in exchange.advance(T0 + 37 * SECOND) if isinstance(a, Imbalance)]
    assert [a.ts - T0 for a in published] == [30 * SECOND, 35 * SECOND]
    assert all(a.surplus > 0 for a in published)


def test_luld_4_a_halt_that_is_ordered_in_a_pause_takes_no_orders():
    """The halt holds; when it is resumed, the market reopens once."""
    exchange = bound()
    exchange.advance(T0 + SECOND)
    exchange.pause(T0 + SECOND, "AAPL", 30)
    assert told(exchange.submit(T0 + 2 * SECOND, new("A", SELL, 100, "190"))) == ["New/NEW (A) 100 0/100"]
    exchange.halt(T0 + 3 * SECOND, "AAPL")
    assert told(exchange.submit(T0 + 4 * SECOND, new("B", SELL, 100, "190"))) == ["Rejected/REJECTED (B) 100 0/0"]
    assert told(exchange.advance(T0 + 40 * SECOND)) == []
    assert told(exchange.resume(T0 + 41 * SECOND, "AAPL")) == ["Trade/FILLED (A) 100 100/0"]


def test_where_no_venue_reopens_by_auction_orders_wait_in_no_pause():
    exchange = bound(venues=ONE)
    exchange.advance(T0 + SECOND)
    exchange.submit(T0 + SECOND, new("B", BUY, 10_000_000, "400"))
    exchange.advance(T0 + 7 * SECOND)
    refused = exchange.submit(T0 + 8 * SECOND, new("S", SELL, 100, "190"))
    assert (refused[0].ord_rej_reason, "paused" in refused[0].text) == (2, True)


def test_a_pause_ends_with_the_day():
    """Day orders expire at the close, and the next day opens as ever."""
    made = scenario(SELDOM, SessionHours(open="13:30", close="13:31"), BOTH)
    entry = msgspec.structs.replace(made.instruments[0], luld=LuldConfig(band=0.02, limit_s=5, pause_s=120))
    exchange = Exchange(msgspec.structs.replace(made, instruments=[entry]))
    exchange.advance(T0 + 30 * SECOND)
    exchange.submit(T0 + 30 * SECOND, new("B", BUY, 10_000_000, "400"))
    assert told(exchange.advance(T0 + MINUTE))[-1].startswith("Expired")
    exchange.advance(T0 + 86_400 * SECOND + SECOND)
    assert exchange.book("XLIT1", "AAPL")[0]
