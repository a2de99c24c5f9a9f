"""The policy's file to RiskPolicy: cfg/policy.toml. What changes between two: domain/changes.

The file's top level is the firm; [[desks]], [[clients]], [[symbols]], [[algos]] and [[venues]] are its layers, each entry by name.

Rule: an error names file, layer and key. A layer that is looser than what it stands under is one: it would promise what never holds.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from algoserver.domain.changes import ALLOWED, FIRM, FIRM_ALONE, MODES, value_text
from algoserver.domain.limits import LAYERS, LIMITS, UNSET, Limits
from algoserver.domain.policy import Layer, Permits, RiskPolicy
from algoserver.domain.types import PPM_ONE, PX_ONE, Strategy, ppm
from algoserver.settings import BadConfig, Entry, convert

KINDS = {"desks": "desk", "clients": "client", "symbols": "symbol", "algos": "algo", "venues": "venue"}
# Without these the gate could let anything pass: a firm must set them.
REQUIRED = (
    "parent_qty_max", "parent_value_max", "parent_adv_max", "parents_per_second_max", "child_qty_max", "child_value_max",
    "children_open_max", "collar", "collar_ticks",
)  # fmt: skip
# What is asked of an order before it has a venue.
NOT_A_VENUES = ("allow_venues", "allow_venue_kinds", "allow_ord_types", "short_sale", "on_disconnect")
KNOWN = {"algos": tuple(s.name for s in Strategy), "venue_kinds": ("lit", "dark"), "ord_types": ("LIMIT", "MARKET")}
# A policy comes over the operator's door as one request, and the core shares its interpreter with the parser: 100 kB take that some
# 70 ms, a line with twenty thousand dots in a key four seconds.
TEXT_BYTES_MAX = 100_000
LINE_BYTES_MAX = 2_000
NUMBER_MAX = 10**15
TRADED_WINDOW_S_MAX = 300  # what tallies remember for sure; beyond it they would count the whole day
# Of two limits of one layer the first is never above the second, or it would be none.
INVERTED = (
    ("child_qty_max", "parent_qty_max", "children are parts of parents"),
    ("child_value_max", "parent_value_max", "children are parts of parents"),
    ("parent_value_soft_max", "parent_value_max", "it would never ask"),
    ("open_value_max", "gross_value_max", "what is open is part of it"),
    ("net_value_max", "gross_value_max", "net is never more than gross"),
)


def _texts() -> Any:
    return msgspec.field(default_factory=list)


_OF_A_LAYER: list[Any] = [
    *((limit.key, (str if limit.unit == "share" else int) | None, None) for limit in LIMITS),
    *((key, list[str], _texts()) for key in ALLOWED.values()),
    ("restricted", list[str], _texts()),
    ("short_sale", str, ""),
    ("on_disconnect", str, ""),
    ("active", bool, True),
]
# Made from the one table of limits, so that the file can't know another set of them.
LayerEntry: Any = msgspec.defstruct(
    "LayerEntry", [("name", str), ("clients", list[str], _texts()), *_OF_A_LAYER], bases=(Entry,), frozen=True, kw_only=True
)
PolicyFile: Any = msgspec.defstruct(
    "PolicyFile",
    [
        ("name", str), *_OF_A_LAYER, *((alone.key, int) for alone in FIRM_ALONE), ("traded_free", str, "0.0002"), ("self_match", str, "firm"),
        *((key, list[LayerEntry], _texts()) for key in KINDS),
    ],
    bases=(Entry,), frozen=True, kw_only=True,
)  # fmt: skip


class Names(NamedTuple):
    """What a policy may speak of: clients, symbols and venues that are configured."""

    clients: tuple[str, ...]
    symbols: tuple[str, ...]
    venues: tuple[str, ...]


def digest_of(text: bytes) -> str:
    """The version of a policy: sha256 of its file."""
    return hashlib.sha256(text).hexdigest()


def load_policy(path: Path) -> tuple[RiskPolicy, bytes]:
    """A policy's file and its text: read once, or the one would not be the other's. Raises BadConfig."""
    try:
        text = path.read_bytes()
    except OSError as e:
        raise BadConfig(f"{path}: {e.strerror}") from e
    return parse_policy(text, str(path)), text


def parse_policy(text: bytes, source: str, names: Names | None = None) -> RiskPolicy:
    """A policy from its file's text. source: what an error calls it. names: what it may speak of, None: anything. Raises BadConfig."""
    if len(text) > TEXT_BYTES_MAX:
        raise BadConfig(f"{source}: {len(text)} bytes; a policy has at most {TEXT_BYTES_MAX}")
    long = next((n for n, line in enumerate(text.split(b"\n"), 1) if len(line) > LINE_BYTES_MAX), 0)
    if long:
        raise BadConfig(f"{source}: line {long} is longer than {LINE_BYTES_MAX} bytes; break it")
    try:
        raw = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as e:  # a number of five thousand digits is one too
        raise BadConfig(f"{source}: {e}") from e
    file = convert(raw, PolicyFile, source)
    try:
        policy = _policy(file)
        _check_layers(policy)
        if names is not None:
            check_names(policy, names)
    except ValueError as e:
        raise BadConfig(f"{source}: {e}") from e
    return policy


