"""Optimised plans: IS asks for one, goes on by its closed form meanwhile, and follows it when it comes.

Rule 1: a plan is an event like any other: what follows from it is decided here, the same in a replay.
Rule 2: one that does not come changes nothing; one for another quantity, end or beginning than the schedule of now is out of date and is left alone.
Rule 3: cap, slices, band and the forecasts of the day hold as for every plan; a newer forecast asks anew.
"""

from algoserver.core import estimates
from algoserver.core import market as markets
from algoserver.core.algos.schedule import Schedule, Window, equal_volume, planned
from algoserver.core.orders import ParentOrder, is_open
from algoserver.core.planning import day_curve
from algoserver.core.state import State, touch
from algoserver.domain.commands import Command, RequestPlan
from algoserver.domain.model_events import PlanReady
from algoserver.domain.types import Strategy, TimeInForce

STEPS = 30
# Fewer lots have no profile that could be followed.
LOTS_MIN = 10
IS, FOR_THE_DAY = Strategy.IS, TimeInForce.DAY


def ask(state: State, parent: ParentOrder, out: list[Command]) -> None:
    """Ask for the plan of what is left, where the desk wants its plans optimised."""
    setup, work = state.setup, state.works.get(parent.parent_id)
    if setup is None or not setup.algo.is_optimised or parent.strategy != IS or parent.time_in_force is not FOR_THE_DAY or work is None:
        return
    instrument, schedule = state.instruments[parent.symbol], work.schedule
    price = markets.mid(state.markets[parent.symbol]) or instrument.previous_close
    if not schedule.moments or not price:
        return
    done = planned(schedule, schedule.moments[0])
    qty = schedule.totals[-1] - done
    if qty < LOTS_MIN * instrument.round_lot:
        return
    start_ts, end_ts = schedule.moments[0], schedule.moments[-1]
    window = Window(start_ts, end_ts, day_curve(state, setup, parent.symbol, start_ts)[0], setup.hours)
    volume = estimates.expected(state.forecasts.get(parent.symbol), window, instrument.adv).p50
    if volume <= 0:
        return
    out.append(
        RequestPlan(
            parent_id=parent.parent_id, symbol=parent.symbol, qty=qty, moments=tuple(equal_volume(window, STEPS)), volume=volume, adv=instrument.adv,
            volatility_ppm=instrument.volatility_ppm, day_value=price * instrument.adv // 10**instrument.qty_decimals,
            aversion_e9=setup.algo.risk_aversion_e9[parent.params.urgency - 1], cap_ppm=work.max_pct_vol,
        )  # fmt: skip
    )


def ready(state: State, event: PlanReady, out: list[Command]) -> None:
    """Follow a plan, if it is for what the parent has to do now."""
    parent, work = state.parents.get(event.parent_id), state.works.get(event.parent_id)
    if parent is None or work is None or not event.totals or not is_open(parent.order):
        return
    old = work.schedule
    if not old.moments or (event.moments[0], event.moments[-1]) != (old.moments[0], old.moments[-1]):
        return
    done = planned(old, old.moments[0])
    if old.totals[-1] - done != event.qty or len(event.totals) != len(event.moments):
        return
    work.schedule = Schedule(event.moments, tuple(done + total for total in event.totals))
    work.curve_text = f"{work.curve_text.partition(', plan by')[0]}, plan by model {event.model}"
    touch(state, parent.parent_id)
