"""The forecast of a day, before it or in its midst: hybrid, else the Kalman filter, else the median, and which of them it was and why.

Rule 1: the same request gives the same bits, on one thread, after any number of reloads and in any order of requests.
Rule 2: the median is the model that can't be missing: it needs no file. Where it has nothing to say either, the answer says so and the core
takes the static curve of its configuration.
Rule 3: floats end here. The core holds a curve as ints that sum to exactly 1,000,000.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoserver.domain.types import PPM_ONE
from algoserver.learn.bands import Heads, Stretch, stretch_heads
from algoserver.learn.days import HALF_DAY_BINS, US_BINS, is_half_day
from algoserver.learn.hybrid import HEADS, Hybrid, forecast_rows, horizon
from algoserver.learn.kalman import REFIT_ITERATIONS, LevelParams, begun, filtered, fit, rough_start
from algoserver.learn.median import median_volume, month, whole_units
from algoserver.learn.rows import BASE_DAYS, ROW_NAMES, DayRows
from algoserver.learn.splits import mended
from algoserver.learn.store import VOLUME_KIND, load_model
from algoserver.learn.volumes import Volumes
from algoserver.learn.walk import Z90, known_day, known_logs

# A filter learns a symbol's own levels from a week; before that it has the others' mean.
OWN_DAYS = 5


@dataclass(frozen=True)
class Asked:
    """A day to forecast. history: volumes in units, shape (n_days, n_bins), oldest first, with its dates; today: of the bins that are over."""

    symbol: str
    day: date
    dates: tuple[date, ...]
    history: ArrayLike
    today: tuple[float, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """Expected volume per bin, units, shape (bins,): what traded where the bin is over, else P50, P10 and P90. `point`: least percentage error.

    model: who served it. why: why nobody better did, "" where the best model of the server did.
    """

    model: str
    why: str
    p50: NDArray[np.float64]
    p10: NDArray[np.float64]
    p90: NDArray[np.float64]
    point: NDArray[np.float64]

    @property
    def curve(self) -> NDArray[np.float64]:
        """Share of the day's volume per bin, sum 1."""
        total = float(self.p50.sum())
        if total <= 0:
            raise ValueError("no volume is expected in any bin; no curve follows from it")
        return self.p50 / total


class CurveModel(Protocol):
    """Whatever answers a request for a day's volume. Its version goes into the journaled forecast."""

    @property
    def version(self) -> str: ...

    @property
    def trained_through(self) -> str:
        """Last day that it learnt from, YYYY-MM-DD; "" where it learns nothing."""
        ...

    def forecast(self, asked: Asked) -> Forecast:
        """The day's forecast. ValueError: what was asked can't carry one."""
        ...


@dataclass(frozen=True)
class MedianModel:
    """The median of the last 20 days per bin: the benchmark, and the fallback. why: what it stands in for.

    What is left of a day is the same median, however the day began.
    """

    version: str = "median20"
    why: str = ""
    trained_through: str = ""

    def forecast(self, asked: Asked) -> Forecast:
        if not asked.dates:
            raise ValueError("no recorded days")
        median, past = median_volume(asked.history), month(asked.history)
        p10, p90 = np.quantile(past, 0.1, axis=0), np.quantile(past, 0.9, axis=0)
        found = [_with_today(_ended(row, asked.day), asked.today) for row in (median, p10, p90, median)]
        return Forecast(self.version, self.why, *found)


