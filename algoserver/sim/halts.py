"""Scripted trading halts: which instruments do not trade at a moment, and when that changes next. Pure: time is an argument."""

import msgspec

from algoserver.domain.types import DAY
from algoserver.sim.config import HaltConfig
from algoserver.sim.source import FOREVER


class Stop(msgspec.Struct, frozen=True):
    """Why an instrument does not trade. until_ts: when it does again; resting: keep or cancel; takes_orders: for the reopening auction."""

    until_ts: int
    resting: str = "keep"
    takes_orders: bool = False
    text: str = ""


class Mark(msgspec.Struct, frozen=True):
    """Where a market stands that another may go on from. reference: the crowd's price by symbol. stops: halts that were ordered."""

    reference: dict[str, int] = {}
    stops: dict[str, Stop] = {}


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
