"""The order book of one instrument at one venue: best price first, then first come first served.

Rule 1: background and client orders stand in the same queues; `owner` is opaque here (None: background).
Rule 2: a quantity is taken from one resting order and given once: `take` is the only place that fills.
Rule 3: a replace keeps its place in the queue only if the price stays and the quantity goes down. A new price
or more quantity is a new arrival: it leaves its queue and may match at once.
Rule 4: a market order never rests. A `screen` decides what becomes of a resting order that an arriving one should not meet.
Rule 5: an iceberg shows its tip. When the tip is gone a new one is drawn from the reserve and stands behind the whole queue.
Rule 6: hidden orders have ladders of their own: at one price all that is shown trades first, reserves too, then what is hidden,
the oldest first; one whose MinQty is more than the arriving order has left is passed over.
Rule 7: nothing trades outside `band`, and an order priced beyond it rests at its edge.

Both sides are one class: a key is px for bids and -px for asks, so the best level is always the largest key.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from algoserver.domain.types import TimeInForce

COMPACT_DEAD = 16  # canceled orders a queue may carry before it is rebuilt; fewer are popped when they reach the front
Top = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]  # the best levels of (bids, asks), each (px, qty), the best first


class Order:
    """A resting or arriving limit order. sign: +1 buy, -1 sell. leaves: units still open; 0 once filled or canceled."""

    __slots__ = ("leaves", "level", "owner", "px", "sign")
    reserve = 0  # units that are open and not shown
    min_qty = 0
    is_hidden = is_pegged = False

    def __init__(self, sign: int, px: int, leaves: int, owner: Any = None):
        self.sign = sign
        self.px = px
        self.leaves = leaves
        self.owner = owner
        self.level: Level | None = None

    def open_qty(self) -> int:
        """All that is open, shown or not."""
        return self.leaves + self.reserve


class Shaped(Order):
    """An order that is not shown as it is. tip: draws how much of it is shown next; None for one that is no iceberg."""

    __slots__ = ("is_hidden", "is_pegged", "min_qty", "reserve", "tip")

    def __init__(self, sign: int, px: int, leaves: int, owner: Any = None, tip: Callable[[], int] | None = None, **more: Any):
        super().__init__(sign, px, leaves, owner)
        self.reserve = 0
        self.tip = tip
        self.is_hidden: bool = more.get("is_hidden", False)
        self.is_pegged: bool = more.get("is_pegged", False)
        self.min_qty: int = more.get("min_qty", 0)

    def refresh(self) -> None:
        """Show the next tip."""
        if self.tip is not None:
            total = self.open_qty()
            self.leaves = min(self.tip(), total)
            self.reserve = total - self.leaves


class Screen(Protocol):
    """Looks at each resting order before it trades with an arriving one, which it belongs to."""

    lost: int  # what the arriving order has lost to it so far

    def __call__(self, resting: Order, qty: int) -> int | None:
        """None: they may trade. Else it has dealt with `resting`, and the arriving order loses so much of `qty`."""

    def stops_at(self, resting: Order) -> bool | None:
        """Whether an arriving order would go no further than `resting`; None if they may trade."""


class Level:
    """One price: its queue, the open quantity in it and how many canceled orders still stand in the queue."""

    __slots__ = ("dead", "key", "orders", "px", "qty")

    def __init__(self, key: int, px: int):
        self.key = key
        self.px = px
        self.qty = 0
        self.dead = 0
        self.orders: deque[Order] = deque()

    def live(self) -> list[Order]:
        """Open orders, first in the queue first."""
        return [o for o in self.orders if o.leaves]


class Ladder:
    """One side of the book: levels by key and the keys in ascending order, so the best is the last."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int):
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def at(self, px: int) -> Level | None:
        """The level at `px`, None if nothing rests there."""
        return self.levels.get(px * self.sign)

    def best_px(self) -> int | None:
        return self.keys[-1] * self.sign if self.keys else None

    def join(self, order: Order) -> None:
        key = order.px * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key, order.px)
            insort(self.keys, key)
        level.orders.append(order)
        level.qty += order.leaves
        order.level = level

    def drop(self, level: Level) -> None:
        assert level.qty == 0
        del self.levels[level.key]
        if self.keys[-1] == level.key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, level.key)]

    def top(self, n: int) -> tuple[tuple[int, int], ...]:
        """The best n levels as (px, qty), best first."""
        levels = self.levels
        return tuple((levels[k].px, levels[k].qty) for k in self.keys[: -n - 1 : -1])


class Fill(NamedTuple):
    """`qty` units of the resting `order` traded at its price."""

    order: Order
    px: int
    qty: int


class Match(NamedTuple):
    """Fills that one arriving order caused at a venue. sign: +1 if it bought."""

    venue: str
    sign: int
    fills: list[Fill]


