"""LIQUIDITY: rest in the dark with all that remains, and go to lit venues only as far as one must.

Rule: what lit must do is this plan: nothing at first, then a straight line to all of it at the end. Urgency says for which share of the
window the dark has it alone. MinPctVol, IWouldPrice and Completion make lit do more, as they do for every plan.
"""

from algoserver.core.algos.schedule import Schedule, Window, Work, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder
from algoserver.domain.types import PPM_ONE

# Share of the window that belongs to the dark alone, by Urgency 1 to 5.
ALONE_PPM = (900_000, 750_000, 500_000, 250_000, 0)


def plan(order_qty: int, window: Window) -> Schedule:
    """Nothing while the dark is alone, then equal quantity in equal time."""
    joins_ts = window.start_ts + (window.end_ts - window.start_ts) * window.alone_ppm // PPM_ONE
    if window.start_ts < joins_ts < window.end_ts:
        return Schedule((window.start_ts, joins_ts, window.end_ts), (0, 0, order_qty))
    return Schedule((window.start_ts, window.end_ts), (0, order_qty))


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`, wherever it was done."""
    return planned(work.schedule, at_ts)
