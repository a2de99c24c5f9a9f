"""VWAP: quantity in proportion to the volume that the day's curve expects; with bands, that trades in the running bin."""

from algoserver.core.algos.bands import followed
from algoserver.core.algos.schedule import Schedule, Window, Work, by_curve, planned
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder


def plan(order_qty: int, window: Window) -> Schedule:
    """The curve between start and end, scaled to the order."""
    return by_curve(order_qty, window)


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`."""
    return planned(work.schedule, at_ts) if work.bands is None else followed(work.schedule, work.bands, market, ts, at_ts)
