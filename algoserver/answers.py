"""What an operator is told: the state as rows of text, nothing else. Pure; runs on the core's thread.

Rule 1: quantities and prices are decimal text, times UTCTimestamp text, and a key is there whether it has a value or not.
Rule 2: the core waits while an answer is made, so no answer looks at more than ROWS_MAX of anything that grows.
"""

from collections import Counter
from itertools import islice
from typing import Any

from algoserver.core import alerts, dark, halts, models, orders, stops, watch
from algoserver.core.algos import ALGOS
from algoserver.core.algos.schedule import Work, band, market_volume, planned
from algoserver.core.bounds import FIRM, NAMES
from algoserver.core.market import best
from algoserver.core.orders import ChildOrder, ParentOrder
from algoserver.core.planning import plan_text
from algoserver.core.state import ForeignOrder, State, open_children
from algoserver.core.tally import SECONDS_KEPT
from algoserver.domain.params import PARAMS, Param
from algoserver.domain.types import COPY_SUFFIX, FEED_SUFFIX, SECOND, TimeInForce, ppm_text, px_text, qty_text, utc_text

ROWS_MAX = 1_000

Answer = dict[str, Any]


def status(state: State) -> Answer:
    """The machine at a glance; market_time is the last event's. kill_verified: something is stopped, and in no stopped scope is a child open."""
    setup, firm = state.setup, state.gate.stops.get(FIRM)
    sessions = {**dict.fromkeys(state.venues_up, False), **state.sessions}
    rows = [stop_row(state, scope) for scope in state.gate.stops]
    return {
        "market_time": utc_text(state.ts),
        "seq": state.seq,
        "run": state.run,
        "policy": setup.policy.name if setup else "",
        "config_sha256": setup.digest if setup else "",
        "killed": firm.text if firm else "",
        "kill_verified": bool(rows) and all(row["is_verified"] for row in rows),
        "stops": rows,
        "parents": len(state.parents),
        "parents_open": len(state.works),
        "children_open": state.gate.open_children,
        "sessions_up": [name for name, is_up in sessions.items() if is_up],
        "sessions_down": [name for name, is_up in sessions.items() if not is_up],
        "model": models.in_force(state),
        "forecasts": [
            {"symbol": s, "date": f.date, "model": f.model, "trained_through": f.trained_through, "text": f.text} for s, f in state.forecasts.items()
        ],
        "alerts": alerts.waiting(state.alerts),
    }


def stop_row(state: State, scope: str) -> Answer:
    """A scope that is stopped: by whom or what, and whether nothing is open there any more."""
    stop, open_there = state.gate.stops[scope], stops.children_open(state, scope)
    return {
        "scope": scope,
        "by": stop.by,
        "reason": stop.reason,
        "since": utc_text(stop.ts),
        "is_automatic": stop.is_automatic,
        "children_open": open_there,
        "is_verified": stop.is_verified and not open_there,
    }


def doctor(state: State, now: int = 0) -> Answer:
    """What the machine knows of its own health: the rest is measured around it (health).

    ts: its time, `now` or later. unknown: open children by venue, where nobody knows how they stand.
    applied_by: who has applied the policy in force, "start": nobody.
    """
    unknown: Counter[str] = Counter()
    for parent_id in state.works:
        for child in open_children(state, state.parents[parent_id]):
            unknown[child.venue] += child.is_unknown or not state.venues_up.get(child.venue, False)
    applied = state.policies[-1] if state.policies else None
    return {
        "ts": max(now, state.ts),
        "unknown": {venue: count for venue, count in unknown.items() if count},
        "foreign": dict(Counter(f.venue for f in state.foreign.values() if not f.released_by)),
        "venues_down": [name for name, is_up in state.venues_up.items() if not is_up],
        "doubted": [f"{symbol} {why}" for symbol in state.instruments if (why := _doubt(state, symbol))],
        "stops": list(state.gate.stops),
        "policy": state.setup.policy_digest if state.setup else "",
        "model": [state.models[-1].name, state.models[-1].sha256] if state.models else ["", ""],
        "applied_by": [applied.by, applied.checked_by] if applied else ["", ""],
    }


