"""The venue's book over the kernel's arrays: what the market does with a `Book`, done where the crowd is compiled.

Rule 1: matching, queues and quantities are the arrays'. Here are only the clients' `Order`s, found by the number that the
arrays know them by, and prices in units instead of ticks.
Rule 2: levels as `Book` shows them are copies, made when somebody looks; so are the crowd's orders in them (`Quote`).
Rule 3: an order without an owner is the crowd's: it joins those that the crowd may cancel.
RCT-1: where the crowd reacts, what is shown is all there is: an order that would hide something of itself (1138, 111) is refused (103=11),
so is a price band in the scenario. All other terms of a lit venue hold: stops, pegs, post-only, self-trade prevention, MinQty of what does not rest.
"""

from collections.abc import Callable

from algoserver.domain.types import TimeInForce
from algoserver.sim import array_book as a
from algoserver.sim.book import Book, Fill, Ladder, Level, Match, Order, Screen, Top
from algoserver.sim.compiled import ints
from algoserver.sim.source import Moment

SOMEBODY = Order(0, 0, 0)  # of the crowd, in its fills: an order that nobody looks at
ANY = 1 << 60  # a limit in ticks that nobody reaches


class Quote(Order):
    """A copy of an order of the crowd. place: its number in the arrays, as long as it rests."""

    __slots__ = ("place",)

    def __init__(self, sign: int, px: int, leaves: int, place: int):
        super().__init__(sign, px, leaves)
        self.place = place


