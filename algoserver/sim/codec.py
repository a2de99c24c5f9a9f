"""FIX 4.4 text to requests, reports to FIX 4.4 text. Pure: strings in, values out.

Rule 1: a request that can be understood but not fulfilled is `Unreadable`: it is answered about its order, in words.
Rule 2: an instruction that this venue does not know is refused, not ignored: an iceberg must not show its whole size.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from algoserver.domain.types import Instrument, OrdType, Side, TimeInForce, px, px_text, qty, qty_text, utc_text
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
    Request,
    Trade,
)

SOH = "\x01"
REQUESTS = ("D", "F", "G", "H")
# Far above any real order and far below 64 bits, which the ledger's numbers must fit.
QTY_MAX = 10**15
PX_MAX = 10**17
# LastCapacity (29): a venue brings orders together, it takes no side.
AGENT = "1"
# Instructions on D and G that change what an order does: MaxFloor, StopPx, PegOffsetValue, MaxShow, EffectiveTime.
UNSUPPORTED = {"111": "MaxFloor", "99": "StopPx", "211": "PegOffsetValue", "210": "MaxShow", "168": "EffectiveTime"}


class Unreadable(msgspec.Struct, frozen=True):
    """A request whose order is known but whose wish is not possible. reason: OrdRejReason (103)."""

    request: Request
    reason: int
    text: str


class Garbled(msgspec.Struct, frozen=True):
    """A message that can't be answered about an order. reason: BusinessRejectReason (380)."""

    reason: int
    text: str


def split(text: str) -> list[tuple[str, str]]:
    """Tag and value of every field, in order."""
    fields = []
    for field in text.split(SOH):
        tag, equals, value = field.partition("=")
        if equals:
            fields.append((tag, value))
    return fields


def request(fields: Mapping[str, str], venue: str, client: str, instruments: Mapping[str, Instrument]) -> Request | Unreadable | Garbled:
    """Decode D, F, G or H. fields: each tag once."""
    try:
        side = Side(fields.get("54", ""))
    except ValueError:
        return Garbled(0, f"Side {fields.get('54', '')!r} is not supported: 1, 2 and 5 are")
    if not fields.get("11") or not fields.get("55"):
        return Garbled(5, "ClOrdID (11) and Symbol (55) are required")
    common: dict[str, Any] = {"venue": venue, "client": client, "cl_ord_id": fields["11"], "symbol": fields["55"], "side": side}
    match fields["35"]:
        case "H":
            return OrderStatusRequest(**common, ord_status_req_id=fields.get("790", ""))
        case "F":
            return OrderCancelRequest(**common, orig_cl_ord_id=fields.get("41", ""))
        case "G":
            common["orig_cl_ord_id"] = fields.get("41", "")
    is_new = fields["35"] == "D"
    if is_new:
        common["is_poss_resend"] = fields.get("97") == "Y"
    kind = NewOrderSingle if is_new else OrderCancelReplaceRequest
    terms = _terms(fields, instruments.get(fields["55"]))
    if isinstance(terms, tuple):
        return Unreadable(kind(**common, order_qty=0), *terms)
    return kind(**common, **terms)


def _terms(fields: Mapping[str, str], instrument: Instrument | None) -> dict[str, Any] | tuple[int, str]:
    """Quantity, type, price and time in force of D and G, or OrdRejReason and text."""
    for tag, name in UNSUPPORTED.items():
        if tag in fields:
            return 11, f"{name} ({tag}) is not supported by this venue"
    try:
        ord_type = OrdType(fields.get("40", ""))
    except ValueError:
        return 11, f"OrdType {fields.get('40', '')!r} is not supported: 1, 2 and at dark venues P are"
    if ord_type is OrdType.PEGGED and "M" not in fields.get("18", "").split():
        return 11, f"a pegged order (40=P) is pegged to the mid here: ExecInst (18) M, not {fields.get('18', '')!r}"
    try:
        tif = TimeInForce(fields.get("59", "0"))
    except ValueError:
        return 11, f"TimeInForce {fields.get('59')!r} is not supported: 0, 2, 3, 4 and 7 are"
    try:
        # Of an unknown instrument only the symbol will be refused, so its units do not matter.
        order_qty = qty(fields.get("38", ""), instrument.qty_decimals) if instrument else 0
    except ValueError as e:
        return 13, f"OrderQty (38): {e}"
    if abs(order_qty) > QTY_MAX:
        return 13, f"OrderQty {fields['38']} is beyond any order of this venue"
    try:
        min_qty = qty(fields["110"], instrument.qty_decimals) if instrument and "110" in fields else 0
    except ValueError as e:
        return 13, f"MinQty (110): {e}"
    if abs(min_qty) > QTY_MAX:
        return 13, f"MinQty {fields['110']} is beyond any order of this venue"
    has_px = ord_type is OrdType.LIMIT or (ord_type is OrdType.PEGGED and "44" in fields)
    try:
        price = px(fields.get("44", "")) if has_px else 0
    except ValueError as e:
        return 11, f"Price (44): {e}"
    if abs(price) > PX_MAX:
        return 11, f"Price {fields['44']} is beyond any price of this venue"
    return {"order_qty": order_qty, "ord_type": ord_type, "px": price, "tif": tif, "min_qty": min_qty}


