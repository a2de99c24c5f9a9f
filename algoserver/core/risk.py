"""The gate for children: check(), the last look after all algos and before the wire. Parents are let in by admission.

Rule 1: the gate keeps its own books (exposure). It is told what was admitted, what left and what came back, and believes no algo.
Rule 2: it fails closed: without policy or without a fresh reference price nothing new leaves. Before the open the previous close stands in
for one, for parents at the door and for children that are orders at the open.
Rule 3: a limit holds at equality, and counts what is on its way as if it had arrived.
Rule 4: cancels never ask here.
Rule 5: what must not happen again stops by itself: a refusal may name a scope that is stopped by it, until a person releases it.
"""

import msgspec

from algoserver.core import exposure
from algoserver.core import market as markets
from algoserver.core.bounds import BEYOND, Bounds, Summed
from algoserver.core.exposure import SYMBOL, Books, GatedParent, Usage
from algoserver.core.market import Market
from algoserver.core.rates import Count, Rate, count, note, rate, spend, token_ns
from algoserver.domain.commands import SendChild
from algoserver.domain.limits import UNSET
from algoserver.domain.policy import RiskPolicy, SessionHours
from algoserver.domain.types import DAY, MID_PEG, PPM_ONE, SECOND, Denied, Instrument, OrdType, Side, TimeInForce, px_text, qty_text

UNKNOWN_SYMBOL, EXCHANGE_CLOSED, EXCEEDS_LIMIT, DUPLICATE, UNSUPPORTED, INCORRECT_QTY, OTHER = 1, 2, 3, 6, 11, 13, 99
BUY, LIMIT, MARKET, PEGGED = Side.BUY, OrdType.LIMIT, OrdType.MARKET, OrdType.PEGGED  # to ask the enum takes ten times as long in Python 3.11
FOR_THE_DAY, AT_OPEN, AT_CLOSE = TimeInForce.DAY, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE
# Denials that pass by themselves, by time or by the next quote: a parent waits for its next turn and not for a person.
PASSING = ("message_rate", "no_reference", "stale_reference", "traded_max", "self_match")
FIRM = "firm"


class Stop(msgspec.Struct):
    """A scope where nothing new leaves and all children are taken back. is_verified: none was open any more, and that was said.

    is_automatic: no person did it, a limit was reached.
    """

    by: str
    reason: str
    ts: int
    is_automatic: bool = False
    is_verified: bool = False

    @property
    def text(self) -> str:
        """Who and why."""
        return f"{self.by}: {self.reason}" if self.reason else self.by


class Override(msgspec.Struct, frozen=True):
    """One order of a client that may pass the OVERRIDABLE limits once, up to until_ts. by, checked_by: two persons."""

    client: str
    symbol: str
    side: Side
    order_qty: int
    until_ts: int
    by: str
    checked_by: str
    reason: str = ""


class Traffic(msgspec.Struct, gc=False):
    """Messages and fills of an algo or at a venue on one UTC day. refused: in a row. is_told: that there are too many messages."""

    messages: int = 0
    fills: int = 0
    refused: int = 0
    is_told: bool = False


class Gate(Books):
    """The gate's own books. stops: scope -> why nothing new leaves there. rates, counts and traffic by what they are of.

    recent: look of a parent lately admitted -> when, oldest first. soft: look of one that was softly refused -> when.
    overridden: "client cl_ord_id" -> the override that the order has used.
    """

    stops: dict[str, Stop] = msgspec.field(default_factory=dict)
    rates: dict[str, Rate] = msgspec.field(default_factory=dict)
    counts: dict[str, Count] = msgspec.field(default_factory=dict)
    traffic: dict[str, Traffic] = msgspec.field(default_factory=dict)
    recent: dict[str, int] = msgspec.field(default_factory=dict)
    soft: dict[str, int] = msgspec.field(default_factory=dict)
    overrides: dict[str, Override] = msgspec.field(default_factory=dict)
    overridden: dict[str, Override] = msgspec.field(default_factory=dict)

    @property
    def killed(self) -> str:
        """Why the firm is stopped; empty while it is not."""
        stop = self.stops.get(FIRM)
        return stop.text if stop else ""

    @property
    def open_children(self) -> int:
        """Children that may trade, anywhere."""
        firm = self.usage.get(FIRM)
        return firm.children_open if firm else 0


