"""Walk forward: fit on the past, forecast the days after, move on. What is measured, and what the bands are calibrated on, is made here.

Rule 1: a day is forecast by models that saw only days before its block, from rows that know only what was before their bin.
Rule 2: every model forecasts the same (symbol, day, now bin, target bin).
Rule 3: a day's bands are stretched by the forecasts of the days before, which were made the same way: out of sample.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from algoserver.learn import bands
from algoserver.learn.bands import Calibration, Heads, stretch_heads
from algoserver.learn.days import HALF_DAY_BINS, US_BINS, is_half_day
from algoserver.learn.hybrid import Hybrid, fit_hybrid, forecast_rows, horizon
from algoserver.learn.kalman import FIT_DAYS, ITERATIONS, REFIT_ITERATIONS, Filtered, LevelParams, begun, filtered, fit, log_bins
from algoserver.learn.rows import BASE_DAYS, DayRows, day_rows
from algoserver.learn.splits import mended
from algoserver.learn.volumes import Volumes

# About a month of trading is scored; a refit every 8 days does as well as one every day.
SCORED_DAYS = 24
REFIT_DAYS = 8
# Days before those that count, on which the bands settle: with SCORED_DAYS the month and a half that they keep, so a trained model has all that it
# can use, and what `train` and `evaluate` say of one recipe is the same. Each REFIT_DAYS more is a fit more; the bench takes them, for its windows.
WARM_DAYS = bands.DAYS - SCORED_DAYS
LEARN_DAYS = 20
# More than half a year back the market was another; and a folder of years must not need hours.
LEARN_DAYS_MAX = 150
DAYS_MIN = BASE_DAYS + LEARN_DAYS
Z90 = 1.2815515655446004  # of a normal distribution

FITTED = ("kalman", "lightgbm", "hybrid")


@dataclass(frozen=True)
class Scored:
    """One symbol's day as it was and as each model had forecast it, row by row (now, target). volume: per bin, NaN unknown.

    before: the 20 days before it, for the models that are arithmetic.
    """

    symbol: str
    day: date
    volume: NDArray[np.float64]
    before: NDArray[np.float64]
    now: NDArray[np.int64]
    target: NDArray[np.int64]
    forecasts: dict[str, Heads]


@dataclass(frozen=True)
class Known:
    """A day with its rows and what the filter alone says of them. number: of the day in its symbol's."""

    number: int
    rows: DayRows
    logs: NDArray[np.float64]
    kalman: Heads


