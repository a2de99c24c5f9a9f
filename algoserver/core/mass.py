"""Requests about many orders of a client: mass cancel and mass status; and a trade that the client does not know.

Rule: they look at the client's working orders alone, which are far fewer than all that there were today.
"""

from algoserver.core import orders
from algoserver.core.orders import ParentOrder
from algoserver.core.reports import UNKNOWN_ORDER_REASON, alert, report, report_no_order
from algoserver.core.state import State, is_used, touch
from algoserver.domain.commands import Command, ReportMassCancel
from algoserver.domain.events import MassCancelRequested, MassStatusRequested, TradeDisputed
from algoserver.domain.types import ExecType, OrdStatus

BY_SECURITY, ALL = "1", "7"  # MassCancelRequestType (530), MassStatusReqType (585)
REFUSED = "0"  # MassCancelResponse (531)
NOT_SUPPORTED, UNKNOWN_SECURITY, OTHER = 0, 1, 99  # MassCancelRejectReason (532)


def mass_cancel_requested(state: State, event: MassCancelRequested, out: list[Command]) -> None:
    """Cancel every working order that is meant; say which at once. Each reports Canceled when its children are over."""
    if is_used(state, event.session, event.cl_ord_id):
        # One that its session sends again must not reach the orders that came after it.
        if not event.poss_dup:
            _refuse(state, event, OTHER, f"duplicate_cl_ord_id: {event.cl_ord_id} was used before; send a new ClOrdID (11)", out)
        return
    if event.request_type not in (BY_SECURITY, ALL):
        _refuse(state, event, NOT_SUPPORTED, "unsupported_type: MassCancelRequestType (530) is 1 by security or 7 all", out)
        return
    if event.request_type == BY_SECURITY and event.symbol not in state.instruments:
        _refuse(state, event, UNKNOWN_SECURITY, f"unknown_symbol: Symbol (55) {event.symbol or 'is missing'} is not traded here", out)
        return
    # One whose window is over, and whose children may still trade, is meant too; one that is canceled already is not.
    meant = [p for p in _working(state, event.session, event.request_type, event.symbol, event.side) if not p.end_text]
    for parent in meant:
        parent.ended_as = OrdStatus.CANCELED
        parent.end_text = f"canceled by mass cancel {event.cl_ord_id}"
        touch(state, parent.parent_id)
    state.by_cl_ord_id[f"{event.session} {event.cl_ord_id}"] = ""
    affected = tuple((p.cl_ord_id, p.parent_id) for p in meant)
    out.append(_mass_report(state, event, event.request_type, affected=affected))


def mass_status_requested(state: State, event: MassStatusRequested, out: list[Command]) -> None:
    """One report (150=I) for each working order that is meant; a single rejected one if there is none."""
    meant: list[ParentOrder] = []
    text = "nothing_open: no working order of this session is meant"
    if event.request_type not in (BY_SECURITY, ALL):
        text = "unsupported_type: MassStatusReqType (585) is 1 by security or 7 all"
    else:
        meant = _working(state, event.session, event.request_type, event.symbol, event.side)
    for number, parent in enumerate(meant, 1):
        report(
            out, parent, ExecType.ORDER_STATUS, event.ts, mass_status_req_id=event.mass_status_req_id, tot_num_reports=len(meant),
            is_last_report=number == len(meant),
        )  # fmt: skip
    if not meant:
        exec_id = f"{state.run}.s{event.seq}"
        report_no_order(
            out, event.session, exec_id, ExecType.ORDER_STATUS, event.ts, "", event.symbol, event.side, UNKNOWN_ORDER_REASON, text,
            mass_status_req_id=event.mass_status_req_id,
        )  # fmt: skip


def trade_disputed(state: State, event: TradeDisputed, out: list[Command]) -> None:
    """A person must settle it: our books and the venue's have the trade."""
    parent = state.parents.get(event.order_id)
    is_theirs = parent is not None and parent.session == event.session
    text = f"{event.session} does not know execution {event.exec_id} (127={event.dk_reason}): {event.text}"
    alert(out, "trade_disputed", event.order_id if is_theirs else event.session, text)


def _working(state: State, session: str, request_type: str, symbol: str, side: str) -> list[ParentOrder]:
    """The session's open orders, oldest first. A symbol counts only by security; a side always, where it is given."""
    mine = [p for parent_id in state.works if (p := state.parents[parent_id]).session == session and orders.is_open(p.order)]
    return [p for p in mine if (request_type == ALL or p.symbol == symbol) and side in ("", p.side)]


def _refuse(state: State, event: MassCancelRequested, reason: int, text: str, out: list[Command]) -> None:
    out.append(_mass_report(state, event, REFUSED, reason=reason, text=text))


def _mass_report(
    state: State, event: MassCancelRequested, response: str, affected: tuple[tuple[str, str], ...] = (), reason: int = -1, text: str = ""
) -> ReportMassCancel:
    return ReportMassCancel(
        session=event.session, report_id=f"{state.run}.q{event.seq}", cl_ord_id=event.cl_ord_id, request_type=event.request_type,
        response=response, ts=event.ts, affected=affected, reject_reason=reason, symbol=event.symbol, side=event.side, text=text,
    )  # fmt: skip
