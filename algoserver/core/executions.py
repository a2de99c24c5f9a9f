"""What venues tell of our children, booked: first the child, then its parent and the gate, then the client hears.

Rule 1: whatever a venue says is booked if it can be true; what is strange is booked, alerted, and pauses the parent.
Rule 2: a child whose venue's session broke is unknown. Its quantity counts as open until the venue has told.
Rule 3: nothing here sends a new child. A parent is touched where it may go on at once; after a refusal or a cancel that
nobody asked for it waits for its next turn, or a venue that refuses everything would set our pace.
"""

from algoserver.core import auction, breakers, bundles, exposure, foreign, orders, reconcile
from algoserver.core.bounds import algo_scope
from algoserver.core.copies import copy_child
from algoserver.core.orders import ChildOrder, Held, ParentOrder
from algoserver.core.reports import alert, next_exec_id, pause, report, tell_fills
from algoserver.core.state import State, on_disconnect, open_children, profile, touch
from algoserver.domain.commands import Command
from algoserver.domain.events import (
    CancelRejected,
    ChildAccepted,
    ChildCanceled,
    ChildFilled,
    ChildMessage,
    ChildRejected,
    ChildReplaced,
    ChildStatusReported,
    FillBusted,
    FillCorrected,
)
from algoserver.domain.policy import VENUE_CANCELS
from algoserver.domain.types import ExecType, OrdStatus, TimeInForce

# Refusals in a row, by gate or venue, after which a parent waits for a person.
REFUSALS_MAX = 5
ENDED = {OrdStatus.CANCELED: ExecType.CANCELED, OrdStatus.DONE_FOR_DAY: ExecType.DONE_FOR_DAY, OrdStatus.EXPIRED: ExecType.EXPIRED}


def child_accepted(state: State, event: ChildAccepted, out: list[Command]) -> None:
    """The venue has it."""
    child = _child(state, event, out)
    if child is not None:
        if child.order.status is OrdStatus.PENDING_NEW:
            orders.on_accepted(child.order)
            breakers.on_accepted(state, algo_scope(state.parents[child.parent_id]), child.venue)
            copy_child(state, out, child, ExecType.NEW, event.ts)
        _open_again(state, child, event.ts, out)
        work = state.works.get(child.parent_id)
        if work is not None and not child.time_in_force.is_auction:  # a call may still cancel what it has accepted
            work.refusals = 0


def child_filled(state: State, event: ChildFilled, out: list[Command]) -> None:
    """Book a fill up the tree, once."""
    child = _child(state, event, out)
    if child is None:
        return
    parent = state.parents[child.parent_id]
    if not orders.on_fill(child.order, event.exec_id, event.last_px, event.last_qty):
        booked = child.order.fills.get(event.exec_id)
        if booked not in (None, (event.last_px, event.last_qty)):  # busted or corrected meanwhile, or the same once more
            pause(out, parent, "reused_exec_id", f"{child.venue} has two trades of {child.child_id} with ExecID {event.exec_id}; one is not booked")
            touch(state, parent.parent_id)
        return
    copy_child(
        state, out, child, ExecType.TRADE, event.ts, exec_id=event.exec_id, last=(event.last_px, event.last_qty),
        last_liquidity_ind=event.last_liquidity_ind,
    )  # fmt: skip
    was_open = child.child_id in parent.open_children
    fills_ns = profile(state, parent.session).fills_ns
    if not fills_ns:
        tell_fills(out, parent, event.ts)  # the interval was taken away meanwhile
    exec_id = child.reported[event.exec_id] = next_exec_id(parent)
    orders.on_fill(parent.order, exec_id, event.last_px, event.last_qty)
    _book_at_gate(state, parent, child, event.last_qty, event.last_px, event.ts)
    breakers.on_fill(state, algo_scope(parent), child.venue)
    last_mkt = event.last_mkt or child.venue
    if fills_ns:
        bundles.hold(state, parent, Held(exec_id, last_mkt, event.last_liquidity_ind, event.last_capacity), event.ts + fills_ns)
        if not orders.is_open(parent.order):
            tell_fills(out, parent, event.ts)
    else:
        report(
            out, parent, ExecType.TRADE, event.ts, last_px=event.last_px, last_qty=event.last_qty, last_mkt=last_mkt,
            last_liquidity_ind=event.last_liquidity_ind, last_capacity=event.last_capacity, exec_id=exec_id,
        )  # fmt: skip
    _settle(state, parent, child)
    if not was_open:
        pause(out, parent, "late_fill", f"{child.child_id} was over at {child.venue} and traded {event.last_qty} more")
    if child.order.cum_qty > child.order.order_qty or parent.order.cum_qty > parent.order.order_qty:
        text = f"{child.child_id}: {child.order.cum_qty} of {child.order.order_qty} done, parent {parent.order.cum_qty} of {parent.order.order_qty}"
        pause(out, parent, "overfill", text)
    reconcile.booked(state, child, "F", event.exec_id, (event.last_px, event.last_qty), out)
    touch(state, parent.parent_id)


