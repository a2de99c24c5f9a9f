"""The gate for parents: admit() at the door, admit_amended() where a client or an operator changes one.

Rule 1: what is refused is refused with the limit, the layer that sets it and what to change.
Rule 2: a soft block asks once whether that is meant; an override lets one order of a client past what two persons may let pass.
Rule 3: less at the same price always may.
Rule 4: an override is asked last: what it can't let pass is refused before.
"""

import msgspec

from algoserver.core import exposure
from algoserver.core.bounds import Bounds
from algoserver.core.exposure import GatedParent
from algoserver.core.rates import has_room, rate, spend
from algoserver.core.risk import (
    DUPLICATE,
    EXCEEDS_LIMIT,
    FOR_THE_DAY,
    OTHER,
    UNSUPPORTED,
    Gate,
    collar,
    no,
    of_layer,
    over,
    over_value,
    reference_px,
    refused,
    steps,
    stopped,
    too_fast,
)
from algoserver.domain.events import ParentRequested
from algoserver.domain.limits import UNSET
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import PPM_ONE, SECOND, Denied, Instrument, Side, px_text

# What two persons may let pass for one order. The rest is the market's, the law's or the firm's standing.
OVERRIDABLE = ("parent_qty_max", "parent_value_max", "parent_value_soft_max", "parent_adv_max", "participation_max", "price_collar")
BUY, SELL_SHORT = Side.BUY, Side.SELL_SHORT  # to ask the enum takes ten times as long in Python 3.11


def admit(
    gate: Gate, bounds: Bounds, instrument: Instrument, seen: tuple[int, int], event: ParentRequested, stand_in_px: int = 0
) -> Denied | None:
    """May this parent be worked at all? Value and collar are taken at the limit, or at the market without one.

    seen: market.reference(). stand_in_px: risk.stand_in().
    """
    what, _ = stopped(gate, bounds.scopes) if gate.stops else ("", "")
    if what:
        return no("killed", f"{what}; send the order again after release", OTHER)
    denied = _permitted(bounds, event) or steps(instrument, event.order_qty, event.price, event.ord_type, "order_qty")
    reference = denied or reference_px(bounds, event.symbol, seen, event.ts, stand_in_px)
    if not isinstance(reference, int):
        return reference
    # Nothing that no two persons may let pass is behind one that they may: an override is of the limits, not of what is after them.
    denied = (
        _participation(bounds, event)
        or _limits(bounds, instrument, reference, event)
        or _unconfirmed(gate, bounds, instrument, reference, event)
    )
    override = _override(gate, event) if denied is not None and denied.code in OVERRIDABLE else ""
    if denied is not None and not override:
        return denied
    look = _look(event)
    denied = (
        _twin(gate, bounds, event, look)
        or _credit(gate, bounds, instrument, event.price or reference, event)
        or _take_token(gate, bounds, event)
    )
    if denied is not None:
        return denied
    if override:
        gate.overridden[f"{event.session} {event.cl_ord_id}"] = gate.overrides.pop(override)
    gate.soft.pop(look, None)
    gate.recent.pop(look, None)
    gate.recent[look] = event.ts
    return None


def admit_amended(
    gate: Gate, bounds: Bounds, instrument: Instrument, seen: tuple[int, int], parent_id: str, event: ParentRequested, stand_in_px: int = 0
) -> Denied | None:
    """May an admitted parent become what `event` says? Less at the same price always may, if it is in lots."""
    known = gate.parents[parent_id]
    denied = steps(instrument, event.order_qty, event.price, event.ord_type, "order_qty") or _participation(bounds, event)
    is_less = event.order_qty <= known.order_qty and event.price == known.price
    if is_less or denied is not None:
        if denied is None:
            # It always may, but others wait for it: a flood of replaces that change nothing is a flood.
            spend(rate(gate.rates, f"parents:{event.session}"), bounds.parent_token_ns, event.ts)
        return denied
    what, _ = stopped(gate, bounds.scopes) if gate.stops else ("", "")
    if what:
        return no("killed", f"{what}; send the replace again after release", OTHER)
    denied = _permitted(bounds, event)
    reference = denied or reference_px(bounds, event.symbol, seen, event.ts, stand_in_px)
    if not isinstance(reference, int):
        return reference
    is_more = event.order_qty > known.order_qty and event.session == known.client  # an operator means what he says
    return (
        _limits(bounds, instrument, reference, event)
        or (_unconfirmed(gate, bounds, instrument, reference, event) if is_more else None)
        or _credit(gate, bounds, instrument, event.price or known.px, event, known)
        or _take_token(gate, bounds, event)
    )


def note_parent(gate: Gate, keys: tuple[str, ...], parent_id: str, event: ParentRequested, px: int, one: int) -> None:
    """Open the gate's books for an admitted parent.

    keys: its bounds'. px: what it is valued at without a limit. one: quantity units of a whole share or coin.
    """
    parent = GatedParent(
        event.session, event.symbol, event.side, event.order_qty, event.price, event.strategy, keys, one, px,
        event.time_in_force is FOR_THE_DAY,
    )  # fmt: skip
    exposure.on_admitted(gate, parent_id, parent)


