"""The machine: step(state, event) -> commands. The order of the rooms stands here and only here.

Read the body of step() as an order's way: the event is booked (requests, executions, market, operator), then every
parent that it touched or whose time has come gets its turn: algos say what is due, placement at which price, router
where, risk whether. Nothing else changes the state.
"""

from collections.abc import Callable
from heapq import heappop
from typing import Any

from algoserver.core import (
    alerts,
    amend,
    executions,
    forecasts,
    foreign,
    halts,
    links,
    market,
    mass,
    models,
    operator,
    plans,
    proposals,
    reconcile,
    requests,
    risk,
    stops,
)
from algoserver.core.rates import NEVER
from algoserver.core.reports import alert, tell_fills
from algoserver.core.state import Audited, State, run_id, touch
from algoserver.core.working import work
from algoserver.domain import events
from algoserver.domain.commands import Command
from algoserver.domain.types import COPY_SUFFIX


def step(state: State, event: events.Event) -> list[Command]:
    """Change the state by one event and say what to do. seq counts on by one and time goes on, both asserted."""
    seq, ts = event.seq, event.ts
    assert seq == state.seq + 1, f"event {seq} after {state.seq}"
    assert ts > state.ts, f"event {seq} at {ts} is not after {state.ts}"
    state.seq, state.ts = seq, ts
    book, note, is_only_seen = ROOMS[type(event)]
    out: list[Command] = []
    if is_only_seen and ts < state.look_ts and ts < state.gate.day_end_ts:
        book(state, event, out)
        return out  # most of a day's events end here
    if ts >= state.gate.day_end_ts:  # by a quote too: who asks just after midnight asks of the new day
        risk.turn_day(state.gate, ts)
    if note is not None:
        note(state, event)
    book(state, event, out)
    if state.awaited and state.awaited_ts <= ts:
        links.miss(state, out)
    if state.copies_due_ts and state.copies_due_ts <= ts:
        reconcile.look(state, out)
    if state.due and state.due[0][0] <= ts:
        _touch_due(state, ts, out)
    while state.touched:  # a limit that is reached in one parent's turn stops others, whose turn it then is too
        touched, state.touched = state.touched, {}
        for parent_id in touched:
            work(state, state.parents[parent_id], ts, out)
    if state.gate.stops:
        stops.verify(state, out)
    if out or state.alerts.owed:
        alerts.keep(state.alerts, state.run, ts, out)
    state.look_ts = look_ts(state)
    return out


def next_wakeup(state: State) -> int | None:
    """When a Wakeup is due; None if nothing waits."""
    return state.look_ts if state.look_ts != NEVER else None


def look_ts(state: State) -> int:
    """When something is to be done though no event comes; NEVER if nothing waits."""
    found = state.due[0][0] if state.due else NEVER
    if state.alerts.owed or state.awaited or state.copies_due_ts:  # on most days nothing but a turn
        waits = (alerts.next_ts(state.alerts), state.awaited_ts if state.awaited else 0, state.copies_due_ts)
        return min(found, *filter(None, waits))
    return found


def _heard(state: State, event: Any) -> None:
    if event.msg_seq:
        state.heard[event.session] = event.msg_seq


def _audited(state: State, event: Any) -> None:
    if event.audit_head:
        state.audited = Audited(event.seq, event.audit_head)


def _touch_due(state: State, ts: int, out: list[Command]) -> None:
    while state.due and state.due[0][0] <= ts:
        due_ts, parent_id = heappop(state.due)
        parent = state.parents[parent_id]
        if parent.tell_ts == due_ts:
            tell_fills(out, parent, ts)
        work_of = state.works.get(parent_id)
        # Entries that a later wish has replaced stay in the heap until their time: cheaper than to search for them.
        if work_of is not None and work_of.due_ts == due_ts:
            touch(state, parent_id)


