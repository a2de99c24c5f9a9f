"""The day's volume as the models see it: asked for before the day and at each of its bins, and what becomes of the plans that follow it.

Rule 1: a plan is by one forecast. A newer one takes its place as a whole: VWAP's over the whole window, bins that are over as they were, so that
it aims at the share of volume that has really traded; IS's from now on, for what is left (Almgren and Chriss: the best plan for the rest does
not depend on what is behind it, but for how much that is).
An optimised IS does the same at once where a bin has traded more than its P90 before it is over.
Rule 2: an answer that does not come changes nothing: the plan goes on by the curve that it has, and somebody is told.
Rule 3: what a model says that is not in force any more is not heard. A new one is asked at once, for every symbol.
Rule 4: bins are asked with only where every print since the open was counted: half a bin would be forecast from as a quiet one.
"""

from algoserver.core import market as markets
from algoserver.core import models, plans
from algoserver.core.algos import ALGOS
from algoserver.core.algos.schedule import Schedule, Window
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder, is_open
from algoserver.core.planning import bands, day_curve, haste
from algoserver.core.reports import alert, over
from algoserver.core.state import Asked, State, touch
from algoserver.domain.commands import Command, RequestForecast
from algoserver.domain.events import ForecastReady, ModelActivated, PolicyLoaded
from algoserver.domain.types import DAY, SECOND, Strategy, date_text

# A model answers in a second or two, its first time in five. Later than this the quarter of an hour that it is for is half over.
ANSWER_NS_MAX = 300 * SECOND
FOLLOWS = (Strategy.VWAP, Strategy.IS)


