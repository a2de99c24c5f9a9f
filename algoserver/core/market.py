"""What the market shows of one instrument: best prices by venue, last trade, volume by second.

Rule: it remembers only what a decision reads. Consolidated prices are computed when asked for: quotes outnumber questions.
"""

import msgspec

from algoserver.core.tally import Tally
from algoserver.domain.types import Side


class Quote(msgspec.Struct):
    """Best bid and ask of a venue, 0 where empty; ts of the update."""

    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int
    ts: int


class Market(msgspec.Struct):
    """One instrument's market. volume counts every print at every venue, ours too."""

    symbol: str
    quotes: dict[str, Quote] = {}
    last_px: int = 0
    last_ts: int = 0
    volume: Tally = msgspec.field(default_factory=Tally)


def on_quote(market: Market, venue: str, bid_px: int, bid_qty: int, ask_px: int, ask_qty: int, ts: int) -> None:
    """Remember a venue's best prices."""
    market.quotes[venue] = Quote(bid_px, bid_qty, ask_px, ask_qty, ts)


def on_trade(market: Market, last_px: int, last_qty: int, ts: int) -> None:
    """Count a print."""
    market.last_px = last_px
    market.last_ts = ts
    market.volume.add(ts, last_qty)


def best_bid(market: Market) -> int:
    """Highest bid of all venues; 0 if there is none."""
    best = 0
    for quote in market.quotes.values():  # a loop: several times the speed of max() over a generator, and every turn asks
        if quote.bid_px > best:
            best = quote.bid_px
    return best


def best_ask(market: Market) -> int:
    """Lowest ask of all venues; 0 if there is none."""
    best = 0
    for quote in market.quotes.values():
        if quote.ask_px and (not best or quote.ask_px < best):
            best = quote.ask_px
    return best


def near(market: Market, side: Side) -> int:
    """The best price on our own side: where we join."""
    return best_bid(market) if side is Side.BUY else best_ask(market)


def far(market: Market, side: Side) -> int:
    """The best price on the other side: where we cross."""
    return best_ask(market) if side is Side.BUY else best_bid(market)


def mid(market: Market) -> int:
    """Middle of the consolidated book, rounded down; the last trade if a side is empty; 0 if nothing is known."""
    bid, ask = best_bid(market), best_ask(market)
    return (bid + ask) // 2 if bid and ask else market.last_px


def mid_ts(market: Market) -> int:
    """When the price of mid() was last confirmed, by a quote or where a side is empty by a trade; 0 if never."""
    is_two_sided = best_bid(market) and best_ask(market)
    return max(q.ts for q in market.quotes.values()) if is_two_sided else market.last_ts


def forget(market: Market, venue: str) -> None:
    """A venue's session is gone: its prices are no prices."""
    market.quotes.pop(venue, None)
