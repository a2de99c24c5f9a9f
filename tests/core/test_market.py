"""What the market shows: consolidated over venues, and nothing that is not there."""

from algoserver.core import market as markets
from algoserver.core.market import Market, Quote
from algoserver.domain.types import Side


def test_the_best_prices_are_the_best_of_all_venues():
    """Highest bid, lowest ask; we join on our side and cross to the other."""
    market = Market("AAPL")
    markets.on_quote(market, "A", Quote(100, 5, 110, 5, 1))
    markets.on_quote(market, "B", Quote(102, 5, 112, 5, 2))
    assert markets.best(market) == (102, 110)
    assert (markets.near(market, Side.BUY), markets.far(market, Side.BUY)) == (102, 110)
    assert (markets.near(market, Side.SELL_SHORT), markets.far(market, Side.SELL)) == (110, 102)
    assert markets.reference(market) == (106, 2)


def test_an_empty_side_is_no_price():
    """One empty ask does not hide another venue's, and with none at all the last trade is the reference."""
    market = Market("AAPL")
    markets.on_quote(market, "A", Quote(100, 5, 0, 0, 1))
    markets.on_trade(market, 99, 10, 7)
    assert (markets.best(market)[1], *markets.reference(market)) == (0, 99, 7)
    markets.on_quote(market, "B", Quote(0, 0, 104, 5, 9))
    assert markets.reference(market) == (102, 9)


def test_an_empty_book_confirms_no_price():
    """A dark venue's feed that logs on again does not make an old price young."""
    market = Market("AAPL")
    markets.on_quote(market, "A", Quote(100, 5, 104, 5, 1))
    markets.on_quote(market, "DARK", Quote(0, 0, 0, 0, 9))
    assert markets.reference(market) == (102, 1)


def test_nothing_known_is_zero():
    """No quote, no trade: no reference."""
    market = Market("AAPL")
    assert (*markets.reference(market), *markets.best(market)) == (0, 0, 0, 0)


def test_a_forgotten_venue_has_no_prices():
    """Twice forgotten is forgotten."""
    market = Market("AAPL")
    markets.on_quote(market, "A", Quote(100, 5, 110, 5, 1))
    markets.forget(market, "A", 2)
    markets.forget(market, "A", 2)
    assert markets.best(market)[0] == 0
