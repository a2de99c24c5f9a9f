"""ICEBERG: all of it at once, but never more than a tip to be seen, at the near touch within the limit. It never crosses."""

from algoserver.core.algos.schedule import Schedule, Window, Work, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder


def plan(order_qty: int, window: Window) -> Schedule:
    """Everything is due from the start."""
    return Schedule((window.start_ts, window.end_ts), (order_qty, order_qty))


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`."""
    return planned(work.schedule, at_ts)
