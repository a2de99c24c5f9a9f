"""Market time: real, or a recorded day run faster.

Business times (60, 168, 126, 273) are market time; SendingTime (52) is wall time and QuickFIX's own affair. Server and
simulator agree because they have the same three numbers.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Market time = market_epoch_ts + (wall - wall_epoch_ts) * speed, in ns UTC. The default is real time.

    speed: market seconds per wall second, > 0.
    """

    speed: float = 1.0
    market_epoch_ts: int = 0
    wall_epoch_ts: int = 0

    def now(self) -> int:
        """Market time now, ns UTC. Follows the machine's clock, which may step back: stampers keep order."""
        wall = time.time_ns()
        if self.speed == 1.0:
            return wall - self.wall_epoch_ts + self.market_epoch_ts
        return self.market_epoch_ts + int((wall - self.wall_epoch_ts) * self.speed)

    def wall_delay(self, market_ns: int) -> float:
        """Wall seconds that `market_ns` of market time take."""
        return market_ns / self.speed / 1e9
