"""With bands, VWAP goes along with what trades in the running bin and POV believes no pace outside of them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.core.algos.bands import bands_of, followed, pace
from algoserver.core.algos.schedule import Bands, Schedule, planned
from algoserver.core.engine import step
from algoserver.core.market import Market
from algoserver.core.orders import is_open
from algoserver.core.state import State, dump
from algoserver.domain.commands import RequestForecast
from algoserver.domain.events import ForecastReady, SessionUp
from algoserver.domain.types import DAY, MINUTE, SECOND, Strategy
from tests.core.day import ALGO, FLAT_26, OPEN_TS, Day, policy_loaded

BIN, DATE = 15 * MINUTE, "2019-06-28"
USUAL, LOW, HIGH = 26_000, 13_000, 52_000
BANDS = Bands(OPEN_TS // DAY, (USUAL,) * 26, (LOW,) * 26, (HIGH,) * 26)
# A hundred an hour's quarter, from the open on, over the whole day.
EVEN = Schedule((OPEN_TS, OPEN_TS + 26 * BIN), (0, 2_600))
BANDED = policy_loaded(algo=msgspec.structs.replace(ALGO, is_banded=True))


def _market(traded: int, at: int = 3, counted_ts: int = 0) -> Market:
    """A market in the bin `at`, of which `traded` has traded."""
    bins = [USUAL] * 26
    bins[at] = traded
    now = {"bin_day": OPEN_TS // DAY, "bin_at": at, "bin_end_ts": OPEN_TS + (at + 1) * BIN, "bins": bins, "counted_ts": counted_ts}
    return Market("AAPL", open_ns=OPEN_TS % DAY, bin_ns=BIN, **now)


@given(st.integers(0, 4 * HIGH), st.integers(1, 899), st.integers(0, 1_200))
def test_what_is_due_lies_between_p10_s_and_p90_s_share_of_the_bin(traded: int, passed_s: int, ahead_s: int):
    """And behind the bin it goes on as the plan does."""
    begin = OPEN_TS + 3 * BIN
    ts, at_ts = begin + passed_s * SECOND, begin + ahead_s * SECOND
    due, inside = followed(EVEN, BANDS, _market(traded), ts, at_ts), min(at_ts, begin + BIN) - begin
    behind = planned(EVEN, at_ts) - planned(EVEN, min(at_ts, begin + BIN))
    least, most = (300 + 100 * units * inside // (USUAL * BIN) for units in (LOW, HIGH))
    assert least - 1 <= due - behind <= most + 1


@given(st.integers(0, HIGH), st.integers(1, 899), st.integers(0, 1_800))
def test_no_more_is_due_than_the_plan_has(traded: int, passed_s: int, ahead_s: int):
    """Where nearly all of it belongs to one bin: the rest is an auction's, or was given up."""
    late = Schedule((OPEN_TS, OPEN_TS + 3 * BIN, OPEN_TS + 4 * BIN, OPEN_TS + 5 * BIN), (0, 100, 900, 1_000))
    begin = OPEN_TS + 3 * BIN
    assert followed(late, BANDS, _market(traded), begin + passed_s * SECOND, begin + ahead_s * SECOND) <= 1_000


