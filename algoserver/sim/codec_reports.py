"""Reports to FIX 4.4 text. Pure: values in, strings out."""

from collections.abc import Mapping

from algoserver.domain.types import Instrument, OrdType, px_text, qty_text, utc_text
from algoserver.sim.reports import (
    ALL,
    GOOD_TILL_CANCEL,
    PLAIN,
    AnyReport,
    Canceled,
    CancelReject,
    MassCancelReport,
    OrderReport,
    OrderStatus,
    Rejected,
    Restated,
    Trade,
    TradeCancel,
    TradeCorrect,
)

SOH = "\x01"
FEE_CURRENCY, EXCHANGE_FEES = "USD", "4"  # MiscFeeCurr (138), MiscFeeType (139)


def report(answer: AnyReport, instruments: Mapping[str, Instrument], poss_resend: bool = False) -> str:
    """Body of an ExecutionReport or OrderCancelReject."""
    if isinstance(answer, CancelReject):
        return _cancel_reject(answer)
    if isinstance(answer, MassCancelReport):
        return _mass_cancel(answer)
    instrument = instruments.get(answer.symbol)
    d = instrument.qty_decimals if instrument else 0
    ord_type, tif = _kinds(answer) if answer.terms is not PLAIN else (answer.ord_type.value, answer.tif.value)
    body = (
        f"35=8\x01{'97=Y' + SOH if poss_resend else ''}37={answer.order_id}\x0111={answer.cl_ord_id}\x01"
        f"17={answer.exec_id}\x01150={answer.exec_type.value}\x0139={answer.ord_status.value}\x01"
        f"55={answer.symbol}\x0154={answer.side.value}\x0138={qty_text(answer.order_qty, d)}\x01"
        f"40={ord_type}\x0159={tif}\x01151={qty_text(answer.leaves_qty, d)}\x01"
        f"14={qty_text(answer.cum_qty, d)}\x016={px_text(answer.avg_px)}\x0160={utc_text(answer.ts)}\x01"
    )
    if answer.orig_cl_ord_id:
        body += f"41={answer.orig_cl_ord_id}\x01"
    if answer.ord_type is OrdType.PEGGED and ord_type == "P":
        body += f"18={answer.terms.peg or 'M'}\x01"
    if answer.ord_type != OrdType.MARKET and answer.px:
        body += f"44={px_text(answer.px)}\x01"
    if answer.min_qty:
        body += f"110={qty_text(answer.min_qty, d)}\x01"
    if answer.terms is not PLAIN:
        body += _terms(answer, d)
    return body + _happened(answer, d) + (f"58={answer.text}\x01" if answer.text else "")


def copy(body: str, client: str) -> str:
    """A report for a drop copy: the client's own, with him in OnBehalfOfCompID (115)."""
    msg_type, _, rest = body.partition(SOH)
    return f"{msg_type}{SOH}115={client}{SOH}{rest}"


def _kinds(answer: OrderReport) -> tuple[str, str]:
    """OrdType (40) and TimeInForce (59) of an order with terms, as its client said them."""
    terms, ord_type, tif = answer.terms, answer.ord_type.value, answer.tif.value
    if terms.stop_px:
        ord_type = "3" if answer.ord_type is OrdType.MARKET else "4"
    elif terms.quote_id or terms.ioi_id:
        ord_type = "D" if terms.quote_id else "E"
    if terms.expire_ts:
        tif = "1" if terms.expire_ts == GOOD_TILL_CANCEL else "6"
    return ord_type, tif


def _terms(answer: OrderReport, d: int) -> str:
    terms, body = answer.terms, ""
    if terms.stop_px:
        body += f"99={px_text(terms.stop_px)}\x01"
    if terms.display_qty != ALL:
        body += f"111={qty_text(terms.display_qty, d)}\x01"
    if terms.peg_offset:
        body += f"211={px_text(terms.peg_offset)}\x01"
    if terms.is_post_only:
        body += "18=6\x01"
    if 0 < terms.expire_ts < GOOD_TILL_CANCEL:
        body += f"126={utc_text(terms.expire_ts)}\x01"
    return body


def _happened(answer: OrderReport, d: int) -> str:
    """What the kind of report says besides the order's state."""
    if isinstance(answer, Trade):
        body = f"32={qty_text(answer.last_qty, d)}\x0131={px_text(answer.last_px)}\x0130={answer.venue}\x0129={answer.last_capacity}\x01"
        if answer.last_liquidity_ind:
            body += f"851={answer.last_liquidity_ind}\x01"
        if answer.fee:
            body += f"136=1\x01137={px_text(answer.fee)}\x01138={FEE_CURRENCY}\x01139={EXCHANGE_FEES}\x01"
        return body
    if isinstance(answer, TradeCancel | TradeCorrect):
        return f"19={answer.exec_ref_id}\x0132={qty_text(answer.last_qty, d)}\x0131={px_text(answer.last_px)}\x0130={answer.venue}\x01"
    if isinstance(answer, Restated) or (isinstance(answer, Canceled) and answer.exec_restatement_reason is not None):
        return f"378={answer.exec_restatement_reason}\x01"
    if isinstance(answer, Rejected):
        return f"103={answer.ord_rej_reason}\x01"
    body = ""
    if isinstance(answer, OrderStatus):
        if answer.ord_rej_reason is not None:
            body += f"103={answer.ord_rej_reason}\x01"
        if answer.ord_status_req_id:
            body += f"790={answer.ord_status_req_id}\x01"
    return body


def _mass_cancel(answer: MassCancelReport) -> str:
    said = f"58={answer.text}\x01532=99\x01" if answer.text else ""
    return (
        f"35=r\x0111={answer.cl_ord_id}\x0137={answer.order_id}\x01530={answer.kind}\x01531={answer.response}\x01"
        f"533={answer.affected}\x0160={utc_text(answer.ts)}\x01{said}"
    )


def _cancel_reject(answer: CancelReject) -> str:
    return (
        f"35=9\x0137={answer.order_id}\x0111={answer.cl_ord_id}\x0141={answer.orig_cl_ord_id}\x01"
        f"39={answer.ord_status.value}\x01434={answer.cxl_rej_response_to}\x01102={answer.cxl_rej_reason}\x01"
        f"60={utc_text(answer.ts)}\x0158={answer.text}\x01"
    )


def business_reject(fields: Mapping[str, str], reason: int, text: str) -> str:
    """Body of a BusinessMessageReject about the message `fields`."""
    return f"35=j\x0145={fields.get('34', '0')}\x01372={fields.get('35', '')}\x01380={reason}\x0158={text}\x01"
