"""Clients' orders in lit books: what their terms mean there. Pure: it matches and keeps, and reports nothing.

STOP-1: a stop (40=3) or stop-limit (40=4) sleeps, unseen, until its venue prints at StopPx (99) or beyond: at or above for a buy, at or
below for a sale. One that is behind the venue's last print wakes at once.
STOP-2: awake it is a market or limit order that arrives now. Those that one print wakes arrive in the order in which they came.
ICE-1: an iceberg (DisplayQty 1138 or MaxFloor 111) shows no more than that. A new tip stands behind the whole queue (book, rule 5).
ICE-2: a tip after the first is drawn between 1 - iceberg_jitter and 1 + iceberg_jitter times the display, in whole lots, by the seed.
HID-1: an order that displays 0 is hidden: nothing of it is published, and at its price it trades after all that is shown.
MINQ-1: with MinQty (110) an order trades at once that much or nothing. One that rests must be hidden, and no single execution of it is
smaller, unless less is left.
POST-1: a post-only order (18=6) that would trade at once is refused; so is a replace of one, and the order stands.
PEG-1: a pegged order (40=P) stands at the best price of its own side (18=R) or at the mid (18=M) of all lit venues, counting only what is
shown and not pegged, plus its offset (211), rounded away from the other side to a tick, and never beyond its limit (44).
PEG-2: it never takes: it stands at least a tick from the other side's best. With a side empty it waits outside the book.
PEG-3: it moves with that price, and each time stands behind those who are there already.
"""

import random
from typing import NamedTuple

from algoserver.domain.types import Instrument, OrdType, TimeInForce
from algoserver.sim.admission import Wish
from algoserver.sim.blotter import ClientOrder
from algoserver.sim.book import Book, Fill, Order, Shaped
from algoserver.sim.config import Scenario, VenueConfig
from algoserver.sim.reports import ALL
from algoserver.sim.selftrade import Screen


class Taken(NamedTuple):
    """What came of an arrival. prevented: what resting orders of the same client lost; lost: what the arriving one did."""

    fills: list[Fill]
    prevented: list[tuple[Order, int]]
    lost: int = 0


NOTHING = Taken([], [])


