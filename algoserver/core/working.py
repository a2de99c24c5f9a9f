"""One turn of one parent: may it trade, what is due, at which price, where; past the gate and out.

Read work() as the life of a parent: over -> stopped -> waiting -> ended -> at work. Every path sets the next turn.
"""

import msgspec

from algoserver.core import (
    amend,
    auction,
    breakers,
    dark,
    exposure,
    forecasts,
    foreign,
    halts,
    orders,
    placement,
    planning,
    plans,
    risk,
    router,
    stops,
    watch,
)
from algoserver.core.algos import ALGOS
from algoserver.core.algos.schedule import Demand, Due, Open, Window, Work, demand, market_volume, slice_at
from algoserver.core.bounds import Bounds, algo_name, algo_scope, bounds
from algoserver.core.executions import ENDED, count_refusal
from algoserver.core.links import ASK_AGAIN_NS, ask_status
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, Order, ParentOrder
from algoserver.core.placement import Placement
from algoserver.core.reports import CANCEL_ON_TRADING_HALT, TOO_LATE, alert, over_with, pause, reject_cancel, report, tell_fills
from algoserver.core.router import Route
from algoserver.core.state import State, open_children, wake
from algoserver.domain.alerts import Ending
from algoserver.domain.commands import CancelChild, Command, SendChild
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.policy import Venue
from algoserver.domain.types import DAY, MID_PEG, PPM_ONE, Instrument, OnHalt, OrdStatus, OrdType, TimeInForce

FOR_THE_DAY = TimeInForce.DAY  # to ask the enum takes ten times as long in Python 3.11


