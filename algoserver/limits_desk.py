"""Which limits hold for an order, a client, a symbol or an algo: whose word each is, and how much of it is used. Pure, like answers.

Rule 1: what a limit is stands in domain/limits, what holds in core/bounds, what is used in the gate's books: nothing is decided here.
Rule 2: who asks leaves no trace: counters are read as they are, and aged without being written.
"""

from collections.abc import Callable, Iterator

import msgspec

from algoserver import answers
from algoserver.answers import ROWS_MAX, Answer
from algoserver.core import exposure, stops
from algoserver.core.bounds import FIRM, Bounds, Summed, algo_name, bounds, summed_of
from algoserver.core.exposure import GatedParent, Usage
from algoserver.core.market import mid
from algoserver.core.orders import ParentOrder
from algoserver.core.rates import recent
from algoserver.core.risk import Override
from algoserver.core.state import State, profile
from algoserver.domain.changes import ALLOWED, FIRM_ALONE, TRADED_FREE, value_text
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.limits import BY_FIELD, LIMITS, UNSET, Limit
from algoserver.domain.policy import Layer, Permits
from algoserver.domain.types import PPM_ONE, SECOND, Instrument, Strategy, ppm_text, px_text, qty_text, utc_text
from algoserver.door import error
from algoserver.policies import KNOWN


class Asked(msgspec.Struct, frozen=True):
    """What a row is about: the state, the symbol's instrument if there is one, and the order if one is asked about."""

    state: State
    held: Bounds
    algo: str
    instrument: Instrument | None = None
    parent: ParentOrder | None = None

    @property
    def gated(self) -> GatedParent | None:
        """The order as the gate has it; None of one that was never let in."""
        return self.state.gate.parents.get(self.parent.parent_id) if self.parent else None


def explain(state: State, parent: ParentOrder) -> Answer:
    """Every limit that this order stands under, whose it is and what is used of it; what it may at all; what stops it; what let it in."""
    setup = state.setup
    if setup is None:
        return error("failed", "no policy is loaded yet")
    held = bounds(setup, parent.session, parent.symbol, parent.strategy)
    asked = Asked(state, held, algo_name(parent.strategy), state.instruments.get(parent.symbol), parent)
    word, because = answers.standing(state, parent)
    return {
        "order_id": parent.parent_id,
        **{k: v for k, v in answers.named(parent).items() if k not in ("parents_open", "children_open")},
        "algo": asked.algo,
        "state": word,
        "because": because,
        "policy": held.name,
        "policy_sha256": setup.policy_digest,
        "layers": [FIRM, *(x.scope for x in _layers(setup, held))],
        "refused": held.refused,
        "override": _override(state, parent),
        "limits": list(_rows(asked)),
        "permits": _permits(setup, asked),
        "stops": [answers.stop_row(state, s) for s in (*held.scopes, *(f"venue:{v}" for v in held.open_names)) if s in state.gate.stops],
    }


def limits(state: State, client: str, symbol: str, algo: str) -> Answer:
    """What holds for orders of a client, in a symbol, by an algo; "" for any, and then nothing of such a layer is in it."""
    setup = state.setup
    if setup is None:
        return error("failed", "no policy is loaded yet")
    known = (("client", client, setup.clients), ("symbol", symbol, tuple(state.instruments)), ("algo", algo, KNOWN["algos"]))
    for kind, name, names in known:
        if name and name not in names:
            return error("not_found", f"no {kind} {name[:64]!r} is known; there are {', '.join(names)}")
    held = bounds(setup, client, symbol, Strategy[algo] if algo else 0)
    asked = Asked(state, held, algo, state.instruments.get(symbol))
    return {
        "policy": held.name,
        "policy_sha256": setup.policy_digest,
        "layers": [FIRM, *(x.scope for x in _layers(setup, held))],
        "limits": list(_rows(asked)),
        "permits": _permits(setup, asked),
    }


