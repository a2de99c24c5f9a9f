"""What clients and operators are told: ExecutionReports, cancel rejects, alerts.

Rule 1: an ExecID comes from the parent's own counter, so that a replay names every report alike.
Rule 2: fills that wait to be told together go before anything else that says CumQty. A room that changes the order's state calls
tell_fills() before it does, so that they are told as they happened.
Rule 3: while a cancel or a replace is pending, its ClOrdID stands in the reports about it and the old one in those of trades.
"""

from algoserver.core import bundles
from algoserver.core.orders import ParentOrder, avg_px, leaves_qty, mean_px, ord_status
from algoserver.domain.alerts import Ending
from algoserver.domain.commands import Command, EndAlert, RaiseAlert, RejectCancel, ReportParent
from algoserver.domain.types import ExecType, OrdStatus

CANCEL_TYPES = (ExecType.PENDING_CANCEL, ExecType.CANCELED)
# Types of the reports that may name the ClOrdID which a replace took the place of.
NAMES_ORIGINAL = (ExecType.REPLACED, ExecType.ORDER_STATUS)
# OrdRejReason (103) where the order does not exist.
UNKNOWN_ORDER_REASON = 5
# ExecRestatementReason (378), FIX 4.4.
VERBAL_CHANGE, BROKER_OPTION, PARTIAL_DECLINE, CANCEL_ON_TRADING_HALT = 2, 4, 5, 6
# Before a login name in paused_by. A client is told of the desk.
BY_PERSON = "operator"
# CxlRejReason (102).
TOO_LATE, UNKNOWN_ORDER, ALREADY_PENDING, DUPLICATE_CL_ORD_ID, CXL_OTHER = 0, 1, 3, 6, 99


def report(
    out: list[Command],
    parent: ParentOrder,
    exec_type: ExecType,
    ts: int,
    *,
    text: str = "",
    last_px: int = 0,
    last_qty: int = 0,
    last_mkt: str = "",
    last_liquidity_ind: int = 0,
    last_capacity: str = "",
    exec_ref_id: str = "",
    ord_rej_reason: int = -1,
    exec_restatement_reason: int = -1,
    ord_status_req_id: str = "",
    mass_status_req_id: str = "",
    tot_num_reports: int = 0,
    is_last_report: bool = False,
    cl_ord_id: str = "",
    exec_id: str = "",
) -> None:
    """Report the parent as it is now. cl_ord_id: another than the parent's, where a twin is refused.

    exec_id: from next_exec_id(), where a fill was booked under it already.
    """
    if parent.held:
        tell_fills(out, parent, ts)
    own_id, orig_id = parent.cl_ord_id, ""
    if parent.cancel_cl_ord_id and exec_type in CANCEL_TYPES:
        own_id, orig_id = parent.cancel_cl_ord_id, parent.cl_ord_id
    elif parent.amendment is not None and exec_type is ExecType.PENDING_REPLACE:
        own_id, orig_id = parent.amendment.cl_ord_id, parent.cl_ord_id
    elif parent.orig_cl_ord_id and exec_type in NAMES_ORIGINAL:
        orig_id = parent.orig_cl_ord_id
    order = parent.order
    out.append(
        ReportParent(
            session=parent.session,
            exec_id=exec_id or next_exec_id(parent),
            order_id=parent.parent_id,
            cl_ord_id=cl_ord_id or own_id,
            orig_cl_ord_id=orig_id,
            exec_type=exec_type,
            ord_status=ord_status(order),
            symbol=parent.symbol,
            side=parent.side,
            order_qty=order.order_qty,
            cum_qty=order.cum_qty,
            leaves_qty=leaves_qty(order),
            avg_px=avg_px(order),
            qty_decimals=parent.qty_decimals,
            ts=ts,
            last_px=last_px,
            last_qty=last_qty,
            last_mkt=last_mkt,
            last_liquidity_ind=last_liquidity_ind,
            last_capacity=last_capacity,
            exec_ref_id=exec_ref_id,
            ord_rej_reason=ord_rej_reason,
            exec_restatement_reason=exec_restatement_reason,
            ord_status_req_id=ord_status_req_id,
            mass_status_req_id=mass_status_req_id,
            tot_num_reports=tot_num_reports,
            is_last_report=is_last_report,
            text=text,
        )
    )


