"""What holds for one order: the tightest of all layers that it stands under, and which of them count it.

Rule 1: the tightest wins, whatever its layer. A layer can only tighten: the file is refused where one is looser than what is above it.
Rule 2: what is summed (open children, value, rate) is counted by each layer that limits it; a desk's count is its clients' together.
"""

from hashlib import blake2b
from typing import Any

import msgspec

from algoserver.core.orders import ParentOrder
from algoserver.core.rates import token_ns
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.limits import SUMMED, UNSET, Limits
from algoserver.domain.policy import Layer, RiskPolicy, Venue
from algoserver.domain.types import Strategy

FIRM = "firm"
BEYOND = 1 << 200  # more than anything that is counted
NAMES = {int(s): s.name for s in Strategy}
ALGO_SCOPES = {number: f"algo:{name}" for number, name in NAMES.items()}
MEMO_MAX = 10_000  # combinations of client, symbol and algo that are kept resolved


class Summed(msgspec.Struct, frozen=True):
    """A layer that counts: its scope, its limits, and under which names the gate's books have its parts.

    children to net: its limits, where it sets none BEYOND. least: the tightest of open_value, gross and net. Open value and net are parts of
    gross: within the tightest, it is within all three.
    """

    scope: str
    limits: Limits
    keys: tuple[str, ...]
    children: int
    open_value: int
    gross: int
    net: int
    least: int


class Bucket(msgspec.Struct, frozen=True):
    """A rate of messages: its key, whose it is, how many a second, and how much of a full bucket one takes."""

    key: str
    scope: str
    per_second_max: int
    token_ns: int


class Bounds(RiskPolicy, frozen=True, kw_only=True):
    """A policy as one order meets it. scopes: names of what a stop may hit it by. tight: limit -> the scope that sets it, but for the firm's.

    summed: layers that count its children; sums_digest: of them, for who was looked at by others must be looked at again. buckets: by venue that
    is open, what counts its messages in time, the venue's own first. open_to: venues that its children may go to, by policy and by
    what the client has agreed to; open_names: theirs. desk: whose client's it is; "" without one. algo: its algo's name.
    keys: under which names the gate's books count it. parent_token_ns: how much of a second one parent takes.
    refused: why such an order may not be at all; "" if it may.
    """

    scopes: tuple[str, ...]
    tight: dict[str, str]
    summed: tuple[Summed, ...]
    sums_digest: str
    buckets: dict[str, tuple[Bucket, ...]]
    open_to: tuple[Venue, ...]
    open_names: tuple[str, ...]
    desk: str
    algo: str
    keys: tuple[str, ...]
    parent_token_ns: int
    refused: str
    ord_types: tuple[str, ...]
    short_sale: str
    on_disconnect: str

    def where(self, field: str) -> str:
        """Which part of which policy a limit is of, for a text."""
        scope = self.tight.get(field, FIRM)
        return f"of policy {self.name}" if scope == FIRM else f"of {scope.replace(':', ' ')} in policy {self.name}"


# A function of its arguments, remembered: every child asks, and a policy is one object until the next is loaded.
_memo: dict[tuple[int, str, str, int], tuple[PolicyLoaded, Bounds]] = {}


def bounds(setup: PolicyLoaded, client: str, symbol: str, strategy: int) -> Bounds:
    """What holds for a client's orders in a symbol by a strategy."""
    key = (id(setup), client, symbol, strategy)
    known = _memo.get(key)
    if known is not None and known[0] is setup:
        return known[1]
    found = _resolve(setup, client, symbol, algo_name(strategy))
    if len(_memo) >= MEMO_MAX:
        _memo.clear()
    _memo[key] = (setup, found)
    return found


def algo_name(strategy: int) -> str:
    """A strategy's name; its number where it has none."""
    return NAMES.get(strategy) or str(strategy)


def keys_of(client: str, symbol: str, algo: str) -> tuple[str, ...]:
    """The scopes that an order counts in. A desk's are its clients': who belongs to it may change while orders work."""
    return FIRM, f"client:{client}", f"symbol:{symbol}", f"algo:{algo}", f"algo:{algo}@{symbol}"


def algo_scope(parent: ParentOrder) -> str:
    """The scope of a parent's algo."""
    return ALGO_SCOPES.get(parent.strategy) or f"algo:{parent.strategy}"


def scopes_of(policy: RiskPolicy, client: str, symbol: str, algo: str) -> tuple[str, ...]:
    """The names that a stop may hit an order by, from the widest."""
    desk = policy.desk_of(client)
    return (FIRM, *((desk.scope,) if desk else ()), f"client:{client}", f"symbol:{symbol}", f"algo:{algo}", f"algo:{algo}@{symbol}")


