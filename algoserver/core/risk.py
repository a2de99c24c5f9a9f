"""The two gates: admit() for parents at the door, Gate.check() for children on the way out.

Rule 1: the gate keeps its own books. It is told what was admitted, what left and what came back, and believes no algo.
Rule 2: it fails closed: without policy or without a fresh reference price nothing new leaves.
Rule 3: a limit holds at equality, and counts what is on its way as if it had arrived.
Rule 4: cancels never ask here.
"""

import msgspec

from algoserver.core import market as markets
from algoserver.core.market import Market
from algoserver.domain.commands import SendChild
from algoserver.domain.events import ParentRequested
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import DAY, MID_PEG, PPM_ONE, SECOND, Denied, Instrument, OrdType, Side, px_text, qty_text

UNKNOWN_SYMBOL, EXCHANGE_CLOSED, EXCEEDS_LIMIT, DUPLICATE, UNSUPPORTED, INCORRECT_QTY, OTHER = 1, 2, 3, 6, 11, 13, 99
LIMIT, MARKET, PEGGED = OrdType.LIMIT, OrdType.MARKET, OrdType.PEGGED  # to ask the enum takes ten times as long in Python 3.11
# Denials that pass by themselves, by time or by the next quote: a parent waits for its next turn and not for a person.
PASSING = ("message_rate", "no_reference", "stale_reference")


class GatedParent(msgspec.Struct, gc=False):
    """What a parent may do at most, as admitted; filled and open as the venues told."""

    symbol: str
    side: Side
    order_qty: int
    price: int
    filled: int = 0
    open: int = 0


class GatedChild(msgspec.Struct, gc=False):
    """A child that left: how much of it may still trade."""

    parent_id: str
    leaves: int


class Rate(msgspec.Struct, gc=False):
    """A token bucket that holds one second's messages. spent_ns: market time until it is full again. And a day's count."""

    spent_ns: int = 0
    updated_ts: int = 0
    day: int = 0
    sent_today: int = 0


class Gate(msgspec.Struct):
    """The gate's own books. killed: why the gate is shut; empty while it is open. open_children: those that may trade.

    recent: look of a parent lately admitted -> when, oldest first.
    """

    killed: str = ""
    open_children: int = 0
    parents: dict[str, GatedParent] = {}
    children: dict[str, GatedChild] = {}
    rates: dict[str, Rate] = {}
    recent: dict[str, int] = {}


def admit(gate: Gate, policy: RiskPolicy, instrument: Instrument, market: Market, event: ParentRequested) -> Denied | None:
    """May this parent be worked at all? Value and collar are taken at the limit, or at the market without one."""
    if gate.killed:
        return _no("killed", f"the firm is stopped ({gate.killed}); send the order again after release", OTHER)
    return (
        _parent_limits(policy, instrument, market, event)
        or _twin(gate, policy, event)
        or _take_token(gate, f"parents:{event.session}", policy.parents_per_second_max, -1, event.ts)
    )


def admit_amended(gate: Gate, policy: RiskPolicy, instrument: Instrument, market: Market, parent_id: str, event: ParentRequested) -> Denied | None:
    """May an admitted parent become what `event` says? Less at the same price always may, if it is in lots."""
    known = gate.parents[parent_id]
    is_less = event.order_qty <= known.order_qty and event.price == known.price
    if is_less:
        return _steps(instrument, event.order_qty, event.price, event.ord_type, "order_qty")
    if gate.killed:
        return _no("killed", f"the firm is stopped ({gate.killed}); send the replace again after release", OTHER)
    return _parent_limits(policy, instrument, market, event) or _take_token(
        gate, f"parents:{event.session}", policy.parents_per_second_max, -1, event.ts
    )


def note_amended(gate: Gate, parent_id: str, order_qty: int, price: int) -> None:
    """An amended parent's new bounds."""
    known = gate.parents[parent_id]
    known.order_qty, known.price = order_qty, price