def _policy(file: Any) -> RiskPolicy:
    missing = [key for key in REQUIRED if getattr(file, key) is None]
    if missing:
        raise ValueError(f"`{missing[0]}` is missing: the firm must set it")
    own = {}
    for alone in FIRM_ALONE:
        own[alone.field] = _number("", alone.key, getattr(file, alone.key)) * alone.unit
    if file.traded_window_s > TRADED_WINDOW_S_MAX:
        raise ValueError(f"`traded_window_s` is above {TRADED_WINDOW_S_MAX}: that is not remembered")
    if file.self_match not in MODES["self_match"]:
        raise ValueError(f"`self_match` is one of {', '.join(MODES['self_match'])}")
    layers = []
    for plural, kind in KINDS.items():
        for entry in getattr(file, plural):
            where = f"{plural} {entry.name!r} "
            limits, permits = _limits(entry, where, kind), _permits(entry, where, kind)
            layers.append(Layer(kind=kind, name=entry.name, limits=limits, permits=permits, clients=tuple(entry.clients)))
    limits = _limits(file, "", FIRM)
    return RiskPolicy(
        name=file.name, **own, traded_free_ppm=_share("", "traded_free", file.traded_free), self_match=file.self_match,
        permits=_permits(file, "", FIRM), layers=tuple(layers), **{f: getattr(limits, f) for f in Limits.__struct_fields__},
    )  # fmt: skip


def _limits(entry: Any, where: str, kind: str) -> Limits:
    values = {}
    for limit in LIMITS:
        given = getattr(entry, limit.key)
        if given is None:
            continue
        if kind not in limit.layers:
            raise ValueError(f"{where}`{limit.key}` can't be set for a {kind}; it is for {', '.join(limit.layers)}")
        if limit.unit == "share":
            values[limit.field] = _share(where, limit.key, given)
        else:
            values[limit.field] = _number(where, limit.key, given) * (PX_ONE if limit.unit == "value" else 1)
    return Limits(**values)


def _number(where: str, key: str, value: int) -> int:
    if value < 0:
        raise ValueError(f"{where}`{key}` is negative")
    if value > NUMBER_MAX:
        raise ValueError(f"{where}`{key}` is above {NUMBER_MAX:,}: no limit at all")
    return value


def _share(where: str, key: str, text: str) -> int:
    try:
        share = ppm(text)
    except ValueError:
        share = 0
    if not 0 < share <= PPM_ONE:
        # A per cent that was meant as a fraction is a limit that never holds: "25" is 2,500 %.
        raise ValueError(f'{where}`{key}` is {text!r}; it must be a fraction above 0 to 1, as text: "0.05" is 5 %')
    return share


def _permits(entry: Any, where: str, kind: str) -> Permits:
    idle = [key for key in NOT_A_VENUES if kind == "venue" and getattr(entry, key)]
    if idle:
        raise ValueError(f"{where}`{idle[0]}` can't be set for a venue; it is for {', '.join(LAYERS[:-1])}")
    for key in ("short_sale", "on_disconnect"):
        if getattr(entry, key) not in ("", *MODES[key]):
            raise ValueError(f"{where}`{key}` is one of {', '.join(MODES[key])}")
    for field, known in KNOWN.items():
        strange = [name for name in getattr(entry, ALLOWED[field]) if name not in known]
        if strange:
            raise ValueError(f"{where}`{ALLOWED[field]}` has {strange[0]!r}; known are {', '.join(known)}")
    lists = {field: tuple(getattr(entry, key)) for field, key in ALLOWED.items()}
    return Permits(
        **lists, restricted=tuple(entry.restricted), short_sale=entry.short_sale, on_disconnect=entry.on_disconnect, is_active=entry.active
    )