@dataclass
class Walk:
    """The walk's settings. scored_days: the last ones, that count; before them as many as there are, up to warm_days_max, calibrate the
    bands.

    leave_out: forecast each symbol by what was learnt of the others alone (its own filter stays). has_trees: forecast with the trees alone, too.
    told: hears how far it is. After the run `calibrations` and `levels` are those of the day after the last.
    """

    volumes: Sequence[Volumes]
    scored_days: int = SCORED_DAYS
    leave_out: bool = False
    has_trees: bool = True
    warm_days_max: int = WARM_DAYS
    told: Callable[[str], None] = lambda _text: None
    calibrations: dict[str, Calibration] = field(default_factory=lambda: {name: Calibration() for name in FITTED})
    levels: dict[str, LevelParams] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dates = sorted({day for one in self.volumes for day in one.dates})
        least = DAYS_MIN + self.scored_days
        if len(self.dates) < least:
            text = f"{BASE_DAYS} of history, {LEARN_DAYS} to learn from, {self.scored_days} to score"
            raise ValueError(f"{len(self.dates)} days; {least} are needed: {text}")
        self.warm_days = min(self.warm_days_max, len(self.dates) - least)

    def run(self) -> Iterator[Scored]:
        """Every symbol and day that counts, in order of the days."""
        last, first = len(self.dates), len(self.dates) - self.scored_days
        starts = [*range(first - self.warm_days, first, REFIT_DAYS), *range(first, last, REFIT_DAYS)]
        for start, stop in zip(starts, [*starts[1:], last], strict=True):
            self.told(f"fit on {start} days, forecast days {start + 1} to {stop} of {last}")
            yield from self._block(start, stop, first)

    def _block(self, start: int, stop: int, first: int) -> Iterator[Scored]:
        known = {one.symbol: self._known(one, self.dates[start], self.dates[stop - 1]) for one in self.volumes}
        models: dict[str, dict[str, Hybrid]] = {}
        for one in self.volumes:
            others = {one.symbol} if self.leave_out and len(self.volumes) > 1 else set()
            if models and not others:
                models[one.symbol] = next(iter(models.values()))
                continue
            learnt = [
                (k.rows, k.logs)
                for other in self.volumes
                if other.symbol not in others
                for k in known[other.symbol]
                if other.dates[k.number] < self.dates[start]
            ]
            models[one.symbol] = self._fit(learnt)
        for number in range(start, stop):
            done: list[tuple[str, NDArray[np.int64], NDArray[np.float64], dict[str, Heads]]] = []
            for one in self.volumes:
                for k in known[one.symbol]:
                    if one.dates[k.number] != self.dates[number]:
                        continue
                    which = horizon(k.rows.now, k.rows.target)
                    made = {"kalman": k.kalman, **{name: forecast_rows(model, k.rows) for name, model in models[one.symbol].items()}}
                    done.append((one.symbol, which, k.logs[k.rows.target], made))
                    if number >= first:
                        ready = {name: stretch_heads(heads, which, self.calibrations[name].stretch(one.symbol)) for name, heads in made.items()}
                        before = one.bins[k.number - BASE_DAYS : k.number]
                        yield Scored(one.symbol, self.dates[number], one.bins[k.number], before, k.rows.now, k.rows.target, ready)
            # When the day is over for everybody, not before.
            for symbol, which, logs, made in done:
                for name, heads in made.items():
                    self.calibrations[name].add(symbol, number, which, logs, heads)

    def _known(self, one: Volumes, began: date, last: date) -> list[Known]:
        """Rows of a symbol's days up to `last`; its filter has learnt from the days before `began`."""
        past = sum(day < began for day in one.dates)
        logs = mended(known_logs(one.through(last)), past)
        params = fit_levels(logs[:past], self.levels.get(one.symbol)) if past >= BASE_DAYS else None
        if params is None:
            return []
        self.levels[one.symbol] = params
        return known_days(filtered(begun(params, logs), logs), logs, one.dates)

    def _fit(self, days: list[tuple[DayRows, NDArray[np.float64]]]) -> dict[str, Hybrid]:
        models = {"lightgbm": fit_hybrid(days, uses_filter=False)} if self.has_trees else {}
        return models | {"hybrid": fit_hybrid(days)}


def known_days(run: Filtered, logs: NDArray[np.float64], dates: Sequence[date]) -> list[Known]:
    """Every day that has a month before it, of the last ones that are learnt from."""
    return [known_day(run, logs, number, dates[number]) for number in range(max(BASE_DAYS, len(logs) - LEARN_DAYS_MAX), len(logs))]


def known_day(run: Filtered, logs: NDArray[np.float64], number: int, day: date) -> Known:
    """One day's rows, and the filter's forecast with its own bands."""
    rows = day_rows(run, logs, number, day)
    spread = run.spread(number)[rows.now, rows.target] * Z90
    kalman = {"point": rows.forecast, "p10": rows.forecast - spread, "p50": rows.forecast, "p90": rows.forecast + spread}
    return Known(number, rows, logs[number], kalman)


def known_logs(volumes: Volumes) -> NDArray[np.float64]:
    """Log volumes, NaN where nothing traded. The bin in which a half day closes holds an auction that the bin never has: not known either."""
    logs = log_bins(volumes.bins)
    if logs.shape[1] == US_BINS:
        for number, day in enumerate(volumes.dates):
            if is_half_day(day) and np.isnan(logs[number, HALF_DAY_BINS:]).all():
                logs[number, HALF_DAY_BINS - 1] = np.nan
    return logs


def fit_levels(logs: NDArray[np.float64], before: LevelParams | None) -> LevelParams | None:
    """The filter's parameters from these days, going on from earlier ones; None where nothing traded."""
    recent = logs[-FIT_DAYS:]
    if np.isnan(recent).all():
        return None
    return fit(recent, before and begun(before, recent), REFIT_ITERATIONS if before else ITERATIONS)
