"""A day's forecast is asked for again at each bin, and the plans that follow the volume follow what comes."""

import msgspec
import pytest

from algoserver.core.algos.schedule import planned
from algoserver.core.engine import step
from algoserver.core.state import State, dump
from algoserver.domain.commands import RaiseAlert, RequestForecast
from algoserver.domain.events import ForecastReady, SessionDown, SessionUp
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import MINUTE, Strategy
from tests.core.day import AAPL, FLAT_26, OPEN_TS, Day, policy_loaded

BIN = 15 * MINUTE
HISTORY = InstrumentSetup(AAPL, ("2019-06-27",), (tuple([1_000] * 26),))


def _morning(strategy: int = Strategy.VWAP, qty: int = 26_000) -> Day:
    """A server that is there before the open, and an order over the whole day from the open on."""
    day = Day(policy_loaded(instruments=(HISTORY,)), now=OPEN_TS - MINUTE)
    day.feed(SessionUp(session="XLIT1.md"))
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-27"))
    day.quote()
    day.parent("P1", qty, strategy, minutes=391)
    day.wait(OPEN_TS - day.now)
    return day


def _trade_bins(day: Day, *volumes: int) -> list[RequestForecast]:
    """Each bin's volume in its first minute, then the rest of it; what was asked for in all of them, and a slice after."""
    seen = len(day.commands)
    for volume in volumes:
        day.quote()
        day.trade(volume)
        day.wait(BIN - day.now % BIN)
    day.quote()
    day.wait(2 * MINUTE)
    return [c for c in day.commands[seen:] if isinstance(c, RequestForecast)]


def _answer(now_bin: int, first: int) -> ForecastReady:
    """A curve in which the first bins have had `first` ppm each, and the others share the rest alike."""
    others = (1_000_000 - first * now_bin) // (26 - now_bin)
    curve = [first] * now_bin + [others] * (26 - now_bin)
    curve[-1] += 1_000_000 - sum(curve)
    return ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=tuple(curve), trained_through="2019-06-27", now_bin=now_bin)


def test_the_rest_of_the_day_is_asked_for_once_a_bin_with_the_volumes_so_far():
    day = _morning()
    asked = _trade_bins(day, 40_000, 20_000)
    assert [c.today for c in asked] == [(40_000,), (40_000, 20_000)]
    assert {c.history for c in asked} == {HISTORY.history}


@pytest.mark.parametrize("strategy", [Strategy.TWAP, Strategy.POV, Strategy.ICEBERG])
def test_nobody_asks_for_a_plan_that_does_not_follow_the_volume(strategy: int):
    day = Day(policy_loaded(instruments=(HISTORY,)), now=OPEN_TS - MINUTE)
    day.quote()
    more = {"target_pct_vol": 100_000} if strategy == Strategy.POV else {}
    day.parent("P1", 1_000, strategy, minutes=391, **more)
    day.wait(OPEN_TS - day.now)
    assert _trade_bins(day, 40_000) == []


def test_a_vwap_aims_at_the_share_of_volume_that_has_traded():
    """A first bin of a fifth of the day's volume, where a 26th was expected: a fifth of the order should have been done by then."""
    day = _morning()
    _trade_bins(day, 40_000)
    work = day.state.works[day.order().parent_id]
    assert planned(work.schedule, OPEN_TS + BIN) == 26_000 * 38_461 // 1_000_000
    before = msgspec.structs.replace(work)
    day.feed(_answer(1, 200_000))
    assert planned(work.schedule, OPEN_TS + BIN) == 5_200
    assert (work.schedule.moments[0], work.schedule.moments[-1], work.schedule.totals[-1]) == (
        before.schedule.moments[0], before.schedule.moments[-1], before.schedule.totals[-1],
    )  # fmt: skip
    assert (work.base_volume, work.capped_volume, work.max_pct_vol) == (before.base_volume, before.capped_volume, before.max_pct_vol)


def test_an_is_plans_the_rest_anew_from_now_on():
    """What is done is behind it; the rest is spread from now to the end, and all of it is done by then."""
    day = _morning(Strategy.IS)
    _trade_bins(day, 40_000)
    work, order = day.state.works[day.order().parent_id], day.order().order
    end_ts = work.schedule.moments[-1]
    day.feed(_answer(1, 200_000))
    assert (work.schedule.moments[0], work.schedule.moments[-1]) == (day.now, end_ts)
    assert (work.schedule.totals[0], work.schedule.totals[-1]) == (order.cum_qty, 26_000)
    assert list(work.schedule.totals) == sorted(work.schedule.totals)


def test_a_server_that_came_after_the_open_does_not_ask_with_half_a_bin():
    day = Day(policy_loaded(instruments=(HISTORY,)))
    day.quote()
    day.parent("P1", 26_000, Strategy.VWAP, minutes=380)
    assert _trade_bins(day, 40_000, 20_000) == []


def test_a_feed_that_broke_is_asked_by_no_more_on_that_day():
    """Prints were missed, and nobody knows how many; the next day counts anew."""
    day = _morning()
    assert len(_trade_bins(day, 40_000)) == 1
    day.feed(SessionDown(session="XLIT1.md", reason="cut"))
    day.feed(SessionUp(session="XLIT1.md"))
    assert _trade_bins(day, 40_000, 40_000) == []


def test_an_answer_that_does_not_come_is_told_once_and_the_plan_goes_on():
    """Until the next one is here."""
    day = _morning()
    _trade_bins(day, 40_000)
    plan = day.state.works[day.order().parent_id].schedule
    seen = len(day.commands)
    for _ in range(9):
        day.quote()
        day.trade(1_000)
        day.wait(MINUTE)
    assert [c.code for c in day.commands[seen:] if isinstance(c, RaiseAlert)] == ["forecast_late"]
    assert day.state.works[day.order().parent_id].schedule is plan
    day.feed(_answer(1, 200_000))
    assert "forecast_late" not in {a.code for shelf in day.state.alerts.live.values() for a in shelf.values()}
    assert day.state.works[day.order().parent_id].schedule is not plan


def test_an_empty_answer_and_one_for_an_order_that_is_over_change_nothing():
    day = _morning()
    _trade_bins(day, 40_000)
    plan = day.state.works[day.order().parent_id].schedule
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=(), text="the model is gone", now_bin=1))
    assert day.state.works[day.order().parent_id].schedule == plan
    assert day.state.forecasts["AAPL"].curve == FLAT_26
    day.cancel()
    for child in day.sent():
        if child.child_id in day.order().open_children:
            day.canceled(child)
    assert not day.state.works
    day.feed(_answer(1, 200_000))
    assert not day.state.works


def test_a_replay_follows_alike():
    day = _morning()
    _trade_bins(day, 40_000)
    day.feed(_answer(1, 200_000))
    _trade_bins(day, 10_000)
    again = State()
    for event in day.fed:
        step(again, event)
    assert dump(again) == dump(day.state)
