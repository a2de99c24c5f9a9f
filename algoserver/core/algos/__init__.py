"""One schedule each: how much should be done by when. How it is worked is placement's affair, where it goes router's."""

from collections.abc import Callable
from typing import NamedTuple

from algoserver.core.algos import close, iceberg, liquidity, pov, shortfall, twap, vwap
from algoserver.core.algos.schedule import Schedule, Window, Work
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder
from algoserver.domain.types import Strategy


class Algo(NamedTuple):
    """plan: the schedule of a window. target: cumulative quantity due at a moment, horizon included.

    by_curve: the plan follows the day's volume. is_patient: it only rests; nothing makes it cross but IWouldPrice.
    """

    plan: Callable[[int, Window], Schedule]
    target: Callable[[ParentOrder, Work, Market, int, int], int]
    by_curve: bool = False
    is_patient: bool = False


ALGOS: dict[int, Algo] = {
    Strategy.VWAP: Algo(vwap.plan, vwap.target, by_curve=True),
    Strategy.IS: Algo(shortfall.plan, shortfall.target, by_curve=True),
    Strategy.CLOSE: Algo(close.plan, close.target, by_curve=True),
    Strategy.ICEBERG: Algo(iceberg.plan, iceberg.target, is_patient=True),
    Strategy.TWAP: Algo(twap.plan, twap.target),
    Strategy.POV: Algo(pov.plan, pov.target),
    Strategy.LIQUIDITY: Algo(liquidity.plan, liquidity.target),
}
