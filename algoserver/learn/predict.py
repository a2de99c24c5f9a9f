"""The volume curve of a day, from a model or from the median, and its form for the core.

Rule 1: the same history gives the same bits, on one thread, after any number of reloads.
Rule 2: the median is the model that can't be missing: it needs no file, and every other model has its interface.
Rule 3: floats end here. The core holds a curve as ints that sum to exactly 1,000,000.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoserver.domain.types import PPM_ONE
from algoserver.learn.features import FEATURE_NAMES, base_log_volume, feature_rows, median_curve, median_volume
from algoserver.learn.store import VOLUME_KIND, load_model

if TYPE_CHECKING:
    from lightgbm import Booster


class CurveModel(Protocol):
    """Whatever answers a request for a day's volume curve. Kind and version go into the journaled forecast."""

    @property
    def kind(self) -> str: ...

    @property
    def version(self) -> str: ...

    def curve(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        """Share of the day's volume per bin, shape (bins,), each >= 0, sum 1. ValueError: `history` can't carry a curve.

        history: volumes in units, shape (n_days, n_bins), oldest first, n_days >= 20; of more than 60 the last 60 count.
        weekday: of the day to forecast, Monday 0.
        """
        ...

    def volume(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        """Expected volume per bin, units, shape (bins,), each >= 0."""
        ...


@dataclass(frozen=True)
class MedianModel:
    """The median of the last 20 days per bin: the benchmark, and the fallback without a champion."""

    kind: str = "median20"
    version: str = "median20"

    def curve(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        return median_curve(history)

    def volume(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        return median_volume(history)


@dataclass(frozen=True)
class VolumeModel:
    """The LightGBM curve: trees predict the log distance from the 20-day mean of logs.

    It answers for any symbol with a history; `symbol` is in the interface for models that know theirs.
    """

    booster: "Booster"
    version: str
    n_bins: int
    kind: str = VOLUME_KIND

    @classmethod
    def load(cls, model_dir: Path) -> "VolumeModel":
        """Load a stored model. ValueError (ModelDamaged where its bytes changed) names what is wrong."""
        import lightgbm

        manifest, text = load_model(model_dir)
        if manifest.kind != VOLUME_KIND:
            raise ValueError(f"{model_dir}: model of kind {manifest.kind!r}; {VOLUME_KIND!r} is needed")
        if manifest.feature_names != FEATURE_NAMES:
            raise ValueError(f"{model_dir}: trained by {manifest.code_version} on features that this version does not have; train again")
        booster = lightgbm.Booster(model_str=text)
        return cls(booster=booster, version=manifest.version, n_bins=manifest.n_bins)

    def curve(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        volume = self.volume(symbol, history, weekday)
        return volume / float(volume.sum())

    def volume(self, symbol: str, history: ArrayLike, weekday: int) -> NDArray[np.float64]:
        rows = feature_rows(history, weekday)
        if len(rows) != self.n_bins:
            raise ValueError(f"history of {symbol} has {len(rows)} bins; model {self.version} knows days of {self.n_bins}")
        distance = np.asarray(self.booster.predict(rows, num_threads=1), dtype=np.float64)
        return np.exp(base_log_volume(history) + distance)


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