class Book:
    """Two ladders of what is shown, which never cross while the book trades, and two of what is hidden.

    band: the lowest and the highest price at which it trades, None for any.
    """

    __slots__ = ("asks", "band", "bids", "unseen")
    hides = True  # whether it has a place for what is not shown

    def __init__(self) -> None:
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.unseen = {1: Ladder(1), -1: Ladder(-1)}
        self.band: tuple[int, int] | None = None

    def side(self, sign: int) -> Ladder:
        """What is shown."""
        return self.bids if sign > 0 else self.asks

    def enter(self, order: Order, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False, screen: Screen | None = None) -> list[Fill]:
        """Match an arriving order and rest what a DAY limit order has left. An `Order` enters once.

        What IOC, FOK and market orders have left stays in `order.leaves` and is not in the book: the caller cancels it.
        """
        assert order.leaves > 0
        assert order.level is None
        limit_px = None if is_market else order.px
        least = order.leaves if tif == TimeInForce.FOK else min(order.min_qty, order.leaves)
        fills: list[Fill] = []
        if not least or self.can_fill(order.sign, least, limit_px, screen):
            fills = self.take(order.sign, order.leaves, limit_px, screen)
        for fill in fills:
            order.leaves -= fill.qty
        if screen is not None:
            order.leaves -= screen.lost
        if order.leaves and tif == TimeInForce.DAY and not is_market:
            self.rest(order)
        return fills

    def rest(self, order: Order) -> None:
        """Let an order wait without looking for somebody, as in a call."""
        if self.band is not None:
            order.px = min(order.px, self.band[1]) if order.sign > 0 else max(order.px, self.band[0])
        if isinstance(order, Shaped):
            order.refresh()
        self._ladder(order).join(order)

    def take(self, sign: int, qty: int, limit_px: int | None = None, screen: Screen | None = None) -> list[Fill]:
        """Fill up to `qty` for an arriving buy (+1) or sell (-1), at `limit_px` or better, best and oldest first."""
        ladder = self.asks if sign > 0 else self.bids
        keys, levels = ladder.keys, ladder.levels
        floor = self._floor(sign, limit_px)
        fills: list[Fill] = []
        if self.unseen[-sign].keys:
            return self._take_all(sign, qty, floor, screen)
        while qty and keys:
            key = keys[-1]
            if floor is not None and key < floor:
                break
            level = levels[key]
            qty = _eat(level, qty, fills, screen)
            if level.qty == 0 and levels.get(key) is level:
                ladder.drop(level)
        return fills

    def can_fill(self, sign: int, qty: int, limit_px: int | None = None, screen: Screen | None = None) -> bool:
        """Whether the opposite side holds `qty` at `limit_px` or better. What is hidden with a MinQty is not counted on."""
        floor = self._floor(sign, limit_px)
        for key, level in self._levels(-sign):
            if floor is not None and key < floor:
                break
            for order in level.live():
                stops = None if screen is None else screen.stops_at(order)
                if stops:
                    return qty <= 0
                if stops is None and not order.min_qty:
                    qty -= order.open_qty()
                if qty <= 0:
                    return True
        return False

    def confine(self, band: tuple[int, int]) -> None:
        """Trade only between these prices from now on; what rests beyond them moves to their edges."""
        self.band = band
        beyond = [o for o in self.live() if (o.px > band[1] if o.sign > 0 else o.px < band[0])]
        for order, leaves in [(o, self.cancel(o)) for o in beyond]:
            order.leaves = leaves
            self.rest(order)

    def best_px(self, sign: int) -> int | None:
        """The best price of a side that somebody shows without being pegged to it."""
        ladder = self.side(sign)
        shown = (k for k in reversed(ladder.keys) if any(o.leaves and not o.is_pegged for o in ladder.levels[k].orders))
        return next((key * sign for key in shown), None)

    def crosses(self, sign: int, px: int) -> bool:
        """Whether an order at `px` would trade at once, with what is shown or hidden."""
        floor = self._floor(sign, px)
        assert floor is not None
        return any(ladder.keys and ladder.keys[-1] >= floor for ladder in (self.side(-sign), self.unseen[-sign]))

    def cancel(self, order: Order) -> int:
        """Take a resting order out of the book; returns the quantity that was open."""
        total = order.open_qty()
        if isinstance(order, Shaped):
            order.reserve = 0
        self.reduce(order, order.leaves)
        return total

    def shrink(self, order: Order, qty: int) -> None:
        """Take `qty` off all that is open of a resting order, first of what is not shown; it keeps its place."""
        unseen = min(qty, order.reserve)
        if isinstance(order, Shaped):
            order.reserve -= unseen
        if qty > unseen:
            self.reduce(order, qty - unseen)

    def reduce(self, order: Order, qty: int) -> None:
        """Take `qty` off what a resting order shows, which keeps its place; at zero it leaves the book."""
        level = order.level
        assert level is not None
        assert 0 < qty <= order.leaves
        order.leaves -= qty
        level.qty -= qty
        if order.leaves:
            return
        order.level = None
        level.dead += 1
        if level.qty == 0:
            self._ladder(order).drop(level)
        elif level.dead > COMPACT_DEAD and 2 * level.dead > len(level.orders):
            level.orders = deque(level.live())
            level.dead = 0

    def grow(self, order: Order, qty: int) -> None:
        """Add `qty` to the last order of a queue: nobody stands behind it who could lose his place."""
        level = order.level
        assert qty > 0
        assert level is not None
        assert level.orders[-1] is order
        order.leaves += qty
        level.qty += qty

    def replace(
        self, order: Order, px: int, leaves: int, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False, screen: Screen | None = None
    ) -> list[Fill]:
        """Change a resting order's price and open quantity; fills if it now crosses. Priority: rule 3."""
        assert leaves > 0
        if px == order.px and leaves <= order.open_qty() and tif == TimeInForce.DAY and not is_market:
            if leaves < order.open_qty():
                self.shrink(order, order.open_qty() - leaves)
            return []
        level = order.level
        assert level is not None
        self.cancel(order)
        # The canceled entry would come alive again where it stood: unlike a cancel, a replace can't be lazy.
        if order in level.orders:
            level.orders.remove(order)
            level.dead -= 1
        order.px, order.leaves = px, leaves
        return self.enter(order, tif, is_market, screen)

    def top(self, n: int = 5) -> Top:
        """The best n levels."""
        return self.bids.top(n), self.asks.top(n)

    def live(self) -> list[Order]:
        """All that rests, shown or hidden: buys first, the best price first, in the order in which they would trade."""
        return [o for sign in (1, -1) for _, level in self._levels(sign) for o in level.live()]

    def _ladder(self, order: Order) -> Ladder:
        return self.unseen[order.sign] if order.is_hidden else self.side(order.sign)

    def _levels(self, sign: int) -> list[tuple[int, Level]]:
        """A side's levels with their keys, the best first, and what is shown before what is hidden."""
        both = [*self.side(sign).levels.items(), *self.unseen[sign].levels.items()]
        return sorted(both, key=lambda keyed: -keyed[0])

    def _floor(self, sign: int, limit_px: int | None) -> int | None:
        """The lowest key of the other side that an order may trade with, None for any."""
        if self.band is not None:
            edge = self.band[1 if sign > 0 else 0]
            limit_px = edge if limit_px is None or (limit_px - edge) * sign > 0 else limit_px
        return None if limit_px is None else -sign * limit_px

    def _take_all(self, sign: int, qty: int, floor: int | None, screen: Screen | None) -> list[Fill]:
        """As take, with what is hidden."""
        fills: list[Fill] = []
        for key, level in self._levels(-sign):
            if not qty or (floor is not None and key < floor):
                break
            is_shown = self.side(-sign).levels.get(key) is level
            qty = _eat(level, qty, fills, screen) if is_shown else _eat_hidden(level, qty, fills, screen)
            ladder = self.side(-sign) if is_shown else self.unseen[-sign]
            if level.qty == 0 and ladder.levels.get(key) is level:
                ladder.drop(level)
        return fills


