"""Faults between the market and its clients: what is sent later, twice or never, and what is not read. Pure: time is an argument.

WIRE-1: what a session is told keeps its order: nothing overtakes a message that is late.
WIRE-2: a dropped report leaves no gap in the numbers: only the order's status (H) tells of it. The market's own books do not change.
WIRE-3: what is not read waits, and is read in its order afterwards.
LAT-1: a venue with `latency` hears and is heard so much later: each message's time is drawn log-normally around `ms`, by the seed, and no message
overtakes another of its session.
"""

import random
from collections import deque
from collections.abc import Mapping
from math import exp

from algoserver.domain.types import SECOND
from algoserver.sim.config import LatencyConfig
from algoserver.sim.faults import Fault
from algoserver.sim.source import FOREVER

MS = 1_000_000
REPORTS = ("35=8", "35=9", "35=r")
Item = tuple[str, str, str]  # of the inbox: kind, session, text


class Wire:
    """Every session's. seed: of all chances until the next script. latencies: by venue."""

    def __init__(self, seed: int = 1, latencies: Mapping[str, LatencyConfig | None] | None = None) -> None:
        self.reseed(seed)
        self._latencies = {venue: latency for venue, latency in (latencies or {}).items() if latency is not None}
        self._ways = random.Random(f"{seed}/latency")
        self._active: list[tuple[Fault, int]] = []
        self._late: dict[str, deque[tuple[int, str]]] = {}
        self._unread: list[Item] = []
        self._arriving: dict[str, deque[tuple[int, Item]]] = {}

    def reseed(self, seed: int) -> None:
        """Begin the chances anew."""
        self._rng = random.Random(f"{seed}/wire")

    def begin(self, ts: int, fault: Fault) -> None:
        """Let a fault happen from `ts` on."""
        self._active.append((fault, ts + int(fault.seconds * SECOND)))

    def sent(self, ts: int, session: str, body: str) -> list[str]:
        """What leaves now for a session when the market says `body`."""
        bodies = [body]
        if self._active and body.startswith(REPORTS):
            if any(self._chance(ts, session, "drop")):
                bodies = []
            elif any(self._chance(ts, session, "duplicate")):
                bodies = [body, body.replace("\x01", "\x0197=Y\x01", 1)]
        late = self._late.get(session)
        wait = max((f.ms + self._rng.randint(0, f.jitter_ms) for f in self._of(ts, session, "delay")), default=0) * MS + self._way(session)
        if not wait and not late:
            return bodies
        late = self._late.setdefault(session, deque())
        due = max(ts + wait, late[-1][0] if late else 0)
        late.extend((due, b) for b in bodies)
        return []

    def due(self, ts: int) -> list[tuple[str, str]]:
        """(session, body) of what was late and leaves now."""
        out: list[tuple[str, str]] = []
        for session, late in self._late.items():
            while late and late[0][0] <= ts:
                out.append((session, late.popleft()[1]))
        return out

    def read(self, ts: int, items: list[Item]) -> list[Item]:
        """Which of the inbox's items are read now, what has waited first."""
        waiting, self._unread = self._unread, []
        out: list[Item] = []
        for item in [*waiting, *(self._arrived(ts, items) if self._latencies else items)]:
            (self._unread if item[0] == "app" and self._of(ts, item[1], "slow_consumer") else out).append(item)
        return out

    def refuses(self, ts: int, session: str) -> bool:
        """Whether an order falls into a storm of rejects."""
        return any(self._chance(ts, session, "reject_storm"))

    def stale(self, ts: int) -> set[str]:
        """Venues whose market data stands still; "" for all."""
        return {f.venue for f, until in self._active if f.kind == "stale_feed" and ts < until}

    def next_ts(self) -> int:
        """When something that waits leaves or is read."""
        due = [late[0][0] for late in self._late.values() if late] + [way[0][0] for way in self._arriving.values() if way]
        due += [until for f, until in self._active if f.kind == "slow_consumer"] if self._unread else []
        return min(due, default=FOREVER)

    def active(self, ts: int) -> list[tuple[Fault, int]]:
        """Faults that last now, and until when."""
        self._active = [(f, until) for f, until in self._active if ts < until]
        return list(self._active)

    def _arrived(self, ts: int, items: list[Item]) -> list[Item]:
        """What has come all the way, of these items and those that were under way. What the engine itself says is known at once."""
        out = [item for item in items if item[0] != "app"]
        for item in items:
            if item[0] == "app":
                way = self._arriving.setdefault(item[1], deque())
                way.append((max(ts + self._way(item[1]), way[-1][0] if way else 0), item))
        for way in self._arriving.values():
            while way and way[0][0] <= ts:
                out.append(way.popleft()[1])
        return out

    def _way(self, session: str) -> int:
        latency = self._latencies.get(session.partition(":")[2].partition("->")[0])
        return int(latency.ms * MS * exp(self._ways.gauss(0.0, latency.spread))) if latency else 0

    def _of(self, ts: int, session: str, kind: str) -> list[Fault]:
        return [f for f, until in self._active if f.kind == kind and ts < until and f.concerns(session)]

    def _chance(self, ts: int, session: str, kind: str) -> list[bool]:
        return [self._rng.random() < f.share for f in self._of(ts, session, kind)]
