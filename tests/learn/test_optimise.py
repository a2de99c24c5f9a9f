"""The optimiser against the closed forms that it must contain, and against every other plan that keeps the bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.learn.cost import CostModel, Terms, risk
from algoserver.learn.optimise import Problem, frontier, problem_of, solve
from tests.learn.test_published import EXAMPLE, PLANS, optimal_plan, plan_cost

MODEL = CostModel(np.array([0.5, 0.8, 0.2, 0.4]))


def almgren_chriss(aversion: float, order_qty: float = 1e6, days: float = 5.0, steps: int = 5) -> Problem:
    """Their problem in ours: a linear temporary impact of eta~ / tau, and their risk."""
    tau = days / steps
    return Problem(
        np.full(steps, EXAMPLE.eta_step(tau) / tau * order_qty**2), 1.0, np.zeros((steps, steps)),
        np.full(steps, aversion * EXAMPLE.sigma**2 * tau * order_qty**2), np.ones(steps),
    )  # fmt: skip


@pytest.mark.parametrize("row", PLANS, ids=lambda row: row[0])
def test_almgren_and_chriss_s_table_is_found_to_the_share(row: list[str]):
    """Holdings, mean and deviation as printed, and as the core's own closed form has them."""
    left = 1e6 * (1 - np.cumsum(solve(almgren_chriss(float(row[0])))))

    assert [f"{x:.0f}" for x in left[:4]] == row[2:6]
    assert (0, *(math.floor(x + 1e-4) for x in left[:4]))[1:] == optimal_plan(1_000_000, 5.0, 5, float(row[0]), EXAMPLE).holdings[1:5]
    assert [f"{x:.0f}" for x in plan_cost([1e6, *map(float, row[2:6]), 0], 5.0, EXAMPLE)] == row[6:8]
    assert plan_cost([1e6, *left[:4], 0], 5.0, EXAMPLE) == pytest.approx([float(row[6]), float(row[7])], rel=1e-5)


def test_sixty_steps_are_as_exact():
    """The closed form of sixty steps, to a hundredth of a share of a million."""
    found = solve(almgren_chriss(2e-6, days=3.0, steps=60))
    plan = optimal_plan(1_000_000, 3.0, 60, 2e-6, EXAMPLE)
    exact = np.sinh(plan.kappa * (3.0 - np.arange(61) / 20)) / math.sinh(plan.kappa * 3.0)

    assert 1e6 * (1 - np.cumsum(found)) == pytest.approx(1e6 * exact[1:], abs=0.01)


@pytest.mark.parametrize("rho", [0.5, 3.0, 20.0])
def test_obizhaeva_and_wang_s_blocks(rho: float):
    """Impact that decays exponentially alone: a block first and last, the same rate between (in N + 1 trades: Alfonsi, Fruth, Schied 2010)."""
    steps = 26
    at = np.linspace(0, 1, steps)
    found = solve(Problem(np.zeros(steps), 1.0, np.exp(-rho * np.abs(at[:, None] - at)), np.zeros(steps), np.ones(steps)))
    kept = math.exp(-rho / (steps - 1))
    block = 1 / ((steps - 2) * (1 - kept) + 2)

    assert found == pytest.approx([block, *[block * (1 - kept)] * (steps - 2), block], abs=1e-9)


@given(
    st.lists(st.floats(0.1, 3.0), min_size=12, max_size=12), st.floats(0.005, 0.2), st.floats(0, 300), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1)
)
@settings(max_examples=25, deadline=None)
def test_no_other_plan_is_cheaper(volume: list[float], size: float, aversion: float, cap: float, seed: int):
    """Bounds are kept, and no drawn change within them lowers the cost."""
    volumes = np.array(volume) / 26
    problem = problem_of(MODEL, size, volumes, 0.02, aversion, cap)
    found = solve(problem)
    chance = np.random.default_rng(seed)

    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert (found >= 0).all()
    assert (found <= problem.cap + 1e-9).all()
    for _ in range(200):
        a, b = chance.integers(0, 12, 2)
        moved = found.copy()
        by = min(chance.uniform(0, 0.05), moved[a], problem.cap[b] - moved[b]) if a != b else 0.0
        moved[a] -= by
        moved[b] += by
        assert problem.value(moved) >= problem.value(found) * (1 - 1e-9)


def test_the_frontier_pays_for_less_risk():
    """The more averse, the earlier: less risk for more cost, each plan the cheapest for its risk; none dominates another."""
    terms = Terms(0.05, 0.5, np.full(20, 0.05), 0.02, 2e-4, 0.2)
    found = frontier(MODEL, terms, np.array([0.0, 3.0, 30.0, 300.0]), 1.0)
    risks = [risk(Terms(0.05, 0.5, profile, 0.02, 2e-4, 0.2)) for _, profile, _ in found]
    costs = [cost.expected for _, _, cost in found]

    assert risks == sorted(risks, reverse=True)
    assert costs == sorted(costs)
    assert costs[0] < MODEL.expected(terms)


def test_it_follows_the_volume():
    """Where nothing is averse and nothing decays, quantity goes with the volume, lunch or not; a cap that binds is spread over the rest."""
    volume = np.array([3.0, 1.0, 1.0, 5.0]) / 26
    plain = CostModel(np.array([0.0, 1.0, 0.2, 0.0]))

    assert solve(problem_of(plain, 0.02, volume, 0.02, 0.0, 1.0)) == pytest.approx(volume / volume.sum(), abs=1e-9)
    hurried = solve(problem_of(plain, 0.04, volume, 0.02, 1e6, 0.15))
    assert hurried[:3] * 0.04 / volume[:3] == pytest.approx([0.15] * 3, rel=1e-6)


def test_an_order_that_the_cap_can_not_bear_is_planned_all_the_same():
    """Nearly even: the core's cap binds while it trades, not the plan."""
    volume = np.full(10, 0.01)
    found = solve(problem_of(MODEL, 0.2, volume, 0.02, 100.0, 0.25))
    assert found.sum() == pytest.approx(1)
    assert found.max() <= 0.1021
