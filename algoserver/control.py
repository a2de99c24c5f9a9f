"""What operators may ask, and what becomes of it. Pure: answer() runs on the core's thread.

Rule: what an operator does becomes an event, and the answer leaves when that event is durable. What makes no sense now is
refused before there is an event.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from algoserver import alert_queue, answers, approvals, audit, copy_desk, limits_desk, model_desk, policy_desk, pretrade
from algoserver.answers import Answer
from algoserver.core import foreign, orders, stops
from algoserver.core.amend import judge
from algoserver.core.bounds import FIRM
from algoserver.core.orders import ParentOrder
from algoserver.core.state import State, find
from algoserver.domain.events import ActionProposed, OperatorAmended, OperatorCommanded
from algoserver.domain.params import BY_NAME, NO_PARAMS, AlgoParams, parse
from algoserver.domain.types import OrdType, Strategy, px, qty
from algoserver.door import error

REASON_CHARS_MAX = 200

MARK = "audit.mark"  # how far the audit must reach by the state's word; asked by the porter, not by persons
TRACE = "trace"  # key of what the audit notes of a command, taken out before its answer leaves
QUESTIONS = (
    "status", "doctor", "order.ls", "order.show", "order.plan", "session.ls", "venue.ls", "venue.foreign", "alert.ls", "policy.validate",
    "policy.diff", "policy.history", "policy.show", "policy.explain", "risk.limits", "risk.usage", "risk.reconcile", "approval.ls",
    "audit.tail", "audit.verify", "model.history", "estimate", MARK,
)  # fmt: skip

Command = OperatorCommanded | OperatorAmended | ActionProposed
Reply = tuple[Answer, Command | None]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a peer may ask. target: OrderID or ClOrdID of a parent, a scope, a policy's digest, the ClOrdID of a foreign order at `venue`, an alert,
    an owner of alerts, or a model.

    is_open: orders or alerts that are not over. values: what an amend changes, name -> text, whose limits are asked for, or what the server knows of
    a model. is_verbal: the client has asked for it. text: a policy's.
    """

    verb: str
    target: str = ""
    venue: str = ""
    reason: str = ""
    dry_run: bool = False
    is_open: bool = False
    is_verbal: bool = False
    values: dict[str, str] = {}
    text: str = ""


def perform(state: State, asked: Reply, head: str, apply: Callable[[Command], None]) -> Answer:
    """Carry out what answer() made of a request. head: of the audit's chain. The answer has a trace for the audit if there was an event."""
    said, event = asked
    if event is None:
        return said
    force_setattr(event, "audit_head", head)
    before = audit.digest(state, event.target)
    apply(event)
    return {**said, TRACE: {"seq": state.seq, "before": before, "after": audit.digest(state, event.target)}}


def answer(state: State, request: Answer, operator: str, is_alone: bool = True, now: int = 0) -> Reply:
    """Answer a request; with the event that carries it out, if it is a command that makes sense now. Raises nothing.

    is_alone: nobody is asked to approve. now: market time.
    """
    try:
        asked = msgspec.convert(request, Request)
        if len(asked.reason) > REASON_CHARS_MAX or not asked.reason.isprintable():
            return error("usage", f"a reason is one line of at most {REASON_CHARS_MAX} printable characters"), None
        return _answer(state, asked, operator, is_alone, now)
    except msgspec.ValidationError as wrong:
        return error("usage", f"request: {wrong}"), None
    except Exception as failure:
        # A question must never stop the machine that it asks about.
        return error("failed", f"{type(failure).__name__}: {failure}"), None


