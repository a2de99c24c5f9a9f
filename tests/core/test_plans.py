"""IS asks for an optimised plan, follows it when it comes, and leaves alone one that is not for what it has to do now."""

import msgspec
import numpy as np
import pytest

from algoserver.core.algos.schedule import planned
from algoserver.core.algos.shortfall import holdings
from algoserver.core.engine import step
from algoserver.core.plans import STEPS
from algoserver.core.state import State, dump
from algoserver.domain.commands import ReportParent, RequestPlan
from algoserver.domain.events import ForecastReady, PlanReady, PolicyLoaded
from algoserver.domain.types import MINUTE, Strategy
from algoserver.learn import optimise
from algoserver.learn.cost import PUBLISHED_MODEL, CostModel
from algoserver.learn.optimise import Problem, solve
from algoserver.planner import plan
from tests.core.day import ALGO, FLAT_26, OPEN_TS, Day, policy_loaded

LASTING = CostModel(PUBLISHED_MODEL.coefficients + np.array([0, 0, 0, 0.5]), version="m7")
OPTIMISED = policy_loaded(algo=msgspec.structs.replace(ALGO, is_optimised=True))


def _day(setup=OPTIMISED) -> Day:
    day = Day(setup)
    day.quote()
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-27"))
    return day


def _asked(commands: list) -> list[RequestPlan]:
    return [c for c in commands if isinstance(c, RequestPlan)]


def _ordered(qty: int = 300_000, minutes: int = 120, urgency: int = 5) -> tuple[Day, RequestPlan]:
    day = _day()
    (asked,) = _asked(day.parent("P1", qty, Strategy.IS, minutes=minutes, urgency=urgency))
    return day, asked


