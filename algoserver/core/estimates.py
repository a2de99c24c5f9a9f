"""Before an order trades: what it should cost, between what and what, at which share of the volume, and whether it can be done.

Rule 1: whole numbers only, read between the nodes of a table that a model has made before (CostTable): no order waits for a model.
Rule 2: without a table nothing is said: a guess would be read as a promise.
Rule 3: what the cap lets through decides whether an order can be done; its limit and the price are not foreseen.
"""

from typing import NamedTuple

from algoserver.core import market as markets
from algoserver.core.algos import shortfall
from algoserver.core.algos.schedule import Window, expected_share, expected_volumes
from algoserver.core.market import Market, best
from algoserver.core.orders import ParentOrder, leaves_qty
from algoserver.core.planning import day_curve
from algoserver.core.state import State
from algoserver.domain.models import CostTable, ForecastReady
from algoserver.domain.types import PPM_ONE, Strategy, date_text, qty_text

IS = Strategy.IS  # to ask the enum takes ten times as long in Python 3.11
PPB_ONE = 10**9
PX_E8 = 10**8
# Share of the volumes of days that lie below P10, P50 and P90, ppm; and what is said of a need far outside of them.
SURE, P10, P50, P90, NEVER = 990_000, 900_000, 500_000, 100_000, 10_000


class Estimate(NamedTuple):
    """Costs in 1e-8 of the price, positive is against the order; shares in ppm. urgency: the one whose P90 is least, 0 where the plan has none."""

    cost: int
    p10: int
    p90: int
    participation: int
    completion: int
    urgency: int
    model: str


class Volume(NamedTuple):
    """Units expected in a window: the median, and what nine days of ten and one of ten have at least."""

    p50: int
    p10: int
    p90: int


