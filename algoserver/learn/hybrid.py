"""The volume model that is served: the Kalman filter's forecast, bent by a regression, then by LightGBM. In logs, for every (now bin, target bin).

    point = filter's forecast + robust regression on levels and residuals + trees            (MAPE's own optimum, see below)
    P10, P50, P90 = the same with the objective of that quantile; `bands.py` stretches the outer two to what was covered out of sample

Rule 1: the same rows give the same bytes: one thread, a fixed seed, LightGBM's deterministic mode, numpy sums in a fixed order.
Rule 2: what is learnt is learnt of all symbols together; a symbol adds its filter's parameters only.
Rule 3: `point` minimises the mean absolute percentage error: a row weighs the inverse of its volume. For a skewed volume that is below the
median (P50), which is what to expect of a bin; shares of a day come from P50.

Why not trees alone on the filter's residual: that the level returns to its month's mean, and how fast, is a line, and on a few symbols the trees
learn it badly (day ahead 39.8 % against 37.7 % with the line before them, AAPL, ADBE and GE, last 24 days, both as medians).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.rows import PLAIN_NAMES, ROW_NAMES, DayRows

if TYPE_CHECKING:
    from lightgbm import Booster

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
HEADS = ("point", *QUANTILES)
# Few leaves of many rows: rows of one day share their noise, so 1500 rows are some fifteen days' worth of one symbol.
TREES = 60
PARAMS: dict[str, str | int | float | bool] = {
    "num_leaves": 4,
    "learning_rate": 0.05,
    "min_data_in_leaf": 1_500,
    "lambda_l2": 20.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 63,  # as good as 255 here, and faster
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    # On a busy machine a second thread made training slower, never faster.
    "num_threads": 1,
    "verbosity": -1,
}
# Rows of two days ahead of bins in the middle of the day say nearly the same: of those every sixth is learnt from.
THIN = 6
DAYS_MAX = 1_500  # of all symbols together: some 150,000 rows, which a fit needs some seconds for
# The regression: absolute errors by reweighting (IRLS), a ridge so strong that a symbol's twenty days can't bend it far.
RIDGE, SWEEPS, ERROR_MIN = 200.0, 6, 0.05
LINE_NAMES = (
    "forecast_less_base", "day_1", "day_2", "day_mean_5", "bin_1", "bin_mean_5", "closing_1",
    "today_1", "today_2", "today_mean_3", "today_mean", "today_volume", "daily_level", "intraday_level", "innovation_1",
)  # fmt: skip
LINE_COLUMNS = [ROW_NAMES.index(name) for name in LINE_NAMES]
# Day ahead, next bin, the three after it, the rest of the day: each has its own line and its own stretch.
HORIZONS = ("day_ahead", "next_bin", "near", "far")
NEAR_BINS = 4
WEIGHT_LOG_MAX = 2.0  # a bin at a tenth of its forecast is an accident, not ten bins
WIDTH_MIN = 0.02  # of a half band in logs: constant data has no spread, but no forecast is certain


@dataclass(frozen=True)
class Hybrid:
    """Heads point, p10, p50, p90. lines: point and p50, shape (horizons, len(LINE_NAMES) + 1). boosters: one a head.

    uses_filter False: the trees alone, on the distance from the 20-day mean of logs; the benchmark beside the hybrid.
    """

    lines: dict[str, NDArray[np.float64]]
    boosters: dict[str, "Booster"]
    uses_filter: bool = True


def horizon(now: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index into HORIZONS of each row."""
    ahead = target - now
    return np.where(now == 0, 0, np.where(ahead == 0, 1, np.where(ahead < NEAR_BINS, 2, 3)))


