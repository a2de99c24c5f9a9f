"""Is the model better than the median? Walk-forward: fit on the past, score the days after, move on.

Rule 1: a day is scored by a model that saw only days before it. The past grows, nothing leaves it.
Rule 2: every candidate is scored on the same (symbol, day, bin), by its own words of the day: volume and curve.

MAPE: mean over (symbol, day, bin) of |forecast volume - volume| / volume, in percent; bins without volume are left out.
Curve error: mean over (symbol, day) of the sum over bins of |forecast share - share|, in percent of the day's volume.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from algoserver.learn.features import BASE_DAYS, median_volume
from algoserver.learn.fit import fit_volume, history_before, rows_by_day
from algoserver.learn.predict import VolumeModel
from algoserver.learn.volumes import Volumes

# About a month of trading is scored; a refit every 8 days is 3 fits (MAPE 37.5 %; every day: 24 fits, 37.4 %).
SCORED_DAYS = 24
REFIT_DAYS = 8

CANDIDATES = ("mean20", "median20", "model")

Forecasts = dict[str, NDArray[np.float64]]


def evaluate(volumes: Sequence[Volumes], scored_days: int = SCORED_DAYS) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Metrics of the last `scored_days` days, and the curve error per date and candidate.

    Metrics: `mape_<candidate>`, `curve_error_<candidate>` and `scored_days`. Candidates: mean20, median20, model.
    """
    ape: dict[str, list[NDArray[np.float64]]] = {name: [] for name in CANDIDATES}
    errors: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    by_date: dict[date, dict[str, list[float]]] = {}
    for day, volume, forecasts in walk_forward(volumes, scored_days):
        of_date = by_date.setdefault(day, {name: [] for name in CANDIDATES})
        traded = volume > 0
        if not traded.any():
            continue
        for name, forecast in forecasts.items():
            ape[name].append((np.abs(forecast - volume)[traded] / volume[traded]) * 100)
            error = float(np.abs(_curve(forecast) - _curve(volume)).sum()) * 100
            errors[name].append(error)
            of_date[name].append(error)
    if not ape["model"]:
        raise ValueError(f"no volume in the last {scored_days} days; there is nothing to score")
    metrics = {f"mape_{name}": float(np.concatenate(ape[name]).mean()) for name in CANDIDATES}
    metrics |= {f"curve_error_{name}": float(np.mean(errors[name])) for name in CANDIDATES}
    metrics["scored_days"] = float(scored_days)
    per_date = {day.isoformat(): {name: float(np.mean(e)) for name, e in of.items() if e} for day, of in sorted(by_date.items())}
    return metrics, per_date


def walk_forward(volumes: Sequence[Volumes], scored_days: int = SCORED_DAYS) -> list[tuple[date, NDArray[np.float64], Forecasts]]:
    """Day, volume and every candidate's forecast volume, per symbol and day of the last `scored_days` days."""
    dates = sorted({day for one in volumes for day in one.dates})
    days_min = 2 * BASE_DAYS + scored_days
    if len(dates) < days_min:
        raise ValueError(
            f"{len(dates)} days; {days_min} are needed: {BASE_DAYS} of history, {BASE_DAYS} to learn from, {scored_days} to score"
        )
    rows = rows_by_day(volumes)
    scored: list[tuple[date, NDArray[np.float64], Forecasts]] = []
    for first in range(len(dates) - scored_days, len(dates), REFIT_DAYS):
        block = dates[first : first + REFIT_DAYS]
        booster = fit_volume([of_day for (_, day), of_day in rows.items() if day < block[0]])
        for one in volumes:
            model = VolumeModel(booster, version="walk-forward", n_bins=one.bins.shape[1])
            for number, day in enumerate(one.dates):
                if day in block and number >= BASE_DAYS:
                    scored.append((day, one.bins[number], _forecasts(model, one, number)))
    return scored


def _curve(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of a volume. A forecast of no volume at all says nothing of its shape: an even curve."""
    total = float(volume.sum())
    return volume / total if total > 0 else np.full(volume.size, 1 / volume.size)


def _forecasts(model: VolumeModel, one: Volumes, number: int) -> Forecasts:
    history = history_before(one, number)
    return {
        "mean20": history[-BASE_DAYS:].mean(axis=0),
        "median20": median_volume(history),
        "model": model.volume(one.symbol, history, one.dates[number].weekday()),
    }
