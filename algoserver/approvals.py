"""What an operator may ask that two persons decide: release, re-enable, an override; and the second person's word. Pure.

Rule: what makes no sense now is refused here, before it is an event; the core looks at it again (core/proposals).
"""

from typing import Any

from algoserver.answers import Answer
from algoserver.core import proposals
from algoserver.core.bounds import FIRM
from algoserver.core.risk import steps
from algoserver.core.state import Proposal, State
from algoserver.core.stops import STOPPING
from algoserver.domain.events import ActionProposed, OperatorCommanded
from algoserver.domain.policy import OverrideTerms
from algoserver.domain.types import MINUTE, OrdType, Side, qty, qty_text, utc_text
from algoserver.door import error

MINUTES_MAX = 60
TERMS = ("client", "symbol", "side", "qty", "minutes")

Reply = tuple[Answer, ActionProposed | OperatorCommanded | None]


def release(state: State, scope: str, operator: str, reason: str, is_alone: bool, now: int, is_automatic: bool = False) -> Reply:
    """Open the gate for a scope again. is_automatic: only where a limit has stopped it (re-enable), not against a person's kill.

    now: market time, for what has lapsed while nothing happened.
    """
    known = state.gate.stops.get(scope)
    if known is None:
        return error("nothing_to_do", f"{'the firm' if scope == FIRM else scope} is not killed"), None
    if known.by == STOPPING:
        return error("nothing_to_do", "the server is stopping; its next start opens the gate"), None
    if is_automatic and not known.is_automatic:
        return error("refused", f"{scope} was stopped by a person, {known.text}; `algoctl release --scope {scope}` asks to open it"), None
    twin = next((i for i, p in state.proposals.items() if (p.verb, p.target) == (proposals.RELEASE, scope) and not _has_lapsed(state, p, now)), "")
    if twin:
        return error("nothing_to_do", f"{state.proposals[twin].by} has asked for that already: `algoctl approval approve {twin}`"), None
    return _proposed(ActionProposed(operator=operator, verb=proposals.RELEASE, target=scope, reason=reason, is_enough=is_alone))


def override(state: State, values: dict[str, str], operator: str, reason: str, is_alone: bool) -> Reply:
    """Let one order of a client pass the limits that may be overridden, once."""
    strange = [name for name in values if name not in TERMS] or [name for name in TERMS if name not in values]
    if strange:
        return error("usage", f"an override has {', '.join(TERMS)}, each once; {strange[0][:32]!r} is wrong or missing"), None
    if not reason:
        return error("usage", "an override needs a reason: two persons answer for it"), None
    client, symbol = values["client"], values["symbol"]
    clients = state.setup.clients if state.setup else ()
    if client not in clients:
        return error("not_found", f"no client {client[:64]!r} is known; there are {', '.join(clients)}"), None
    instrument = state.instruments.get(symbol)
    if instrument is None:
        return error("not_found", f"no symbol {symbol[:64]!r} is known; there are {', '.join(state.instruments)}"), None
    if values["side"] not in Side.__members__:
        return error("usage", f"side {values['side'][:16]!r} is not one of {', '.join(Side.__members__)}"), None
    side = Side[values["side"]]
    try:
        units = qty(values["qty"], instrument.qty_decimals)
    except ValueError as wrong:
        return error("usage", f"qty: {wrong}"), None
    denied = steps(instrument, units, 0, OrdType.MARKET, "qty")
    if denied is not None:
        return error("usage", denied.text), None
    minutes = values["minutes"]
    if not (minutes.isascii() and minutes.isdigit() and 1 <= int(minutes[:4]) <= MINUTES_MAX and len(minutes) <= 2):
        return error("usage", f"minutes {minutes[:16]!r} is not a whole number from 1 to {MINUTES_MAX}"), None
    terms = OverrideTerms(client, symbol, side, units, int(minutes) * MINUTE)
    event = ActionProposed(operator=operator, verb=proposals.OVERRIDE, target=client, reason=reason, override=terms, is_enough=is_alone)
    return _proposed(event, {"override": terms_text(state, terms)})


def approve(state: State, proposal_id: str, operator: str, reason: str, now: int) -> Reply:
    """Say yes to another person's proposal. now: as in release()."""
    proposal = state.proposals.get(proposal_id)
    if proposal is None:
        return _missing(proposal_id)
    why = proposals.refusal(state, proposal_id, operator, now)
    if why:
        return error("denied" if proposal.by == operator else "refused", f"{proposal_id}: {why}"), None
    return _said(state, proposal_id, OperatorCommanded(operator=operator, verb="approve", target=proposal_id, reason=reason))


def withdraw(state: State, proposal_id: str, operator: str, reason: str) -> Reply:
    """Say no to a proposal, one's own or another's."""
    if proposal_id not in state.proposals:
        return _missing(proposal_id)
    return _said(state, proposal_id, OperatorCommanded(operator=operator, verb="withdraw", target=proposal_id, reason=reason))


def listed(state: State, now: int) -> Answer:
    """What waits for a second person, oldest first; those that have lapsed too, until the next proposal clears them away."""
    return {"approvals": [_row(state, i, p, now) for i, p in state.proposals.items()]}


def terms_text(state: State, terms: OverrideTerms) -> str:
    """An override in words."""
    decimals = state.instruments[terms.symbol].qty_decimals if terms.symbol in state.instruments else 0
    what = f"{terms.side.name} up to {qty_text(terms.order_qty, decimals)} {terms.symbol} for {terms.client}"
    return f"one order, {what}, within {terms.lasts_ns // MINUTE} minutes of the approval"


def _proposed(event: ActionProposed, more: dict[str, Any] | None = None) -> Reply:
    said = {"verb": event.verb, "target": event.target, "operator": event.operator, "reason": event.reason, **(more or {})}
    return {**said, "awaits_approval": not event.is_enough}, event


def _said(state: State, proposal_id: str, event: OperatorCommanded) -> Reply:
    proposal = state.proposals[proposal_id]
    said = {"verb": event.verb, "target": proposal_id, "operator": event.operator, "reason": event.reason}
    return {**said, "proposal": f"{proposal.verb} {proposal.target}", "proposed_by": proposal.by}, event


def _missing(proposal_id: str) -> Reply:
    return error("not_found", f"no proposal {proposal_id[:64]!r} is open; `algoctl approval ls` lists them"), None


def _row(state: State, proposal_id: str, proposal: Proposal, now: int) -> Answer:
    return {
        "id": proposal_id,
        "verb": proposal.verb,
        "target": proposal.target,
        "by": proposal.by,
        "reason": proposal.reason,
        "terms": terms_text(state, proposal.override) if proposal.override else proposal.digest[:12],
        "lapses": utc_text(proposal.ts + proposals.LAPSES_NS),
        "has_lapsed": _has_lapsed(state, proposal, now),
    }


def _has_lapsed(state: State, proposal: Proposal, now: int) -> bool:
    return max(state.ts, now) - proposal.ts > proposals.LAPSES_NS
