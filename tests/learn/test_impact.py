"""The published tables to their printed digits, and no round trip that earns money."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.learn.impact import Market, optimal_plan, permanent_impact, plan_cost, round_trip_cost, shortfall, temporary_impact

ALMGREN_THUM_HAUPTMANN_LI_2005 = """
# Table 3: buying 10 % of a day's volume. Basis points: I once, K and J for T = .1, .2, .5 of a day
# name  sigma %  Theta/V  I     K                 J
IBM     1.57     263      19.9  22.3  14.7  8.5   32.2  24.6  18.4
DRI     2.26     87       21.7  32.1  21.2  12.2  42.9  32.0  23.1
"""
ORDERS = [line.split() for line in ALMGREN_THUM_HAUPTMANN_LI_2005.strip().splitlines()[2:]]

ALMGREN_CHRISS_2000 = """
# S0 50, X 1e6, T 5 days, N 5, sigma .95, epsilon .0625, gamma 2.5e-7, eta 2.5e-6
# lambda  kappa   x_1     x_2     x_3     x_4     E[cost] $  sd $
0         0       800000  600000  400000  200000  662500     1040673
1e-7      0.1946  757882  544564  351940  172689  670058     961623
1e-6      0.6071  541956  289854  147897  62142   911227     603431
2e-6      0.8463  428599  182933  76296   27643   1140715    449368
"""
PLANS = [line.split() for line in ALMGREN_CHRISS_2000.strip().splitlines()[2:]]
EXAMPLE = Market(sigma=0.95, epsilon=0.0625, gamma=2.5e-7, eta=2.5e-6)


@pytest.mark.parametrize("row", ORDERS, ids=lambda row: row[0])
def test_almgren_thum_hauptmann_li(row: list[str]):
    sigma, shares_out = float(row[1]) / 100, float(row[2])

    assert f"{1e4 * permanent_impact(0.1, sigma, shares_out):.1f}" == row[3]
    assert [f"{1e4 * temporary_impact(0.1, sigma, days):.1f}" for days in (0.1, 0.2, 0.5)] == row[4:7]
    assert [f"{1e4 * shortfall(0.1, sigma, shares_out, days):.1f}" for days in (0.1, 0.2, 0.5)] == row[7:10]


@pytest.mark.parametrize("row", PLANS, ids=lambda row: row[0])
def test_almgren_chriss(row: list[str]):
    """Holdings, mean and deviation of the cost; the holdings are the core's, whole shares rounded down."""
    plan = optimal_plan(1_000_000, 5.0, 5, float(row[0]), EXAMPLE)
    exact = [1e6 * math.sinh(plan.kappa * (5 - j)) / math.sinh(plan.kappa * 5) if plan.kappa else 1e6 - 2e5 * j for j in range(6)]

    assert f"{plan.kappa:.4f}" == f"{float(row[1]):.4f}"
    assert [f"{x:.0f}" for x in exact[1:5]] == row[2:6]
    assert plan.holdings == tuple(math.floor(x + 1e-6) for x in exact)
    # The printed costs are those of the printed, whole holdings: without rounding the second is 670,057.46.
    assert [f"{x:.0f}" for x in plan_cost([1e6, *map(float, row[2:6]), 0], 5.0, EXAMPLE)] == row[6:8]
    assert (plan.cost, plan.deviation) == pytest.approx(plan_cost(exact, 5.0, EXAMPLE), rel=1e-5)


def test_the_core_s_haste_is_the_straight_line_through_ten_per_cent():
    """core.planning plans IS with an impact of .36 sigma p, p our share of the volume: the same number as here at p = 10 %."""
    assert temporary_impact(0.1, 1.0, 1.0) / 0.1 == pytest.approx(0.36, abs=0.005)


@given(st.floats(0.001, 0.5), st.floats(0.005, 0.1), st.floats(10, 1000), st.floats(0.02, 1))
def test_a_cost_grows_with_size_and_volatility_falls_with_time_and_is_the_seller_s_too(quantity: float, sigma: float, shares_out: float, days: float):
    cost = shortfall(quantity, sigma, shares_out, days)

    assert 0 < cost < shortfall(quantity * 1.1, sigma, shares_out, days)
    assert cost < shortfall(quantity, sigma * 1.1, shares_out, days)
    assert cost > shortfall(quantity, sigma, shares_out, days * 1.1)
    assert shortfall(-quantity, sigma, shares_out, days) == cost


TRADES = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=40)


def closed(trades: list[float]) -> list[float]:
    """The same trades, and what brings the position back to nothing."""
    return [*trades, -sum(trades)]


@given(TRADES, st.floats(0.005, 0.1), st.floats(10, 1000), st.floats(0.005, 0.2))
def test_no_round_trip_earns_money(trades: list[float], sigma: float, shares_out: float, tau: float):
    """Gatheral (2010): whatever is bought and sold, in any order, at any rate."""
    cost = round_trip_cost(closed(trades), tau, lambda q: permanent_impact(q, sigma, shares_out), lambda rate: temporary_impact(rate, sigma, 1.0))

    assert cost >= -1e-12


def test_a_concave_permanent_impact_would_be_found_to_earn_money():
    """The same check on the square root: bought in a hundred slices and sold at once."""
    trades = closed([0.001] * 100)

    assert round_trip_cost(trades, 1.0, lambda q: math.copysign(0.02 * abs(q) ** 0.5, q), lambda _rate: 0.0) < -1e-4
    assert round_trip_cost(trades, 1.0, lambda q: 0.02 * q, lambda _rate: 0.0) == pytest.approx(0, abs=1e-12)


def test_the_optimum_is_one():
    """Almgren and Chriss's plan against its neighbours: another step traded earlier or later costs more, risk counted."""
    aversion = 1e-6
    plan = optimal_plan(1_000_000, 5.0, 5, aversion, EXAMPLE)

    def utility(left: list[float]) -> float:
        cost, deviation = plan_cost(left, 5.0, EXAMPLE)
        return cost + aversion * deviation**2

    for at in range(1, 5):
        for moved in (-2_000, 2_000):
            other = [float(x) for x in plan.holdings]
            other[at] += moved
            assert utility(other) > utility([float(x) for x in plan.holdings])