def _eat(level: Level, qty: int, fills: list[Fill], screen: Screen | None) -> int:
    """Fill `qty` from what a level shows; returns what is left of it."""
    orders = level.orders
    while qty and level.qty:
        order = orders[0]
        leaves = order.leaves
        if leaves == 0:
            orders.popleft()
            level.dead -= 1
            continue
        if screen is not None and (lost := screen(order, qty)) is not None:
            qty -= lost
            orders = level.orders  # a queue that lost an order may have been rebuilt
            continue
        n = leaves if leaves <= qty else qty
        order.leaves = leaves - n
        level.qty -= n
        qty -= n
        fills.append(Fill(order, level.px, n))
        if n == leaves:
            orders.popleft()
            order.level = None
            if isinstance(order, Shaped) and order.reserve:
                order.refresh()
                order.level = level
                orders.append(order)
                level.qty += order.leaves
    return qty


def _eat_hidden(level: Level, qty: int, fills: list[Fill], screen: Screen | None) -> int:
    for order in level.live():
        if not qty:
            break
        if screen is not None and (lost := screen(order, qty)) is not None:
            qty -= lost
            continue
        n = min(order.leaves, qty)
        if n < min(order.min_qty, order.leaves):
            continue
        order.leaves -= n
        level.qty -= n
        qty -= n
        fills.append(Fill(order, level.px, n))
        if not order.leaves:
            order.level = None
            level.orders.remove(order)
    return qty