def work(state: State, parent: ParentOrder, ts: int, out: list[Command]) -> None:
    """Give a parent its turn."""
    setup = state.setup
    assert setup is not None
    resting = open_children(state, parent)
    if parent.amendment is not None and parent.symbol not in state.instruments:
        amend.give_up(parent, f"symbol_removed: {parent.symbol} is not in the instruments any more", ts, out)
    if parent.amendment is not None and not amend.in_the_way(parent, resting):
        amend.complete(state, parent, ts, out)
    if not orders.is_open(parent.order) and not resting:
        _finish(state, parent, ts, out)
        return
    own = state.works.get(parent.parent_id)
    if own is None:  # a bust has opened it again
        window = Window(ts, max(parent.end_ts, ts + 1), (), setup.hours)
        own = state.works[parent.parent_id] = planning.plan(state, parent, window)
        exposure.on_amended(state.gate, parent.parent_id, parent.order.order_qty, parent.price)
    _ask_unknown(state, resting, ts, out)
    if parent.symbol not in state.instruments and not parent.paused_by:
        pause(out, parent, "symbol_removed", f"{parent.symbol} is not in the instruments any more; resume when it is back")
    # Every entry in the heap becomes a Wakeup in its time: one that waits for its start must not ask for two.
    is_before, refresh_ns = ts < parent.start_ts, setup.algo.refresh_ns
    wake(state, parent.parent_id, auction.next_turn(parent, own, resting, refresh_ns, ts) if is_before else ts + refresh_ns)
    is_past_end, stopped = _should_end(parent, setup, ts), stops.hits(state, parent)
    if parent.amendment is not None and not parent.order.is_cancel_pending:
        # Past the old end everything is taken back: no child outlives its parent, whatever the new end may be.
        is_off = is_past_end or parent.ended_as or parent.paused_by or stopped
        doomed = {c.child_id for c in (resting if is_off else _stranded(state, parent, resting))} | set(amend.in_the_way(parent, resting))
        _act(state, setup, parent, own, placement.take_back([c for c in resting if c.child_id in doomed], ts), ts, out)
        return
    if is_past_end:
        parent.ended_as = parent.ended_as or OrdStatus.CANCELED
    is_halted = halts.is_halted(state, parent.session, parent.symbol, parent.strategy)
    if is_halted and parent.on_halt is OnHalt.CANCEL and not parent.ended_as:
        parent.ended_as, parent.end_reason = OrdStatus.CANCELED, CANCEL_ON_TRADING_HALT
        parent.end_text = f"trading in {parent.symbol} is halted (18=K)"
    is_over = bool(parent.ended_as) or parent.order.is_cancel_pending or not orders.is_open(parent.order)
    limits = _limits(setup, parent)
    if not (is_over or parent.paused_by or is_halted or is_before) and parent.time_in_force is FOR_THE_DAY:
        watch.pause_if_moved(limits, state.instruments[parent.symbol], state.markets[parent.symbol], parent, ts, out)
    if is_over or parent.paused_by or stopped:
        # end_text: somebody has asked for the end; that of the window has none before it is done.
        is_unwanted = parent.order.is_cancel_pending or bool(parent.end_text or parent.paused_by or stopped)
        unwanted = resting if is_unwanted else [c for c in resting if not auction.is_awaited(parent, c, ts)]
        _act(state, setup, parent, own, placement.take_back(unwanted, ts), ts, out)
        if is_over and not parent.open_children:
            _finish(state, parent, ts, out)
        return
    if parent.awaits_status:
        return
    if is_before and not own.opening_qty:
        return
    market, instrument = state.markets[parent.symbol], state.instruments[parent.symbol]
    if parent.time_in_force is not FOR_THE_DAY:
        _work_at_once(state, setup, parent, own, resting, market, ts, out)
        return
    if state.halts or state.foreign or state.gate.stops or state.stale:
        _act(state, setup, parent, own, placement.take_back(_stranded(state, parent, resting), ts), ts, out)
    if is_halted:
        own.halted_ts = own.halted_ts or ts
        return
    if own.base_volume < 0:  # before the opening auction where it takes part in that: its volume counts as ours does
        own.base_volume = market.volume.total
        own.capped_volume = own.capped_volume if own.capped_volume >= 0 else market.volume.total
    if is_before:
        own.halted_ts = 0
        _act(state, setup, parent, own, auction.place(setup, parent, own, resting, market, instrument, ts), ts, out)
        return
    is_called = parent.params.open_auction and _await_opening(state, setup, parent, own, resting, ts, out)
    if own.halted_ts or (own.opening_qty and not is_called):
        _go_on(state, setup, parent, own, ts, out)
    slice_start_ts = own.slice_start_ts
    lit, hidden, placed_qty = _stand(resting)
    wanted = _demand(parent, own, placed_qty, market, setup, instrument, ts)
    if own.slice_start_ts != slice_start_ts:
        watch.warn_if_late(state, setup, parent, own, ts, out)
        forecasts.ask_rest(state, setup, parent, ts, out)
    wake(state, parent.parent_id, min(wanted.next_ts, parent.end_ts if parent.end_ts > ts else wanted.next_ts))
    if watch.is_doubted(limits, instrument, market, ts, out):
        over = placement.surplus(lit, placed_qty.lit, wanted, instrument, ts) + tuple(dark.too_much(hidden, wanted.dark_room, instrument, ts))
        _act(state, setup, parent, own, Placement(over), ts, out)
        return
    if own.i_would_keep < 0 and placement.is_wished(parent, market):
        # IWouldPct is of what remains when the price is first there; looking again must not take the same share anew.
        own.i_would_keep = orders.leaves_qty(parent.order) * (PPM_ONE - parent.params.i_would_pct) // PPM_ONE
    keep = max(0, own.i_would_keep)
    leaves = keep if placement.crosses_by_wish(parent, market) else parent.order.order_qty
    rest = dark.rebalance(parent, hidden, wanted, leaves, limits, market, instrument, ts)
    for child_id in rest.cancels:
        _cancel_child(state, setup, state.children[child_id], ts, out)
    placed = placement.place(parent, lit, placed_qty.lit, wanted, market, instrument, ts, keep)
    _act(state, setup, parent, own, placed, ts, out)
    if own.auction_qty:
        at_close = auction.place(setup, parent, own, open_children(state, parent), market, instrument, ts)
        _act(state, setup, parent, own, at_close, ts, out)
    if rest.quantity and not rest.cancels:
        _hide(state, setup, parent, rest, wanted, ts, out)


def _stranded(state: State, parent: ParentOrder, resting: list[ChildOrder]) -> list[ChildOrder]:
    """Children where nothing of ours should rest now. Through a halt it would trade in a reopening auction: only 18=J asks for that."""
    stays = parent.on_halt is OnHalt.REINSTATE
    if not stays and halts.is_halted(state, parent.session, parent.symbol, parent.strategy):
        return resting  # a dark venue that goes on, too: for this client there is no market

    def is_stranded(venue: str) -> bool:
        is_shut = foreign.shut(state, venue, parent.symbol) or stops.is_venue_stopped(state, venue)
        return bool(is_shut or (not stays and halts.shut(state, venue, parent.symbol)))

    return [c for c in resting if c.child_id in state.stale or is_stranded(c.venue)]


