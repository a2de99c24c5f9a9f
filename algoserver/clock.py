"""Market time: real, or a recorded day run faster.

Business times (60, 168, 126, 273) are market time; SendingTime (52) is wall time and QuickFIX's own affair. Server and
simulator agree because they have the same three numbers.
"""

import time
from dataclasses import dataclass

from algoserver.domain.events import MachineWarned
from algoserver.domain.types import SECOND

# How far the machine's clock may go back, wall seconds: more is no correction, it is another time. A leap second and what NTP steps are less.
BEHIND_S_MAX = 5.0
BEHIND = "clock_behind"


@dataclass(frozen=True)
class Clock:
    """Market time = market_epoch_ts + (wall - wall_epoch_ts) * speed, in ns UTC. The default is real time.

    speed: market seconds per wall second, > 0.
    """

    speed: float = 1.0
    market_epoch_ts: int = 0
    wall_epoch_ts: int = 0

    def now(self) -> int:
        """Market time now, ns UTC. Follows the machine's clock, which may step back: CoreTime does not."""
        wall = time.time_ns()
        if self.speed == 1.0:
            return wall - self.wall_epoch_ts + self.market_epoch_ts
        return self.market_epoch_ts + int((wall - self.wall_epoch_ts) * self.speed)

    def wall_delay(self, market_ns: int) -> float:
        """Wall seconds that `market_ns` of market time take."""
        return market_ns / self.speed / 1e9


class CoreTime:
    """What events are stamped by: the clock's time, and never an earlier one than before. ts: of the last event, 0 for none. For one thread.

    Rule: where the machine's clock has gone back by a little, time stands still until it has caught up. By more than BEHIND_S_MAX in all, time goes
    on from where it was by the machine's monotonic clock, or every timer would wait as long. A clock that goes on is followed.
    """

    def __init__(self, clock: Clock, ts: int) -> None:
        self._clock, self._ts, self._mono = clock, ts, time.monotonic_ns()
        self._bound = int(BEHIND_S_MAX * SECOND * clock.speed)
        self._behind = self._jumped = 0
        self._is_behind = False
        self.now()
        self._jumped = 0  # since the last event of the journal it may be long

    def now(self) -> int:
        """Market time now, ns UTC."""
        wall, mono = self._clock.now(), time.monotonic_ns()
        onward = self._ts + int((mono - self._mono) * self._clock.speed)
        self._behind = onward - wall
        if -self._behind > self._bound:
            self._jumped = -self._behind
        ts = onward if self._behind > self._bound else wall
        if ts > self._ts:  # while it stands still, what passes is added up: steps back may follow each other, or the clock stand too
            self._ts, self._mono = ts, mono
        return self._ts

    def look(self) -> list[MachineWarned]:
        """What a person must know and has not been told."""
        self.now()
        found = []
        if self._jumped:
            text = f"the machine's clock went on by {self._clock.wall_delay(self._jumped):.1f} s at once; what ends by the clock has ended"
            found.append(MachineWarned(code="clock_jumped", subject="clock", text=text))
            self._jumped = 0
        if (self._behind > self._bound) != self._is_behind:
            self._is_behind = not self._is_behind
            if self._is_behind:
                text = f"the machine's clock is {self._clock.wall_delay(self._behind):.1f} s behind the time of the orders, which goes on"
                found.append(MachineWarned(code=BEHIND, subject="clock", text=text))
            else:
                found.append(caught_up())
        return found


def caught_up() -> MachineWarned:
    """The end of BEHIND."""
    return MachineWarned(code="clock_caught_up", subject="clock", text="the time of the orders is the machine's again")