def fit_hybrid(days: Sequence[tuple[DayRows, NDArray[np.float64]]], uses_filter: bool = True) -> Hybrid:
    """Learn from rows of days with their log volumes (NaN: not traded, not learnt from)."""
    import lightgbm

    if not days:
        raise ValueError("no day to learn from")
    # Of many symbols every second day, or third: a day more says little where there are thousands.
    parts = [_learnt(rows, logs, uses_filter) for rows, logs in days[:: 1 + len(days) // DAYS_MAX]]
    features, now, target, start, goal = (np.concatenate(of) for of in zip(*parts, strict=True))
    rest = goal - start
    which = horizon(now, target)
    design = _design(features)
    lines, boosters = {}, {}
    rests: dict[str, NDArray[np.float64]] = {}
    weights: dict[str, NDArray[np.float64]] = {}
    lines["p50"] = _line(design, which, rest, np.ones(rest.size), uses_filter)
    rests["p50"] = rest - _on_line(design, which, lines["p50"])
    lines["point"] = lines["p50"]
    for _ in range(2):
        error = rest - _on_line(design, which, lines["point"])
        weights["point"] = np.exp(-np.clip(error, -WEIGHT_LOG_MAX, WEIGHT_LOG_MAX))
        lines["point"] = _line(design, which, rest, weights["point"], uses_filter)
    rests["point"] = rest - _on_line(design, which, lines["point"])
    columns = features if uses_filter else features[:, : len(PLAIN_NAMES)]
    names = list(ROW_NAMES if uses_filter else PLAIN_NAMES)
    # A dataset each: LightGBM does not take weights away again from one that is constructed.
    data = {
        of: lightgbm.Dataset(columns, label=rests[of], weight=weights.get(of), feature_name=names, params=dict(PARAMS)) for of in ("p50", "point")
    }
    # Fewer rows than a leaf's minimum leave a single leaf: the quantile itself, which is what little data can say.
    for head in HEADS:
        params = {**PARAMS, "objective": "quantile", "alpha": QUANTILES[head]} if head in ("p10", "p90") else {**PARAMS, "objective": "l1"}
        boosters[head] = lightgbm.train(params, data["point" if head == "point" else "p50"], num_boost_round=TREES)
    return Hybrid(lines, boosters, uses_filter=uses_filter)


def forecast_rows(model: Hybrid, rows: DayRows, heads: Sequence[str] = HEADS) -> dict[str, NDArray[np.float64]]:
    """Log volume per row and head, P10 < P50 < P90 by at least WIDTH_MIN. The bands are not calibrated yet: `bands.py` does that."""
    start = rows.forecast if model.uses_filter else rows.base
    columns = rows.features if model.uses_filter else rows.features[:, : len(PLAIN_NAMES)]
    which, design = horizon(rows.now, rows.target), _design(rows.features)
    found: dict[str, NDArray[np.float64]] = {}
    for head in heads:
        line = _on_line(design, which, model.lines["point" if head == "point" else "p50"])
        trees = np.asarray(model.boosters[head].predict(columns, num_threads=1), dtype=np.float64)
        found[head] = start + line + trees
    if "p10" in found and "p50" in found:
        found["p10"] = np.minimum(found["p10"], found["p50"] - WIDTH_MIN)
    if "p90" in found and "p50" in found:
        found["p90"] = np.maximum(found["p90"], found["p50"] + WIDTH_MIN)
    return found


def _learnt(rows: DayRows, logs: NDArray[np.float64], uses_filter: bool) -> tuple[NDArray[Any], ...]:
    """The rows of a day to learn from: day ahead and next bin all, of the others every sixth; only what traded."""
    goal = logs[rows.target]
    ahead = rows.target - rows.now
    is_kept = (rows.now == 0) | (ahead == 0) | ((rows.now + ahead) % THIN == 0)
    kept = is_kept & np.isfinite(goal)
    start = rows.forecast if uses_filter else rows.base
    return rows.features[kept], rows.now[kept], rows.target[kept], start[kept], goal[kept]


def _design(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of the regression and a constant; what is not known counts as no distance."""
    known = np.nan_to_num(features[:, LINE_COLUMNS], nan=0.0)
    return np.hstack([known, np.ones((len(known), 1))])


def _line(
    design: NDArray[np.float64], which: NDArray[np.int64], goal: NDArray[np.float64], weight: NDArray[np.float64], is_wanted: bool
) -> NDArray[np.float64]:
    """Weighted least absolute errors with a ridge, a row of coefficients per horizon."""
    lines = np.zeros((len(HORIZONS), design.shape[1]))
    if not is_wanted:
        return lines
    for number in range(len(HORIZONS)):
        mine = which == number
        x, y, w = design[mine], goal[mine], weight[mine]
        now_w = w
        for _ in range(SWEEPS):
            # einsum and not matmul: a library of linear algebra may add up on several threads, in any order.
            weighted = x * now_w[:, None]
            square = np.einsum("ni,nj->ij", weighted, x) + RIDGE * np.eye(x.shape[1])
            line = np.linalg.solve(square, np.einsum("ni,n->i", weighted, y))
            now_w = w / np.maximum(np.abs(y - (x * line).sum(axis=1)), ERROR_MIN)
        lines[number] = line
    return lines


def _on_line(design: NDArray[np.float64], which: NDArray[np.int64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (design * line[which]).sum(axis=1)
    return found
