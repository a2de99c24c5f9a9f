"""Is the model better than the median? Five models, the same bins, out of sample: what each had forecast against what was traded.

mean, median: of the last 20 days, per bin; the same all day. kalman: the filter alone. lightgbm: the trees alone. hybrid: what is served.

MAPE: mean over (symbol, day, bin) of |forecast - volume| / volume, percent; a bin that did not trade is left out. Day ahead: made before the day;
one bin: before each bin opens. mape_p50: of the median; mape_lowered: of the median lowered by its variance, which is to the filter what `point` is
to the hybrid. MAE: the same of |forecast - volume|, units. Coverage: share of bins inside [P10, P90], percent.
Curve error: mean over (symbol, day) of the sum over bins of |planned share - share|, percent of the day's volume. Planned from the forecast made
before the day (`curve`) or, bin after bin, from what was forecast then of the rest (`dynamic`). VWAP error: mean over (symbol, day) of the distance
in basis points between the day's VWAP and the price of buying along the planned shares, where the folder has prices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.days import HALF_DAY_BINS, US_BINS, is_half_day
from algoserver.learn.walk import Z90, Scored

MODELS = ("mean", "median", "kalman", "lightgbm", "hybrid")
HORIZONS = ("day_ahead", "one_bin")
HEADS = ("point", "p10", "p50", "p90")


@dataclass
class Tally:
    """One model's errors, an entry per symbol and day and horizon; each an array over the bins that traded."""

    ape: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {h: [] for h in HORIZONS})
    ape_p50: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {h: [] for h in HORIZONS})
    ape_lowered: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {h: [] for h in HORIZONS})
    error: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {h: [] for h in HORIZONS})
    inside: dict[str, list[NDArray[np.bool_]]] = field(default_factory=lambda: {h: [] for h in HORIZONS})
    curve: list[float] = field(default_factory=list)
    dynamic: list[float] = field(default_factory=list)
    vwap: list[float] = field(default_factory=list)
    vwap_dynamic: list[float] = field(default_factory=list)
    ape_by_day: dict[str, dict[date, list[float]]] = field(default_factory=lambda: {h: {} for h in HORIZONS})
    curve_by_day: dict[date, list[float]] = field(default_factory=dict)


def tally(scored: Iterable[Scored], prices: Mapping[tuple[str, date], NDArray[np.float64]] | None = None) -> dict[str, Tally]:
    """Every model's errors. prices: per symbol and day the price of each bin, where known."""
    found: dict[str, Tally] = {}
    for one in scored:
        traded = np.isfinite(one.volume) & (one.volume > 0)
        if not traded.any():
            continue
        price = (prices or {}).get((one.symbol, one.day))
        for name, heads in _matrices(one).items():
            of = found.setdefault(name, Tally())
            _add(of, one, heads, traded)
            _add_curve(of, one, heads["p50"], traded, price)
    return found


def metrics(tallies: Mapping[str, Tally]) -> dict[str, dict[str, float]]:
    """Each model's figures. ValueError: nothing was traded in the scored days."""
    if not tallies:
        raise ValueError("no volume in the scored days; there is nothing to score")
    found: dict[str, dict[str, float]] = {}
    for name in sorted(tallies, key=lambda m: (MODELS.index(m) if m in MODELS else len(MODELS), m)):
        of = tallies[name]
        figures = {}
        kinds = (("mape", of.ape, 100), ("mape_p50", of.ape_p50, 100), ("mape_lowered", of.ape_lowered, 100), ("mae", of.error, 1))
        for what, entries, scale in (*kinds, ("coverage", of.inside, 100)):
            for h in HORIZONS:
                figures[f"{what}_{h}"] = scale * float(np.concatenate(entries[h]).mean())
        figures |= {"curve_error": float(np.mean(of.curve)), "curve_error_dynamic": float(np.mean(of.dynamic))}
        if of.vwap:
            figures |= {"vwap_bp": float(np.mean(of.vwap)), "vwap_bp_dynamic": float(np.mean(of.vwap_dynamic))}
        found[name] = figures
    return found


def by_date(tallies: Mapping[str, Tally]) -> dict[str, dict[str, float]]:
    """Of every scored day some of what `metrics` is the mean of, percent: date -> `<figure>_<model>`."""
    found: dict[str, dict[str, float]] = {}
    for name, of in tallies.items():
        days = {**{f"mape_{h}": of.ape_by_day[h] for h in HORIZONS}, "curve_error": of.curve_by_day}
        for figure, errors_of in days.items():
            scale = 1 if figure == "curve_error" else 100
            for day, errors in errors_of.items():
                found.setdefault(day.isoformat(), {})[f"{figure}_{name}"] = scale * float(np.mean(errors))
    return dict(sorted(found.items()))


