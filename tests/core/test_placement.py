"""How a slice is worked: where it rests, when it moves, when it crosses."""

import msgspec
import pytest

from algoserver.core import market as markets
from algoserver.core import placement
from algoserver.core.algos.schedule import Demand
from algoserver.core.market import Market, Quote
from algoserver.core.orders import ChildOrder, Order, ParentOrder, leaves_qty
from algoserver.core.placement import ASKS_IN_VAIN, CANCEL_AGAIN_NS, CANCELS_AT_ONCE, Placement
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import PX_ONE, OrdStatus, OrdType, Side, TimeInForce
from tests.core.day import AAPL

BID, ASK = 200 * PX_ONE, 200 * PX_ONE + 2 * PX_ONE // 100
NOW = 10**18
JOIN = Demand(join=300, cross=0, most=300, next_ts=0)
CROSS = Demand(join=300, cross=200, most=300, next_ts=0)


def _market() -> Market:
    market = Market("AAPL")
    markets.on_quote(market, "A", Quote(BID, 100, ASK, 100, NOW))
    return market


def _parent(side: Side = Side.BUY, price: int = 0, **params: int) -> ParentOrder:
    return ParentOrder(
        parent_id="P", session="C", cl_ord_id="X", symbol="AAPL", side=side, ord_type=OrdType.LIMIT if price else OrdType.MARKET,
        price=price, time_in_force=TimeInForce.DAY, strategy=1, params=AlgoParams(**params), account="",
        order=Order(order_qty=1_000, status=OrdStatus.NEW), arrival_ts=0, arrival_px=0, start_ts=0, end_ts=2 * NOW, qty_decimals=0,
    )  # fmt: skip


def _child(price: int, **changes: object) -> ChildOrder:
    child = ChildOrder(
        child_id="P.1", parent_id="P", venue="A", symbol="AAPL", side=Side.BUY, price=price, time_in_force=TimeInForce.DAY,
        order=Order(order_qty=100, status=OrdStatus.NEW), sent_ts=0,
    )  # fmt: skip
    return msgspec.structs.replace(child, **changes)


def _place(parent: ParentOrder, resting: list[ChildOrder], demand: Demand, market: Market | None = None, keep: int = 0) -> Placement:
    open_qty = sum(leaves_qty(c.order) for c in resting)
    return placement.place(parent, resting, open_qty, demand, market or _market(), AAPL, NOW, keep)


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, BID), (Side.SELL, ASK), (Side.SELL_SHORT, ASK)])
def test_patient_quantity_joins_the_near_touch(side: Side, price: int):
    """A buy at the bid, a sale at the ask."""
    assert _place(_parent(side), [], JOIN) == Placement((), 300, price, TimeInForce.DAY)


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, BID - PX_ONE), (Side.SELL, ASK + PX_ONE)])
def test_a_limit_away_from_the_market_is_where_it_rests(side: Side, limit: int):
    """It waits at the limit, and never crosses beyond it."""
    assert _place(_parent(side, limit), [], CROSS) == Placement((), 300, limit, TimeInForce.DAY)


def test_late_quantity_crosses_once_nothing_rests():
    """The same quantity is never at two prices: first take back, then take."""
    assert _place(_parent(), [], CROSS) == Placement((), 200, ASK, TimeInForce.IOC)
    assert _place(_parent(), [_child(BID)], CROSS) == Placement(("P.1",))


def test_a_child_behind_the_touch_is_moved_and_one_at_it_stays():
    """Only a worse price than the touch is given up; the place in the queue is worth something."""
    assert _place(_parent(), [_child(BID - 1)], JOIN) == Placement(("P.1",), 300, BID)
    assert _place(_parent(), [_child(BID)], JOIN) == Placement((), 300, BID)
    assert _place(_parent(), [_child(BID + 1)], JOIN) == Placement((), 300, BID)


def test_without_a_near_price_nothing_is_placed():
    """An empty book is no price to join."""
    assert _place(_parent(), [_child(BID)], CROSS, Market("AAPL")) == Placement()


def test_i_would_completes_the_remainder_at_its_price_whatever_the_plan():
    """The far touch is at IWouldPrice: all that the cap allows goes, not only the slice."""
    demand = Demand(join=0, cross=0, most=800, next_ts=0)
    assert _place(_parent(i_would_price=ASK), [], demand) == Placement((), 800, ASK, TimeInForce.IOC)
    assert _place(_parent(i_would_price=ASK - 1), [], demand) == Placement()


def test_i_would_never_goes_beyond_the_limit():
    """A better limit than IWouldPrice stands."""
    demand = Demand(join=300, cross=0, most=800, next_ts=0)
    assert _place(_parent(price=BID, i_would_price=ASK), [], demand) == Placement((), 300, BID)


def test_i_would_leaves_the_plan_its_share():
    """Of 1000 a rest of 450 is kept: 550, in round lots."""
    demand = Demand(join=0, cross=0, most=1_000, next_ts=0)
    assert _place(_parent(i_would_price=ASK, i_would_pct=550_000), [], demand, keep=450).quantity == 500


def test_a_cancel_under_way_is_waited_for():
    """Asked again only after a while. One whose state is unknown is asked for first, and one that ends by itself has time to do so."""
    pending = Order(order_qty=100, status=OrdStatus.NEW, is_cancel_pending=True)
    for child, is_canceled in (
        (_child(BID), True),
        (_child(BID, order=pending, cancel_ts=NOW - CANCEL_AGAIN_NS + 1, cancels=1), False),
        (_child(BID, order=pending, cancel_ts=NOW - CANCEL_AGAIN_NS, cancels=1), True),
        (_child(BID, cancel_ts=NOW - 1, cancels=CANCELS_AT_ONCE - 1), True),
        (_child(BID, cancel_ts=NOW - 1, cancels=CANCELS_AT_ONCE), False),
        (_child(BID, is_unknown=True), False),
        (_child(BID, is_unknown=True, asks=ASKS_IN_VAIN - 1), False),
        (_child(BID, is_unknown=True, asks=ASKS_IN_VAIN), True),
        (_child(BID, time_in_force=TimeInForce.IOC, sent_ts=NOW - CANCEL_AGAIN_NS + 1), False),
        (_child(BID, time_in_force=TimeInForce.IOC, sent_ts=NOW - CANCEL_AGAIN_NS), True),
    ):
        assert bool(placement.take_back([child], NOW).cancels) == is_canceled


def test_at_once_is_one_sweep_within_the_limit():
    """An immediate parent takes what is shown up to its limit, or nothing."""
    assert placement.place_at_once(_parent(price=ASK + 1), [], _market()) == Placement((), 1_000, ASK + 1, TimeInForce.DAY)
    assert placement.place_at_once(_parent(price=BID), [], _market()) == Placement()
    assert placement.place_at_once(_parent(), [_child(BID)], _market()) == Placement()