class Lit:
    """Every lit book of a market, for clients. books: by symbol and venue."""

    def __init__(self, config: Scenario, books: dict[str, dict[str, Book]], instruments: dict[str, Instrument], seed: int):
        self._venues: dict[str, VenueConfig] = {v.name: v for v in config.lit_venues}
        self._books = books
        self._instruments = instruments
        self._tips = random.Random(f"{seed}/icebergs")
        self._asleep: dict[tuple[str, str], list[ClientOrder]] = {}
        self.pegged: dict[str, list[ClientOrder]] = {symbol: [] for symbol in books}  # by symbol
        self._last: dict[tuple[str, str], int] = {}
        self.woken: list[ClientOrder] = []  # whose stop was met and who have not arrived yet

    def shows(self, order: ClientOrder | Wish) -> bool:
        """Whether its book has a place for it: that of a crowd that reacts has none for what is not shown."""
        book = self._books[order.symbol].get(order.venue)
        return book is None or book.hides or order.terms.display_qty == ALL

    def book(self, order: ClientOrder) -> Book:
        """Where it belongs."""
        return self._books[order.symbol][order.venue]

    def sleeps(self, order: ClientOrder) -> bool:
        """Whether it is a stop that has to wait; if so it does now."""
        stop_px, key = order.terms.stop_px, (order.venue, order.symbol)
        if not stop_px or order.is_triggered:
            return False
        last = self._last.get(key, 0)
        if last and (last - stop_px) * order.side.sign >= 0:
            return False
        self._asleep.setdefault(key, []).append(order)
        return True

    def has_asleep(self, symbol: str) -> bool:
        """Whether a stop waits for a trade."""
        return bool(self._asleep) and any(asleep and s == symbol for (_, s), asleep in self._asleep.items())

    def printed(self, venue: str, symbol: str, px: int) -> None:
        """Note a trade: it wakes stops."""
        key = venue, symbol
        self._last[key] = px
        asleep = self._asleep.get(key)
        if asleep:
            hit = [o for o in asleep if (px - o.terms.stop_px) * o.side.sign >= 0]
            self._asleep[key] = [o for o in asleep if o not in hit] if hit else asleep
            self.woken += hit

    def last_px(self, venue: str, symbol: str) -> int:
        """The venue's last trade, 0 for none."""
        return self._last.get((venue, symbol), 0)

    def would_take(self, venue: str, symbol: str, sign: int, px: int) -> bool:
        """Whether an order at `px` would trade at once."""
        return self._books[symbol][venue].crosses(sign, px)

    def arrive(self, order: ClientOrder, may_match: bool = True) -> Taken:
        """Match and rest an order that does not sleep. Without `may_match` it only rests, as in a call."""
        if order.ord_type is OrdType.PEGGED:
            self.pegged[order.symbol].append(order)
            order.resting = self._made(order, 0)
            self._peg(order)
            return NOTHING
        order.resting = self._made(order, order.px)
        if not may_match:
            self.book(order).rest(order.resting)
            return NOTHING
        screen = self._screen(order)
        fills = self.book(order).enter(order.resting, order.tif, order.ord_type is OrdType.MARKET, screen)
        return Taken(fills, screen.prevented, screen.lost) if screen else Taken(fills, [])

    def keep(self, order: ClientOrder) -> None:
        """Take quantity off a resting order, down to what it has open now; it keeps its place."""
        if order.resting is not None and order.resting.level is not None:
            more = order.resting.open_qty() - order.leaves_qty()
            if more:
                self.book(order).shrink(order.resting, more)

    def leave(self, order: ClientOrder) -> None:
        """Take an order out of wherever it waits."""
        for waiting in (self._asleep.get((order.venue, order.symbol), []), self.pegged[order.symbol], self.woken):
            if order in waiting:
                waiting.remove(order)
        if order.resting is not None and order.resting.level is not None:
            self.book(order).cancel(order.resting)
        order.resting = None

    def forget(self, order: ClientOrder) -> None:
        """An order that is over has no peg to follow."""
        if order.ord_type is OrdType.PEGGED and order in self.pegged[order.symbol]:
            self.pegged[order.symbol].remove(order)

    def waits(self, order: ClientOrder) -> bool:
        """Whether a live order is somewhere: in a book, asleep, or pegged to a price that is not there."""
        asleep = order in self._asleep.get((order.venue, order.symbol), ()) or order in self.woken
        return asleep or order in self.pegged[order.symbol] or (order.resting is not None and order.resting.level is not None)

    def follow(self, symbol: str) -> None:
        """Move what is pegged to where its price is now."""
        for order in self.pegged[symbol]:
            self._peg(order)

    def orders(self, symbol: str) -> list[ClientOrder]:
        """Every client's order of an instrument that waits here, in books in the order in which they would trade, then asleep or unpriced."""
        found: list[ClientOrder] = [o.owner for book in self._books[symbol].values() for o in book.live() if o.owner is not None]
        found += [o for o in self.pegged[symbol] if o.resting.level is None]
        return found + [o for (_, s), asleep in self._asleep.items() if s == symbol for o in asleep]

    def held(self, symbol: str) -> list[ClientOrder]:
        """Limit orders that do not stand at their limit: a price band holds or held them."""
        return [o for o in self.orders(symbol) if o.ord_type is OrdType.LIMIT and o.resting is not None and o.resting.px != o.px]

    def _made(self, order: ClientOrder, px: int) -> Order:
        terms, leaves = order.terms, order.leaves_qty()
        is_pegged = order.ord_type is OrdType.PEGGED
        if terms.display_qty == ALL and not is_pegged and not order.min_qty:
            return Order(order.side.sign, px, leaves, order)
        return self._shaped(order, px, leaves, is_pegged)

    def _shaped(self, order: ClientOrder, px: int, leaves: int, is_pegged: bool) -> Shaped:
        terms = order.terms
        lot, jitter = self._instruments[order.symbol].lot, self._venues[order.venue].iceberg_jitter
        drawn = 0

        def tip() -> int:
            nonlocal drawn
            drawn += 1
            if drawn == 1 or not jitter:
                return terms.display_qty
            return max(lot, round(terms.display_qty * (1 + jitter * (2 * self._tips.random() - 1))) // lot * lot)

        return Shaped(
            order.side.sign, px, leaves, order, tip if terms.display_qty > 0 else None,
            is_hidden=terms.display_qty == 0, is_pegged=is_pegged, min_qty=order.min_qty,
        )  # fmt: skip

    def _screen(self, order: ClientOrder) -> Screen | None:
        mode = self._venues[order.venue].self_trade
        return None if mode == "allow" else Screen(mode, order.client, self.book(order))

    def _peg(self, order: ClientOrder) -> None:
        book, resting, px = self.book(order), order.resting, self._pegged_px(order)
        if resting.level is not None and resting.px == px:
            return
        leaves = order.leaves_qty()
        if resting.level is not None:
            book.cancel(resting)
        if px:
            order.resting = self._made(order, px)
            assert order.resting.leaves == leaves
            book.rest(order.resting)

    def _pegged_px(self, order: ClientOrder) -> int:
        """Where it stands now, 0 for nowhere."""
        books, sign, terms = list(self._books[order.symbol].values()), order.side.sign, order.terms
        near = [px * sign for b in books if (px := b.best_px(sign)) is not None]
        far = [px * sign for b in books if (px := b.best_px(-sign)) is not None]
        if not near or not far:
            return 0
        tick = self._instruments[order.symbol].tick
        # In keys: a higher one is more aggressive, whichever the side.
        base = max(near) if terms.peg == "R" else (max(near) + min(far)) // 2
        # It must not meet another peg either, nor what is hidden in its own book.
        shown = [px * sign for b in books if (px := b.side(-sign).best_px()) is not None]
        hidden = self.book(order).unseen[-sign].best_px()
        key = min(base + terms.peg_offset * sign, min([*shown, *([hidden * sign] if hidden is not None else [])]) - tick)
        if order.px:
            key = min(key, order.px * sign)
        key = key // tick * tick
        return max(key * sign, 0)


def at_once(order: ClientOrder) -> bool:
    """Whether what is not traded at once is over."""
    return order.ord_type is OrdType.MARKET or order.tif in (TimeInForce.IOC, TimeInForce.FOK)
