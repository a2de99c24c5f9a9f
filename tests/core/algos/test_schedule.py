"""Schedules: nothing lost, nothing early, caps and bounds in every window."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core.algos.schedule import SLICE_NS_MIN, Window, band, by_curve, expected_volumes, in_lots, planned, slice_length
from algoserver.core.algos.twap import plan as twap
from algoserver.core.orders import leaves_qty
from algoserver.domain import commands
from algoserver.domain.policy import SessionHours
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, SECOND, Strategy
from tests.core.day import ALGO, HOURS, OPEN_TS, Day, policy_loaded

seconds = st.integers(1, 23_000)
curves = st.lists(st.integers(0, 1_000), min_size=1, max_size=30).map(tuple)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 10**9), st.integers(0, 20_000), seconds, curves, st.sampled_from([HOURS, SessionHours(0, DAY)]))
def test_a_curves_schedule_conserves_the_total(order_qty: int, start_s: int, length_s: int, curve: tuple[int, ...], hours: SessionHours):
    """It begins with nothing at the start, never falls, and is the whole order at the end, whatever the curve; 0 before and all after."""
    start = OPEN_TS + start_s * SECOND
    window = Window(start, start + length_s * SECOND, curve, hours)
    schedule = by_curve(order_qty, window)
    assert list(schedule.moments) == sorted(set(schedule.moments))
    assert list(schedule.totals) == sorted(schedule.totals)
    assert (schedule.moments[0], schedule.totals[0]) == (window.start_ts, 0)
    assert (schedule.moments[-1], schedule.totals[-1]) == (window.end_ts, order_qty)
    assert planned(schedule, window.start_ts - 1) == 0
    assert planned(schedule, window.end_ts + 1) == order_qty


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 10**9), curves, st.lists(st.integers(0, 30_000), min_size=2, max_size=8))
def test_what_is_planned_never_falls_and_stays_in_its_band(order_qty: int, curve: tuple[int, ...], moments: list[int]):
    """Monotone in time, and between one slice behind and one ahead."""
    schedule = by_curve(order_qty, Window(OPEN_TS, OPEN_TS + 20_000 * SECOND, curve, HOURS))
    at = [planned(schedule, OPEN_TS + m * SECOND) for m in sorted(moments)]
    assert at == sorted(at)
    for m in moments:
        least, most = band(schedule, MINUTE, OPEN_TS + m * SECOND)
        assert least <= planned(schedule, OPEN_TS + m * SECOND) <= most


def test_a_curve_says_where_the_quantity_goes():
    """Two bins of 3:1 over the session: three quarters are due at half time."""
    close = OPEN_TS + (HOURS.close_ns - HOURS.open_ns)
    schedule = by_curve(1_000, Window(OPEN_TS, close, (750_000, 250_000), HOURS))
    assert planned(schedule, (OPEN_TS + close) // 2) == 750


def test_a_curve_without_volume_in_the_window_is_a_straight_line():
    """Time is all there is."""
    window = Window(OPEN_TS, OPEN_TS + MINUTE, (0, PPM_ONE), HOURS)
    assert by_curve(600, window) == twap(600, window)


def test_a_window_over_midnight_goes_on_with_the_next_days_curve():
    """Always-open markets: sessions lie back to back."""
    midnight = OPEN_TS // DAY * DAY + DAY
    window = Window(midnight - 3_600 * SECOND, midnight + 3_600 * SECOND, (1, 0, 0, 3), SessionHours(0, DAY))
    schedule = by_curve(400, window)
    assert (planned(schedule, midnight), planned(schedule, window.end_ts)) == (300, 400)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 5_000), st.integers(0, 5_000), st.sampled_from([1, 10, 100, 1_000]))
def test_only_the_very_last_quantity_may_be_an_odd_lot(quantity: int, remaining: int, round_lot: int):
    """Rounded down to lots, or the whole rest."""
    lots = in_lots(quantity, remaining, round_lot)
    assert 0 <= lots <= quantity
    assert lots % round_lot == 0 or lots >= remaining
    assert quantity - lots < round_lot


def test_a_slice_is_at_least_five_seconds_and_a_window_has_ten():
    """Unless the window is too short for that."""
    assert slice_length(0, 3_600 * SECOND, MINUTE) == MINUTE
    assert slice_length(0, 300 * SECOND, MINUTE) == 30 * SECOND
    assert slice_length(0, 10 * SECOND, MINUTE) == SLICE_NS_MIN


def _work_through(day: Day, minutes: int, volume: list[int]) -> list[tuple[int, int, int]]:
    """Second by second: market volume, then every child of ours fills at once. Rows of (ts, market's, ours) so far."""
    rows = []
    done: set[str] = set()
    total = ours = 0
    for second in range(minutes * 60):
        quantity = volume[second % len(volume)]
        if quantity:
            day.trade(quantity)
            total += quantity
        day.quote(size=100_000)
        day.wait(SECOND)
        for child in day.sent():
            if child.child_id not in done:
                done.add(child.child_id)
                left = leaves_qty(day.child(child).order)
                if left:
                    day.fill(child, left)
                    ours += left
        rows.append((day.now, total, ours))
    return rows


@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.parametrize("strategy", [Strategy.TWAP, Strategy.VWAP, Strategy.POV])
@pytest.mark.parametrize("volume", [[500], [0] * 200 + [20_000], [3_000] * 120 + [10] * 300], ids=["steady", "bursts", "dries up"])
def test_participation_is_within_the_cap_in_every_window(strategy: Strategy, catch_up: bool, volume: list[int]):
    """Since the start always, and whenever we trade over the five minutes before, ours is at most 10 % of the market's."""
    day = Day()
    day.quote()
    more = {"target_pct_vol": 100_000} if strategy is Strategy.POV else {}
    day.parent("P1", 40_000, strategy=strategy, minutes=30, max_pct_vol=100_000, catch_up=catch_up, **more)
    rows = _work_through(day, 30, volume)
    assert rows[-1][2] > 0
    assert_within_a_tenth(rows)


def assert_within_a_tenth(rows: list[tuple[int, int, int]]) -> None:
    """Of (ts, market's, ours): ours is at most a tenth, since the start and whenever we trade."""
    for ts, market, ours in rows:
        assert ours * 10 <= market
        window = [(m, o) for at, m, o in rows if at <= ts - 5 * MINUTE]
        has_traded = ours > max((o for at, _, o in rows if at < ts), default=0)
        if window and has_traded:
            # Books are kept by the second, and a child fills up to a second after it was decided: the edge is two seconds wide.
            before = rows[max(0, len(window) - 3)][1]
            assert (ours - window[-1][1]) * 10 <= market - before


def test_catch_up_is_bounded_by_a_factor_of_the_slice():
    """Half an hour without volume, then plenty: no minute brings more than three times its own slice of 100."""
    day = Day()
    day.quote()
    day.parent("P1", 6_000, minutes=60, max_pct_vol=PPM_ONE)
    # Half a second before a slice, so that the first look of a minute falls into its own slice.
    day.wait(30 * MINUTE - SECOND // 2)
    rows = _work_through(day, 10, [100_000])
    for minute in range(10):
        before = rows[minute * 60 - 1][2] if minute else 0
        assert rows[minute * 60 + 59][2] - before <= ALGO.catch_up_factor * 100
    assert rows[-1][2] > 10 * 100


def test_without_catch_up_what_was_lost_is_forgiven():
    """Half an hour without volume: afterwards each minute brings its own slice only, and the rest is never bought."""
    day = Day()
    day.quote()
    day.parent("P1", 6_000, minutes=60, max_pct_vol=PPM_ONE, catch_up=False)
    day.wait(30 * MINUTE)
    rows = _work_through(day, 29, [100_000])
    assert 2_800 <= rows[-1][2] <= 3_100


def test_quantity_is_the_total_and_not_per_slice():
    """Of 1,000 in ten minutes, 1,000 trade."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=10, max_pct_vol=PPM_ONE)
    assert _work_through(day, 11, [10_000])[-1][2] == 1_000


@pytest.mark.parametrize("quantity", [1, 99, 137, 1_003])
def test_an_odd_lot_is_done_to_the_last_share(quantity: int):
    """Round lots, then the tail."""
    day = Day()
    day.quote()
    day.parent("P1", quantity, minutes=10, max_pct_vol=PPM_ONE)
    rows = _work_through(day, 11, [10_000])
    assert rows[-1][2] == quantity
    assert all(c.order_qty % 100 == 0 for c in day.sent()[:-1])


def test_the_plan_is_ahead_or_behind_by_a_slice_at_most():
    """With volume enough, what is done is within the band at every second."""
    day = Day()
    day.quote()
    day.parent("P1", 12_000, minutes=20, max_pct_vol=PPM_ONE)
    schedule = day.state.works[day.order().parent_id].schedule
    for ts, _, ours in _work_through(day, 20, [50_000]):
        least, most = band(schedule, ALGO.slice_ns, ts)
        assert least - 100 <= ours <= most + 100


def test_pov_follows_the_market_and_may_not_finish():
    """20 % of what trades, and ahead of it by what a slice may bring at most."""
    day = Day()
    day.quote()
    day.parent("P1", 900_000, strategy=Strategy.POV, minutes=10, target_pct_vol=200_000, max_pct_vol=PPM_ONE)
    _, market, ours = _work_through(day, 9, [1_000])[-1]
    assert 0 <= ours - market // 5 <= 60 * 1_000 // 5


def test_more_urgency_crosses_earlier():
    """Urgency 5 pays the spread before urgency 1 does."""
    first: dict[int, int] = {}
    for urgency in (1, 5):
        day = Day()
        day.quote()
        day.parent("P1", 6_000, minutes=60, urgency=urgency, max_pct_vol=PPM_ONE)
        day.trade(100_000)
        day.wait(MINUTE - 2_000_000)
        day.quote()
        crossed = [i for i, c in enumerate(day.commands) if isinstance(c, commands.CancelChild)]
        first[urgency] = len(crossed)
    assert first[5] >= first[1]


def test_a_turn_asks_to_be_looked_at_again_later_and_not_at_once():
    """Past its end an order with Completion SOFT waits a refresh between two looks: it does not spin."""
    day = Day(policy_loaded())
    day.quote()
    day.parent("P1", 1_000, minutes=1, completion="SOFT")
    day.wait(2 * MINUTE)
    before = len(day.fed)
    day.wait(10 * SECOND)
    assert len(day.fed) - before < 30


def test_the_volume_at_each_edge_of_a_window_is_rounded_down_by_itself():
    """Half of three units at either edge is one, and one; a part of one bin is a part."""
    volumes = ((3, 100, 3), (4, 7, 1))
    third = (HOURS.close_ns - HOURS.open_ns) // 3
    assert expected_volumes(Window(OPEN_TS + third // 2, OPEN_TS + 5 * third // 2, (), HOURS), volumes) == [102, 9]
    assert expected_volumes(Window(OPEN_TS, OPEN_TS + third // 2, (), HOURS), volumes) == [1, 2]
