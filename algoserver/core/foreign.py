"""Orders at a venue that we did not send, or do not know any more: what is heard of them, and what waits for a person's word.

Rule 1: a foreign order stops our trading in its symbol at its venue, and no further: what it trades there we may be trading too, but
other venues and symbols have another cause. Where the venue does not say which symbol, it stops there as a whole.
Rule 2: only an operator ends that: he adopts the order (it is known, let it be) or cancels it, which is done when the venue says so.
Rule 3: it belongs to no parent. What it trades is remembered and alerted, never reported to a client.
"""

from algoserver.core.orders import FINAL
from algoserver.core.reports import alert
from algoserver.core.state import ForeignOrder, State, touch
from algoserver.domain.commands import AskChildStatus, CancelChild, Command
from algoserver.domain.events import CancelRejected, ForeignOrderReported, OperatorCommanded
from algoserver.domain.types import OrdStatus, Side, qty_text

# Of an order without ClOrdID (11), as one by telephone has none, before its OrderID (37).
NAMELESS = "#"
ADOPT, CANCEL = "adopt", "cancel_foreign"
# CxlRejReason (102): too late, or the venue does not know it either.
NOTHING_LEFT = (0, 1)


def key(venue: str, cl_ord_id: str) -> str:
    """Its place in State.foreign, and an operator's target."""
    return f"{venue} {cl_ord_id}"


def reported(state: State, event: ForeignOrderReported, out: list[Command]) -> None:
    """Remember what the venue says; the first word stops trading there, unless the order is over and has done nothing."""
    name = key(event.session, event.child_id)
    known = state.foreign.get(name)
    if known is None:
        if event.ord_status in FINAL and not event.cum_qty:
            alert(out, "unknown_child", event.child_id, f"{event.session} reports {event.ord_status.name} of an order that is not ours")
            return
        known = state.foreign[name] = ForeignOrder(
            venue=event.session, cl_ord_id=event.child_id, symbol=event.symbol, side=event.side, order_qty=event.order_qty, since_ts=event.ts
        )
        what = f"{event.side} {_quantity(state, known, event.order_qty)} {event.symbol or 'of something'}".strip()
        text = f"{event.session} has {event.child_id} ({what}), which we did not send; adopt or cancel it to trade {event.symbol or 'anything'} there"
        alert(out, "foreign_order", name, text)
        _touch(state, known)
    # A status answer to an order that the venue does not know says nothing about what it traded.
    if event.ord_status is not OrdStatus.REJECTED and event.cum_qty != known.cum_qty:
        done = f"{_quantity(state, known, event.cum_qty)} of {_quantity(state, known, event.order_qty)} done"
        alert(out, "foreign_trade", name, f"{done} of {event.child_id} at {event.session}, for no client of ours")
        known.cum_qty = event.cum_qty
    known.order_qty = event.order_qty or known.order_qty
    known.ord_status = event.ord_status
    _settle(state, known, out)


def cancel_rejected(state: State, known: ForeignOrder, event: CancelRejected, out: list[Command]) -> None:
    """The operator's cancel was refused. If nothing is left of the order that is as good as done."""
    if event.cxl_rej_reason in NOTHING_LEFT:
        known.ord_status = event.ord_status if event.ord_status in FINAL else OrdStatus.REJECTED
        _settle(state, known, out)
        return
    known.canceled_by = ""
    alert(out, "foreign_cancel_refused", key(known.venue, known.cl_ord_id), f"{known.venue} does not cancel {known.cl_ord_id}: {event.text}")


def commanded(state: State, event: OperatorCommanded, out: list[Command]) -> None:
    """Adopt or cancel one. What makes no sense is refused before this, by control."""
    known = state.foreign.get(event.target)
    if known is None:
        alert(out, "no_such_order", event.target, f"{event.operator} asked to {event.verb} it")
    elif event.verb == ADOPT:
        known.released_by = event.operator
        alert(out, "foreign_adopted", event.target, f"by {event.operator}: {event.reason}")
        _touch(state, known)
    elif not is_open(known):
        alert(out, "foreign_not_canceled", event.target, f"{known.cl_ord_id} is {known.ord_status.name} at {known.venue}; adopt it to trade there")
    elif not is_nameable(known):
        text = f"{known.venue} has not said the {_unsaid(known)} of {known.cl_ord_id}, so no message can name it; cancel it there, then adopt it"
        alert(out, "foreign_not_canceled", event.target, text)
    else:
        known.canceled_by = event.operator
        instrument = state.instruments.get(known.symbol)
        out.append(
            CancelChild(
                child_id=known.cl_ord_id, cancel_id=f"{state.run}.x{event.seq}", venue=known.venue, symbol=known.symbol,
                side=Side(known.side), order_qty=known.order_qty, qty_decimals=instrument.qty_decimals if instrument else 0,
            )  # fmt: skip
        )


def ask_all(state: State, venue: str, out: list[Command]) -> None:
    """A venue is back: how do those that may still trade stand?"""
    for known in state.foreign.values():
        if known.venue == venue and is_open(known) and is_nameable(known):
            out.append(AskChildStatus(child_id=known.cl_ord_id, venue=venue, symbol=known.symbol, side=Side(known.side)))


def is_nameable(known: ForeignOrder) -> bool:
    """Whether a message can be about it: that takes its ClOrdID, symbol and side, and the venue need not have said them."""
    return not _unsaid(known)


def _unsaid(known: ForeignOrder) -> str:
    if known.cl_ord_id.startswith(NAMELESS):
        return "ClOrdID (11)"
    if not known.symbol:
        return "symbol (55)"
    return "" if known.side in tuple(Side) else "side (54)"


def is_open(known: ForeignOrder) -> bool:
    """Whether it may still trade."""
    return known.ord_status not in FINAL


def shut(state: State, venue: str, symbol: str) -> str:
    """Why we send nothing in this symbol to this venue; empty if no foreign order waits there."""
    if not state.foreign:
        return ""
    for known in state.foreign.values():
        if known.venue == venue and known.symbol in ("", symbol) and not known.released_by:
            return f"order {known.cl_ord_id} is there, which we did not send"
    return ""


def _settle(state: State, known: ForeignOrder, out: list[Command]) -> None:
    if known.canceled_by and not is_open(known) and not known.released_by:
        known.released_by = known.canceled_by
        text = f"{known.cl_ord_id} is {known.ord_status.name}, {_quantity(state, known, known.cum_qty)} done; canceled by {known.canceled_by}"
        alert(out, "foreign_settled", key(known.venue, known.cl_ord_id), text)
        _touch(state, known)


def _touch(state: State, known: ForeignOrder) -> None:
    for parent_id in state.works:
        if known.symbol in ("", state.parents[parent_id].symbol):
            touch(state, parent_id)


def _quantity(state: State, known: ForeignOrder, quantity: int) -> str:
    instrument = state.instruments.get(known.symbol)
    return qty_text(quantity, instrument.qty_decimals if instrument else 0)
