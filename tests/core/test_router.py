"""Which venue and how much: never more than asked, never beyond the limit, in lots."""

from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core import market as markets
from algoserver.core import router
from algoserver.core.market import Market, Quote
from algoserver.core.router import Route
from algoserver.domain.policy import Venue
from algoserver.domain.types import PX_ONE, Instrument, Side
from tests.core.day import AAPL, POLICY

CENT = PX_ONE // 100
BIG = 10**9
TENS = Instrument(symbol="AAPL", tick=CENT, lot=10, round_lot=100, qty_decimals=0, adv=1)
VENUES = [Venue("A"), Venue("B", fee_ppm=-20), Venue("C", fee_ppm=30)]

sizes = st.integers(0, 3_000)
prices = st.integers(19_990, 20_010).map(lambda cents: cents * CENT)
quotes = st.lists(st.tuples(st.sampled_from("ABC"), prices, sizes, prices, sizes), max_size=6)


def _market(rows: list[tuple[str, int, int, int, int]]) -> Market:
    market = Market("AAPL")
    for ts, (venue, bid, bid_qty, ask, ask_qty) in enumerate(rows, 1):
        markets.on_quote(market, venue, Quote(bid, bid_qty, ask, ask_qty, ts))
    return market


@settings(max_examples=200, deadline=None, derandomize=True)
@given(quotes, st.sampled_from(list(Side)), st.integers(1, 500).map(lambda n: n * 10), prices, st.integers(10, 4_000).map(lambda n: n * 10))
def test_taking_is_within_quantity_limit_size_and_lots(rows, side, quantity, limit, most):
    """Whatever the book shows."""
    market = _market(rows)
    routes = router.take(side, quantity, limit, market, VENUES, TENS, most)
    assert sum(r.quantity for r in routes) <= quantity
    for r in routes:
        quote = market.quotes[r.venue]
        shown_px, shown = (quote.ask_px, quote.ask_qty) if side is Side.BUY else (quote.bid_px, quote.bid_qty)
        assert r.price == shown_px
        assert (r.price - limit) * side.sign <= 0
        assert 0 < r.quantity <= min(shown, most)
        assert r.quantity % TENS.lot == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(quotes, st.sampled_from(list(Side)), st.integers(1, 5_000), prices, st.integers(1, 4_000))
def test_resting_is_all_of_the_quantity_at_the_price_unless_capped(rows, side, quantity, price, most):
    """Shares go in round lots to where the queue is; the longest queue gets what rounding left."""
    routes = router.rest(side, quantity, price, _market(rows), VENUES, TENS, most)
    assert all(r.price == price and 0 < r.quantity <= most for r in routes)
    assert len({r.venue for r in routes}) == len(routes)
    assert sum(r.quantity for r in router.rest(side, quantity, price, _market(rows), VENUES, TENS, BIG)) == quantity
    assert all(r.quantity % TENS.round_lot == 0 for r in routes[1:] if r.quantity < most)


def test_resting_goes_in_proportion_to_the_queues():
    """3000 at A and 1000 at B: 300 and 100."""
    market = _market([("A", 100, 3_000, 110, 1), ("B", 100, 1_000, 110, 1), ("C", 99, 9_000, 110, 1)])
    assert router.rest(Side.BUY, 400, 100, market, VENUES, AAPL, BIG) == [Route("A", 300, 100), Route("B", 100, 100)]


def test_resting_alone_goes_to_the_cheapest_venue():
    """Nobody shows the price: the rebate decides. No venue, no route."""
    assert router.rest(Side.BUY, 400, 100, _market([]), VENUES, AAPL, BIG) == [Route("B", 400, 100)]
    assert router.rest(Side.BUY, 400, 100, _market([]), [], AAPL, BIG) == []


def test_taking_pays_the_least_after_fees():
    """Same price everywhere: the rebate first, then the free one, then the fee."""
    px = 200 * PX_ONE
    market = _market([(v, px - CENT, 100, px, 100) for v in "ABC"])
    assert [r.venue for r in router.take(Side.BUY, 300, px, market, VENUES, AAPL, BIG)] == ["B", "A", "C"]
    market = _market([(v, px, 100, px + CENT, 100) for v in "ABC"])
    assert [r.venue for r in router.take(Side.SELL, 300, px, market, VENUES, AAPL, BIG)] == ["B", "A", "C"]


def test_taking_does_not_believe_a_quote_twice():
    """What was taken is gone from the book until its venue says so: simulated liquidity is not filled twice."""
    market = _market([("A", 99, 1, 100, 500)])
    assert router.take(Side.BUY, 500, 100, market, VENUES, AAPL, BIG, after_ts=0)
    assert router.take(Side.BUY, 500, 100, market, VENUES, AAPL, BIG, after_ts=1) == []


def test_all_or_nothing_is_one_venue_that_shows_it_all():
    """Two halves are no whole."""
    market = _market([("A", 99, 1, 100, 300), ("B", 99, 1, 100, 200)])
    assert router.whole(Side.BUY, 300, 100, market, VENUES) == [Route("A", 300, 100)]
    assert router.whole(Side.BUY, 301, 100, market, VENUES) == []


def test_the_largest_child_is_what_policy_and_client_allow():
    """Quantity, value at the price, DisplayQty; in whole lots, and a display below a lot is a lot."""
    assert router.child_most(POLICY, AAPL, 200 * PX_ONE, 0) == 50_000
    assert router.child_most(POLICY, AAPL, 1_000 * PX_ONE, 0) == 10_000
    assert router.child_most(POLICY, AAPL, 200 * PX_ONE, 300) == 300
    assert router.child_most(POLICY, TENS, 200 * PX_ONE, 3) == 10
    assert router.child_most(POLICY, TENS, 200 * PX_ONE, 37) == 30
