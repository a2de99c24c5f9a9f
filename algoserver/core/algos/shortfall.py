"""IS: trade early what the risk of waiting costs more than the impact of haste. Almgren and Chriss (2000), in volume time.

Rule: the closed form x_j = X sinh(kappa (T - t_j)) / sinh(kappa T) is the solution of x_{j-1} + x_{j+1} = (2 + a) x_j with
a = lambda sigma^2 tau^2 / eta~. The recurrence needs no float, so that every machine plans alike.
"""

from algoserver.core.algos.schedule import Schedule, Window, Work, by_curve, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder
from algoserver.domain.types import PPM_ONE, PX_ONE, SECOND, Instrument

# Steps of the plan in volume time: at the steepest, kappa T = 60, a step still brings less than half of what is left.
STEPS = 100
# Units of one in the recurrence: its rounding stays below one share of 10**15.
FINE = 10**30
E12 = 10**12


def holdings(order_qty: int, steps: int, square_e12: int) -> list[int]:
    """What is left after 0 .. `steps` equal steps. square_e12: a = lambda sigma^2 tau^2 / eta~ of one step, in 1e-12."""
    y = [0, FINE]
    while len(y) <= steps:
        y.append((2 * E12 + square_e12) * y[-1] // E12 - y[-2])
    return [order_qty * y[steps - j] // y[steps] for j in range(steps + 1)]


def haste_ppm(aversion_e9: int, instrument: Instrument, price: int, share_ppm: int) -> int:
    """(kappa T)^2 = lambda sigma^2 T^2 / eta in ppm, T the window's share of a day's expected volume.

    With the impact of trading at a share p of the volume taken as .36 sigma S p (Almgren, Thum, Hauptmann and Li 2005: .142 p^.6 sigma S,
    a straight line through p = 10 %), eta is .36 sigma S / V, and what remains is lambda sigma S V T^2 / .36: the day's value V S times its
    volatility, in units of money, times the risk aversion of the order's Urgency.
    """
    day_value: int = price * instrument.adv // 10**instrument.qty_decimals  # 1e-8 of money
    haste: int = aversion_e9 * day_value * instrument.volatility_ppm * share_ppm**2 * 100 // 36 // (SECOND * PX_ONE * PPM_ONE**2)
    return haste


def plan(order_qty: int, window: Window) -> Schedule:
    """Holdings by steps of equal expected volume, at the moments when the curve expects them."""
    left = holdings(order_qty, STEPS, window.haste_ppm * PPM_ONE // STEPS**2)
    flat = by_curve(STEPS * PPM_ONE, window)
    moments, totals = [window.start_ts], [0]
    at = 1
    for j in range(1, STEPS + 1):
        volume = j * PPM_ONE
        while at < len(flat.totals) - 1 and flat.totals[at] < volume:
            at += 1
        (t0, t1), (q0, q1) = flat.moments[at - 1 : at + 1], flat.totals[at - 1 : at + 1]
        moment = t1 if q1 <= q0 else t0 + (t1 - t0) * min(volume - q0, q1 - q0) // (q1 - q0)
        if moment > moments[-1]:
            moments.append(moment)
            totals.append(order_qty - left[j])
        else:
            totals[-1] = order_qty - left[j]
    moments[-1] = window.end_ts
    return Schedule(tuple(moments), tuple(totals))


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`."""
    return planned(work.schedule, at_ts)
