"""How a slice is worked: join the near touch, stay there, cross when it is late.

Rule 1: passive quantity rests at the near touch and moves with it; only a price that is worse than the touch is moved.
Rule 2: to cross, what rests is first taken back: the same quantity is never at two prices.
Rule 3: a cancel that is under way is waited for.
"""

import msgspec

from algoserver.core import market as markets
from algoserver.core.algos.schedule import Demand, in_lots
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder, leaves_qty
from algoserver.domain.types import SECOND, Instrument, Side, TimeInForce

# A venue that has not answered a cancel is asked again after this; sooner would only add to its queue.
CANCEL_AGAIN_NS = 5 * SECOND
# A refused cancel is sent again without waiting this many times in all; a venue that refuses each must not set our pace.
CANCELS_AT_ONCE = 3
# An unknown child is asked for before it is canceled; a venue that does not answer must not keep it alive.
ASKS_IN_VAIN = 2
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)
BUY = Side.BUY  # to ask the enum takes ten times as long in Python 3.11


class Placement(msgspec.Struct, frozen=True):
    """What to do for a slice: children to cancel, then `quantity` at `price` (0: nothing), split by the router."""

    cancels: tuple[str, ...] = ()
    quantity: int = 0
    price: int = 0
    time_in_force: TimeInForce = TimeInForce.DAY


def place(
    parent: ParentOrder, resting: list[ChildOrder], open_qty: int, demand: Demand, market: Market, instrument: Instrument, ts: int, keep: int = 0
) -> Placement:  # fmt: skip
    """Turn a demand into a price and a quantity. resting: the parent's children in lit books, open_qty: what is open of them.

    keep: what IWouldPct leaves to the plan.
    """
    is_buy = parent.side is BUY
    bid, ask = markets.best(market)
    near, far = (bid, ask) if is_buy else (ask, bid)
    near = _within(parent, near)
    i_would = in_lots(leaves_qty(parent.order) - keep, leaves_qty(parent.order), instrument.round_lot) if is_wished(parent, market) else 0
    cross = max(demand.cross, min(i_would, demand.most - demand.held))
    if cross and far and _within(parent, far) == far:
        if resting:
            return Placement(cancels=tuple(c.child_id for c in resting if may_cancel(c, ts)))
        return Placement((), cross, far, TimeInForce.IOC)
    over = surplus(resting, open_qty, demand, instrument, ts)
    if over:
        return Placement(over)
    stale = tuple(
        c.child_id
        for c in resting
        if (c.time_in_force in IMMEDIATE or (near and (near > c.price if is_buy else near < c.price))) and may_cancel(c, ts)
    )
    if not near or demand.join <= 0:
        return Placement(stale)
    return Placement(stale, demand.join, near)


def place_at_once(parent: ParentOrder, resting: list[ChildOrder], market: Market) -> Placement:
    """All of it now, for a parent that is immediate (59=3) or all or nothing (59=4): no plan, no waiting."""
    far = markets.far(market, parent.side)
    if resting or not far or _within(parent, far) != far:
        return Placement()
    return Placement((), leaves_qty(parent.order), parent.price or far, parent.time_in_force)


def surplus(resting: list[ChildOrder], open_qty: int, demand: Demand, instrument: Instrument, ts: int) -> tuple[str, ...]:
    """What of `resting`, of which open_qty is open, the cap does not allow any more."""
    # The cap shrinks when the market's volume does, and a resting child would trade what it has got, hours later if its
    # price is away. The newest goes first: the oldest stands best in its queue.
    over = open_qty - demand.most
    if over < instrument.round_lot:  # `most` was rounded down by less than that
        return ()
    found = []
    for child in reversed(resting):
        if over <= 0:
            break
        over -= leaves_qty(child.order)
        if may_cancel(child, ts):
            found.append(child.child_id)
    return tuple(found)


def take_back(resting: list[ChildOrder], ts: int) -> Placement:
    """Cancel all that rests: the parent is paused, canceled or over."""
    return Placement(tuple(c.child_id for c in resting if may_cancel(c, ts)))


def _within(parent: ParentOrder, price: int) -> int:
    """`price`, or the parent's limit where that is the stricter; 0 stays 0."""
    if not parent.price or not price:
        return price
    return min(price, parent.price) if parent.side is Side.BUY else max(price, parent.price)


def crosses_by_wish(parent: ParentOrder, market: Market) -> bool:
    """Whether IWouldPrice is there and the limit lets us cross."""
    if not is_wished(parent, market):
        return False
    far = markets.far(market, parent.side)
    return _within(parent, far) == far


def is_wished(parent: ParentOrder, market: Market) -> bool:
    """Whether the far touch is at IWouldPrice or better."""
    wish = parent.params.i_would_price
    if not wish:  # most have none, and every turn asks
        return False
    far = markets.far(market, parent.side)
    return far > 0 and (far - wish) * parent.side.sign <= 0


def may_cancel(child: ChildOrder, ts: int) -> bool:
    """Whether a cancel may leave now: for a child that rests, or should have ended by itself, that its venue has not just been asked for."""
    if child.is_unknown and child.asks < ASKS_IN_VAIN:
        return False
    if child.time_in_force in IMMEDIATE and ts - child.sent_ts < CANCEL_AGAIN_NS:
        return False
    if ts - child.cancel_ts >= CANCEL_AGAIN_NS:
        return True
    return not child.order.is_cancel_pending and child.cancels < CANCELS_AT_ONCE