def paired(tallies: Mapping[str, Tally], horizon: str, model: str, other: str) -> tuple[float, float]:
    """Mean difference of two models' MAPE, points, and its standard error: a day is one observation, for its bins and symbols share its level."""
    mine, theirs = tallies[model].ape_by_day[horizon], tallies[other].ape_by_day[horizon]
    return mean_and_error([100 * float(np.mean(mine[day]) - np.mean(theirs[day])) for day in sorted(mine)])


def mean_and_error(daily: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; one day has none: NaN."""
    values = np.array(daily)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")


def _add(of: Tally, one: Scored, heads: dict[str, NDArray[np.float64]], traded: NDArray[np.bool_]) -> None:
    for h in HORIZONS:
        made = {head: (matrix[0] if h == "day_ahead" else np.diagonal(matrix)) for head, matrix in heads.items()}
        known = traded & np.isfinite(made["point"])  # a half day's calendar may say there is no such bin
        volume = one.volume[known]
        distance = np.abs(made["point"][known] - volume)
        of.ape[h].append(distance / volume)
        of.ape_p50[h].append(np.abs(made["p50"][known] - volume) / volume)
        of.ape_lowered[h].append(np.abs(_lowered(made["p50"], made["p10"], made["p90"])[known] - volume) / volume)
        of.error[h].append(distance)
        of.inside[h].append((made["p10"][known] <= volume) & (volume <= made["p90"][known]))
        of.ape_by_day[h].setdefault(one.day, []).append(float((distance / volume).mean()))


def _lowered(p50: NDArray[np.float64], p10: NDArray[np.float64], p90: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where relative errors are least if volume is lognormal about its median: lower by the variance of its log, here that of the bands."""
    deviation = np.log(np.maximum(p90, 1.0) / np.maximum(p10, 1.0)) / (2 * Z90)
    return p50 * np.exp(-(deviation**2))


def _add_curve(of: Tally, one: Scored, p50: NDArray[np.float64], traded: NDArray[np.bool_], price: NDArray[np.float64] | None) -> None:
    share = np.where(traded, one.volume, 0.0) / one.volume[traded].sum()
    plans = (shares(p50[0]), dynamic_shares(p50))
    of.curve.append(100 * float(np.abs(plans[0] - share).sum()))
    of.dynamic.append(100 * float(np.abs(plans[1] - share).sum()))
    of.curve_by_day.setdefault(one.day, []).append(of.curve[-1])
    if price is not None and np.isfinite(price[traded]).all():
        vwap = float((share * np.where(traded, price, 0.0)).sum())
        for plan, kept in zip(plans, (of.vwap, of.vwap_dynamic), strict=True):
            reached = np.where(traded, plan, 0.0)
            paid = float((reached * np.where(traded, price, 0.0)).sum() / reached.sum())
            kept.append(10_000 * abs(paid / vwap - 1))


def shares(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of a forecast volume. A forecast of no volume at all says nothing of its shape: an even curve."""
    known = np.nan_to_num(volume)
    total = float(known.sum())
    return known / total if total > 0 else np.full(volume.size, 1 / volume.size)


def dynamic_shares(forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares planned bin after bin: of what is left, the bin's share of what was then forecast of the rest. forecast: shape (now, target)."""
    left, planned = 1.0, np.zeros(len(forecast))
    for now in range(len(forecast)):
        planned[now] = left * shares(forecast[now, now:])[0]
        left -= planned[now]
    return planned


def _matrices(one: Scored) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Every model's forecast volumes, shape (now, target), by head."""
    before = np.where(np.isnan(one.before).all(axis=0), 0.0, one.before)
    arithmetic = {
        "mean": {"point": np.nanmean(before, axis=0)},
        "median": {"point": np.nanmedian(before, axis=0)},
    }
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    bins = one.volume.size
    for name, heads in arithmetic.items():
        heads |= {"p50": heads["point"], "p10": np.nanquantile(before, 0.1, axis=0), "p90": np.nanquantile(before, 0.9, axis=0)}
        found[name] = {head: np.broadcast_to(row, (bins, bins)) for head, row in heads.items()}
    for name, logs in one.forecasts.items():
        found[name] = {head: volume_matrix(logs[head], one.now, one.target, bins, one.day) for head in HEADS}
    return found


def volume_matrix(logs: NDArray[np.float64], now: NDArray[np.int64], target: NDArray[np.int64], bins: int, day: date) -> NDArray[np.float64]:
    """Rows of logs as volumes, shape (now, target), NaN for bins that are over.

    A half day ends with the close of a whole one in its 14th bin; the bins after it are NaN.
    """
    matrix = np.full((bins, bins), np.nan)
    matrix[now, target] = np.exp(logs)
    if bins == US_BINS and is_half_day(day):
        matrix[:HALF_DAY_BINS, HALF_DAY_BINS - 1] = matrix[:HALF_DAY_BINS, -1]
        matrix[:, HALF_DAY_BINS:] = np.nan
    return matrix
