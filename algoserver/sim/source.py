"""What moves the books of one instrument, and when: a crowd or a recorded tape. The market asks no more of it than this."""

from typing import Protocol, runtime_checkable

from algoserver.domain.types import TimeInForce
from algoserver.sim.book import Book, Match, Order

FOREVER = 1 << 62  # next_ts of whatever has no next event
Moment = tuple[int, list[Match]]  # what was traded at a time


class Source(Protocol):
    """See above. is_open: whether it is trading hours. runs_alone: whether `run` may run more than one event."""

    books: dict[str, Book]
    is_open: bool
    runs_alone: bool = False

    def start(self, ts: int) -> None:
        """Begin at market time `ts`."""

    def next_ts(self) -> int:
        """When the next event is due."""

    def step(self) -> list[Match]:
        """Run the event that is due at `next_ts`."""

    def run(self, until_ts: int, on_trade: bool = False, on_move: bool = False) -> list[Moment]:
        """Run the event that is due, and if it can by itself those after it through `until_ts`. The last moment is how far it came.

        It comes back at a client's fill and when it opens or closes; on_trade: at any trade, on_move: when the best prices of all venues change.
        """
        return [(self.next_ts(), self.step())]

    @property
    def is_watched(self) -> bool:
        """Whether its next events can be fills of clients."""
        return True

    def reference_px(self) -> int:
        """The price that auctions begin from."""

    def crowd(self, tif: TimeInForce) -> list[Order]:
        """What the crowd sends to the opening or closing auction that is due now."""


@runtime_checkable
class Crowd(Source, Protocol):
    """A source that can be told something: people, not a recording."""

    def halt(self) -> None:
        """Leave the books and wait."""

    def resume(self, ts: int) -> list[Match]:
        """Come back."""

    def shift(self, factor: float) -> None:
        """Move the reference price to `factor` times itself; before the start: begin there."""

    def thin(self, share: float) -> None:
        """Show only this share of the usual depth from now on; 1: as ever."""
