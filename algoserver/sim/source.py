"""What moves the books of one instrument, and when: seeded flow, or a recorded tape. The market asks no more of it than this."""

from typing import Protocol

from algoserver.domain.types import TimeInForce
from algoserver.sim.book import Book, Match, Order

FOREVER = 1 << 62  # next_ts of whatever has no next event


class Source(Protocol):
    """See above. is_open: whether it is trading hours."""

    books: dict[str, Book]
    is_open: bool

    def start(self, ts: int) -> None:
        """Begin at market time `ts`."""

    def next_ts(self) -> int:
        """When the next event is due."""

    def step(self) -> list[Match]:
        """Run the event that is due at `next_ts`."""

    def reference_px(self) -> int:
        """The price that auctions begin from."""

    def crowd(self, tif: TimeInForce) -> list[Order]:
        """What the crowd sends to the opening or closing auction that is due now."""