def _answer(state: State, asked: Request, operator: str, is_alone: bool, now: int) -> Reply:
    verb = asked.verb
    if verb == "status":
        return answers.status(state), None
    if verb == "doctor":
        return answers.doctor(state, now), None
    if verb == "order.ls":
        return answers.order_list(state, asked.is_open), None
    if verb == "session.ls":
        return answers.session_list(state), None
    if verb == "venue.ls":
        return answers.venue_list(state), None
    if verb == "venue.foreign":
        return answers.foreign_list(state), None
    if verb == "alert.ls":
        return alert_queue.listed(state, asked.target, asked.is_open), None
    if verb == "alert.ack":
        found = alert_queue.acknowledgeable(state, asked.target, asked.reason)
        return (found, None) if "error" in found else _done(asked, operator, "ack", found["alert_id"], found)
    if verb in ("venue.adopt", "venue.cancel"):
        return _foreign(state, asked, operator)
    if verb == "kill":
        return _kill(state, asked, operator)
    if verb == MARK:
        return {"seq": state.audited.seq, "head": state.audited.head}, None
    if verb == "estimate":
        return pretrade.facts(state, asked.values, now), None
    if verb in TWO_PERSONS:
        heard, event = _approvals(state, asked, operator, is_alone, now)
        return ({**heard, "dry_run": asked.dry_run}, None if asked.dry_run else event) if event is not None else (heard, None)
    if verb in policy_desk.VERBS:
        return policy_desk.answer(state, verb, operator, asked.target, asked.text, asked.reason, asked.dry_run, is_alone)
    if verb in model_desk.VERBS:
        return model_desk.answer(state, verb, operator, asked.target, asked.values, asked.reason, asked.dry_run, is_alone, now)
    if verb == "risk.limits":
        return limits_desk.limits(state, *(asked.values.get(kind, "") for kind in ("client", "symbol", "algo"))), None
    if verb == "risk.reconcile":
        return copy_desk.reconciled(state), None
    if verb == "risk.usage":
        wrong = scope_error(state, asked.target) if asked.target else ""
        return error("not_found", wrong) if wrong else limits_desk.usage(state, asked.target), None
    if verb not in ORDER_VERBS:
        return error("usage", f"verb {verb[:32]!r} is unknown"), None
    parents = _found(state, asked.target)
    if not parents:
        return error("not_found", f"no order has the OrderID or ClOrdID {asked.target[:64]!r}; `algoctl order ls` lists them"), None
    if len(parents) > 1:
        ids = ", ".join(f"{p.parent_id} of {p.session}" for p in parents)
        return error("ambiguous", f"several clients have a ClOrdID {asked.target[:64]!r}; name the OrderID: {ids}"), None
    if verb == "order.show":
        return answers.order_show(state, parents[0]), None
    if verb == "policy.explain":
        return limits_desk.explain(state, parents[0]), None
    if verb == "order.plan":
        said = answers.order_plan(state, parents[0])
        over = f"order {parents[0].parent_id} is over; its plan is forgotten, `algoctl order show` says how it ended"
        return said or error("already_over", over), None
    if verb == "order.amend":
        return _amend(state, parents[0], asked, operator)
    return _order(state, parents[0], asked, operator)


TWO_PERSONS = ("release", "risk.re-enable", "risk.override", "approval.ls", "approval.approve", "approval.withdraw")
ORDER_VERBS = ("order.show", "order.plan", "order.pause", "order.resume", "order.cancel", "order.amend", "policy.explain")


def _found(state: State, target: str) -> list[ParentOrder]:
    """The parent with this OrderID; else those with this ClOrdID, at most one a session."""
    if target in state.parents:
        return [state.parents[target]]
    sessions = dict.fromkeys((*state.sessions, *(state.setup.clients if state.setup else ())))
    return [p for p in (find(state, session, target) for session in sessions) if p is not None]


# Commands.


def _kill(state: State, asked: Request, operator: str) -> Reply:
    scope = asked.target or FIRM
    wrong = scope_error(state, scope)
    if wrong:
        return error("not_found", wrong), None
    # A second kill is news as well: it says who, and a kill while the server stops outlives its restart.
    return _done(asked, operator, asked.verb, scope, _reach(state, scope))


def _reach(state: State, scope: str) -> Answer:
    parents = sum(scope in stops.scopes(state, state.parents[i]) for i in state.works)
    return {"parents_open": parents, "children_open": stops.children_open(state, scope)}


def _approvals(state: State, asked: Request, operator: str, is_alone: bool, now: int) -> Reply:
    verb, target = asked.verb, asked.target
    if verb == "approval.ls":
        return approvals.listed(state, now), None
    if verb == "approval.approve":
        return approvals.approve(state, target, operator, asked.reason, now)
    if verb == "approval.withdraw":
        return approvals.withdraw(state, target, operator, asked.reason)
    if verb == "risk.override":
        return approvals.override(state, asked.values, operator, asked.reason, is_alone)
    scope = target or FIRM
    wrong = scope_error(state, scope)
    if wrong:
        return error("not_found", wrong), None
    said, event = approvals.release(state, scope, operator, asked.reason, is_alone, now, is_automatic=verb == "risk.re-enable")
    return ({**said, **_reach(state, scope)} if event is not None else said), event


def scope_error(state: State, scope: str) -> str:
    """What is wrong with a scope; "" if it can be stopped."""
    setup, (kind, _, name) = state.setup, scope.partition(":")
    if setup is None or scope == FIRM or scope in state.gate.stops:
        return ""
    known = {
        "desk": [x.name for x in setup.policy.layers if x.kind == "desk"],
        "client": list(setup.clients),
        "symbol": list(state.instruments),
        "algo": [s.name for s in Strategy],
        "venue": list(state.venues_up),
    }
    if kind not in known:
        return f"scope {scope[:64]!r} is none: use {FIRM}, {', '.join(f'{k}:NAME' for k in known)} or algo:NAME@SYMBOL"
    algo, at, symbol = name.partition("@")
    if kind == "algo" and at and algo in known["algo"] and symbol in known["symbol"]:
        return ""
    return "" if name in known[kind] else f"no {kind} {name[:64]!r} is known; there are {', '.join(known[kind]) or 'none'}"