def usage(state: State, scope: str) -> Answer:
    """What each scope has, "" for all of them but algos in symbols, and the share of its own layer's limits."""
    setup = state.setup
    if setup is None:
        return error("failed", "no policy is loaded yet")
    scopes = (scope,) if scope else _scopes(state, setup)
    rows, held = [], []
    for name in scopes[:ROWS_MAX]:
        layer = setup.policy.layer(name)
        own = setup.policy if name == FIRM else layer.limits if layer else None
        summed = summed_of(name, own, stops.keys_of(setup.policy, name)) if own is not None else None
        used = exposure.total(state.gate, stops.keys_of(setup.policy, name))
        kind, _, of = name.partition(":")
        instrument = state.instruments.get(of if kind == "symbol" else "")
        of_scope = list(_summed_rows(state, summed, instrument)) if summed else []
        held += of_scope
        tightest = max(of_scope, key=lambda r: float(r["share"] or 0), default=None)
        rows.append(
            {
                "scope": name,
                "children_open": used.children_open,
                "open_value": px_text(used.open_value),
                "bought": px_text(used.bought),
                "sold": px_text(used.sold),
                "gross": px_text(_gross(used)),
                "net": px_text(_net(used)),
                "working": px_text(used.working),
                "position": qty_text(used.position, instrument.qty_decimals) if instrument else "",
                "share": tightest["share"] if tightest else "",
                "of_limit": tightest["limit"] if tightest else "",
            }
        )
    return {"market_time": utc_text(state.ts), "total": len(scopes), "usage": rows, "limits": held}


def _scopes(state: State, setup: PolicyLoaded) -> tuple[str, ...]:
    """Those that have a layer or anything to show, from the widest."""
    layers = [x.scope for x in setup.policy.layers]
    used = [name for name in state.gate.usage if "@" not in name]
    order = ("firm", "desk", "client", "symbol", "algo", "venue")
    return tuple(sorted(dict.fromkeys((FIRM, *layers, *used)), key=lambda s: order.index(s.partition(":")[0])))


# One row a limit, and a layer if each counts by itself.


