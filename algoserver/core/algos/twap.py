"""TWAP: equal quantity in equal time."""

from algoserver.core.algos.schedule import Schedule, Window, Work, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder


def plan(order_qty: int, window: Window) -> Schedule:
    """A straight line."""
    return Schedule((window.start_ts, window.end_ts), (0, order_qty))


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`."""
    return planned(work.schedule, at_ts)
