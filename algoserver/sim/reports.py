"""What clients ask of a venue and what the venue answers, in FIX's words, as frozen values.

Rule 1: a report is complete in itself: the state of its order after it happened. The last one is the order.
Rule 2: prices and quantities are ints in the units of `domain.types`; text belongs to the codec.
Rule 3: `client` is who sent it (the session's TargetCompID); a ClOrdID is unique per venue and client.
"""

from typing import ClassVar

import msgspec

from algoserver.domain.types import ExecType, OrdStatus, OrdType, Side, TimeInForce

ALL = -1  # DisplayQty of an order that shows all of itself
GOOD_TILL_CANCEL = 1 << 62  # ExpireTime of an order that no day ends


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an order asks for beyond price, quantity and time.

    stop_px: StopPx (99), 0 for none: it sleeps until the venue trades there. display_qty: DisplayQty (1138) or MaxFloor (111), ALL
    or 0 for hidden. peg: "R" to the near side's best price (18=R), "M" to the mid. peg_offset: PegOffsetValue (211), price units.
    is_post_only: 18=6. expire_ts: ExpireTime (126) of a GTD order, GOOD_TILL_CANCEL of a GTC one, 0 for the day. quote_id: QuoteID (117)
    of a previously quoted order (40=D). ioi_id: IOIID (23) of an order that firms up an indication (40=E).
    """

    stop_px: int = 0
    display_qty: int = ALL
    peg: str = ""
    peg_offset: int = 0
    is_post_only: bool = False
    expire_ts: int = 0
    quote_id: str = ""
    ioi_id: str = ""


PLAIN = Terms()


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Any request about an order."""

    venue: str
    client: str
    cl_ord_id: str
    symbol: str
    side: Side


class NewOrderSingle(Request, frozen=True, kw_only=True, gc=False):
    """35=D. px: 0 for a market order, and a pegged one without a limit. min_qty: MinQty (110), 0 for none.

    is_poss_resend: PossResend (97), maybe sent before under another MsgSeqNum.
    """

    order_qty: int
    ord_type: OrdType = OrdType.LIMIT
    px: int = 0
    tif: TimeInForce = TimeInForce.DAY
    min_qty: int = 0
    terms: Terms = PLAIN
    is_poss_resend: bool = False


class OrderCancelRequest(Request, frozen=True, kw_only=True, gc=False):
    """35=F."""

    orig_cl_ord_id: str


class OrderCancelReplaceRequest(Request, frozen=True, kw_only=True, gc=False):
    """35=G. order_qty: the new total, filled part included."""

    orig_cl_ord_id: str
    order_qty: int
    ord_type: OrdType = OrdType.LIMIT
    px: int = 0
    tif: TimeInForce = TimeInForce.DAY
    min_qty: int = 0
    terms: Terms = PLAIN


class OrderMassCancelRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=q. kind: MassCancelRequestType (530), 1 one instrument, 7 all. side: one side only, if given."""

    venue: str
    client: str
    cl_ord_id: str
    kind: str
    symbol: str = ""
    side: Side | None = None


class OrderStatusRequest(Request, frozen=True, kw_only=True, gc=False):
    """35=H."""

    ord_status_req_id: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="report", omit_defaults=True):
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
    terms: Terms = PLAIN
    orig_cl_ord_id: str = ""
    text: str = ""


class PendingNew(Report, frozen=True, kw_only=True, gc=False, tag="pending_new"):
    """A dealer looks at the order before he takes it."""

    exec_type = ExecType.PENDING_NEW


class New(Report, frozen=True, kw_only=True, gc=False, tag="new"):
    exec_type = ExecType.NEW


class Trade(Report, frozen=True, kw_only=True, gc=False, tag="trade"):
    """An execution. last_liquidity_ind (851): 1 added (was resting), 2 removed, 0 neither: FIX 4.4 has no word for an auction.

    fee: what the venue asks for it, price units times whole quantity; negative: a rebate. last_capacity: LastCapacity (29).
    """

    exec_type = ExecType.TRADE
    last_qty: int
    last_px: int
    last_liquidity_ind: int = 1
    fee: int = 0
    last_capacity: str = "1"


class TradeCancel(Report, frozen=True, kw_only=True, gc=False, tag="trade_cancel"):
    """A fill is taken back: a bust. exec_ref_id: ExecRefID (19), the fill's ExecID. last_qty, last_px: what it was."""

    exec_type = ExecType.TRADE_CANCEL
    exec_ref_id: str
    last_qty: int
    last_px: int


