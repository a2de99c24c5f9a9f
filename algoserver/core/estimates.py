"""Before an order trades: what it should cost, between what and what, at which share of the volume, and whether it can be done.

Rule 1: whole numbers only, read between the nodes of a table that a model has made before (CostTable): no order waits for a model.
Rule 2: without a table nothing is said: a guess would be read as a promise.
Rule 3: what the cap lets through decides whether an order can be done; its limit and the price are not foreseen.
"""

from bisect import bisect_left

import msgspec

from algoserver.core.algos import shortfall
from algoserver.core.algos.schedule import Window, expected_share, expected_volumes
from algoserver.core.market import Market, best
from algoserver.core.orders import ParentOrder, leaves_qty
from algoserver.core.planning import day_curve
from algoserver.core.state import State
from algoserver.domain.model_events import CostTable, ForecastReady
from algoserver.domain.types import PPM_ONE, Strategy, date_text

IS = Strategy.IS  # to ask the enum takes ten times as long in Python 3.11
PPB_ONE = 10**9
PX_E8 = 10**8
# Share of the volumes of days that lie below P10, P50 and P90, ppm; and what is said of a need far outside of them.
SURE, P10, P50, P90, NEVER = 990_000, 900_000, 500_000, 100_000, 10_000


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """Costs in 1e-8 of the price, positive is against the order; shares in ppm. urgency: the one whose P90 is least, 0 where the plan has none."""

    cost: int
    p10: int
    p90: int
    participation: int
    completion: int
    urgency: int
    model: str


class Volume(msgspec.Struct, frozen=True, gc=False):
    """Units expected in a window: the median, and what nine days of ten and one of ten have at least."""

    p50: int
    p10: int
    p90: int


def estimate(state: State, parent: ParentOrder, window: Window, cap_ppm: int) -> Estimate | None:
    """Of a parent that has just come. None: no model has said what trading costs, or no price or volume is known."""
    assert state.setup is not None
    forecast, instrument = state.forecasts.get(parent.symbol), state.instruments[parent.symbol]
    price = parent.arrival_px or instrument.previous_close
    quantity = leaves_qty(parent.order)
    if forecast is None or forecast.costs is None or not price or quantity <= 0:
        return None
    full = window
    if not window.curve and (parent.strategy == IS or not volume_of(forecast, window.start_ts)):
        curve = day_curve(state, state.setup, parent.symbol, window.start_ts)[0]
        full = Window(window.start_ts, window.end_ts, curve, window.hours)
    volume = expected(forecast, full, instrument.adv)
    need_ppm = parent.params.target_pct_vol or cap_ppm
    span = volume.p50
    if parent.params.target_pct_vol:
        span = min(span, quantity * PPM_ONE // parent.params.target_pct_vol)
    if span <= 0:
        return None
    at = quantity * PPB_ONE // instrument.adv, span * PPB_ONE // instrument.adv
    table, spread = forecast.costs, half_spread(state.markets[parent.symbol], price)
    urgency = 0
    if parent.strategy == IS:
        share = max(1, expected_share(full))
        hastes = [shortfall.haste_ppm(aversion, instrument, price, share) for aversion in state.setup.algo.risk_aversion_e9]
        found = [look_up(table, *at, haste, spread) for haste in hastes]
        cost, p10, p90 = found[parent.params.urgency - 1]
        urgency = min(range(len(found)), key=lambda i: found[i][2]) + 1
    else:
        cost, p10, p90 = look_up(table, *at, 0, spread)
    return Estimate(cost, p10, p90, quantity * PPM_ONE // span, completion(quantity * PPM_ONE // need_ppm, volume), urgency, table.model)


def text(found: Estimate | None) -> str:
    """As the report of a new order says it; "" where nothing is known."""
    if found is None:
        return ""
    best_of = f", best Urgency {found.urgency}" if found.urgency else ""
    return (
        f" Expected cost {basis_points(found.cost)} bp (P10 {basis_points(found.p10)}, P90 {basis_points(found.p90)}), "
        f"{percent(found.participation)} % of the volume, {percent(found.completion)} % to complete{best_of} (model {found.model})."
    )


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
    if needed <= volume.p10 // 2:
        return SURE
    nodes = (volume.p10 // 2, volume.p10, volume.p50, volume.p90, 2 * volume.p90)
    said = (SURE, P10, P50, P90, NEVER)
    for i in range(len(nodes) - 1):
        if needed <= nodes[i + 1]:
            return said[i] - (said[i] - said[i + 1]) * (needed - nodes[i]) // max(1, nodes[i + 1] - nodes[i])
    return NEVER


def half_spread(market: Market, price: int) -> int:
    """Of the consolidated book, 1e-8 of the price; 0 where a side is empty or the market is crossed."""
    bid, ask = best(market)
    return (ask - bid) * PX_E8 // (2 * price) if bid and ask > bid else 0


def look_up(table: CostTable, size: int, span: int, haste: int, spread: int) -> tuple[int, int, int]:
    """Cost, P10 and P90. size, span: 1e-9 of a day's volume."""
    at_size, at_span = _between(table.sizes, size), _between(table.spans, span)
    if haste <= table.hastes[0]:  # of most plans
        cost, risk = _at_haste(table, 0, at_size, at_span)
    else:
        h, next_h, of_haste = _between(table.hastes, haste)
        (cost, risk), (next_cost, next_risk) = _at_haste(table, h, at_size, at_span), _at_haste(table, next_h, at_size, at_span)
        cost += (next_cost - cost) * of_haste // PPM_ONE
        risk += (next_risk - risk) * of_haste // PPM_ONE
    mean = cost + spread * table.spread_ppm // PPM_ONE
    return mean, mean + risk * table.z10 // PPM_ONE, mean + risk * table.z90 // PPM_ONE


def _at_haste(table: CostTable, haste: int, at_size: tuple[int, int, int], at_span: tuple[int, int, int]) -> tuple[int, int]:
    """Cost and deviation at a node of haste, between those of size and span."""
    (s, next_s, of_size), (p, next_p, of_span) = at_size, at_span
    costs, risks, width = table.costs, table.risks, len(table.spans)
    here, there, own = (haste * len(table.sizes) + s) * width, (haste * len(table.sizes) + next_s) * width, haste * width
    low = costs[here + p] + (costs[here + next_p] - costs[here + p]) * of_span // PPM_ONE
    high = costs[there + p] + (costs[there + next_p] - costs[there + p]) * of_span // PPM_ONE
    return low + (high - low) * of_size // PPM_ONE, risks[own + p] + (risks[own + next_p] - risks[own + p]) * of_span // PPM_ONE


def _between(nodes: tuple[int, ...], value: int) -> tuple[int, int, int]:
    """The nodes around a value, and how much of the upper one, ppm. Beyond the first or the last it is that one."""
    upper = bisect_left(nodes, value)
    if upper == 0 or upper == len(nodes):
        at = min(upper, len(nodes) - 1)
        return at, at, 0
    below = nodes[upper - 1]
    return upper - 1, upper, (value - below) * PPM_ONE // (nodes[upper] - below)


def basis_points(value: int) -> str:
    """1e-8 of the price as basis points, one decimal."""
    tenths = (abs(value) + 500) // 1_000
    return f"{'-' if value < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


def percent(ppm: int) -> str:
    """ppm as per cent, one decimal."""
    whole, tenth = divmod((ppm + 500) // 1_000, 10)
    return f"{whole}.{tenth}" if tenth else f"{whole}"
