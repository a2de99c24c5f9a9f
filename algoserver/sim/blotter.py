"""Every client order the market has known, found by any ClOrdID it ever had, and the reports about them.

Rule 1: OrderIDs and ExecIDs are counted up behind `prefix`. A market that continues another takes its reports by
`restore`, a market that begins anew takes a new prefix: no ExecID ever names two events.
Rule 2: a rejected order consumes its ClOrdID; a refused cancel or replace does not.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from algoserver.domain.types import OrdStatus, OrdType, Side, TimeInForce
from algoserver.sim.reports import (
    AnyReport,
    Canceled,
    CancelReject,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderStatus,
    OrderStatusRequest,
    Rejected,
    Replaced,
    Report,
)

LIVE = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
Change = OrderCancelRequest | OrderCancelReplaceRequest
R = TypeVar("R", bound=Report)


class ClientOrder(msgspec.Struct, kw_only=True):
    """A client's order at a venue. resting: its entry in the book while it is live. notional: sum of px * qty filled."""

    venue: str
    client: str
    order_id: str
    cl_ord_id: str
    symbol: str
    side: Side
    order_qty: int
    ord_type: OrdType
    px: int
    tif: TimeInForce
    cum_qty: int = 0
    notional: int = 0
    status: OrdStatus = OrdStatus.NEW
    orig_cl_ord_id: str = ""
    resting: Any = None

    def leaves_qty(self) -> int:
        """Open quantity; 0 in every final state."""
        return self.order_qty - self.cum_qty if self.status in LIVE else 0

    def avg_px(self) -> int:
        """Average fill price, rounded once, to the nearest price unit."""
        return (self.notional + self.cum_qty // 2) // self.cum_qty if self.cum_qty else 0


class Blotter:
    """See the rules above."""

    def __init__(self, prefix: str = ""):
        self._prefix = prefix
        self._order_count = self._exec_count = 0
        self._orders: dict[tuple[str, str, str], ClientOrder] = {}

    def find(self, venue: str, client: str, cl_ord_id: str) -> ClientOrder | None:
        return self._orders.get((venue, client, cl_ord_id))

    def admit(self, request: NewOrderSingle, status: OrdStatus = OrdStatus.NEW) -> ClientOrder:
        """Open an order under the next OrderID."""
        self._order_count += 1
        order = ClientOrder(
            venue=request.venue,
            client=request.client,
            order_id=f"{self._prefix}O{self._order_count}",
            cl_ord_id=request.cl_ord_id,
            symbol=request.symbol,
            side=request.side,
            order_qty=request.order_qty,
            ord_type=request.ord_type,
            px=request.px,
            tif=request.tif,
            status=status,
        )
        self._orders[request.venue, request.client, request.cl_ord_id] = order
        return order

    def rename(self, order: ClientOrder, request: Change) -> None:
        """Give an order the ClOrdID of the cancel or replace that was accepted. It answers to the old one too."""
        order.orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, request.cl_ord_id
        self._orders[order.venue, order.client, order.cl_ord_id] = order

    def report(self, kind: type[R], order: ClientOrder, ts: int, **more: Any) -> R:
        """The order as it is now, as a report of this kind, with the next ExecID."""
        return kind(
            venue=order.venue,
            client=order.client,
            ts=ts,
            exec_id=self._next_exec_id(),
            order_id=order.order_id,
            cl_ord_id=order.cl_ord_id,
            symbol=order.symbol,
            side=order.side,
            ord_status=order.status,
            order_qty=order.order_qty,
            cum_qty=order.cum_qty,
            leaves_qty=order.leaves_qty(),
            avg_px=order.avg_px(),
            ord_type=order.ord_type,
            px=order.px,
            tif=order.tif,
            **more,
        )

    def unknown(self, request: OrderStatusRequest, ts: int) -> OrderStatus:
        """Answer about an order that was never seen (Appendix D, G.1.a)."""
        return OrderStatus(
            venue=request.venue,
            client=request.client,
            ts=ts,
            exec_id=self._next_exec_id(),
            order_id="NONE",
            cl_ord_id=request.cl_ord_id,
            symbol=request.symbol,
            side=request.side,
            ord_status=OrdStatus.REJECTED,
            order_qty=0,
            ord_status_req_id=request.ord_status_req_id,
            ord_rej_reason=5,
            text=f"unknown order {request.cl_ord_id}",
        )

    def restore(self, past: Iterable[AnyReport]) -> list[ClientOrder]:
        """Take over the orders of a market that died, from its reports in order. Returns those that were live, oldest first."""
        by_id: dict[str, ClientOrder] = {}
        for report in past:
            if isinstance(report, CancelReject):
                continue
            self._exec_count = max(self._exec_count, int(report.exec_id[len(self._prefix) + 1 :]))
            if isinstance(report, OrderStatus):
                continue
            order = by_id.get(report.order_id)
            if order is None:
                self._order_count = max(self._order_count, int(report.order_id[len(self._prefix) + 1 :]))
                order = by_id[report.order_id] = _first_seen(report)
            elif isinstance(report, Rejected):
                continue  # a duplicate of this order was refused: nothing happened to the order itself
            order.cl_ord_id, order.order_qty = report.cl_ord_id, report.order_qty
            order.ord_type, order.px, order.tif = report.ord_type, report.px, report.tif
            order.status, order.cum_qty = report.ord_status, report.cum_qty
            order.notional = report.avg_px * report.cum_qty
            if isinstance(report, Replaced | Canceled) and report.orig_cl_ord_id:
                order.orig_cl_ord_id = report.orig_cl_ord_id
            self._orders[order.venue, order.client, order.cl_ord_id] = order
        return [o for o in by_id.values() if o.status in LIVE]

    def _next_exec_id(self) -> str:
        self._exec_count += 1
        return f"{self._prefix}E{self._exec_count}"


def _first_seen(report: Report) -> ClientOrder:
    return ClientOrder(
        venue=report.venue,
        client=report.client,
        order_id=report.order_id,
        cl_ord_id=report.cl_ord_id,
        symbol=report.symbol,
        side=report.side,
        order_qty=report.order_qty,
        ord_type=report.ord_type,
        px=report.px,
        tif=report.tif,
    )