def turn_day(gate: Gate, ts: int) -> None:
    """A UTC day begins, for all that is counted by days. Limits that were reached yesterday hold until somebody releases what they stopped."""
    exposure.turn_day(gate, ts)
    for bucket in gate.rates.values():
        bucket.sent_today = 0
    gate.traffic = {scope: Traffic(refused=seen.refused) for scope, seen in gate.traffic.items() if seen.refused}


def stopped(gate: Gate, scopes: tuple[str, ...]) -> tuple[str, str]:
    """Which stop, if any, hits one of these scopes: in words for anybody, and by whom and why, which is not for clients."""
    for scope in scopes:
        stop = gate.stops.get(scope)
        if stop is not None:
            return f"{'the firm' if scope == FIRM else scope} is stopped", stop.text
    return "", ""


def stand_in(instrument: Instrument, hours: SessionHours, ts: int) -> int:
    """What is the reference where none is fresh: before the open of a day the previous close, else nothing (0)."""
    is_before = ts % DAY < hours.open_ns and hours.close_ns - hours.open_ns < DAY
    return instrument.previous_close if is_before else 0


def check(
    gate: Gate,
    bounds: Bounds | None,
    instruments: dict[str, Instrument],
    venues: dict[str, bool],
    market: Market | None,
    child: SendChild,
    ts: int,
    shut: str = "",
    stand_in_px: int = 0,
) -> Denied | None:
    """May this child leave? If so it is in the books from now on. venues: name -> whether its session is up.

    shut: why its venue takes nothing of this symbol now. stand_in_px: stand_in(), which holds for orders at the open alone.
    """
    parent_id = child.child_id.rpartition(".")[0]
    parent = gate.parents.get(parent_id)
    if bounds is None:
        return no("no_policy", "no policy is loaded", OTHER)
    what, why = stopped(gate, (*bounds.scopes, f"venue:{child.venue}")) if gate.stops else ("", "")
    if what:
        return no("killed", f"{what} ({why})", OTHER)
    if parent is None:
        return no("no_parent", f"child {child.child_id} has no admitted parent", OTHER)
    if child.child_id in gate.children:
        return no("duplicate_child", f"child {child.child_id} has left before", DUPLICATE)
    if child.symbol != parent.symbol or child.side is not parent.side:
        return no("not_the_parents", f"child is {child.side.name} {child.symbol}, its parent {parent.side.name} {parent.symbol}", OTHER)
    instrument = instruments.get(child.symbol)
    if instrument is None or market is None:
        return no("unknown_symbol", f"symbol {child.symbol} is not in the instruments", UNKNOWN_SYMBOL)
    if not venues.get(child.venue, False):
        return no("venue_unusable", f"venue {child.venue} is not configured or its session is down", OTHER)
    if shut:
        return no("venue_shut", f"{child.symbol} at {child.venue}: {shut}", EXCHANGE_CLOSED)
    if bounds.refused:
        return refused(bounds)
    if child.venue not in bounds.open_names:
        names = ", ".join(bounds.open_names)
        return no("venue_denied", f"by policy {bounds.name} and the client's profile {names} is open to it, not {child.venue}", OTHER)
    denied = (
        steps(instrument, child.order_qty, child.price, child.ord_type, "child quantity")
        or _child_limits(gate, bounds, instrument, parent, market, child, ts, stand_in_px if child.time_in_force is AT_OPEN else 0)
        or _sums(gate, bounds, parent, child)
        or (_position(gate, bounds, instrument, parent, child) if bounds.position_max != UNSET else None)
        or _take_child_tokens(gate, bounds, parent, child, ts)
    )
    if denied is None:
        exposure.on_sent(gate, parent_id, child)
    return denied


def count_message(gate: Gate, policy: RiskPolicy, venue: str, ts: int) -> None:
    """A message that always passes (cancel, status) uses the venue's rate all the same: orders wait for it."""
    spend(rate(gate.rates, f"venue:{venue}"), token_ns(policy.venue_messages_per_second_max), ts)


def refused(bounds: Bounds) -> Denied:
    """Why such an order may not be at all."""
    code, _, text = bounds.refused.partition(": ")
    return no(code, text, OTHER)


