"""An order's terms before it begins: its size, its window in expected volume, the profile of the plan that its algo would follow.

Rule 1: plan and window are the core's own functions, so that what is costed is what is traded.
Rule 2: the same function serves the fit (executions.py) and the question (estimate.py): a model is asked what it was taught.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from algoserver.core.algos import ALGOS, close, shortfall
from algoserver.core.algos.liquidity import ALONE_PPM
from algoserver.core.algos.schedule import Window, equal_volume, expected_share, expected_volume, planned
from algoserver.domain.policy import AlgoDefaults, SessionHours
from algoserver.domain.types import DAY, PPM_ONE, Instrument, Strategy
from algoserver.learn.cost import Terms

STEPS = 20
# Units of the plan that the profile is read from: a share of 1e-12 is nobody's quantity.
FINE = 10**12


class Wanted(msgspec.Struct, frozen=True):
    """An order as it is asked about. order_qty: units. cap_ppm: MaxPctVol; target_ppm: TargetPctVol of a POV. urgency: 1 to 5."""

    symbol: str
    side: str
    order_qty: int
    strategy: int
    start_ts: int
    end_ts: int
    urgency: int = 3
    cap_ppm: int = 0
    target_ppm: int = 0


class Scene(msgspec.Struct, frozen=True):
    """What is known of a symbol when an order comes. price: mid, half_spread: both price units. curve: ppm per bin. volume: expected
    units per bin; empty where no forecast of the day has them: then the average day along the curve."""

    instrument: Instrument
    algo: AlgoDefaults
    hours: SessionHours
    curve: tuple[int, ...]
    price: int
    half_spread: int
    volume: tuple[int, ...] = ()


def terms_of(wanted: Wanted, scene: Scene) -> Terms:
    """The order's terms. ValueError: its window expects no volume, or there is no price."""
    instrument = scene.instrument
    span = window_volume(scene, wanted.start_ts, wanted.end_ts) / instrument.adv
    size = wanted.order_qty / instrument.adv
    if wanted.strategy == Strategy.POV and wanted.target_ppm:
        span = min(span, size * PPM_ONE / wanted.target_ppm)
    if span <= 0:
        raise ValueError(f"no volume is expected in {wanted.symbol} in this window")
    if scene.price <= 0 or size <= 0:
        raise ValueError(f"no price of {wanted.symbol} is known" if scene.price <= 0 else "the quantity is not above 0")
    opened = scene.hours.close_ns - scene.hours.open_ns
    day_at = min(1.0, max(0.0, (wanted.start_ts % DAY - scene.hours.open_ns) / opened))
    sigma = instrument.volatility_ppm / PPM_ONE
    return Terms(size, span, profile(wanted, scene), sigma, scene.half_spread / scene.price, day_at)


def profile(wanted: Wanted, scene: Scene) -> NDArray[np.float64]:
    """Share of the order in STEPS equal steps of the volume expected in its window; even where the plan follows the market."""
    window = window_of(wanted, scene)
    schedule = ALGOS[wanted.strategy].plan(FINE, window)
    if not schedule.moments or wanted.strategy == Strategy.ICEBERG:
        return np.full(STEPS, 1 / STEPS)
    done = [planned(schedule, moment) / FINE for moment in equal_volume(window, STEPS)]
    found = np.diff(np.array([0.0, *done[1:-1], 1.0]))
    shares: NDArray[np.float64] = np.maximum(found, 0.0) / np.maximum(found, 0.0).sum()
    return shares


def window_of(wanted: Wanted, scene: Scene) -> Window:
    """As core.planning sees it."""
    window = Window(wanted.start_ts, wanted.end_ts, scene.curve, scene.hours)
    if wanted.strategy == Strategy.IS:
        aversion = scene.algo.risk_aversion_e9[wanted.urgency - 1]
        haste = shortfall.haste_ppm(aversion, scene.instrument, scene.price, max(1, expected_share(window)))
        return msgspec.structs.replace(window, haste_ppm=haste)
    if wanted.strategy == Strategy.CLOSE:
        pace = close.pace(wanted.cap_ppm or scene.algo.max_pct_vol, wanted.urgency)
        return msgspec.structs.replace(window, needed_ppm=close.needed_ppm(wanted.order_qty, pace, scene.instrument.adv))
    if wanted.strategy == Strategy.LIQUIDITY:
        return msgspec.structs.replace(window, alone_ppm=ALONE_PPM[wanted.urgency - 1])
    return window


def window_volume(scene: Scene, start_ts: int, end_ts: int) -> float:
    """Units expected between two moments, by the scene's volume; without it the average day along the curve."""
    window = Window(start_ts, end_ts, scene.curve, scene.hours)
    return expected_volume(window, scene.volume) if scene.volume else expected_share(window) * scene.instrument.adv / PPM_ONE
