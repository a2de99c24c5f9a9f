"""IS: the published holdings, and what haste does to a plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.core.algos import shortfall
from algoserver.core.algos.schedule import Window, by_curve, planned
from algoserver.domain.types import MINUTE
from tests.core.day import FLAT_26, HOURS, OPEN_TS

# Almgren and Chriss (2000): X = 1e6, T = 5 days in 5 steps, sigma .95, gamma 2.5e-7, eta 2.5e-6; a = lambda .9025 / 2.375e-6.
PUBLISHED = {
    "0": (0, [1_000_000, 800_000, 600_000, 400_000, 200_000, 0]),
    "1e-7": (38_000_000_000, [1_000_000, 757_882, 544_564, 351_940, 172_689, 0]),
    "1e-6": (380_000_000_000, [1_000_000, 541_956, 289_854, 147_897, 62_142, 0]),
    "2e-6": (760_000_000_000, [1_000_000, 428_599, 182_933, 76_296, 27_643, 0]),
}


@pytest.mark.parametrize("aversion", PUBLISHED)
def test_the_published_holdings(aversion: str):
    """To the share."""
    square_e12, expected = PUBLISHED[aversion]
    found = shortfall.holdings(1_000_000, 5, square_e12)
    assert all(abs(a - b) <= 1 for a, b in zip(found, expected, strict=True)), found


@given(st.integers(1, 10**9), st.integers(0, 4 * 10**9), st.integers(1, 380))
def test_a_plan_begins_with_nothing_ends_with_all_and_never_goes_back(order_qty: int, haste_ppm: int, minutes: int):
    """Whatever the quantity, the haste and the window."""
    window = Window(OPEN_TS, OPEN_TS + minutes * MINUTE, FLAT_26, HOURS, haste_ppm)
    schedule = shortfall.plan(order_qty, window)
    assert (schedule.moments[0], schedule.moments[-1]) == (window.start_ts, window.end_ts)
    assert (schedule.totals[0], schedule.totals[-1]) == (0, order_qty)
    assert list(schedule.totals) == sorted(schedule.totals)
    assert sorted(set(schedule.moments)) == list(schedule.moments)


def test_without_haste_it_is_the_curve_and_with_haste_ahead_of_it():
    """More haste, more done by half time: for kappa T = 2 it is 1 - sinh(1) / sinh(2) = .676 of the order."""
    done = []
    for haste_ppm in (0, 4_000_000, 100_000_000):
        window = Window(OPEN_TS, OPEN_TS + 60 * MINUTE, FLAT_26, HOURS, haste_ppm)
        schedule = shortfall.plan(1_000_000, window)
        done.append(planned(schedule, OPEN_TS + 30 * MINUTE))
        if not haste_ppm:
            assert abs(done[0] - planned(by_curve(1_000_000, window), OPEN_TS + 30 * MINUTE)) <= 10
    assert abs(done[1] - 675_973) < 200
    assert done[0] < done[1] < done[2]
