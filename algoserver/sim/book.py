"""The order book of one instrument at one venue: best price first, then first come first served.

Rule 1: background and client orders stand in the same queues; `owner` is opaque here (None: background).
Rule 2: a quantity is taken from one resting order and given once: `take` is the only place that fills.
Rule 3: a replace keeps its place in the queue only if the price stays and the quantity goes down. A new price
or more quantity is a new arrival: it leaves its queue and may match at once.
Rule 4: a market order never rests. Orders of one client may meet each other (self-trade prevention comes later).

Both sides are one class: a key is px for bids and -px for asks, so the best level is always the largest key.
"""

from bisect import bisect_left, insort
from collections import deque
from typing import Any, NamedTuple

from algoserver.domain.types import TimeInForce

COMPACT_DEAD = 16  # canceled orders a queue may carry before it is rebuilt; fewer are popped when they reach the front


class Order:
    """A resting or arriving limit order. sign: +1 buy, -1 sell. leaves: units still open; 0 once filled or canceled."""

    __slots__ = ("leaves", "level", "owner", "px", "sign")

    def __init__(self, sign: int, px: int, leaves: int, owner: Any = None):
        self.sign = sign
        self.px = px
        self.leaves = leaves
        self.owner = owner
        self.level: Level | None = None


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
    """Two ladders that never cross."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Ladder(1)
        self.asks = Ladder(-1)

    def side(self, sign: int) -> Ladder:
        return self.bids if sign > 0 else self.asks

    def enter(self, order: Order, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False) -> list[Fill]:
        """Match an arriving order and rest what a DAY limit order has left. An `Order` enters once.

        What IOC, FOK and market orders have left stays in `order.leaves` and is not in the book: the caller cancels it.
        """
        assert order.leaves > 0
        assert order.level is None
        limit_px = None if is_market else order.px
        if tif == TimeInForce.FOK and not self.can_fill(order.sign, order.leaves, limit_px):
            return []
        fills = self.take(order.sign, order.leaves, limit_px)
        for fill in fills:
            order.leaves -= fill.qty
        if order.leaves and tif == TimeInForce.DAY and not is_market:
            self.side(order.sign).join(order)
        return fills

    def take(self, sign: int, qty: int, limit_px: int | None = None) -> list[Fill]:
        """Fill up to `qty` for an arriving buy (+1) or sell (-1), at `limit_px` or better, best and oldest first."""
        ladder = self.asks if sign > 0 else self.bids
        keys, levels = ladder.keys, ladder.levels
        floor = None if limit_px is None else -sign * limit_px
        fills: list[Fill] = []
        while qty and keys:
            key = keys[-1]
            if floor is not None and key < floor:
                break
            level = levels[key]
            orders = level.orders
            while qty and level.qty:
                order = orders[0]
                leaves = order.leaves
                if leaves == 0:
                    orders.popleft()
                    level.dead -= 1
                    continue
                n = leaves if leaves <= qty else qty
                order.leaves = leaves - n
                level.qty -= n
                qty -= n
                fills.append(Fill(order, level.px, n))
                if n == leaves:
                    orders.popleft()
                    order.level = None
            if level.qty == 0:
                ladder.drop(level)
        return fills

    def can_fill(self, sign: int, qty: int, limit_px: int | None = None) -> bool:
        """Whether the opposite side holds `qty` at `limit_px` or better."""
        ladder = self.side(-sign)
        floor = None if limit_px is None else -sign * limit_px
        for key in reversed(ladder.keys):
            if qty <= 0 or (floor is not None and key < floor):
                break
            qty -= ladder.levels[key].qty
        return qty <= 0

    def cancel(self, order: Order) -> int:
        """Take a resting order out of the book; returns the quantity that was open."""
        leaves = order.leaves
        self.reduce(order, leaves)
        return leaves

    def reduce(self, order: Order, qty: int) -> None:
        """Take `qty` off a resting order, which keeps its place; at zero it leaves the book."""
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
            self.side(order.sign).drop(level)
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

    def replace(self, order: Order, px: int, leaves: int, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False) -> list[Fill]:
        """Change a resting order's price and open quantity; fills if it now crosses. Priority: rule 3."""
        assert leaves > 0
        if px == order.px and leaves <= order.leaves and tif == TimeInForce.DAY and not is_market:
            if leaves < order.leaves:
                self.reduce(order, order.leaves - leaves)
            return []
        level = order.level
        assert level is not None
        self.cancel(order)
        # The canceled entry would come alive again where it stood: unlike a cancel, a replace can't be lazy.
        if order in level.orders:
            level.orders.remove(order)
            level.dead -= 1
        order.px, order.leaves = px, leaves
        return self.enter(order, tif, is_market)

    def top(self, n: int = 5) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """The best n levels of (bids, asks), each a tuple of (px, qty), best first."""
        return self.bids.top(n), self.asks.top(n)
