"""Order states: FIX 4.4 Appendix D.

Rule 1: every change of an order's state or quantity is made here.
Rule 2: this file does not know whose order it is; parents and children obey the same table.
Rule 3: books before status. A fill is booked whatever the state, once per ExecID; the status follows if it may.
"""

import msgspec

from algoserver.domain.params import AlgoParams
from algoserver.domain.types import OnHalt, OrdStatus, OrdType, Side, TimeInForce

FINAL = frozenset((OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED, OrdStatus.DONE_FOR_DAY))
# A fill changes the quantity always, the status only from these states. Elsewhere the higher precedence wins:
# a fill does not end a pending cancel nor reopen a canceled order (FIX 4.2 D35).
FILLABLE = frozenset((OrdStatus.PENDING_NEW, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED))
# Where a pending cancel or replace is what FIX reports.
PENDABLE = FILLABLE | {OrdStatus.STOPPED, OrdStatus.SUSPENDED}
# Every order passes these; to ask the enum takes ten times as long in Python 3.11.
PENDING_NEW, NEW = OrdStatus.PENDING_NEW, OrdStatus.NEW


class Order(msgspec.Struct, gc=False):
    """Quantities and state of one order. status is without what is pending; ord_status() is what FIX reports.

    replaces_pending: how many replaces are on their way, one behind the other. money: sum of last_px * last_qty.
    fills: ExecID -> (last_px, last_qty), what is booked now.
    seen: ExecIDs of busts and corrections, which are news only once.
    """

    order_qty: int
    status: OrdStatus = PENDING_NEW
    is_cancel_pending: bool = False
    replaces_pending: int = 0
    cum_qty: int = 0
    money: int = 0
    fills: dict[str, tuple[int, int]] = {}
    seen: dict[str, None] = {}


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """What a parent is going to be once its children fit. cl_ord_id: of the replace; start_ts and end_ts: its new window.

    exec_restatement_reason: 378, where an operator wants it and no client has asked by message; -1 of a client's.
    """

    cl_ord_id: str
    order_qty: int
    ord_type: OrdType
    price: int
    params: AlgoParams
    start_ts: int
    end_ts: int
    exec_restatement_reason: int = -1


class Held(msgspec.Struct, frozen=True):
    """A fill that is booked and not yet told. exec_id: under which the parent's order has it."""

    exec_id: str
    last_mkt: str
    last_liquidity_ind: int
    last_capacity: str = ""


class ParentOrder(msgspec.Struct, gc=False):
    """What the client asked. parent_id is its OrderID (37). Times in ns UTC, quantities in the instrument's units.

    open_children: ids of children that may still trade. next_child, next_exec: what the next id will be.
    orig_cl_ord_id: the ClOrdID that its last replace took the place of. cancel_cl_ord_id: ClOrdID of the client's pending cancel.
    amendment: a pending replace, the client's or an operator's. amended_ts, amended_px: time and mid of the last one, a benchmark beside the
    arrival. ended_as: the state to end in once no child is open; end_text and end_reason (378) say why.
    paused_by: who or what stopped it from sending, pause_text: why; empty while it works. awaits_status: a restart left children whose
    state their venue must first tell. held: fills that the client has not heard of, told together at tell_ts (0: none).
    bundles: ExecID of a report -> fills that it told together; bundled: the same the other way. resumed_px: mid when an operator last
    let it go on, 0 if none did: how far the price has moved counts from there.
    """

    parent_id: str
    session: str
    cl_ord_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    price: int
    time_in_force: TimeInForce
    strategy: int
    params: AlgoParams
    account: str
    order: Order
    arrival_ts: int
    arrival_px: int
    start_ts: int
    end_ts: int
    qty_decimals: int
    on_halt: OnHalt = OnHalt.WAIT
    open_children: dict[str, None] = {}
    next_child: int = 1
    next_exec: int = 1
    orig_cl_ord_id: str = ""
    cancel_cl_ord_id: str = ""
    amendment: Amendment | None = None
    amended_ts: int = 0
    amended_px: int = 0
    ended_as: OrdStatus | None = None
    end_text: str = ""
    end_reason: int = -1
    paused_by: str = ""
    pause_text: str = ""
    awaits_status: bool = False
    held: list[Held] = []
    tell_ts: int = 0
    bundles: dict[str, list[str]] = {}
    bundled: dict[str, str] = {}
    resumed_px: int = 0


class ChildOrder(msgspec.Struct, gc=False):
    """What we sent to a venue. is_unknown: its venue's session broke and the venue has not yet told us its state.

    cancels: number of cancels asked, which makes their ids. asked_ts: when its status was last asked; asks: how often since it was told.
    reported: the venue's ExecID -> ExecID under which the client heard of it. copies: reports of it that were no trades.
    is_dark: it rests unseen, pegged to the mid, with `price` as its limit and min_qty as its least execution.
    is_left_over: it was there when its venue's session was lost, and the venue has not told of it since.
    """

    child_id: str
    parent_id: str
    venue: str
    symbol: str
    side: Side
    price: int
    time_in_force: TimeInForce
    order: Order
    sent_ts: int
    is_unknown: bool = False
    cancels: int = 0
    cancel_ts: int = 0
    asked_ts: int = 0
    reported: dict[str, str] = {}
    is_dark: bool = False
    min_qty: int = 0
    copies: int = 0
    asks: int = 0
    is_left_over: bool = False


