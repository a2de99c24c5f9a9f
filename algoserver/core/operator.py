"""What a person may do to the running machine: kill, release, pause, resume, cancel; amend and foreign orders have their own rooms.

Rule: what makes no sense is refused before it is an event, by control; here it is done.
"""

from algoserver.core import alerts, foreign, orders, proposals, stops
from algoserver.core import market as markets
from algoserver.core.bounds import FIRM
from algoserver.core.reports import BROKER_OPTION, BY_PERSON, VERBAL_CHANGE, alert, over_with
from algoserver.core.state import State, touch
from algoserver.domain.alerts import Ending
from algoserver.domain.commands import Command
from algoserver.domain.events import OperatorCommanded
from algoserver.domain.types import OrdStatus

# Why the gate is shut while the server stops in good order; the next start opens it again, a person's kill it keeps.
STOPPING = "server stopping"


def operator_commanded(state: State, event: OperatorCommanded, out: list[Command]) -> None:
    """Do what the operator says. An order that is unknown or over is refused before this, by control."""
    if event.verb == "stop":
        if FIRM not in state.gate.stops:
            stops.stop(state, FIRM, STOPPING, "", out, code="stopping")
        return
    if event.verb == "kill":
        stops.stop(state, event.target, event.operator, event.reason, out)
        return
    if event.verb == "release":
        known = state.gate.stops.get(event.target)
        code = "started" if known is not None and known.by == STOPPING else "released"
        stops.release(state, event.target, event.operator, event.reason, out, code=code)
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