def _doubt(state: State, symbol: str) -> str:
    market = state.markets[symbol]
    if not market.quotes:
        return "unseen"
    is_doubted = state.setup is not None and watch.doubt(state.setup.policy, state.instruments[symbol], market, state.ts)
    return "in doubt" if is_doubted else ""


def order_list(state: State, is_open: bool) -> Answer:
    """The latest orders, oldest first; total says how many there are."""
    ids = state.works if is_open else state.parents
    shown = list(islice(reversed(ids), ROWS_MAX))[::-1]
    return {"total": len(ids), "orders": [_row(state, state.parents[i]) for i in shown]}


def session_list(state: State) -> Answer:
    """Every session that is configured or was ever up."""
    rows = []
    copies = [d.session for d in state.setup.drop_copies] if state.setup else []
    clients = state.setup.clients if state.setup else ()
    for name in dict.fromkeys((*clients, *copies, *state.venues_up, *state.sessions)):
        kind = "market data" if name.endswith(FEED_SUFFIX) else "drop copy" if name in copies else "client"
        kind = "venue" if name in state.venues_up else "venue's drop copy" if name.endswith(COPY_SUFFIX) else kind
        rows.append({"session": name, "kind": kind, "state": _up(state.sessions.get(name, False)), "msg_seq_heard": state.heard.get(name, 0)})
    return {"sessions": rows}


def venue_list(state: State) -> Answer:
    """Venues with our open children and what they quote."""
    own: dict[str, list[ChildOrder]] = {name: [] for name in state.venues_up}
    for parent_id in state.works:
        for child in open_children(state, state.parents[parent_id]):
            own.setdefault(child.venue, []).append(child)
    return {
        "venues": [
            {
                "venue": name,
                "state": _up(state.venues_up.get(name, False)),
                "children_open": len(children),
                "children_unknown": sum(c.is_unknown for c in children),
                "stopped": list(dict.fromkeys(f.symbol or "everything" for f in state.foreign.values() if f.venue == name and not f.released_by)),
                "halted": [symbol or "everything" for symbol in state.halts.get(name, ())],
                "quotes": _quotes(state, name),
            }
            for name, children in own.items()
        ]
    }


def foreign_list(state: State) -> Answer:
    """The latest orders at venues that we did not send, oldest first. stops: what we do not trade because of it."""
    shown = list(islice(reversed(state.foreign.values()), ROWS_MAX))[::-1]
    return {"total": len(state.foreign), "foreign": [foreign_row(state, f) for f in shown]}


def foreign_row(state: State, order: ForeignOrder) -> Answer:
    """What a venue told of one of them, and who said what about it."""
    instrument = state.instruments.get(order.symbol)
    d = instrument.qty_decimals if instrument else 0
    stops = "" if order.released_by else f"{order.symbol or 'everything'} at {order.venue}"
    return {
        "venue": order.venue,
        "cl_ord_id": order.cl_ord_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_qty": qty_text(order.order_qty, d),
        "cum_qty": qty_text(order.cum_qty, d),
        "ord_status": order.ord_status.name,
        "since": utc_text(order.since_ts),
        "stops": stops,
        "released_by": order.released_by,
        "canceled_by": order.canceled_by,
    }


def _quotes(state: State, venue: str) -> list[Answer]:
    rows = []
    for symbol, market in state.markets.items():
        quote, instrument = market.quotes.get(venue), state.instruments.get(symbol)
        if quote is not None and instrument is not None:
            rows.append(
                {
                    "symbol": symbol,
                    "bid_px": px_text(quote.bid_px),
                    "ask_px": px_text(quote.ask_px),
                    "bid_qty": qty_text(quote.bid_qty, instrument.qty_decimals),
                    "ask_qty": qty_text(quote.ask_qty, instrument.qty_decimals),
                    "age_ms": (state.ts - quote.ts) // 1_000_000,
                }
            )
    return rows