class Shelf:
    """The arrays of all venues of an instrument, and the clients' orders in them.

    told: hears the signed quantity of a client's fill, and whether he rested.
    """

    def __init__(self, venues: list[str], tick: int, told: Callable[[int, bool], None]):
        self.arrays = a.empty(len(venues))
        self.tick = tick
        self.told = told
        self.venues = venues
        self._places: dict[int, int] = {}  # of clients' orders in the arrays, by their number
        self._orders: dict[int, Order] = {}
        self._numbers: dict[Order, int] = {}
        self._count = 0
        self._seen = ints(22)  # where levels are copied to

    def has_clients(self) -> bool:
        """Whether an order of a client rests."""
        return bool(self._orders)

    def make_room(self, orders: int = 64) -> None:
        """Let so many orders come, a level each, before anybody asks again; and record what they trade."""
        b = self.arrays
        n = b[: a.RECORD_ROOM + 1] if isinstance(b, list) else b[: a.RECORD_ROOM + 1].tolist()
        first = int(b[a.LEVELS])
        levels = int(max(b[first : first + n[a.SIDES]]))
        width = n[a.WIDTH] if levels + orders < n[a.WIDTH] else 2 * (n[a.WIDTH] + orders)
        room = n[a.ROOM] if n[a.USED] + orders < n[a.ROOM] else 2 * (n[a.ROOM] + orders)
        needed = 2 * (2 * len(self._orders) + n[a.RECORDS] + 1_024)
        records = n[a.RECORD_ROOM] if needed <= n[a.RECORD_ROOM] else 2 * needed
        if (width, room, records) != (n[a.WIDTH], n[a.ROOM], n[a.RECORD_ROOM]):
            self.arrays = a.grown(b, width, room, records)

    def rest(self, venue: int, order: Order) -> None:
        """An order joins its queue."""
        assert not order.reserve, "the arrays have no place for what is not shown"
        self.make_room()
        side = 2 * venue + (1 if order.sign < 0 else 0)
        order.level = Level(order.px * order.sign, order.px)
        if order.owner is None:
            a.join(self.arrays, side, order.sign * (order.px // self.tick), order.leaves, 0)
            return
        self._count += 1
        place = a.join(self.arrays, side, order.sign * (order.px // self.tick), order.leaves, self._count)
        self._places[self._count], self._orders[self._count], self._numbers[order] = int(place), order, self._count

    def reduce(self, order: Order, qty: int) -> None:
        """Take `qty` off an order."""
        assert 0 < qty <= order.leaves
        if isinstance(order, Quote):
            a.reduce(self.arrays, order.place, qty)
            order.leaves -= qty
            return
        a.reduce(self.arrays, self._places[self._numbers[order]], qty)
        self._take_off(self._numbers[order], qty)

    def find(self, number: int) -> Order | None:
        return self._orders.get(number)

    def top(self, venue: int, n: int) -> Top:
        """The best `n` levels of (bids, asks)."""
        if len(self._seen) < 4 * n + 2:
            self._seen = ints(4 * n + 2)
        a.top(self.arrays, venue, n, self.tick, self._seen)
        seen = self._seen if isinstance(self._seen, list) else self._seen.tolist()
        bids, end = seen[0], 2 + 2 * (seen[0] + seen[1])
        levels = tuple(zip(seen[2:end:2], seen[3:end:2], strict=True))
        return levels[:bids], levels[bids:]

    def pegged(self, side: int) -> dict[int, int]:
        """What clients' pegged orders have on a side, by price."""
        b, found = self.arrays, dict[int, int]()
        for number, order in self._orders.items():
            if order.is_pegged and int(b[b[a.LEVEL] + self._places[number]]) // int(b[a.WIDTH]) == side:
                found[order.px] = found.get(order.px, 0) + order.leaves
        return found

    def heard(self) -> list[Moment]:
        """What has been recorded, match by match; the records are over then."""
        b = self.arrays
        count = int(b[a.RECORDS])
        if not count:
            return []
        # Six columns, one behind the other.
        first, room = int(b[a.TS]), int(b[a.RECORD_ROOM])
        if isinstance(b, list):
            columns = [b[at : at + count] for at in range(first, first + 6 * room, room)]
        else:
            columns = b[first : first + 6 * room].reshape(6, room)[:, :count].tolist()
        b[a.RECORDS] = 0
        out: list[Moment] = []
        last: tuple[int, int, int] | None = None
        fills: list[Fill] = []
        tick = self.tick
        for ts, venue, sign, ticks, qty, client in zip(*columns, strict=True):
            fill = Fill(self._filled(client, qty) if client else SOMEBODY, ticks * tick, qty)
            if (ts, venue, sign) == last:
                fills.append(fill)
            else:
                last, fills = (ts, venue, sign), [fill]
                out.append((ts, [Match(self.venues[venue], sign, fills)]))
        return out

    def _filled(self, number: int, qty: int) -> Order:
        order = self._orders[number]
        self._take_off(number, qty)
        return order

    def _take_off(self, number: int, qty: int) -> None:
        order = self._orders[number]
        order.leaves -= qty
        if not order.leaves:
            del self._orders[number], self._places[number], self._numbers[order]
            order.level = None


class Side(Ladder):
    """One side of a venue's book, read from the arrays."""

    __slots__ = ("_shelf", "_venue")

    def __init__(self, shelf: Shelf, venue: int, sign: int):
        self.sign = sign
        self._shelf = shelf
        self._venue = venue

    @property
    def keys(self) -> list[int]:  # type: ignore[override]  # a Ladder's are kept, these are read
        b, s, tick = self._shelf.arrays, self._index, self._shelf.tick
        start = s * int(b[a.WIDTH])
        return [int(b[b[a.KEY] + i]) * tick for i in range(start, start + int(b[b[a.LEVELS] + s]))]

    @property
    def levels(self) -> dict[int, Level]:  # type: ignore[override]  # read too
        b, s, tick = self._shelf.arrays, self._index, self._shelf.tick
        start = s * int(b[a.WIDTH])
        found = {}
        for i in range(start, start + int(b[b[a.LEVELS] + s])):
            key, slot = int(b[b[a.KEY] + i]) * tick, int(b[b[a.SLOT] + i])
            level = found[key] = Level(key, key * self.sign)
            level.qty = int(b[b[a.QTY] + slot])
            o = int(b[b[a.HEAD] + slot])
            while o >= 0:
                order = self._shelf.find(int(b[b[a.OWNER] + o])) or Quote(self.sign, level.px, int(b[b[a.LEAVES] + o]), o)
                order.level = order.level or level
                level.orders.append(order)
                o = int(b[b[a.NXT] + o])
        return found

    def at(self, px: int) -> Level | None:
        return self.levels.get(px * self.sign)

    def best_px(self) -> int | None:
        b, s = self._shelf.arrays, self._index
        used = int(b[b[a.LEVELS] + s])
        return int(b[b[a.KEY] + s * int(b[a.WIDTH]) + used - 1]) * self.sign * self._shelf.tick if used else None

    def join(self, order: Order) -> None:
        self._shelf.rest(self._venue, order)

    def drop(self, level: Level) -> None:
        raise AssertionError("a level of the arrays leaves with its last order")

    def top(self, n: int) -> tuple[tuple[int, int], ...]:
        bids, asks = self._shelf.top(self._venue, n)
        return bids if self.sign > 0 else asks

    def shown(self) -> int | None:
        """The best price at which somebody stands without being pegged to it."""
        pegged = self._shelf.pegged(self._index)
        return next((px for px, qty in self.top(len(pegged) + 1) if qty > pegged.get(px, 0)), None)

    @property
    def _index(self) -> int:
        return 2 * self._venue + (1 if self.sign < 0 else 0)


class FastBook(Book):
    """A venue's book. Its rules of arrival (`enter`) are `Book`'s own."""

    __slots__ = ("_shelf", "_venue")
    hides = False

    def __init__(self, shelf: Shelf, venue: int):
        super().__init__()
        self._shelf = shelf
        self._venue = venue
        self.bids = Side(shelf, venue, 1)
        self.asks = Side(shelf, venue, -1)

    def take(self, sign: int, qty: int, limit_px: int | None = None, screen: Screen | None = None) -> list[Fill]:
        """As `Book.take`, for a client; the crowd remembers it."""
        if screen is None:
            return self._take(sign, qty, limit_px)
        fills: list[Fill] = []
        while qty:
            ahead, own = self._before(sign, limit_px, screen)
            n = min(qty, ahead)
            fills += self._take(sign, n, limit_px) if n else []
            qty -= n
            if own is None or not qty:
                break
            qty -= screen(own, qty) or 0
        return fills

    def _take(self, sign: int, qty: int, limit_px: int | None) -> list[Fill]:
        shelf = self._shelf
        shelf.make_room()
        left = int(a.take(shelf.arrays, self._venue, sign, qty, self._ticks(sign, limit_px), 0))
        if left < qty:
            shelf.told(sign * (qty - left), False)
        fills = [fill for _, [match] in shelf.heard() for fill in match.fills]
        for fill in fills:
            if fill.order.owner is not None:
                shelf.told(-sign * fill.qty, True)
        return fills

    def _before(self, sign: int, limit_px: int | None, screen: Screen) -> tuple[int, Order | None]:
        """What an arriving order would trade with before the first order that it must not meet, and that one."""
        ahead, floor = 0, self._floor(sign, limit_px)
        for key, level in self._levels(-sign):
            if floor is not None and key < floor:
                break
            for order in level.live():
                if screen.stops_at(order) is not None:
                    return ahead, order
                ahead += order.leaves
        return ahead, None

    def can_fill(self, sign: int, qty: int, limit_px: int | None = None, screen: Screen | None = None) -> bool:
        if screen is not None:
            return super().can_fill(sign, qty, limit_px, screen)
        return bool(a.can_fill(self._shelf.arrays, self._venue, sign, qty, self._ticks(sign, limit_px)))

    def top(self, n: int = 5) -> Top:
        return self._shelf.top(self._venue, n)

    def best_px(self, sign: int) -> int | None:
        side = self.side(sign)
        assert isinstance(side, Side)
        return side.shown()

    def confine(self, band: tuple[int, int]) -> None:
        raise AssertionError("the scenario admits no price band here")

    def reduce(self, order: Order, qty: int) -> None:
        self._shelf.reduce(order, qty)

    def grow(self, order: Order, qty: int) -> None:
        raise AssertionError("only a tape grows orders")

    def replace(
        self, order: Order, px: int, leaves: int, tif: TimeInForce = TimeInForce.DAY, is_market: bool = False, screen: Screen | None = None
    ) -> list[Fill]:
        assert leaves > 0
        if px == order.px and leaves <= order.leaves and tif == TimeInForce.DAY and not is_market:
            if leaves < order.leaves:
                self.reduce(order, order.leaves - leaves)
            return []
        self.cancel(order)
        order.px, order.leaves = px, leaves
        return self.enter(order, tif, is_market, screen)

    def _ticks(self, sign: int, limit_px: int | None) -> int:
        return sign * ANY if limit_px is None else limit_px // self._shelf.tick