class TradeCorrect(Report, frozen=True, kw_only=True, gc=False, tag="trade_correct"):
    """A fill was another than was told. exec_ref_id: ExecRefID (19). last_qty, last_px: what it is now."""

    exec_type = ExecType.TRADE_CORRECT
    exec_ref_id: str
    last_qty: int
    last_px: int


class Restated(Report, frozen=True, kw_only=True, gc=False, tag="restated"):
    """The venue changed the order. exec_restatement_reason: 378, 5 less quantity, 99 another, which `text` says."""

    exec_type = ExecType.RESTATED
    exec_restatement_reason: int


class Canceled(Report, frozen=True, kw_only=True, gc=False, tag="canceled"):
    """With orig_cl_ord_id on request; without it the venue did it and `text` says why.

    exec_restatement_reason: 378, 6 on a trading halt.
    """

    exec_type = ExecType.CANCELED
    exec_restatement_reason: int | None = None


class Replaced(Report, frozen=True, kw_only=True, gc=False, tag="replaced"):
    exec_type = ExecType.REPLACED


class Expired(Report, frozen=True, kw_only=True, gc=False, tag="expired"):
    exec_type = ExecType.EXPIRED


class Rejected(Report, frozen=True, kw_only=True, gc=False, tag="rejected"):
    """ord_rej_reason: OrdRejReason (103)."""

    exec_type = ExecType.REJECTED
    ord_rej_reason: int = 99


class OrderStatus(Report, frozen=True, kw_only=True, gc=False, tag="status"):
    """Answer to a status request; changes nothing. ord_rej_reason: 5 if the order is unknown."""

    exec_type = ExecType.ORDER_STATUS
    ord_status_req_id: str = ""
    ord_rej_reason: int | None = None


class CancelReject(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="report", tag="cancel_reject", omit_defaults=True):
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


class MassCancelReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="report", tag="mass_cancel", omit_defaults=True):
    """35=r. response: MassCancelResponse (531), 0 refused. affected: how many orders were canceled."""

    venue: str
    client: str
    ts: int
    order_id: str
    cl_ord_id: str
    kind: str
    response: str
    affected: int = 0
    text: str = ""


class TradePrint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trade that the market data shows, whoever took part. side: the aggressor's."""

    venue: str
    symbol: str
    ts: int
    px: int
    qty: int
    side: Side


class SecurityStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=f: trading in an instrument is halted at a venue, goes on there, or is bound to a range (is_halted None).

    low_px, high_px: what it may trade between, 0 for no bound.
    """

    venue: str
    symbol: str
    ts: int
    is_halted: bool | None
    text: str = ""
    low_px: int = 0
    high_px: int = 0


class Imbalance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an auction would come to if it were held now. surplus: signed units left over, buyers' are positive.

    is_close: of the closing auction.
    """

    venue: str
    symbol: str
    ts: int
    px: int
    volume: int
    surplus: int
    is_close: bool = False


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=R of a client: he wants to be quoted."""

    venue: str
    client: str
    quote_req_id: str
    symbol: str


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=S. qty: on each side. until_ts: ValidUntilTime (62)."""

    venue: str
    client: str
    ts: int
    quote_id: str
    quote_req_id: str
    symbol: str
    bid_px: int
    offer_px: int
    qty: int
    until_ts: int


class Indication(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=6. kind: IOITransType (28), N, C or R. ref_id: IOIRefID (26). px: its limit, 0 for none. until_ts: ValidUntilTime (62)."""

    venue: str
    client: str
    ioi_id: str
    kind: str
    symbol: str
    side: Side
    qty: int
    px: int = 0
    ref_id: str = ""
    until_ts: int = GOOD_TILL_CANCEL


class Invitation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """35=R of a dark venue: firm up by until_ts."""

    venue: str
    client: str
    ts: int
    ioi_id: str
    symbol: str
    side: Side
    qty: int
    until_ts: int


OrderReport = PendingNew | New | Trade | TradeCancel | TradeCorrect | Restated | Canceled | Replaced | Expired | Rejected | OrderStatus
AnyReport = OrderReport | CancelReject | MassCancelReport
Answer = AnyReport | TradePrint | SecurityStatus | Imbalance | Invitation
