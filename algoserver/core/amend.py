"""Replaces: an amended parent, judged like the order that it makes, and made once its children fit into it.

Rule 1: what the replace leaves out stays. The strategy, side and symbol stay anyway, and a start that has come.
Rule 2: Pending Replace at once; nothing new leaves until it is decided. Replaced when the open children fit the new quantity and
limit; those that do not are canceled, the youngest first.
Rule 3: an operator's amend is judged alike, but nobody asked for it by message: no Pending Replace, then Restated under the same ClOrdID.
Rule 4: a fill on the way counts: the quantity never falls below what is done (C.3.c), and a filled order takes no new price (C.2.a).
"""

import msgspec

from algoserver.core import admission, auction, dark, exposure, orders, planning, plans, risk
from algoserver.core import market as markets
from algoserver.core.algos.schedule import Window
from algoserver.core.bounds import bounds
from algoserver.core.orders import Amendment, ChildOrder, ParentOrder
from algoserver.core.reports import (
    ALREADY_PENDING,
    BROKER_OPTION,
    CXL_OTHER,
    DUPLICATE_CL_ORD_ID,
    PARTIAL_DECLINE,
    TOO_LATE,
    UNKNOWN_ORDER,
    VERBAL_CHANGE,
    alert,
    reject_cancel,
    report,
    tell_fills,
)
from algoserver.core.state import State, find, is_used, touch
from algoserver.domain.commands import Command
from algoserver.domain.events import OperatorAmended, ParentRequested, ReplaceRequested
from algoserver.domain.types import Denied, ExecType, OnHalt, OrdStatus, OrdType, TimeInForce

REPLACE = "2"  # CxlRejResponseTo (434)
OPERATOR = "operator"  # whose rate of requests an operator's amends use up


def replace_requested(state: State, event: ReplaceRequested, out: list[Command]) -> None:
    """Say Pending Replace and begin, or refuse it with what to change: the order then goes on as it is."""
    parent = find(state, event.session, event.orig_cl_ord_id)
    is_known = is_used(state, event.session, event.cl_ord_id)
    if is_known and event.poss_dup:
        return
    refusal = _refusal(event, parent, is_known)
    amended: Amendment | tuple[int, str] | None = None
    if refusal is None and parent is not None:
        amended = _amendment(state, parent, event, state.gate)
        refusal = amended if isinstance(amended, tuple) else None
    if refusal is not None or parent is None or not isinstance(amended, Amendment):
        reason, text = refusal or (CXL_OTHER, "")
        reject_cancel(out, event.session, parent, event.cl_ord_id, event.orig_cl_ord_id, reason, text, event.ts, REPLACE)
        return
    tell_fills(out, parent, event.ts)
    parent.amendment = amended
    state.by_cl_ord_id[f"{event.session} {event.cl_ord_id}"] = parent.parent_id
    orders.on_replace_requested(parent.order)
    report(out, parent, ExecType.PENDING_REPLACE, event.ts)
    touch(state, parent.parent_id)


def operator_amended(state: State, event: OperatorAmended, out: list[Command]) -> None:
    """Begin what an operator wants. What makes no sense is refused before this, by control."""
    parent = state.parents.get(event.target)
    judged = judge(state, parent, event, state.gate) if parent is not None else "no order has this OrderID"
    if parent is None or isinstance(judged, str):
        alert(out, "amend_refused", event.target, f"{event.operator} asked to amend it; {judged}")
        return
    parent.amendment = judged
    alert(out, "amended", parent.parent_id, f"by {event.operator}: {event.reason}")
    touch(state, parent.parent_id)


def judge(state: State, parent: ParentOrder, event: OperatorAmended, gate: risk.Gate) -> Amendment | str:
    """What an operator's amend would make of a parent, or the refusal that a client's G would get. gate: its rates are used up."""
    as_client = ReplaceRequested(
        session=OPERATOR, cl_ord_id=parent.cl_ord_id, orig_cl_ord_id=parent.cl_ord_id, symbol=parent.symbol, side=parent.side,
        ord_type=OrdType(event.ord_type or (OrdType.LIMIT if event.price else parent.ord_type)), order_qty=event.order_qty,
        price=event.price, params=event.params, given=event.given, ts=event.ts,
    )  # fmt: skip
    refusal = _refusal(as_client, parent, is_known=False)
    amended = refusal or _amendment(state, parent, as_client, gate)
    if not isinstance(amended, Amendment):
        return amended[1]
    is_cut_alone = amended.order_qty < parent.order.order_qty and not (event.ord_type or event.price or event.given)
    reason = VERBAL_CHANGE if event.is_verbal else PARTIAL_DECLINE if is_cut_alone else BROKER_OPTION
    return msgspec.structs.replace(amended, exec_restatement_reason=reason)


