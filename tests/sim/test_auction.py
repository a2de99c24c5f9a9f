"""Call auctions: the price that trades the most, who gets filled, and what becomes of clients' orders around them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.domain.types import MINUTE, SECOND, Side, TimeInForce
from algoserver.sim.auction import AT_ANY_PRICE, Call, clearing_price
from algoserver.sim.book import Order
from algoserver.sim.config import SessionHours, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Trade, TradePrint
from algoserver.sim.volume import recorded_bins
from tests.sim.street import AAPL, T0, cancel, new, replace, scenario, told

BUY, SELL = Side.BUY, Side.SELL
AT_OPEN, AT_CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE
CALLING = [VenueConfig(name="XLIT1", share=0.6, auctions=True), VenueConfig(name="XLIT2", share=0.4)]
MINUTE_LONG = SessionHours(open="13:30", close="13:31")
CLOSE = T0 + 60 * SECOND

ORDERS = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.one_of(st.none(), st.integers(90, 110)), st.integers(1, 1_000)), min_size=1, max_size=12
)


def made(orders) -> list[Order]:
    return [Order(sign, AT_ANY_PRICE[sign] if px is None else px, qty) for sign, px, qty in orders]


@given(ORDERS, st.integers(90, 110))
def test_the_price_trades_the_most_and_nobody_trades_beyond_his_limit(orders, reference):
    """No price of all would trade more; both sides trade the same; better prices first; market orders are never left behind limits."""
    call = Call()
    mine = made(orders)
    for order in mine:
        call.join(order)
    before = [o.leaves for o in mine]
    done = call.uncross([], reference)

    def tradable(px: int) -> int:
        return min(sum(o.leaves for o in made(orders) if o.sign == s and (o.px - px) * s >= 0) for s in (1, -1))

    assert done.volume == max(tradable(px) for px in range(89, 112))
    for sign in (1, -1):
        assert sum(f.qty for f in done.fills if f.order.sign == sign) == done.volume
        filled = [o for o, was in zip(mine, before, strict=True) if o.sign == sign and o.leaves < was]
        waiting = [o for o in mine if o.sign == sign and o.leaves]
        assert all((f.px - done.px) * sign >= 0 for f in filled)
        assert all((f.px - w.px) * sign >= 0 for f in filled for w in waiting if f is not w)
    assert [was - o.leaves for o, was in zip(mine, before, strict=True)] == [sum(f.qty for f in done.fills if f.order is o) for o in mine]
    assert call.orders == []


@pytest.mark.parametrize(
    ("orders", "reference", "expected"),
    [
        ([(1, 101, 100), (-1, 99, 100)], 100, (100, 100, 0)),  # any price from 99 to 101 will do: the reference
        ([(1, 101, 300), (-1, 99, 100), (-1, 101, 100)], 99, (101, 200, 100)),  # the most volume, though far
        ([(1, 101, 100), (1, 100, 50), (-1, 99, 100)], 99, (101, 100, 0)),  # as much volume, but less left behind
        ([(1, None, 100), (-1, None, 70)], 100, (100, 70, 30)),  # nobody names a price
        ([(1, 99, 100), (-1, 101, 100)], 100, (100, 0, 0)),  # nothing crosses
    ],
)
def test_a_call_by_hand(orders, reference, expected):
    """The rules in their order: volume, surplus, distance."""
    assert clearing_price(made(orders), reference) == expected


def test_the_first_of_equals_is_filled_first():
    """Time decides within a price."""
    call, first, second = Call(), Order(1, 100, 60), Order(1, 100, 60)
    call.join(first)
    call.join(second)
    call.uncross([Order(-1, 100, 70)], 100)
    assert (first.leaves, second.leaves) == (0, 50)


@pytest.fixture
def exchange() -> Exchange:
    """A minute of trading that opens and closes with auctions at XLIT1."""
    flow = msgspec.structs.replace(AAPL, opening_share=0.01, closing_share=0.08)
    return Exchange(scenario(flow, MINUTE_LONG, CALLING))


def test_orders_for_the_close_meet_the_crowd_in_one_print(exchange):
    """A market order is filled, a limit that nobody meets expires; both at the close, with the auction's price on one print."""
    exchange.advance(T0 - SECOND)
    prints = [a for a in exchange.advance(T0) if isinstance(a, TradePrint)]
    assert [p.venue for p in prints] == ["XLIT1"]  # the opening
    assert told(exchange.submit(T0 + SECOND, new("M", BUY, 10_000, tif=AT_CLOSE))) == ["New/NEW (M) 10000 0/10000"]
    assert told(exchange.submit(T0 + SECOND, new("L", BUY, 500, "150", tif=AT_CLOSE))) == ["New/NEW (L) 500 0/500"]
    assert told(exchange.advance(CLOSE - 1)) == []
    answers = exchange.advance(CLOSE)
    assert told(answers)[-1] == "Expired/EXPIRED (L) 500 0/0"
    fills = [a for a in answers if isinstance(a, Trade)]
    assert (sum(f.last_qty for f in fills), {f.cl_ord_id for f in fills}) == (10_000, {"M"})
    [auction] = [a for a in answers if isinstance(a, TradePrint)]
    assert ({f.last_px for f in fills}, {f.last_liquidity_ind for f in fills}) == ({auction.px}, {0})
    day = sum(recorded_bins("AAPL", AAPL.day))
    assert 0.04 * day < auction.qty < 0.16 * day  # 0.08 is expected; half or twice that is three and a half deviations off