def test_an_is_order_asks_with_all_that_a_plan_needs():
    """Equal parts of the expected volume over its window; the schedule meanwhile is the closed form's."""
    day, asked = _ordered()
    assert (asked.qty, len(asked.moments), asked.adv, asked.cap_ppm, asked.aversion_e9) == (300_000, STEPS + 1, 30_000_000, 250_000, 10_000)
    assert (asked.moments[0], asked.moments[-1]) == (day.order().start_ts, day.order().end_ts)
    assert asked.volume == pytest.approx(30_000_000 * 8 / 26, rel=0.001)
    assert asked.day_value == 30_000_000 * 20_001_000_000
    work = day.state.works[day.order().parent_id]
    assert planned(work.schedule, asked.moments[STEPS // 2]) > 150_000


@pytest.mark.parametrize(("date", "share"), [("2019-06-28", 2), ("2019-06-27", 1)])
def test_a_plan_expects_the_volume_of_its_own_day(date: str, share: int):
    """By a forecast of today twice the average volume; yesterday's says nothing of it."""
    day = Day(OPTIMISED)
    day.quote()
    twice = {"volume": (2 * 30_000_000 // 26,) * 26, "volume_p10": (1,) * 26, "volume_p90": (10**9,) * 26}
    day.feed(ForecastReady(symbol="AAPL", date=date, model="m1", curve=FLAT_26, trained_through="2019-06-26", **twice))
    (asked,) = _asked(day.parent("P1", 300_000, Strategy.IS, minutes=120))
    assert asked.volume == pytest.approx(share * 30_000_000 * 8 / 26, rel=0.001)


@pytest.mark.parametrize("strategy", [Strategy.VWAP, Strategy.TWAP, Strategy.CLOSE, Strategy.LIQUIDITY])
def test_nobody_else_asks(strategy: int):
    more = {"end_ts": 0} if strategy == Strategy.CLOSE else {}
    assert _asked(_day().parent("P1", 300_000, strategy, **more)) == []


def test_nobody_asks_where_the_desk_does_not_want_it_or_there_is_nothing_to_plan():
    """Off is the default; a handful of lots has no profile."""
    assert _asked(_day(policy_loaded()).parent("P1", 300_000, Strategy.IS)) == []
    assert _asked(_day().parent("P1", 900, Strategy.IS)) == []


def test_the_plan_is_followed_and_a_replay_says_the_same():
    """The optimiser's own answer to the request, by a model whose impact lasts: totals from nothing to all, and the text names the model."""
    day, asked = _ordered(urgency=4)
    found = plan(LASTING, asked)
    day.feed(found)
    work = day.state.works[day.order().parent_id]

    assert (work.schedule.moments, work.schedule.totals) == (found.moments, found.totals)
    assert (found.totals[0], found.totals[-1], list(found.totals)) == (0, 300_000, sorted(found.totals))
    assert found.p10_e8 < found.cost_e8 < found.p90_e8
    assert work.curve_text.endswith(", plan by model m7")
    assert plan(LASTING, asked) == found
    state = State()
    for event in day.fed:
        step(state, event)
    assert dump(state) == dump(day.state)


def test_what_was_done_counts_when_a_plan_is_for_the_rest():
    """A newer forecast asks anew, for what is left from then on; the plan of before comes late and is left alone."""
    day, first = _ordered()
    day.wait(20 * MINUTE)
    day.quote()
    (second,) = _asked(day.feed(_curve_of_noon(day)))
    done = day.order().order.cum_qty
    assert (second.qty, second.moments[0] > first.moments[0], second.moments[-1]) == (300_000 - done, True, first.moments[-1])
    before = day.state.works[day.order().parent_id].schedule
    day.feed(plan(PUBLISHED_MODEL, first))
    assert day.state.works[day.order().parent_id].schedule == before
    day.feed(plan(PUBLISHED_MODEL, second))
    after = day.state.works[day.order().parent_id].schedule
    assert (after.moments, after.totals[0], after.totals[-1]) == (second.moments, done, 300_000)


def test_after_a_halt_the_plan_of_what_is_left_is_asked_for_at_once():
    """The plan of before was for a window that the halt has cut; until the next forecast there would be the closed form's alone."""
    day, first = _ordered()
    day.feed(plan(LASTING, first))
    day.wait(20 * MINUTE)
    day.halt()
    assert _asked(day.wait(10 * MINUTE)) == []
    day.quote()
    (second,) = _asked(day.halt(is_halted=False) + day.wait(MINUTE))
    done = day.order().order.cum_qty
    assert (second.qty, second.moments[0] - first.moments[0] >= 30 * MINUTE, second.moments[-1]) == (300_000 - done, True, first.moments[-1])
    day.feed(plan(LASTING, second))
    work = day.state.works[day.order().parent_id]
    assert (work.schedule.moments, work.curve_text.endswith(", plan by model m7")) == (second.moments, True)


def _curve_of_noon(day: Day) -> ForecastReady:
    return ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-27", now_bin=1)


@pytest.mark.parametrize(
    "changes",
    [{"qty": 200_000}, {"totals": (0, 300_000)}, {"totals": (), "text": "no"}, {"parent_id": "nobody"}, {"moments": (1, 2), "totals": (0, 1)}],
)
def test_a_plan_for_something_else_is_left_alone(changes: dict):
    """Another quantity, another window, no plan at all, an order that is not known."""
    day, asked = _ordered()
    before = day.state.works[day.order().parent_id].schedule
    day.feed(msgspec.structs.replace(plan(PUBLISHED_MODEL, asked), **changes))
    assert day.state.works[day.order().parent_id].schedule == before


def test_a_plan_that_comes_after_the_end_of_its_order_changes_nothing():
    day, asked = _ordered()
    day.cancel()
    assert [c for c in day.feed(plan(PUBLISHED_MODEL, asked)) if isinstance(c, ReportParent)] == []


def test_with_a_linear_impact_and_no_memory_the_plan_is_the_core_s_closed_form():
    """Almgren and Chriss by two roads: the recurrence in whole numbers and the optimiser, within a thousandth of the order."""
    haste = 9.0
    found = solve(Problem(np.ones(STEPS) * STEPS, 1.0, np.zeros((STEPS, STEPS)), np.full(STEPS, haste / STEPS), np.ones(STEPS)))
    closed = holdings(10**9, STEPS, round(haste / STEPS**2 * 10**12))
    assert 1 - np.cumsum(found) == pytest.approx(np.array(closed[1:]) / 1e9, abs=1e-8)


def test_no_plan_is_answered_by_why(monkeypatch):
    """A failure of the optimiser is a text, never an exception on its thread."""
    def broken(problem):
        raise ValueError("no way")

    monkeypatch.setattr(optimise, "solve", broken)
    _, asked = _ordered()
    assert plan(PUBLISHED_MODEL, asked) == PlanReady(parent_id=asked.parent_id, qty=300_000, model="published", text="ValueError: no way")


@pytest.mark.parametrize(("setup", "again"), [(OPTIMISED, 1), (policy_loaded(), 0)], ids=["optimised", "not"])
def test_a_bin_beyond_its_p90_asks_for_a_new_plan_once(setup: PolicyLoaded, again: int):
    """At the next slice, for what is left from then on; what the bin brings after that is no news, the next bin's is."""
    day = Day(setup, now=OPEN_TS)
    day.quote()
    usual = {"volume": (10_000,) * 26, "volume_p10": (5_000,) * 26, "volume_p90": (20_000,) * 26}
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-27", **usual))
    day.parent("P1", 300_000, Strategy.IS, minutes=120, urgency=5)
    seen = len(day.commands)

    def asked_after(volume: int, minutes: int) -> list[RequestPlan]:
        before = len(day.commands)
        day.trade(volume)
        for _ in range(minutes):
            day.quote()
            day.wait(MINUTE)
        return _asked(day.commands[before:])

    assert asked_after(20_000, 3) == []
    found = asked_after(1, 3)
    assert [(x.moments[-1], x.qty) for x in found] == [(day.order().end_ts, 300_000)] * again
    assert all(OPEN_TS + 3 * MINUTE <= x.moments[0] <= OPEN_TS + 5 * MINUTE for x in found)
    assert asked_after(100_000, 12) == []
    assert len(asked_after(20_001, 3)) == again
    assert len(_asked(day.commands[seen:])) == 2 * again