@given(st.integers(1, 899), st.integers(0, 899))
def test_a_bin_as_it_was_forecast_is_worked_by_the_clock(passed_s: int, at_s: int):
    begin = OPEN_TS + 3 * BIN
    market = _market(USUAL * passed_s // 900)
    assert abs(followed(EVEN, BANDS, market, begin + passed_s * SECOND, begin + at_s * SECOND) - planned(EVEN, begin + at_s * SECOND)) <= 1


@given(st.integers(0, HIGH), st.integers(0, HIGH), st.integers(1, 899))
def test_more_that_trades_is_never_less_that_is_due(first: int, second: int, passed_s: int):
    ts = OPEN_TS + 3 * BIN + passed_s * SECOND
    low, high = (followed(EVEN, BANDS, _market(traded), ts, ts + MINUTE) for traded in sorted((first, second)))
    assert low <= high


@pytest.mark.parametrize(
    ("market", "schedule"),
    [
        (_market(HIGH, at=0), Schedule((OPEN_TS + MINUTE, OPEN_TS + 26 * BIN), (0, 2_600))),
        (_market(HIGH), Schedule((OPEN_TS, OPEN_TS + 4 * BIN), (0, 400))),
        (_market(HIGH, counted_ts=OPEN_TS + 1), EVEN),
        (_market(HIGH, at=2), EVEN),
        (_market(HIGH), Schedule()),
    ],
    ids=["the first, in part", "the last", "a print was missed since the open", "nothing has traded in it yet", "no plan by the clock"],
)
def test_other_bins_go_by_the_clock(market: Market, schedule: Schedule):
    begin = OPEN_TS + market.bin_at * BIN if market.bin_at != 2 else OPEN_TS + 3 * BIN
    for seconds in (120, 600):
        ts = begin + seconds * SECOND
        assert followed(schedule, BANDS, market, ts, ts + MINUTE) == planned(schedule, ts + MINUTE)


@pytest.mark.parametrize(("volume", "believed"), [(0, LOW // 15), (2_000, 2_000), (10**9, HIGH // 15)])
def test_a_pace_beyond_the_bands_is_not_believed(volume: int, believed: int):
    assert pace(BANDS, _market(0), OPEN_TS + 3 * BIN, volume, MINUTE) == believed
    assert pace(BANDS, _market(0), OPEN_TS - 1, volume, MINUTE) == volume


def _forecast(now_bin: int = 0, **changes: object) -> ForecastReady:
    known = {
        "symbol": "AAPL", "date": DATE, "model": "m1", "curve": FLAT_26, "trained_through": "2019-06-27", "now_bin": now_bin,
        "volume": BANDS.volume, "volume_p10": BANDS.low, "volume_p90": BANDS.high,
    }  # fmt: skip
    return ForecastReady(**{**known, **changes})


def _day(is_banded: bool, strategy: int = Strategy.VWAP, forecast: ForecastReady | None = None, **params: int) -> Day:
    day = Day(BANDED if is_banded else policy_loaded(), now=OPEN_TS - MINUTE)
    day.feed(SessionUp(session="XLIT1.md"))
    day.feed(forecast or _forecast())
    day.quote()
    day.parent("P1", 26_000, strategy, minutes=391, **params)
    day.wait(OPEN_TS - day.now)
    return day


def _run(day: Day, volume: int, minutes: int = 7) -> int:
    """A first bin in which the forecast comes true, then so many minutes with `volume` each; what is done of P1 by then. Whatever is sent trades."""
    for minute in range(15 + minutes):
        day.quote()
        day.trade(USUAL // 15 if minute < 15 else volume)
        for _ in range(6):
            day.wait(10 * SECOND)
            for child in [c for c in day.sent() if is_open(day.state.children[c.child_id].order)]:
                day.accept(child)
                day.fill(child, child.order_qty)
    return day.order().order.cum_qty


def test_a_vwap_goes_along_with_a_busy_bin_and_only_where_the_desk_wants_that():
    """Of a thousand a bin, after 7 of 15 minutes of the second: by the clock 1,467 to the lot; three times the pace counts as P90's, which is twice
    the bin, a fifth of it as P10's, which is half."""
    busy, quiet, plain = _run(_day(True), USUAL // 5), _run(_day(True), USUAL // 75), _run(_day(False), USUAL // 5)
    assert (quiet, plain, busy) == (1_200, 1_500, 1_900)


def test_without_catch_up_a_quiet_bin_s_quantity_is_not_given_up():
    """By the clock the plan held nothing back: what it was late with at the end of the quiet bin would be forgiven, and the order never done."""
    days = [_day(is_banded, catch_up=False) for is_banded in (True, False)]
    done = [_run(day, USUAL // 30, minutes=17) for day in days]
    banded, plain = (day.state.works[day.order().parent_id].forgiven for day in days)
    assert (banded, done[0]) == (plain, done[1])


def test_a_newer_forecast_brings_its_own_bands():
    for strategy, params in ((Strategy.VWAP, {}), (Strategy.POV, {"target_pct_vol": 100_000})):
        day = _day(True, strategy, **params)
        work = day.state.works[day.order().parent_id]
        assert work.bands == BANDS
        day.feed(_forecast(1, volume_p90=(2 * HIGH,) * 26))
        assert work.bands == bands_of(day.state.forecasts["AAPL"], OPEN_TS) != BANDS
    assert work.bands == msgspec.structs.replace(BANDS, high=(2 * HIGH,) * 26)


def test_a_pov_alone_in_its_symbol_asks_for_the_next_bin_s():
    """Else it would believe the morning's bands all day."""
    days = [_day(is_banded, Strategy.POV, target_pct_vol=100_000) for is_banded in (True, False)]
    for day in days:
        _run(day, USUAL // 15)
    asked = [[len(c.today) for c in day.commands if isinstance(c, RequestForecast)] for day in days]
    assert asked == [[0, 1], [0]]


@pytest.mark.parametrize(
    "forecast", [_forecast(volume_p10=()), _forecast(trained_through="2019-06-01"), _forecast(curve=()), _forecast(date="2019-06-27")]
)
def test_a_plan_by_no_such_forecast_has_no_bands_until_it_is_by_one(forecast: ForecastReady):
    """Without bands, of a model too old to plan by, without a curve, not of the day: until the next bin's, or until a halt has it plan anew."""
    day, halted = _day(True, forecast=forecast), _day(True, forecast=forecast)
    works = [d.state.works[d.order().parent_id] for d in (day, halted)]
    assert [w.bands for w in works] == [None, None]
    day.feed(_forecast(1))
    halted.halt()
    halted.wait(2 * SECOND)
    halted.feed(_forecast())
    assert works[1].bands is None
    halted.halt(is_halted=False)
    halted.wait(2 * SECOND)
    assert [w.bands for w in works] == [BANDS, BANDS]
    day.feed(_forecast(2, volume_p10=()))
    assert works[0].bands is None


def test_who_does_not_follow_the_volume_has_no_bands_and_nobody_has_another_day_s():
    begin = OPEN_TS + DAY + 3 * BIN
    market, ts = msgspec.structs.replace(_market(HIGH), bin_day=BANDS.day + 1, bin_end_ts=begin + BIN), begin + 5 * MINUTE
    days = Schedule((OPEN_TS, OPEN_TS + 2 * DAY), (0, 5_200))
    own = msgspec.structs.replace(BANDS, day=BANDS.day + 1)
    assert followed(days, BANDS, market, ts, ts) == planned(days, ts) != followed(days, own, market, ts, ts)
    assert pace(BANDS, market, ts, 10**9, MINUTE) == 10**9
    for strategy in (Strategy.TWAP, Strategy.IS):
        day = _day(True, strategy)
        assert day.state.works[day.order().parent_id].bands is None


def test_a_day_with_bands_is_repeated_byte_for_byte():
    day = _day(True)
    _run(day, USUAL // 5)
    again = State()
    for event in day.fed:
        step(again, msgspec.json.decode(msgspec.json.encode(event), type=type(event)))
    assert dump(again) == dump(day.state)