def _parent_limits(policy: RiskPolicy, instrument: Instrument, market: Market, event: ParentRequested) -> Denied | None:
    denied = _steps(instrument, event.order_qty, event.price, event.ord_type, "order_qty")
    if denied:
        return denied
    decimals, quantity = instrument.qty_decimals, event.order_qty
    one: int = 10**decimals
    qty_max = policy.parent_qty_max * one
    if quantity > qty_max:
        return _over("parent_qty_max", "order_qty", quantity, qty_max, policy, decimals)
    adv_max = instrument.adv * policy.parent_adv_ppm_max // PPM_ONE
    if quantity > adv_max:
        return _over("parent_adv_max", "order_qty", quantity, adv_max, policy, decimals)
    reference = _reference(policy, market, event.ts)
    if isinstance(reference, Denied):
        return reference
    value, value_max = (event.price or reference) * quantity, policy.parent_value_max * one
    if value > value_max:
        text = f"order value {px_text(value // one)} exceeds parent_value_max {px_text(policy.parent_value_max)} of policy {policy.name}"
        return _no("parent_value_max", text, EXCEEDS_LIMIT, policy.parent_value_max, value // one)
    return _collar(policy, instrument, event.side, event.price, reference) if event.price else None


def note_parent(gate: Gate, parent_id: str, event: ParentRequested) -> None:
    """Open the gate's books for an admitted parent."""
    gate.parents[parent_id] = GatedParent(event.symbol, event.side, event.order_qty, event.price)
    look = _look(event)
    gate.recent.pop(look, None)
    gate.recent[look] = event.ts


def check(
    gate: Gate,
    policy: RiskPolicy | None,
    instruments: dict[str, Instrument],
    venues: dict[str, bool],
    market: Market | None,
    child: SendChild,
    ts: int,
    shut: str = "",
    allowed: tuple[str, ...] = (),
) -> Denied | None:
    """May this child leave? If so it is in the books from now on. venues: name -> whether its session is up.

    shut: why its venue takes nothing of this symbol now. allowed: venues that the client agreed to; empty: all.
    """
    parent_id = child.child_id.rpartition(".")[0]
    parent = gate.parents.get(parent_id)
    if gate.killed:
        return _no("killed", f"the firm is stopped ({gate.killed})", OTHER)
    if policy is None:
        return _no("no_policy", "no policy is loaded", OTHER)
    if parent is None:
        return _no("no_parent", f"child {child.child_id} has no admitted parent", OTHER)
    if child.child_id in gate.children:
        return _no("duplicate_child", f"child {child.child_id} has left before", DUPLICATE)
    if child.symbol != parent.symbol or child.side is not parent.side:
        return _no("not_the_parents", f"child is {child.side.name} {child.symbol}, its parent {parent.side.name} {parent.symbol}", OTHER)
    instrument = instruments.get(child.symbol)
    if instrument is None or market is None:
        return _no("unknown_symbol", f"symbol {child.symbol} is not in the instruments", UNKNOWN_SYMBOL)
    if not venues.get(child.venue, False):
        return _no("venue_unusable", f"venue {child.venue} is not configured or its session is down", OTHER)
    if shut:
        return _no("venue_shut", f"{child.symbol} at {child.venue}: {shut}", EXCHANGE_CLOSED)
    if allowed and child.venue not in allowed:
        return _no("venue_not_allowed", f"the client's profile allows {', '.join(allowed)}, not {child.venue}", OTHER)
    denied = (
        _steps(instrument, child.order_qty, child.price, child.ord_type, "child quantity")
        or _child_limits(gate, policy, instrument, parent, market, child, ts)
        or _take_token(gate, f"venue:{child.venue}", policy.venue_messages_per_second_max, policy.venue_messages_per_day_max, ts)
    )
    if denied is None:
        gate.children[child.child_id] = GatedChild(parent_id, 0)
        _set_leaves(gate, parent, gate.children[child.child_id], child.order_qty)
    return denied


def on_fill(gate: Gate, parent_id: str, child_id: str, quantity: int) -> None:
    """A child's fill, or with a negative quantity its bust: that quantity is gone, the child does not trade it again."""
    parent, child = gate.parents[parent_id], gate.children[child_id]
    parent.filled += quantity
    _set_leaves(gate, parent, child, max(0, child.leaves - max(0, quantity)))


def on_closed(gate: Gate, child_id: str) -> None:
    """A child can't trade any more."""
    on_resized(gate, child_id, 0)


def on_resized(gate: Gate, child_id: str, leaves: int) -> None:
    """A venue changed how much of a child may still trade."""
    child = gate.children[child_id]
    _set_leaves(gate, gate.parents[child.parent_id], child, leaves)


def count_message(gate: Gate, policy: RiskPolicy, venue: str, ts: int) -> None:
    """A message that always passes (cancel, status) uses the venue's rate all the same: orders wait for it."""
    _spend(_rate(gate, f"venue:{venue}", ts), policy.venue_messages_per_second_max)


def _set_leaves(gate: Gate, parent: GatedParent, child: GatedChild, leaves: int) -> None:
    gate.open_children += (leaves > 0) - (child.leaves > 0)
    parent.open += leaves - child.leaves
    child.leaves = leaves


def _child_limits(
    gate: Gate, policy: RiskPolicy, instrument: Instrument, parent: GatedParent, market: Market, child: SendChild, ts: int
) -> Denied | None:
    decimals = instrument.qty_decimals
    qty_max = policy.child_qty_max * 10**decimals
    if child.order_qty > qty_max:
        return _over("child_qty_max", "child quantity", child.order_qty, qty_max, policy, decimals)
    exposure = parent.filled + parent.open + child.order_qty
    if exposure > parent.order_qty:
        text = f"filled {parent.filled} + open {parent.open} + child {child.order_qty} exceeds order_qty {parent.order_qty}"
        return _no("conservation", text, EXCEEDS_LIMIT, parent.order_qty, exposure)
    is_pegged = child.ord_type is PEGGED and child.exec_inst == MID_PEG
    if not child.price or not (child.ord_type is LIMIT or is_pegged):
        text = "a child carries a limit price (40=2, or 44 of a mid-peg), or nothing bounds what it pays"
        return _no("no_limit_price", text, UNSUPPORTED)
    if parent.price and (child.price - parent.price) * child.side.sign > 0:
        text = f"child price {px_text(child.price)} is beyond the parent's limit {px_text(parent.price)}"
        return _no("beyond_limit", text, EXCEEDS_LIMIT, parent.price, child.price)
    if gate.open_children >= policy.children_open_max:
        return _over("children_open_max", "open children", gate.open_children + 1, policy.children_open_max, policy, 0)
    reference = _reference(policy, market, ts)
    if isinstance(reference, Denied):
        return reference
    value, value_max = (child.price or reference) * child.order_qty, policy.child_value_max * 10**decimals
    if value > value_max:
        text = f"child value {px_text(value // 10**decimals)} exceeds child_value_max {px_text(policy.child_value_max)} of policy {policy.name}"
        return _no("child_value_max", text, EXCEEDS_LIMIT, policy.child_value_max, value // 10**decimals)
    return _collar(policy, instrument, child.side, child.price, reference)


def _steps(instrument: Instrument, quantity: int, price: int, ord_type: OrdType, what: str) -> Denied | None:
    decimals = instrument.qty_decimals
    if quantity <= 0 or quantity % instrument.lot:
        text = f"{what} {qty_text(quantity, decimals)} is not a positive multiple of lot {qty_text(instrument.lot, decimals)}"
        return _no("wrong_lot", text, INCORRECT_QTY, instrument.lot, quantity)
    if (ord_type is LIMIT or (ord_type is PEGGED and price)) and (price <= 0 or price % instrument.tick):
        text = f"price {px_text(price)} is not a positive multiple of tick {px_text(instrument.tick)} of {instrument.symbol}"
        return _no("wrong_tick", text, OTHER, instrument.tick, price)
    if ord_type is MARKET and price:
        return _no("price_on_market", "a market order (40=1) carries no price (44); leave it out or send 40=2", OTHER)
    return None


def _reference(policy: RiskPolicy, market: Market, ts: int) -> int | Denied:
    reference, confirmed_ts = markets.reference(market)
    age = ts - confirmed_ts
    if not reference:
        return _no("no_reference", f"no reference price of {market.symbol} is known; wait for market data", OTHER)
    if age > policy.reference_age_ns_max:
        text = f"the reference price of {market.symbol} is {age // SECOND} s old, policy {policy.name} allows {policy.reference_age_ns_max // SECOND}"
        return _no("stale_reference", text, OTHER, policy.reference_age_ns_max, age)
    return reference


def collar_bound(policy: RiskPolicy, instrument: Instrument, side: Side, reference: int) -> int:
    """Dearest price around `reference`. The wider of both widths holds: a percentage of a cheap share is less than one tick."""
    width = max(reference * policy.collar_ppm // PPM_ONE, policy.collar_ticks * instrument.tick)
    return reference + side.sign * width


def _collar(policy: RiskPolicy, instrument: Instrument, side: Side, price: int, reference: int) -> Denied | None:
    # Only the dear side hurts: a buy far below the market rests, it does not trade.
    bound = collar_bound(policy, instrument, side, reference)
    if (price - bound) * side.sign > 0:
        text = f"price {px_text(price)} is beyond the collar {px_text(bound)} around {px_text(reference)} of policy {policy.name}"
        return _no("price_collar", text, EXCEEDS_LIMIT, bound, price)
    return None


def dearest_px(policy: RiskPolicy, instrument: Instrument, side: Side, market: Market, limit: int, ts: int) -> int:
    """The dearest price in ticks that collar and `limit` (0: none) let out now; 0 without a fresh reference."""
    reference = _reference(policy, market, ts)
    if isinstance(reference, Denied):
        return 0
    bound = collar_bound(policy, instrument, side, reference)
    if side is Side.BUY:
        bound -= bound % instrument.tick
        return min(bound, limit) if limit else bound
    return max(bound + -bound % instrument.tick, limit)


def _twin(gate: Gate, policy: RiskPolicy, event: ParentRequested) -> Denied | None:
    while gate.recent and gate.recent[(oldest := next(iter(gate.recent)))] < event.ts - policy.duplicate_window_ns:
        del gate.recent[oldest]
    seen_ts = gate.recent.get(_look(event))
    if seen_ts is None:
        return None
    age = event.ts - seen_ts
    wait = (policy.duplicate_window_ns - age) // SECOND + 1
    text = f"same symbol, side, quantity and price as an order of {age // SECOND} s ago; wait {wait} s or change one of them"
    return _no("duplicate_order", text, DUPLICATE, policy.duplicate_window_ns, age)


def _look(event: ParentRequested) -> str:
    return " ".join((event.session, event.side, str(event.order_qty), str(event.price), event.symbol))


def _rate(gate: Gate, key: str, ts: int) -> Rate:
    rate = gate.rates.get(key)
    if rate is None:
        rate = gate.rates[key] = Rate(updated_ts=ts, day=ts // DAY)
    rate.spent_ns = max(0, rate.spent_ns - (ts - rate.updated_ts))
    rate.updated_ts = ts
    if ts // DAY != rate.day:
        rate.day, rate.sent_today = ts // DAY, 0
    return rate


def _spend(rate: Rate, per_second_max: int) -> None:
    rate.spent_ns += SECOND // max(1, per_second_max)
    rate.sent_today += 1


def _take_token(gate: Gate, key: str, per_second_max: int, per_day_max: int, ts: int) -> Denied | None:
    """Spend one message of the rate; a limit of 0 lets nothing pass, per_day_max -1 is no daily limit."""
    rate = _rate(gate, key, ts)
    if per_second_max == 0 or rate.spent_ns + SECOND // per_second_max > SECOND:
        text = f"more than {per_second_max} messages a second on {key}; slow down"
        return _no("message_rate", text, EXCEEDS_LIMIT, per_second_max, per_second_max + 1)
    if 0 <= per_day_max <= rate.sent_today:
        return _no("message_count", f"{per_day_max} messages today on {key} are used up", EXCEEDS_LIMIT, per_day_max, rate.sent_today)
    _spend(rate, per_second_max)
    return None


def _over(code: str, what: str, usage: int, limit: int, policy: RiskPolicy, decimals: int) -> Denied:
    text = f"{what} {qty_text(usage, decimals)} exceeds {code} {qty_text(limit, decimals)} of policy {policy.name}"
    return _no(code, text, EXCEEDS_LIMIT, limit, usage)


def _no(code: str, text: str, reason: int, limit: int = 0, usage: int = 0) -> Denied:
    return Denied("risk", code, text, reason, limit, usage)