def in_the_way(parent: ParentOrder, resting: list[ChildOrder]) -> list[str]:
    """Children that do not fit the pending replace: beyond its limit or its terms for the dark, or more than it leaves to do.

    Youngest first. What waits for an auction never fits: the new plan says anew how much that is.
    """
    wanted = parent.amendment
    assert wanted is not None
    room = wanted.order_qty - parent.order.cum_qty
    out_of_place = []
    open_qty = sum(orders.leaves_qty(c.order) for c in resting)
    for child in reversed(resting):
        is_beyond = wanted.price and (child.price - wanted.price) * parent.side.sign > 0
        is_unfit = is_beyond or child.time_in_force.is_auction or dark.breaks_terms(child, parent, wanted.params)
        if is_unfit or open_qty > room:
            out_of_place.append(child.child_id)
            open_qty -= orders.leaves_qty(child.order)
    return out_of_place


def complete(state: State, parent: ParentOrder, ts: int, out: list[Command]) -> None:
    """Nothing is in the way any more: the parent is what the replace asked for, with a new plan from now."""
    wanted, order, setup = parent.amendment, parent.order, state.setup
    assert wanted is not None
    assert setup is not None
    tell_fills(out, parent, ts)
    if order.status is OrdStatus.FILLED and wanted.order_qty == order.order_qty:
        give_up(parent, "too_late: the order was filled before its replace took effect", ts, out, TOO_LATE)
        return
    parent.amendment = None
    orders.on_replaced(order, wanted.order_qty)
    exposure.on_amended(state.gate, parent.parent_id, order.order_qty, wanted.price)
    is_asked = wanted.exec_restatement_reason < 0
    if is_asked:
        parent.orig_cl_ord_id, parent.cl_ord_id = parent.cl_ord_id, wanted.cl_ord_id
    parent.ord_type, parent.price, parent.params = wanted.ord_type, wanted.price, wanted.params
    has_begun = parent.start_ts <= ts
    parent.start_ts = parent.start_ts if has_begun else wanted.start_ts
    parent.end_ts = wanted.end_ts
    stand_in_px = risk.stand_in(state.instruments[parent.symbol], setup.hours, ts)
    parent.amended_ts, parent.amended_px = ts, markets.mid(state.markets[parent.symbol]) or stand_in_px
    text = ""
    if orders.is_open(order):
        window = Window(max(ts, parent.start_ts), max(parent.end_ts, ts + 1), (), setup.hours)
        work = state.works[parent.parent_id] = planning.plan(state, parent, window)
        text = planning.plan_text(parent, work, setup)
        plans.ask(state, parent, out)
    exec_type = ExecType.REPLACED if is_asked else ExecType.RESTATED
    report(out, parent, exec_type, ts, text=text, exec_restatement_reason=wanted.exec_restatement_reason)


def give_up(parent: ParentOrder, text: str, ts: int, out: list[Command], reason: int = CXL_OTHER) -> None:
    """Refuse the pending replace, if there is one: the order is what it was."""
    pending, parent.amendment = parent.amendment, None
    if pending is None:
        return
    if pending.exec_restatement_reason >= 0:
        alert(out, "amend_given_up", parent.parent_id, text)
    else:
        tell_fills(out, parent, ts)  # as they happened: while the replace was pending
        orders.on_replace_rejected(parent.order)
        reject_cancel(out, parent.session, parent, pending.cl_ord_id, parent.cl_ord_id, reason, text, ts, REPLACE)


