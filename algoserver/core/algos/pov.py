"""POV: a constant share of what the market trades. It may not finish."""

from algoserver.core.algos.bands import pace
from algoserver.core.algos.schedule import Schedule, Window, Work, market_volume
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder
from algoserver.domain.types import MINUTE, PPM_ONE


def plan(order_qty: int, window: Window) -> Schedule:
    """No plan by the clock."""
    return Schedule()


def target(parent: ParentOrder, work: Work, market: Market, ts: int, at_ts: int) -> int:
    """Our share of the volume so far; for a later moment, of what the last minute's pace would bring by then, with bands inside them."""
    volume = market_volume(work, market)
    if at_ts > ts:
        since = max(ts - MINUTE, parent.start_ts)
        if ts > since:
            more = market.volume.since(since, include_second=False) * (at_ts - ts) // (ts - since)
            volume += more if work.bands is None else pace(work.bands, market, ts, more, at_ts - ts)
    return min(parent.order.order_qty, work.base_qty + parent.params.target_pct_vol * volume // PPM_ONE)