@dataclass(frozen=True)
class HybridModel:
    """A stored model: the hybrid, and the filter's parameters of every symbol that it learnt from. It answers for any other symbol too."""

    hybrid: Hybrid
    levels: dict[str, LevelParams]
    everybody: LevelParams
    stretches: dict[str, dict[str, Stretch]]  # kalman, hybrid -> symbol, "" for any other
    version: str
    n_bins: int
    trained_through: str = ""
    sha256: str = ""
    _own: dict[tuple[Any, ...], LevelParams] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, model_dir: Path) -> "HybridModel":
        """Load a stored model. ValueError (ModelDamaged where its bytes changed) names what is wrong."""
        import lightgbm

        manifest, files = load_model(model_dir)
        if manifest.kind != VOLUME_KIND:
            raise ValueError(f"{model_dir}: model of kind {manifest.kind!r}; {VOLUME_KIND!r} is needed")
        if manifest.feature_names != ROW_NAMES or not set(files) >= {FILTER_FILE, *(f"{head}.txt" for head in HEADS)}:
            raise ValueError(f"{model_dir}: trained by {manifest.code_version} on features that this version does not have; train again")
        boosters = {head: lightgbm.Booster(model_str=files[f"{head}.txt"]) for head in HEADS}
        stored = msgspec.json.decode(files[FILTER_FILE], type=Stored)
        hybrid = Hybrid({name: np.array(line) for name, line in stored.lines.items()}, boosters)
        levels = {symbol: level.params() for symbol, level in stored.levels.items()}
        everybody, through = stored.everybody.params(), manifest.trained_through
        return cls(hybrid, levels, everybody, stored.stretches, manifest.version, manifest.n_bins, through, manifest.model_sha256)

    def forecast(self, asked: Asked) -> Forecast:
        """By the first of the chain that can. ValueError: none can."""
        history = whole_units(asked.history) if asked.dates else np.empty((0, self.n_bins))
        if history.shape[1] != self.n_bins:
            return self._median(asked, f"history of {asked.symbol} has {history.shape[1]} bins; model {self.version} knows days of {self.n_bins}")
        if len(asked.today) > self.n_bins:
            raise ValueError(f"{len(asked.today)} bins of today; model {self.version} knows days of {self.n_bins}")
        days = Volumes(asked.symbol, asked.dates, (), history)
        logs = mended(known_logs(days), len(history))
        traded = int((~np.isnan(logs)).any(axis=1).sum())
        today = np.full((1, self.n_bins), np.nan)
        today[0, : len(asked.today)] = asked.today
        logs = np.vstack([logs, known_logs(Volumes(asked.symbol, (asked.day,), (), today))])
        if np.isnan(logs).all() and asked.dates:
            return self._median(asked, "nothing traded in the recorded days")
        if traded < BASE_DAYS:
            return self._kalman(asked, logs, traded, f"history of {traded} days; the hybrid needs {BASE_DAYS}")
        known = known_day(filtered(self._params(asked, logs, traded), logs), logs, len(history), asked.day)
        return self._ready("hybrid", self.version, "", asked, known.rows.now, known.rows.target, forecast_rows(self.hybrid, _now(known.rows, asked)))

    def whole_day(self, asked: Asked) -> tuple[NDArray[np.int64], NDArray[np.int64], Heads]:
        """Log volumes that forecast() says before a day and at each of its bins: now, target, heads by row. asked.today: all of the day.

        ValueError: fewer recorded days than the hybrid needs.
        """
        history, today = whole_units(asked.history), np.array([asked.today], dtype=np.float64)
        past = mended(known_logs(Volumes(asked.symbol, asked.dates, (), history)), len(history))
        traded = int((~np.isnan(past)).any(axis=1).sum())
        if traded < BASE_DAYS:
            raise ValueError(f"history of {traded} days; the hybrid needs {BASE_DAYS}")
        logs = np.vstack([past, known_logs(Volumes(asked.symbol, (asked.day,), (), today))])
        rows = known_day(filtered(self._params(asked, logs, traded), logs), logs, len(history), asked.day).rows
        of = self.stretches["hybrid"]
        heads = stretch_heads(forecast_rows(self.hybrid, rows), horizon(rows.now, rows.target), of.get(asked.symbol, of[""]))
        return rows.now, rows.target, heads

    def _kalman(self, asked: Asked, logs: NDArray[np.float64], traded: int, why: str) -> Forecast:
        """By the filter alone; a symbol without days has the others' season, at a level that only its own bins can tell."""
        if not asked.dates:
            why = "no recorded days: the season of the symbols learnt from"
        run = filtered(self._params(asked, logs, traded), logs)
        now, target = np.triu_indices(self.n_bins)
        mean, spread = run.forecast(len(logs) - 1)[now, target], run.spread(len(logs) - 1)[now, target] * Z90
        first = now == len(asked.today)
        heads = {"point": mean[first], "p10": (mean - spread)[first], "p50": mean[first], "p90": (mean + spread)[first]}
        return self._ready("kalman", f"{self.version} kalman", why, asked, now, target, heads)

    def _ready(
        self, name: str, model: str, why: str, asked: Asked, now: NDArray[np.int64], target: NDArray[np.int64], heads: Heads
    ) -> Forecast:  # fmt: skip
        first = len(asked.today)
        mine = now == first
        of = self.stretches[name]
        done = stretch_heads(heads, horizon(now[mine], target[mine]), of.get(asked.symbol, of[""]))
        rows = {}
        for head, logs in done.items():
            volume = np.zeros(self.n_bins)
            volume[target[mine]] = np.exp(logs)
            rows[head] = _with_today(_ended(volume, asked.day), asked.today)
        return Forecast(model, why, rows["p50"], rows["p10"], rows["p90"], rows["point"])

    def _median(self, asked: Asked, why: str) -> Forecast:
        return MedianModel(why=why).forecast(asked)

    def _params(self, asked: Asked, logs: NDArray[np.float64], traded: int) -> LevelParams:
        """The symbol's own parameters as stored; else the mean of all, brought to its days where it has a week of them."""
        params = self.levels.get(asked.symbol)
        if params is None:
            params = self.everybody
            if traded >= OWN_DAYS:
                key = (asked.symbol, *asked.dates, logs[:-1].tobytes())
                if key not in self._own:
                    self._own[key] = fit(logs[:-1], begun(_bent(params, logs[:-1], traded), logs[:-1]), REFIT_ITERATIONS)
                params = self._own[key]
        return begun(params, logs)


