"""A quantity that grows in time, the market's or a parent's, and how much of it came since a moment."""

from bisect import bisect_right

import msgspec

from algoserver.domain.types import SECOND

# The longest window that anybody asks for is five minutes; the rest is room to cut rarely.
SECONDS_KEPT = 330


class Tally(msgspec.Struct, gc=False):
    """A total, and what it was at the end of each of the last seconds in which it changed."""

    total: int = 0
    seconds: list[int] = []
    totals: list[int] = []

    def add(self, ts: int, quantity: int) -> None:
        """Count `quantity` at `ts`; times never go back. A bust counts negative."""
        self.total += quantity
        second = ts // SECOND
        if self.seconds and self.seconds[-1] == second:
            self.totals[-1] = self.total
            return
        self.seconds.append(second)
        self.totals.append(self.total)
        if len(self.seconds) > 2 * SECONDS_KEPT:
            del self.seconds[:-SECONDS_KEPT]
            del self.totals[:-SECONDS_KEPT]

    def since(self, ts: int, include_second: bool) -> int:
        """How much came after `ts`. The second of `ts` itself counts if `include_second`: to err on the safe side."""
        at = bisect_right(self.seconds, ts // SECOND - include_second)
        return self.total - (self.totals[at - 1] if at else 0)

    def since_each(self, ts: int, lengths: tuple[int, ...], include_second: bool) -> list[int]:
        """As since(), for so many seconds before `ts` each."""
        seconds, totals, total, second = self.seconds, self.totals, self.total, ts // SECOND - include_second
        return [total - totals[at - 1] if (at := bisect_right(seconds, second - length)) else total for length in lengths]
