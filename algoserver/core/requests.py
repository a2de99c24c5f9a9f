"""What clients ask: new parent, cancel, status; replaces have their own room, amend. Each request is answered here, at once.

Rule: a ClOrdID belongs to one order of its session for good, refused ones included.
"""

from algoserver.core import admission, amend, estimates, forecasts, halts, orders, planning, plans, risk
from algoserver.core import market as markets
from algoserver.core.algos.schedule import Window, planned
from algoserver.core.bounds import Bounds, bounds
from algoserver.core.orders import Order, ParentOrder
from algoserver.core.reports import (
    ALREADY_PENDING,
    BY_PERSON,
    CXL_OTHER,
    DUPLICATE_CL_ORD_ID,
    TOO_LATE,
    UNKNOWN_ORDER,
    UNKNOWN_ORDER_REASON,
    reject_cancel,
    report,
    report_no_order,
    tell_fills,
)
from algoserver.core.state import State, find, is_used, touch, wake
from algoserver.domain.commands import Command, RejectMessage
from algoserver.domain.events import READ_ONLY, CancelRequested, Garbled, ParentRequested, StatusRequested
from algoserver.domain.types import Denied, ExecType, OnHalt, OrdStatus, TimeInForce, qty_text

# BusinessRejectReason (380).
BUSINESS_OTHER, UNSUPPORTED_TYPE, FIELD_MISSING, NOT_AUTHORIZED = 0, 3, 5, 6
FOR_THE_DAY, NEW = TimeInForce.DAY, ExecType.NEW  # to ask the enum takes ten times as long in Python 3.11
BUSINESS_REASONS = {"unsupported_message_type": UNSUPPORTED_TYPE, "missing_field": FIELD_MISSING, READ_ONLY: NOT_AUTHORIZED}


def parent_requested(state: State, event: ParentRequested, out: list[Command]) -> None:
    """Admit a parent, plan it and say how; or refuse it with a reason that says what to change."""
    if is_used(state, event.session, event.cl_ord_id):
        _same_cl_ord_id(state, event, out)
        return
    refused = planning.refusal(state, event) or _in_a_halt(state, event)
    window: Window | Denied | None = None
    limits: Bounds | None = None
    market = state.markets.get(event.symbol)
    seen = markets.reference(market) if market is not None else (0, 0)
    if refused is None and state.setup is not None:
        window = planning.window(state.setup, event)
        if isinstance(window, Denied):
            refused = window
        else:
            instrument = state.instruments[event.symbol]
            limits = bounds(state.setup, event.session, event.symbol, event.strategy)
            stand_in_px = risk.stand_in(instrument, state.setup.hours, event.ts)
            refused = admission.admit(state.gate, limits, instrument, seen, event, stand_in_px)
    parent = _book(state, event, window if isinstance(window, Window) else None, seen[0])
    if refused is not None:
        orders.on_ended(parent.order, OrdStatus.REJECTED)
        report(out, parent, ExecType.REJECTED, event.ts, ord_rej_reason=refused.ord_rej_reason, text=f"{refused.code}: {refused.text}")
        return
    assert state.setup is not None
    assert limits is not None
    assert isinstance(window, Window)
    one = 10 ** state.instruments[event.symbol].qty_decimals
    admission.note_parent(state.gate, limits.keys, parent.parent_id, event, parent.arrival_px, one)
    orders.on_accepted(parent.order)
    work = state.works[parent.parent_id] = planning.plan(state, parent, window)
    foreseen = "" if parent.time_in_force is not FOR_THE_DAY else estimates.text(estimates.estimate(state, parent, window, work.max_pct_vol))
    report(out, parent, NEW, event.ts, text=planning.plan_text(parent, work, state.setup) + foreseen)
    plans.ask(state, parent, out)
    forecasts.ask_day(state, state.setup, event.symbol, event.ts, out)
    if window.start_ts > event.ts and not work.opening_qty:
        wake(state, parent.parent_id, window.start_ts)  # until then its turn would change nothing
    else:
        touch(state, parent.parent_id)


