"""The published tables to their printed digits: Almgren, Thum, Hauptmann and Li (2005) by the cost model, Almgren and Chriss (2000) by the core."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from algoserver.core.algos.shortfall import E12, holdings
from algoserver.learn.cost import BETA, ETA, GAMMA, TURNOVER_POWER, CostModel, Terms

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


@dataclass(frozen=True)
class Market:
    """Almgren and Chriss's market, in money, shares and days. sigma: money per share and root day; epsilon: half a spread; gamma: permanent, money
    per share for each share traded; eta: temporary, money per share for each share a day."""

    sigma: float
    epsilon: float
    gamma: float
    eta: float

    def eta_step(self, tau: float) -> float:
        """eta~ = eta - gamma tau / 2: a step of `tau` days pays half of its own permanent impact already."""
        return self.eta - self.gamma * tau / 2


@dataclass(frozen=True)
class Plan:
    """The optimal way to trade `holdings[0]` shares. cost, deviation: of the money it takes, mean and standard deviation. kappa: urgency per day."""

    holdings: tuple[int, ...]
    cost: float
    deviation: float
    kappa: float


def optimal_plan(order_qty: int, days: float, steps: int, aversion: float, market: Market) -> Plan:
    """Almgren and Chriss's optimum for a risk aversion (1/money)."""
    tau = days / steps
    step = aversion * market.sigma**2 * tau**2 / market.eta_step(tau)
    left = holdings(order_qty, steps, round(step * E12))
    cost, deviation = plan_cost(left, days, market)
    return Plan(tuple(left), cost, deviation, math.acosh(1 + step / 2) / tau)


def plan_cost(left: Sequence[float], days: float, market: Market) -> tuple[float, float]:
    """Mean and standard deviation of the money that holdings over equal steps of `days` cost: x_0 first, the last 0."""
    tau = days / (len(left) - 1)
    traded = [before - after for before, after in pairwise(left)]
    permanent, spread = market.gamma * left[0] ** 2 / 2, market.epsilon * sum(map(abs, traded))
    cost = permanent + spread + market.eta_step(tau) / tau * sum(n * n for n in traded)
    return cost, market.sigma * math.sqrt(tau * sum(x * x for x in left[1:]))


EXAMPLE = Market(sigma=0.95, epsilon=0.0625, gamma=2.5e-7, eta=2.5e-6)


@pytest.mark.parametrize("row", ORDERS, ids=lambda row: row[0])
def test_almgren_thum_hauptmann_li(row: list[str]):
    """I is all of the permanent part, of which an order pays half; K the temporary part, and J what the order costs."""
    sigma, permanent = float(row[1]) / 100, GAMMA * float(row[2]) ** TURNOVER_POWER

    def bp(days: float, *parts: float) -> str:
        model = CostModel(np.array([0.0, *parts, 0.0]))
        return f"{1e4 * model.expected(Terms(0.1, days, np.full(20, 1 / 20), sigma, 0.0, 0.0)):.1f}"

    assert bp(0.1, 2 * permanent, 0.0) == row[3]
    assert [bp(days, 0.0, ETA) for days in (0.1, 0.2, 0.5)] == row[4:7]
    assert [bp(days, permanent, ETA) for days in (0.1, 0.2, 0.5)] == row[7:10]


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
    """core.planning plans IS with an impact of .36 sigma p, p our share of the volume: the same number as the published at p = 10 %."""
    assert pytest.approx(0.36, abs=0.005) == ETA * 0.1**BETA / 0.1


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
