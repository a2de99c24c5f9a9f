"""Self-trade prevention: what happens where an order would meet another of its own client (TargetCompID).

ST-1 cancel_newest: the arriving order loses all it has left; what rests stays.
ST-2 cancel_oldest: what rests is canceled, and the arriving order goes on.
ST-3 cancel_both: both are canceled.
ST-4 decrement: both lose the smaller of what they have open; who has something left goes on with it.
ST-5: in the dark, orders of one client pass each other by, unless the venue allows them to meet. In an auction they may meet.
"""

from typing import Literal

from algoserver.sim.book import Book, Order

Mode = Literal["allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"]


class Screen:
    """See book.Screen. prevented: what resting orders lost, in order; lost: what the arriving one did."""

    def __init__(self, mode: Mode, client: str, book: Book):
        self.lost = 0
        self.prevented: list[tuple[Order, int]] = []
        self._mode = mode
        self._client = client
        self._book = book

    def __call__(self, resting: Order, qty: int) -> int | None:
        """Deal with a resting order of the same client: what the arriving one, with `qty` left, loses to it."""
        if not self._is_own(resting):
            return None
        opened = resting.open_qty()
        less = {"cancel_newest": 0, "decrement": min(qty, opened)}.get(self._mode, opened)
        if less:
            self._book.shrink(resting, less)
            self.prevented.append((resting, less))
        lost = {"cancel_oldest": 0, "decrement": less}.get(self._mode, qty)
        self.lost += lost
        return lost

    def stops_at(self, resting: Order) -> bool | None:
        """Whether the arriving order would lose something to `resting`; None if they may trade."""
        return self._mode != "cancel_oldest" if self._is_own(resting) else None

    def _is_own(self, resting: Order) -> bool:
        return resting.owner is not None and resting.owner.client == self._client
