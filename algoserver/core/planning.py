"""What a parent is going to do: is it consistent, when may it trade, by whose curve, in one sentence.

Rule: a wish that can't be met as it stands is refused with what to change; only a start in the past is bent, to now.
"""

from functools import lru_cache

import msgspec

from algoserver.core import auction, dark, risk
from algoserver.core import market as markets
from algoserver.core.algos import ALGOS, close, shortfall
from algoserver.core.algos.bands import bands_of
from algoserver.core.algos.liquidity import ALONE_PPM
from algoserver.core.algos.schedule import Bands, Schedule, Window, Work, expected_share, slice_length
from algoserver.core.bounds import NAMES, bounds
from algoserver.core.orders import ParentOrder, leaves_qty
from algoserver.core.state import State, profile
from algoserver.core.tally import Tally
from algoserver.domain.events import ParentRequested, PolicyLoaded
from algoserver.domain.params import BY_NAME, USES, AlgoParams, Use, given
from algoserver.domain.types import (
    DAY,
    PPM_ONE,
    SECOND,
    Denied,
    OrdType,
    Side,
    Strategy,
    TimeInForce,
    clock_text,
    ppm_text,
    qty_text,
    utc,
    utc_text,
)

STATIC = "static"
AHEAD_DAYS_MAX = 180  # a window may have months; half a year is too near for a date whose year is wrong by one
GO_ALONG = (Strategy.VWAP, Strategy.POV)
SIDE_NAMES = {s: s.name for s in Side}
# To ask the enum takes ten times as long in Python 3.11.
IS, CLOSE, LIQUIDITY, FOR_THE_DAY = Strategy.IS, Strategy.CLOSE, Strategy.LIQUIDITY, TimeInForce.DAY
BY_STRATEGY: dict[int, Use] = {int(s): use for s, use in USES.items()}


def refusal(state: State, event: ParentRequested) -> Denied | None:
    """What can be said against a parent without looking at limits."""
    if state.setup is None:
        return Denied("requests", "no_policy", "no policy is loaded; try again later", risk.OTHER)
    if event.symbol not in state.instruments:
        return Denied("requests", "unknown_symbol", f"symbol {event.symbol} is not traded here", risk.UNKNOWN_SYMBOL)
    if event.strategy not in ALGOS:
        built = ", ".join(f"{int(s)} {s.name}" for s in USES)
        name = NAMES.get(event.strategy, "")
        what = f"{event.strategy} {name} is not built yet" if name else f"{event.strategy} is unknown"
        return Denied("requests", "unknown_strategy", f"TargetStrategy (847) {what}; use {built}", risk.UNSUPPORTED)
    algos = profile(state, event.session).algos
    if algos and event.strategy not in algos:
        agreed = ", ".join(f"{a} {NAMES[a]}" for a in algos)
        text = f"TargetStrategy (847) {event.strategy} {NAMES[event.strategy]} is not agreed for {event.session}; use {agreed}"
        return Denied("requests", "strategy_not_allowed", text, risk.UNSUPPORTED)
    p = event.params
    denied = _misfit(event.strategy, p, event.ord_type)
    if denied is not None:
        return denied
    cap = p.max_pct_vol or PPM_ONE
    floor = max(p.min_pct_vol, p.target_pct_vol)
    if floor > cap:
        text = f"MaxPctVol {ppm_text(cap)} is below MinPctVol or TargetPctVol {ppm_text(floor)}"
        return Denied("requests", "contradictory_parameter", text, risk.OTHER)
    return None


# Pure, and the orders of a basket share their parameters.
@lru_cache(maxsize=1024)
def _misfit(strategy: int, params: AlgoParams, ord_type: OrdType) -> Denied | None:
    """What a strategy needs and has not, or has and does not take."""
    use = BY_STRATEGY[strategy]
    has = given(params)
    names = [p.name for p in has]
    for name in use.needs:
        if name not in names:
            text = f"{NAMES[strategy]} needs {BY_NAME[name].spelled}"
            return Denied("requests", "missing_parameter", text, risk.OTHER)
    for param in has:
        if param.name not in use.takes:
            text = f"{param.spelled} is not for {NAMES[strategy]}; leave it out"
            return Denied("requests", "contradictory_parameter", text, risk.OTHER)
    if use.needs_limit and ord_type is not OrdType.LIMIT:
        return Denied("requests", "missing_price", f"{NAMES[strategy]} needs a limit: OrdType (40) 2 and Price (44)", risk.OTHER)
    return None


