"""What clients' trading has done to the price of a recorded market, in whole ticks: the recording can't know of them.

As in the market that reacts (docs/simulator.md): sigma x impact x sign(F) |F|^power, F the decaying sums of what clients traded, in seconds
of the recording's own mean volume; sigma is the recording's own too, in ticks per root of a second.
"""

from math import exp

from algoserver.domain.types import SECOND
from algoserver.sim.config import TapeConfig

STEP_NS = 100_000_000  # market time between two looks at it: what stands in the book is moved no oftener


class Overlay:
    """One instrument's. sigma: ticks per root of a second; rate: units traded per second."""

    def __init__(self, config: TapeConfig, sigma: float, rate: float):
        from algoserver.sim.flow_kernel import SECONDS_PER_DECAY  # where numba is installed, importing it takes a second
        from algoserver.sim.reacting import MEMORY_POWER

        self._seconds = SECONDS_PER_DECAY
        self._weights = [s**MEMORY_POWER for s in self._seconds]
        self._scale = 1 / (sum(self._weights) * rate) if rate else 0.0
        self._sums = [0.0] * len(self._seconds)
        self._height = config.impact * sigma
        self._power = config.impact_power
        self._resting = config.impact_resting
        self._ts = 0

    def remember(self, ts: int, qty: int, is_resting: bool) -> None:
        """Clients traded: signed quantity, bought positive."""
        self._decay(ts)
        self._sums = [s + qty * (self._resting if is_resting else 1.0) for s in self._sums]

    def ticks(self, ts: int) -> int:
        """How far the recording is moved at `ts`, to the nearest tick."""
        self._decay(ts)
        flow = self._scale * sum(w * s for w, s in zip(self._weights, self._sums, strict=True))
        moved: int = round(self._height * abs(flow) ** self._power)
        return moved if flow > 0 else -moved

    def _decay(self, ts: int) -> None:
        if ts > self._ts:
            gone = (ts - self._ts) / SECOND
            self._sums = [s * exp(-gone / tau) if s else 0.0 for s, tau in zip(self._sums, self._seconds, strict=True)]
            self._ts = ts