def cancel_requested(state: State, event: CancelRequested, out: list[Command]) -> None:
    """Pending Cancel at once; Canceled follows when every child is over."""
    parent = find(state, event.session, event.orig_cl_ord_id)
    is_known = is_used(state, event.session, event.cl_ord_id)
    if is_known and event.poss_dup:
        return
    refusal: tuple[int, str] | None = None
    if parent is None:
        refusal = UNKNOWN_ORDER, f"unknown_order: no order {event.orig_cl_ord_id} on this session; check OrigClOrdID (41)"
    elif is_known:
        refusal = DUPLICATE_CL_ORD_ID, _used_before(event.cl_ord_id)
    elif not orders.is_open(parent.order):
        refusal = TOO_LATE, f"too_late: the order is {orders.ord_status(parent.order).name}"
    elif parent.order.is_cancel_pending:
        refusal = ALREADY_PENDING, f"already_pending: cancel {parent.cancel_cl_ord_id} is under way"
    if refusal is not None or parent is None:
        reason, text = refusal or (CXL_OTHER, "")
        reject_cancel(out, event.session, parent, event.cl_ord_id, event.orig_cl_ord_id, reason, text, event.ts)
        return
    amend.give_up(parent, "superseded: a cancel came before the replace was done", event.ts, out)
    tell_fills(out, parent, event.ts)
    parent.cancel_cl_ord_id = event.cl_ord_id
    state.by_cl_ord_id[f"{event.session} {event.cl_ord_id}"] = parent.parent_id
    orders.on_cancel_requested(parent.order)
    report(out, parent, ExecType.PENDING_CANCEL, event.ts)
    touch(state, parent.parent_id)


def status_requested(state: State, event: StatusRequested, out: list[Command]) -> None:
    """The order as it is now (150=I); of an unknown one, that it is unknown (G.1.a)."""
    parent = find(state, event.session, event.cl_ord_id)
    if parent is None:
        text = f"unknown_order: no order {event.cl_ord_id} on this session"
        exec_id = f"{state.run}.s{event.seq}"
        report_no_order(
            out, event.session, exec_id, ExecType.ORDER_STATUS, event.ts, event.cl_ord_id, event.symbol, event.side, UNKNOWN_ORDER_REASON, text,
            event.ord_status_req_id,
        )  # fmt: skip
        return
    work = state.works.get(parent.parent_id)
    text = parent.end_text or ("" if parent.order.cum_qty else "nothing done")
    if work is not None and parent.paused_by:
        text = "paused by the desk" if parent.paused_by.startswith(f"{BY_PERSON} ") else f"paused: {parent.paused_by}"
    elif work is not None and work.halted_ts:
        text = f"halted: it goes on when {parent.symbol} trades again"
    elif work is not None and work.schedule.moments and event.ts >= parent.start_ts:
        due = qty_text(planned(work.schedule, event.ts), parent.qty_decimals)
        text = f"{text or 'working'}, planned by now {due} of {qty_text(parent.order.order_qty, parent.qty_decimals)}"
    report(out, parent, ExecType.ORDER_STATUS, event.ts, text=text, ord_status_req_id=event.ord_status_req_id)


