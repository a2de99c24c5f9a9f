"""CLOSE: as much as the closing auction can bear is left to it; the rest is traded as late as its pace allows.

Rule: works backwards. The pace is the share of MaxPctVol that Urgency chooses; trading begins at the last moment from which
the volume that the curve still expects is enough for the rest at that pace.
"""

from algoserver.core.algos.schedule import Schedule, Window, Work, by_curve, expected_share, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder
from algoserver.domain.types import PPM_ONE

# Fineness of the curve that is turned round: a billionth of the window's volume.
FINE = 10**9


def pace(max_pct_vol: int, urgency: int) -> int:
    """Share of the volume to trade at, ppm: the patient begin early at 40 % of the cap, the urgent late at 80 %."""
    return max_pct_vol * (30 + 10 * urgency) // 100


def plan(order_qty: int, window: Window) -> Schedule:
    """By the curve from the latest start on; from the window's start if even that is too late."""
    expected = expected_share(window)
    start_ts = window.start_ts
    if expected > window.needed_ppm:
        flat = by_curve(FINE, window)
        before = FINE - FINE * window.needed_ppm // expected
        at = next(i for i, total in enumerate(flat.totals) if total >= before)
        if at:
            (t0, t1), (q0, q1) = flat.moments[at - 1 : at + 1], flat.totals[at - 1 : at + 1]
            start_ts = t1 if q1 <= q0 else t0 + (t1 - t0) * (before - q0) // (q1 - q0)
    if start_ts >= window.end_ts:
        return Schedule((window.start_ts, window.end_ts), (0, order_qty))
    late = by_curve(order_qty, Window(start_ts, window.end_ts, window.curve, window.hours))
    if start_ts == window.start_ts:
        return late
    return Schedule((window.start_ts, *late.moments), (0, *late.totals))


def begins_ts(schedule: Schedule) -> int:
    """When the schedule's first quantity begins to be due."""
    return next((t for t, later in zip(schedule.moments, schedule.totals[1:], strict=False) if later > schedule.totals[0]), schedule.moments[-1])


def needed_ppm(order_qty: int, share_ppm: int, adv: int) -> int:
    """Share of a day's volume `adv` in which `order_qty` is done at a pace of `share_ppm`, ppm."""
    return -(-order_qty * PPM_ONE * PPM_ONE // max(1, share_ppm * adv))


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`."""
    return planned(work.schedule, at_ts)