def _check_layers(policy: RiskPolicy) -> None:
    """Names once, clients in one desk, nothing inverted, nothing looser than what is above it."""
    scopes = [x.scope for x in policy.layers]
    twice = next((s for s in scopes if scopes.count(s) > 1 or s.endswith(":")), None)
    if twice:
        raise ValueError(f"{twice}: each layer needs a `name` of its own")
    unsayable = next((s for s in scopes if not s.isprintable()), None)
    if unsayable:  # a desk's name goes to venues: what separates FIX fields must not be in it
        raise ValueError(f"{unsayable!r}: a `name` has printable characters only")
    in_desks = [c for x in policy.layers for c in x.clients]
    shared = next((c for c in in_desks if in_desks.count(c) > 1), None)
    if shared:
        raise ValueError(f"client {shared} is in two `desks`")
    wrong = next((x for x in policy.layers if x.clients and x.kind != "desk"), None)
    if wrong is not None:
        raise ValueError(f"{wrong.scope}: `clients` are a desk's")
    for layer in sorted(policy.layers, key=lambda x: LAYERS.index(x.kind)):
        desk = policy.desk_of(layer.name) if layer.kind == "client" else None
        for above, limits, permits in ((FIRM, policy, policy.permits), *(((desk.scope, desk.limits, desk.permits),) if desk else ())):
            _check_tighter(layer, above, limits, permits)
    for where, limits in ((FIRM, policy), *((x.scope, x.limits) for x in policy.layers)):
        for low, high, why in INVERTED:
            if getattr(limits, low) > getattr(limits, high) != UNSET:
                raise ValueError(f"{where}: `{low}` is above `{high}`: {why}")


def _check_tighter(layer: Layer, above: str, limits: Limits, permits: Permits) -> None:
    for limit in LIMITS:
        mine, theirs = getattr(layer.limits, limit.field), getattr(limits, limit.field)
        if mine > theirs != UNSET:
            text = f"{layer.scope}: `{limit.key}` {value_text(limit, mine)} is looser than {value_text(limit, theirs)} of {above}, which holds anyway"
            raise ValueError(f"{text}; lower it or leave it out")
    for key in ("short_sale", "on_disconnect"):
        own, given = getattr(layer.permits, key), getattr(permits, key)
        if key == "short_sale" and own and given and MODES[key].index(own) < MODES[key].index(given):
            raise ValueError(f"{layer.scope}: `{key}` {own} is looser than {given} of {above}")
    for field, key in ALLOWED.items():
        mine, theirs = set(getattr(layer.permits, field)), set(getattr(permits, field))
        if theirs and not mine <= theirs:
            raise ValueError(f"{layer.scope}: `{key}` has {', '.join(sorted(mine - theirs))}, which {above} does not allow")


def check_names(policy: RiskPolicy, names: Names) -> None:
    """Every client, symbol and venue that it speaks of is configured. Raises ValueError."""
    known = {"client": names.clients, "symbol": names.symbols, "venue": names.venues, "algo": KNOWN["algos"]}
    for layer in policy.layers:
        if layer.kind in known and layer.name not in known[layer.kind]:
            raise ValueError(f"{layer.scope}: no such {layer.kind}; there are {', '.join(known[layer.kind])}")
        strange = next((c for c in layer.clients if c not in names.clients), None)
        if strange:
            raise ValueError(f"{layer.scope}: `clients` has {strange!r}; there are {', '.join(names.clients)}")
    for where, permits in ((FIRM, policy.permits), *((x.scope, x.permits) for x in policy.layers)):
        for field, given in (("symbols", names.symbols), ("restricted", names.symbols), ("venues", names.venues)):
            strange = next((n for n in getattr(permits, field) if n not in given), None)
            if strange:
                raise ValueError(f"{where}: `{ALLOWED.get(field, field)}` has {strange!r}; there are {', '.join(given)}")
