"""Where scripts of faults run: what is due, what lasts, and how it ends again. Pure: time is an argument.

STG-1: what belongs to time itself (halts, pauses) ends by the market; a crash and a drought end here, also when the script is over.
STG-2: a fault of a script that has nothing to happen to (no fill to bust) is noted and passed over; one that was injected is refused.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from algoserver.domain.types import SECOND
from algoserver.sim import mishaps
from algoserver.sim.config import LatencyConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import Fault, Script
from algoserver.sim.mishaps import Impossible
from algoserver.sim.reports import Answer
from algoserver.sim.source import FOREVER
from algoserver.sim.wire import Wire

WIRE = ("delay", "drop", "duplicate", "slow_consumer", "reject_storm", "stale_feed")


class Action(NamedTuple):
    """What only the FIX engine can do, to every session that the fault concerns."""

    kind: Literal["disconnect", "sequence_gap"]
    fault: Fault


class Stage:
    """A market's. actions: what the engine is to do; whoever does it empties the list. passed: faults that had nothing to happen to."""

    def __init__(self, exchange: Exchange, latencies: Mapping[str, LatencyConfig | None] | None = None):
        self._exchange = exchange
        self.wire = Wire(exchange.config.seed, latencies or {})
        self.actions: list[Action] = []
        self.passed: list[str] = []
        self._due: list[tuple[int, int, Fault]] = []
        self._ends: list[tuple[int, int, Fault]] = []
        self._count = 0

    def run(self, ts: int, script: Script) -> None:
        """Begin a script: its faults happen from now on. Raises Impossible if one is about what this market has not."""
        for fault in script.faults:
            self._check(fault)
        self.wire.reseed(script.seed)
        for fault in script.faults:
            self._count += 1
            heappush(self._due, (ts + int(fault.at_s * SECOND), self._count, fault))

    def inject(self, ts: int, fault: Fault) -> list[Answer]:
        """Let a fault happen now. Raises Impossible."""
        self._check(fault)
        if fault.kind in WIRE:
            self.wire.begin(ts, fault)
            return []
        match fault.kind:
            case "disconnect":
                self.actions.append(Action("disconnect", fault))
                return []
            case "sequence_gap":
                self.actions.append(Action("sequence_gap", fault))
                return []
            case "late_fill":
                return mishaps.late_fill(self._exchange, ts, fault)
            case "bust":
                return mishaps.bust(self._exchange, ts, fault)
            case "correction":
                return mishaps.correct(self._exchange, ts, fault)
            case "halt":
                return self._exchange.halt(ts, fault.symbol, int(fault.seconds), fault.resting, "halt")
            case "luld":
                return self._exchange.pause(ts, fault.symbol, max(1, int(fault.seconds)))
            case "crossed_book":
                return mishaps.cross(self._exchange, ts, fault.symbol, fault.venue)
        out = self._exchange.advance(ts)
        if fault.kind == "flash_crash":
            mishaps.crash(self._exchange, fault.symbol, 1 - fault.share)
        else:
            mishaps.thin(self._exchange, fault.symbol, fault.share)
        self._count += 1
        heappush(self._ends, (ts + int(fault.seconds * SECOND), self._count, fault))
        return out

    def next_ts(self) -> int:
        """When the next fault begins or ends."""
        return min(self._due[0][0] if self._due else FOREVER, self._ends[0][0] if self._ends else FOREVER, self.wire.next_ts())

    def advance(self, ts: int) -> list[Answer]:
        """Let everything happen that is due; the market is brought to each moment first."""
        out: list[Answer] = []
        while min(self._due[0][0] if self._due else FOREVER, self._ends[0][0] if self._ends else FOREVER) <= ts:
            if self._ends and (not self._due or self._ends[0] <= self._due[0]):
                due, _, fault = heappop(self._ends)
                out += self._exchange.advance(max(due, self._exchange.now()))
                self._end(fault)
                continue
            due, _, fault = heappop(self._due)
            try:
                out += self.inject(max(due, self._exchange.now()), fault)
            except Impossible as nothing:
                self.passed.append(f"{fault.kind}: {nothing}")
        return out

    def waiting(self) -> list[tuple[int, Fault]]:
        """Faults of scripts that are to come."""
        return [(due, fault) for due, _, fault in sorted(self._due)]

    def lasting(self, ts: int) -> list[tuple[Fault, int]]:
        """Faults that last now, and until when."""
        return self.wire.active(ts) + [(fault, due) for due, _, fault in sorted(self._ends)]

    def _end(self, fault: Fault) -> None:
        if fault.kind == "flash_crash":
            mishaps.crash(self._exchange, fault.symbol, 1 / (1 - fault.share))
        else:
            mishaps.thin(self._exchange, fault.symbol, 1.0)

    def _check(self, fault: Fault) -> None:
        if fault.symbol and fault.symbol not in self._exchange.instruments:
            raise Impossible(f"`symbol` {fault.symbol} is not listed: {', '.join(self._exchange.instruments)} are")
        if fault.venue and fault.venue not in self._exchange.venues:
            raise Impossible(f"`venue` {fault.venue} is not part of this market: {', '.join(self._exchange.venues)} are")
        if fault.kind in ("halt", "luld", "flash_crash", "drought") and not self._exchange.flows(fault.symbol):
            raise Impossible(f"{fault.symbol} follows a tape, which trades as it was recorded")
