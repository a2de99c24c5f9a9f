"""A day's weather: what happens to an instrument whatever anybody trades. A pure function of seed, instrument and day.

Activity = day level (AR(1) of its log over days) x shape of the recorded volume x slow AR(1) of its log x what news excite.
Reference = diffusion, a part of it the market's own that all instruments share, with a volatility that follows the activity,
and jumps that volatility and activity outlast. Herding = how the crowd's own large orders, split over seconds to minutes,
lean to one side: three AR(1) of 10, 60 and 360 s, together close to the power law of order signs. It moves no reference.
Sources: shape and level from `recorded/volume`; memory of signs as in Lillo, Mike, Farmer (2005).
"""

import math
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from algoserver.sim.compiled import compiled
from algoserver.sim.config import ReactingConfig

PER_SECOND = 10  # steps
TRADING_SECONDS = 23_400  # of a recorded day: what sigma_daily is scaled by, however long a session is
LEVEL_DAYS = 60  # the level of a day looks back so far: 0.7 ** 60 is nothing
HERDS = ((10.0, 0.5), (60.0, 0.35), (360.0, 0.25))  # seconds of memory and share of the amplitude
# Each kind of chance has its own generator: to switch one off changes no other.
LEVEL, PACE, DIFFUSION, HERDING, JUMPS = range(5)
MARKET = 0  # in place of an instrument's name: what all share

Array = NDArray[np.float64]


class Weather(NamedTuple):
    """By step of a tenth of a second: activity (1 is the mean of all days), reference in ticks less the day's first, herding."""

    activity: Array
    reference: Array
    herding: Array


def day_level(config: ReactingConfig, seed: int, name: str, day: int) -> float:
    """A day's volume over the mean of all days."""
    level = 0.0
    for back in range(LEVEL_DAYS, -1, -1):
        shock = _rng(seed, crc32(name.encode()), day - back, LEVEL).standard_normal()
        level = config.level_memory * level + config.level_sigma * math.sqrt(1 - config.level_memory**2) * shock
    return math.exp(level - config.level_sigma**2 / 2)


def weather(config: ReactingConfig, bins: list[int], seed: int, name: str, day: int, seconds: int, sigma: float) -> Weather:
    """A day of `seconds`. bins: recorded volume, session order; sigma: ticks per root of a second, at mean activity."""
    steps = seconds * PER_SECOND
    own, market = crc32(name.encode()), MARKET
    shape = _shape(bins, steps)
    slow = _slow(_rng(seed, own, day, PACE), seconds, 60.0 * config.slow_minutes, config.slow_sigma)
    activity = shape * np.exp(slow - config.slow_sigma**2 / 2)
    volatility = np.sqrt(activity)
    jumps = np.zeros(steps)
    burst = np.zeros(steps)
    rho = config.correlation
    # Market news hit all instruments at once, in proportion to how much they follow the market.
    for who, share in ((market, rho * rho), (own, 1 - rho * rho)):
        rng = _rng(seed, who, day, JUMPS)
        # A day has so many news however short our session is.
        for _ in range(rng.poisson(config.jumps_per_day)):
            at, kept, size = int(rng.random() * steps), rng.random(), rng.standard_normal()
            if kept >= share:
                continue
            jumps[at] += size * config.jump_sigma * sigma * math.sqrt(TRADING_SECONDS)
            burst[at:] += abs(size) * np.exp(np.arange(steps - at) / (-config.burst_seconds * PER_SECOND))
    activity = activity * (1 + config.burst * burst)
    volatility = volatility * (1 + config.burst * burst)
    shocks = rho * _rng(seed, market, day, DIFFUSION).standard_normal(steps) + math.sqrt(1 - rho * rho) * _rng(
        seed, own, day, DIFFUSION
    ).standard_normal(steps)
    moves = sigma / math.sqrt(PER_SECOND) * volatility * shocks + jumps
    moves[0] = 0.0
    herds = [share * _slow(_rng(seed, own, day, HERDING + 10 * i), seconds, tau, config.herding) for i, (tau, share) in enumerate(HERDS)]
    herding: Array = np.sum(herds, axis=0)
    return Weather(activity, np.cumsum(moves), herding)


def _rng(seed: int, name: int, day: int, kind: int) -> np.random.Generator:
    return np.random.default_rng([seed % (1 << 64), name, day, kind])


def _shape(bins: list[int], steps: int) -> Array:
    """Volume by step, mean 1: straight from the middle of a bin to the middle of the next."""
    middles = (np.arange(len(bins)) + 0.5) * steps / len(bins)
    shape: Array = np.interp(np.arange(steps) + 0.5, middles, np.asarray(bins, np.float64))
    shape /= shape.mean()
    return shape


def _slow(rng: np.random.Generator, seconds: int, tau: float, sigma: float) -> Array:
    """An AR(1) in seconds, stationary from the first, as steps."""
    memory = math.exp(-1 / tau)
    shocks = rng.standard_normal(seconds) * math.sqrt(1 - memory * memory)
    shocks[0] /= math.sqrt(1 - memory * memory)
    return np.repeat(sigma * _decay(shocks, memory), PER_SECOND)


def _decay(shocks: Array, memory: float) -> Array:
    summed: Array = shocks.copy()
    decayed(summed, memory)
    return summed


@compiled
def decayed(values: Any, memory: float) -> None:
    """Add to each value what is left of those before it."""
    for i in range(1, len(values)):
        values[i] += memory * values[i - 1]