def _bent(params: LevelParams, logs: NDArray[np.float64], traded: int) -> LevelParams:
    """The others' season brought to that of these days, by how many they are: EM would need too many steps for it."""
    own = rough_start(logs).phi
    return replace(params, phi=(traded * own + OWN_DAYS * params.phi) / (traded + OWN_DAYS))


FILTER_FILE = "filter.json"


class StoredLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LevelParams as text: JSON's floats are read back to the bit."""

    a_eta: float
    a_mu: float
    var_eta: float
    var_mu: float
    r: float
    phi: tuple[float, ...]

    @classmethod
    def of(cls, params: LevelParams) -> "StoredLevel":
        return cls(params.a_eta, params.a_mu, params.var_eta, params.var_mu, params.r, tuple(params.phi.tolist()))

    def params(self) -> LevelParams:
        """Where the filter begins is not kept: it begins anew with every history."""
        return LevelParams(self.a_eta, self.a_mu, self.var_eta, self.var_mu, self.r, np.array(self.phi), (0.0, 0.0), (0.0, 0.0, 0.0))


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is besides its trees."""

    levels: dict[str, StoredLevel]
    everybody: StoredLevel
    lines: dict[str, list[list[float]]]
    stretches: dict[str, dict[str, Stretch]]


def _now(rows: DayRows, asked: Asked) -> DayRows:
    """Only the rows of the bin that is next."""
    mine = rows.now == len(asked.today)
    return DayRows(rows.features[mine], rows.now[mine], rows.target[mine], rows.base[mine], rows.forecast[mine])


def _ended(volume: NDArray[np.float64], day: date) -> NDArray[np.float64]:
    """A half day ends with the close of a whole one in its last bin, and has no more."""
    if volume.size != US_BINS or not is_half_day(day):
        return volume
    return np.concatenate([volume[: HALF_DAY_BINS - 1], volume[-1:], np.zeros(US_BINS - HALF_DAY_BINS)])


def _with_today(volume: NDArray[np.float64], today: Sequence[float]) -> NDArray[np.float64]:
    """Bins that are over have what they had."""
    return np.concatenate([np.array(today, dtype=np.float64), volume[len(today) :]])


def to_ppm(shares: ArrayLike) -> list[int]:
    """Shares that sum to 1 as parts per million that sum to exactly 1,000,000.

    Largest remainder: each part is its share rounded down or up; ties go to the earlier bin.
    """
    parts = np.asarray(shares, dtype=np.float64)
    if parts.ndim != 1 or not (np.isfinite(parts) & (parts >= 0)).all():
        raise ValueError("shares must be a row of numbers >= 0")
    # Six decimals are what a part per million can show; a larger distance is not rounding, the caller forgot to normalise.
    if abs(parts.sum() - 1.0) > 1e-6:
        raise ValueError(f"shares sum to {parts.sum()}, not to 1")
    scaled = parts / parts.sum() * PPM_ONE
    ppm = np.floor(scaled).astype(np.int64)
    missing = PPM_ONE - int(ppm.sum())
    assert 0 <= missing <= parts.size
    by_remainder = np.argsort(ppm - scaled, kind="stable")
    ppm[by_remainder[:missing]] += 1
    return [int(part) for part in ppm]