def _await_opening(
    state: State, setup: PolicyLoaded, parent: ParentOrder, own: Work, resting: list[ChildOrder], ts: int, out: list[Command]
) -> bool:
    """Whether the opening auction has not told of all our orders in it. Those that it keeps silent about for too long are taken back."""
    called = auction.at_the_open(resting)
    late = [c for c in called if not auction.is_awaited(parent, c, ts)]
    _act(state, setup, parent, own, placement.take_back(late, ts), ts, out)
    return bool(called)


def _go_on(state: State, setup: PolicyLoaded, parent: ParentOrder, own: Work, ts: int, out: list[Command]) -> None:
    """After a halt or the opening auction: what is left is planned over what is left of the window, for the time of a halt was no time
    of the plan, and what the auction left is the plan's again. An optimised plan is asked for anew."""
    own.halted_ts = own.opening_qty = 0
    if not own.schedule.moments:
        return  # by volume: a market that stands still makes nothing due
    anew = planning.plan(state, parent, Window(ts, max(parent.end_ts, ts + 1), (), setup.hours), own.forgiven)
    own.schedule, own.slice_ns, own.auction_qty = anew.schedule, anew.slice_ns, anew.auction_qty
    own.curve_text, own.model, own.bands = anew.curve_text, anew.model, anew.bands
    own.slice_start_ts = own.forgiven = 0
    plans.ask(state, parent, out)


def _stand(resting: list[ChildOrder]) -> tuple[list[ChildOrder], list[ChildOrder], Open]:
    """The children in lit and in dark books, and how much waits where. One loop: every parent at work asks once a second."""
    lit, hidden = [], []
    lit_qty = hidden_qty = stuck_qty = away_qty = 0
    for child in resting:
        leaves = orders.leaves_qty(child.order)
        if auction.waits(child):
            away_qty += leaves
        elif child.is_dark:
            hidden.append(child)
            hidden_qty += leaves
            stuck_qty += leaves if child.is_unknown else 0
        else:
            lit.append(child)
            lit_qty += leaves
    return lit, hidden, Open(lit_qty, hidden_qty, stuck_qty, away_qty)


def _demand(
    parent: ParentOrder, own: Work, placed_qty: Open, market: Market, setup: PolicyLoaded, instrument: Instrument, ts: int
) -> Demand:  # fmt: skip
    algo = ALGOS[parent.strategy]
    start, end = slice_at(parent, own, ts)
    is_new_slice = start != own.slice_start_ts
    if is_new_slice and own.slice_start_ts and not parent.params.catch_up:
        missed = algo.target(parent, own, market, ts, start) - own.forgiven - parent.order.cum_qty - placed_qty.lit
        own.forgiven += max(0, missed)
    floor = own.base_qty + parent.params.min_pct_vol * market_volume(own, market) // PPM_ONE if parent.params.min_pct_vol else 0
    most_due = parent.order.order_qty - own.auction_qty
    moments = (ts, end, start) if is_new_slice else (ts, end)
    due = [min(most_due, max(algo.target(parent, own, market, ts, moment) - own.forgiven, floor)) for moment in moments]
    if is_new_slice:
        own.slice_start_ts, own.slice_due, own.slice_cum = start, due[2], parent.order.cum_qty
    start_qty, now_qty, end_qty = 0 if algo.is_patient else own.slice_due, due[0], due[1]
    if ts >= parent.end_ts:
        # Past the end, by Completion: SOFT joins with all that is left, HARD crosses with it.
        whole = parent.order.order_qty
        start_qty, now_qty, end_qty = 0, whole, whole
    kept_qty = max(0, own.auction_qty - (0 if own.opening_qty else placed_qty.away)) if ts < parent.end_ts else 0
    wanted = demand(parent, own, market, placed_qty, kept_qty, Due(start_qty, now_qty, end_qty), setup.algo, instrument.round_lot, ts)
    if algo.is_patient or (ts >= parent.end_ts and parent.params.completion == "SOFT"):
        return msgspec.structs.replace(wanted, cross=0)
    return wanted


def _work_at_once(
    state: State, setup: PolicyLoaded, parent: ParentOrder, own: Work, resting: list[ChildOrder], market: Market, ts: int, out: list[Command]
) -> None:
    """IOC and FOK: one sweep of what is shown; whatever is left when it is over ends the parent."""
    if parent.next_child == 1 and watch.is_doubted(_limits(setup, parent), state.instruments[parent.symbol], market, ts, out):
        parent.end_text = f"{parent.time_in_force.name}: nothing crosses now, {market.doubt}"
    elif parent.next_child == 1:
        _act(state, setup, parent, own, placement.place_at_once(parent, resting, market), ts, out)
    else:
        _act(state, setup, parent, own, placement.take_back(resting, ts), ts, out)  # what should have ended by itself
    if not parent.open_children:
        parent.ended_as = OrdStatus.CANCELED
        parent.end_text = parent.end_text or f"{parent.time_in_force.name}: what could not be done at once is canceled"
        _finish(state, parent, ts, out)


