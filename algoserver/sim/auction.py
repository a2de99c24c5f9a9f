"""A call auction: orders are collected, and meet all at once at the one price at which most of them trade.

Rule 1: the price trades the most; of those the one that leaves the least behind; of those the one nearest the reference.
Rule 2: market orders first, then the better price, then who came first. A fill is always at the auction's price.
Rule 3: what meets in the opening and the closing call are the orders that were sent for it, the crowd's and the clients'. The
continuous book is not part of it: this venue's at-the-close orders do not meet resting day orders. But what rested over night, as
orders good till a date do, is in the opening call, and all that rests is in a reopening one (auctions.py).
Rule 4: a halt takes no order out of a call; an auction that falls into one is not held, and its orders are over.
Rule 5: an order takes part with all of its quantity, an iceberg too, and stays its client's: he is told of his fill.
"""

from typing import NamedTuple

from algoserver.domain.types import DAY, OrdType, TimeInForce
from algoserver.sim.blotter import ClientOrder
from algoserver.sim.book import Fill, Order
from algoserver.sim.config import Scenario, SessionHours

# A market order is one with a limit that nobody reaches.
AT_ANY_PRICE = {1: 10**18, -1: 0}


class Uncross(NamedTuple):
    """What came of a call. volume: units traded; surplus: signed units left at the price, buyers' are positive."""

    px: int
    volume: int
    surplus: int
    fills: list[Fill]


class Call:
    """The orders of one auction at one venue, in the order they came."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def join(self, order: Order) -> None:
        """Add an order behind the others."""
        self.orders.append(order)

    def leave(self, order: Order) -> None:
        """Take an order out."""
        self.orders.remove(order)

    def uncross(self, crowd: list[Order], reference: int) -> Uncross:
        """Match all orders of the call, the crowd's too; afterwards `leaves` of each is what is left. The call is empty then."""
        orders, self.orders = [*self.orders, *crowd], []
        px, volume, surplus = clearing_price(orders, reference)
        fills: list[Fill] = []
        for sign in (1, -1):
            left = volume
            ranked = sorted((o for o in orders if o.sign == sign and (o.px - px) * sign >= 0), key=lambda o: -o.px * o.sign)
            for order in ranked:
                quantity = min(left, order.leaves)
                if quantity:
                    order.leaves -= quantity
                    left -= quantity
                    fills.append(Fill(order, px, quantity))
            assert left == 0
        return Uncross(px, volume, surplus, fills)


class Calls:
    """Every auction of a market, and which venues hold them: none where the market never closes."""

    def __init__(self, config: Scenario) -> None:
        opens, closes = config.session.window(0)
        self._opens_at = opens % DAY
        self.venues = [] if closes - opens >= DAY else sorted(v.name for v in config.venues if v.auctions)
        self._calls: dict[tuple[str, str, TimeInForce], Call] = {}

    def refusal(self, venue: str, symbol: str, tif: TimeInForce, is_open: bool) -> tuple[int, str] | None:
        """OrdRejReason (103) and text for an order that an auction can't take, now or here."""
        if tif.is_auction and venue not in self.venues:
            return 11, f"TimeInForce {tif.value}: {venue} has no call auctions"
        if tif is TimeInForce.AT_OPEN and is_open:
            return 2, f"the opening auction in {symbol} is over"
        return None

    def join(self, order: ClientOrder) -> None:
        """Take an order that was admitted."""
        if order.ord_type == OrdType.MARKET:
            order.resting.px = AT_ANY_PRICE[order.side.sign]
        self._calls.setdefault((order.venue, order.symbol, order.tif), Call()).join(order.resting)

    def leave(self, order: ClientOrder) -> None:
        """Take a waiting order out."""
        self._calls[order.venue, order.symbol, order.tif].leave(order.resting)

    def due(self, ts: int, tif: TimeInForce) -> list[str]:
        """Venues that hold the auction at `ts`. A market that is started in the middle of a day has missed its opening."""
        return self.venues if tif is TimeInForce.AT_CLOSE or ts % DAY == self._opens_at else []

    def waiting(self, venue: str, symbol: str, tif: TimeInForce) -> list[Order]:
        """What was sent for an auction and is still there."""
        call = self._calls.get((venue, symbol, tif))
        return call.orders if call else []

    def take(self, venue: str, symbol: str, tif: TimeInForce) -> Call:
        """The call that is held now."""
        return self._calls.pop((venue, symbol, tif), None) or Call()

    def next_call(self, hours: SessionHours, ts: int) -> tuple[TimeInForce, int]:
        """The next opening or closing auction after `ts`, and when it is held."""
        opens, closes = hours.window(ts)
        return (TimeInForce.AT_OPEN, opens) if ts < opens else (TimeInForce.AT_CLOSE, closes)


def clearing_price(orders: list[Order], reference: int) -> tuple[int, int, int]:
    """Price, volume and signed surplus of a call; volume 0 at the reference if nothing crosses."""
    prices = {o.px for o in orders if o.px not in AT_ANY_PRICE.values()} | {reference}
    found = (reference, 0, 0)
    best: tuple[int, int, int, int] | None = None
    for px in sorted(prices):
        bought = sum(o.leaves for o in orders if o.sign > 0 and o.px >= px)
        sold = sum(o.leaves for o in orders if o.sign < 0 and o.px <= px)
        rank = (min(bought, sold), -abs(bought - sold), -abs(px - reference), -px)
        if best is None or rank > best:
            best, found = rank, (px, min(bought, sold), bought - sold)
    return found