def tell_fills(out: list[Command], parent: ParentOrder, ts: int) -> None:
    """Report the fills that waited, as one trade: their sum at their mean price."""
    held = bundles.take_held(parent)
    if not held:
        return
    exec_ids = [fill.exec_id for fill in held]
    last_px, last_qty = mean_px(parent.order, exec_ids)
    markets, indicators = {fill.last_mkt for fill in held}, {fill.last_liquidity_ind for fill in held}
    capacities = {fill.last_capacity for fill in held}
    exec_id = exec_ids[0]
    if len(held) > 1:
        exec_id = next_exec_id(parent)
        bundles.bundle(parent, exec_id, exec_ids)
    report(
        out, parent, ExecType.TRADE, ts, last_px=last_px, last_qty=last_qty, exec_id=exec_id,
        last_mkt=held[0].last_mkt if len(markets) == 1 else "", last_liquidity_ind=held[0].last_liquidity_ind if len(indicators) == 1 else 0,
        last_capacity=held[0].last_capacity if len(capacities) == 1 else "",
    )  # fmt: skip


def next_exec_id(parent: ParentOrder) -> str:
    """A new ExecID (17) of this parent's reports."""
    exec_id = f"{parent.parent_id}.r{parent.next_exec}"
    parent.next_exec += 1
    return exec_id


def report_no_order(
    out: list[Command], session: str, exec_id: str, exec_type: ExecType, ts: int, cl_ord_id: str, symbol: str, side: str,
    ord_rej_reason: int, text: str, ord_status_req_id: str = "", mass_status_req_id: str = "", order_qty: int = 0, qty_decimals: int = 0,
) -> None:  # fmt: skip
    """Report on something that never became an order here (G.1.a, or a D that can't be read)."""
    out.append(
        ReportParent(
            session=session, exec_id=exec_id, order_id="NONE", cl_ord_id=cl_ord_id or "NONE", exec_type=exec_type,
            ord_status=OrdStatus.REJECTED, symbol=symbol or "NONE", side=side or "1", order_qty=order_qty, cum_qty=0,
            leaves_qty=0, avg_px=0, ts=ts, ord_rej_reason=ord_rej_reason, text=text, ord_status_req_id=ord_status_req_id,
            mass_status_req_id=mass_status_req_id, is_last_report=bool(mass_status_req_id), qty_decimals=qty_decimals,
        )  # fmt: skip
    )


def reject_cancel(
    out: list[Command], session: str, parent: ParentOrder | None, cl_ord_id: str, orig_cl_ord_id: str,
    reason: int, text: str, ts: int, response_to: str = "1",
) -> None:  # fmt: skip
    """Refuse a cancel (434=1) or a replace (434=2). No parent: the order is unknown (B.1.f)."""
    if parent is not None:
        tell_fills(out, parent, ts)  # it says OrdStatus, which the client must be able to follow
    out.append(
        RejectCancel(
            session=session, order_id=parent.parent_id if parent else "NONE", cl_ord_id=cl_ord_id or "NONE",
            orig_cl_ord_id=orig_cl_ord_id or "NONE", ord_status=ord_status(parent.order) if parent else OrdStatus.REJECTED,
            cxl_rej_reason=reason, response_to=response_to, ts=ts, text=text,
        )  # fmt: skip
    )


def alert(out: list[Command], code: str, subject: str, text: str) -> None:
    """Tell a person. What is declared of the code stands in domain.alerts."""
    out.append(RaiseAlert(code=code, subject=subject, text=text))


def over(out: list[Command], code: str, subject: str) -> None:
    """What was told of it is over, if it was told."""
    out.append(EndAlert(subject=subject, code=code))


def over_with(out: list[Command], subject: str, ending: Ending) -> None:
    """So is all that this ends, of what was told of an order."""
    out.append(EndAlert(subject=subject, ending=ending))


def pause(out: list[Command], parent: ParentOrder, code: str, text: str) -> None:
    """Stop a parent until an operator resumes it, and say so."""
    if not parent.paused_by:
        parent.paused_by, parent.pause_text = code, text
    alert(out, code, parent.parent_id, text)
