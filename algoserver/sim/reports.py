"""What clients ask of a venue and what the venue answers, in FIX's words, as frozen values.

Rule 1: a report is complete in itself: the state of its order after it happened. The last one is the order.
Rule 2: prices and quantities are ints in the units of `domain.types`; text belongs to the codec.
Rule 3: `client` is who sent it (the session's TargetCompID); a ClOrdID is unique per venue and client.
"""

from typing import ClassVar

import msgspec

from algoserver.domain.types import ExecType, OrdStatus, OrdType, Side, TimeInForce


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Any request about an order."""

    venue: str
    client: str
    cl_ord_id: str
    symbol: str
    side: Side


class NewOrderSingle(Request, frozen=True, kw_only=True):
    """35=D. px: 0 for a market order, and a pegged one without a limit. min_qty: MinQty (110), 0 for none.

    is_poss_resend: PossResend (97), maybe sent before under another MsgSeqNum.
    """

    order_qty: int
    ord_type: OrdType = OrdType.LIMIT
    px: int = 0
    tif: TimeInForce = TimeInForce.DAY
    min_qty: int = 0
    is_poss_resend: bool = False


class OrderCancelRequest(Request, frozen=True, kw_only=True):
    """35=F."""

    orig_cl_ord_id: str


class OrderCancelReplaceRequest(Request, frozen=True, kw_only=True):
    """35=G. order_qty: the new total, filled part included."""

    orig_cl_ord_id: str
    order_qty: int
    ord_type: OrdType = OrdType.LIMIT
    px: int = 0
    tif: TimeInForce = TimeInForce.DAY
    min_qty: int = 0


class OrderStatusRequest(Request, frozen=True, kw_only=True):
    """35=H."""

    ord_status_req_id: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="report", omit_defaults=True):
    """35=8: an order after something happened to it. ts: market time of it."""

    exec_type: ClassVar[ExecType]

    venue: str
    client: str
    ts: int
    exec_id: str
    order_id: str
    cl_ord_id: str
    symbol: str
    side: Side
    ord_status: OrdStatus
    order_qty: int
    cum_qty: int = 0
    leaves_qty: int = 0
    avg_px: int = 0
    ord_type: OrdType = OrdType.LIMIT
    px: int = 0
    tif: TimeInForce = TimeInForce.DAY
    min_qty: int = 0
    orig_cl_ord_id: str = ""
    text: str = ""


class New(Report, frozen=True, kw_only=True, tag="new"):
    exec_type = ExecType.NEW


class Trade(Report, frozen=True, kw_only=True, tag="trade"):
    """An execution. last_liquidity_ind (851): 1 added (was resting), 2 removed, 0 neither: FIX 4.4 has no word for an auction."""

    exec_type = ExecType.TRADE
    last_qty: int
    last_px: int
    last_liquidity_ind: int = 1


class Canceled(Report, frozen=True, kw_only=True, tag="canceled"):
    """With orig_cl_ord_id on request; without it the venue did it and `text` says why.

    exec_restatement_reason: 378, 6 on a trading halt.
    """

    exec_type = ExecType.CANCELED
    exec_restatement_reason: int | None = None


class Replaced(Report, frozen=True, kw_only=True, tag="replaced"):
    exec_type = ExecType.REPLACED


class Expired(Report, frozen=True, kw_only=True, tag="expired"):
    exec_type = ExecType.EXPIRED


class Rejected(Report, frozen=True, kw_only=True, tag="rejected"):
    """ord_rej_reason: OrdRejReason (103)."""

    exec_type = ExecType.REJECTED
    ord_rej_reason: int = 99


class OrderStatus(Report, frozen=True, kw_only=True, tag="status"):
    """Answer to a status request; changes nothing. ord_rej_reason: 5 if the order is unknown."""

    exec_type = ExecType.ORDER_STATUS
    ord_status_req_id: str = ""
    ord_rej_reason: int | None = None


class CancelReject(msgspec.Struct, frozen=True, kw_only=True, tag_field="report", tag="cancel_reject", omit_defaults=True):
    """35=9. cxl_rej_reason (102): 0 too late, 1 unknown order, 2 venue's option, 6 duplicate ClOrdID, 99 other."""

    venue: str
    client: str
    ts: int
    order_id: str
    cl_ord_id: str
    orig_cl_ord_id: str
    ord_status: OrdStatus
    cxl_rej_response_to: str
    cxl_rej_reason: int
    text: str = ""


class TradePrint(msgspec.Struct, frozen=True, kw_only=True):
    """A trade that the market data shows, whoever took part. side: the aggressor's."""

    venue: str
    symbol: str
    ts: int
    px: int
    qty: int
    side: Side


class SecurityStatus(msgspec.Struct, frozen=True, kw_only=True):
    """35=f: trading in an instrument is halted at a venue, or goes on there."""

    venue: str
    symbol: str
    ts: int
    is_halted: bool


AnyReport = New | Trade | Canceled | Replaced | Expired | Rejected | OrderStatus | CancelReject
Answer = AnyReport | TradePrint | SecurityStatus