def named(parent: ParentOrder) -> Answer:
    """Which order a command is about and how much is open, for a person who is asked whether that is the one he means."""
    d = parent.qty_decimals
    return {
        "cl_ord_id": parent.cl_ord_id,
        "session": parent.session,
        "symbol": parent.symbol,
        "side": parent.side.name,
        "order_qty": qty_text(parent.order.order_qty, d),
        "cum_qty": qty_text(parent.order.cum_qty, d),
        "parents_open": 1,
        "children_open": len(parent.open_children),
    }


def _up(is_up: bool) -> str:
    return "up" if is_up else "down"


def _row(state: State, parent: ParentOrder) -> Answer:
    d, order = parent.qty_decimals, parent.order
    word, because = standing(state, parent)
    return {
        "order_id": parent.parent_id,
        "cl_ord_id": parent.cl_ord_id,
        "session": parent.session,
        "symbol": parent.symbol,
        "side": parent.side.name,
        "algo": NAMES.get(parent.strategy, str(parent.strategy)),
        "order_qty": qty_text(order.order_qty, d),
        "cum_qty": qty_text(order.cum_qty, d),
        "leaves_qty": qty_text(orders.leaves_qty(order), d),
        "avg_px": px_text(orders.avg_px(order)),
        "ord_status": orders.ord_status(order).name,
        "state": word,
        "because": because,
    }


def standing(state: State, parent: ParentOrder) -> tuple[str, str]:
    """What a parent is doing, in one word, and why. In the order in which a parent's turn looks at it."""
    if not orders.is_open(parent.order):
        return ("closing", "its children are being taken back") if parent.open_children else ("over", parent.end_text)
    if parent.order.is_cancel_pending:
        return "ending", f"canceled by the client, {parent.cancel_cl_ord_id}"
    if parent.ended_as:
        return "ending", parent.end_text or "end of its window"
    scope = stops.hits(state, parent)
    if scope:
        return "stopped", f"{scope} stopped by {state.gate.stops[scope].text}"
    if parent.paused_by:
        return "paused", f"{parent.paused_by}: {parent.pause_text}" if parent.pause_text else parent.paused_by
    if parent.awaits_status:
        return "waiting", "for a venue's word on its children"
    if halts.is_halted(state, parent.session, parent.symbol, parent.strategy):
        return "waiting", f"trading in {parent.symbol} is halted"
    if state.ts < parent.start_ts:
        return "waiting", "for the opening auction" if parent.open_children else "for its start"
    return "working", ""


def order_show(state: State, parent: ParentOrder) -> Answer:
    """All about one parent; of its children those that are open and the latest."""
    work, market, d = state.works.get(parent.parent_id), state.markets.get(parent.symbol), parent.qty_decimals
    first = max(1, parent.next_child - ROWS_MAX)
    ids = dict.fromkeys((*parent.open_children, *(f"{parent.parent_id}.{n}" for n in range(first, parent.next_child))))
    return {
        **_row(state, parent),
        "account": parent.account,
        "ord_type": parent.ord_type.name,
        "price": px_text(parent.price) if parent.price else "",
        "time_in_force": parent.time_in_force.name,
        "arrived": utc_text(parent.arrival_ts),
        "start": utc_text(parent.start_ts),
        "end": utc_text(parent.end_ts),
        "arrival_px": px_text(parent.arrival_px),
        "bid_px": px_text(best(market)[0]) if market else "",
        "ask_px": px_text(best(market)[1]) if market else "",
        "plan": plan_text(parent, work, state.setup) if work and state.setup else "",
        "curve": work.curve_text if work else "",
        "max_pct_vol": ppm_text(work.max_pct_vol) if work else "",
        "market_volume": qty_text(market_volume(work, market), d) if work and market and work.base_volume >= 0 else "",
        "forgiven": qty_text(work.forgiven if work else 0, d),
        "refusals": work.refusals if work else 0,
        "params": {p.name: _param(p, parent) for p in PARAMS},
        "text": parent.end_text,
        "children_sent": parent.next_child - 1,
        "children": [_child_row(c, d) for i in ids if (c := state.children.get(i)) is not None],
    }