def _act(state: State, setup: PolicyLoaded, parent: ParentOrder, own: Work, placed: Placement, ts: int, out: list[Command]) -> None:
    """Cancel what the placement takes back, route what it places, and let the gate decide on each child."""
    for child_id in placed.cancels:
        _cancel_child(state, setup, state.children[child_id], ts, out)
    if placed.quantity <= 0:
        return
    instrument, market = state.instruments[parent.symbol], state.markets[parent.symbol]
    limits = _limits(setup, parent)
    venues = [v for v in _venues(state, limits, parent.symbol) if v.kind != dark.DARK]
    shown = 0 if placed.time_in_force.is_auction else parent.params.display_qty  # a call shows no order
    most = router.child_most(limits, instrument, placed.price, shown)
    if placed.time_in_force is FOR_THE_DAY:
        routes = router.rest(parent.side, placed.quantity, placed.price, market, venues, instrument, most)
    elif placed.time_in_force.is_auction:
        routes = router.auction(placed.quantity, placed.price, venues, most)
    elif placed.time_in_force is TimeInForce.FOK:
        routes = router.whole(parent.side, placed.quantity, placed.price, market, venues)
    else:
        routes = router.take(parent.side, placed.quantity, placed.price, market, venues, instrument, most, own.crossed_ts)
        own.crossed_ts = ts if routes else own.crossed_ts
    for route in routes:
        _send_next(state, parent, route, OrdType.LIMIT, placed.time_in_force, ts, out)


def _hide(state: State, setup: PolicyLoaded, parent: ParentOrder, rest: dark.Rest, wanted: Demand, ts: int, out: list[Command]) -> None:
    """Send what is missing in the dark; what this turn has just sent to lit venues is out already."""
    resting = open_children(state, parent)
    _, _, placed_qty = _stand(resting)
    hidden_qty = placed_qty.dark
    free = min(orders.leaves_qty(parent.order) - hidden_qty - placed_qty.away, wanted.most - wanted.held) - placed_qty.lit
    limits = _limits(setup, parent)
    venues = [v for v in _venues(state, limits, parent.symbol) if v.kind == dark.DARK]
    for route, min_qty in dark.routes(rest, free, hidden_qty, parent, limits, venues, state.instruments[parent.symbol]):
        _send_next(state, parent, route, OrdType.PEGGED, TimeInForce.DAY, ts, out, MID_PEG, min_qty)


def _send_next(
    state: State, parent: ParentOrder, route: Route, ord_type: OrdType, time_in_force: TimeInForce, ts: int, out: list[Command],
    exec_inst: str = "", min_qty: int = 0,
) -> None:  # fmt: skip
    """The next child of a parent, unless the gate has just refused one too many, or stopped what it belongs to or where it would go."""
    if parent.paused_by or stops.hits(state, parent) or stops.is_venue_stopped(state, route.venue):
        return
    child = SendChild(
        child_id=f"{parent.parent_id}.{parent.next_child}", venue=route.venue, symbol=parent.symbol, side=parent.side,
        order_qty=route.quantity, ord_type=ord_type, price=route.price, time_in_force=time_in_force, exec_inst=exec_inst, min_qty=min_qty,
    )  # fmt: skip
    parent.next_child += 1
    send_child(state, parent, child, ts, out)


def _limits(setup: PolicyLoaded, parent: ParentOrder) -> Bounds:
    return bounds(setup, parent.session, parent.symbol, parent.strategy)


def _venues(state: State, limits: Bounds, symbol: str) -> list[Venue]:
    """Those that take orders in a symbol now."""
    up = [v for v in limits.open_to if state.venues_up.get(v.name)]
    if not (state.halts or state.foreign or state.gate.stops):  # on most days
        return up
    return [v for v in up if not stops.is_venue_stopped(state, v.name) and not _shut(state, v.name, symbol)]


def _shut(state: State, venue: str, symbol: str) -> str:
    return halts.shut(state, venue, symbol) or foreign.shut(state, venue, symbol)


