"""Stops: where nothing new leaves and everything is taken back, by a person's kill or by a limit that was reached.

Rule 1: the gate is shut first; then each parent that is hit takes its children back; it is said aloud when none is left.
Rule 2: a stop holds until a person releases it, over restarts and other policies too. A limit stops by itself, and never releases by itself.
Rule 3: none is left means: every venue has said so of every child. One that is down keeps a stop unverified.
"""

from algoserver.core import exposure
from algoserver.core.bounds import FIRM, algo_name, scopes_of
from algoserver.core.orders import ParentOrder
from algoserver.core.reports import alert
from algoserver.core.risk import Stop
from algoserver.core.state import State, touch
from algoserver.domain.commands import Command
from algoserver.domain.policy import RiskPolicy

VENUE = "venue:"
# Why the gate is shut while the server stops in good order; the next start opens it again, a person's kill it keeps.
STOPPING = "server stopping"


def stop(state: State, scope: str, by: str, reason: str, out: list[Command], is_automatic: bool = False, code: str = "killed") -> None:
    """Shut the gate for a scope. A second word on the same scope is news: it says who, and a person's outlives a limit's."""
    known = state.gate.stops.get(scope)
    if known is not None and is_automatic:
        return
    state.gate.stops[scope] = Stop(by, reason, state.ts, is_automatic)
    text = f"by {state.gate.stops[scope].text}; {children_open(state, scope)} children are open"
    alert(out, "stopped_by_limit" if is_automatic else code, scope, text)
    _touch(state)


def release(state: State, scope: str, by: str, reason: str, out: list[Command], code: str = "released") -> None:
    """Open the gate for a scope again. What counted towards a limit of it begins anew."""
    state.gate.stops.pop(scope, None)
    if scope == FIRM and state.is_stopping:
        # What two persons lift is the kill. The server takes everything back all the same, and its next start opens the gate.
        state.gate.stops[scope] = Stop(STOPPING, "", state.ts)
        reason = f"{reason}; the server is stopping, so the gate opens at its next start"
    state.gate.counts.pop(scope, None)
    state.gate.traffic.pop(scope, None)
    alert(out, code, scope, f"by {by}: {reason}")
    _touch(state)


def verify(state: State, out: list[Command]) -> None:
    """Say of each stop when no child is open there any more."""
    for scope, known in state.gate.stops.items():
        if not known.is_verified and not children_open(state, scope):
            known.is_verified = True
            alert(out, "kill_verified", scope, "no child is open at any venue" if scope == FIRM else f"no child of {scope} is open at any venue")


def children_open(state: State, scope: str) -> int:
    """Children that may trade in a scope."""
    policy = state.setup.policy if state.setup else None
    return exposure.total(state.gate, keys_of(policy, scope)).children_open if policy else 0


def keys_of(policy: RiskPolicy, scope: str) -> tuple[str, ...]:
    """Under which names the gate's books have what a scope has."""
    layer = policy.layer(scope)
    return tuple(f"client:{c}" for c in layer.clients) if layer is not None and layer.kind == "desk" else (scope,)


def lifted_by(state: State, policy: RiskPolicy) -> str:
    """Whom a policy would take out of a desk that is stopped, and so let trade again; "" if nobody."""
    if state.setup is None:
        return ""
    for scope in state.gate.stops:
        after = keys_of(policy, scope)
        for client in keys_of(state.setup.policy, scope):
            if client not in after and client not in state.gate.stops:
                return f"{scope} is stopped, and {client} would not be any more; release the desk first, or stop the client too"
    return ""


def hits(state: State, parent: ParentOrder) -> str:
    """The scope that stops a parent as a whole; "" if none does. A venue's stops only what is there."""
    stops = state.gate.stops
    return next((scope for scope in scopes(state, parent) if scope in stops), "") if stops else ""


def scopes(state: State, parent: ParentOrder) -> tuple[str, ...]:
    """The scopes that a stop may hit a parent by."""
    return scopes_of(state.setup.policy, parent.session, parent.symbol, algo_name(parent.strategy)) if state.setup else ()


def is_venue_stopped(state: State, venue: str) -> bool:
    """Whether nothing may rest or go there."""
    return VENUE + venue in state.gate.stops


def _touch(state: State) -> None:
    for parent_id in state.works:
        touch(state, parent_id)