def _quote(state: State, event: events.QuoteUpdated, out: list[Command]) -> None:
    known = state.markets.get(event.symbol)
    if known is None:
        return
    quote = market.Quote(event.bid_px, event.bid_qty, event.ask_px, event.ask_qty, event.ts)
    at = state.gate.resting.get(event.symbol)
    ours = at.get(event.venue) if at else None
    if ours is None:
        market.on_quote(known, event.venue, quote)
    else:
        market.on_quote(known, event.venue, quote, ours.buys.get(quote.bid_px, 0), ours.sells.get(quote.ask_px, 0))


def _trade(state: State, event: events.TradePrinted, out: list[Command]) -> None:
    known = state.markets.get(event.symbol)
    if known is not None:
        market.on_trade(known, event.last_px, event.last_qty, event.ts)


def _policy(state: State, event: events.PolicyLoaded, out: list[Command]) -> None:
    state.run = state.run or run_id(event.ts)
    state.is_stopping = False
    state.setup = proposals.in_force(state, event, out)
    state.instruments = {i.instrument.symbol: i.instrument for i in event.instruments}
    state.profiles = {p.client: p for p in event.profiles}
    state.venues_up = {v.name: state.venues_up.get(v.name, False) for v in event.venues}
    links.await_all(state, event.ts)
    reconcile.load(state)
    forecasts.introduce(state, event, out)


def _garbled(state: State, event: events.Garbled, out: list[Command]) -> None:
    if event.session in state.venues_up:
        links.garbled_by_venue(state, event, out)
    elif event.session.removesuffix(COPY_SUFFIX) in state.copied:
        alert(out, event.code, event.session, event.text)
    else:
        requests.garbled(state, event, out)


def _machine(state: State, event: events.MachineWarned, out: list[Command]) -> None:
    alert(out, event.code, event.subject, event.text)


def _nothing(state: State, event: events.Event, out: list[Command]) -> None:
    pass  # a Wakeup changes nothing by itself: time does


BOOK: dict[type[events.Event], Callable[[State, Any, list[Command]], None]] = {
    events.ParentRequested: requests.parent_requested,
    events.CancelRequested: requests.cancel_requested,
    events.ReplaceRequested: amend.replace_requested,
    events.StatusRequested: requests.status_requested,
    events.MassCancelRequested: mass.mass_cancel_requested,
    events.MassStatusRequested: mass.mass_status_requested,
    events.TradeDisputed: mass.trade_disputed,
    events.Garbled: _garbled,
    events.ChildAccepted: executions.child_accepted,
    events.ChildFilled: executions.child_filled,
    events.FillBusted: executions.fill_busted,
    events.FillCorrected: executions.fill_corrected,
    events.ChildCanceled: executions.child_canceled,
    events.ChildReplaced: executions.child_replaced,
    events.ChildRejected: executions.child_rejected,
    events.CancelRejected: executions.cancel_rejected,
    events.ChildStatusReported: executions.child_status_reported,
    events.ForeignOrderReported: foreign.reported,
    events.CopyReported: reconcile.copied,
    events.SessionUp: links.session_up,
    events.SessionDown: links.session_down,
    events.SendFailed: links.send_failed,
    events.QuoteUpdated: _quote,
    events.TradePrinted: _trade,
    events.StatusChanged: halts.status_changed,
    events.ForecastReady: forecasts.ready,
    events.ModelActivated: forecasts.activated,
    events.ModelRefused: models.refused,
    events.PlanReady: plans.ready,
    events.PolicyLoaded: _policy,
    events.OperatorCommanded: operator.operator_commanded,
    events.ActionProposed: proposals.proposed,
    events.ConfigDrifted: proposals.drifted,
    events.OperatorAmended: amend.operator_amended,
    events.Wakeup: _nothing,
    events.MachineWarned: _machine,
}
# These change a market and nothing else: no parent, child, stop or alert has news by them before its time has come.
SEEN = (events.QuoteUpdated, events.TradePrinted)
# With what each kind leaves beside its room's books: to ask isinstance() of every event would take as long as to book a quote.
ROOMS = {
    kind: (book, _heard if issubclass(kind, events.Message) else _audited if issubclass(kind, events.Commanded) else None, kind in SEEN)
    for kind, book in BOOK.items()
}