def window(setup: PolicyLoaded, event: ParentRequested) -> Window | Denied:
    """Start and end inside the session: a past start is now, no end is the close."""
    hours, p = setup.hours, event.params
    if p.end_ts and p.start_ts and p.end_ts <= p.start_ts:
        return Denied("requests", "end_before_start", "EndTime (126) is not after StartTime (168)", risk.OTHER)
    if p.end_ts and p.end_ts <= event.ts:
        text = f"EndTime (126) {clock_text(p.end_ts)} is over; it is {clock_text(event.ts)} UTC market time"
        return Denied("requests", "end_in_the_past", text, risk.OTHER)
    is_always_open = hours.close_ns - hours.open_ns >= DAY
    for name, wish in (("StartTime (168)", p.start_ts), ("EndTime (126)", p.end_ts)):
        if is_always_open and wish > event.ts + AHEAD_DAYS_MAX * DAY:
            text = f"{name} {utc_text(wish)} is more than {AHEAD_DAYS_MAX} days ahead; it is {utc_text(event.ts)} UTC market time"
            return Denied("requests", "too_far_ahead", text, risk.OTHER)
    midnight = (max(p.start_ts, event.ts) if is_always_open else event.ts) // DAY * DAY
    start_ts, close_ts = max(p.start_ts, event.ts, midnight + hours.open_ns), midnight + hours.close_ns
    end_ts = p.end_ts or max(close_ts, start_ts + SECOND) if is_always_open else min(p.end_ts or close_ts, close_ts)
    if start_ts >= end_ts:
        text = f"the session is {clock_text(hours.open_ns)} to {clock_text(hours.close_ns - 1)} UTC; it is {clock_text(event.ts)}"
        return Denied("requests", "exchange_closed", text, risk.EXCHANGE_CLOSED)
    found = Window(start_ts, end_ts, (), hours)
    return auction.refusal(setup, event, found) or found


def plan(state: State, parent: ParentOrder, window: Window, forgiven: int = 0) -> Work:
    """A parent's work: its schedule over the window, for what remains but for what is forgiven. What an earlier plan traded
    counts against the cap still, unless that is another cap now."""
    assert state.setup is not None
    before = state.works.get(parent.parent_id)
    done = parent.order.cum_qty
    algo = ALGOS[parent.strategy]
    max_pct_vol = parent.params.max_pct_vol or state.setup.algo.max_pct_vol
    curve: tuple[int, ...] = ()
    curve_text = model = ""
    instrument = state.instruments.get(parent.symbol)  # a bust opens orders of a symbol that is gone: they wait, paused
    is_called = auction.is_wanted(parent.strategy, parent.params) or parent.params.open_auction
    if instrument is not None and (algo.by_curve or is_called):
        curve, curve_text, model = day_curve(state, state.setup, parent.symbol, window.start_ts)
    full = Window(window.start_ts, window.end_ts, curve, window.hours) if curve else window
    opening = kept = 0
    if curve and instrument:
        opening = auction.opening_qty(state.setup, parent, instrument, full, max_pct_vol, state.ts)
        kept = auction.kept_qty(state.setup, parent, leaves_qty(parent.order) - opening, instrument, full, max_pct_vol)
    left = max(0, parent.order.order_qty - done - opening - kept - forgiven)
    if instrument is None:
        algo = ALGOS[Strategy.TWAP]  # needs no curve
    elif parent.strategy == IS:
        full = msgspec.structs.replace(full, haste_ppm=haste(state, parent, full))
    elif parent.strategy == CLOSE:
        rate = close.pace(max_pct_vol, parent.params.urgency)
        full = msgspec.structs.replace(full, needed_ppm=close.needed_ppm(left, rate, instrument.adv))
    elif parent.strategy == LIQUIDITY:
        full = msgspec.structs.replace(full, alone_ppm=ALONE_PPM[parent.params.urgency - 1])
    schedule: Schedule = algo.plan(left, full)
    if done:
        schedule = Schedule(schedule.moments, tuple(done + total for total in schedule.totals))
    goes_on = before is not None and before.max_pct_vol == max_pct_vol
    return Work(
        schedule=schedule,
        base_qty=done,
        capped_qty=before.capped_qty if before and goes_on else done,
        capped_volume=before.capped_volume if before and goes_on else -1,
        traded=before.traded if before else Tally(),
        slice_ns=slice_length(window.start_ts, window.end_ts, state.setup.algo.slice_ns),
        max_pct_vol=max_pct_vol,
        curve_text=curve_text,
        model=model,
        auction_qty=kept,
        opening_qty=opening,
        bands=bands(state, state.setup, parent, window.start_ts),
    )


def bands(state: State, setup: PolicyLoaded, parent: ParentOrder, ts: int) -> Bands | None:
    """Of the forecast that a plan for `ts` is by, for a parent that goes along with what trades; None where that is the static curve."""
    if not setup.algo.is_banded or parent.strategy not in GO_ALONG:
        return None
    # What a quiet bin held back is behind the clock when it ends: VWAP without CatchUp would give it up. POV is late only for the volume that was.
    if parent.strategy == Strategy.VWAP and not parent.params.catch_up:
        return None
    return None if day_curve(state, setup, parent.symbol, ts)[2] == STATIC else bands_of(state.forecasts[parent.symbol], ts)