def fill_busted(state: State, event: FillBusted, out: list[Command]) -> None:
    """Take a fill back up the tree. The quantity is not traded again until an operator says so."""
    child = _child(state, event, out)
    if child is None:
        return
    fill = orders.on_bust(child.order, event.exec_id, event.exec_ref_id)
    if fill is None:
        if not orders.is_known(child.order, event.exec_id):
            alert(out, "unknown_bust", child.child_id, f"{child.venue} busts {event.exec_ref_id}, which is not booked")
        return
    parent = state.parents[child.parent_id]
    copy_child(state, out, child, ExecType.TRADE_CANCEL, event.ts, exec_id=event.exec_id, exec_ref_id=event.exec_ref_id, last=fill)
    tell_fills(out, parent, event.ts)
    exec_id, booked_id = next_exec_id(parent), child.reported[event.exec_ref_id]
    orders.on_bust(parent.order, exec_id, booked_id)
    _book_at_gate(state, parent, child, -fill[1], fill[0], event.ts)
    ref_id = bundles.told_as(parent, booked_id)
    rest = bundles.change(parent, exec_id, booked_id, "")
    exec_type, (last_px, last_qty) = (ExecType.TRADE_CORRECT, rest) if rest else (ExecType.TRADE_CANCEL, fill)
    last_mkt, last_capacity = ("", "") if rest else (event.last_mkt or child.venue, event.last_capacity)
    report(
        out, parent, exec_type, event.ts, last_px=last_px, last_qty=last_qty, last_mkt=last_mkt, last_capacity=last_capacity,
        exec_ref_id=ref_id, exec_id=exec_id,
    )  # fmt: skip
    reconcile.booked(state, child, "H", event.exec_id, (0, 0), out)
    pause(out, parent, "bust", f"{child.venue} took back {fill[1]} of {child.child_id}; resume to trade it again")
    _settle_anew(state, parent, child)


def fill_corrected(state: State, event: FillCorrected, out: list[Command]) -> None:
    """Change a fill up the tree."""
    child = _child(state, event, out)
    if child is None:
        return
    old = orders.on_correct(child.order, event.exec_id, event.exec_ref_id, event.last_px, event.last_qty)
    if old is None:
        if not orders.is_known(child.order, event.exec_id):
            alert(out, "unknown_correction", child.child_id, f"{child.venue} corrects {event.exec_ref_id}, which is not booked")
        return
    parent = state.parents[child.parent_id]
    last = event.last_px, event.last_qty
    copy_child(state, out, child, ExecType.TRADE_CORRECT, event.ts, exec_id=event.exec_id, exec_ref_id=event.exec_ref_id, last=last)
    tell_fills(out, parent, event.ts)
    exec_id, booked_id = next_exec_id(parent), child.reported[event.exec_ref_id]
    child.reported[event.exec_id] = exec_id
    orders.on_correct(parent.order, exec_id, booked_id, event.last_px, event.last_qty)
    if last != old:
        _book_at_gate(state, parent, child, -old[1], old[0], event.ts)
        _book_at_gate(state, parent, child, event.last_qty, event.last_px, event.ts)
    ref_id = bundles.told_as(parent, booked_id)
    whole = bundles.change(parent, exec_id, booked_id, exec_id)
    last_px, last_qty = whole or (event.last_px, event.last_qty)
    last_mkt = "" if whole else event.last_mkt or child.venue
    report(
        out, parent, ExecType.TRADE_CORRECT, event.ts, last_px=last_px, last_qty=last_qty, last_mkt=last_mkt,
        last_liquidity_ind=0 if whole else event.last_liquidity_ind, last_capacity="" if whole else event.last_capacity,
        exec_ref_id=ref_id, exec_id=exec_id,
    )  # fmt: skip
    reconcile.booked(state, child, "G", event.exec_id, last, out)
    pause(out, parent, "correction", f"{child.venue} changed a fill of {child.child_id}; resume to go on")
    _settle_anew(state, parent, child)


