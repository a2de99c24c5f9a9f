"""What a person may do to the running machine: kill, release, pause, resume, cancel; amend and foreign orders have their own rooms.

Rule 1: what makes no sense is refused before it is an event, by control; here it is done.
Rule 2: what opens again is no command of one person: a release is proposed (core/proposals), but that of the server's own stop.
"""

from algoserver.core import alerts, foreign, orders, proposals, stops
from algoserver.core import market as markets
from algoserver.core.bounds import FIRM
from algoserver.core.reports import BROKER_OPTION, BY_PERSON, VERBAL_CHANGE, alert, over_with
from algoserver.core.state import State, touch
from algoserver.domain.alerts import Ending
from algoserver.domain.commands import Command
from algoserver.domain.events import OperatorCommanded
from algoserver.domain.types import OURS, OrdStatus


def operator_commanded(state: State, event: OperatorCommanded, out: list[Command]) -> None:
    """Do what the operator says. An order that is unknown or over is refused before this, by control."""
    if event.verb == "stop":
        state.is_stopping = True
        if FIRM not in state.gate.stops:
            stops.stop(state, FIRM, stops.STOPPING, "", out, code="stopping")
        else:
            alert(out, "stopping", FIRM, f"it is stopped already, by {state.gate.stops[FIRM].text}, and the next start keeps that")
        return
    if event.verb == "kill":
        stops.stop(state, event.target, event.operator, event.reason, out)
        return
    if event.verb == "release":
        known = state.gate.stops.get(event.target)
        if event.operator != OURS or event.target != FIRM or known is None or known.by != stops.STOPPING:
            alert(out, "approval_refused", event.target, f"{event.operator} wants it released; that is proposed, and approved by another person")
            return
        state.is_stopping = False
        stops.release(state, FIRM, event.operator, event.reason, out, code="started")
        return
    if event.verb == "approve":
        proposals.approve(state, event.target, event.operator, out)
        return
    if event.verb == "withdraw":
        proposals.withdraw(state, event.target, event.operator, out)
        return
    if event.verb == "ack":
        alerts.acknowledge(state.alerts, event.target, event.operator, event.reason, event.ts, out)
        return
    if event.verb in (foreign.ADOPT, foreign.CANCEL):
        foreign.commanded(state, event, out)
        return
    parent = state.parents.get(event.target)
    if parent is None:
        alert(out, "no_such_order", event.target, f"{event.operator} asked to {event.verb} it")
        return
    if event.verb == "pause":
        parent.paused_by, parent.pause_text = f"{BY_PERSON} {event.operator}", event.reason
    elif event.verb == "resume":
        parent.paused_by = parent.pause_text = ""
        market = state.markets.get(parent.symbol)
        parent.resumed_px = markets.mid(market) if market else 0
        over_with(out, parent.parent_id, Ending.RESUME)
    elif event.verb == "cancel" and orders.is_open(parent.order):
        parent.ended_as, parent.end_reason = OrdStatus.CANCELED, VERBAL_CHANGE if event.is_verbal else BROKER_OPTION
        parent.end_text = f"canceled by the desk: {event.reason}"
    touch(state, parent.parent_id)
