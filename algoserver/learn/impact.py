"""What an order is expected to cost: the parametric backbone of Almgren, Thum, Hauptmann and Li (2005), and Almgren and Chriss (2000) for a schedule.

Rule 1: fractions of the price where nothing else is said, a buy's cost positive, a sell's too. Time in days, quantity over a day's volume.
Rule 2: permanent impact is linear in quantity and what is temporary is gone with the trade: then no round trip earns money (Gatheral 2010). A concave
permanent impact would pay whoever buys slowly and sells fast.
Rule 3: holdings are the core's own (`core.algos.shortfall`), so that what is costed is what is traded.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from algoserver.core.algos.shortfall import E12, holdings

# As the paper fitted them: gamma .314 +- .041, eta .142 +- .0062, the exponent .600 +- .038 (so 1/2 is rejected).
GAMMA, ETA, BETA, TURNOVER_POWER = 0.314, 0.142, 3 / 5, 1 / 4


def permanent_impact(quantity: float, sigma_daily: float, shares_out: float) -> float:
    """I: how far an order moves the price for good, gamma sigma (X/V) (Theta/V)^(1/4).

    quantity: X over the day's volume V, signed. shares_out: shares outstanding over V.
    """
    found: float = GAMMA * sigma_daily * quantity * shares_out**TURNOVER_POWER
    return found


def temporary_impact(quantity: float, sigma_daily: float, days: float) -> float:
    """K: what trading at this rate costs while it trades, eta sigma |X/(V T)|^(3/5), with the sign of the order. days: T, volume time."""
    return math.copysign(ETA * sigma_daily * abs(quantity / days) ** BETA, quantity)


def shortfall(quantity: float, sigma_daily: float, shares_out: float, days: float) -> float:
    """J: cost per share of an order against its arrival price, I/2 + K, positive for buy and sell."""
    found = permanent_impact(quantity, sigma_daily, shares_out) / 2 + temporary_impact(quantity, sigma_daily, days)
    return math.copysign(1.0, quantity) * found


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


def round_trip_cost(trades: Sequence[float], tau: float, permanent: Callable[[float], float], temporary: Callable[[float], float]) -> float:
    """Cost of signed trades, each spread over `tau` days, as a fraction of the price times a day's volume.

    permanent: of a quantity, moves the price for all that comes later and by half for itself. temporary: of a rate, for the trade alone.
    """
    moved = cost = 0.0
    for trade in trades:
        own = permanent(trade)
        cost += trade * (moved + own / 2 + temporary(trade / tau))
        moved += own
    return cost