def child_canceled(state: State, event: ChildCanceled, out: list[Command]) -> None:
    """The child is over with a rest: asked for, expired, or of the venue's own will."""
    child = _child(state, event, out)
    if child is None or not orders.is_open(child.order):
        return
    parent = state.parents[child.parent_id]
    is_over = child.time_in_force.is_auction and event.ts >= auction.call_ts(parent, child)
    ends_itself = child.time_in_force in (TimeInForce.IOC, TimeInForce.FOK) or is_over
    is_agreed = child.is_unknown and on_disconnect(state, child.venue) == VENUE_CANCELS
    was_asked = child.order.is_cancel_pending or ends_itself or is_agreed
    orders.on_ended(child.order, event.ord_status)
    copy_child(state, out, child, ENDED[event.ord_status], event.ts, event.text)
    close(state, child)
    if was_asked or (not parent.open_children and not child.time_in_force.is_auction):
        touch(state, child.parent_id)
    if not was_asked:
        if child.time_in_force.is_auction:
            _refused(state, parent, child, f"{child.venue} canceled an order for its auction: {event.text}", out)
        why = _why(event.exec_restatement_reason)
        alert(out, "unsolicited_cancel", child.child_id, f"{child.venue} ended it ({event.ord_status.name}{why}): {event.text}")


def child_replaced(state: State, event: ChildReplaced, out: list[Command]) -> None:
    """The venue changed the quantity by itself: more than we asked for is its overfill to come, and an alert."""
    child = _child(state, event, out)
    if child is None or not orders.is_open(child.order):
        return
    if event.order_qty > child.order.order_qty:
        parent = state.parents[child.parent_id]
        pause(out, parent, "unsolicited_increase", f"{child.venue} raised {child.child_id} to {event.order_qty}{_why(event.exec_restatement_reason)}")
    elif event.order_qty < child.order.order_qty:
        text = f"{child.venue} cut {child.child_id} to {event.order_qty}{_why(event.exec_restatement_reason)}; the rest is worked elsewhere"
        alert(out, "unsolicited_decrease", child.child_id, text)
    orders.on_replaced(child.order, event.order_qty)
    copy_child(state, out, child, ExecType.RESTATED, event.ts)
    exposure.on_resized(state.gate, child.child_id, orders.leaves_qty(child.order))
    _settle(state, state.parents[child.parent_id], child)


def child_rejected(state: State, event: ChildRejected, out: list[Command]) -> None:
    """The venue did not take it. After several in a row the parent waits for a person."""
    child = _child(state, event, out)
    if child is None or not orders.is_open(child.order):
        return
    orders.on_ended(child.order, OrdStatus.REJECTED)
    copy_child(state, out, child, ExecType.REJECTED, event.ts, event.text)
    close(state, child)
    parent = state.parents[child.parent_id]
    _refused(state, parent, child, f"{child.venue}: {event.text}", out)
    if parent.paused_by or not parent.open_children:
        touch(state, child.parent_id)


def cancel_rejected(state: State, event: CancelRejected, out: list[Command]) -> None:
    """A cancel was refused. If the child should have been over by now, the venue is asked how it stands."""
    stranger = state.foreign.get(foreign.key(event.session, event.child_id))
    if stranger is not None:
        foreign.cancel_rejected(state, stranger, event, out)
        return
    child = _child(state, event, out)
    if child is None:
        return
    orders.on_cancel_rejected(child.order)
    if orders.is_open(child.order):
        child.is_unknown = True
        touch(state, child.parent_id)  # its turn asks, but not faster than a venue may be asked


def child_status_reported(state: State, event: ChildStatusReported, out: list[Command]) -> None:
    """How a child stands at its venue. What the venue has done and we have not is an alert, and the parent waits."""
    child = _child(state, event, out)
    if child is None:
        return
    parent = state.parents[child.parent_id]
    child.is_unknown, child.asks = False, 0
    # A venue forgets overnight what is over: it has no quantity then that could differ from ours.
    is_forgotten = not event.is_known and not orders.is_open(child.order)
    if event.cum_qty != child.order.cum_qty and not is_forgotten:
        text = f"{child.venue} has {event.cum_qty} done of {child.child_id}, we have {child.order.cum_qty}: compare executions, then resume"
        pause(out, parent, "unequal_books", text)
    if event.is_known and event.ord_status not in orders.FINAL:
        _open_again(state, child, event.ts, out)
        child.is_unknown = False
    if orders.is_open(child.order):
        if not event.is_known:
            if child.order.status is not OrdStatus.PENDING_NEW:
                alert(out, "lost_child", child.child_id, f"{child.venue} had accepted it and does not know it now")
            orders.on_ended(child.order, OrdStatus.REJECTED)
            copy_child(state, out, child, ExecType.REJECTED, event.ts, "it does not know the order")
            close(state, child)
        elif event.ord_status in orders.FINAL:
            ended = event.ord_status if event.ord_status is not OrdStatus.FILLED else OrdStatus.CANCELED
            orders.on_ended(child.order, ended)
            copy_child(state, out, child, ENDED.get(ended, ExecType.REJECTED), event.ts, "by its answer to a status request")
            close(state, child)
        else:
            orders.on_accepted(child.order)
            if child.asked_ts > child.cancel_ts:
                # A cancel from before we asked is lost; the parent's turn cancels again if it still wants to.
                orders.on_cancel_rejected(child.order)
            _stop_waiting(state, parent)
            if child.is_left_over and on_disconnect(state, child.venue) == VENUE_CANCELS:
                alert(out, "not_canceled", child.child_id, f"{child.venue} should have canceled it when our session was lost; it is taken back")
                state.stale[child.child_id] = None
            child.is_left_over = False
    touch(state, parent.parent_id)