def ord_status(order: Order) -> OrdStatus:
    """OrdStatus (39) by FIX's precedence: what is pending stands above everything but an end it did not survive."""
    if order.is_cancel_pending and order.status in PENDABLE:
        return OrdStatus.PENDING_CANCEL
    if order.replaces_pending and order.status in PENDABLE:
        return OrdStatus.PENDING_REPLACE
    return order.status


def is_open(order: Order) -> bool:
    """Whether more fills are to be expected."""
    return order.status not in FINAL


def leaves_qty(order: Order) -> int:
    """LeavesQty (151): 0 in a final state, never negative."""
    leaves = order.order_qty - order.cum_qty
    return 0 if order.status in FINAL or leaves < 0 else leaves


def avg_px(order: Order) -> int:
    """AvgPx (6) in price units, rounded once, half up."""
    return (2 * order.money + order.cum_qty) // (2 * order.cum_qty) if order.cum_qty else 0


def on_accepted(order: Order) -> None:
    """The order is in the book. A late acknowledgement changes nothing."""
    if order.status is PENDING_NEW:
        order.status = NEW


def mean_px(order: Order, exec_ids: list[str]) -> tuple[int, int]:
    """Mean price, rounded once, half up, and sum of some booked fills."""
    total = sum(order.fills[i][1] for i in exec_ids)
    money = sum(order.fills[i][0] * order.fills[i][1] for i in exec_ids)
    return (2 * money + total) // (2 * total), total


def on_fill(order: Order, exec_id: str, last_px: int, last_qty: int) -> bool:
    """Book a fill; False if this ExecID is booked already. The quantity may exceed order_qty: the caller says so."""
    assert last_qty > 0
    if is_known(order, exec_id):
        return False
    order.fills[exec_id] = (last_px, last_qty)
    _rebook(order, last_qty, last_px * last_qty)
    return True


def is_known(order: Order, exec_id: str) -> bool:
    """Whether this ExecID has been booked, as a trade, a bust or a correction, whatever became of it."""
    return exec_id in order.fills or exec_id in order.seen


def on_bust(order: Order, exec_id: str, exec_ref_id: str) -> tuple[int, int] | None:
    """Take a fill back; (px, qty) that it had, or None if it is not booked or this is no news."""
    if exec_id in order.seen or exec_ref_id not in order.fills:
        return None
    order.seen[exec_id] = None
    # The busted ExecID stays known: sent once more it is a duplicate, not a new trade.
    order.seen[exec_ref_id] = None
    fill = order.fills.pop(exec_ref_id)
    _rebook(order, -fill[1], -fill[0] * fill[1])
    return fill


def on_correct(order: Order, exec_id: str, exec_ref_id: str, last_px: int, last_qty: int) -> tuple[int, int] | None:
    """Replace a fill by what it should have been; (px, qty) that it had, or None as in on_bust.

    The corrected fill is booked under the new ExecID, which a further correction refers to.
    """
    assert last_qty > 0
    if is_known(order, exec_id) or exec_ref_id not in order.fills:
        return None
    old_px, old_qty = order.fills.pop(exec_ref_id)
    order.seen[exec_ref_id] = None
    order.fills[exec_id] = (last_px, last_qty)
    _rebook(order, last_qty - old_qty, last_px * last_qty - old_px * old_qty)
    return old_px, old_qty


def on_cancel_requested(order: Order) -> None:
    """A cancel is on its way."""
    order.is_cancel_pending = True


def on_cancel_rejected(order: Order) -> None:
    """The cancel was refused: what stood before holds again (B.1.b, B.1.c)."""
    order.is_cancel_pending = False


def on_replace_requested(order: Order) -> None:
    """A replace is on its way; there may be one before it (D.2.b)."""
    order.replaces_pending += 1


def on_replace_rejected(order: Order) -> None:
    """A replace was refused; the order is what it was (D.1.b)."""
    order.replaces_pending = max(0, order.replaces_pending - 1)


def on_ended(order: Order, status: OrdStatus) -> None:
    """The order ended with a rest: CANCELED, EXPIRED, DONE_FOR_DAY or REJECTED. An end is final: the first one holds."""
    assert status in FINAL
    assert status is not OrdStatus.FILLED
    order.is_cancel_pending = False
    order.replaces_pending = 0
    if order.status not in FINAL:
        order.status = status


def on_found(order: Order) -> bool:
    """The order was said not to be, and lives after all; False if it was not rejected or has nothing left to do."""
    if order.status is not OrdStatus.REJECTED or order.cum_qty >= order.order_qty:
        return False
    order.status = _by_quantity(order)
    return True


def on_replaced(order: Order, order_qty: int) -> None:
    """The quantity is another now, asked for or not; never below what is done (C.3.c). A filled order may be open again (C.1.c)."""
    order.replaces_pending = max(0, order.replaces_pending - 1)
    order.order_qty = max(order_qty, order.cum_qty)
    if order.status in FILLABLE:
        order.status = _by_quantity(order)


def _rebook(order: Order, qty: int, money: int) -> None:
    order.cum_qty += qty
    order.money += money
    if order.status in FILLABLE:
        order.status = _by_quantity(order)


def _by_quantity(order: Order) -> OrdStatus:
    if order.cum_qty >= order.order_qty > 0:
        return OrdStatus.FILLED
    return OrdStatus.PARTIALLY_FILLED if order.cum_qty else OrdStatus.NEW