def send_child(state: State, parent: ParentOrder, child: SendChild, ts: int, out: list[Command]) -> None:
    """The only way out for an order: past the gate, into the books, onto the wire. Here it is told whose it is, whatever the algo said."""
    limits = _limits(state.setup, parent) if state.setup else None
    shut = _shut(state, child.venue, child.symbol)
    instrument, market = state.instruments.get(child.symbol), state.markets.get(child.symbol)
    stand_in_px = risk.stand_in(instrument, state.setup.hours, ts) if instrument and state.setup else 0
    denied = risk.check(state.gate, limits, state.instruments, state.venues_up, market, child, ts, shut, stand_in_px)
    if denied is not None:
        alert(out, f"gate_{denied.code}", parent.parent_id, f"{child.child_id}: {denied.text}")
        if denied.stops:
            stops.stop(state, denied.stops, denied.code, denied.text, out, is_automatic=True)
        elif denied.code not in risk.PASSING:
            count_refusal(state, parent, denied.text, out)
            breakers.on_refused(state, (algo_scope(parent),), denied.text, out)
        return
    state.children[child.child_id] = ChildOrder(
        child_id=child.child_id, parent_id=parent.parent_id, venue=child.venue, symbol=child.symbol, side=child.side,
        price=child.price, time_in_force=child.time_in_force, order=Order(order_qty=child.order_qty), sent_ts=ts,
        is_dark=child.ord_type is OrdType.PEGGED, min_qty=child.min_qty,
    )  # fmt: skip
    parent.open_children[child.child_id] = None
    work = state.works.get(parent.parent_id)
    out.append(
        SendChild(
            child_id=child.child_id, venue=child.venue, symbol=child.symbol, side=child.side, order_qty=child.order_qty, ord_type=child.ord_type,
            price=child.price, time_in_force=child.time_in_force, exec_inst=child.exec_inst, min_qty=child.min_qty, client=parent.session,
            desk=limits.desk if limits else "", algo=algo_name(parent.strategy), model=work.model if work else "",
        )  # fmt: skip
    )
    breakers.on_message(state, algo_scope(parent), child.venue, out)  # behind it: what stops by it stops what comes after


def _cancel_child(state: State, setup: PolicyLoaded, child: ChildOrder, ts: int, out: list[Command]) -> None:
    child.cancels += 1
    child.cancel_ts = ts
    orders.on_cancel_requested(child.order)
    risk.count_message(state.gate, setup.policy, child.venue, ts)
    breakers.on_message(state, algo_scope(state.parents[child.parent_id]), child.venue, out)
    out.append(
        CancelChild(
            child_id=child.child_id, cancel_id=f"{child.child_id}.c{child.cancels}", venue=child.venue, symbol=child.symbol,
            side=child.side, order_qty=child.order.order_qty, qty_decimals=state.parents[child.parent_id].qty_decimals,
        )  # fmt: skip
    )


def _ask_unknown(state: State, resting: list[ChildOrder], ts: int, out: list[Command]) -> None:
    for child in resting:
        if child.is_unknown and state.venues_up.get(child.venue) and ts - child.asked_ts >= ASK_AGAIN_NS:
            ask_status(state, child, ts, out)


def _should_end(parent: ParentOrder, setup: PolicyLoaded, ts: int) -> bool:
    """The window is over and Completion does not go on; the session's close ends everything."""
    if ts < parent.end_ts:
        return False
    if parent.params.completion == "CANCEL":
        return True
    hours = setup.hours
    close_ts = parent.end_ts // DAY * DAY + hours.close_ns
    return hours.close_ns - hours.open_ns < DAY and ts >= close_ts


def _finish(state: State, parent: ParentOrder, ts: int, out: list[Command]) -> None:
    """No child is open: tell the client how it ended, answer a pending cancel, forget the plan."""
    order = parent.order
    tell_fills(out, parent, ts)
    if orders.is_open(order):
        orders.on_ended(order, OrdStatus.CANCELED if order.is_cancel_pending else parent.ended_as or OrdStatus.CANCELED)
        left = order.order_qty - order.cum_qty
        parent.end_text = parent.end_text or ("" if parent.cancel_cl_ord_id else f"end of the window, {left} left")
        reason = -1 if parent.cancel_cl_ord_id else parent.end_reason
        report(out, parent, ENDED[order.status], ts, text=parent.end_text, exec_restatement_reason=reason)
    elif order.is_cancel_pending:
        orders.on_cancel_rejected(order)
        cancel_id, parent.cancel_cl_ord_id = parent.cancel_cl_ord_id, ""
        text = "too_late: the order was filled before its cancel took effect"
        reject_cancel(out, parent.session, parent, cancel_id, parent.cl_ord_id, TOO_LATE, text, ts)
    state.works.pop(parent.parent_id, None)
    over_with(out, parent.parent_id, Ending.ORDER)
    exposure.on_finished(state.gate, parent.parent_id)

