"""Sessions that break and come back, and messages that did not get through.

Rule 1: a child whose venue's session broke is unknown: its quantity counts as open, and the venue is asked when it is back. What is agreed with
the venue (on_disconnect) changes nothing of that: one that cancels by agreement is believed when it has said so.
Rule 2: a message that can't be read may have been about any child that waits for an answer: each of them is asked for.
Rule 3: what becomes of the orders of a client who is gone is the policy's word (on_disconnect). Who has not come back some time after a start
is gone: he left with the last process, or it with him.
"""

from algoserver.core import foreign, orders, reconcile, risk
from algoserver.core.bounds import bounds
from algoserver.core.copies import copy_child
from algoserver.core.executions import close
from algoserver.core.market import forget
from algoserver.core.orders import ChildOrder
from algoserver.core.reports import BROKER_OPTION, alert, over, pause
from algoserver.core.state import State, on_disconnect, open_children, touch
from algoserver.domain.commands import AskChildStatus, Command
from algoserver.domain.events import Garbled, SendFailed, SessionDown, SessionUp
from algoserver.domain.policy import KEEP, TAKE_BACK, VENUE_CANCELS
from algoserver.domain.types import COPY_SUFFIX, FEED_SUFFIX, SECOND, ExecType, OrdStatus

# A venue that has not said how a child stands is asked again after this.
ASK_AGAIN_NS = 5 * SECOND
# How long after a start venues and clients may take to come; each connects again every second.
AWAITED_NS = 60 * SECOND
THEN = {
    KEEP: "they rest on there, and go on when it has told",
    TAKE_BACK: "they are taken back when it has told",
    VENUE_CANCELS: "it cancels them by agreement, and is believed when it has told",
}


def session_up(state: State, event: SessionUp, out: list[Command]) -> None:
    """A venue is back: ask how every child stands there before its parent goes on."""
    state.sessions[event.session] = True
    state.awaited.pop(event.session, None)
    if event.session.endswith(COPY_SUFFIX):
        reconcile.session_up(state, event.session, out)
    if event.session in state.venues_up:
        state.venues_up[event.session] = True
        over(out, "venue_down", event.session)
        over(out, "venue_awaited", event.session)
        over(out, "venue_missing", event.session)
        for child in _open_at(state, event.session):
            child.is_unknown = True
            ask_status(state, child, event.ts, out)
            if child.is_left_over and on_disconnect(state, event.session) == TAKE_BACK:
                state.stale[child.child_id] = None
        foreign.ask_all(state, event.session, out)


def session_down(state: State, event: SessionDown, out: list[Command]) -> None:
    """A session is gone. A venue's children are unknown until it is back; a feed's prices are no prices."""
    state.sessions[event.session] = False
    if event.session in state.venues_up:
        state.venues_up[event.session] = False
        children = _open_at(state, event.session)
        for child in children:
            child.is_unknown, child.asks, child.is_left_over = True, 0, True
            if event.is_restart:
                state.parents[child.parent_id].awaits_status = True
        code = "venue_awaited" if event.is_restart and not children else "venue_down"
        then = f"; {THEN[on_disconnect(state, event.session)]}" if children else ""
        alert(out, code, event.session, f"{event.reason}; {len(children)} open children there are unknown and count as open{then}")
    elif event.session.endswith(FEED_SUFFIX):
        for market in state.markets.values():
            forget(market, event.session.removesuffix(FEED_SUFFIX), event.ts)
    elif event.session.endswith(COPY_SUFFIX):
        if not event.is_restart:
            reconcile.session_down(state, event.session, event.reason, out)
    elif not event.is_restart:  # that one was our doing
        _client_down(state, event.session, out)


def await_all(state: State, ts: int) -> None:
    """A process begins: every venue should come, with its drop copy, and each client whose orders are at work."""
    copies = (v.name + COPY_SUFFIX for v in state.setup.venues if v.has_copy) if state.setup else ()
    state.awaited = dict.fromkeys((*state.venues_up, *copies, *(state.parents[parent_id].session for parent_id in state.works)))
    state.awaited_ts = ts + AWAITED_NS


def miss(state: State, out: list[Command]) -> None:
    """Some time after a start: who has not come? A venue is an alert, and a client's orders are those of a client who is gone."""
    awaited, state.awaited = state.awaited, {}
    for name in awaited:
        if state.sessions.get(name):
            continue  # it has been there all the time
        if name in state.venues_up:
            alert(out, "venue_missing", name, f"its session did not come up within {AWAITED_NS // SECOND} s of the start; nothing can be sent there")
        elif name.endswith(COPY_SUFFIX):
            reconcile.session_down(state, name, f"its session did not come up within {AWAITED_NS // SECOND} s of the start", out)
        else:
            _client_down(state, name, out)


def send_failed(state: State, event: SendFailed, out: list[Command]) -> None:
    """A message did not leave. An order never was; a cancel is repeated when the venue is back."""
    child = state.children.get(event.child_id)
    if child is None or not orders.is_open(child.order):
        return
    if event.reason:
        alert(out, "not_sent", event.child_id, event.reason)
    if event.msg_type == "D":
        orders.on_ended(child.order, OrdStatus.REJECTED)
        copy_child(state, out, child, ExecType.REJECTED, event.ts, "the order did not leave")
        close(state, child)  # its parent goes on at its next turn: sent again at once it would only fail again
    elif event.msg_type == "F":
        orders.on_cancel_rejected(child.order)
        child.is_unknown = True


def garbled_by_venue(state: State, event: Garbled, out: list[Command]) -> None:
    """A venue's message that can't be read, or its refusal of one of ours (3, j): ask about every child it may concern."""
    alert(out, event.code, event.session, event.text)
    for child in _open_at(state, event.session):
        is_waiting = child.order.status is OrdStatus.PENDING_NEW or child.order.is_cancel_pending
        if child.child_id == event.cl_ord_id or (is_waiting and not event.cl_ord_id):
            child.is_unknown = True
            touch(state, child.parent_id)


def ask_status(state: State, child: ChildOrder, ts: int, out: list[Command]) -> None:
    """Ask the venue how a child stands."""
    child.asked_ts = ts
    child.asks += 1
    out.append(AskChildStatus(child_id=child.child_id, venue=child.venue, symbol=child.symbol, side=child.side))
    if state.setup is not None:
        risk.count_message(state.gate, state.setup.policy, child.venue, ts)


def _client_down(state: State, session: str, out: list[Command]) -> None:
    """A client who is gone can't take his orders back: what becomes of them is agreed, on_disconnect of the policy."""
    setup = state.setup
    if setup is None:
        return
    for parent in (state.parents[parent_id] for parent_id in state.works):
        if parent.session != session or not orders.is_open(parent.order):
            continue
        wanted = bounds(setup, parent.session, parent.symbol, parent.strategy).on_disconnect
        if wanted == "pause" and not parent.paused_by:
            pause(out, parent, "disconnected", f"{session} is gone; resume when it is back")
        elif wanted == "cancel" and not parent.ended_as:
            parent.ended_as, parent.end_reason = OrdStatus.CANCELED, BROKER_OPTION
            parent.end_text = f"canceled because {session} disconnected"
        touch(state, parent.parent_id)


def _open_at(state: State, venue: str) -> list[ChildOrder]:
    found = []
    for parent_id in state.works:
        found += [c for c in open_children(state, state.parents[parent_id]) if c.venue == venue]
    return found
