"""The trees of the volume curve: which rows they learn from, and how.

Rule 1: the same rows give the same bytes: one thread, a fixed seed, LightGBM's deterministic mode.
Rule 2: a row's features come from the days before its target; `features.py` can't see the target.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.features import BASE_DAYS, FEATURE_NAMES, HISTORY_DAYS, base_log_volume, feature_rows, log_volume
from algoserver.learn.volumes import Volumes

if TYPE_CHECKING:
    from lightgbm import Booster

# Small trees under strong shrinkage: a row says little (most of a bin's distance from its base is noise), and
# 150 trees of 4 leaves did as well on days 61 to 100 as any larger model tried.
TREES = 150
PARAMS: dict[str, str | int | float | bool] = {
    "objective": "l1",
    "num_leaves": 4,
    "learning_rate": 0.03,
    "min_data_in_leaf": 150,
    "lambda_l2": 20.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    # On a busy machine a second thread made training slower, never faster.
    "num_threads": 1,
    "verbosity": -1,
}

Rows = tuple[NDArray[np.float64], NDArray[np.float64]]


def history_before(volumes: Volumes, day: int) -> NDArray[np.float64]:
    """The history of day number `day`: at most 60 days, the last of them day - 1."""
    return volumes.bins[max(0, day - HISTORY_DAYS) : day]


def rows_by_day(volumes: Sequence[Volumes]) -> dict[tuple[str, date], Rows]:
    """Features and targets of every (symbol, day) that has 20 days before it.

    Target: log volume less the 20-day mean of logs, per bin.
    """
    rows: dict[tuple[str, date], Rows] = {}
    for one in volumes:
        for day in range(BASE_DAYS, len(one.dates)):
            history = history_before(one, day)
            target = log_volume(one.bins[day]) - base_log_volume(history)
            rows[one.symbol, one.dates[day]] = feature_rows(history, one.dates[day].weekday()), target
    return rows


def fit_volume(rows: Sequence[Rows]) -> "Booster":
    """Fit the trees to rows of many days, L1 on the target."""
    import lightgbm

    if not rows:
        raise ValueError(f"no day to learn from: a symbol needs more than {BASE_DAYS} days")
    data = lightgbm.Dataset(
        np.vstack([features for features, _ in rows]),
        label=np.concatenate([target for _, target in rows]),
        feature_name=list(FEATURE_NAMES),
    )
    return lightgbm.train(dict(PARAMS), data, num_boost_round=TREES)
