"""What the market shows of one instrument: best prices by venue, last trade, volume by second.

Rule: it remembers only what a decision reads. Consolidated prices are computed when asked for: quotes outnumber questions.
"""

import msgspec

from algoserver.core.tally import Tally
from algoserver.domain.types import DAY, Side


class Others(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask of a venue that are not ours alone, by the last quote that showed them; ts: when others last quoted a side."""

    bid_px: int
    ask_px: int
    ts: int


class Quote(msgspec.Struct, gc=False):
    """Best bid and ask of a venue, 0 where empty; ts of the update. others: where a side is ours alone."""

    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int
    ts: int
    others: Others | None = None


NO_QUOTE = Quote(0, 0, 0, 0, 0)


class Market(msgspec.Struct):
    """One instrument's market. volume counts every print at every venue, ours too. doubt: why prices are not believed.

    resumed_ts: when a halt ended; that nothing was heard before is no sign of a broken feed.
    bins: volume of the day `bin_day` by bins of bin_ns from open_ns on; bin_at: the running one until bin_end_ts, -1 outside of the session.
    counted_ts: since when no print has been missed.
    """

    symbol: str
    quotes: dict[str, Quote] = {}
    last_px: int = 0
    last_ts: int = 0
    volume: Tally = msgspec.field(default_factory=Tally)
    doubt: str = ""
    resumed_ts: int = 0
    open_ns: int = 0
    bin_ns: int = 0
    bin_day: int = 0
    bin_at: int = -1
    bin_end_ts: int = 0
    bins: list[int] = []
    counted_ts: int = 0


def on_quote(market: Market, venue: str, quote: Quote, own_bid_qty: int = 0, own_ask_qty: int = 0) -> None:
    """Remember a venue's best prices. own_bid_qty, own_ask_qty: how much of them is ours.

    A side that is ours alone hides what is behind it: what others showed last stays theirs, unless that would stand before ours. Then they have
    gone and the side is empty, for the reference must not follow our own quotes.
    """
    is_bid_ours, is_ask_ours = own_bid_qty and own_bid_qty >= quote.bid_qty, own_ask_qty and own_ask_qty >= quote.ask_qty
    if is_bid_ours or is_ask_ours:
        known = market.quotes.get(venue, NO_QUOTE)
        theirs = known.others or known
        others_ts = theirs.ts if known.others or known.bid_px or known.ask_px else 0
        bid_px, ask_px = quote.bid_px, quote.ask_px
        if is_bid_ours:
            bid_px = theirs.bid_px if theirs.bid_px <= bid_px else 0
        elif bid_px:
            others_ts = quote.ts
        if is_ask_ours:
            ask_px = theirs.ask_px if theirs.ask_px >= ask_px else 0
        elif ask_px:
            others_ts = quote.ts
        quote.others = Others(bid_px, ask_px, others_ts)
    market.quotes[venue] = quote


def on_trade(market: Market, last_px: int, last_qty: int, ts: int) -> None:
    """Count a print."""
    market.last_px = last_px
    market.last_ts = ts
    market.volume.add(ts, last_qty)
    if ts >= market.bin_end_ts:
        _next_bin(market, ts)
    if market.bin_at >= 0:
        market.bins[market.bin_at] += last_qty


def _next_bin(market: Market, ts: int) -> None:
    midnight = ts // DAY * DAY
    if ts // DAY != market.bin_day:
        market.bin_day, market.bins = ts // DAY, [0] * len(market.bins)
    open_ts, width = midnight + market.open_ns, market.bin_ns or DAY
    at = (ts - open_ts) // width if market.bin_ns else len(market.bins)
    if ts < open_ts:
        market.bin_at, market.bin_end_ts = -1, open_ts
    elif at >= len(market.bins):
        market.bin_at, market.bin_end_ts = -1, midnight + DAY
    else:
        market.bin_at, market.bin_end_ts = at, open_ts + (at + 1) * width


def best(market: Market) -> tuple[int, int]:
    """Highest bid and lowest ask of all venues, 0 where there is none."""
    bid = ask = 0
    for quote in market.quotes.values():  # one loop and no max(): every turn, every gate and every parent asks
        if quote.bid_px > bid:
            bid = quote.bid_px
        if quote.ask_px and (not ask or quote.ask_px < ask):
            ask = quote.ask_px
    return bid, ask


def near(market: Market, side: Side) -> int:
    """The best price on our own side: where we join."""
    bid, ask = best(market)
    return bid if side is Side.BUY else ask


def far(market: Market, side: Side) -> int:
    """The best price on the other side: where we cross."""
    bid, ask = best(market)
    return ask if side is Side.BUY else bid


def mid(market: Market) -> int:
    """Middle of the consolidated book of others, rounded down; the last trade if a side is empty; 0 if nothing is known."""
    return reference(market)[0]


def reference(market: Market) -> tuple[int, int]:
    """mid(), and when the market last confirmed it: by a quote or a trade, where a side is empty by a trade; 0 if never."""
    bid = ask = 0
    confirmed_ts = market.last_ts
    for quote in market.quotes.values():  # best() once more, with the times: every parent asks twice
        theirs = quote.others or quote
        bid_px, ask_px = theirs.bid_px, theirs.ask_px
        if bid_px > bid:
            bid = bid_px
        if ask_px and (not ask or ask_px < ask):
            ask = ask_px
        # A dark venue's book is empty and confirms nothing; what others showed behind ours has its own time.
        if theirs.ts > confirmed_ts and (bid_px or ask_px or quote.others):
            confirmed_ts = theirs.ts
    return ((bid + ask) // 2, confirmed_ts) if bid and ask else (market.last_px, market.last_ts)


def forget(market: Market, venue: str, ts: int) -> None:
    """A venue's session is gone: its prices are no prices, and its prints are not counted."""
    market.quotes.pop(venue, None)
    market.counted_ts = ts


def count_bins(market: Market, open_ns: int, bin_ns: int, count: int, ts: int) -> None:
    """Count the day's volume by these bins from now on, if it is not by them already."""
    if (market.open_ns, market.bin_ns, len(market.bins)) != (open_ns, bin_ns, count):
        market.open_ns, market.bin_ns, market.bins, market.counted_ts = open_ns, bin_ns, [0] * count, ts
        market.bin_end_ts = 0


def bins_over(market: Market, ts: int) -> tuple[int, ...]:
    """Volume of the bins that are over; none before the first has ended, after the close, or where a print since the open was missed."""
    day = ts // DAY
    over = (ts - day * DAY - market.open_ns) // market.bin_ns if market.bin_ns else 0
    if not 0 < over < len(market.bins) or market.counted_ts > day * DAY + market.open_ns or market.bin_day != day:
        return ()
    return tuple(market.bins[:over])
