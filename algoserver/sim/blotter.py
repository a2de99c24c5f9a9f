"""Every client order the market has known, found by any ClOrdID it ever had, and the reports about them.

Rule 1: OrderIDs and ExecIDs are counted up behind `prefix`. A market that continues another takes its reports by
`restore`, a market that begins anew takes a new prefix: no ExecID ever names two events.
Rule 2: a rejected order consumes its ClOrdID; a refused cancel or replace does not.
Rule 3: `rank` grows with every arrival in a queue: a market that continues another puts orders back in that order.
Rule 4: a fill can be taken back or corrected whatever the order's state; a live order's quantity is open again, an ended one stays ended.
Rule 5: what ended is kept until somebody says `forget` (days.py); the counts of rule 1 go on over that.
"""

from collections.abc import Iterable, MutableSequence
from typing import Any, TypeVar

import msgspec

from algoserver.domain.types import OrdStatus, OrdType, Side, TimeInForce
from algoserver.sim.book import Fill
from algoserver.sim.fees import Fees
from algoserver.sim.reports import (
    PLAIN,
    AnyReport,
    Canceled,
    CancelReject,
    Expired,
    MassCancelReport,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderStatus,
    OrderStatusRequest,
    Rejected,
    Replaced,
    Report,
    Restated,
    Terms,
    Trade,
    TradeCancel,
    TradeCorrect,
)

LIVE = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.PENDING_NEW)
TRADING = (*LIVE, OrdStatus.FILLED)  # not ended otherwise than by its fills
TRIGGERED = "triggered: the stop was met"  # Text (58) of the report that says so
DUPLICATE = 6  # OrdRejReason (103)
ENDED: dict[type[Report], OrdStatus] = {Canceled: OrdStatus.CANCELED, Expired: OrdStatus.EXPIRED}
Change = OrderCancelRequest | OrderCancelReplaceRequest
R = TypeVar("R", bound=Report)
E = TypeVar("E", Canceled, Expired)