def firm_limits(policy: RiskPolicy) -> Limits:
    """The firm's own layer."""
    return Limits(**{f: getattr(policy, f) for f in Limits.__struct_fields__})


def _resolve(setup: PolicyLoaded, client: str, symbol: str, algo: str) -> Bounds:
    policy = setup.policy
    scopes = scopes_of(policy, client, symbol, algo)
    layers = [x for x in policy.layers if x.scope in scopes]
    values: dict[str, Any] = {}
    tight: dict[str, str] = {}
    for field in Limits.__struct_fields__:
        values[field] = getattr(policy, field)
        for layer in layers:
            value = getattr(layer.limits, field)
            if value != UNSET and (values[field] == UNSET or value < values[field]):
                values[field], tight[field] = value, layer.scope
    summed = [summed_of(FIRM, firm_limits(policy), (FIRM,))]
    summed += [summed_of(x.scope, x.limits, tuple(f"client:{c}" for c in x.clients) if x.kind == "desk" else (x.scope,)) for x in layers]
    permits = [policy.permits, *(x.permits for x in layers)]
    agreed = next((p.venues for p in setup.profiles if p.client == client), ())
    lists = [names for names in (agreed, *(p.venues for p in permits)) if names]
    kinds = [p.venue_kinds for p in permits if p.venue_kinds]
    open_to = tuple(
        v
        for v in setup.venues
        if all(v.name in names for names in lists)
        and all(v.kind in some for some in kinds)
        and not _refused([x for x in policy.layers if x.scope == f"venue:{v.name}"], symbol, algo)
    )
    types = [set(p.ord_types) for p in permits if p.ord_types]
    ord_types = tuple(sorted(set.intersection(*types))) if types else ()
    refused = _refused([Layer(kind=FIRM, name="", permits=policy.permits), *layers], symbol, algo)
    if not refused and types and not ord_types:
        # Each layer allows one, and none is allowed by all: an empty list would mean any.
        refused = "ord_type_denied: no order type (40) is open to such an order"
    if not refused and not open_to:
        refused = "venues_denied: no venue is open to such an order"
    own = {f: getattr(policy, f) for f in RiskPolicy.__struct_fields__ if f not in Limits.__struct_fields__}
    counted = tuple(s for s in summed if any(getattr(s.limits, f) != UNSET for f in SUMMED))
    rates = [(s.scope, s.limits.children_per_second_max) for s in summed]
    by_layer = [_bucket(f"children:{scope}", scope, most) for scope, most in rates if most != UNSET]
    return Bounds(
        **{**own, "layers": ()},
        **values,
        scopes=scopes,
        tight=tight,
        summed=counted,
        sums_digest=blake2b(msgspec.json.encode([(s.keys, s.limits) for s in counted]), digest_size=8).hexdigest(),
        buckets={v.name: (_bucket(f"venue:{v.name}", f"venue:{v.name}", policy.venue_messages_per_second_max), *by_layer) for v in open_to},
        open_to=open_to,
        open_names=tuple(v.name for v in open_to),
        desk=next((x.name for x in layers if x.kind == "desk"), ""),
        algo=algo,
        keys=keys_of(client, symbol, algo),
        parent_token_ns=token_ns(values["parents_per_second_max"]),
        refused=refused,
        ord_types=ord_types,
        short_sale=max((p.short_sale for p in permits), key=("", "allowed", "locate", "refused").index),
        on_disconnect=next((p.on_disconnect for p in reversed(permits) if p.on_disconnect), "keep"),
    )


def summed_of(scope: str, limits: Limits, keys: tuple[str, ...]) -> Summed:
    """A layer that counts. keys: under which names the gate's books have its parts."""
    every = (limits.children_open_max, limits.open_value_max, limits.gross_value_max, limits.net_value_max)
    children, open_value, gross, net = (BEYOND if v == UNSET else v for v in every)
    return Summed(scope, limits, keys, children, open_value, gross, net, least=min(open_value, gross, net))


def _bucket(key: str, scope: str, per_second_max: int) -> Bucket:
    return Bucket(key, scope, per_second_max, token_ns(per_second_max))


def _refused(layers: list[Layer], symbol: str, algo: str) -> str:
    for layer in layers:
        permits, name = layer.permits, f"{layer.kind} {layer.name}".rstrip()
        if symbol in permits.restricted:
            return f"restricted: {symbol} is on the restricted list of {name}"
        if not permits.is_active:
            return f"inactive: {name} is not active"
        if permits.symbols and symbol not in permits.symbols:
            return f"symbol_denied: {name} may trade {', '.join(permits.symbols)}"
        if permits.algos and algo not in permits.algos:
            return f"algo_denied: {name} may use {', '.join(permits.algos)}"
    return ""