def test_an_order_for_an_auction_can_be_changed_and_withdrawn_until_then(exchange):
    """G and F as on the book; after a replace the new quantity and limit meet."""
    exchange.advance(T0)
    exchange.submit(T0 + 1, new("A", BUY, 1_000, "300", tif=AT_CLOSE))
    exchange.submit(T0 + 1, new("B", BUY, 1_000, "300", tif=AT_CLOSE))
    assert told(exchange.submit(T0 + 2, cancel("A2", "A"))) == ["Canceled/CANCELED (A2,A) 1000 0/0"]
    assert told(exchange.submit(T0 + 2, replace("B2", "B", 400, "301", tif=AT_CLOSE))) == ["Replaced/NEW (B2,B) 400 0/400"]
    assert told(exchange.submit(T0 + 3, replace("B3", "B2", 400, "301"))) == ["CxlRej/NEW (B3,B2) 99"]
    assert told(exchange.advance(CLOSE)) == ["Trade/FILLED (B2) 400 400/0"]


def test_an_auction_takes_what_is_sent_for_it_alone(exchange):
    """At the open before the open, at the close before the close, and where there are auctions."""
    assert told(exchange.submit(T0 - SECOND, new("O", BUY, 100, "300", tif=AT_OPEN))) == ["New/NEW (O) 100 0/100"]
    assert exchange.submit(T0 - SECOND, new("C", BUY, 100, "300", tif=AT_CLOSE))[-1].ord_rej_reason == 2
    assert told(exchange.advance(T0)) == ["Trade/FILLED (O) 100 100/0"]
    assert exchange.submit(T0 + 1, new("P", BUY, 100, "300", tif=AT_OPEN))[-1].ord_rej_reason == 2
    assert exchange.submit(T0 + 1, new("Q", BUY, 100, "300", tif=AT_CLOSE, venue="XLIT2"))[-1].ord_rej_reason == 11


def test_a_market_that_is_always_open_or_began_late_has_no_such_auction():
    """Midnight is no close; a simulator that is started at noon has missed the opening."""
    flow = msgspec.structs.replace(AAPL, opening_share=0.01, closing_share=0.08)
    always = Exchange(scenario(flow, SessionHours(), CALLING))
    assert always.submit(T0, new("A", BUY, 100, "300", tif=AT_CLOSE))[-1].ord_rej_reason == 11
    late = Exchange(scenario(flow, SessionHours(open="13:30", close="20:00"), CALLING))
    late.advance(T0 + 60 * MINUTE - SECOND)
    assert [a for a in late.advance(T0 + 60 * MINUTE) if isinstance(a, TradePrint) and a.qty > 100_000] == []


def test_auctions_leave_the_continuous_market_as_it_was():
    """The crowd of the calls draws from its own generator: with and without auctions the books are the same."""
    flow = msgspec.structs.replace(AAPL, opening_share=0.01, closing_share=0.08)
    tapes = []
    for venues in (CALLING, [msgspec.structs.replace(v, auctions=False) for v in CALLING]):
        market = Exchange(scenario(flow, MINUTE_LONG, venues))
        market.advance(T0)
        tapes.append([a for a in market.advance(CLOSE - 1) if isinstance(a, TradePrint)])
    assert tapes[0] == tapes[1]
    assert tapes[0]
