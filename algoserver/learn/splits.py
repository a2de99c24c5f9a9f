"""A stock split in volumes that were not adjusted: found by the volumes alone, and taken out of the days before it.

Rule 1: found is a jump of the day's level (median log volume of its bins) by a factor of three or more, up or down, with the three days after it
and the five before it twice apart, each from each. News doubles volume for a day or two; a split or a change of units stays.
Rule 2: what is before the jump is multiplied by the measured ratio, so that levels and season go on. A 2 for 1 split is not told from a busy
month (of 4 for 1 on the recorded symbols two of three were): the filter follows it in some days.
Rule 3: only days that are over count: the jump is known three days after it happened, not sooner.
"""

import numpy as np
from numpy.typing import NDArray

DAYS_BEFORE, DAYS_AFTER = 5, 3
RATIO_MIN, APART_MIN = 3.0, 2.0


def splits(logs: NDArray[np.float64]) -> list[tuple[int, float]]:
    """First day after each jump and the log of its ratio. logs: log volume, shape (days, bins), NaN where unseen."""
    known = ~np.isnan(logs).all(axis=1)
    numbers = np.flatnonzero(known)
    levels = np.array([np.nanmedian(logs[number]) for number in numbers])
    found: list[tuple[int, float]] = []
    at = DAYS_BEFORE
    while at + DAYS_AFTER <= levels.size:
        before, after = levels[at - DAYS_BEFORE : at], levels[at : at + DAYS_AFTER]
        jump = float(np.median(after) - np.median(before))
        gap = after.min() - before.max() if jump > 0 else before.min() - after.max()
        if abs(jump) >= np.log(RATIO_MIN) and gap >= np.log(APART_MIN):
            found.append((int(numbers[at]), jump))
            at += DAYS_AFTER
        at += 1
    return found


def mended(logs: NDArray[np.float64], past: int) -> NDArray[np.float64]:
    """The same logs with what jumped in the first `past` days brought to the level after the jump. Later days are neither read nor changed."""
    found = logs.copy()
    for first, jump in splits(logs[:past]):
        found[:first] += jump
    return found
