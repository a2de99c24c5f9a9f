"""The median of the last 20 days per bin: the benchmark, and what serves where no model can. Volumes count in whole units, rounded at the door."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoserver.learn.rows import BASE_DAYS


def median_volume(history: ArrayLike) -> NDArray[np.float64]:
    """Median volume per bin over the last 20 days, units, shape (bins,). ValueError: fewer days, or not volumes."""
    median: NDArray[np.float64] = np.median(month(history), axis=0)
    return median


def month(history: ArrayLike) -> NDArray[np.float64]:
    """The last 20 days as whole units, checked."""
    volumes = whole_units(history)
    if volumes.shape[0] < BASE_DAYS:
        raise ValueError(f"history of {volumes.shape[0]} days; at least {BASE_DAYS} are needed")
    return volumes[-BASE_DAYS:]


def whole_units(history: ArrayLike) -> NDArray[np.float64]:
    """The history as whole units in float64, checked: shape (days, bins), each >= 0."""
    volumes = np.asarray(history, dtype=np.float64)
    if volumes.ndim != 2 or volumes.shape[1] < 4:
        raise ValueError(f"history of shape {volumes.shape}; (n_days, n_bins) with at least 4 bins is needed")
    # NaN compares false, so this refuses it too.
    if not (np.isfinite(volumes) & (volumes >= 0)).all():
        raise ValueError("history has a volume that is not a number >= 0")
    return np.rint(volumes)