def _param(param: Param, parent: ParentOrder) -> str:
    """A parameter as a client would write it; empty where it was not given and its default is none."""
    value = dark.share(parent.strategy, parent.params) if param.name == "DarkPct" else getattr(parent.params, param.field)
    if param.kind == "flag":
        return "Y" if value else "N"
    if param.kind == "choice" or not value:
        return str(value or "")
    if param.kind == "qty":
        return qty_text(value, parent.qty_decimals)
    return {"time": utc_text, "share": ppm_text, "price": px_text}.get(param.kind, str)(value)


def _child_row(child: ChildOrder, decimals: int) -> Answer:
    return {
        "child_id": child.child_id,
        "venue": child.venue,
        "price": px_text(child.price),
        "order_qty": qty_text(child.order.order_qty, decimals),
        "cum_qty": qty_text(child.order.cum_qty, decimals),
        "avg_px": px_text(orders.avg_px(child.order)),
        "ord_status": orders.ord_status(child.order).name,
        "is_unknown": child.is_unknown,
        "sent": utc_text(child.sent_ts),
    }


def order_plan(state: State, parent: ParentOrder) -> Answer | None:
    """The plan by slices: what is due by each one's end, the band around it, and what was done by then where that is known.

    None: the order is over and its plan forgotten. follows: clock, volume, or nothing where it is one sweep at once.
    """
    work, d, ts = state.works.get(parent.parent_id), parent.qty_decimals, state.ts
    if work is None:
        return None
    follows = "clock" if work.schedule.moments else "volume"
    if parent.time_in_force is not TimeInForce.DAY:
        follows = "nothing"
    due = None
    if follows != "nothing" and work.base_volume >= 0:
        target = ALGOS[parent.strategy].target(parent, work, state.markets[parent.symbol], ts, ts)
        due = qty_text(min(parent.order.order_qty, max(0, target - work.forgiven)), d)
    said: Answer = {
        "order_id": parent.parent_id,
        "follows": follows,
        "plan": plan_text(parent, work, state.setup) if state.setup else "",
        "market_time": utc_text(ts),
        "cum_qty": qty_text(parent.order.cum_qty, d),
        "due_qty": due,
        "forgiven": qty_text(work.forgiven, d),
        "slice_s": work.slice_ns // SECOND,
        "slices": [],
    }
    if follows == "clock":
        said["slices"] = [_slice_row(parent, work, by, ts) for by in _boundaries(parent, work)]
    return said


def _boundaries(parent: ParentOrder, work: Work) -> list[int]:
    """Ends of the slices; every second or every third one where there are too many to show."""
    count = -(-(parent.end_ts - parent.start_ts) // work.slice_ns)
    stride = work.slice_ns * -(-count // ROWS_MAX)
    return [*range(parent.start_ts + stride, parent.end_ts, stride), parent.end_ts]


def _slice_row(parent: ParentOrder, work: Work, by: int, now: int) -> Answer:
    d, traded = parent.qty_decimals, work.traded
    low, high = band(work.schedule, work.slice_ns, by)
    # The tally forgets; what it has forgotten is not known here.
    is_known = by <= now and (len(traded.seconds) < SECONDS_KEPT or by // SECOND > traded.seconds[0])
    done = qty_text(parent.order.cum_qty - traded.since(by, include_second=True), d) if is_known else None
    return {"by": utc_text(by), "planned": qty_text(planned(work.schedule, by), d), "low": qty_text(low, d), "high": qty_text(high, d), "done": done}