def _permitted(bounds: Bounds, event: ParentRequested) -> Denied | None:
    if bounds.refused:
        return refused(bounds)
    if bounds.ord_types and event.ord_type.name not in bounds.ord_types:
        return no("ord_type_denied", f"OrdType (40) {event.ord_type.name} is not for you; use {', '.join(bounds.ord_types)}", UNSUPPORTED)
    if event.side is SELL_SHORT and bounds.short_sale == "refused":
        return no("short_sale_denied", "short sales (54=5) are not for you", UNSUPPORTED)
    if event.side is SELL_SHORT and bounds.short_sale == "locate" and not event.is_located:
        return no("no_locate", "a short sale (54=5) needs LocateReqd (114) N: that you have located the stock", OTHER)
    return None


def _participation(bounds: Bounds, event: ParentRequested) -> Denied | None:
    wished, most = max(event.params.max_pct_vol, event.params.target_pct_vol), bounds.participation_ppm_max
    if most == UNSET or wished <= most:
        return None
    text = f"MaxPctVol or TargetPctVol {wished / PPM_ONE:g} exceeds participation_max {most / PPM_ONE:g} {bounds.where('participation_ppm_max')}"
    return no("participation_max", text, EXCEEDS_LIMIT, most, wished)


def _limits(bounds: Bounds, instrument: Instrument, reference: int, event: ParentRequested) -> Denied | None:
    decimals, quantity = instrument.qty_decimals, event.order_qty
    one: int = 10**decimals
    qty_max = bounds.parent_qty_max * one
    if quantity > qty_max:
        return over("parent_qty_max", "order_qty", quantity, qty_max, bounds, decimals)
    adv_max = instrument.adv * bounds.parent_adv_ppm_max // PPM_ONE
    if quantity > adv_max:
        return over("parent_adv_max", "order_qty", quantity, adv_max, bounds, decimals, "parent_adv_ppm_max")
    value, value_max = _worth(event, reference) * quantity, bounds.parent_value_max * one
    if value > value_max:
        return over_value("parent_value_max", "order value", value // one, bounds.parent_value_max, bounds)
    return collar(bounds, instrument, event.side, event.price, reference) if event.price else None


def _worth(event: ParentRequested, reference: int) -> int:
    """Price that an order's value is taken at: its limit or the market. A sale far below the market is done at the market."""
    return max(event.price, reference) if event.price and event.side is not BUY else event.price or reference


def _unconfirmed(gate: Gate, bounds: Bounds, instrument: Instrument, reference: int, event: ParentRequested) -> Denied | None:
    """A soft block: the first time it asks whether that is meant, the second time it is."""
    value = _worth(event, reference) * event.order_qty // 10**instrument.qty_decimals
    if bounds.parent_value_soft_max == UNSET or value <= bounds.parent_value_soft_max:
        return None
    while gate.soft and gate.soft[(oldest := next(iter(gate.soft)))] < event.ts - bounds.confirm_window_ns:
        del gate.soft[oldest]
    look = _look(event)
    if look in gate.soft:
        return None
    gate.soft[look] = event.ts
    over = over_value("parent_value_soft_max", "order value", value, bounds.parent_value_soft_max, bounds)
    again = f"if it is meant, send it again within {bounds.confirm_window_ns // SECOND} s with a new ClOrdID (11)"
    return msgspec.structs.replace(over, text=f"{over.text}; {again}")


def _override(gate: Gate, event: ParentRequested) -> str:
    """The override by which two persons have let this order pass; "" if there is none. The order that is admitted by it uses it up."""
    for name, override in gate.overrides.items():
        is_meant = (override.client, override.symbol, override.side) == (event.session, event.symbol, event.side)
        if is_meant and event.order_qty <= override.order_qty and event.ts <= override.until_ts:
            return name
    return ""


def _credit(
    gate: Gate, bounds: Bounds, instrument: Instrument, px: int, event: ParentRequested, known: GatedParent | None = None
) -> Denied | None:
    """What the order would make of each layer's gross value, if all of it is done. known: the order that it amends."""
    value = max(0, event.order_qty - (known.filled if known else 0)) * px // 10**instrument.qty_decimals
    for layer in bounds.summed:
        used = exposure.total(gate, layer.keys)
        gross = used.bought + used.sold + used.working + value
        if known is not None:
            gross -= known.working
        if gross > layer.gross:
            text = f"with this order {of_layer(layer)} has {px_text(gross)} bought, sold and working today, gross_value_max is {px_text(layer.gross)}"
            return no("gross_value_max", text, EXCEEDS_LIMIT, layer.gross, gross)
    return None


def _twin(gate: Gate, policy: RiskPolicy, event: ParentRequested, look: str) -> Denied | None:
    while gate.recent and gate.recent[(oldest := next(iter(gate.recent)))] < event.ts - policy.duplicate_window_ns:
        del gate.recent[oldest]
    seen_ts = gate.recent.get(look)
    if seen_ts is None:
        return None
    age = event.ts - seen_ts
    wait = (policy.duplicate_window_ns - age) // SECOND + 1
    text = f"same symbol, side, quantity and price as an order of {age // SECOND} s ago; wait {wait} s or change one of them"
    return no("duplicate_order", text, DUPLICATE, policy.duplicate_window_ns, age)


def _look(event: ParentRequested) -> str:
    return " ".join((event.session, event.side, str(event.order_qty), str(event.price), event.symbol))


def _take_token(gate: Gate, bounds: Bounds, event: ParentRequested) -> Denied | None:
    key = f"parents:{event.session}"
    found = rate(gate.rates, key)
    if not has_room(found, bounds.parent_token_ns, event.ts):
        return too_fast(key, bounds.parents_per_second_max)
    spend(found, bounds.parent_token_ns, event.ts)
    return None
