"""Every client order the market has known, found by any ClOrdID it ever had, and the reports about them.

Rule 1: OrderIDs and ExecIDs are counted up behind `prefix`. A market that continues another takes its reports by
`restore`, a market that begins anew takes a new prefix: no ExecID ever names two events.
Rule 2: a rejected order consumes its ClOrdID; a refused cancel or replace does not.
"""

from collections.abc import Iterable, MutableSequence
from typing import Any, TypeVar

import msgspec

from algoserver.domain.types import OrdStatus, OrdType, Side, TimeInForce
from algoserver.sim.book import Fill
from algoserver.sim.reports import (
    AnyReport,
    Canceled,
    CancelReject,
    Expired,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderStatus,
    OrderStatusRequest,
    Rejected,
    Replaced,
    Report,
    Trade,
)

LIVE = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
ENDED: dict[type[Report], OrdStatus] = {Canceled: OrdStatus.CANCELED, Expired: OrdStatus.EXPIRED}
Change = OrderCancelRequest | OrderCancelReplaceRequest
R = TypeVar("R", bound=Report)
E = TypeVar("E", Canceled, Expired)


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
    min_qty: int = 0
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

    def live(self, venue: str, client: str) -> list[ClientOrder]:
        """A client's orders at a venue that may trade, each once, oldest first."""
        found = {o.order_id: o for o in self._orders.values() if (o.venue, o.client) == (venue, client) and o.status in LIVE}
        return list(found.values())

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
            min_qty=request.min_qty,
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
            min_qty=order.min_qty,
            **more,
        )

    def fill(self, order: ClientOrder, ts: int, fill: Fill, last_liquidity_ind: int) -> Trade:
        """Book a fill of a live order."""
        order.cum_qty += fill.qty
        order.notional += fill.px * fill.qty
        assert order.status in LIVE
        assert order.cum_qty <= order.order_qty
        order.status = OrdStatus.FILLED if order.cum_qty == order.order_qty else OrdStatus.PARTIALLY_FILLED
        return self.report(Trade, order, ts, last_qty=fill.qty, last_px=fill.px, last_liquidity_ind=last_liquidity_ind)

    def end(self, kind: type[E], order: ClientOrder, ts: int, **more: Any) -> E:
        """End a live order with what it has. It rests nowhere any more."""
        assert order.status in LIVE
        order.status, order.resting = ENDED[kind], None
        return self.report(kind, order, ts, **more)

    def reject(self, ts: int, request: NewOrderSingle, ord_rej_reason: int, text: str) -> Rejected:
        """Refuse a new order, with OrdRejReason (103)."""
        order = self.admit(request, OrdStatus.REJECTED)
        return self.report(Rejected, order, ts, ord_rej_reason=ord_rej_reason, text=text)

    def reject_duplicate(self, ts: int, request: NewOrderSingle, known: ClientOrder) -> Rejected:
        """F.1.a: the second order is refused, the report shows the first."""
        text = f"ClOrdID {request.cl_ord_id} is already in use"
        return self.report(Rejected, known, ts, ord_rej_reason=6, text=text)

    def changeable(self, ts: int, request: Change, out: MutableSequence[Any]) -> ClientOrder | None:
        """The live order that a cancel or replace means; None after a CancelReject."""
        order = self.find(request.venue, request.client, request.orig_cl_ord_id)
        if order is None:
            self.reject_change(ts, request, 1, f"unknown order {request.orig_cl_ord_id}", out)
        elif self.find(request.venue, request.client, request.cl_ord_id):
            self.reject_change(ts, request, 6, f"ClOrdID {request.cl_ord_id} is already in use", out)
        elif order.status not in LIVE:
            self.reject_change(ts, request, 0, f"too late: the order is {order.status.name.lower()}", out)
        elif order.cl_ord_id != request.orig_cl_ord_id:
            self.reject_change(ts, request, 2, f"order {request.orig_cl_ord_id} was replaced by {order.cl_ord_id}", out)
        elif order.symbol != request.symbol or order.side != request.side:
            self.reject_change(ts, request, 99, f"Symbol and Side must be those of the order: {order.symbol}, {order.side.value}", out)
        else:
            return order
        return None

    def reject_change(self, ts: int, request: Change, cxl_rej_reason: int, text: str, out: MutableSequence[Any]) -> None:
        """Refuse a cancel or replace, with CxlRejReason (102)."""
        order = self.find(request.venue, request.client, request.orig_cl_ord_id)
        out.append(
            CancelReject(
                venue=request.venue,
                client=request.client,
                ts=ts,
                order_id=order.order_id if order else "NONE",
                cl_ord_id=request.cl_ord_id,
                orig_cl_ord_id=request.orig_cl_ord_id,
                ord_status=order.status if order else OrdStatus.REJECTED,
                cxl_rej_response_to="1" if isinstance(request, OrderCancelRequest) else "2",
                cxl_rej_reason=cxl_rej_reason,
                text=text,
            )
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
            order.min_qty = report.min_qty
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
        min_qty=report.min_qty,
    )