def _child_limits(
    gate: Gate, bounds: Bounds, instrument: Instrument, parent: GatedParent, market: Market, child: SendChild, ts: int, stand_in_px: int
) -> Denied | None:
    qty_max = bounds.child_qty_max * parent.one
    if child.order_qty > qty_max:
        return over("child_qty_max", "child quantity", child.order_qty, qty_max, bounds, instrument.qty_decimals)
    exposed = parent.filled + parent.open + child.order_qty
    if exposed > parent.order_qty:
        text = f"filled {parent.filled} + open {parent.open} + child {child.order_qty} exceeds order_qty {parent.order_qty}"
        return no("conservation", text, EXCEEDS_LIMIT, parent.order_qty, exposed)
    is_pegged = child.ord_type is PEGGED and child.exec_inst == MID_PEG
    if not child.price or not (child.ord_type is LIMIT or is_pegged):
        text = "a child carries a limit price (40=2, or 44 of a mid-peg), or nothing bounds what it pays"
        return no("no_limit_price", text, UNSUPPORTED)
    if parent.price and (child.price - parent.price) * child.side.sign > 0:
        text = f"child price {px_text(child.price)} is beyond the parent's limit {px_text(parent.price)}"
        return no("beyond_limit", text, EXCEEDS_LIMIT, parent.price, child.price)
    reference = reference_px(bounds, market.symbol, markets.reference(market), ts, stand_in_px)
    if not isinstance(reference, int):
        return reference
    value, value_max = child.price * child.order_qty, bounds.child_value_max * parent.one
    if value > value_max:
        return over_value("child_value_max", "child value", value // parent.one, bounds.child_value_max, bounds)
    denied = collar(bounds, instrument, child.side, child.price, reference)
    if denied is not None:
        return denied
    is_continuous = child.time_in_force is not AT_OPEN and child.time_in_force is not AT_CLOSE
    if bounds.self_match != "off" and is_continuous:
        met = exposure.crosses_own(gate, child.venue, child.symbol, child.side, child.price)
        if met:
            return no("self_match", f"it would meet our own child at {px_text(met)} at {child.venue}", OTHER, met, child.price)
    if bounds.traded_ppm_max != UNSET and parent.is_scheduled and is_continuous and not is_pegged:
        return _share(gate, bounds, instrument, market, child, ts)
    return None


def _share(gate: Gate, bounds: Bounds, instrument: Instrument, market: Market, child: SendChild, ts: int) -> Denied | None:
    """Our share of the market's volume, all orders together: what traded, and what is shown as if it had. Not asked: an order that is
    immediate by the client's own word, and what rests unseen, of which most never trades."""
    since_ts = ts - bounds.traded_window_ns
    own = gate.traded.get(child.symbol)
    ours = (own.since(since_ts, include_second=True) if own else 0) + gate.shown.get(child.symbol, 0) + child.order_qty
    # Rounded against us on both sides: our second counts whole, the market's does not.
    most = market.volume.since(since_ts, include_second=False) * bounds.traded_ppm_max // PPM_ONE + instrument.adv * bounds.traded_free_ppm // PPM_ONE
    if ours <= most:
        return None
    d = instrument.qty_decimals
    text = f"{qty_text(ours, d)} of {child.symbol} in {bounds.traded_window_ns // SECOND} s exceeds the {qty_text(most, d)} that traded_max leaves"
    return no("traded_max", f"{text} {bounds.where('traded_ppm_max')}", EXCEEDS_LIMIT, most, ours)


def _sums(gate: Gate, bounds: Bounds, parent: GatedParent, child: SendChild) -> Denied | None:
    """What each layer counts, with this child. While all that was added to the books since they were last looked at, with this child, is no more
    than what the tightest of them had left then, none can be beyond its limits and none is looked at."""
    value = child.price * child.order_qty // parent.one
    if parent.seen_by == bounds.sums_digest and gate.added + value <= parent.added_max and gate.begun < parent.begun_max:
        return None
    left = slots_left = BEYOND
    for layer in bounds.summed:
        used = exposure.total(gate, layer.keys)
        room, slots = layer.least - used.bought - used.sold - used.buys_open - used.sells_open, layer.children - used.children_open
        # One question for a layer that has room, as almost all have; which limit it was is asked after.
        denied = _sum_denied(layer, used, value, child) if room < value or slots <= 0 else None
        if denied is not None:
            return denied
        if room < left:
            left = room
        if slots < slots_left:
            slots_left = slots
    parent.seen_by, parent.added_max, parent.begun_max = bounds.sums_digest, gate.added + left, gate.begun + slots_left
    return None


def _position(gate: Gate, bounds: Bounds, instrument: Instrument, parent: GatedParent, child: SendChild) -> Denied | None:
    used = gate.usage[parent.keys[SYMBOL]]
    position = used.position + used.buy_qty_open if child.side is BUY else used.sell_qty_open - used.position
    after, most = position + child.order_qty, bounds.position_max * parent.one
    if after <= most:
        return None
    d = instrument.qty_decimals
    text = f"a net position of {qty_text(after, d)} exceeds position_max {qty_text(most, d)} {bounds.where('position_max')}"
    return no("position_max", text, EXCEEDS_LIMIT, most, after)


def _sum_denied(layer: Summed, used: Usage, value: int, child: SendChild) -> Denied | None:
    open_value, traded = used.buys_open + used.sells_open + value, used.bought - used.sold
    net = traded + used.buys_open + value if child.side is BUY else used.sells_open - traded + value
    if used.children_open >= layer.children:
        text = f"{of_layer(layer)} has {used.children_open} open children, children_open_max is {layer.children}"
        return no("children_open_max", text, EXCEEDS_LIMIT, layer.children, used.children_open + 1)
    if open_value > layer.open_value:
        return _sum_over("open_value_max", "open", layer, open_value, layer.open_value)
    gross = used.bought + used.sold + open_value
    if gross > layer.gross:
        return _sum_over("gross_value_max", "bought, sold and open today", layer, gross, layer.gross, layer.scope)
    if net > layer.net:
        return _sum_over("net_value_max", "net", layer, net, layer.net, layer.scope)
    return None


def _take_child_tokens(gate: Gate, bounds: Bounds, parent: GatedParent, child: SendChild, ts: int) -> Denied | None:
    rates, full_ts_max, taken = gate.rates, ts + SECOND, []
    for bucket in bounds.buckets[child.venue]:
        found = rates.get(bucket.key) or rate(rates, bucket.key)
        full_ts = (found.full_ts if found.full_ts > ts else ts) + bucket.token_ns
        if full_ts > full_ts_max:  # has_room(), of what spend() would do
            return too_fast(bucket.scope, bucket.per_second_max)
        taken.append((found, full_ts))
    at_venue = taken[0][0]
    if at_venue.sent_today >= bounds.venue_messages_per_day_max >= 0:
        text = f"{bounds.venue_messages_per_day_max} messages today on venue:{child.venue} are used up"
        return no("message_count", text, EXCEEDS_LIMIT, bounds.venue_messages_per_day_max, at_venue.sent_today)
    if bounds.repeats_max != UNSET:
        pair = parent.keys[4]
        repeats = count(gate.counts, pair, bounds.repeats_window_ns, ts)
        if repeats.times >= bounds.repeats_max:
            text = f"{repeats.times} children of {pair.removeprefix('algo:')} in {bounds.repeats_window_ns // SECOND} s: repeats_max"
            return no("repeats_max", f"{text} {bounds.where('repeats_max')}", EXCEEDS_LIMIT, bounds.repeats_max, repeats.times + 1, pair)
        note(repeats)
    for found, full_ts in taken:
        found.full_ts = full_ts
    at_venue.sent_today += 1  # only a venue's day is counted
    return None


def too_fast(key: str, per_second_max: int) -> Denied:
    """More messages than a second may have."""
    text = f"more than {per_second_max} messages a second on {key}; slow down"
    return no("message_rate", text, EXCEEDS_LIMIT, per_second_max, per_second_max + 1)


def steps(instrument: Instrument, quantity: int, price: int, ord_type: OrdType, what: str) -> Denied | None:
    """Whether quantity and price are in the instrument's steps."""
    decimals = instrument.qty_decimals
    if quantity <= 0 or quantity % instrument.lot:
        text = f"{what} {qty_text(quantity, decimals)} is not a positive multiple of lot {qty_text(instrument.lot, decimals)}"
        return no("wrong_lot", text, INCORRECT_QTY, instrument.lot, quantity)
    if (ord_type is LIMIT or (ord_type is PEGGED and price)) and (price <= 0 or price % instrument.tick):
        text = f"price {px_text(price)} is not a positive multiple of tick {px_text(instrument.tick)} of {instrument.symbol}"
        return no("wrong_tick", text, OTHER, instrument.tick, price)
    if ord_type is MARKET and price:
        return no("price_on_market", "a market order (40=1) carries no price (44); leave it out or send 40=2", OTHER)
    return None


def reference_px(policy: RiskPolicy, symbol: str, seen: tuple[int, int], ts: int, stand_in_px: int = 0) -> int | Denied:
    """The price that values and collars are measured by; a refusal where there is none that is fresh. seen: market.reference()."""
    reference, confirmed_ts = seen
    age = ts - confirmed_ts
    if stand_in_px and (not reference or age > policy.reference_age_ns_max):
        return stand_in_px
    if not reference:
        return no("no_reference", f"no reference price of {symbol} is known; wait for market data", OTHER)
    if age > policy.reference_age_ns_max:
        text = f"the reference price of {symbol} is {age // SECOND} s old, policy {policy.name} allows {policy.reference_age_ns_max // SECOND}"
        return no("stale_reference", text, OTHER, policy.reference_age_ns_max, age)
    return reference


def collar_bound(policy: RiskPolicy, instrument: Instrument, side: Side, reference: int) -> int:
    """Dearest price around `reference`. The wider of both widths holds: a percentage of a cheap share is less than one tick."""
    return reference + side.sign * _collar_width(policy, instrument, reference)


def _collar_width(policy: RiskPolicy, instrument: Instrument, reference: int) -> int:
    return max(reference * policy.collar_ppm // PPM_ONE, policy.collar_ticks * instrument.tick)


def collar(bounds: Bounds, instrument: Instrument, side: Side, price: int, reference: int) -> Denied | None:
    """Only the dear side hurts: a buy far below the market rests, it does not trade."""
    width = _collar_width(bounds, instrument, reference)
    if (price - reference if side is BUY else reference - price) > width:
        bound = reference + side.sign * width
        text = f"price {px_text(price)} is beyond the collar {px_text(bound)} around {px_text(reference)} {bounds.where('collar_ppm')}"
        return no("price_collar", text, EXCEEDS_LIMIT, bound, price)
    return None


def dearest_px(policy: RiskPolicy, instrument: Instrument, side: Side, market: Market, limit: int, ts: int, stand_in_px: int = 0) -> int:
    """The dearest price in ticks that collar and `limit` (0: none) let out now; 0 without a fresh reference."""
    reference = reference_px(policy, market.symbol, markets.reference(market), ts, stand_in_px)
    if not isinstance(reference, int):
        return 0
    bound = collar_bound(policy, instrument, side, reference)
    if side is Side.BUY:
        bound -= bound % instrument.tick
        return min(bound, limit) if limit else bound
    return max(bound + -bound % instrument.tick, limit)


def over(code: str, what: str, usage: int, limit: int, bounds: Bounds, decimals: int, field: str = "") -> Denied:
    """A quantity beyond its limit."""
    text = f"{what} {qty_text(usage, decimals)} exceeds {code} {qty_text(limit, decimals)} {bounds.where(field or code)}"
    return no(code, text, EXCEEDS_LIMIT, limit, usage)


def over_value(code: str, what: str, usage: int, limit: int, bounds: Bounds) -> Denied:
    """A value beyond its limit."""
    return no(code, f"{what} {px_text(usage)} exceeds {code} {px_text(limit)} {bounds.where(code)}", EXCEEDS_LIMIT, limit, usage)


def _sum_over(code: str, what: str, layer: Summed, usage: int, limit: int, stops: str = "") -> Denied:
    return no(code, f"{of_layer(layer)} would have {px_text(usage)} {what}, {code} is {px_text(limit)}", EXCEEDS_LIMIT, limit, usage, stops)


def of_layer(layer: Summed) -> str:
    """A layer's name in a text."""
    return "the firm" if layer.scope == FIRM else layer.scope.replace(":", " ")


def no(code: str, text: str, reason: int, limit: int = 0, usage: int = 0, stops: str = "") -> Denied:
    """A refusal; stops: the scope that is stopped by it."""
    return Denied("risk", code, text, reason, limit, usage, stops)