def _refusal(event: ReplaceRequested, parent: ParentOrder | None, is_known: bool) -> tuple[int, str] | None:
    """What can be said against the message before one looks at what it asks: (CxlRejReason, text)."""
    if parent is None:
        return UNKNOWN_ORDER, f"unknown_order: no order {event.orig_cl_ord_id} on this session; check OrigClOrdID (41)"
    if is_known:
        return DUPLICATE_CL_ORD_ID, f"duplicate_cl_ord_id: {event.cl_ord_id} was used before; send a new ClOrdID (11)"
    if not orders.is_open(parent.order) or parent.ended_as:
        return TOO_LATE, f"too_late: the order is {orders.ord_status(parent.order).name}"
    if parent.order.is_cancel_pending or parent.amendment is not None:
        own = parent.amendment.cl_ord_id if parent.amendment and parent.amendment.exec_restatement_reason < 0 else ""
        pending = parent.cancel_cl_ord_id or own or "a change by the desk"
        return ALREADY_PENDING, f"already_pending: {pending} is under way; wait for its answer"
    if event.orig_cl_ord_id != parent.cl_ord_id:
        return CXL_OTHER, f"stale_orig_cl_ord_id: the order is {parent.cl_ord_id} now; send that as OrigClOrdID (41)"
    if parent.time_in_force is not TimeInForce.DAY or event.time_in_force not in ("", parent.time_in_force):
        return CXL_OTHER, "not_amendable: TimeInForce (59) stays, and an IOC or FOK is not amended; cancel and send a new order"
    for name, tag, old, new in (("Symbol", 55, parent.symbol, event.symbol), ("Side", 54, parent.side, event.side)):
        if old != new:
            return CXL_OTHER, f"not_amendable: {name} ({tag}) stays; cancel and send a new order"
    if event.strategy not in (0, parent.strategy):
        return CXL_OTHER, "not_amendable: TargetStrategy (847) stays; cancel and send a new order"
    if event.on_halt not in (OnHalt.WAIT, parent.on_halt):
        return CXL_OTHER, "not_amendable: J and K in ExecInst (18) stay; cancel and send a new order"
    return None


def _amendment(state: State, parent: ParentOrder, event: ReplaceRequested, gate: risk.Gate) -> Amendment | tuple[int, str]:
    """The order that the replace would make, or why it may not be: (CxlRejReason, text)."""
    order = _as_new(parent, event)
    has_begun = parent.start_ts <= event.ts
    if has_begun and "start_ts" in event.given and event.params.start_ts != parent.params.start_ts:
        return CXL_OTHER, "not_amendable: StartTime (168) stays once the order has begun; leave it out"
    # An opening auction that it had is over, and no reason to refuse anything. What counts is
    # what the order's own client has agreed to, whoever amends it.
    open_auction = order.params.open_auction and not (has_begun and parent.params.open_auction)
    asked = msgspec.structs.replace(order, session=parent.session, params=msgspec.structs.replace(order.params, open_auction=open_auction))
    denied = planning.refusal(state, asked)
    if denied is not None:
        return CXL_OTHER, f"{denied.code}: {denied.text}"
    assert state.setup is not None
    # A window that nobody touched stays as it was agreed, even where it is over and Completion goes on.
    agreed = Window(parent.start_ts, parent.end_ts, (), state.setup.hours)
    is_touched = "start_ts" in event.given or "end_ts" in event.given
    window = planning.window(state.setup, asked) if is_touched else auction.refusal(state.setup, asked, agreed) or agreed
    if isinstance(window, Denied):
        return CXL_OTHER, f"{window.code}: {window.text}"
    instrument, market = state.instruments[parent.symbol], state.markets[parent.symbol]
    limits, stand_in_px = bounds(state.setup, parent.session, parent.symbol, parent.strategy), risk.stand_in(instrument, state.setup.hours, event.ts)
    denied = admission.admit_amended(gate, limits, instrument, markets.reference(market), parent.parent_id, order, stand_in_px)
    if denied is not None:
        return CXL_OTHER, f"{denied.code}: {denied.text}"
    return Amendment(event.cl_ord_id, order.order_qty, order.ord_type, order.price, order.params, window.start_ts, window.end_ts)


def _as_new(parent: ParentOrder, event: ReplaceRequested) -> ParentRequested:
    """The amended order as if it came now. A limit without a price keeps the one it has; a market order has none."""
    price = event.price or (parent.price if event.ord_type is OrdType.LIMIT else 0)
    order_qty = event.order_qty or parent.order.order_qty
    params = msgspec.structs.replace(parent.params, **{field: getattr(event.params, field) for field in event.given})
    return ParentRequested(
        session=event.session, cl_ord_id=event.cl_ord_id, symbol=parent.symbol, side=parent.side,
        order_qty=order_qty, ord_type=event.ord_type, price=price,
        time_in_force=parent.time_in_force, strategy=parent.strategy, params=params, account=parent.account, ts=event.ts,
        is_located=0 < order_qty <= parent.order.order_qty,  # that much was located when it came
    )  # fmt: skip