def _rows(asked: Asked) -> Iterator[Answer]:
    for limit in LIMITS:
        if limit.is_summed:
            continue
        value = getattr(asked.held, limit.field)
        if value != UNSET:
            of, used = OWN[limit.field](asked, limit) if limit.field in OWN else ("", None)
            yield _row(limit, value, asked.held.tight.get(limit.field, FIRM), of, used, asked.instrument)
        if "venue" in limit.layers:
            yield from _venue_rows(asked, limit)
    for layer in asked.held.summed:
        yield from _summed_rows(asked.state, layer, asked.instrument)
    policy = asked.held
    for alone in FIRM_ALONE:
        text = str(getattr(policy, alone.field) // alone.unit)
        row = {"limit": alone.key, "value": text, "unit": "s" if alone.unit == SECOND else "count", "layer": FIRM}
        uses = list(_messages(asked, alone.key)) or [("", "", "")]
        yield from ({**row, "of": of, "used": used, "share": share, "meaning": alone.meaning} for of, used, share in uses)
    free = {"limit": TRADED_FREE.key, "value": ppm_text(policy.traded_free_ppm), "unit": "share", "layer": FIRM, "of": "", "used": "", "share": ""}
    yield {**free, "meaning": TRADED_FREE.meaning}


def _messages(asked: Asked, key: str) -> Iterator[tuple[str, str, str]]:
    """What went to each venue that is open, this second or today: of what, how many, share."""
    state, held = asked.state, asked.held
    for scope in (f"venue:{venue}" for venue in held.open_names):
        seen = state.gate.rates.get(scope)
        if key == "venue_messages_per_second_max":
            most, used = held.venue_messages_per_second_max, _in_bucket(state, scope, held.venue_messages_per_second_max)
        elif key == "venue_messages_per_day_max":
            most, used = held.venue_messages_per_day_max, seen.sent_today if seen else 0
        else:
            return
        yield scope, str(used), ppm_text(used * PPM_ONE // most) if most else ""


def _row(limit: Limit, value: int, layer: str, of: str, used: int | None, instrument: Instrument | None) -> Answer:
    """A limit's line. used: in the unit of the order's quantity, of money, in ppm or a number; None: it is not counted."""
    most, shown = value, "" if used is None else str(used)
    if used is not None and limit.unit == "qty":
        decimals = instrument.qty_decimals if instrument else 0
        most, shown = value * 10**decimals, qty_text(used, decimals)
    elif used is not None and limit.unit != "count":
        shown = value_text(limit, used)
    return {
        "limit": limit.key,
        "value": value_text(limit, value),
        "unit": limit.unit,
        "layer": layer,
        "of": of,
        "used": shown,
        "share": ppm_text(max(0, used) * PPM_ONE // most) if used is not None and most else "",
        "meaning": limit.meaning,
    }


def _summed_rows(state: State, layer: Summed, instrument: Instrument | None) -> Iterator[Answer]:
    used = exposure.total(state.gate, layer.keys)
    for field, measure in SUMS.items():
        value = getattr(layer.limits, field)
        if value != UNSET:
            yield _row(BY_FIELD[field], value, layer.scope, layer.scope, measure(used), instrument)
    most = layer.limits.children_per_second_max
    if most != UNSET:
        now = _in_bucket(state, f"children:{layer.scope}", most)
        yield _row(BY_FIELD["children_per_second_max"], most, layer.scope, layer.scope, now, instrument)


def _venue_rows(asked: Asked, limit: Limit) -> Iterator[Answer]:
    """A venue's own count of what an algo's and a venue's are counted by."""
    assert asked.state.setup is not None
    policy = asked.state.setup.policy
    for venue in asked.held.open_names:
        layer = policy.layer(f"venue:{venue}")
        found = [(getattr(x, limit.field), scope) for x, scope in ((policy, FIRM), (layer and layer.limits, f"venue:{venue}")) if x]
        values = [(value, scope) for value, scope in found if value != UNSET]
        if values:
            value, scope = min(values, key=lambda pair: pair[0])
            yield _row(limit, value, scope, f"venue:{venue}", _traffic(asked.state, f"venue:{venue}", limit.field), asked.instrument)


def _gross(used: Usage) -> int:
    return used.bought + used.sold + used.open_value


def _net(used: Usage) -> int:
    """On the side where it is more, as the gate looks at a child of that side."""
    return max(used.bought + used.buys_open - used.sold, used.sold + used.sells_open - used.bought)


def _position(used: Usage) -> int:
    return max(used.position + used.buy_qty_open, used.sell_qty_open - used.position)


SUMS: dict[str, Callable[[Usage], int]] = {
    "children_open_max": lambda used: used.children_open,
    "open_value_max": lambda used: used.open_value,
    "gross_value_max": _gross,
    "net_value_max": _net,
    "position_max": _position,
}


def _order_qty(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    return "order", asked.parent.order.order_qty if asked.parent else None


def _order_value(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    parent, gated = asked.parent, asked.gated
    price = (parent.price if parent else 0) or (gated.px if gated else 0)
    return "order", parent.order.order_qty * price // 10**parent.qty_decimals if parent and price else None


def _of_volume(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    if asked.parent is None or asked.instrument is None:
        return "order", None
    return "order", -(-asked.parent.order.order_qty * PPM_ONE // asked.instrument.adv)


def _wished(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    return "order", max(asked.parent.params.max_pct_vol, asked.parent.params.target_pct_vol) if asked.parent else None


def _parents(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    client = asked.held.scopes[[s.startswith("client:") for s in asked.held.scopes].index(True)]
    name = client.removeprefix("client:")
    return client if name else "", _in_bucket(asked.state, f"parents:{name}", asked.held.parents_per_second_max) if name else None


def _repeats(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    pair = asked.held.scopes[-1]
    if asked.instrument is None or not asked.algo:
        return "", None
    found = asked.state.gate.counts.get(pair)
    return pair, recent(found, asked.held.repeats_window_ns, asked.state.ts) if found else 0


def _moved(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    """How far the price is from where it was when the order came, or was resumed."""
    market = asked.state.markets.get(asked.parent.symbol) if asked.parent else None
    since = (asked.parent.resumed_px or asked.parent.arrival_px) if asked.parent else 0
    now = mid(market) if market else 0
    return "order", abs(now - since) * PPM_ONE // since if since and now else None


def _traded(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    """Our share of a symbol's volume in the window, with what is shown, as the gate counts it; what is always free is not taken off."""
    if asked.instrument is None:
        return "", None
    gate, symbol, market = asked.state.gate, asked.instrument.symbol, asked.state.markets.get(asked.instrument.symbol)
    since_ts, own = asked.state.ts - asked.held.traded_window_ns, gate.traded.get(symbol)
    ours = (own.since(since_ts, include_second=True) if own else 0) + gate.shown.get(symbol, 0)
    volume = market.volume.since(since_ts, include_second=False) if market else 0
    return f"symbol:{symbol}", -(-ours * PPM_ONE // volume) if volume else None


def _of_algo(asked: Asked, limit: Limit) -> tuple[str, int | None]:
    scope = f"algo:{asked.algo}" if asked.algo else ""
    return scope, _traffic(asked.state, scope, limit.field) if scope else None


def _traffic(state: State, scope: str, field: str) -> int:
    seen = state.gate.traffic.get(scope)
    if seen is None:
        return 0
    if field == "rejects_max":
        return seen.refused
    return seen.messages // max(1, seen.fills)


def _in_bucket(state: State, key: str, per_second_max: int) -> int:
    """Messages of the last second that a bucket still holds."""
    found = state.gate.rates.get(key)
    spent = max(0, found.full_ts - state.ts) if found else 0
    return -(-spent * per_second_max // SECOND)


# What is used of a limit that is not summed: of what, and how much.
OWN: dict[str, Callable[[Asked, Limit], tuple[str, int | None]]] = {
    "parent_qty_max": _order_qty,
    "parent_value_max": _order_value,
    "parent_value_soft_max": _order_value,
    "parent_adv_ppm_max": _of_volume,
    "participation_ppm_max": _wished,
    "parents_per_second_max": _parents,
    "price_move_ppm_max": _moved,
    "traded_ppm_max": _traded,
    "repeats_max": _repeats,
    "rejects_max": _of_algo,
    "order_to_trade_max": _of_algo,
}


# What may be at all.


def _layers(setup: PolicyLoaded, held: Bounds) -> list[Layer]:
    return [x for scope in held.scopes if (x := setup.policy.layer(scope)) is not None]


def _permits(setup: PolicyLoaded, asked: Asked) -> list[Answer]:
    """One row each: what is allowed, and the layers that say something about it; profile: what is agreed with the client."""
    held, layers = asked.held, [Layer(kind=FIRM, name="", permits=setup.policy.permits), *_layers(setup, asked.held)]
    agreed = profile(asked.state, asked.parent.session).venues if asked.parent else ()
    closed = [x for x in setup.policy.layers if x.kind == "venue" and x.permits != Permits() and x.name not in held.open_names]
    algos = [a for a in KNOWN["algos"] if all(not x.permits.algos or a in x.permits.algos for x in layers)]
    shown = {
        "venues": list(held.open_names),
        "algos": algos,
        "ord_types": list(held.ord_types or KNOWN["ord_types"]),
        "short_sale": [held.short_sale or "allowed"],
        "on_disconnect": [held.on_disconnect],
        "self_match": [held.self_match],
    }
    rows = []
    for permit, values in shown.items():
        fields = ("venues", "venue_kinds") if permit == "venues" else (permit,)
        says = [x.scope.rstrip(":") for x in layers if any(getattr(x.permits, f, "") for f in fields)]
        if permit == "self_match":
            says = [FIRM]
        if permit == "venues":
            says += [x.scope for x in closed] + (["profile"] if agreed else [])
        rows.append({"permit": permit, "allowed": values, "layers": says})
    for field in ("symbols", "restricted"):
        for layer in (x for x in layers if getattr(x.permits, field)):
            rows.append({"permit": ALLOWED.get(field, field), "allowed": list(getattr(layer.permits, field)), "layers": [layer.scope.rstrip(":")]})
    return rows


def _override(state: State, parent: ParentOrder) -> str:
    """The override that let the order in, in words; by any ClOrdID that it has had."""
    for name, one in state.gate.overridden.items():
        if state.by_cl_ord_id.get(name) == parent.parent_id:
            return _override_text(one)
    return ""


def _override_text(one: Override) -> str:
    who = f"{one.by} and {one.checked_by}" if one.checked_by else one.by
    return f"by {who}: {one.reason}" if one.reason else f"by {who}"