def count_refusal(state: State, parent: ParentOrder, text: str, out: list[Command]) -> None:
    """One more refusal in a row; too many pause the parent."""
    work = state.works.get(parent.parent_id)
    if work is None:
        return
    work.refusals += 1
    if work.refusals >= REFUSALS_MAX:
        pause(out, parent, "refusals", f"{work.refusals} refusals in a row, the last: {text}")
        work.refusals = 0


def _refused(state: State, parent: ParentOrder, child: ChildOrder, text: str, out: list[Command]) -> None:
    """A venue does not want an order. One at the open can go nowhere else: it is not tried again, and is no reason for a pause."""
    work = state.works.get(parent.parent_id)
    if child.time_in_force is not TimeInForce.AT_OPEN:
        count_refusal(state, parent, text, out)
        breakers.on_refused(state, (algo_scope(parent), f"venue:{child.venue}"), text, out)
    elif work is not None and not work.is_opening_missed:
        work.is_opening_missed = True
        alert(out, "auction_missed", parent.parent_id, f"{text}; what does not get into the opening auction returns to the plan")


def _child(state: State, event: ChildMessage, out: list[Command]) -> ChildOrder | None:
    child = state.children.get(event.child_id)
    if child is None or child.venue != event.session:
        alert(out, "unknown_child", event.child_id, f"{event.session} reports {type(event).__name__} of an order that is not ours")
        return None
    return child


def _why(exec_restatement_reason: int) -> str:
    return f", 378={exec_restatement_reason}" if exec_restatement_reason >= 0 else ""


def _book_at_gate(state: State, parent: ParentOrder, child: ChildOrder, quantity: int, px: int, ts: int) -> None:
    exposure.on_fill(state.gate, parent.parent_id, child.child_id, quantity, px, ts)
    work = state.works.get(parent.parent_id)
    if work is not None:
        work.traded.add(ts, quantity)


def _settle(state: State, parent: ParentOrder, child: ChildOrder) -> None:
    """After a change of quantity: a child that is done is closed, and the parent looked at."""
    if not orders.is_open(child.order):
        close(state, child)
    touch(state, parent.parent_id)


def _settle_anew(state: State, parent: ParentOrder, child: ChildOrder) -> None:
    """After a bust or correction: what it gave back may trade again (J.1.a), in a child that was filled too. The venue is asked."""
    if orders.is_open(child.order):
        exposure.on_resized(state.gate, child.child_id, orders.leaves_qty(child.order))
        if child.child_id not in parent.open_children:
            parent.open_children[child.child_id] = None
            child.is_unknown = True
    _settle(state, parent, child)


def _open_again(state: State, child: ChildOrder, ts: int, out: list[Command]) -> None:
    """A child that its venue refused or did not know, or that never left, is there after all: it is asked for, and its parent stops."""
    if not orders.on_found(child.order):
        return
    parent = state.parents[child.parent_id]
    parent.open_children[child.child_id] = None
    child.is_unknown = True
    exposure.on_resized(state.gate, child.child_id, orders.leaves_qty(child.order))
    copy_child(state, out, child, ExecType.RESTATED, ts, "it is there after all")
    pause(out, parent, "not_over", f"{child.venue} has {child.child_id}, which was over: its quantity may be out twice; resume when it is back")
    touch(state, parent.parent_id)


def close(state: State, child: ChildOrder) -> None:
    """A child is over, in the parent's books and the gate's."""
    parent = state.parents[child.parent_id]
    parent.open_children.pop(child.child_id, None)
    child.is_unknown, child.asks, child.is_left_over = False, 0, False
    state.stale.pop(child.child_id, None)
    exposure.on_resized(state.gate, child.child_id, 0)
    _stop_waiting(state, parent)


def _stop_waiting(state: State, parent: ParentOrder) -> None:
    """After a restart: the parent trades once every child's state is known, by an answer or by its end."""
    if parent.awaits_status and not any(c.is_unknown for c in open_children(state, parent)):
        parent.awaits_status = False