def estimate(state: State, parent: ParentOrder, window: Window, cap_ppm: int) -> Estimate | None:
    """Of what is left of a parent. None: no model has said what trading costs, or no price or volume is known."""
    assert state.setup is not None
    forecast, instrument, market = state.forecasts.get(parent.symbol), state.instruments[parent.symbol], state.markets[parent.symbol]
    price = markets.mid(market) or instrument.previous_close
    quantity = leaves_qty(parent.order)
    if forecast is None or forecast.costs is None or not price or quantity <= 0:
        return None
    curve = window.curve or day_curve(state, state.setup, parent.symbol, window.start_ts)[0]
    full = Window(window.start_ts, window.end_ts, curve, window.hours)
    volume = expected(forecast, full, instrument.adv)
    need_ppm = parent.params.target_pct_vol or cap_ppm
    span = volume.p50
    if parent.params.target_pct_vol:
        span = min(span, quantity * PPM_ONE // parent.params.target_pct_vol)
    if span <= 0:
        return None
    at = quantity * PPB_ONE // instrument.adv, span * PPB_ONE // instrument.adv
    table, spread = forecast.costs, half_spread(market, price)
    hastes = [0]
    if parent.strategy == IS:
        share = max(1, expected_share(full))
        hastes = [shortfall.haste_ppm(aversion, instrument, price, share) for aversion in state.setup.algo.risk_aversion_e9]
    found = [look_up(table, *at, haste, spread) for haste in hastes]
    cost, p10, p90 = found[parent.params.urgency - 1 if len(found) > 1 else 0]
    urgency = min(range(len(found)), key=lambda i: found[i][2]) + 1 if len(found) > 1 else 0
    return Estimate(cost, p10, p90, quantity * PPM_ONE // span, completion(quantity * PPM_ONE // need_ppm, volume), urgency, table.model)


def text(found: Estimate | None) -> str:
    """As the report of a new order says it; "" where nothing is known."""
    if found is None:
        return ""
    cost, p10, p90 = (basis_points(value) for value in (found.cost, found.p10, found.p90))
    share, done = percent(found.participation), percent(found.completion)
    best_of = f", best Urgency {found.urgency}" if found.urgency else ""
    return f" Expected cost {cost} bp (P10 {p10}, P90 {p90}), {share} % of the volume, {done} % to complete{best_of} (model {found.model})."


def expected(forecast: ForecastReady | None, window: Window, adv: int) -> Volume:
    """Volume of the window: by a forecast of its day, else of the average day."""
    if forecast is not None and volume_of(forecast, window.start_ts):
        p50, p10, p90 = expected_volumes(window, (forecast.volume, forecast.volume_p10, forecast.volume_p90))
        return Volume(p50, min(p10, p50), max(p90, p50))
    return average(window, adv)


def volume_of(forecast: ForecastReady | None, ts: int) -> tuple[int, ...]:
    """Units per bin of the day of `ts`; () where no forecast is of that day: yesterday's volume is not today's."""
    return forecast.volume if forecast is not None and forecast.date == date_text(ts) else ()


def average(window: Window, adv: int) -> Volume:
    """The average day along the curve, and half and twice of it: about what eight days of ten lie between."""
    p50 = expected_share(window) * adv // PPM_ONE
    return Volume(p50, p50 // 2, 2 * p50)


def completion(needed: int, volume: Volume) -> int:
    """How likely the window has at least `needed`, ppm: straight lines between the forecast's quantiles."""
    nodes = (volume.p10 // 2, volume.p10, volume.p50, volume.p90, 2 * volume.p90)
    said = (SURE, P10, P50, P90, NEVER)
    for i in range(len(nodes) - 1):
        if needed <= nodes[0]:
            return SURE
        if needed <= nodes[i + 1]:
            return said[i] - (said[i] - said[i + 1]) * (needed - nodes[i]) // max(1, nodes[i + 1] - nodes[i])
    return NEVER


def half_spread(market: Market, price: int) -> int:
    """Of the consolidated book, 1e-8 of the price; 0 where a side is empty or the market is crossed."""
    bid, ask = best(market)
    return (ask - bid) * PX_E8 // (2 * price) if bid and ask > bid else 0


def look_up(table: CostTable, size: int, span: int, haste: int, spread: int) -> tuple[int, int, int]:
    """Cost, P10 and P90. size, span: 1e-9 of a day's volume."""
    width, depth = len(table.spans), len(table.sizes) * len(table.spans)
    of_haste, of_size, of_span = _between(table.hastes, haste), _between(table.sizes, size), _between(table.spans, span)
    cost = risk = 0
    for h, by_haste in of_haste:
        for p, by_span in of_span:
            risk += table.risks[h * width + p] * by_haste * by_span
            for s, by_size in of_size:
                cost += table.costs[h * depth + s * width + p] * by_haste * by_size * by_span
    mean = cost // PPM_ONE**3 + spread * table.spread_ppm // PPM_ONE
    deviation = risk // PPM_ONE**2
    return mean, mean + deviation * table.z10 // PPM_ONE, mean + deviation * table.z90 // PPM_ONE


def _between(nodes: tuple[int, ...], value: int) -> tuple[tuple[int, int], ...]:
    """The nodes around a value, and how much of each, ppm. Beyond the last it is the last."""
    if value <= nodes[0]:
        return ((0, PPM_ONE),)
    for i in range(1, len(nodes)):
        if value <= nodes[i]:
            upper = (value - nodes[i - 1]) * PPM_ONE // (nodes[i] - nodes[i - 1])
            return ((i - 1, PPM_ONE - upper), (i, upper))
    return ((len(nodes) - 1, PPM_ONE),)


def basis_points(value: int) -> str:
    """1e-8 of the price as basis points, one decimal."""
    tenths = (abs(value) + 500) // 1_000
    return f"{'-' if value < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


def percent(ppm: int) -> str:
    """ppm as per cent, one decimal."""
    return qty_text((ppm + 500) // 1_000, 1)
