"""What a person may do to the running machine: kill, release, pause, resume, cancel; amend and foreign orders have their own rooms.

Rule: a kill shuts the gate first; every child is then taken back, and it is said aloud when none is left.
"""

from algoserver.core import foreign, orders
from algoserver.core.reports import BROKER_OPTION, VERBAL_CHANGE, alert
from algoserver.core.state import State, touch
from algoserver.domain.commands import Command
from algoserver.domain.events import OperatorCommanded
from algoserver.domain.types import OrdStatus

FIRM = "firm"
# Why the gate is shut while the server stops in good order; the next start opens it again, a person's kill it keeps.
STOPPING = "server stopping"


def operator_commanded(state: State, event: OperatorCommanded, out: list[Command]) -> None:
    """Do what the operator says. An order that is unknown or over is refused before this, by control."""
    if event.verb == "stop":
        state.gate.killed = state.gate.killed or STOPPING
        _touch_all(state)
        return
    if event.verb == "kill":
        state.gate.killed = f"{event.operator}: {event.reason}" if event.reason else event.operator
        state.is_kill_unverified = True
        alert(out, "killed", FIRM, f"by {state.gate.killed}; {state.gate.open_children} children are open")
        _touch_all(state)
        return
    if event.verb == "release":
        state.gate.killed = ""
        state.is_kill_unverified = False
        alert(out, "released", FIRM, f"by {event.operator}: {event.reason}")
        _touch_all(state)
        return
    if event.verb in (foreign.ADOPT, foreign.CANCEL):
        foreign.commanded(state, event, out)
        return
    parent = state.parents.get(event.target)
    if parent is None:
        alert(out, "no_such_order", event.target, f"{event.operator} asked to {event.verb} it")
        return
    if event.verb == "pause":
        parent.paused_by = f"operator {event.operator}"
    elif event.verb == "resume":
        parent.paused_by = ""
    elif event.verb == "cancel" and orders.is_open(parent.order):
        parent.ended_as, parent.end_reason = OrdStatus.CANCELED, VERBAL_CHANGE if event.is_verbal else BROKER_OPTION
        parent.end_text = f"canceled by operator {event.operator}: {event.reason}"
    touch(state, parent.parent_id)


def _touch_all(state: State) -> None:
    for parent_id in state.works:
        touch(state, parent_id)