def garbled(state: State, event: Garbled, out: list[Command]) -> None:
    """Answer what can't be acted on: a D by a Rejected, F and G by a cancel reject, the rest by a business reject."""
    text = f"{event.code}: {event.text}"
    twin = find(state, event.session, event.cl_ord_id)
    is_order = event.code != READ_ONLY  # on a drop copy's session there is none
    if is_order and event.msg_type == "D" and twin is not None:
        # Said of the ClOrdID alone it would tell the client that his working order is gone (F.1.a).
        report(out, twin, ExecType.REJECTED, event.ts, ord_rej_reason=risk.DUPLICATE, text=text, cl_ord_id=event.cl_ord_id)
    elif is_order and event.msg_type == "D":
        exec_id = f"{state.run}.g{event.seq}"
        report_no_order(
            out, event.session, exec_id, ExecType.REJECTED, event.ts, event.cl_ord_id, event.symbol, event.side,
            event.reject_reason, text, order_qty=event.order_qty,
        )  # fmt: skip
    elif is_order and event.msg_type in ("F", "G"):
        parent = find(state, event.session, event.orig_cl_ord_id)
        response_to = "1" if event.msg_type == "F" else "2"
        reject_cancel(out, event.session, parent, event.cl_ord_id, event.orig_cl_ord_id, CXL_OTHER, text, event.ts, response_to)
    else:
        reason = BUSINESS_REASONS.get(event.code, BUSINESS_OTHER)
        out.append(RejectMessage(session=event.session, ref_seq_num=event.msg_seq, ref_msg_type=event.msg_type,
                                 business_reject_reason=reason, text=text))  # fmt: skip


def _in_a_halt(state: State, event: ParentRequested) -> Denied | None:
    """An order waits for the end of a halt, but one that may not wait is refused."""
    if not halts.is_halted(state, event.session, event.symbol, event.strategy):
        return None
    if event.on_halt is OnHalt.CANCEL or event.time_in_force is not TimeInForce.DAY:
        return Denied("requests", "halted", f"trading in {event.symbol} is halted; send the order again when it is over", risk.EXCHANGE_CLOSED)
    return None


def _same_cl_ord_id(state: State, event: ParentRequested, out: list[Command]) -> None:
    twin = find(state, event.session, event.cl_ord_id)
    if twin is None:  # a mass cancel had it: there is no order whose state could be shown
        instrument = state.instruments.get(event.symbol)
        report_no_order(
            out, event.session, f"{state.run}.g{event.seq}", ExecType.REJECTED, event.ts, event.cl_ord_id, event.symbol, event.side,
            risk.DUPLICATE, _used_before(event.cl_ord_id), order_qty=event.order_qty, qty_decimals=instrument.qty_decimals if instrument else 0,
        )  # fmt: skip
        return
    if event.poss_dup:
        return  # the same message once more, sent again by the session; it is answered already
    if event.poss_resend:
        report(out, twin, ExecType.ORDER_STATUS, event.ts)  # F.1.b
        return
    text = _used_before(event.cl_ord_id)
    report(out, twin, ExecType.REJECTED, event.ts, ord_rej_reason=risk.DUPLICATE, text=text, cl_ord_id=event.cl_ord_id)


def _used_before(cl_ord_id: str) -> str:
    return f"duplicate_cl_ord_id: {cl_ord_id} was used before; send a new ClOrdID (11)"


def _book(state: State, event: ParentRequested, window: Window | None, mid_px: int) -> ParentOrder:
    instrument = state.instruments.get(event.symbol)
    stand_in_px = risk.stand_in(instrument, state.setup.hours, event.ts) if instrument and state.setup else 0
    parent = ParentOrder(
        parent_id=f"{state.run}-{state.next_parent}",
        session=event.session,
        cl_ord_id=event.cl_ord_id,
        symbol=event.symbol,
        side=event.side,
        ord_type=event.ord_type,
        price=event.price,
        time_in_force=event.time_in_force,
        strategy=event.strategy,
        params=event.params,
        on_halt=event.on_halt,
        account=event.account,
        order=Order(order_qty=event.order_qty),
        arrival_ts=event.ts,
        arrival_px=mid_px or stand_in_px,
        start_ts=window.start_ts if window else event.ts,
        end_ts=window.end_ts if window else event.ts,
        qty_decimals=instrument.qty_decimals if instrument else 0,
    )
    state.next_parent += 1
    state.parents[parent.parent_id] = parent
    state.by_cl_ord_id[f"{event.session} {event.cl_ord_id}"] = parent.parent_id
    return parent
