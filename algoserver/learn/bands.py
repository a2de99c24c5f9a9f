"""Bands that hold what they promise: P10 and P90 stretched by what earlier forecasts missed, out of sample.

Split conformal on a rolling past (Romano, Patterson, Candes 2019: a side at a time), with the level itself corrected by every day's misses
(adaptive conformal inference, Gibbs and Candes 2021): volume has calm and wild months, and a symbol is not its neighbour.

Rule 1: a day's stretch is made of the days before it; `add` is called when the day is over.
Rule 2: half of what a symbol says is its own, half everybody's, in logs. A symbol without days has everybody's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.hybrid import HORIZONS, WIDTH_MIN

# A month and a half: bands calibrated on fewer days wander by themselves.
DAYS = 32
MISS = 0.1  # of each tail
# How fast the level follows a day's misses. Over six windows of 24 days coverage was 80 % within 1.6 points (root mean square), 2.3 without.
RATE = 0.1
LEVEL_RANGE = (0.7, 0.985)
OWN = 0.5
RANGE = (0.25, 4.0)
ROWS_MIN = 20

Heads = dict[str, NDArray[np.float64]]  # point, p10, p50, p90: log volume per row


@dataclass(frozen=True)
class Stretch:
    """By how much P50 - P10 and P90 - P50 are multiplied, per horizon."""

    low: tuple[float, ...] = (1.0,) * len(HORIZONS)
    high: tuple[float, ...] = (1.0,) * len(HORIZONS)


def stretch_heads(heads: Heads, which: NDArray[np.int64], stretch: Stretch) -> Heads:
    """The same heads with the outer two stretched. which: horizon of each row."""
    p50 = heads["p50"]
    low, high = np.array(stretch.low)[which], np.array(stretch.high)[which]
    return heads | {"p10": p50 - low * (p50 - heads["p10"]), "p90": p50 + high * (heads["p90"] - p50)}


class Calibration:
    """What past forecasts missed, per symbol, horizon and side. Numbers of days ascend."""

    def __init__(self) -> None:
        self._scores: dict[str, list[tuple[int, list[NDArray[np.float64]]]]] = {}  # symbol -> day, scores by side and horizon
        self._levels: dict[str, NDArray[np.float64]] = {}

    def add(self, symbol: str, number: int, which: NDArray[np.int64], logs: NDArray[np.float64], heads: Heads) -> None:
        """A day is over. logs: log volume of each row, NaN where nothing traded; heads: as forecast, unstretched."""
        used = self.stretch(symbol)
        levels = self._levels.setdefault(symbol, np.full(2 * len(HORIZONS), 1 - MISS))
        p50 = heads["p50"]
        scores: list[NDArray[np.float64]] = []
        sides = ((p50 - logs) / np.maximum(p50 - heads["p10"], WIDTH_MIN), (logs - p50) / np.maximum(heads["p90"] - p50, WIDTH_MIN))
        for score, factors in zip(sides, (used.low, used.high), strict=True):
            for number_of, factor in enumerate(factors):
                mine = score[(which == number_of) & np.isfinite(logs)]
                if mine.size:
                    missed = float((mine > factor).mean())
                    levels[len(scores)] = np.clip(levels[len(scores)] + RATE * (missed - MISS), *LEVEL_RANGE)
                scores.append(mine)
        days = self._scores.setdefault(symbol, [])
        days.append((number, scores))
        while days[0][0] <= number - DAYS:
            days.pop(0)

    def stretch(self, symbol: str) -> Stretch:
        """The stretch of the next day; 1 where too little is known."""
        sides = []
        level = self._levels.get(symbol)
        if level is None:
            level = np.mean(list(self._levels.values()), axis=0) if self._levels else np.full(2 * len(HORIZONS), 1 - MISS)
        for part in range(2 * len(HORIZONS)):
            everybody = [scores[part] for days in self._scores.values() for _, scores in days]
            own = [scores[part] for _, scores in self._scores.get(symbol, [])]
            pool = _factor(everybody, float(level[part]))
            sides.append(float(np.exp((1 - OWN) * np.log(pool) + OWN * np.log(_factor(own, float(level[part]), pool)))))
        return Stretch(tuple(sides[: len(HORIZONS)]), tuple(sides[len(HORIZONS) :]))


def _factor(scores: list[NDArray[np.float64]], level: float, otherwise: float = 1.0) -> float:
    """The factor that `level` of these scores stay below."""
    found = np.concatenate(scores) if scores else np.empty(0)
    return float(np.clip(np.quantile(found, level), *RANGE)) if found.size >= ROWS_MIN else otherwise
