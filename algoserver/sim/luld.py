"""Limit up, limit down: the range that an instrument may trade in, and the pause when it does not come back into it. Pure.

LULD-1: a day begins with the crowd's price as the reference, a reopening with its auction's. From then on it is the mean price of the lit
venues' trades of the last window_s, which is taken over only when it has left the old one by a hundredth.
LULD-2: the band is the reference less and plus `band`, to whole ticks inwards. No lit venue trades outside; an order priced beyond rests at
its edge, and moves when the edge does.
LULD-3: while the best bid stands at the upper edge, or the best offer at the lower one, trading is in the limit state. If that lasts limit_s,
trading pauses for pause_s. A pause reopens by auction (AUC-2), and the reference begins anew with it.
LULD-4: in a pause, venues with auctions take limit orders that can rest, for the reopening; stops sleep on. Everything else is refused (103=2).
LULD-5: each new band is told to who asked for the status: 326=6 with LowPx (333) and HighPx (332); a pause as 326=2, "LULD pause".
"""

from collections import deque

from algoserver.domain.types import PPM_ONE, SECOND
from algoserver.sim.book import Book
from algoserver.sim.config import LuldConfig
from algoserver.sim.source import FOREVER

STEP_PPM = PPM_ONE // 100


class Luld:
    """One instrument's. books: its lit ones, whose band it sets."""

    def __init__(self, config: LuldConfig, tick: int, books: list[Book]):
        self.pause_ns = config.pause_s * SECOND
        self._window_ns, self._limit_ns = config.window_s * SECOND, config.limit_s * SECOND
        self._band_ppm = round(config.band * PPM_ONE)
        self._tick = tick
        self._books = books
        self._trades: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._reference = 0
        self._pause_ts = FOREVER

    def traded(self, ts: int, px: int) -> tuple[int, int] | None:
        """Note a trade; the band, if it is a new one."""
        trades = self._trades
        trades.append((ts, px))
        self._sum += px
        while trades[0][0] <= ts - self._window_ns:
            self._sum -= trades.popleft()[1]
        mean = self._sum // len(trades)
        if self._reference and abs(mean - self._reference) * PPM_ONE < STEP_PPM * self._reference:
            return None
        return self._bind(mean)

    def begin(self, px: int) -> tuple[int, int] | None:
        """The band around a first reference; None if there is a reference already."""
        return None if self._reference else self._bind(px)

    def look(self, ts: int) -> None:
        """After anything moved: whether the limit state begins or ends."""
        band = self._books[0].band
        is_limit = band is not None and any(b.bids.best_px() == band[1] or b.asks.best_px() == band[0] for b in self._books)
        if not is_limit:
            self._pause_ts = FOREVER
        elif self._pause_ts == FOREVER:
            self._pause_ts = ts + self._limit_ns

    def next_ts(self) -> int:
        """When trading pauses, if nothing changes."""
        return self._pause_ts

    def clear(self) -> None:
        """Forget everything: a halt, a pause or the close."""
        self._trades.clear()
        self._sum = self._reference = 0
        self._pause_ts = FOREVER
        for book in self._books:
            book.band = None

    def _bind(self, reference: int) -> tuple[int, int]:
        self._reference = reference
        away = reference * self._band_ppm // PPM_ONE
        band = -(-(reference - away) // self._tick) * self._tick, (reference + away) // self._tick * self._tick
        for book in self._books:
            book.confine(band)
        return band