def introduce(state: State, setup: PolicyLoaded, out: list[Command]) -> None:
    """Count the bins of every symbol from now on, and ask for the day."""
    models.configured(state, setup, out)
    state.forecasts_asked.clear()  # a request of the last process may never have been answered
    hours = setup.hours
    for i in setup.instruments:
        symbol = i.instrument.symbol
        count = len(i.history[-1]) if i.history else len(setup.algo.static_curve)
        known = state.markets.setdefault(symbol, Market(symbol))
        markets.count_bins(known, hours.open_ns, (hours.close_ns - hours.open_ns) // count, count, state.ts)
        ask_day(state, setup, symbol, state.ts, out)


def ask_day(state: State, setup: PolicyLoaded, symbol: str, ts: int, out: list[Command]) -> None:
    """Ask for the day's curve unless that was done. The answer serves the next parent; this one has its plan."""
    date = date_text(ts)
    asked = state.forecasts_asked.get(symbol)
    if asked is None or asked.date != date:
        _ask(state, setup, symbol, date, (), out)


def ask_rest(state: State, setup: PolicyLoaded, parent: ParentOrder, ts: int, out: list[Command]) -> None:
    """At the beginning of a slice: ask for the rest of the day once a bin, where a plan would follow it, or has bands."""
    if parent.strategy not in FOLLOWS and state.works[parent.parent_id].bands is None:
        return
    symbol, asked = parent.symbol, state.forecasts_asked.get(parent.symbol)
    if setup.algo.is_optimised and parent.strategy == Strategy.IS and _is_surprised(state, parent, ts):
        state.works[parent.parent_id].surprise_ts = state.markets[symbol].bin_end_ts
        _follow(state, parent)
        plans.ask(state, parent, out)
    bins = markets.bins_over(state.markets[symbol], ts)
    date = date_text(ts)
    if bins and (asked is None or (asked.date, asked.now_bin) != (date, len(bins))):
        _ask(state, setup, symbol, date, bins, out)
    elif asked is not None and not asked.is_settled and ts - asked.ts >= ANSWER_NS_MAX:
        text = f"the forecast of {symbol} that was asked for {(ts - asked.ts) // SECOND} s ago is not here; plans go on by the curve that they have"
        alert(out, "forecast_late", symbol, text)
        asked.is_settled = True


def _is_surprised(state: State, parent: ParentOrder, ts: int) -> bool:
    """Whether more has traded in the running bin already than its P90, and no plan was made anew for that: a market that trades so much has more
    to give now than the plan has taken. That a bin stays below its P10 is known at its end, when the next forecast knows it too."""
    market, forecast, work = state.markets[parent.symbol], state.forecasts.get(parent.symbol), state.works[parent.parent_id]
    at = market.bin_at
    if forecast is None or forecast.date != date_text(ts) or not 0 <= at < len(forecast.volume_p90) or ts >= market.bin_end_ts:
        return False
    return market.bins[at] > forecast.volume_p90[at] and work.surprise_ts != market.bin_end_ts


def ready(state: State, event: ForecastReady, out: list[Command]) -> None:
    """An answer: for the parents that come, and, one of a running day, for the plans at work that follow the volume."""
    if event.asked != models.in_force(state):
        return
    if event.curve or not event.now_bin:  # what was known before the day is better than nothing
        state.forecasts[event.symbol] = event
    asked = state.forecasts_asked.get(event.symbol)
    if asked is not None and (asked.date, asked.now_bin) == (event.date, event.now_bin):
        asked.is_settled = True
        over(out, "forecast_late", event.symbol)
    setup = state.setup
    if setup is None or not (event.now_bin and event.curve) or event.symbol not in state.instruments:
        return
    for parent_id, work in state.works.items():
        parent = state.parents[parent_id]
        if parent.symbol != event.symbol or not is_open(parent.order):
            continue
        work.bands = bands(state, setup, parent, state.ts)
        if parent.strategy in FOLLOWS:
            _follow(state, parent)
            plans.ask(state, parent, out)
            touch(state, parent_id)


def activated(state: State, event: ModelActivated, out: list[Command]) -> None:
    """Another model: it is asked for every symbol, with the bins so far where they were counted. Plans keep theirs until it answers."""
    if state.setup is not None and models.activated(state, event, out):
        for symbol in state.instruments:
            bins = markets.bins_over(state.markets[symbol], state.ts)
            _ask(state, state.setup, symbol, date_text(state.ts), bins, out)


def _ask(state: State, setup: PolicyLoaded, symbol: str, date: str, today: tuple[int, ...], out: list[Command]) -> None:
    state.forecasts_asked[symbol] = Asked(date, len(today), state.ts)
    for i in setup.instruments:
        if i.instrument.symbol == symbol:
            # 1970-01-01 was a Thursday; Monday is 0.
            weekday = (state.ts // DAY + 3) % 7
            name, sha256 = (state.models[-1].name, state.models[-1].sha256) if state.models else ("", "")
            out.append(
                RequestForecast(
                    symbol=symbol, date=date, weekday=weekday, history_dates=i.history_dates, history=i.history, today=today,
                    model=name, model_sha256=sha256,
                )
            )  # fmt: skip


def _follow(state: State, parent: ParentOrder) -> None:
    """Plan anew by the newest forecast; what the parent has done and what it is held to stay as they are."""
    work, setup = state.works[parent.parent_id], state.setup
    assert setup is not None
    old = work.schedule
    curve, curve_text, model = day_curve(state, setup, parent.symbol, state.ts)
    if not old.moments or old.moments[-1] <= state.ts:
        return
    start_ts, done, whole = old.moments[0], work.base_qty, old.totals[-1]
    if parent.strategy == Strategy.IS and state.ts > start_ts:
        start_ts, done = state.ts, min(parent.order.cum_qty, whole)
    window = Window(start_ts, old.moments[-1], curve, setup.hours)
    if parent.strategy == Strategy.IS:
        window = Window(start_ts, old.moments[-1], curve, setup.hours, haste_ppm=haste(state, parent, window))
    found = ALGOS[parent.strategy].plan(whole - done, window)
    work.schedule = Schedule(found.moments, tuple(done + total for total in found.totals))
    work.curve_text, work.model = curve_text, model