class ClientOrder(msgspec.Struct, kw_only=True, eq=False):
    """A client's order at a venue. resting: its entry in the book while it is live. notional: sum of px * qty filled.

    is_triggered: its stop was met. ts: when something happened to it last.
    firm_until_ts: until when what firms up an indication rests, 0 for anything else. rank: see rule 3.
    """

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
    terms: Terms = PLAIN
    is_triggered: bool = False
    ts: int = 0
    firm_until_ts: int = 0
    rank: int = 0
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

    def __init__(self, prefix: str = "", fees: Fees | None = None):
        self._prefix = prefix
        self._fees = fees
        self._order_count = self._exec_count = self._rank = 0
        self._orders: dict[tuple[str, str, str], ClientOrder] = {}
        self._by_id: dict[str, ClientOrder] = {}
        self._fills: dict[str, tuple[ClientOrder, int, int]] = {}  # by ExecID, those that stand: order, quantity, price

    def find(self, venue: str, client: str, cl_ord_id: str) -> ClientOrder | None:
        return self._orders.get((venue, client, cl_ord_id))

    def every(self) -> list[ClientOrder]:
        """Every order that was taken, the oldest first."""
        return list(self._by_id.values())

    def live(self, venue: str, client: str) -> list[ClientOrder]:
        """A client's live orders at a venue, the oldest first."""
        return [o for o in self._by_id.values() if (o.venue, o.client) == (venue, client) and o.status in LIVE]

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
            terms=request.terms,
            status=status,
        )
        self._by_id[order.order_id] = order
        self.moved(order)
        self._orders[request.venue, request.client, request.cl_ord_id] = order
        return order

    def moved(self, order: ClientOrder) -> None:
        """It stands behind everybody now."""
        self._rank += 1
        order.rank = self._rank

    def rename(self, order: ClientOrder, request: Change) -> None:
        """Give an order the ClOrdID of the cancel or replace that was accepted. It answers to the old one too."""
        order.orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, request.cl_ord_id
        self._orders[order.venue, order.client, order.cl_ord_id] = order

    def report(self, kind: type[R], order: ClientOrder, ts: int, **more: Any) -> R:
        """The order as it is now, as a report of this kind, with the next ExecID."""
        if kind is not OrderStatus:
            order.ts = ts
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
            terms=order.terms,
            **more,
        )

    def fill(self, order: ClientOrder, ts: int, fill: Fill, last_liquidity_ind: int, last_capacity: str = "1") -> Trade:
        """Book a fill of a live order."""
        assert order.status in LIVE
        assert order.cum_qty + fill.qty <= order.order_qty
        return self.late_fill(order, ts, fill, last_liquidity_ind, last_capacity)

    def late_fill(self, order: ClientOrder, ts: int, fill: Fill, last_liquidity_ind: int, last_capacity: str = "1") -> Trade:
        """Book a fill of an order that may be over: the quantity changes, an ended order's state does not (D35)."""
        order.cum_qty += fill.qty
        order.notional += fill.px * fill.qty
        self._settle(order)
        fee = self._fees.of(order.venue, order.symbol, fill.qty, last_liquidity_ind) if self._fees else 0
        orig = "" if order.status in TRADING else order.orig_cl_ord_id  # D35: what a cancel ended is told as the cancel was
        traded = self.report(
            Trade, order, ts, last_qty=fill.qty, last_px=fill.px, last_liquidity_ind=last_liquidity_ind, fee=fee, last_capacity=last_capacity,
            orig_cl_ord_id=orig,
        )  # fmt: skip
        self._fills[traded.exec_id] = order, fill.qty, fill.px
        return traded

    def fill_of(self, exec_id: str) -> tuple[ClientOrder, int, int] | None:
        """Order, quantity and price of a fill that stands; None of one that never was or was taken back."""
        return self._fills.get(exec_id)

    def fills(self) -> list[str]:
        """ExecIDs of the fills that stand, the latest last."""
        return list(self._fills)

    def bust(self, ts: int, exec_id: str) -> TradeCancel:
        """Take a fill back."""
        order, qty, px = self._fills.pop(exec_id)
        order.cum_qty -= qty
        order.notional -= px * qty
        self._settle(order)
        return self.report(TradeCancel, order, ts, exec_ref_id=exec_id, last_qty=qty, last_px=px, orig_cl_ord_id=order.orig_cl_ord_id)

    def correct(self, ts: int, exec_id: str, qty: int, px: int) -> TradeCorrect:
        """Change a fill's quantity and price."""
        order, was_qty, was_px = self._fills.pop(exec_id)
        order.cum_qty += qty - was_qty
        order.notional += px * qty - was_px * was_qty
        assert 0 <= order.cum_qty <= order.order_qty
        self._settle(order)
        orig = order.orig_cl_ord_id
        corrected = self.report(TradeCorrect, order, ts, exec_ref_id=exec_id, last_qty=qty, last_px=px, orig_cl_ord_id=orig)
        self._fills[corrected.exec_id] = order, qty, px
        return corrected

    def _settle(self, order: ClientOrder) -> None:
        """The status that the quantity of an order that was not ended otherwise makes."""
        if order.status in TRADING:
            is_over = order.cum_qty >= order.order_qty
            order.status = OrdStatus.FILLED if is_over else OrdStatus.PARTIALLY_FILLED if order.cum_qty else OrdStatus.NEW

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
        return self.report(Rejected, known, ts, ord_rej_reason=DUPLICATE, text=text)

    def changeable(self, ts: int, request: Change, out: MutableSequence[Any]) -> ClientOrder | None:
        """The live order that a cancel or replace means; None after a CancelReject."""
        order = self.find(request.venue, request.client, request.orig_cl_ord_id)
        if order is None:
            self.reject_change(ts, request, 1, f"unknown order {request.orig_cl_ord_id}", out)
        elif self.find(request.venue, request.client, request.cl_ord_id):
            self.reject_change(ts, request, 6, f"ClOrdID {request.cl_ord_id} is already in use", out)
        elif order.status is OrdStatus.PENDING_NEW:
            self.reject_change(ts, request, 99, "the dealer is looking at the order", out)
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

    def mass_canceled(self, ts: int, request: OrderMassCancelRequest, affected: int, text: str = "") -> MassCancelReport:
        """Answer a mass cancel. text: why it was refused."""
        self._order_count += 1
        return MassCancelReport(
            venue=request.venue, client=request.client, ts=ts, order_id=f"{self._prefix}O{self._order_count}", cl_ord_id=request.cl_ord_id,
            kind=request.kind, response="0" if text else request.kind, affected=affected, text=text,
        )  # fmt: skip

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

    def forget(self, before_ts: int) -> int:
        """Forget orders that are over and to which nothing has happened since `before_ts`, with their ClOrdIDs and fills; returns how many."""
        kept = {i: o for i, o in self._by_id.items() if o.status in LIVE or o.ts >= before_ts}
        forgotten = [o for i, o in self._by_id.items() if i not in kept]
        for order in forgotten:
            order.resting = None  # which knows its owner: nobody searches this process for garbage
        if forgotten:
            self._by_id = kept
            self._orders = {key: o for key, o in self._orders.items() if o.order_id in kept}
            self._fills = {exec_id: fill for exec_id, fill in self._fills.items() if fill[0].order_id in kept}
        return len(forgotten)

    @property
    def counted(self) -> tuple[int, int]:
        """How many OrderIDs and ExecIDs there were."""
        return self._order_count, self._exec_count

    def restore(self, past: Iterable[AnyReport], counted: tuple[int, int] = (0, 0)) -> list[ClientOrder]:
        """Take over the orders of a market that died, from its reports in order. Returns those that were live, by rank.

        counted: at least so many OrderIDs and ExecIDs there were, of those too whom no report here names.
        """
        self._order_count, self._exec_count = counted
        by_id: dict[str, ClientOrder] = {}
        for report in past:
            if isinstance(report, CancelReject):
                continue
            if isinstance(report, MassCancelReport):
                self._order_count = max(self._order_count, int(report.order_id[len(self._prefix) + 1 :]))
                continue
            self._exec_count = max(self._exec_count, int(report.exec_id[len(self._prefix) + 1 :]))
            if isinstance(report, OrderStatus):
                continue
            order = by_id.get(report.order_id)
            if order is None:
                self._order_count = max(self._order_count, int(report.order_id[len(self._prefix) + 1 :]))
                order = by_id[report.order_id] = self._by_id[report.order_id] = _first_seen(report)
                self.moved(order)
            elif isinstance(report, Rejected) and report.ord_rej_reason == DUPLICATE:
                order.ts = report.ts
                continue  # a duplicate of this order was refused: nothing happened to the order itself
            if isinstance(report, Replaced) and not keeps_place(order, report):
                self.moved(order)
            self._remember(order, report)
            order.cl_ord_id, order.order_qty = report.cl_ord_id, report.order_qty
            order.ord_type, order.px, order.tif = report.ord_type, report.px, report.tif
            order.min_qty, order.terms, order.ts = report.min_qty, report.terms, report.ts
            order.status, order.cum_qty = report.ord_status, report.cum_qty
            if isinstance(report, Replaced | Canceled) and report.orig_cl_ord_id:
                order.orig_cl_ord_id = report.orig_cl_ord_id
            self._orders[order.venue, order.client, order.cl_ord_id] = order
        return sorted((o for o in by_id.values() if o.status in LIVE), key=lambda o: o.rank)

    def _remember(self, order: ClientOrder, report: Report) -> None:
        """Its fills, one by one, and whether its stop was met."""
        if isinstance(report, TradeCancel | TradeCorrect):
            _, was_qty, was_px = self._fills.pop(report.exec_ref_id)
            order.notional -= was_qty * was_px
        if isinstance(report, Trade | TradeCorrect):
            order.notional += report.last_qty * report.last_px
            self._fills[report.exec_id] = order, report.last_qty, report.last_px
        if isinstance(report, Replaced) and report.terms.stop_px != order.terms.stop_px:
            order.is_triggered = False
        order.is_triggered |= isinstance(report, Restated) and report.text == TRIGGERED

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
        terms=report.terms,
    )


def keeps_place(order: ClientOrder, wish: NewOrderSingle | OrderCancelReplaceRequest | Replaced) -> bool:
    """Whether a replace changes nothing but the quantity, downwards: only then the order keeps its place."""
    same = (wish.ord_type, wish.px, wish.tif, wish.min_qty, wish.terms) == (order.ord_type, order.px, order.tif, order.min_qty, order.terms)
    return same and wish.order_qty <= order.order_qty
