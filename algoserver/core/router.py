"""Which venue, and how much of it: the split of a placement over lit venues.

Resting quantity goes where the queue at the price is, in its proportion: that is where trades come. Taking quantity goes
to the best price after fees, no further than what is shown there.
"""

import msgspec

from algoserver.core.market import Market, Quote
from algoserver.domain.policy import RiskPolicy, Venue
from algoserver.domain.types import PPM_ONE, Instrument, Side


class Route(msgspec.Struct, frozen=True):
    """A child to be: venue, quantity, price."""

    venue: str
    quantity: int
    price: int


def rest(side: Side, quantity: int, price: int, market: Market, venues: list[Venue], instrument: Instrument, most: int) -> list[Route]:
    """Split resting quantity by the size shown at `price`; without any, all to the venue that costs least."""
    shown = [(v, _shown_at(market.quotes.get(v.name), side, price)) for v in venues]
    total = sum(size for _, size in shown)
    if total == 0:
        cheapest = min(venues, key=lambda v: v.fee_ppm, default=None)
        return _capped([Route(cheapest.name, quantity, price)] if cheapest else [], most)
    routes = []
    left = quantity
    for venue, size in sorted(shown, key=lambda s: -s[1]):
        share = quantity * size // total
        share -= share % instrument.round_lot
        routes.append(Route(venue.name, share, price))
        left -= share
    # What rounding left over goes to the longest queue.
    routes[0] = Route(routes[0].venue, routes[0].quantity + left, price)
    return _capped([r for r in routes if r.quantity], most)


def take(
    side: Side, quantity: int, limit: int, market: Market, venues: list[Venue], instrument: Instrument, most: int, after_ts: int = 0
) -> list[Route]:
    """Take what is shown at `limit` or better, cheapest first after fees; at most `quantity`.

    after_ts: quotes up to then are not believed: we have taken from them already.
    """
    offers = []
    for venue in venues:
        quote = market.quotes.get(venue.name)
        if quote is None or quote.ts <= after_ts:
            continue
        price, size = (quote.ask_px, quote.ask_qty) if side is Side.BUY else (quote.bid_px, quote.bid_qty)
        if price and size and (price - limit) * side.sign <= 0:
            cost = side.sign * price + price * venue.fee_ppm // PPM_ONE
            offers.append((cost, venue.name, price, size))
    routes = []
    left = quantity
    for _, name, price, size in sorted(offers):
        part = min(left, size)
        part -= part % instrument.lot
        if part > 0:
            routes.append(Route(name, part, price))
            left -= part
    return _capped(routes, most)


def whole(side: Side, quantity: int, limit: int, market: Market, venues: list[Venue]) -> list[Route]:
    """All or nothing (FOK): the cheapest venue that shows it all at `limit` or better, if there is one."""
    able = [v for v in venues if [r.quantity for r in take(side, quantity, limit, market, [v], _ANY_LOT, quantity)] == [quantity]]
    return take(side, quantity, limit, market, able, _ANY_LOT, quantity)


def auction(quantity: int, price: int, venues: list[Venue], most: int) -> list[Route]:
    """All of it to the venue that holds the auction, in as many orders as their size needs."""
    venue = next((v.name for v in venues if v.has_auctions), "")
    if not venue or most <= 0:
        return []
    whole, rest = divmod(quantity, most)
    return [Route(venue, part, price) for part in (*[most] * whole, rest) if part]


def child_most(policy: RiskPolicy, instrument: Instrument, price: int, display_qty: int) -> int:
    """Largest child that policy and the client's DisplayQty let out, in whole lots. The gate checks again."""
    unit: int = 10**instrument.qty_decimals
    most = min(policy.child_qty_max * unit, policy.child_value_max * unit // max(price, 1))
    if display_qty:
        most = min(most, max(display_qty, instrument.lot))
    return most - most % instrument.lot


def _shown_at(quote: Quote | None, side: Side, price: int) -> int:
    if quote is None:
        return 0
    at, size = (quote.bid_px, quote.bid_qty) if side is Side.BUY else (quote.ask_px, quote.ask_qty)
    return size if at == price else 0


def _capped(routes: list[Route], most: int) -> list[Route]:
    return [Route(r.venue, min(r.quantity, most), r.price) for r in routes if min(r.quantity, most) > 0]


_ANY_LOT = Instrument(symbol="", tick=1, lot=1, round_lot=1, qty_decimals=0, adv=0)