def _foreign(state: State, asked: Request, operator: str) -> Reply:
    name = foreign.key(asked.venue, asked.target)
    known = state.foreign.get(name)
    if known is None:
        unknown = f"no foreign order {asked.target[:64]!r} is known at venue {asked.venue[:64]!r}"
        return error("not_found", f"{unknown}; `algoctl venue foreign` lists them"), None
    if asked.verb == "venue.adopt":
        if known.released_by:
            return error("nothing_to_do", f"{name} stops nothing any more, by the word of {known.released_by}"), None
        return _done(asked, operator, foreign.ADOPT, name, answers.foreign_row(state, known))
    if not foreign.is_open(known):
        return error("already_over", f"{name} is over: {known.ord_status.name}; adopt it when you know what it was"), None
    if not foreign.is_nameable(known):
        return error("refused", f"{name} has no ClOrdID, symbol or side that a cancel could name; call the venue"), None
    if not state.venues_up.get(asked.venue):
        return error("refused", f"venue {asked.venue} is down; cancel it when its session is up, or call the venue"), None
    return _done(asked, operator, foreign.CANCEL, name, answers.foreign_row(state, known))


def _order(state: State, parent: ParentOrder, asked: Request, operator: str) -> Reply:
    name, verb = f"order {parent.parent_id}", asked.verb.removeprefix("order.")
    word, because = answers.standing(state, parent)
    if word in ("over", "closing"):
        return error("already_over", f"{name} is over: {orders.ord_status(parent.order).name}"), None
    if word == "ending":
        return error("nothing_to_do", f"{name} is ending already: {because}"), None
    if verb == "pause" and parent.paused_by:
        return error("nothing_to_do", f"{name} is paused already, by {parent.paused_by}"), None
    if verb == "resume" and not parent.paused_by:
        return error("nothing_to_do", f"{name} is not paused"), None
    return _done(asked, operator, verb, parent.parent_id, answers.named(parent))


def _amend(state: State, parent: ParentOrder, asked: Request, operator: str) -> Reply:
    if not asked.values:
        return error("usage", f"say what to change, NAME=VALUE; names are {', '.join(AMENDABLE)}"), None
    said: dict[str, Any] = {"operator": operator, "target": parent.parent_id, "reason": asked.reason, "is_verbal": asked.is_verbal}
    params: dict[str, Any] = {}
    for name, text in asked.values.items():
        try:
            if name in OF_THE_ORDER:
                field, value = _of_the_order(name, text, parent.qty_decimals)
                said[field] = value
            elif name in AMENDABLE:
                params[BY_NAME[name].field] = parse(BY_NAME[name], text, parent.qty_decimals)
            else:
                return error("usage", f"{name[:32]!r} can't be amended; names are {', '.join(AMENDABLE)}"), None
        except ValueError as wrong:
            return error("usage", f"{name}: {wrong}"), None
    event = OperatorAmended(**said, params=AlgoParams(**params) if params else NO_PARAMS, given=tuple(params))
    # Judged on the gate's word, but on nobody's rate: a question must not change the state.
    gate = msgspec.structs.replace(state.gate, rates={})
    judged = judge(state, parent, msgspec.structs.replace(event, ts=state.ts), gate)
    if isinstance(judged, str):
        code, _, text = judged.partition(": ")
        return error("refused", f"{code}: {text}"), None
    reach = {**answers.named(parent), "values": asked.values, "is_verbal": asked.is_verbal}
    done, _ = _done(asked, operator, "amend", parent.parent_id, reach)
    return done, None if asked.dry_run else event


OF_THE_ORDER = ("OrderQty", "Price", "OrdType")
AMENDABLE = (*OF_THE_ORDER, *(p.name for p in BY_NAME.values() if p.is_mutable))


def _of_the_order(name: str, text: str, decimals: int) -> tuple[str, Any]:
    if name == "OrdType":
        if text not in OrdType.__members__:
            raise ValueError(f"{text[:16]!r} is not one of {', '.join(OrdType.__members__)}")
        return "ord_type", OrdType[text].value
    value = qty(text, decimals) if name == "OrderQty" else px(text)
    if value <= 0:
        raise ValueError(f"{text} is not above 0")
    return ("order_qty" if name == "OrderQty" else "price"), value


def _done(asked: Request, operator: str, verb: str, target: str, reach: Answer) -> Reply:
    """reach: what is open before the command, that is what it touches."""
    said = {"verb": asked.verb, "target": target, "operator": operator, "reason": asked.reason, "dry_run": asked.dry_run, **reach}
    return said, None if asked.dry_run else OperatorCommanded(
        operator=operator, verb=verb, target=target, reason=asked.reason, is_verbal=asked.is_verbal
    )
