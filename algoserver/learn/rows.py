"""What is known of a bin's volume when its decision is made: a row per (now bin i, target bin j >= i), before i opens.

Rule 1: a row of bin i knows the days before, and of its own day the bins before i. Nothing here reads bin i or later of the day.
Rule 2: training and serving call `day_rows`, no others. What a request does not carry (other symbols, prices) is no feature.
Rule 3: no symbol among the features: a symbol that the model never saw gets rows like any other. NaN is "not known", trees take it as it is.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.days import day_kind
from algoserver.learn.kalman import Filtered

# Base and dispersion need a month of trading. Residuals look back five days.
BASE_DAYS = 20

PLAIN_NAMES = (
    "target_bin", "bins_ahead", "now_bin", "day_1", "day_2", "day_3", "day_mean_5", "bin_1", "bin_mean_5",
    "closing_1", "closing_2", "closing_3", "closing_4", "weekday", "expiry", "dispersion", "shape",
    "today_1", "today_2", "today_mean_3", "today_mean", "today_volume",
)  # fmt: skip
FILTER_NAMES = ("daily_level", "intraday_level", "innovation_1", "forecast_less_base")
ROW_NAMES = PLAIN_NAMES + FILTER_NAMES


@dataclass(frozen=True)
class DayRows:
    """Rows of one day, i = 0 first, j ascending in each: n = bins (bins + 1) / 2.

    features: shape (n, len(ROW_NAMES)). now, target: i and j. base, forecast: log volume at j expected by the last 20 days' mean and by the filter.
    """

    features: NDArray[np.float64]
    now: NDArray[np.int64]
    target: NDArray[np.int64]
    base: NDArray[np.float64]
    forecast: NDArray[np.float64]


def day_rows(filtered: Filtered, logs: NDArray[np.float64], number: int, day: date) -> DayRows:
    """Rows of day `number` of `logs` (days, bins; NaN unseen), over which `filtered` ran. ValueError: fewer than 20 days before it."""
    if number < BASE_DAYS:
        raise ValueError(f"history of {number} days; at least {BASE_DAYS} are needed")
    bins = logs.shape[1]
    past, today = logs[number - BASE_DAYS : number], logs[number]
    base = _mean(past, axis=0)
    base = np.where(np.isnan(base), _mean(base), base)  # a bin that never traded is like the others
    residual = past - base
    level = _mean(residual, axis=1)
    now, target = np.triu_indices(bins)
    kind = day_kind(day)
    forecast = filtered.forecast(number)[now, target]
    seen = today - base
    row = {
        "target_bin": target,
        "bins_ahead": target - now,
        "now_bin": now,
        # How far the last days were above or below the base as a whole, and in this bin; yesterday's close.
        "day_1": level[-1],
        "day_2": level[-2],
        "day_3": level[-3],
        "day_mean_5": _mean(level[-5:]),
        "bin_1": residual[-1][target],
        "bin_mean_5": _mean(residual[-5:], axis=0)[target],
        **{f"closing_{back}": residual[-1, -back] for back in (1, 2, 3, 4)},
        "weekday": kind.weekday,
        "expiry": kind.is_expiry + (kind.is_quarter_expiry or kind.is_rebalance),
        "dispersion": np.sqrt(_mean(residual**2, axis=0))[target],
        "shape": (base - base.mean())[target],
        # The same of today, as far as it has gone.
        "today_1": _back(seen, 1)[now],
        "today_2": _back(seen, 2)[now],
        "today_mean_3": _so_far(seen, 3)[now],
        "today_mean": _so_far(seen, bins)[now],
        "today_volume": _volume_so_far(today, base)[now],
        "daily_level": (filtered.eta[number] - base.mean())[now],
        "intraday_level": filtered.mu[number][now],
        "innovation_1": _back(filtered.innovation[number], 1)[now],
        "forecast_less_base": forecast - base[target],
    }
    features = np.empty((now.size, len(ROW_NAMES)))
    for column, name in enumerate(ROW_NAMES):
        features[:, column] = row[name]
    return DayRows(features, now, target, base[target], forecast)


def _mean(values: NDArray[np.float64], axis: int | None = None) -> NDArray[np.float64]:
    """Mean of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _back(values: NDArray[np.float64], back: int) -> NDArray[np.float64]:
    """For each bin the value `back` bins before it; NaN where the day had not begun."""
    return np.concatenate([np.full(back, np.nan), values[:-back]])


def _so_far(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """For each bin the mean of the `width` bins before it, of what is known of them."""
    known = ~np.isnan(values)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    end = np.arange(values.size)
    begin = np.maximum(end - width, 0)
    count = counts[end] - counts[begin]
    return np.where(count > 0, (totals[end] - totals[begin]) / np.maximum(count, 1), np.nan)


def _volume_so_far(today: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each bin log of the volume before it over what the base expected of the same bins."""
    known = ~np.isnan(today)
    traded = np.concatenate([[0.0], np.cumsum(np.where(known, np.exp(np.where(known, today, 0.0)), 0.0))[:-1]])
    expected = np.concatenate([[0.0], np.cumsum(np.where(known, np.exp(base), 0.0))[:-1]])
    return np.where(traded > 0, np.log(np.maximum(traded, 1e-300) / np.maximum(expected, 1e-300)), np.nan)