def copy(body: str, client: str) -> str:
    """A report for a drop copy: the client's own, with him in OnBehalfOfCompID (115)."""
    msg_type, _, rest = body.partition(SOH)
    return f"{msg_type}{SOH}115={client}{SOH}{rest}"


def report(answer: AnyReport, instruments: Mapping[str, Instrument], poss_resend: bool = False) -> str:
    """Body of an ExecutionReport or OrderCancelReject."""
    if isinstance(answer, CancelReject):
        return _cancel_reject(answer)
    instrument = instruments.get(answer.symbol)
    d = instrument.qty_decimals if instrument else 0
    body = (
        f"35=8\x01{'97=Y' + SOH if poss_resend else ''}37={answer.order_id}\x0111={answer.cl_ord_id}\x01"
        f"17={answer.exec_id}\x01150={answer.exec_type.value}\x0139={answer.ord_status.value}\x01"
        f"55={answer.symbol}\x0154={answer.side.value}\x0138={qty_text(answer.order_qty, d)}\x01"
        f"40={answer.ord_type.value}\x0159={answer.tif.value}\x01151={qty_text(answer.leaves_qty, d)}\x01"
        f"14={qty_text(answer.cum_qty, d)}\x016={px_text(answer.avg_px)}\x0160={utc_text(answer.ts)}\x01"
    )
    if answer.orig_cl_ord_id:
        body += f"41={answer.orig_cl_ord_id}\x01"
    if answer.ord_type is OrdType.PEGGED:
        body += "18=M\x01"
    if answer.ord_type != OrdType.MARKET and answer.px:
        body += f"44={px_text(answer.px)}\x01"
    if answer.min_qty:
        body += f"110={qty_text(answer.min_qty, d)}\x01"
    if isinstance(answer, Trade):
        body += f"32={qty_text(answer.last_qty, d)}\x0131={px_text(answer.last_px)}\x0130={answer.venue}\x0129={AGENT}\x01"
        if answer.last_liquidity_ind:
            body += f"851={answer.last_liquidity_ind}\x01"
    elif isinstance(answer, Canceled) and answer.exec_restatement_reason is not None:
        body += f"378={answer.exec_restatement_reason}\x01"
    elif isinstance(answer, Rejected):
        body += f"103={answer.ord_rej_reason}\x01"
    elif isinstance(answer, OrderStatus):
        if answer.ord_rej_reason is not None:
            body += f"103={answer.ord_rej_reason}\x01"
        if answer.ord_status_req_id:
            body += f"790={answer.ord_status_req_id}\x01"
    return body + (f"58={answer.text}\x01" if answer.text else "")


def _cancel_reject(answer: CancelReject) -> str:
    return (
        f"35=9\x0137={answer.order_id}\x0111={answer.cl_ord_id}\x0141={answer.orig_cl_ord_id}\x01"
        f"39={answer.ord_status.value}\x01434={answer.cxl_rej_response_to}\x01102={answer.cxl_rej_reason}\x01"
        f"60={utc_text(answer.ts)}\x0158={answer.text}\x01"
    )


def business_reject(fields: Mapping[str, str], reason: int, text: str) -> str:
    """Body of a BusinessMessageReject about the message `fields`."""
    return f"35=j\x0145={fields.get('34', '0')}\x01372={fields.get('35', '')}\x01380={reason}\x0158={text}\x01"
