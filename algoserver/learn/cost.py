"""What an order is expected to cost, and between what and what: a parametric backbone, a monotone correction of it, an interval that was tested.

The backbone, per share, as a fraction of the price (X quantity and V volume in days' volume, sigma of a day, p our share of the volume):

    a half-spread + sigma (gamma X / 2  +  eta p^(3/5)  +  Y X^(1/2) S)

Permanent and temporary are Almgren, Thum, Hauptmann and Li's (2005); the last is the square-root law with a memory: S is half of n'Gn, where n is the
profile of the plan and G how much of an impact is left so much volume later, about t^(-1/2).

Rule 1: no round trip earns. The permanent part is linear, the temporary is gone with the trade, and G is positive definite (a mix of exponentials)
with a strength that only all that is traded decides: half of n'Gn is never negative (Gatheral 2010; Gatheral, Schied and Slynko 2012).
Rule 2: more participation, more size, a wider spread or more volatility never cost less, the correction included.
Rule 3: what a model knows of an order is known before it begins (terms.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As Almgren et al. fitted them: gamma .314 +- .041, eta .142 +- .0062, the exponent .600 +- .038 (so 1/2 is rejected); gamma goes with the fourth
# root of the shares outstanding over a day's volume.
GAMMA, ETA, BETA, TURNOVER_POWER = 0.314, 0.142, 3 / 5, 1 / 4
PARTS = ("half_spread", "permanent", "temporary", "transient")
DELTA = 0.5
# How long impact lasts, in days' volume, and how much of it: about t^(-1/2) between a minute and a day.
LASTS = 0.0005 * 4.0 ** np.arange(7)
WEIGHTS = LASTS**-0.5 / np.sum(LASTS**-0.5)
# The paper's shares outstanding over a day's volume are 30 to 700, mean about 200; to the fourth root it hardly matters.
TURNOVER = 200.0
PUBLISHED = np.array([0.0, GAMMA * TURNOVER**TURNOVER_POWER, ETA, 0.0])
Z10, Z90 = -1.2816, 1.2816
# The correction may halve or double what the backbone says, no more: it has seen few orders of each kind.
FACTOR_RANGE = (0.5, 2.0)
FEATURES = ("log_participation", "log_size", "sigma", "spread_over_sigma", "day_at", "centre")
MONOTONE = (1, 1, 1, 1, 0, 0)


@dataclass(frozen=True)
class Terms:
    """An order as its cost sees it, before it begins.

    size: quantity over an average day's volume. span: volume expected in its window over the same. profile: share of the quantity in equal steps of
    that volume, sum 1. sigma: of a day, half_spread: both fractions of the price. day_at: how much of the session is over when it begins, 0 to 1.
    """

    size: float
    span: float
    profile: NDArray[np.float64]
    sigma: float
    half_spread: float
    day_at: float

    @property
    def participation(self) -> float:
        return self.size / self.span


@dataclass(frozen=True)
class Cost:
    """Fractions of the price, positive is against us. expected: mean; low, high: its P10 and P90 by the data that it was fitted to; p10, p90: of what
    one order will cost, price risk included."""

    expected: float
    low: float
    high: float
    p10: float
    p90: float


def memory(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """G: share of an impact that is left when `volume` (days' volume) has traded since."""
    left: NDArray[np.float64] = np.exp(-np.abs(volume)[..., None] / LASTS) @ WEIGHTS
    return left


def loads(terms: Terms) -> NDArray[np.float64]:
    """What each of PARTS costs per unit of its coefficient, fractions of the price; shape (4,)."""
    steps = terms.profile.size
    rates = terms.participation * steps * terms.profile
    at = (np.arange(steps) + 0.5) * terms.span / steps
    shape = 0.5 * terms.profile @ memory(at[:, None] - at[None, :]) @ terms.profile
    temporary = float(np.sum(terms.profile * rates**BETA))
    sigma = terms.sigma
    return np.array([terms.half_spread, sigma * terms.size / 2, sigma * temporary, sigma * terms.size**DELTA * shape])


def loads_after(terms: Terms, volume: float) -> NDArray[np.float64]:
    """How far the mid stands from arrival when `volume` has traded since the window's end, the same way; shape (4,)."""
    steps = terms.profile.size
    since = terms.span + volume - (np.arange(steps) + 0.5) * terms.span / steps
    return terms.sigma * np.array([0.0, terms.size, 0.0, terms.size**DELTA * float(terms.profile @ memory(since))])


def risk(terms: Terms) -> float:
    """Standard deviation of the cost by the price's own moves, a fraction of the price: sigma root of the integral of what is left, squared."""
    left = np.concatenate([[1.0], 1 - np.cumsum(terms.profile)])
    squares = (left[:-1] ** 2 + left[:-1] * left[1:] + left[1:] ** 2) / 3
    return float(terms.sigma * np.sqrt(terms.span / terms.profile.size * squares.sum()))


def features(terms: Terms) -> NDArray[np.float64]:
    """A row of FEATURES. centre: where in the window the middle of the quantity trades, 0.5 for an even profile."""
    steps = terms.profile.size
    centre = float(terms.profile @ ((np.arange(steps) + 0.5) / steps))
    return np.array(
        [math.log(terms.participation), math.log(terms.size), terms.sigma, terms.half_spread / terms.sigma, terms.day_at, centre]
    )  # fmt: skip


@dataclass(frozen=True)
class CostModel:
    """coefficients: of PARTS, none negative. draws: the same from resampled days, shape (n, 4). z10, z90: of (cost - expected) / spread_of, and
    floor, the deviation beside the price's risk, in sigmas of a day. correction: LightGBM's, of the backbone; None where it did not help.
    """

    coefficients: NDArray[np.float64] = field(default_factory=lambda: PUBLISHED.copy())
    draws: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, len(PARTS))))
    z10: float = Z10
    z90: float = Z90
    floor: float = 0.0
    correction: Any = None
    version: str = "published"
    trained_through: str = ""
    orders: int = 0

    def expected(self, terms: Terms) -> float:
        """Mean cost, a fraction of the price."""
        return float(loads(terms) @ self.coefficients) * self.factor(terms)

    def factor(self, terms: Terms) -> float:
        """What the correction makes of the backbone, 1 without one."""
        if self.correction is None:
            return 1.0
        return float(factors(self.correction, features(terms)[None, :])[0])

    def cost(self, terms: Terms) -> Cost:
        """Mean with its own interval, and P10 and P90 of one order."""
        own, factor = loads(terms), self.factor(terms)
        mean = float(own @ self.coefficients) * factor
        low, high = np.quantile(self.draws @ own, [0.1, 0.9]) * factor if len(self.draws) else (mean, mean)
        spread = spread_of(terms, self.floor)
        return Cost(mean, min(mean, float(low)), max(mean, float(high)), mean + self.z10 * spread, mean + self.z90 * spread)

    def curve(self, terms: Terms, participations: Sequence[float]) -> list[Cost]:
        """The cost by participation, everything else as in `terms`: window, spread, volatility, time of day."""
        return [self.cost(_at(terms, share)) for share in participations]


PUBLISHED_MODEL = CostModel()


def spread_of(terms: Terms, floor: float) -> float:
    """Deviation of one order's cost: the price's risk, and what is not of it."""
    return math.hypot(risk(terms), floor * terms.sigma)


def factors(booster: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correction of rows of FEATURES."""
    found: NDArray[np.float64] = np.clip(1.0 + booster.predict(rows, num_threads=1), *FACTOR_RANGE)
    return found


def _at(terms: Terms, participation: float) -> Terms:
    return Terms(participation * terms.span, terms.span, terms.profile, terms.sigma, terms.half_spread, terms.day_at)
