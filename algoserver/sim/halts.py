"""Scripted trading halts: which instruments do not trade at a moment, and when that changes next. Pure: time is an argument."""

from algoserver.domain.types import DAY
from algoserver.sim.config import HaltConfig
from algoserver.sim.source import FOREVER


class Halts:
    """The halts of a scenario, the same every day."""

    def __init__(self, entries: list[HaltConfig]) -> None:
        self._entries = entries
        self._edges = sorted({edge % DAY for e in entries for edge in (e.begin_ns(), e.begin_ns() + e.length_ns())})

    def at(self, ts: int) -> dict[str, HaltConfig]:
        """What is halted at `ts`, by symbol."""
        return {e.symbol: e for e in self._entries if (ts - e.begin_ns()) % DAY < e.length_ns()}

    def next_ts(self, ts: int) -> int:
        """The first moment after `ts` at which a halt begins or ends."""
        midnight = ts - ts % DAY
        return min((midnight + edge + (0 if midnight + edge > ts else DAY) for edge in self._edges), default=FOREVER)
