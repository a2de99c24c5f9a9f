"""The schedule that costs least: predicted impact plus risk, over the volume that is expected, in volume time.

    minimise  sum a_k n_k^(1+b)  +  n'Qn / 2  +  sum r_k x_k^2     with  sum n_k = 1,  0 <= n_k <= cap_k

n_k is the share of the order that step k trades, x_k what is left after it. The first two are temporary and decaying impact (cost.py), the last is
the order's risk aversion times the variance of its cost. All three are convex, so there is one optimum. Where b is 1, Q is nothing and steps are
equal it is Almgren and Chriss's closed form; where only Q is there, with one exponential, it is Obizhaeva and Wang's.

Rule 1: Newton's steps from the even plan, where they end in an optimum; else SciPy's SLSQP finds which bounds hold, and Newton's steps on the others
make that exact. The same question has the same answer.
Rule 2: the permanent part is the same for all plans and left out; so is the spread.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from algoserver.learn.cost import BETA, DELTA, Cost, CostModel, Terms, memory

NEWTON_STEPS = 50
# What is nearer to a bound is at it, as a share of an even plan's step; below it is no quantity.
NEAR = 1e-6


@dataclass(frozen=True)
class Problem:
    """See above; arrays of the steps, kernel of both. cap: of each step, at least 1 in all."""

    temporary: NDArray[np.float64]
    power: float
    kernel: NDArray[np.float64]
    risk: NDArray[np.float64]
    cap: NDArray[np.float64]

    def value(self, n: NDArray[np.float64]) -> float:
        """What a plan costs."""
        left = 1 - np.cumsum(n)
        return float(self.temporary @ np.maximum(n, 0.0) ** (1 + self.power) + n @ self.kernel @ n / 2 + self.risk @ left**2)

    def slope(self, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its gradient."""
        left = 1 - np.cumsum(n)
        later: NDArray[np.float64] = np.cumsum((2 * self.risk * left)[::-1])[::-1]
        found: NDArray[np.float64] = self.temporary * (1 + self.power) * np.maximum(n, 0.0) ** self.power + self.kernel @ n - later
        return found

    def bend(self, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its second derivatives."""
        done = np.tri(n.size)
        own = self.temporary * (1 + self.power) * self.power * np.maximum(n, NEAR / n.size) ** (self.power - 1)
        found: NDArray[np.float64] = np.diag(own) + self.kernel + 2 * done.T @ (self.risk[:, None] * done)
        return found


def solve(problem: Problem) -> NDArray[np.float64]:
    """The optimum, shape (steps,), sum 1."""
    steps = problem.temporary.size
    even = np.minimum(np.full(steps, 1 / steps), problem.cap)
    even = even + (1 - even.sum()) * (problem.cap - even) / max(float((problem.cap - even).sum()), 1e-300)
    # In units of its own curvature, so that the Newton system is as exact as it can be.
    scale = max(float(np.abs(problem.bend(even)).max()), 1e-300)
    own = Problem(problem.temporary / scale, problem.power, problem.kernel / scale, problem.risk / scale, problem.cap)
    direct = _polished(own, even)
    if _is_optimal(own, direct):
        return direct
    value = max(own.value(even), 1e-300)
    found = minimize(
        lambda n: own.value(n) / value,
        even,
        jac=lambda n: own.slope(n) / value,
        method="SLSQP",
        bounds=list(zip(np.zeros(steps), own.cap, strict=True)),
        constraints=[{"type": "eq", "fun": lambda n: n.sum() - 1, "jac": np.ones_like}],
        options={"maxiter": 200, "ftol": 1e-12},
    )
    start = np.clip(found.x, 0.0, own.cap)
    if abs(start.sum() - 1) > 1e-6:
        start = even
    plans = [plan for plan in (even, start, _polished(own, start)) if abs(plan.sum() - 1) < 1e-6]
    return min(plans, key=own.value)


def _is_optimal(problem: Problem, n: NDArray[np.float64]) -> bool:
    """Whether no quantity could be moved to a cheaper step (Karush, Kuhn and Tucker's conditions, which are enough where all is convex)."""
    near, slope = NEAR / n.size, problem.slope(n)
    may_fall, may_rise = n > near, n < problem.cap - near
    if abs(n.sum() - 1) > 1e-9 or not may_fall.any() or not may_rise.any():
        return False
    dearest, cheapest = float(slope[may_fall].max()), float(slope[may_rise].min())
    return dearest - cheapest <= 1e-9 * max(1e-300, float(np.abs(slope).max()))


def _polished(problem: Problem, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton's steps among the plans that keep the bounds which hold at `start`; a bound that is met on the way holds from then on."""
    n, near = start.copy(), NEAR / start.size
    n[n < near] = 0.0
    free = (n > 0) & (n < problem.cap - near)
    if not free.any():
        return start
    n[free] += (1 - n.sum()) / free.sum()
    for _ in range(NEWTON_STEPS):
        count = int(free.sum())
        if count < 2:
            break
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = problem.bend(n)[np.ix_(free, free)]
        system[:count, count] = system[count, :count] = 1.0
        step = np.linalg.lstsq(system, np.append(-problem.slope(n)[free], 0.0), rcond=None)[0][:count]
        room = np.where(step < 0, n[free], problem.cap[free] - n[free])
        with np.errstate(divide="ignore"):
            longest = float(np.min(np.where(step != 0, room / np.abs(step), np.inf)))
        length = min(1.0, longest)
        before, value = n.copy(), problem.value(n)
        while True:
            n = before.copy()
            n[free] += length * step
            if problem.value(n) <= value * (1 + 1e-15) or length < 1e-6:
                break
            length /= 2
        if length == longest < 1.0:
            free &= (n > near) & (n < problem.cap - near)
        if np.abs(length * step).max() < 1e-14:
            break
    return n


def problem_of(model: CostModel, size: float, volume: NDArray[np.float64], sigma: float, aversion: float, cap: float) -> Problem:
    """What a model makes of an order. size: in average days' volume, as `volume` of each step. aversion: times the money that a day's volume is
    worth, without dimension. cap: our share of each step's volume; where that is too little for the order it is what the order needs."""
    _, _, temporary, transient = model.coefficients
    at = np.cumsum(volume) - volume / 2
    room = cap * volume / size
    room = np.maximum(room, 1.02 * volume / volume.sum())
    return Problem(
        temporary=sigma * temporary * (size / volume) ** BETA, power=BETA, kernel=sigma * transient * size**DELTA * memory(at[:, None] - at[None, :]),
        risk=aversion * sigma**2 * size * volume, cap=np.minimum(room, 1.0),
    )  # fmt: skip


def frontier(model: CostModel, terms: Terms, aversions: NDArray[np.float64], cap: float) -> list[tuple[float, NDArray[np.float64], Cost]]:
    """The optimal profile for each risk aversion, and what it costs: the efficient frontier."""
    steps = terms.profile.size
    volume = np.full(steps, terms.span / steps)
    found = []
    for aversion in aversions:
        profile = solve(problem_of(model, terms.size, volume, terms.sigma, float(aversion), cap))
        found.append((float(aversion), profile, model.cost(Terms(terms.size, terms.span, profile, terms.sigma, terms.half_spread, terms.day_at))))
    return found