def haste(state: State, parent: ParentOrder, window: Window) -> int:
    """How fast an IS parent trades, by the risk aversion of its Urgency; see shortfall.haste_ppm."""
    assert state.setup is not None
    instrument, market = state.instruments[parent.symbol], state.markets[parent.symbol]
    price = markets.mid(market) or instrument.previous_close  # before the first quote of a day
    aversion_e9 = state.setup.algo.risk_aversion_e9[parent.params.urgency - 1]
    return shortfall.haste_ppm(aversion_e9, instrument, price, max(1, expected_share(window)))


def plan_text(parent: ParentOrder, work: Work, setup: PolicyLoaded) -> str:
    name, side = NAMES[parent.strategy], SIDE_NAMES[parent.side]
    quantity = qty_text(parent.order.order_qty, parent.qty_decimals)
    when = f"{clock_text(parent.start_ts)} to {clock_text(parent.end_ts)} UTC"
    if parent.time_in_force is not FOR_THE_DAY:
        return f"{name}: {side} {quantity} {parent.symbol} at once ({parent.time_in_force.name}), what is shown within the limit."
    if ALGOS[parent.strategy].is_patient:
        shown = qty_text(parent.params.display_qty, parent.qty_decimals)
        cap = f"at most {_percent(work.max_pct_vol)} % of volume"
        return f"{name}: {side} {quantity} {parent.symbol} {when}, showing at most {shown}, {cap}, then {parent.params.completion}."
    slices = -(-(parent.end_ts - parent.start_ts) // work.slice_ns)
    pace = f"{slices} slices of {work.slice_ns // SECOND} s"
    if parent.params.target_pct_vol:
        pace = f"at {_percent(parent.params.target_pct_vol)} % of volume"
    if parent.strategy == CLOSE:
        pace = f"from {clock_text(close.begins_ts(work.schedule))} on"
    kept = _kept_text(parent, work)
    cap = f"at most {_percent(work.max_pct_vol)} % of volume"
    curve = f", {work.curve_text}" if work.curve_text else ""
    hidden = _dark_text(parent, setup)
    if parent.strategy == LIQUIDITY and len(work.schedule.moments) > 2:
        pace = f"lit from {clock_text(work.schedule.moments[1])}"
    return f"{name}: {side} {quantity} {parent.symbol} {when}, {hidden}{pace}{kept}, {cap}{curve}, then {parent.params.completion}."


def _kept_text(parent: ParentOrder, work: Work) -> str:
    if not (work.opening_qty or work.auction_qty):
        return ""
    kept = ((work.opening_qty, "opening"), (work.auction_qty, "closing"))
    return "".join(f", {qty_text(part, parent.qty_decimals)} of it in the {kind} auction" for part, kind in kept if part)


def _dark_text(parent: ParentOrder, setup: PolicyLoaded) -> str:
    share = dark.share(parent.strategy, parent.params)
    if not share:
        return ""
    if not any(v.kind == dark.DARK for v in bounds(setup, parent.session, parent.symbol, parent.strategy).open_to):
        return "nothing in the dark (no such venue is open to you), "
    least = f" by {qty_text(parent.params.min_exec_qty, parent.qty_decimals)} at least" if parent.params.min_exec_qty else ""
    return f"up to {_percent(share)} % of the remainder in the dark{least}, "


def day_curve(state: State, setup: PolicyLoaded, symbol: str, ts: int) -> tuple[tuple[int, ...], str, str]:
    """The day's forecast, or the static curve and why; and its model."""
    forecast = state.forecasts.get(symbol)
    if forecast is None:
        return setup.algo.static_curve, "static curve (no forecast yet)", STATIC
    if not forecast.curve:
        return setup.algo.static_curve, f"static curve ({forecast.text})", STATIC
    age = ts - utc(forecast.trained_through.replace("-", "") + "-00:00:00")
    if age > setup.algo.forecast_age_ns_max:
        return setup.algo.static_curve, f"static curve (model {forecast.model} ends {forecast.trained_through}, too old)", STATIC
    fallback = f" ({forecast.text})" if forecast.text else ""
    text = f"curve {forecast.model} through {forecast.trained_through}{fallback}"
    return forecast.curve, text, f"{forecast.model} {forecast.trained_through}"


# A desk has a few caps.
@lru_cache(maxsize=64)
def _percent(share: int) -> str:
    return qty_text(share, 4)  # ppm to per cent: four decimals
